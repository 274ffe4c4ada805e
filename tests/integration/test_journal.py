# SPDX-License-Identifier: Apache-2.0
"""What a real journald gets from the agent: records with fields to select by, and nothing of a program's."""

import json
import os
import pathlib
import signal

from api import UnixConnection
from engine import docker
from harness import Agent, AgentTestCase
from journald import Journald
from manuals import message_ids
from places import VERSION, guides, patience, wait_for

CANARY = "canary0817"


class JournalTestCase(AgentTestCase):
    """An agent that is connected to a journal as a service is."""

    @classmethod
    def setUpClass(cls):
        cls.agent = Agent(cls.__name__.lower(), cls.changes, cls.agent_environment)
        cls.journal = Journald(cls.agent.folder / "journald.log")
        cls.addClassCleanup(cls.journal.close)
        cls.addClassCleanup(cls.agent.account)
        cls.agent.prefix = cls.journal.prefix()
        cls.agent.start().wait_open()

    def fields_of(self, entry):
        """Those that are the agent's own, without what is a measurement."""
        return {name: value for name, value in entry.items()
                if name.startswith("TEE_") and name not in ("TEE_CPU_USEC", "TEE_MEMORY_PEAK", "TEE_WALL_USEC")}


class Journal(JournalTestCase):
    def test_every_record_is_the_agents_own_and_none_a_line_of_its_stderr(self):
        self.agent.run("sh", "true")
        for entry in self.journal.entries(_PID=self.agent.process.pid):
            self.assertEqual((entry["SYSLOG_IDENTIFIER"], entry["_TRANSPORT"]), ("tee-agent", "journal"), entry)
        self.assertEqual(self.agent.log_text(), "", "what goes to the journal goes nowhere else")

    def test_start_says_that_gvisor_is_enabled(self):
        self.assertEqual(self.journal.wait_entry(MESSAGE="✓ gVisor sandboxing: ENABLED")["PRIORITY"], "6")
        self.assertFalse([one for one in self.journal.entries() if "DISABLED" in one["MESSAGE"]])

    def test_execution_has_a_record_with_its_fields(self):
        result = self.agent.run("sh", "exit 3")
        entry = self.journal.wait_entry(TEE_EXECUTION_ID=result["id"])
        self.assertEqual((entry["PRIORITY"], entry["SYSLOG_IDENTIFIER"]), ("6", "tee-agent"))
        self.assertEqual(self.fields_of(entry), {
            "TEE_EXECUTION_ID": result["id"], "TEE_RUNTIME": "sh", "TEE_CLIENT_UID": str(os.getuid()),
            "TEE_STATUS": "error", "TEE_GVISOR": "1"})
        self.assertIn(result["id"], entry["MESSAGE"])
        self.assertEqual(int(entry["TEE_MEMORY_PEAK"]), result["usage"]["memory_peak_bytes"])
        self.assertAlmostEqual(int(entry["TEE_CPU_USEC"]) / 1000, result["usage"]["cpu_ms"], delta=0.1)
        self.assertAlmostEqual(int(entry["TEE_WALL_USEC"]) / 1000, result["timing"]["run_ms"], delta=0.1)

    def test_limit_has_its_cause_in_the_record(self):
        result = self.agent.run("sh", "tail -f /dev/null", limits={"wall_ms": 300})
        entry = self.journal.wait_entry(TEE_EXECUTION_ID=result["id"])
        self.assertEqual((entry["TEE_STATUS"], entry["TEE_CAUSE"]), ("wall_limit", result["cause"]))

    def test_refusal_has_a_record_with_its_code(self):
        self.assert_refusal(self.agent.post({"runtime": "sh"}), 400, "missing_field", "code")
        entry = self.journal.wait_entry(TEE_CODE="missing_field")
        self.assertEqual((entry["PRIORITY"], entry["SYSLOG_IDENTIFIER"]), ("6", "tee-agent"))
        self.assertEqual(self.fields_of(entry), {"TEE_CODE": "missing_field", "TEE_HTTP_STATUS": "400",
                                                 "TEE_CLIENT_UID": str(os.getuid())})

    def test_nothing_of_a_programs_is_in_any_field(self):
        code = f"echo {CANARY}; echo {CANARY} >&2; exit 5"
        rest = {"args": [CANARY], "env": {CANARY: CANARY}, "stdin": CANARY, "labels": {CANARY: CANARY}}
        ended = self.agent.run("sh", code, **rest)
        self.assertEqual(ended["stdout"], CANARY + "\n")
        for request in (dict(rest, runtime="sh", code=code, limits={"wall_ms": 0}),
                        {"runtime": "sh", "files": {f"../{CANARY}": ""}, "entry": CANARY},
                        {"runtime": "sh", "code": CANARY, CANARY: 1}, {"runtime": CANARY, "code": CANARY},
                        dict(rest, runtime="sh", code=code, entry=CANARY)):
            self.assertEqual(self.agent.post(request).status, 400)
        self.assertEqual(self.agent.post(CANARY.encode()).error["code"], "invalid_json")
        self.journal.wait_entry(TEE_EXECUTION_ID=ended["id"])
        self.journal.wait_entry(TEE_CODE="invalid_json")
        self.assertNotIn(CANARY, json.dumps(self.journal.entries()))


    def test_journald_that_hangs_holds_nothing_up_and_what_was_lost_is_told(self):
        room = int(pathlib.Path("/proc/sys/net/unix/max_dgram_qlen").read_text(encoding="ascii"))
        self.journal.process.send_signal(signal.SIGSTOP)
        try:
            for _ in range(room + 20):
                self.assertEqual(self.agent.request("GET", "/nothing", timeout=5).status, 404)
            self.assertEqual(self.agent.run("sh", "echo on")["stdout"], "on\n")
        finally:
            self.journal.process.send_signal(signal.SIGCONT)
        wait_for("room", lambda: self.agent.get("/nothing").status == 404 and [
            one for one in self.journal.entries(PRIORITY="4") if "records are missing here" in one["MESSAGE"]])


class MessageIds(JournalTestCase):
    """What an operator may have to act on can be selected, and explained by the catalog."""

    changes = {"agent": {"max_running": 2}, "runtimes": {
        "gone": {"image": "tee-test-gone:latest", "entry": "main.sh", "command": ["/bin/busybox", "sh"]},
        "empty": {"image": "tee-test-empty:latest", "entry": "main.sh", "command": ["/bin/busybox", "sh"]}}}

    @classmethod
    def setUpClass(cls):
        docker().import_tar("tee-test-empty", f"tee.guest.version={VERSION}")
        cls.addClassCleanup(docker().untag, "tee-test-empty")
        super().setUpClass()

    def number(self, name):
        return next(number for number, one in message_ids().items() if one == f"MESSAGE_{name}")

    def wait_message(self, name, **fields):
        return wait_for(name, lambda: self.journal.entries(MESSAGE_ID=self.number(name), **fields))[-1]

    def test_gate_that_shuts_and_opens(self):
        self.wait_message("GATE_OPEN")
        self.addCleanup(self.agent.wait_open)
        self.addCleanup(self.agent.reload)
        self.addCleanup(self.agent.configure, self.changes)
        self.agent.configure(dict(self.changes, gvisor={"oci_runtime": "no-such-runtime"}))
        self.agent.reload()
        self.assertEqual(self.wait_message("GATE_OCI_RUNTIME_MISSING")["PRIORITY"], "3")

    def test_runtime_without_its_image(self):
        self.assertIn("tee-install --with-runtime gone", self.wait_message("RUNTIME_UNAVAILABLE")["MESSAGE"])

    def test_configuration_that_is_refused(self):
        self.addCleanup(self.agent.reload)
        self.addCleanup(self.agent.configure, self.changes)
        self.agent.configure(dict(self.changes, agent={"max_running": 0}))
        self.agent.reload()
        self.assertIn("agent.max_running", self.wait_message("CONFIGURATION_REFUSED")["MESSAGE"])

    def test_sandbox_that_could_not_be_had_is_told_with_its_reason(self):
        refusal = self.agent.post({"runtime": "empty", "code": CANARY})
        self.assertEqual((refusal.status, refusal.error["code"]), (503, "sandbox_failed"), refusal)
        entry = self.wait_message("SANDBOX_FAILED", TEE_RUNTIME="empty", TEE_CODE="sandbox_failed")
        self.assertEqual((entry["PRIORITY"], entry["TEE_CLIENT_UID"]), ("4", str(os.getuid())))
        self.assertEqual(entry["MESSAGE"], f"Refused a request: 503 sandbox_failed, {refusal.error['message']}")
        self.assertIn("tee-guest", entry["MESSAGE"])

    def test_limit(self):
        result = self.agent.run("sh", "tail -f /dev/null", limits={"wall_ms": 200})
        self.wait_message("LIMIT_REACHED", TEE_EXECUTION_ID=result["id"])

    def test_what_a_program_does_has_none(self):
        result = self.agent.run("sh", "exit 3")
        self.assertNotIn("MESSAGE_ID", self.journal.wait_entry(TEE_EXECUTION_ID=result["id"]))


class Leavers(JournalTestCase):
    changes = {"agent": {"max_running": 1}, "runtimes": {
        "gone": {"image": "tee-test-gone:latest", "entry": "main.sh", "command": ["/bin/busybox", "sh"]}}}

    def test_clients_that_leave_before_their_program_has_begun_are_counted_too(self):
        occupant = self.ask("tail -f /dev/null")
        self.wait_executions("running", 1)
        words = "before it had begun"
        for _ in range(120):
            client = self.ask("true")
            self.wait_executions("queued", 1)
            client.close()
            self.wait_executions("queued", 0)
        self.assertLessEqual(len([one for one in self.journal.entries() if words in one["MESSAGE"]]), 100)
        # What is the host's has its record in between.
        self.assertEqual(self.agent.post({"runtime": "gone", "code": "true"}).error["code"], "image_missing")
        self.assertEqual(self.journal.wait_entry(TEE_CODE="image_missing")["TEE_RUNTIME"], "gone")
        occupant.close()
        self.wait_executions("running", 0)
        left = wait_for("its record", lambda: [one for one in self.journal.entries(TEE_STATUS="cancelled")
                                               if words not in one["MESSAGE"]])
        self.assertEqual(self.fields_of(left[0])["TEE_GVISOR"], "1")
        self.assertGreater(int(left[0]["TEE_WALL_USEC"]), 0)

    def ask(self, code):
        """A client that has asked, and may leave."""
        connection = UnixConnection(self.agent.socket, patience(60))
        connection.request("POST", "/v1/executions", json.dumps({"runtime": "sh", "code": code}),
                           {"Content-Type": "application/json"})
        return connection

    def wait_executions(self, state, n):
        wait_for(f"{n} {state}", lambda: self.agent.get("/v1/status").json["executions"][state] == n, 20)


class Flood(JournalTestCase):
    def test_refusals_in_a_flood_are_counted_instead_of_recorded(self):
        for _ in range(300):
            self.assertEqual(self.agent.get("/nothing").status, 404)

        def told(name):
            number, = (number for number, one in message_ids().items() if one == name)
            return self.journal.entries(MESSAGE_ID=number)

        def counted():  # also what a busy journald did not take
            lost = sum(int(one["MESSAGE"].split()[0]) for one in told("MESSAGE_RECORDS_LOST"))
            held_back = sum(int(one["TEE_HELD_BACK"]) for one in told("MESSAGE_REFUSALS_HELD_BACK"))
            return lost + held_back + len(self.journal.entries(TEE_CODE="not_found"))

        wait_for("the end of the span", lambda: told("MESSAGE_REFUSALS_HELD_BACK") and counted() >= 300, 30)
        self.assertEqual(counted(), 300)
        shown = len(self.journal.entries(TEE_CODE="not_found"))
        self.assertLessEqual(shown, 100)
        self.assertIn("more requests were refused in the last 10 seconds", told("MESSAGE_REFUSALS_HELD_BACK")[0]["MESSAGE"])
        self.assertEqual(self.agent.get("/nothing").status, 404)  # a new span has its records again
        wait_for("a record", lambda: len(self.journal.entries(TEE_CODE="not_found")) == shown + 1)


class JournalWithoutGvisor(JournalTestCase):
    agent_environment = {"DISABLE_GVISOR": "true"}

    def test_banner_is_one_warning_byte_for_byte(self):
        banners = [one for one in self.journal.entries(_PID=self.agent.process.pid) if "╔" in one["MESSAGE"]]
        self.assertEqual([one["MESSAGE"] for one in banners], [guides("banner")])
        self.assertEqual((banners[0]["PRIORITY"], banners[0]["SYSLOG_IDENTIFIER"]), ("4", "tee-agent"))

    def test_each_execution_has_the_guides_warning_and_its_record_says_so(self):
        before = len(self.journal.entries(MESSAGE=guides("warning")))
        result = self.agent.run("sh", "true")
        self.assertEqual(self.journal.wait_entry(TEE_EXECUTION_ID=result["id"], TEE_STATUS="ok")["TEE_GVISOR"], "0")
        warning = self.journal.wait_entry(TEE_EXECUTION_ID=result["id"], PRIORITY="4")
        self.assertEqual(self.fields_of(warning), {"TEE_EXECUTION_ID": result["id"], "TEE_RUNTIME": "sh",
                                                   "TEE_CLIENT_UID": str(os.getuid()), "TEE_GVISOR": "0"})
        warnings = self.journal.entries(MESSAGE=guides("warning"))
        self.assertEqual([one["PRIORITY"] for one in warnings], ["4"] * (before + 1))

    def test_log_does_not_say_enabled(self):
        self.assertFalse([one for one in self.journal.entries() if "ENABLED" in one["MESSAGE"]])
