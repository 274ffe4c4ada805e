# SPDX-License-Identifier: Apache-2.0
"""The README's commands, as a new user types them: in an environment of their own (build/make), so that they meet
nothing else."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from api import http_request
from places import BUILD, ROOT, is_sanitized, patience

ENVIRONMENT = ROOT / "build" / "make"
KERNEL_LINE = re.compile(r"^ok: kernel .*; gVisor \(OCI runtime runsc\); program \d+ ms, with its sandbox \d+ ms$")


def make(*words):
    """A make of its own: what a make round this one has set would change what it does."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "BUILD"))}
    environment.update(TEE_DEV_DIR=str(ENVIRONMENT))
    variant = ["SANITIZE=1"] if is_sanitized() else []
    return subprocess.run(["make", *words, *variant], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=patience(300), check=False)


def processes():
    """Command lines that name the environment's folder."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
        except OSError:
            continue
        if str(ENVIRONMENT).encode() + b"/" in line:
            found.append(line.replace(b"\0", b" ").decode(errors="replace"))
    return found


class Make(unittest.TestCase):
    def succeed(self, *words):
        done = make(*words)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done

    def setUp(self):
        self.addCleanup(shutil.rmtree, ENVIRONMENT, ignore_errors=True)
        self.addCleanup(make, "down")

    def assert_hello(self, done):
        lines = done.stdout.splitlines()
        self.assertTrue(any(line.startswith("Hello") for line in lines), done.stdout)
        self.assertRegex(lines[-1], KERNEL_LINE)
        self.assertEqual(processes(), [])

    def test_run_shows_hello_and_the_kernel_and_leaves_nothing(self):
        first = self.succeed("run")
        self.assert_hello(first)
        again = self.succeed("run")
        self.assert_hello(again)
        self.assertIn("is up to date", again.stderr)
        for line in ("fetching", "packages", "cc ", "link "):
            self.assertNotIn(f"  {line}", again.stderr + again.stdout)

    def test_up_ends_with_the_socket_that_answers_and_down_ends_it(self):
        up = self.succeed("up")
        path = up.stdout.splitlines()[-1]
        answer = http_request(path, "POST", "/v1/executions",
                              json.dumps({"runtime": "deno", "code": "console.log(1+1)"}),
                              {"Content-Type": "application/json"})
        self.assertEqual((answer.status, answer.json["stdout"], answer.json["sandbox"]["gvisor"]), (200, "2\n", True))
        self.assertEqual(self.succeed("up").stdout.splitlines()[-1], path)
        self.succeed("down")
        self.assertFalse(pathlib.Path(path).exists())
        self.assertEqual(processes(), [])
        self.succeed("down")

    def test_program_that_cannot_be_read_is_named_and_nothing_is_left(self):
        environment = dict(os.environ, TEE_DEV_DIR=str(ENVIRONMENT), BUILD=str(BUILD))
        done = subprocess.run([ROOT / "tests" / "dev" / "run", "no-such-file.ts"], env=environment, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=patience(120), check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("no-such-file.ts", done.stderr)
        self.assertEqual(processes(), [])

    def test_deno_that_is_not_the_pinned_one_is_not_taken(self):
        with tempfile.TemporaryDirectory() as folder:
            fake = pathlib.Path(folder) / "npm"
            package = pathlib.Path(folder) / "package"
            package.mkdir()
            (package / "deno").write_text("#!/bin/sh\necho 'deno 2.9.5 (forged)'\n", encoding="ascii")
            subprocess.run(["tar", "-C", folder, "-czf", f"{folder}/made", "package"], check=True)
            fake.write_text(f"#!/bin/sh\ncp '{folder}/made' ./forged.tgz\n", encoding="ascii")
            fake.chmod(0o755)
            scripts = pathlib.Path(folder) / "tests" / "dev"
            shutil.copytree(ROOT / "tests" / "dev", scripts)
            path = f"{folder}:/usr/bin:/bin"
            done = subprocess.run([scripts / "deno"], env={"PATH": path}, text=True, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("its digest is another", done.stderr)
            self.assertEqual(done.stdout, "")
            self.assertEqual(list((pathlib.Path(folder) / "build" / "cache").rglob("deno")), [])

    def test_install_and_uninstall(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            where = (f"DESTDIR={folder}", "PREFIX=/usr")
            self.succeed("install", *where)
            for name in ("usr/sbin/tee-agent", "usr/sbin/tee-install", "usr/bin/tee-run", "usr/bin/tee-bench",
                         "usr/bin/tee-health", "usr/share/man/man1/tee-health.1",
                         "usr/lib/tee/tee-guest", "usr/lib/systemd/system/tee-agent.socket", "etc/tee/tee.conf",
                         "usr/lib/systemd/catalog/tee-agent.catalog", "usr/share/man/man1/tee-run.1",
                         "usr/share/man/man5/tee.conf.5", "usr/share/man/man8/tee-install.8",
                         "usr/share/bash-completion/completions/tee-install"):
                self.assertTrue((root / name).exists(), name)
            unit = (root / "usr/lib/systemd/system/tee-agent.service").read_text(encoding="utf-8")
            self.assertIn("ExecStart=/usr/sbin/tee-agent --config /etc/tee/tee.conf", unit)
            self.assertNotIn("@", "".join(line for line in unit.splitlines() if line.startswith("Exec")))
            (root / "etc/tee/tee.conf").write_text("agent = { };\n", encoding="utf-8")
            self.succeed("install", *where)
            self.assertEqual((root / "etc/tee/tee.conf").read_text(encoding="utf-8"), "agent = { };\n")
            self.succeed("uninstall", *where)
            left = sorted(str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir())
            self.assertEqual(left, ["etc/tee/tee.conf"])
