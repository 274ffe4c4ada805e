# SPDX-License-Identifier: Apache-2.0
"""A Docker socket that does what a test says: passes requests on to the real Docker, lies, stalls, or hangs up.

It exists for faults that can't be had from a real Docker. Each request gets a connection of its own to the real one
("Connection: close" is added), so that the script is asked for every request. What clients sent is kept.
"""

import contextlib
import json
import select
import socket
import threading

from api import unix_connect

PASS = object()  # on to the real Docker
STALL = object()  # taken, never answered
HANG_UP = object()  # closed without a word
LATE = object()  # passed on, the answer is swallowed


def answer(status, body, reason="Scripted"):
    """The bytes of a whole answer; body is bytes, text, or a document."""
    if not isinstance(body, (bytes, str)):
        body = json.dumps(body)
    if isinstance(body, str):
        body = body.encode()
    head = f"HTTP/1.1 {status} {reason}\r\nApi-Version: 1.41\r\nContent-Type: application/json\r\n" \
           f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


class ScriptedDocker:
    """script(method, target) gives PASS, STALL, HANG_UP, LATE or the bytes of an answer."""

    def __init__(self, path, upstream, script=lambda method, target: PASS):
        self.path = str(path)
        self.upstream = upstream
        self.script = script
        self.requests = []  # "METHOD target"
        self.sent = bytearray()  # all bytes of all clients
        self.connections = set()
        self.lock = threading.Lock()
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def set_script(self, script):
        """Another script for all that follows; what is under way is cut off."""
        self.script = script
        with self.lock:
            open_connections = list(self.connections)
        for sock in open_connections:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.set_script(lambda method, target: HANG_UP)

    def asked(self, prefix):
        return [one for one in self.requests if one.startswith(prefix)]

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client, self._tracked(client), contextlib.suppress(OSError):
            head, rest = self._read_head(client)
            if not head:
                return
            method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
            self.requests.append(f"{method} {target}")
            action = self.script(method, target)
            if action in (PASS, LATE):
                with unix_connect(self.upstream, None) as docker, self._tracked(docker):
                    docker.sendall(with_connection_close(head) + rest)
                    self._splice(client, docker, swallow=action is LATE)
            elif action is STALL:
                self._drain(client)
            elif action is not HANG_UP:
                client.sendall(action)
                if b"chunked" in head:  # as servers linger: who is still sending would else lose the answer
                    client.shutdown(socket.SHUT_WR)
                    self._drain(client)

    @contextlib.contextmanager
    def _tracked(self, sock):
        with self.lock:
            self.connections.add(sock)
        try:
            yield
        finally:
            with self.lock:
                self.connections.discard(sock)

    def _receive(self, client):
        data = client.recv(65536)
        with self.lock:
            self.sent += data
        return data

    def _read_head(self, client):
        data = b""
        while b"\r\n\r\n" not in data:
            block = self._receive(client)
            if not block:
                return b"", b""
            data += block
        head, rest = data.split(b"\r\n\r\n", 1)
        return head + b"\r\n\r\n", rest

    def _drain(self, client):
        while self._receive(client):
            pass

    def _splice(self, client, docker, swallow):
        """Both directions until Docker has closed; a client's half-close is passed on."""
        sources = [client, docker]
        while docker in sources:
            for sock in select.select(sources, [], [])[0]:
                data = self._receive(client) if sock is client else docker.recv(65536)
                if sock is client:
                    if data:
                        docker.sendall(data)
                    else:
                        docker.shutdown(socket.SHUT_WR)
                elif data and not swallow:
                    client.sendall(data)
                if not data:
                    sources.remove(sock)
        if swallow:
            self._drain(client)


def with_connection_close(head):
    if b"\r\nupgrade:" in head.lower():
        return head
    return head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
