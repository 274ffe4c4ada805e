# SPDX-License-Identifier: Apache-2.0
"""A registry that serves images over the v2 API, and does what a test says: stalls in the middle of a
layer, breaks it off, or knows nothing. It listens on the loopback of the network namespace of another process (a
dockerd, which trusts registries there without TLS).
"""

import contextlib
import ctypes
import fcntl
import gzip
import hashlib
import http.server
import io
import json
import platform
import socket
import struct
import tarfile
import threading

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS = 0x8914
IFF_UP = 1

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def listen_in_namespace_of(pid):
    """A listening socket on 127.0.0.1, which is brought up there. A namespace is a thread's, so this has one for it."""
    made = []

    def run():
        with open(f"/proc/{pid}/ns/net", "rb") as namespace:
            if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET) != 0:
                made.append(OSError(ctypes.get_errno(), "setns"))
                return
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        fcntl.ioctl(listener, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        made.append(listener)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if isinstance(made[0], OSError):
        raise made[0]
    return made[0]


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def layer_of(files):
    """A tar of name → (mode, content)."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, (mode, content) in files.items():
            entry = tarfile.TarInfo(name)
            entry.mode, entry.size = mode, len(content)
            tar.addfile(entry, io.BytesIO(content))
    return archive.getvalue()


class Registry:
    """fault: None, "stall", "truncate" (each in the middle of a layer), or "missing"."""

    def __init__(self, pid):
        self.listener = listen_in_namespace_of(pid)
        self.host = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.fault = None
        self.stalled = threading.Event()  # half a layer has been sent
        self.released = threading.Event()
        self.manifests, self.blobs, self.asked = {}, {}, []
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                registry.serve(self)

            do_HEAD = do_GET

            def handle(self):
                with contextlib.suppress(ConnectionError):  # a client that was interrupted
                    super().handle()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self.server.socket.close()
        self.server.socket = self.listener
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def add(self, name, *layers, architecture=None, config=None):
        """An image "name:tag" of these layers (see layer_of()); its whole name."""
        layers = [layer_of(files) for files in layers]
        packed = [gzip.compress(layer, compresslevel=1) for layer in layers]
        document = json.dumps({
            "architecture": architecture or ARCHITECTURES[platform.machine()], "os": "linux", "config": config or {},
            "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]}}).encode()
        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "size": len(document), "digest": digest(document)},
            "layers": [{"mediaType": LAYER, "size": len(one), "digest": digest(one)} for one in packed]}).encode()
        self.blobs.update({digest(document): (document, False), **{digest(one): (one, True) for one in packed}})
        repository, tag = name.split(":")
        for reference in (tag, digest(manifest)):
            self.manifests[f"/v2/{repository}/manifests/{reference}"] = manifest
        return f"{self.host}/{name}"

    def serve(self, request):
        self.asked.append(request.path)
        blob, is_layer = self.blobs.get(request.path.rsplit("/", 1)[-1], (None, False))
        if request.path == "/v2/":
            self.answer(request, 200, b"{}", "application/json")
        elif request.path in self.manifests and self.fault != "missing":
            self.answer(request, 200, self.manifests[request.path], MANIFEST)
        elif blob is not None:
            self.answer(request, 200, blob, "application/octet-stream", self.fault if is_layer else None)
        else:
            words = json.dumps({"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}).encode()
            self.answer(request, 404, words, "application/json")

    def answer(self, request, status, body, kind, fault=None):
        request.send_response(status)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(body)))
        request.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        if kind == MANIFEST:
            request.send_header("Docker-Content-Digest", digest(body))
        request.end_headers()
        if request.command == "HEAD":
            return
        request.close_connection = fault is not None
        with contextlib.suppress(OSError):  # the client may have left
            request.wfile.write(body if not fault else body[:len(body) // 2])
            if fault == "stall":
                self.stalled.set()
                self.released.wait()
