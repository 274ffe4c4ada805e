# SPDX-License-Identifier: Apache-2.0
"""The ways to run one program, each a call that returns when its whole output has come, and checks it."""

import json
import os
import select
import shutil
import socket
import subprocess

from engine import docker
from harness import IMAGE_DENO, shipped_deno_command
from places import ROOT, TEE_RUN, TEST_DIR

PROGRAM = "const answer: number = 42;\nconsole.log(answer);\n"
OUTPUT = b"42\n"


def deno():
    """The pinned Deno of the development host."""
    done = subprocess.run([ROOT / "tests" / "dev" / "deno"], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


class Command:
    """A process that prints what the program prints."""

    def __init__(self, words, environment=None):
        self.words = [str(word) for word in words]
        self.environment = environment

    def __call__(self):
        done = subprocess.run(self.words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=self.environment, close_fds=False, timeout=120, check=False)
        if (done.returncode, done.stdout) != (0, OUTPUT):
            raise AssertionError(f"{self.words}: {done}")


class Http:
    """One connection that is kept open. The client is as thin as Python allows, for its own time counts, too."""

    def __init__(self, agent, runtime, warm, **fields):
        body = json.dumps({"runtime": runtime, "code": PROGRAM, **fields}).encode()
        self.request = (b"POST /v1/executions HTTP/1.1\r\nHost: tee\r\nContent-Type: application/json\r\n"
                        b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.path = str(agent.socket)
        self.warm = warm
        self.result = None
        self.connect()

    def connect(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(120)
        self.socket.connect(self.path)

    def __call__(self):
        if select.select([self.socket], [], [], 0)[0]:  # closed by the agent, having been idle for long
            self.socket.close()
            self.connect()
        self.socket.sendall(self.request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self.receive()
        head, _, body = answer.partition(b"\r\n\r\n")
        lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        while len(body) < int(lines[b"content-length"]):
            body += self.receive()
        self.result = json.loads(body)
        seen = (head.split()[1], self.result.get("stdout"), self.result.get("sandbox", {}).get("warm"))
        if seen[:2] != (b"200", OUTPUT.decode()) or self.warm not in (None, seen[2]):
            raise AssertionError(f"{head!r} {self.result}")

    def receive(self):
        data = self.socket.recv(65536)
        if not data:
            raise AssertionError("the agent closed the connection")
        return data


def permitted(words, folder):
    """The command's permissions for another folder than the sandbox's."""
    return [word.replace("/work", str(folder)) for word in words]


class Places:
    """A folder with the program, and the commands round it."""

    def __init__(self):
        self.folder = TEST_DIR / "bench"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.program = self.folder / "main.ts"
        self.program.write_text(PROGRAM, encoding="utf-8")
        self.cache = self.folder / "cache"
        self.deno = deno()
        self.options = shipped_deno_command()[1:]

    def bare(self):
        """As anybody types it, with the caches that it has then."""
        return Command([self.deno, "run", self.program], dict(os.environ, DENO_DIR=str(self.cache), NO_COLOR="1"))

    def bwrap(self):
        """The namespaces that a careful person would type."""
        inside, deno_inside = "/tmp/program", "/tmp/deno"
        return Command(["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--ro-bind", "/", "/",
                        "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", "--ro-bind", self.folder, inside,
                        "--ro-bind", self.deno, deno_inside, "--setenv", "DENO_DIR", "/tmp/cache", "--setenv", "NO_COLOR", "1", "--chdir", inside,
                        deno_inside, *permitted(self.options, inside), f"{inside}/main.ts"])

    def docker_run(self, oci_runtime):
        return Command(["docker", "--host", f"unix://{docker().path}", "run", "--rm", "--runtime", oci_runtime,
                        "--network", "none", "--log-driver", "none", "--attach", "stdout", "--attach", "stderr",
                        "--volume", f"{self.folder}:/work:ro", "--env", "DENO_DIR=/tmp/cache", "--env", "NO_COLOR=1",
                        "--entrypoint", "/usr/bin/deno", IMAGE_DENO, *self.options, "/work/main.ts"])

    def tee_run(self, agent, runtime):
        return Command([TEE_RUN, "--socket", agent.socket, "--runtime", runtime, self.program])
