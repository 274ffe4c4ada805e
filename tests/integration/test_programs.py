# SPDX-License-Identifier: Apache-2.0
"""Programs that misbehave: each gets the outcome that is true, with what it printed up to then."""

import time

from api import as_base64, as_bytes
from harness import AgentTestCase
from places import patience

TICK = "0123456789abcdef" * 4 + "\n"  # 65 bytes, so that no limit falls on a line's end


class Programs(AgentTestCase):
    changes = {"http": {"body_kb": 4096}}

    def assert_outcome(self, result, status, exit_code=None, signal=None):
        self.assertEqual((result["status"], result["exit_code"], result["signal"]), (status, exit_code, signal), result)

    def assert_limit(self, result, status, figure):
        """A limit's outcome names the figure and shows what was seen."""
        self.assertEqual((result["status"], result["exit_code"]), (status, None), result)
        self.assertIn(figure, result["cause"])
        self.assertTrue(result["evidence"], result)

    def test_prints_nothing(self):
        result = self.agent.run("deno", "")
        self.assert_outcome(result, "ok", 0)
        self.assertEqual((result["stdout"], result["stderr"], result["stdout_bytes"]), ("", "", 0))

    def test_prints_100_mb(self):
        result = self.agent.run("sh", f"yes '{TICK.strip()}' | head -c 104857600", limits={"output_kb": 100})
        self.assert_limit(result, "output_limit", "output_kb")
        self.assertEqual(result["stdout"], (TICK * 1600)[:100 * 1024])
        self.assertIs(result["stdout_truncated"], True)
        self.assertIs(result["stderr_truncated"], False)
        self.assertGreater(result["stdout_bytes"], 100 * 1024)
        self.assertLess(result["stdout_bytes"], 104857600)

    def test_prints_too_much_on_both(self):
        result = self.agent.run("sh", "yes e >&2 & yes o", limits={"output_kb": 10})
        self.assert_limit(result, "output_limit", "output_kb")
        self.assertEqual(len(as_bytes(result["stdout"])) + len(as_bytes(result["stderr"])), 10 * 1024)

    def test_prints_exactly_its_limit(self):
        result = self.agent.run("sh", "yes | head -c 10240", limits={"output_kb": 10})
        self.assert_outcome(result, "ok", 0)
        self.assertEqual((result["stdout_bytes"], result["stdout_truncated"]), (10240, False))

    def test_prints_as_much_as_can_be_asked_for(self):
        result = self.agent.run("sh", "yes | head -c 16777216", limits={"output_kb": 16384})
        self.assert_outcome(result, "ok", 0)
        self.assertTrue(result["stdout"] == "y\n" * (8 * 1024 * 1024))

    def test_prints_binary(self):
        result = self.agent.run("sh", "head -c 100000 /dev/zero | tr '\\000' '\\377'")
        self.assert_outcome(result, "ok", 0)
        self.assertEqual(as_bytes(result["stdout"]), b"\xff" * 100000)

    def test_exits_3(self):
        self.assert_outcome(self.agent.run("deno", "console.log('x'); Deno.exit(3)"), "error", 3)

    def test_exits_255(self):
        self.assert_outcome(self.agent.run("sh", "exit 255"), "error", 255)

    def test_throws(self):
        result = self.agent.run("deno", "console.log('before'); throw new Error('mine')")
        self.assert_outcome(result, "error", 1)
        self.assertEqual(result["stdout"], "before\n")
        self.assertIn("mine", result["stderr"])

    def test_is_killed_by_a_signal(self):
        result = self.agent.run("sh", "echo before; kill -SEGV $$")
        self.assert_outcome(result, "signal", signal="SIGSEGV")
        self.assertEqual(result["stdout"], "before\n")

    def test_kills_itself_with_sigkill(self):
        self.assert_outcome(self.agent.run("sh", "kill -9 $$"), "signal", signal="SIGKILL")

    def test_loops_for_ever(self):
        result = self.agent.run("deno", "console.log('before'); for (;;);", limits={"wall_ms": 1000})
        self.assert_limit(result, "wall_limit", "wall_ms")
        self.assertEqual(result["stdout"], "before\n")
        self.assertGreaterEqual(result["timing"]["run_ms"], 1000)
        self.assertLess(result["timing"]["run_ms"], patience(2000))

    def test_time_that_its_files_take_is_not_the_programs(self):
        """It begins when they lie there, some hundred milliseconds after they were sent."""
        files = {"main.sh": "echo before; while :; do :; done"} | {f"{i}/a/b/c/d/e/f/g/h/file": "x" * 1500 for i in range(250)}
        result = self.agent.post({"runtime": "sh", "files": files, "entry": "main.sh",
                                  "limits": {"wall_ms": 500}}, timeout=60).json
        self.assert_limit(result, "wall_limit", "wall_ms")
        self.assertEqual(result["stdout"], "before\n")
        self.assertGreaterEqual(result["timing"]["run_ms"], 500)

    def test_loops_for_ever_under_a_cpu_limit(self):
        result = self.agent.run("deno", "console.log('before'); for (;;);", limits={"cpu_ms": 1000, "wall_ms": 20000})
        self.assert_limit(result, "cpu_limit", "cpu_ms")
        self.assertEqual(result["stdout"], "before\n")
        self.assertLess(result["timing"]["run_ms"], patience(6000))

    def test_sleeps_for_ever(self):
        code = "console.log('before'); setTimeout(() => {}, 2 ** 30);"
        result = self.agent.run("deno", code, limits={"wall_ms": 500})
        self.assert_limit(result, "wall_limit", "wall_ms")
        self.assertEqual(result["stdout"], "before\n")
        self.assertLess(result["timing"]["run_ms"], patience(1500))

    def test_ignores_every_signal_that_can_be_ignored(self):
        result = self.agent.run("sh", "trap '' TERM INT HUP QUIT XCPU; while :; do :; done", limits={"wall_ms": 500})
        self.assert_limit(result, "wall_limit", "wall_ms")

    def test_ignores_sigxcpu(self):
        limits = {"cpu_ms": 1000, "wall_ms": 15000}
        result = self.agent.run("sh", "trap '' XCPU; while :; do :; done", limits=limits)
        self.assert_limit(result, "cpu_limit", "cpu_ms")

    def test_promise_that_never_settles_ends(self):
        result = self.agent.run("deno", "console.log('before'); await new Promise(() => {});")
        self.assertEqual((result["status"], result["stdout"]), ("error", "before\n"), result)

    def test_closes_its_stdout_and_goes_on(self):
        result = self.agent.run("sh", "echo out; exec >&-; echo err >&2; exit 4")
        self.assert_outcome(result, "error", 4)
        self.assertEqual((result["stdout"], result["stderr"]), ("out\n", "err\n"))

    def test_closes_all_it_has_and_goes_on(self):
        result = self.agent.run("sh", "exec <&- >&- 2>&-; exit 5")
        self.assert_outcome(result, "error", 5)

    def test_child_that_outlives_it_is_ended_and_does_not_delay_the_answer(self):
        begun = time.monotonic()
        result = self.agent.run("sh", "tail -f /dev/null & echo $!", limits={"wall_ms": 30000})
        self.assert_outcome(result, "ok", 0)
        self.assertLess(time.monotonic() - begun, patience(10))
        self.agent.wait_no_sandbox()

    def test_child_in_a_session_of_its_own_is_ended_too(self):
        result = self.agent.run("sh", "setsid sh -c 'trap \"\" HUP TERM; while :; do :; done' & exit 6")
        self.assert_outcome(result, "error", 6)
        self.agent.wait_no_sandbox()

    def test_child_that_goes_on_printing_cannot_print_after_the_end(self):
        """It is ended with the program, and what it had printed by then is passed on."""
        code = "mkfifo p; (echo child; echo > p; yes child) & read line < p; exit 7"
        result = self.agent.run("sh", code, limits={"wall_ms": 10000, "output_kb": 16384})
        if result["status"] != "output_limit":
            self.assert_outcome(result, "error", 7)
        self.assertTrue(result["stdout"].startswith("child\n"), result["stdout"][:100])
        self.assertEqual(set(result["stdout"][:result["stdout"].rfind("\n")].split("\n")), {"child"})

    def test_fork_bomb_hits_its_limit_and_the_program_goes_on(self):
        """The shell gives up when it cannot fork; what it does at its exit is the program that goes on."""
        code = ("trap 'kill $!; wait $!; /bin/busybox echo last words after $i' EXIT\n"
                "i=0; while [ $i -lt 200 ]; do tail -f /dev/null & i=$((i+1)); done; echo no limit")
        result = self.agent.run("sh", code, limits={"processes": 20, "wall_ms": 10000})
        self.assert_outcome(result, "error", 2)
        self.assertIn("fork: Resource temporarily unavailable", result["stderr"])
        self.assertRegex(result["stdout"], r"\Alast words after (19|20)\n\Z")  # gVisor allows one more than Linux

    def test_fills_its_disk_and_sees_it(self):
        code = "head -c 33554432 /dev/zero > /work/big && echo fits; echo after"
        result = self.agent.run("sh", code, limits={"disk_mb": 4, "memory_mb": 256})
        self.assertEqual((result["status"], result["stdout"]), ("ok", "after\n"), result)
        self.assertRegex(result["stderr"], "(?i)no space|too large|I/O error")

    def test_file_one_byte_larger_than_the_disk_ends_it(self):
        code = "echo before; exec dd if=/dev/zero of=/work/big bs=1 count=1 seek=4194304"
        result = self.agent.run("sh", code, limits={"disk_mb": 4})
        self.assert_limit(result, "disk_limit", "disk_mb")
        self.assertIn("SIGXFSZ", result["evidence"])
        self.assertEqual(result["stdout"], "before\n")

    def test_file_exactly_as_large_as_the_disk_does_not(self):
        code = "dd if=/dev/zero of=/work/sparse bs=1 count=1 seek=4194303 2>/dev/null; stat -c %s /work/sparse"
        result = self.agent.run("sh", code, limits={"disk_mb": 4})
        self.assertEqual((result["status"], result["stdout"]), ("ok", "4194304\n"), result)

    def test_disk_limit_holds_for_tmp_too(self):
        code = "head -c 33554432 /dev/zero > /tmp/big && echo fits; echo after"
        result = self.agent.run("sh", code, limits={"disk_mb": 4})
        self.assertEqual((result["status"], result["stdout"]), ("ok", "after\n"), result)

    def test_files_larger_than_the_disk(self):
        files = {"main.sh": "echo ran", "big": as_base64(bytes(1_500_000))}
        result = self.agent.run("sh", files=files, entry="main.sh", limits={"disk_mb": 1})
        self.assert_limit(result, "disk_limit", "disk_mb")
        self.assertEqual(result["stdout"], "", "the program must not have run")

    def test_eats_all_memory(self):
        self.assert_eats("const all = []; for (;;) all.push(new Uint8Array(8 << 20).fill(1))")

    def test_eats_all_of_the_heap(self):
        self.assert_eats("const all = []; for (;;) all.push({ a: [all.length, 'x' + all.length] })")

    def test_eats_memory_after_a_while(self):
        self.assert_eats("console.log('first'); setTimeout(() => { for (const a = [];;)"
                         " a.push(new Uint8Array(8 << 20).fill(1)) }, 2500)", "first\n")

    def assert_eats(self, code, stdout=""):
        """The kernel kills it, or leaves it spinning at its limit, as on cgroup v1: the outcome is the same."""
        result = self.agent.run("deno", code, limits={"memory_mb": 128, "wall_ms": 20000, "cpu_ms": 20000})
        self.assert_limit(result, "memory_limit", "memory_mb")
        self.assertEqual(result["stdout"], stdout)
        self.assertRegex(result["evidence"], r"OOMKilled true|exit code 137.*of 134217728|the sandbox used \d+ of 134217728 bytes")

    def test_agent_still_works_after_all_that(self):
        self.assert_outcome(self.agent.run("sh", "echo fine"), "ok", 0)
