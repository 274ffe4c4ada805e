# SPDX-License-Identifier: Apache-2.0
"""Serves sites (repository.py) to one host, over HTTP and HTTPS on the loopback of its network namespace, under the
names that the sites have in the world. So our programs are run with the addresses that they have by default.

Or it is a proxy, without which the names lead nowhere.

The server is threads of ours. Only its listening sockets were made inside the host's network, and there they stay.
"""

import collections
import contextlib
import ctypes
import http.server
import os
import socket
import ssl
import sys
import threading
import urllib.parse

from repository import PAGE
import keys

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000


PROXY = "http://127.0.0.1:3128"


class Server:
    """`certificate` is server, or stranger for one that the host has no reason to trust. With `proxy` the sites can be
    had through PROXY alone. It ends with its host."""

    def __init__(self, host, *sites, certificate="server", proxy=False):
        self.sites = sites
        self.requests = collections.Counter()  # by address
        self.proxied = collections.Counter()  # by what the proxy was asked for: an address, or a name and port
        self.ending = threading.Event()
        self.failures = []
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(keys.tls() / f"{certificate}.pem")
        self._answers = {}
        self._servers = []
        host.attach(self)
        if proxy:
            self._serve("http", *listeners(host.leader, 3128))
            return
        plain, secret = listeners(host.leader, 80, 443)
        self._serve("http", plain)
        # The handshake is left to the connection's own thread, or one slow client would hold up all.
        self._serve("https", self.tls.wrap_socket(secret, server_side=True, do_handshake_on_connect=False))
        host.write_file("/etc/hosts", f"{host.read_file('/etc/hosts')}127.0.0.1 {' '.join(keys.NAMES)}\n")

    def answer(self, address, behaviour):
        """From now on what is asked for at this address gets this answer: one of the functions below, or None for the
        ordinary one."""
        self._answers[address] = behaviour

    def count(self, part):
        """How often addresses with this in them were asked for."""
        return sum(times for address, times in self.requests.items() if part in address)

    def close(self):
        self.ending.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()
        self._servers = []

    def answer_to(self, address):
        self.requests[address] += 1
        return self._answers.get(address) or ordinary

    def file_of(self, address):
        """Where the file with this address is or would be."""
        parts = urllib.parse.urlsplit(address)
        path = os.path.normpath(urllib.parse.unquote(parts.path)).lstrip("/")
        places = [site / parts.hostname / path for site in self.sites]
        return str(next((place for place in places if place.is_file()), places[0] if places else "/nowhere"))

    def handler(self, scheme):
        return type("Handler", (Handler,), {"scheme": scheme, "owner": self})

    def _serve(self, scheme, listener):
        server = HttpServer(listener, self.handler(scheme), self.failures)
        self._servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()


class HttpServer(http.server.ThreadingHTTPServer):
    def __init__(self, listener, handler, failures):
        super().__init__(listener.getsockname(), handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.failures = failures

    def handle_error(self, request, client_address):
        self.failures.append(repr(sys.exc_info()[1]))  # a client that left, most likely


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    scheme = owner = None
    broken_off = False

    def do_GET(self):
        self.asked = self.address()
        self.owner.answer_to(self.asked)(self)

    do_HEAD = do_GET

    def do_CONNECT(self):
        """A tunnel that ends here: we have the certificate of whom it was to lead to."""
        self.owner.proxied[self.path] += 1
        self.send_response(200)
        self.end_headers()
        self.close_connection = True
        with self.owner.tls.wrap_socket(self.connection, server_side=True) as tunnel:
            self.owner.handler("https")(tunnel, self.client_address, self.server)

    def address(self):
        if self.path.startswith("http://"):
            self.owner.proxied[self.path] += 1
            return self.path
        return f"{self.scheme}://{self.headers.get('Host', 'localhost')}{self.path}"

    def translate_path(self, path):
        return self.owner.file_of(self.asked)

    def list_directory(self, path):
        self.send_error(404)

    def send_error(self, code, message=None, explain=None):
        """Without an end to the connection, as most servers do it."""
        self.give(code, f"{code} {message or ''}\n".encode())

    def finish(self):
        super().finish()
        if isinstance(self.connection, ssl.SSLSocket) and not self.broken_off:
            self.connection.settimeout(1)
            with contextlib.suppress(OSError, ValueError):
                self.connection.unwrap()  # TLS wants the end to be told

    def log_message(self, *_):
        pass

    def give(self, status, content, after=None, **headers):
        """The content, or only its first bytes, announced whole."""
        self.send_response(status)
        for name, value in {**headers, "Content-Length": len(content)}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[:after])

    def begin(self, after):
        """The first bytes of the file, and then the connection breaks off."""
        with open(self.owner.file_of(self.asked), "rb") as file:
            self.give(200, file.read(), after)
        self.close_connection = self.broken_off = True


# --- answers ---


def ordinary(handler):
    getattr(super(Handler, handler), f"do_{handler.command}")()


def error(status):
    return lambda handler: handler.send_error(status)


def page(handler):
    """A web page, as a network gives that wants one to sign in first."""
    handler.give(200, PAGE)


def redirect(address):
    return lambda handler: handler.give(302, b"", Location=address)


def cut(after):
    """Breaks off after so many bytes of the file."""
    return lambda handler: handler.begin(after)


def stall(after):
    """The same, but the connection stays, and nothing more comes."""
    def answer(handler):
        handler.begin(after)
        handler.owner.ending.wait()
    return answer


def endless(handler):
    """A web server's answer without an end."""
    handler.send_response(200)
    handler.end_headers()
    handler.close_connection = True
    while not handler.owner.ending.is_set():
        handler.wfile.write(b"x" * 65536)


# --- sockets in another network ---


def listeners(leader, *ports):
    """Listening sockets in the network of a process. Namespaces belong to threads, so that a thread can go there."""
    made = []

    def make(network):
        try:
            if LIBC.setns(network, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            made.extend(socket.create_server(("127.0.0.1", port), backlog=64) for port in ports)
        except OSError as failure:
            made.append(failure)

    network = os.open(f"/proc/{leader}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        thread = threading.Thread(target=make, args=(network,))
        thread.start()
        thread.join()
    finally:
        os.close(network)
    if isinstance(made[-1], OSError):
        raise made[-1]
    return made
