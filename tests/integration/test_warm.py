# SPDX-License-Identifier: Apache-2.0
"""A sandbox that stood ready: its program can't tell, its result is that of a plain run, and it is used once."""

import os
import shutil
import time

import harness
from harness import Background, docker
from places import wait_for
from programs import PROGRAMS
from warm import SideBySide, WarmTestCase


def warm_changes(**pool):
    return {"agent": {"max_running": 4}, "runtimes": {"warm": harness.warm_deno(**pool)}}


class DenoTestCase(WarmTestCase):
    changes = warm_changes(warm=2, max=8, creating=2)


class Deno(SideBySide, DenoTestCase):
    programs = PROGRAMS
    plain = "deno"


class Warm(DenoTestCase):
    def test_each_program_has_a_sandbox_of_its_own(self):
        code = "try { Deno.statSync('/tmp/mark'); console.log('used') } catch { console.log('fresh') }" \
               "Deno.writeTextFileSync('/tmp/mark', ''); console.log(crypto.randomUUID(), Math.random())"
        seen = [self.run_warm(code)["stdout"] for _ in range(3)]
        self.assertTrue(all(one.startswith("fresh\n") for one in seen), seen)
        self.assertEqual(len(set(seen)), 3)

    def test_one_that_was_taken_is_replaced(self):
        self.run_warm("console.log(1)")
        self.wait_ready(2)

    def test_the_time_of_waiting_is_not_the_programs(self):
        self.wait_ready(2)
        time.sleep(2.5)
        result = self.run_warm("import process from 'node:process'; console.log(performance.now() < 1500,"
                               "performance.measure('m').duration < 1500, process.uptime() < 1.5)")
        self.assertEqual(result["stdout"], "true true true\n")

    def test_clock_is_the_hosts(self):
        self.assertEqual(self.run_warm("console.log(Math.abs(Date.now() - Number(Deno.args[0])) < 60000)",
                                       args=[str(int(time.time() * 1000))])["stdout"], "true\n")

    def test_other_limits_than_those_it_was_made_with_take_a_fresh_one(self):
        self.wait_ready(2)
        for limits in ({"memory_mb": 200}, {"disk_mb": 10}):
            result = self.agent.run("warm", "console.log(1)", limits=limits)
            self.assertEqual((result["stdout"], result["sandbox"]["warm"]), ("1\n", False))

    def test_limits_of_the_program_hold(self):
        result = self.run_warm("for (;;);", limits={"cpu_ms": 1000, "wall_ms": 20000})
        self.assertEqual(result["status"], "cpu_limit", result)
        self.assertLess(result["usage"]["cpu_ms"], 4000)
        result = self.run_warm("for (;;);", limits={"wall_ms": 700})
        self.assertEqual(result["status"], "wall_limit", result)
        result = self.run_warm("for (;;) console.log('x'.repeat(1000))", limits={"output_kb": 10})
        self.assertEqual((result["status"], len(result["stdout"])), ("output_limit", 10240), result)
        result = self.run_warm("const all = []; for (;;) all.push(new Uint8Array(8 << 20).fill(1))")
        self.assertEqual(result["status"], "memory_limit", result)

    def test_waiting_costs_the_program_nothing(self):
        result = self.run_warm("console.log(1)")
        self.assertLess(result["usage"]["cpu_ms"], 150, result)

    def test_burst_larger_than_the_pool_is_served_to_the_last(self):
        self.wait_ready(2)
        calls = [Background(lambda: self.agent.run("warm", "console.log(1)")) for _ in range(6)]
        results = [call.result() for call in calls]
        self.assertEqual([result["stdout"] for result in results], ["1\n"] * 6)
        self.assertGreaterEqual(sum(result["sandbox"]["warm"] for result in results), 2)

    def test_one_that_dies_while_it_waits_is_replaced(self):
        self.wait_ready(2)
        before = {one["Id"] for one in docker().running(self.agent.instance)}
        docker().call("POST", f"/containers/{min(before)}/kill")
        wait_for("another one", lambda: {one["Id"] for one in docker().running(self.agent.instance)} - before, 30)
        self.wait_ready(2)
        self.assertIn("stood ready has failed", self.agent.log_text())
        self.assertEqual(self.pool()["failures"], 0)

    def test_one_that_has_ended_goes_though_another_program_still_runs(self):
        self.wait_ready(2)
        other = self.agent.start_run("sh", "tail -f /dev/null", limits={"wall_ms": 8000})
        container, = wait_for("the other's container", lambda: [
            one["Id"] for one in docker().running(self.agent.instance) if "busybox" in one["Command"]] or None)
        before = {one["Id"] for one in docker().containers(self.agent.instance)} - {container}
        # Threads of its own that never end are no reason to stay.
        spinning = "import { Worker } from 'node:worker_threads';" \
                   "new Worker('for (;;);', { eval: true }).unref(); console.log('end')"
        self.assertEqual(self.run_warm(spinning)["stdout"], "end\n")
        wait_for("its end", lambda: before - {one["Id"] for one in docker().containers(self.agent.instance)})
        self.assertTrue(docker().exists(container))
        self.assertEqual(other.result()["status"], "wall_limit")

    def test_streamed_run_is_warm_too(self):
        self.wait_ready(2)
        events = [event for _, event in self.agent.stream({"runtime": "warm", "code": "console.log(1)"})]
        self.assertTrue(events[0]["sandbox"]["warm"], events)
        self.assertEqual(events[-1]["result"]["status"], "ok")


class Comings(DenoTestCase):
    """What stands ready goes when its reason goes."""

    def setUp(self):
        super().setUp()
        self.addCleanup(self.restore)

    def restore(self):
        self.agent.configure(self.changes)
        self.agent.reload()

    def wait_containers(self, count, seconds=30):
        wait_for(f"{count} containers", lambda: len(docker().containers(self.agent.instance)) == count, seconds)

    def test_reload_without_a_pool_lets_them_go_and_with_one_brings_them_back(self):
        self.wait_ready(2)
        self.agent.configure(warm_changes(warm=0))
        self.agent.reload()
        self.wait_containers(0)
        self.agent.configure(self.changes)
        self.agent.reload()
        self.wait_ready(2)

    def test_idle_agent_lets_them_go_and_a_request_brings_them_back(self):
        self.agent.configure(warm_changes(warm=2, creating=2, idle_release_ms=4000))
        self.agent.reload()
        self.wait_ready(2)
        self.wait_containers(0)
        self.assertEqual(self.agent.run("warm", "console.log(1)")["stdout"], "1\n")
        self.wait_ready(2)

    def test_shut_gate_lets_them_go(self):
        self.wait_ready(2)
        self.agent.configure(dict(self.changes, gvisor={"oci_runtime": "no-such-runtime"}))
        self.agent.reload()
        self.wait_containers(0)
        self.agent.configure(self.changes)
        self.agent.reload()
        self.wait_ready(2)

    def container_ids(self):
        return {one["Id"] for one in docker().containers(self.agent.instance)}

    def test_another_image_replaces_them(self):
        name = "tee-test-warm"

        def take_out():
            self.restore()
            self.wait_ready(2)
            self.wait_containers(2)
            docker().untag(name)

        self.addCleanup(take_out)
        docker().tag(harness.IMAGE_DENO, name)
        self.agent.configure({"runtimes": {"warm": dict(harness.warm_deno(warm=2, creating=2), image=name)}})
        self.agent.reload()
        self.wait_ready(2)
        before = self.container_ids()
        container = docker().create(harness.IMAGE_DENO, {})
        image = docker().call("POST", f"/commit?container={container}&repo={name}&tag=latest", {}).json["Id"]
        docker().remove(container)
        wait_for("others", lambda: self.pool()["ready"] == 2 and not before & self.container_ids(), 30)
        self.assertEqual({docker().inspect(one)["Image"] for one in self.container_ids()}, {image})
        self.run_warm("console.log(1)")

    def test_another_binary_of_the_oci_runtime_replaces_them(self):
        runsc = docker().oci_runtimes()["runsc"]
        copy = self.agent.folder / "runsc"

        def put():
            shutil.copy2(shutil.which(runsc["path"]), f"{copy}.new")
            os.rename(f"{copy}.new", copy)

        def take_out():
            self.restore()
            self.wait_ready(2)
            docker().register("tee-copy", None)
            docker().reload()

        put()
        self.addCleanup(take_out)
        docker().register("tee-copy", dict(runsc, path=str(copy)))
        docker().reload()
        wait_for("the OCI runtime tee-copy", lambda: "tee-copy" in docker().oci_runtimes())
        self.agent.configure(dict(self.changes, gvisor={"oci_runtime": "tee-copy"}))
        self.agent.reload()
        self.wait_ready(2)
        before = self.container_ids()
        put()
        result = self.agent.run("warm", "console.log(1)")
        self.assertEqual((result["stdout"], result["sandbox"]["warm"]), ("1\n", False))
        wait_for("others", lambda: self.pool()["ready"] == 2 and not before & self.container_ids(), 30)

        # Nobody asks for a sandbox, but a check comes by: it must not take the new one for what it has always known.
        before = self.container_ids()
        put()
        docker().reload()
        wait_for("others", lambda: self.pool()["ready"] == 2 and not before & self.container_ids(), 30)

    def test_adapter_that_is_not_there_makes_the_pool_fail_and_the_runtime_work(self):
        broken = dict(harness.warm_deno(warm=1), warm_arguments=["--preload=/no/such/adapter.ts"])
        self.agent.configure({"runtimes": {"warm": broken}})
        self.agent.reload()
        wait_for("failures", lambda: self.pool()["failures"] >= 2, 30)
        self.assertEqual(self.agent.get("/healthz").json["failing_pools"], ["warm"])
        result = self.agent.run("warm", "console.log(1)")
        self.assertEqual((result["stdout"], result["sandbox"]["warm"]), ("1\n", False))
        self.assertIn("/no/such/adapter.ts", self.agent.log_text())


class NoEnvironment(WarmTestCase):
    """A command that keeps the environment from its programs."""

    @classmethod
    def setUpClass(cls):
        runtime = harness.warm_deno(warm=2)
        command = [word for word in runtime["command"] if word != "--allow-env"]
        cls.changes = {"runtimes": {"warm": dict(runtime, command=command)}}
        super().setUpClass()

    def test_request_with_variables_runs_as_if_nothing_had_been_warm(self):
        code = "console.log('ran', (await Deno.permissions.query({ name: 'env' })).state)"
        self.assertEqual(self.run_warm(code, env={"A": "1"})["stdout"], "ran prompt\n")


class Forgery(WarmTestCase):
    """A program that may do everything in its sandbox speaks in its adapter's name."""

    @classmethod
    def setUpClass(cls):
        runtime = harness.warm_deno(warm=2)
        command = [word for word in runtime["command"] if not word.startswith("--allow-")] + ["--allow-all"]
        cls.changes = {"runtimes": {"warm": dict(runtime, command=command)}}
        super().setUpClass()

    def say(self, words):
        return ("console.log('before'); for (const e of Deno.readDirSync('/proc/self/fd')) try {"
                "if (Deno.statSync('/proc/self/fd/' + e.name).isFifo && Number(e.name) > 2)"
                f"Deno.writeFileSync('/proc/self/fd/' + e.name, new Uint8Array({list(words)})) }} catch {{}};")

    def test_its_own_end_is_all_that_it_can_say(self):
        result = self.run_warm(self.say(b"E\7") + "for (;;);", limits={"wall_ms": 3000})
        self.assertIn((result["status"], result["exit_code"]), (("error", 7), ("wall_limit", None)), result)
        self.assertTrue(result["stdout"].startswith("before\n"), result)

    def test_being_begun_again_gives_it_no_more_time(self):
        code = "const t = Date.now(); while (Date.now() - t < 2800); " + self.say(b"C") + "for (;;);"
        result = self.run_warm(code, limits={"wall_ms": 3000, "cpu_ms": 60000})
        self.assertEqual(result["status"], "wall_limit", result)
        self.assertNotIn("did not answer", result["evidence"])
        self.assertGreaterEqual(result["timing"]["run_ms"], 3000)
        self.assertGreater(result["usage"]["cpu_ms"], 2000, "what it used before counts")

    def test_words_that_are_none_change_nothing(self):
        result = self.run_warm(self.say(b"nonsense" * 100) + "console.log('after')")
        self.assertEqual((result["status"], result["stdout"][:7], result["stdout"][-6:]), ("ok", "before\n", "after\n"))
