# SPDX-License-Identifier: Apache-2.0
"""tee-bench: measures with a real Docker, says what is wrong, and leaves nothing behind."""

import json
import pathlib
import signal
import subprocess
import unittest
import xml.etree.ElementTree

import harness
from engine import docker
from harness import SANITIZER_REPORT, Agent
from places import TEE_BENCH, patience, wait_for

INSTANCE = "tee-bench"
METRICS = ("setup_ms", "run_ms", "memory_mb", "cpu_ms")


class TeeBench(unittest.TestCase):
    def setUp(self):
        self.agent = Agent("bench", {"runtimes": {"deno": harness.warm_deno()}})  # for its configuration
        self.addCleanup(self.agent.close)
        self.chart = pathlib.Path(self.agent.folder) / "chart.svg"

    def command(self, *arguments):
        return [TEE_BENCH, "--config", self.agent.config, *arguments]

    def bench(self, *arguments):
        done = subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=patience(60),
                              stdin=subprocess.DEVNULL)
        self.assertIsNone(SANITIZER_REPORT.search(done.stderr), done.stderr)
        self.assertEqual(docker().containers(INSTANCE), [])
        return done

    def assert_fails(self, done, status, *words):
        self.assertEqual((done.returncode, done.stdout), (status, ""), done)
        for word in words:
            self.assertIn(word, done.stderr)

    def test_measures_each_way_and_draws_it(self):
        done = self.bench("--runs", "2", "--json", "--svg", self.chart)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done)
        figures = json.loads(done.stdout)
        self.assertEqual((figures["runs"], figures["oci_runtime_with_gvisor"]), (2, "runsc"))
        for metric in METRICS:
            for way in ("without_gvisor", "with_gvisor", "warm"):
                values = figures[metric][way]["values"]
                self.assertEqual(len(values), 2)
                self.assertTrue(all(value > 0 for value in values), (metric, way, values))
                self.assertEqual(figures[metric][way]["p99"], max(values))
        self.assertEqual(xml.etree.ElementTree.parse(self.chart).getroot().tag, "{http://www.w3.org/2000/svg}svg")

    def test_table_of_a_runtime_that_cannot_wait_has_no_warm_column(self):
        self.agent.configure({})
        done = self.bench("--runs", "1")
        self.assertEqual((done.returncode, done.stderr), (0, ""), done)
        self.assertEqual(done.stdout.splitlines()[0].split(" | ")[-1].rstrip(" |"), "Difference")

    def test_wrong_use(self):
        self.assert_fails(self.bench("--runs", "0"), 64, "--runs", "'0'")
        self.assert_fails(self.bench("--runs", "1001"), 64, "--runs")
        self.assert_fails(self.bench("--runs", "2x"), 64, "'2x'")
        self.assert_fails(self.bench("--nonsense"), 64, "--help")
        self.assert_fails(self.bench("more"), 64, "'more'")
        self.assert_fails(self.bench("--runtime", "cobol"), 64, "cobol")
        self.assert_fails(self.bench("--config", "/does/not/exist"), 78, "/does/not/exist")
        self.assert_fails(self.bench("--svg", "/does/not/exist"), 1, "/does/not/exist")

    def test_what_cannot_be_measured_is_said_and_no_chart_is_left(self):
        for changes, words in (({"docker": {"socket": "/does/not/exist"}}, ["/does/not/exist"]),
                               ({"gvisor": {"oci_runtime": "nonesuch"}}, ["nonesuch"]),
                               ({"runtimes": {"deno": {"image": "tee-nothing"}}}, ["tee-nothing", "tee-install"]),
                               ({"runtimes": {"deno": {"command": ["/bin/nothing"]}}}, ["/bin/nothing"])):
            with self.subTest(changes=changes):
                self.agent.configure(changes)
                self.assert_fails(self.bench("--runs", "1", "--svg", self.chart), 1, *words)
                self.assertFalse(self.chart.exists())

    def test_a_runtime_that_only_claims_to_be_gvisor_is_not_measured(self):
        self.agent.configure({"gvisor": {"oci_runtime": "runc"}})
        self.assert_fails(self.bench("--runs", "1"), 1, "gVisor")

    def test_interrupted_it_removes_its_sandbox(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with subprocess.Popen(self.command("--runs", "100"), stdin=subprocess.DEVNULL) as process:
                wait_for("a sandbox of tee-bench", lambda: docker().running(INSTANCE))
                process.send_signal(number)
                self.assertEqual(process.wait(patience(30)), 130)
            self.assertEqual(docker().containers(INSTANCE), [])

    def test_what_a_killed_one_left_is_removed_by_the_next(self):
        with subprocess.Popen(self.command("--runs", "100"), stdin=subprocess.DEVNULL) as process:
            wait_for("a sandbox of tee-bench", lambda: docker().running(INSTANCE))
            process.kill()
        self.assertEqual(self.bench("--runs", "1").returncode, 0)
