# SPDX-License-Identifier: Apache-2.0
"""The line in systemctl status: gate, mode and load, and the line of now."""

from harness import AgentTestCase, warm_deno

FOR_EVER = "tail -f /dev/null"
SHUT = "STATUS=Gate shut \\(oci_runtime_missing\\)"


class StatusLine(AgentTestCase):
    changes = {"agent": {"max_running": 1}, "runtimes": {"warm": warm_deno(warm=1, max=2, creating=1)}}

    def setUp(self):
        self.agent.wait_notified_matching("STATUS=Gate open, gVisor, 1 warm, 0 running, 0 queued$", 30)

    def configure(self, **changes):
        """For this test."""
        self.addCleanup(self.agent.reload)
        self.addCleanup(self.agent.configure, self.changes)
        self.agent.configure(dict(self.changes, **changes))
        self.agent.reload()

    def start(self):
        run = self.agent.start_run("sh", FOR_EVER, limits={"wall_ms": 3000})
        self.agent.wait_notified_matching("STATUS=Gate open, gVisor, 1 warm, 1 running, 0 queued$")
        return run

    def test_load_is_that_of_now(self):
        first = self.start()
        second = self.agent.start_run("sh", "sleep 2", limits={"wall_ms": 20000})
        self.agent.wait_notified_matching("STATUS=Gate open, gVisor, 1 warm, 1 running, 1 queued$")
        first.result()
        self.agent.wait_notified_matching("STATUS=Gate open, gVisor, 1 warm, 1 running, 0 queued$")
        second.result()

    def test_pool_is_that_of_now(self):
        self.configure(runtimes={"warm": warm_deno(warm=2, max=4, creating=2)})
        self.agent.wait_notified_matching("STATUS=Gate open, gVisor, 2 warm, 0 running, 0 queued$", 30)
        self.agent.notifications.clear()
        self.assertTrue(self.agent.run("warm", "await new Promise(done => setTimeout(done, 1000))")["sandbox"]["warm"])
        self.agent.wait_notified_matching("STATUS=Gate open, gVisor, 2 warm, 0 running, 0 queued$", 30)
        self.assertTrue([one for one in self.agent.notified() if "1 warm, 1 running" in one], self.agent.notified())

    def test_a_shut_gate_says_why_and_still_how_things_stand(self):
        run = self.start()
        self.configure(gvisor={"oci_runtime": "no-such-runtime"})
        self.agent.wait_notified_matching(
            f"{SHUT}, gVisor, 0 warm, 1 running, 0 queued: Docker knows no OCI runtime 'no-such-runtime' .*"
            "\\. Remedy: tee-install --with-gvisor")
        run.result()
        self.agent.wait_notified_matching(f"{SHUT}, gVisor, 0 warm, 0 running, 0 queued: ")

    def test_mode_is_that_of_now(self):
        self.configure(gvisor={"enabled": False})
        self.agent.wait_notified_matching("STATUS=Gate open, gVisor is DISABLED, 1 warm, 0 running, 0 queued$", 30)
        self.configure(gvisor={"enabled": False, "disabled_oci_runtime": "no-such-runtime"})
        self.agent.wait_notified_matching(f"{SHUT}, gVisor is DISABLED, 0 warm, 0 running, 0 queued: ")
