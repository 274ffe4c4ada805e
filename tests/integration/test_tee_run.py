# SPDX-License-Identifier: Apache-2.0
"""tee-run: a file runs from the shell, with the habits of timeout(1) and docker run."""

import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import tempfile
import time

from api import check_result
from harness import AgentTestCase
from places import TEE_RUN, patience


class Client:
    """Runs tee-run on files of its own folder. A mix-in for test cases."""

    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tee-test-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def file(self, name, text):
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def environment(self):
        return dict(os.environ, TEE_SOCKET=str(self.agent.socket))

    def tee_run(self, *arguments, stdin="", environment=None):
        return subprocess.run([TEE_RUN, *arguments], input=stdin.encode(), capture_output=True,
                              env=environment or self.environment(), timeout=patience(30))

    def assert_run(self, done, code, stdout=None, stderr=None):
        self.assertEqual(done.returncode, code, done)
        if stdout is not None:
            self.assertEqual(done.stdout.decode(), stdout)
        if stderr is not None:
            self.assertEqual(done.stderr.decode(), stderr)

    def assert_refused(self, done, *words):
        """125, nothing on stdout, and the reason on stderr."""
        self.assertEqual((done.returncode, done.stdout), (125, b""), done)
        for word in words:
            self.assertIn(word, done.stderr.decode())


class TeeRun(Client, AgentTestCase):
    def test_output_and_nothing_else_is_printed(self):
        hello = self.file("hello.ts", "console.log('hello'); console.error('aside')")
        self.assert_run(self.tee_run(hello), 0, "hello\n", "aside\n")

    def test_exit_code_is_the_programs(self):
        self.assert_run(self.tee_run("--runtime", "sh", self.file("a.sh", "echo x; exit 42")), 42, "x\n", "")

    def test_binary_output_arrives_whole(self):
        done = self.tee_run("--runtime", "sh", self.file("a.sh", r"printf 'a\000\377b\303'"))
        self.assertEqual((done.returncode, done.stdout), (0, b"a\0\xffb\xc3"))

    def test_output_arrives_while_the_program_runs(self):
        code = "console.log('first'); await new Promise((done) => setTimeout(done, 4000)); console.log('second')"
        with subprocess.Popen([TEE_RUN, self.file("a.ts", code)], env=self.environment(), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            self.addCleanup(process.kill)
            self.assertTrue(select.select([process.stdout], [], [], patience(20))[0])
            self.assertEqual(os.read(process.stdout.fileno(), 100), b"first\n")
            self.assertIsNone(process.poll())
            self.assertEqual(process.communicate(timeout=patience(20)), (b"second\n", b""))
            self.assertEqual(process.returncode, 0)

    def test_wall_limit_is_124(self):
        done = self.tee_run("--timeout", "500ms", "--runtime", "sh", self.file("a.sh", "echo x; tail -f /dev/null"))
        self.assert_run(done, 124, "x\n")
        self.assertIn("wall", done.stderr.decode())

    def test_timeout_takes_units(self):
        script = self.file("a.sh", "tail -f /dev/null")
        for text in ("1s", "1000ms"):
            with self.subTest(text=text):
                begun = time.monotonic()
                self.assert_run(self.tee_run("--timeout", text, "--runtime", "sh", script), 124)
                self.assertLess(time.monotonic() - begun, patience(8))

    def test_signal_is_128_and_its_number(self):
        done = self.tee_run("--runtime", "sh", self.file("a.sh", "kill -SEGV $$"))
        self.assert_run(done, 128 + signal.SIGSEGV, "")
        self.assertIn("SIGSEGV", done.stderr.decode())

    def test_arguments_after_two_dashes_are_the_programs(self):
        script = self.file("a.ts", "console.log(JSON.stringify(Deno.args))")
        done = self.tee_run(script, "--", "a", "--timeout", "", "ü")
        self.assertEqual(json.loads(done.stdout), ["a", "--timeout", "", "ü"])

    def test_everything_after_the_file_is_the_programs(self):
        script = self.file("a.ts", "console.log(JSON.stringify(Deno.args))")
        done = self.tee_run(script, "a", "--timeout", "x")
        self.assertEqual(json.loads(done.stdout), ["a", "--timeout", "x"])

    def test_environment(self):
        script = self.file("a.sh", 'echo "$A|$B|$C"')
        done = self.tee_run("--runtime", "sh", "--env", "A=1", "--env", "B=x=y z", "--env", "C=", script)
        self.assert_run(done, 0, "1|x=y z|\n")

    def test_stdin_from_a_file(self):
        data = self.file("data", "line 1\nline 2\n")
        self.assert_run(self.tee_run("--runtime", "sh", "--stdin", data, self.file("a.sh", "cat")), 0,
                        "line 1\nline 2\n")

    def test_program_from_stdin(self):
        self.assert_run(self.tee_run("-", stdin="console.log('from stdin')"), 0, "from stdin\n")

    def test_memory_arrives_however_it_is_spelled(self):
        script = self.file("a.sh", "head -n 1 /proc/meminfo | tr -s ' '")
        for text, megabytes in (("64M", 64), ("64m", 64), ("1G", 1024), ("1g", 1024), ("65536K", 64), ("65537k", 65),
                                (str(96 << 20), 96)):
            with self.subTest(text=text):
                self.assert_run(self.tee_run("--runtime", "sh", "--memory", text, script), 0,
                                f"MemTotal: {megabytes * 1024} kB\n", "")

    def test_memory_that_is_no_size_is_refused(self):
        script = self.file("a.sh", "true")
        for text in ("128MB", "128MiB", "128 M", "1.5G", "-64M", "M", "0", "99999999999G"):
            with self.subTest(text=text):
                self.assert_refused(self.tee_run("--runtime", "sh", "--memory", text, script),
                                    f"--memory needs a size such as 128M or 1G, not '{text}'")

    def test_json_prints_the_result(self):
        done = self.tee_run("--json", "--runtime", "sh", self.file("a.sh", "echo x; exit 3"))
        result = json.loads(done.stdout)
        check_result(result)
        self.assertEqual((result["status"], result["exit_code"], result["stdout"]), ("error", 3, "x\n"))
        self.assertEqual(done.returncode, 3)

    def test_refusal_is_125_with_its_reason(self):
        self.assert_refused(self.tee_run("--runtime", "cobol", self.file("a.sh", "")), "cobol")

    def test_limit_above_its_maximum_is_refused_by_the_agent(self):
        self.assert_refused(self.tee_run("--timeout", "100000s", self.file("a.ts", "")), "limits.wall_ms", "300000")

    def test_wrong_options(self):
        script = self.file("a.sh", "true")
        for arguments in (["--timout", "5s", script], ["--timeout", "soon", script], ["--timeout", "-1", script],
                          ["--memory", "lots", script], ["--memory", "", script], ["--env", "NOVALUE", script],
                          ["--env", "=x", script], ["--timeout"], []):
            with self.subTest(arguments=arguments):
                done = self.tee_run(*arguments)
                self.assertEqual((done.returncode, done.stdout), (125, b""), done)
                self.assertTrue(done.stderr)

    def test_help_and_version(self):
        for option in ("--help", "--version"):
            done = self.tee_run(option)
            self.assertEqual((done.returncode, done.stderr), (0, b""))
            self.assertIn(b"tee-run", done.stdout)

    def test_missing_file(self):
        path = self.folder / "missing.ts"
        self.assert_refused(self.tee_run(path), str(path), "No such file or directory")

    def test_missing_stdin_file(self):
        path = self.folder / "missing"
        self.assert_refused(self.tee_run("--stdin", path, self.file("a.ts", "")), str(path))

    def test_folder_for_a_file(self):
        self.assert_refused(self.tee_run(self.folder), str(self.folder))

    def test_file_that_is_too_large(self):
        self.assert_refused(self.tee_run(self.file("a.ts", "//" + "x" * 2_000_000)), "body_too_large", "1048576")

    def test_socket_option_goes_before_the_environment(self):
        environment = dict(self.environment(), TEE_SOCKET="/nonexistent/agent.sock")
        done = self.tee_run("--socket", self.agent.socket, self.file("a.ts", "console.log(1)"),
                            environment=environment)
        self.assert_run(done, 0, "1\n")

    def test_agent_that_is_not_there(self):
        environment = dict(self.environment(), TEE_SOCKET="/nonexistent/agent.sock")
        done = self.tee_run(self.file("a.ts", ""), environment=environment)
        self.assert_refused(done, "/nonexistent/agent.sock")

    def test_signals_end_the_sandbox(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number=number):
                script = self.file("a.sh", "echo begun; tail -f /dev/null")
                process = subprocess.Popen([TEE_RUN, "--timeout", "60s", "--runtime", "sh", script],
                                           env=self.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                           stderr=subprocess.DEVNULL)
                self.addCleanup(process.stdout.close)
                self.addCleanup(process.kill)
                self.agent.wait_running()
                process.send_signal(number)
                self.assertIn(process.wait(patience(10)), (-number, 128 + number))
                self.agent.wait_no_sandbox()

    def test_closed_stdout_ends_the_sandbox(self):
        process = subprocess.Popen([TEE_RUN, "--timeout", "60s", "--runtime", "sh",
                                    self.file("a.sh", "while :; do echo x; done")],
                                   env=self.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL)
        self.addCleanup(process.kill)
        process.stdout.read(2)
        process.stdout.close()
        self.assertNotEqual(process.wait(patience(20)), 0)
        self.agent.wait_no_sandbox()

    def test_nothing_is_said_of_gvisor_when_it_is_there(self):
        done = self.tee_run("--runtime", "sh", self.file("a.sh", "true"))
        self.assertEqual(done.stderr, b"")

    def test_memory_limit_is_137(self):
        code = "const all = []; for (;;) all.push(new Uint8Array(8 << 20).fill(1))"
        done = self.tee_run("--memory", "128M", self.file("a.ts", code))
        self.assertEqual(done.returncode, 137, done)


class TeeRunWithoutGvisor(Client, AgentTestCase):
    agent_environment = {"DISABLE_GVISOR": "true"}

    def test_says_on_stderr_that_it_was_not_gvisor(self):
        done = self.tee_run("--runtime", "sh", self.file("a.sh", "echo x"))
        self.assert_run(done, 0, "x\n")
        self.assertRegex(done.stderr.decode(), "(?i)gvisor")
