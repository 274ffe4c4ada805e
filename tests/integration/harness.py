# SPDX-License-Identifier: Apache-2.0
"""The agent under test: the real binary with a socket by activation, a notify socket of ours, and a configuration
written for the test. Each test class has one (AgentTestCase) and accounts for it at the end: it must leave with status
0 and without a container.
"""

import contextlib
import copy
import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

from api import UnixConnection, check_refusal, check_result, http_request
from engine import docker
from places import AGENT, ROOT, TEST_DIR, patience, wait_for

IMAGE_DENO = "tee-runtime-deno:latest"
IMAGE_SH = "tee-runtime-sh:latest"

SANITIZER_REPORT = re.compile(r"(Address|Leak|UndefinedBehavior)Sanitizer|runtime error:")

# --- the configuration ---


def shipped_deno_command():
    text = (ROOT / "conf" / "tee.conf").read_text(encoding="utf-8")
    block = re.search(r"deno = \{.*?command = \[(.*?)\]", text, re.DOTALL).group(1)
    return re.findall(r'"([^"]*)"', block)


def base_configuration(instance):
    command = shipped_deno_command()
    hostile = [word for word in command if not word.startswith("--allow-")] + ["--allow-all"]
    return {
        "agent": {"instance": instance, "max_running": 2},
        "docker": {"socket": docker().path, "daemon_json": docker().daemon_json},
        "runtimes": {
            "deno": {"image": IMAGE_DENO, "entry": "main.ts", "command": command},
            "deno_all": {"image": IMAGE_DENO, "entry": "main.ts", "command": hostile},
            "sh": {"image": IMAGE_SH, "entry": "main.sh", "command": ["/bin/busybox", "sh"]},
        },
    }


def warm_deno(**pool):
    """The runtime deno with sandboxes that stand ready."""
    return {"image": IMAGE_DENO, "entry": "main.ts", "command": shipped_deno_command(),
            "warm_arguments": ["--preload=/usr/lib/tee/adapter.ts"], "pool": pool}


def merged(base, changes):
    result = copy.deepcopy(base)
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = value
    return result


def libconfig(settings, indent=""):
    """Settings in libconfig's syntax."""
    lines = []
    for name, value in settings.items():
        if isinstance(value, dict):
            lines.append(f"{indent}{name} = {{\n{libconfig(value, indent + '    ')}{indent}}};\n")
        else:
            lines.append(f"{indent}{name} = {libconfig_value(value)};\n")
    return "".join(lines)


def libconfig_value(value):
    if isinstance(value, list):
        return "[" + ", ".join(libconfig_value(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


# --- the agent ---


agents = []  # that have not been closed


def close_all():
    """After a run that was broken off."""
    for agent in list(agents):
        agent.close()


class Agent:
    """One tee-agent: its folder, socket, configuration, log and process."""

    def __init__(self, name, changes=None, environment=None):
        TEST_DIR.mkdir(parents=True, exist_ok=True)
        self.instance = f"test-{name}-{os.getpid()}"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=name + "-", dir=TEST_DIR))
        # A path of sun_path's size, wherever the tree is checked out.
        self.socket_folder = pathlib.Path(tempfile.mkdtemp(prefix="tee-test-"))
        self.socket = self.socket_folder / "agent.sock"
        self.log = self.folder / "log"
        self.log_begin = 0
        self.config = self.folder / "tee.conf"
        self.environment = environment or {}
        self.prefix = []  # of its command
        self.process = None
        self.listener = None
        self.notifications = []
        self.configure(changes or {})
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(self.socket_folder / "notify"))
        self.notify_reader = threading.Thread(target=self.read_notifications, daemon=True)
        self.notify_reader.start()
        agents.append(self)

    def configure(self, changes):
        self.settings = merged(base_configuration(self.instance), changes)
        self.write_config()

    def write_config(self):
        self.config.write_text(libconfig(self.settings), encoding="utf-8")

    def start(self):
        """Starts the agent on its socket and waits for READY=1. The listener outlives a dead agent."""
        if self.listener is None:
            self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.listener.bind(str(self.socket))
            self.listener.listen(512)
        self.notifications.clear()
        environment = dict(os.environ, NOTIFY_SOCKET=str(self.socket_folder / "notify"), LISTEN_FDS="1")
        environment.pop("DISABLE_GVISOR", None)
        environment.setdefault("ASAN_OPTIONS", "quarantine_size_mb=4")
        environment.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1")
        environment.update(self.environment)
        self.process = activate([*self.prefix, AGENT, "--config", self.config], self.listener, environment, self.log)
        self.wait_notified("READY=1", 20)
        return self

    def read_notifications(self):
        """Runs in a thread, because the kernel keeps ten messages and no more."""
        while True:
            message = self.notify.recv(4096)
            if message == b"":  # from close()
                self.notify.close()
                return
            self.notifications += message.decode("utf-8").splitlines()

    def notified(self):
        """Everything that the agent has told its notify socket, one assignment an entry."""
        return list(self.notifications)

    def wait_notified(self, line, seconds=10):
        def seen():
            if self.process.poll() is not None:
                raise AssertionError(f"the agent ended with {self.process.returncode}:\n{self.log_tail()}")
            return line in self.notified()

        wait_for(f"{line} from the agent", seen, seconds)

    def wait_notified_matching(self, pattern, seconds=10):
        """Waits until the last assignment of the pattern's variable matches."""
        variable = pattern.split("=", 1)[0] + "="

        def seen():
            lines = [line for line in self.notified() if line.startswith(variable)]
            return lines and re.search(pattern, lines[-1])

        wait_for(f"{pattern} from the agent", seen, seconds)

    def reload(self):
        """SIGHUP, and waits until the agent has read its configuration again."""
        self.notifications.clear()
        self.process.send_signal(signal.SIGHUP)
        self.wait_notified("RELOADING=1")
        self.wait_notified("READY=1")

    def resident_kb(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE).group(1))

    def open_files(self):
        """How many it has open: connections of clients, those to others (Docker, of which it keeps some), the rest."""
        links = []
        for file in pathlib.Path(f"/proc/{self.process.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                links.append(os.readlink(file))
        sockets = {link[len("socket:["):-1] for link in links if link.startswith("socket:[")}
        named = [line.split()[7] for line in pathlib.Path("/proc/net/unix").read_text(encoding="utf-8").splitlines()
                 if line.split()[6] in sockets and len(line.split()) > 7]
        clients = named.count(str(self.socket)) - 1  # the listener has the same name
        return {"clients": clients, "others": len(sockets) - len(named), "rest": len(links) - len(sockets)}

    def wait_open(self, seconds=20):
        wait_for("an open gate", lambda: self.get("/healthz").status == 200, seconds)
        return self

    def wait_gate(self, code, seconds=20):
        """Waits until the gate is shut for this reason; returns the gate of /v1/status."""

        def gate():
            now = self.get("/v1/status").json["gate"]
            return now if (now["state"], now["code"]) == ("shut", code) else None

        try:
            return wait_for(f"a gate shut with {code}", gate, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {self.get('/v1/status').json['gate']}") from None

    def stop(self):
        """SIGTERM, and the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(patience(40))

    def kill(self):
        self.process.kill()
        self.process.wait(10)

    def close(self):
        if self not in agents:
            return
        agents.remove(self)
        if self.process and self.process.poll() is None:
            self.kill()
        for container in docker().containers(self.instance):
            docker().remove(container["Id"])
        if self.listener:
            self.listener.close()
        self.notify.sendto(b"", str(self.socket_folder / "notify"))
        self.notify_reader.join(10)
        shutil.rmtree(self.socket_folder)

    def account(self):
        """Stops the agent; it must end clean, without a container or a sanitizer's report left."""
        try:
            status = self.stop() if self.process.poll() is None else self.process.returncode
            left = [one["Id"] for one in docker().containers(self.instance)]
            report = SANITIZER_REPORT.search(self.log_text())
            if status != 0 or left or report:
                raise AssertionError(f"{self.instance} ended with {status}, containers left: {left}, "
                                     f"log in {self.log}\n{self.log_tail()}")
            shutil.rmtree(self.folder)
        finally:
            self.close()

    def log_text(self):
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def mark_log(self):
        """What follows belongs to the next test."""
        self.log_begin = len(self.log_text())

    def log_tail(self, lines=30):
        return "\n".join(self.log_text()[self.log_begin:].splitlines()[-lines:])

    def wait_log(self, text, seconds=10):
        wait_for(f"{text!r} in the log", lambda: text in self.log_text(), seconds)

    # --- its API ---

    def request(self, method, target, body=None, headers=None, timeout=60):
        return http_request(self.socket, method, target, body, headers, timeout)

    def get(self, target):
        return self.request("GET", target, timeout=patience(10))

    def post(self, request, query="", timeout=30):
        """POST /v1/executions. request: a document or bytes."""
        body = request if isinstance(request, bytes) else json.dumps(request).encode("utf-8")
        headers = {"Content-Type": "application/json"}
        return self.request("POST", "/v1/executions" + query, body, headers, patience(timeout))

    def run(self, runtime, code=None, timeout=30, **fields):
        """Runs a program and returns its result."""
        request = {"runtime": runtime, **fields}
        if code is not None:
            request["code"] = code
        answer = self.post(request, timeout=timeout)
        if answer.status != 200:
            raise AssertionError(f"refused: {answer!r}")
        result = answer.json
        check_result(result)
        return result

    def stream(self, request, timeout=30):
        """POST /v1/executions?stream=1: yields (monotonic time, event)."""
        connection = UnixConnection(self.socket, patience(timeout))
        try:
            connection.request("POST", "/v1/executions?stream=1", json.dumps(request).encode("utf-8"),
                               {"Content-Type": "application/json"})
            answer = connection.getresponse()
            if answer.status != 200:
                raise AssertionError(f"refused: {answer.read()!r}")
            assert answer.getheader("Content-Type").startswith("application/x-ndjson"), answer.getheaders()
            for line in answer:
                yield time.monotonic(), json.loads(line)
        finally:
            connection.close()

    def start_run(self, runtime, code, **fields):
        """Runs a program in a thread; a Background to wait for it."""
        return Background(lambda: self.run(runtime, code, **fields))

    def wait_running(self, n=1, seconds=20):
        """Waits until n executions run, and returns their containers."""
        wait_for(f"{n} running", lambda: self.get("/v1/status").json["executions"]["running"] == n, seconds)
        return wait_for(f"{n} containers", lambda: self.exactly_running(n), seconds)

    def wait_idle(self, seconds=60):
        """Waits until not even an ended sandbox is left, so that the next container is the next execution's."""
        wait_for("no container", lambda: not docker().containers(self.instance), seconds)
        return self

    def wait_no_sandbox(self, seconds=3):
        """Waits until none runs. Docker destroys them after the answer, in the background."""
        wait_for("the sandboxes' end", lambda: not docker().running(self.instance), seconds)

    def exactly_running(self, n):
        running = docker().running(self.instance)
        return running if len(running) == n else None


def activate(command, listener, environment, log):
    """Starts a command with the listener as fd 3, as systemd does, its output appended to the file log."""
    passed = fcntl.fcntl(listener.fileno(), fcntl.F_DUPFD, 10)
    wrapper = ["bash", "-c", 'fd=$1; shift; LISTEN_PID=$$ exec "$@" 3<&"$fd"-', "activate", str(passed)]
    try:
        with open(log, "ab") as output:
            return subprocess.Popen(wrapper + [str(word) for word in command], env=environment, pass_fds=(passed,),
                                    stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    finally:
        os.close(passed)


class Background:
    """A call in a thread of its own."""

    def __init__(self, call):
        self.value = None
        self.failure = None
        self.ended = None
        self.thread = threading.Thread(target=self._run, args=(call,), daemon=True)
        self.thread.start()

    def _run(self, call):
        try:
            self.value = call()
        except BaseException as error:  # handed on by result()
            self.failure = error
        self.ended = time.monotonic()

    def result(self, seconds=60):
        self.thread.join(patience(seconds))
        if self.thread.is_alive():
            raise AssertionError(f"no result within {patience(seconds)} s")
        if self.failure:
            raise self.failure
        return self.value


class AgentTestCase(unittest.TestCase):
    """Tests that share one agent. A class sets `changes` of the configuration and `agent_environment`."""

    changes = {}
    agent_environment = {}
    open = True

    @classmethod
    def setUpClass(cls):
        cls.agent = Agent(cls.__name__.lower(), cls.changes, cls.agent_environment)
        cls.addClassCleanup(cls.agent.account)
        cls.agent.start()
        if cls.open:
            cls.agent.wait_open()

    def setUp(self):
        self.assertIsNone(self.agent.process.poll(), "the agent has ended")
        self.agent.wait_idle()
        self.agent.mark_log()

    def assert_refusal(self, answer, status, code, field=None):
        check_refusal(answer)
        seen = (answer.status, answer.error["code"], answer.error["field"])
        self.assertEqual(seen, (status, code, field), answer)
