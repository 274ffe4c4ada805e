# SPDX-License-Identifier: Apache-2.0
"""A configuration that is wrong ends the agent at once, with one line that says file, line and setting."""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import unittest

from engine import docker
from harness import Agent, activate
from places import AGENT, ROOT, VERSION, patience, wait_for

EX_CONFIG = 78
EX_USAGE = 64

# what is wrong: (tee.conf, line, setting; None where the line itself can't be read)
WRONG = {
    "syntax error": ('agent = {\n    instance = "a";\n    max_running = = 3;\n};\n', 3, None),
    "brace that is never closed": ("agent = {\n    max_running = 3;\n", 3, None),
    "text that is none": ("hello world\n", 1, None),
    "unknown setting": ("agent = {\n    max_runing = 3;\n};\n", 2, "agent.max_runing"),
    "unknown group": ("\n\nagents = { };\n", 3, "agents"),
    "unknown limit": ("limits = {\n  wall_s = { default = 1; max = 2; };\n};\n", 2, "limits.wall_s"),
    "unknown setting of a runtime": (
        'runtimes = {\n  a = {\n    image = "a"; entry = "a";\n    command = ["a"];\n    mount = "/";\n  };\n};\n',
        5, "runtimes.a.mount"),
    "number out of range": ("agent = {\n    max_running = 0;\n};\n", 2, "agent.max_running"),
    "negative number": ("http = { body_kb = -1; };\n", 1, "http.body_kb"),
    "number too large": ("http = {\n\n  max_connections = 4294967297L;\n};\n", 3, "http.max_connections"),
    "default above its maximum": (
        "limits = {\n  wall_ms = {\n    default = 5000;\n    max = 4000;\n  };\n};\n", 3, "limits.wall_ms.default"),
    "string for a number": ('agent = {\n    queue_ms = "10000";\n};\n', 2, "agent.queue_ms"),
    "number for a string": ("docker = {\n    socket = 5;\n};\n", 2, "docker.socket"),
    "number for a boolean": ("gvisor = {\n    enabled = 1;\n};\n", 2, "gvisor.enabled"),
    "float for an integer": ("agent = {\n    drain_ms = 1.5;\n};\n", 2, "agent.drain_ms"),
    "number for a group": ("\nlimits = 5;\n", 2, "limits"),
    "relative socket": ('docker = {\n    socket = "docker.sock";\n};\n', 2, "docker.socket"),
    "name that is none": ('agent = {\n    instance = "a b";\n};\n', 2, "agent.instance"),
    "empty OCI runtime": ('gvisor = {\n    oci_runtime = "";\n};\n', 2, "gvisor.oci_runtime"),
    "no runtime at all": ("\nruntimes = { };\n", 2, "runtimes"),
    "runtime without a command": (
        'runtimes = {\n  a = { image = "a"; entry = "a"; };\n};\n', 2, "runtimes.a"),
    "entry outside the work folder": (
        'runtimes = {\n  a = {\n    image = "a";\n    entry = "../a";\n    command = ["a"];\n  };\n};\n',
        4, "runtimes.a.entry"),
    "setting that stands twice": ("agent = {\n  max_running = 1;\n  max_running = 2;\n};\n", 3, "agent.max_running"),
}


class BadConfiguration(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tee-test-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.config = self.folder / "tee.conf"

    def run_agent(self, arguments=(), environment=None, before=(), program=AGENT):
        """Runs the agent as systemd would, until it ends; (status, what it said)."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(listener.close)
        listener.bind(str(self.folder / f"agent-{os.urandom(4).hex()}.sock"))
        listener.listen(1)
        log = self.folder / "log"
        log.write_bytes(b"")
        command = [*before, program, "--config", self.config, *arguments]
        process = activate(command, listener, dict(os.environ, LISTEN_FDS="1", **(environment or {})), log)
        try:
            return process.wait(patience(10)), log.read_text(encoding="utf-8")
        finally:
            process.kill()
            process.wait(10)

    def assert_one_line(self, said, pattern):
        lines = said.splitlines()
        self.assertEqual(len(lines), 1, said)
        self.assertRegex(lines[0], rf"^(tee-agent: )?{pattern}$")

    def test_wrong_configurations(self):
        for what, (text, line, setting) in WRONG.items():
            with self.subTest(what):
                self.config.write_text(text, encoding="utf-8")
                status, said = self.run_agent()
                self.assertEqual(status, EX_CONFIG, said)
                place = f"{re.escape(str(self.config))}:{line}: "
                self.assert_one_line(said, place + (f"{re.escape(setting)}: .+" if setting else ".+"))

    def test_missing_file(self):
        status, said = self.run_agent()
        self.assertEqual(status, EX_CONFIG, said)
        self.assert_one_line(said, rf"{re.escape(str(self.config))}:\d+: .*No such file or directory")

    def test_file_that_may_not_be_read(self):
        self.folder.chmod(0o755)
        agent = self.folder / "tee-agent"
        shutil.copy(AGENT, agent)
        self.config.write_text("agent = { };\n", encoding="utf-8")
        self.config.chmod(0o600)
        before = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        status, said = self.run_agent(before=before, program=agent)
        self.assertEqual(status, EX_CONFIG, said)
        self.assert_one_line(said, rf"{re.escape(str(self.config))}:\d+: .*Permission denied")

    def test_folder_in_the_files_place(self):
        self.config.mkdir()
        status, said = self.run_agent()
        self.assertEqual(status, EX_CONFIG, said)
        self.assert_one_line(said, rf"{re.escape(str(self.config))}:\d+: .+")

    def test_file_with_nul(self):
        self.config.write_bytes(b"agent = { };\n\0\n")
        status, said = self.run_agent()
        self.assertEqual(status, EX_CONFIG, said)
        self.assert_one_line(said, rf"{re.escape(str(self.config))}:\d+: .+")

    def test_disable_gvisor_with_a_value_that_is_neither_yes_nor_no(self):
        self.config.write_text("agent = { };\n", encoding="utf-8")
        for value in ("maybe", "truee", "2", " true"):
            with self.subTest(value=value):
                status, said = self.run_agent(environment={"DISABLE_GVISOR": value})
                self.assertEqual(status, EX_CONFIG, said)
                self.assert_one_line(said, rf".*DISABLE_GVISOR.*{value}.*")

    def test_no_socket_passed(self):
        self.config.write_text("agent = { };\n", encoding="utf-8")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LISTEN_")}
        done = subprocess.run([AGENT, "--config", self.config], env=environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=patience(10))
        self.assertNotEqual(done.returncode, 0)
        self.assertGreater(done.returncode, 0, "it was killed by a signal")
        self.assert_one_line(done.stderr, ".*socket.*")

    def test_passed_descriptor_that_is_no_listening_unix_socket(self):
        self.config.write_text("agent = { };\n", encoding="utf-8")
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        tcp.bind(("127.0.0.1", 0))
        tcp.listen(1)
        datagrams = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        for wrong in (tcp, datagrams):
            with self.subTest(wrong=wrong), wrong:
                log = self.folder / "log"
                log.write_bytes(b"")
                process = activate([AGENT, "--config", self.config], wrong, dict(os.environ, LISTEN_FDS="1"), log)
                self.addCleanup(process.kill)
                self.assertGreater(process.wait(patience(10)), 0)
                self.assert_one_line(log.read_text(encoding="utf-8"), ".*socket.*")


class CommandLine(unittest.TestCase):
    def run_agent(self, *arguments):
        return subprocess.run([AGENT, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=patience(10))

    def test_version(self):
        done = self.run_agent("--version")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, f"tee-agent {VERSION}\n", ""))

    def test_help(self):
        done = self.run_agent("--help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for option in ("--config", "--version", "--help", "DISABLE_GVISOR"):
            self.assertIn(option, done.stdout)

    def test_wrong_usage(self):
        for arguments in (["--confg", "x"], ["--config"], ["extra"], ["-x"]):
            with self.subTest(arguments=arguments):
                done = self.run_agent(*arguments)
                self.assertIn(done.returncode, (2, EX_USAGE))
                self.assertTrue(done.stderr)
                self.assertEqual(done.stdout, "")


class ShippedConfiguration(unittest.TestCase):
    def test_conf_tee_conf_is_valid(self):
        agent = Agent("shipped")
        self.addCleanup(agent.account)
        text = (ROOT / "conf" / "tee.conf").read_text(encoding="utf-8")
        for name, value in (("instance", agent.instance), ("socket", docker().path),
                            ("daemon_json", docker().daemon_json)):
            text, n = re.subn(rf'^(    {name} = )"[^"]*"', rf'\1"{value}"', text, flags=re.MULTILINE)
            self.assertEqual(n, 1, name)
        agent.config.write_text(text, encoding="utf-8")
        agent.start().wait_open()
        self.assertEqual(agent.run("deno", "console.log('shipped')")["stdout"], "shipped\n")


class Reload(unittest.TestCase):
    """SIGHUP."""

    def setUp(self):
        self.agent = Agent("reload")
        self.addCleanup(self.agent.account)
        self.agent.start().wait_open()

    def test_changed_setting_takes_effect_and_a_broken_file_changes_nothing(self):
        self.assertEqual(self.ulimit(), "64")
        self.agent.configure({"limits": {"processes": {"default": 33, "max": 512}}})
        self.agent.reload()
        self.assertEqual(self.ulimit(), "33")

        self.agent.config.write_text("agent = {\n  nonsense = 1;\n};\n", encoding="utf-8")
        self.agent.reload()
        self.agent.wait_log(f"{self.agent.config}:2: agent.nonsense: ")
        self.assertEqual(self.ulimit(), "33")

        self.agent.configure({"limits": {"processes": {"default": 44, "max": 512}}})
        self.agent.reload()
        self.assertEqual(self.ulimit(), "44")

    def ulimit(self):
        return self.agent.run("sh", "ulimit -u")["stdout"].strip()

    def test_runtime_comes_and_goes(self):
        self.agent.settings["runtimes"]["other"] = dict(self.agent.settings["runtimes"]["sh"])
        self.agent.write_config()
        self.agent.reload()
        wait_for("the runtime", lambda: self.agent.get("/v1/status").json["runtimes"]["other"]["available"])
        self.assertEqual(self.agent.run("other", "echo new")["stdout"], "new\n")
        self.agent.configure({})
        self.agent.reload()
        self.assertNotIn("other", self.agent.get("/v1/status").json["runtimes"])
        self.assertEqual(self.agent.post({"runtime": "other", "code": ""}).error["code"], "unknown_runtime")

    def test_reload_does_not_disturb_a_running_program(self):
        self.agent.wait_idle()
        run = self.agent.start_run("deno", "await new Promise((done) => setTimeout(done, 2000)); console.log('whole')")
        self.agent.wait_running()
        self.agent.configure({"limits": {"wall_ms": {"default": 100, "max": 1000}}})
        self.agent.reload()
        self.assertEqual(run.result()["stdout"], "whole\n")

    def test_many_reloads_at_once(self):
        for _ in range(50):
            self.agent.process.send_signal(signal.SIGHUP)
        wait_for("an open gate", lambda: self.agent.get("/healthz").status == 200)
        self.assertEqual(self.ulimit(), "64")
