# SPDX-License-Identifier: Apache-2.0
"""tee-health on a configuration of the test's own: its report, held against its schema, and what it is shown."""

import functools
import grp
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile

import jsonschema

from engine import docker
from harness import libconfig, merged
from places import ROOT, TEE_HEALTH, patience
from scripted_docker import PASS, ScriptedDocker

NOBODY = 65534
GROUP = grp.getgrnam("daemon")  # any that is not root's

CHECKS = ["config.valid", "host.linux_and_architecture", "host.cgroups", "host.kvm", "host.memory", "runsc.program",
          "runsc.in_path", "runsc.parts", "runsc.platform", "runsc.network", "runsc.updates", "docker.reachable",
          "docker.version", "docker.host", "docker.socket", "docker.network_api", "docker.live_restore", "docker.disk",
          "docker.runc", "registration.daemon_json", "registration.running", "registration.default", "apt.source",
          "apt.key", "apt.trusted_keys", "images.runtimes", "agent.socket_unit", "agent.service", "agent.environment",
          "agent.socket", "agent.user", "agent.watchdog", "agent.answers", "agent.gate", "agent.mode"]

# What tells of the machine that the tests run on: its packages, its apt, its memory, and what a user may open. They are
# seen on hosts of their own (tests/host).
OF_THE_MACHINE = {"host.kvm", "host.memory", "runsc.updates", "docker.live_restore", "docker.disk", "docker.runc",
                  "apt.source", "apt.key", "apt.trusted_keys"}
OURS = [name for name in CHECKS if name not in OF_THE_MACHINE]
ONLY_OURS = [word for name in OURS for word in ("--only", name)]

SEEN_COLUMN = len("pass  ") + max(map(len, CHECKS)) + 2

UNSEEN = ["agent.socket_unit", "agent.service", "agent.environment", "agent.watchdog"]  # without systemd
PROBES = ["probe.sandbox", "probe.program", "probe.user", "probe.network", "probe.memory", "probe.processes",
          "probe.disk", "probe.taken_down"]


@functools.lru_cache(maxsize=None)
def schema():
    document = json.loads((ROOT / "docs" / "tee-health.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(document)
    return jsonschema.Draft202012Validator(document)


class Report:
    """What tee-health --json has said."""

    def __init__(self, document, status):
        schema().validate(document)
        assert document["exit_status"] == status, (document["exit_status"], status)
        verdicts = [check["verdict"] for check in document["checks"]]
        assert document["counts"] == {one: verdicts.count(one) for one in ("pass", "warn", "fail", "skip")}
        self.document = document
        self.status = status
        self.checks = {check["id"]: check for check in document["checks"]}

    def verdicts(self):
        return {name: check["verdict"] for name, check in self.checks.items()}


class Checker:
    """Runs tee-health on a configuration of the test's own, by default the agent's. A mix-in for test cases."""

    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tee-test-"))
        self.folder.chmod(0o755)
        self.addCleanup(shutil.rmtree, self.folder)
        self.path = self.agent.socket

    def config(self, changes):
        path = self.folder / "tee.conf"
        path.write_text(libconfig(merged(self.agent.settings, changes)), encoding="utf-8")
        return path

    def file(self, name, content, mode=0o644):
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(mode)
        return str(path)

    def tee_health(self, *arguments, config=None, prefix=(), program=TEE_HEALTH, environment=None, stdout=None):
        command = [*prefix, program, "--config", config or self.agent.config, "--socket", self.path, *arguments]
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=stdout or subprocess.PIPE,
                              stderr=subprocess.PIPE, env=environment, text=True, timeout=patience(60), check=False)

    def report(self, *arguments, **how):
        done = self.tee_health("--json", *arguments, **how)
        self.assertEqual(done.stderr, "")
        return Report(json.loads(done.stdout), done.returncode)

    def see(self, name, verdict, in_seen="", in_remedy="", **how):
        """Runs one check, which must end so; what it has to say must be in both reports. Returns it."""
        report = self.report("--only", name, **how)
        check = report.checks[name]
        self.assertEqual(check["verdict"], verdict, check)
        self.assertIn(in_seen, check["seen"])
        self.assertEqual(report.status, {"pass": 0, "warn": 1, "fail": 2, "skip": 3}[verdict])
        if verdict in ("warn", "fail"):
            self.assertTrue(check["remedy"], check)
        if in_remedy:
            self.assertIn(in_remedy, check["remedy"])
        done = self.tee_health("--only", name, **how)
        self.assertEqual(done.returncode, report.status)
        self.assertIn(f"{verdict}  {name}  {check['seen']}\n", done.stdout)
        if check["remedy"]:
            self.assertIn(f"-> {check['remedy']}\n", done.stdout)
        return check

    def as_nobody(self, *groups):
        """The prefix of a command, and a program that nobody may run wherever the tree is."""
        program = self.folder / "tee-health"
        shutil.copy(TEE_HEALTH, program)
        membership = f"--groups={','.join(map(str, groups))}" if groups else "--clear-groups"
        return {"prefix": ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", membership], "program": program}

    def proxy(self, script=lambda method, target: PASS, name="docker.sock"):
        """Docker's socket, with a script between."""
        proxy = ScriptedDocker(self.folder / name, docker().path, script)
        self.addCleanup(proxy.close)
        return proxy

    def dead_socket(self, name):
        """One that is there, and nobody listens."""
        path = self.folder / name
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
            dead.bind(str(path))
        return str(path)

    def daemon_json(self, runtime):
        """A daemon.json with this registration of runsc (None: without one), and the configuration that names it."""
        document = json.loads(pathlib.Path(docker().daemon_json).read_text(encoding="utf-8"))
        document["runtimes"] = {"runsc": runtime} if runtime is not None else {}
        return self.config({"docker": {"daemon_json": self.file("daemon.json", json.dumps(document))}})
