# SPDX-License-Identifier: Apache-2.0
"""GET /metrics: what promtool takes without a word, and figures that are what was done."""

import json
import os
import pathlib
import re
import time

from api import OUTCOMES, UnixConnection, documented_codes
from engine import docker
from harness import Agent, AgentTestCase, warm_deno
from places import ROOT, wait_for
from prometheus import Scrape, promtool
from scripted_docker import PASS, STALL, ScriptedDocker, answer

FOR_EVER = "tail -f /dev/null"
TIMES = {"queue": "queue", "setup": "setup", "run": "run", "duration": "total"}  # name of the metric → of the result
GONE = {"gone": {"image": "tee-test-gone:latest", "entry": "main.sh", "command": ["/bin/busybox", "sh"]}}


def scrape(agent):
    answer = agent.get("/metrics")
    assert answer.status == 200, answer
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8", answer.headers
    return Scrape(answer.body.decode("utf-8"))


class MetricsTestCase(AgentTestCase):
    def scrape(self):
        return scrape(self.agent)

    def wait_value(self, value, name, **labels):
        wait_for(f"{name}{labels} {value}", lambda: self.scrape().value(name, **labels) == value, 20)


class Executions(MetricsTestCase):
    changes = {"agent": {"max_running": 1, "queue_length": 1}}

    def setUp(self):
        super().setUp()
        self.wait_value(0, "tee_sandboxes")  # the place is free

    def tearDown(self):
        self.assertEqual(self.scrape().total("tee_docker_errors_total"), 0)

    def outcomes(self, now, before):
        """What has been added, by outcome."""
        added = {one: now.since(before, "tee_executions_total", runtime="sh", outcome=one) for one in OUTCOMES}
        return {one: count for one, count in added.items() if count}

    def test_each_outcome_counts_once(self):
        before = self.scrape()
        ends = {"ok": {"code": "true"}, "error": {"code": "exit 3"}, "signal": {"code": "kill -SEGV $$"},
                "wall_limit": {"code": FOR_EVER, "limits": {"wall_ms": 3000}},  # as long as it may wait for its place
                "output_limit": {"code": "yes", "limits": {"output_kb": 1}},
                "cpu_limit": {"code": "while :; do :; done", "limits": {"cpu_ms": 1000, "wall_ms": 20000}}}
        for outcome, request in ends.items():
            self.assertEqual(self.agent.run("sh", **request)["status"], outcome)
        now = self.scrape()
        self.assertEqual(self.outcomes(now, before), dict.fromkeys(ends, 1))
        others = {one: one.total("tee_executions_total", runtime="deno") for one in (now, before)}
        self.assertEqual(others[now], others[before])

    def test_client_that_leaves_is_a_cancellation_without_times(self):
        before = self.scrape()
        connection = UnixConnection(self.agent.socket, 10)
        connection.request("POST", "/v1/executions", json.dumps({"runtime": "sh", "code": FOR_EVER}),
                           {"Content-Type": "application/json"})
        self.agent.wait_running()
        connection.close()
        self.wait_value(before.value("tee_executions_total", runtime="sh", outcome="cancelled") + 1,
                        "tee_executions_total", runtime="sh", outcome="cancelled")
        now = self.scrape()
        self.assertEqual(now.since(before, "tee_execution_duration_seconds_count", runtime="sh"), 0)
        self.assertEqual(self.outcomes(now, before), {"cancelled": 1})

    def test_histograms_have_the_times_of_the_results(self):
        before = self.scrape()
        results = [self.agent.run("sh", code) for code in ("true", "exit 1", "sleep 0.3", "sleep 1.2")]
        now = self.scrape()
        for name, of_result in TIMES.items():
            with self.subTest(name=name):
                metric = f"tee_execution_{name}_seconds"
                times = [result["timing"][f"{of_result}_ms"] / 1000 for result in results]
                self.assertEqual(now.types[metric], "histogram")
                self.assertEqual(now.since(before, f"{metric}_count", runtime="sh"), len(results))
                self.assertAlmostEqual(now.since(before, f"{metric}_sum", runtime="sh"), sum(times), places=4)
                bounds = sorted(now.labels(f"{metric}_bucket", "le"), key=float)
                counts = [now.since(before, f"{metric}_bucket", runtime="sh", le=bound) for bound in bounds]
                self.assertEqual(counts, sorted(counts))
                self.assertEqual(counts, [sum(one <= float(bound) for one in times) for bound in bounds], times)
                self.assertEqual(bounds[-1], "+Inf")
        self.assertAlmostEqual(now.since(before, "tee_execution_cpu_seconds_total", runtime="sh"),
                               sum(one["usage"]["cpu_ms"] for one in results) / 1000, places=4)

    def test_count_of_a_histogram_is_that_of_the_executions_with_a_result(self):
        self.agent.run("sh", "true")
        now = self.scrape()
        left = now.value("tee_executions_total", runtime="sh", outcome="cancelled")
        for name in TIMES:
            self.assertEqual(now.value(f"tee_execution_{name}_seconds_count", runtime="sh"),
                             now.total("tee_executions_total", runtime="sh") - left)

    def test_refusals_count_by_their_code(self):
        before = self.scrape()
        requests = {"unknown_runtime": {"runtime": "nobody", "code": ""}, "unknown_field": {"runtime": "sh", "cod": ""},
                    "missing_field": {"runtime": "sh"},
                    "out_of_range": {"runtime": "sh", "code": "", "limits": {"wall_ms": 0}}}
        for code, request in requests.items():
            self.assertEqual(self.agent.post(request).error["code"], code)
        self.assertEqual(self.agent.get("/nothing").status, 404)
        self.assertEqual(self.agent.request("DELETE", "/metrics").status, 405)
        now = self.scrape()
        added = {code: now.since(before, "tee_refusals_total", code=code)
                 for code in now.labels("tee_refusals_total", "code")}
        self.assertEqual({code: count for code, count in added.items() if count},
                         dict.fromkeys([*requests, "not_found", "method_not_allowed"], 1))

    def test_load_is_shown_and_what_is_too_much_is_refused(self):
        before = self.scrape()
        runs = self.agent.start_run("sh", FOR_EVER, limits={"wall_ms": 2000})
        self.agent.wait_running()
        waits = self.agent.start_run("sh", "true", limits={"wall_ms": 20000})
        self.wait_value(1, "tee_executions_queued")
        now = self.scrape()
        self.assertEqual((now.value("tee_executions_running"), now.value("tee_executions_running_max"),
                          now.value("tee_executions_queued_max")), (1, 1, 1))
        self.assertEqual(self.agent.post({"runtime": "sh", "code": "true"}).error["code"], "queue_full")
        self.assertEqual(self.scrape().since(before, "tee_refusals_total", code="queue_full"), 1)
        self.assertEqual((runs.result()["status"], waits.result()["status"]), ("wall_limit", "ok"))
        now = self.scrape()
        self.assertEqual((now.value("tee_executions_running"), now.value("tee_executions_queued")), (0, 0))
        self.assertGreater(now.since(before, "tee_execution_queue_seconds_sum", runtime="sh"),
                           waits.result()["timing"]["queue_ms"] / 1000 - 0.001)

    def test_totals_are_those_of_the_status(self):
        self.agent.run("sh", "true")
        self.agent.get("/nothing")
        status, now = self.agent.get("/v1/status").json["executions"], self.scrape()
        self.assertEqual(now.total("tee_executions_total"), status["ended"])
        self.assertEqual(now.total("tee_refusals_total"), status["refused"])
        self.assertGreater(min(status["ended"], status["refused"]), 0)

    def test_sandboxes_that_were_made_and_are_not_gone_are_those_that_are_there(self):
        before = self.scrape()
        self.assertEqual(before.value("tee_sandboxes_created_total"), before.value("tee_sandboxes_destroyed_total"))
        run = self.agent.start_run("sh", FOR_EVER, limits={"wall_ms": 1500})
        self.agent.wait_running()
        now = self.scrape()
        self.assertEqual((now.since(before, "tee_sandboxes_created_total"),
                          now.since(before, "tee_sandboxes_destroyed_total"), now.value("tee_sandboxes")), (1, 0, 1))
        run.result()
        self.agent.wait_idle()
        self.wait_value(now.value("tee_sandboxes_created_total"), "tee_sandboxes_destroyed_total")

    def test_names_and_values_of_labels_are_those_that_are_documented(self):
        now = self.scrape()
        self.assertEqual(now.labels("tee_executions_total", "outcome"), OUTCOMES)
        self.assertEqual(now.labels("tee_refusals_total", "code"), documented_codes() - {"checking"} | {"other"})
        self.assertEqual(now.labels("tee_executions_total", "runtime"), {"sh", "deno", "deno_all"})
        gate = now.labels("tee_gate_shut", "code")
        self.assertLessEqual(gate, documented_codes())
        sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "agent").glob("*.c"))
        objections = set(re.findall(r'\b(?:shut|object|objection_set)\([^";]*"([a-z_]+)"', sources))
        self.assertEqual(gate, objections)

    def test_nothing_that_a_client_sends_adds_a_series(self):
        size = len(self.scrape().samples)
        memory = self.agent.resident_kb()
        for number in range(300):
            evil = f'x"}} 1\nforged_{number}{{a="\\'
            self.assertEqual(self.agent.post({"runtime": evil, "code": ""}).status, 400)
            request = {"runtime": "sh", "code": "", "labels": {evil: evil}, evil: evil}
            self.assertEqual(self.agent.post(request).status, 400)
            self.assertEqual(self.agent.get(f"/metrics%22%0aforged_{number}").status, 404)
            self.assertEqual(self.agent.request(f"FORGED{number}", "/metrics").status, 405)
        result = self.agent.run("sh", "echo hello", labels={'"}\n': '\\"\n'}, env={"A": '"}\n'}, args=['"\n'])
        self.assertEqual(result["status"], "ok")
        now = self.scrape()
        self.assertEqual(len(now.samples), size)
        self.assertFalse([name for name in now.names() if not re.match("tee_|process_", name)])
        self.assertLess(self.agent.resident_kb(), memory + 8192)

    def test_only_get_and_head(self):
        answer = self.agent.request("HEAD", "/metrics")
        self.assertEqual((answer.status, answer.body), (200, b""))
        self.assertEqual(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
        self.assertGreater(int(answer.headers["content-length"]), 1000)
        for method in ("POST", "PUT", "DELETE"):
            answer = self.agent.request(method, "/metrics")
            self.assert_refusal(answer, 405, "method_not_allowed")
            self.assertEqual(answer.headers["allow"], "GET")

    def test_process_is_the_agents(self):
        now = self.scrape()
        proc = pathlib.Path(f"/proc/{self.agent.process.pid}")
        self.assertAlmostEqual(now.value("process_resident_memory_bytes") / 1024, self.agent.resident_kb(), delta=4096)
        self.assertAlmostEqual(now.value("process_open_fds"), len(list((proc / "fd").iterdir())), delta=3)
        limits = (proc / "limits").read_text(encoding="ascii")
        self.assertRegex(limits, rf"(?m)^Max open files +{now.value('process_max_fds'):.0f} ")
        ticks = sum(int(word) for word in (proc / "stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[11:13])
        self.assertAlmostEqual(now.value("process_cpu_seconds_total"), ticks / os.sysconf("SC_CLK_TCK"), delta=0.1)
        start = now.value("process_start_time_seconds")
        self.assertTrue(self.agent.config.stat().st_mtime - 1 < start < time.time(), start)
        self.assertEqual(now.since(self.scrape(), "process_start_time_seconds"), 0)

    def test_version_is_the_programs(self):
        version = self.agent.get("/v1/status").json["version"]
        self.assertEqual(self.scrape().value("tee_build_info", version=version), 1)


class PoolMetrics(MetricsTestCase):
    """Sandboxes that stand ready."""

    changes = {"agent": {"max_running": 2}, "runtimes": {"warm": warm_deno(warm=2, max=4, creating=1), **GONE}}

    def setUp(self):
        self.wait_value(2, "tee_pool_sandboxes", runtime="warm", state="ready")

    def test_gauges_are_those_of_the_status(self):
        now, runtimes = self.scrape(), self.agent.get("/v1/status").json["runtimes"]
        for name, runtime in runtimes.items():
            shown = {"ready": now.value("tee_pool_sandboxes", runtime=name, state="ready"),
                     "creating": now.value("tee_pool_sandboxes", runtime=name, state="creating"),
                     "warm": now.value("tee_pool_sandboxes_wanted", runtime=name),
                     "failures": now.value("tee_pool_failures", runtime=name)}
            self.assertEqual(shown, runtime["pool"], name)
            self.assertEqual(now.value("tee_runtime_available", runtime=name), runtime["available"], name)
        self.assertEqual(now.value("tee_runtime_available", runtime="gone"), 0)

    def test_those_that_stand_ready_are_there(self):
        now = wait_for("rest", self.at_rest)
        self.assertEqual(now.value("tee_sandboxes_created_total") - now.value("tee_sandboxes_destroyed_total"), 2)
        self.assertEqual(now.value("tee_sandboxes"), 2)
        self.assertEqual(len(docker().running(self.agent.instance)), 2)

    def at_rest(self):
        now = self.scrape()
        return now if now.value("tee_sandboxes") == 2 else None

    def test_runtime_without_its_image_is_refused_and_counted(self):
        before = self.scrape()
        self.assertEqual(self.agent.post({"runtime": "gone", "code": ""}).error["code"], "image_missing")
        self.assertEqual(self.scrape().since(before, "tee_refusals_total", code="image_missing"), 1)

    def test_warm_executions_count(self):
        before = self.scrape()
        self.assertTrue(self.agent.run("warm", "console.log(1)")["sandbox"]["warm"])
        self.assertFalse(self.agent.run("sh", "true")["sandbox"]["warm"])
        now = self.scrape()
        self.assertEqual(now.since(before, "tee_warm_executions_total", runtime="warm"), 1)
        self.assertEqual(now.since(before, "tee_warm_executions_total", runtime="sh"), 0)

    def test_a_reload_keeps_what_was_counted(self):
        self.agent.run("sh", "true")
        before = self.scrape()
        self.addCleanup(self.agent.reload)
        self.addCleanup(self.agent.configure, self.changes)
        self.agent.configure(self.changes)
        del self.agent.settings["runtimes"]["sh"]
        self.agent.settings["runtimes"]["later"] = self.agent.settings["runtimes"]["deno"]
        self.agent.write_config()
        self.agent.reload()
        now = self.scrape()
        self.assertEqual(now.since(before, "tee_executions_total", runtime="sh", outcome="ok"), 0)
        self.assertEqual(now.value("tee_executions_total", runtime="later", outcome="ok"), 0)
        self.assertEqual(now.labels("tee_runtime_available", "runtime"), set(self.agent.settings["runtimes"]))


class FailingPool(MetricsTestCase):
    broken = dict(warm_deno(warm=1, max=2, creating=1), warm_arguments=["--no-such-option"])
    changes = {"runtimes": {"broken": broken}}

    def setUp(self):
        pass  # it never has no container for long

    def test_it_shows(self):
        wait_for("two failures", lambda: self.scrape().value("tee_pool_failures", runtime="broken") >= 2, 30)
        self.assertEqual(self.scrape().value("tee_pool_sandboxes", runtime="broken", state="ready"), 0)


class Gate(MetricsTestCase):
    open = False

    @classmethod
    def setUpClass(cls):
        cls.agent = Agent("gatemetrics")
        cls.proxy = ScriptedDocker(cls.agent.socket_folder / "docker.sock", docker().path)
        cls.addClassCleanup(cls.proxy.close)
        cls.addClassCleanup(cls.agent.account)
        cls.changes = {"docker": {"socket": cls.proxy.path, "call_ms": 2000}}
        cls.agent.configure(cls.changes)
        cls.agent.start().wait_open()

    def assert_gate(self, state, code=None):
        now = self.scrape()
        self.assertEqual({one: now.value("tee_gate_state", state=one) for one in ("checking", "open", "shut")},
                         dict({"checking": 0, "open": 0, "shut": 0}, **{state: 1}))
        shut = {one for one in now.labels("tee_gate_shut", "code") if now.value("tee_gate_shut", code=one)}
        self.assertEqual(shut, {code} if code else set())
        return now

    def test_it_opens_and_shuts_with_its_reason(self):
        self.assert_gate("open")
        self.addCleanup(self.agent.wait_open)
        self.addCleanup(self.agent.reload)
        self.addCleanup(self.agent.configure, self.changes)
        self.agent.configure(dict(self.changes, gvisor={"oci_runtime": "none"}))
        self.agent.reload()
        self.agent.wait_gate("oci_runtime_missing")
        self.assert_gate("shut", "oci_runtime_missing")

    def test_errors_of_docker_count_by_their_kind(self):
        before = self.scrape()
        kinds = {"refused": answer(404, {}), "failed": answer(500, {}), "unanswered": STALL}
        self.addCleanup(self.agent.wait_open)
        self.addCleanup(self.agent.reload)
        self.addCleanup(self.proxy.set_script, lambda method, target: PASS)
        for kind, action in kinds.items():
            def seen(kind=kind):
                return self.scrape().since(before, "tee_docker_errors_total", kind=kind) > 0

            with self.subTest(kind=kind):
                self.proxy.set_script(lambda method, target, does=action: does if target.endswith("/info") else PASS)
                self.agent.reload()
                self.agent.wait_gate("docker_error")
                wait_for(f"an error: {kind}", seen, 20)
        self.assert_gate("shut", "docker_error")


class WithoutGvisor(MetricsTestCase):
    agent_environment = {"DISABLE_GVISOR": "true"}

    def test_it_shows_and_each_program_counts_when_it_is_begun(self):
        before = self.scrape()
        self.assertEqual(before.value("tee_gvisor_enabled"), 0)
        self.agent.run("sh", "true")
        run = self.agent.start_run("sh", FOR_EVER, limits={"wall_ms": 1000})
        self.agent.wait_running()
        self.assertEqual(self.scrape().since(before, "tee_executions_begun_without_gvisor_total"), 2)
        run.result()


class WithGvisor(MetricsTestCase):
    def test_it_shows_and_none_was_begun_without(self):
        self.agent.run("sh", "true")
        now = self.scrape()
        self.assertEqual(now.value("tee_gvisor_enabled"), 1)
        self.assertEqual(now.value("tee_executions_begun_without_gvisor_total"), 0)


class Promtool(AgentTestCase):
    """The judge of all these tests does judge."""

    def test_it_finds_what_is_wrong(self):
        text = self.agent.get("/metrics").body.decode("utf-8")
        for wrong in (text + "forged{ 1\n", text.replace("# HELP tee_build_info", "# NONE tee_build_info"),
                      text.replace("tee_refusals_total", "tee_refusals")):
            said, status = promtool("check", "metrics", text=wrong)
            self.assertTrue(said and status != 0, said)
