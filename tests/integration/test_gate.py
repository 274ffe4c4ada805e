# SPDX-License-Identifier: Apache-2.0
"""The gate: shut with reason and remedy while anything speaks against gVisor, open by itself when it is mended."""

import json
import pathlib
import re
import shutil
import socket
import threading
import unittest

from api import check_refusal, check_status
from engine import docker
from harness import IMAGE_SH, Agent, AgentTestCase
from places import guides, is_sanitized, wait_for
from scripted_docker import HANG_UP, LATE, PASS, STALL, ScriptedDocker, answer
from warm import WarmTestCase

CANARY = "canary-4711-of-the-program"
ONLY_SH = {"sh": {"image": IMAGE_SH, "entry": "main.sh", "command": ["/bin/busybox", "sh"]}}


def only_at(path, action):
    """A script that does something at one path of Docker's API and passes the rest on."""
    return lambda method, target: action if re.fullmatch(r"(/v[\d.]+)?" + path, target) else PASS


def everywhere(action):
    return lambda method, target: action


class ShutGate:
    """What a shut gate looks like from each side. A mix-in for test cases."""

    def assert_shut(self, agent, code, in_reason="", in_remedy=""):
        gate = agent.wait_gate(code)
        check_status(agent.get("/v1/status").json)
        self.assertIn(in_reason, gate["reason"])
        self.assertTrue(gate["remedy"], gate)
        self.assertIn(in_remedy, gate["remedy"])
        for refusal in (agent.post({"runtime": "sh", "code": f"echo {CANARY}"}), agent.get("/healthz")):
            check_refusal(refusal)
            self.assertEqual((refusal.status, refusal.error["code"], refusal.error["field"]), (503, code, None))
            self.assertEqual(refusal.error["remedy"], gate["remedy"])
            self.assertIn(in_reason, refusal.error["message"])
        self.assertIsNone(agent.process.poll(), "the agent must stay up")
        agent.wait_notified_matching(f"STATUS=.*{code}.*")

    def assert_opens(self, agent, seconds=20):
        agent.wait_open(seconds)
        self.assertEqual(agent.run("sh", "echo open")["stdout"], "open\n")


class BrokenDocker(ShutGate, AgentTestCase):
    """One agent whose Docker breaks in many ways, and is mended after each."""

    @classmethod
    def setUpClass(cls):
        cls.agent = Agent("brokendocker")
        cls.proxy = ScriptedDocker(cls.agent.socket_folder / "docker.sock", docker().path)
        cls.addClassCleanup(cls.proxy.close)
        cls.addClassCleanup(cls.agent.account)
        cls.agent.configure({"docker": {"socket": cls.proxy.path, "call_ms": 3000}, "sandbox": {"boot_ms": 6000}})
        cls.agent.start().wait_open()

    def break_docker(self, script):
        self.addCleanup(self.mend)
        self.proxy.set_script(script)
        self.agent.reload()

    def mend(self):
        self.proxy.set_script(everywhere(PASS))
        self.assert_opens(self.agent)

    def test_docker_that_stalls(self):
        self.break_docker(everywhere(STALL))
        self.assert_shut(self.agent, "docker_error")

    def test_docker_that_hangs_up(self):
        self.break_docker(everywhere(HANG_UP))
        self.assert_shut(self.agent, "docker_error")

    def test_docker_that_answers_garbage(self):
        self.break_docker(everywhere(b"\x00\x01\x02 garbage\r\n\r\n"))
        self.assert_shut(self.agent, "docker_error")

    def test_ping_that_is_not_dockers(self):
        self.break_docker(only_at("/_ping", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"))
        self.assert_shut(self.agent, "docker_error")

    def test_docker_that_is_too_old(self):
        old = b"HTTP/1.1 200 OK\r\nApi-Version: 1.24\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK"
        self.break_docker(only_at("/_ping", old))
        self.assert_shut(self.agent, "docker_error", in_reason="version")

    def test_info_that_is_truncated_json(self):
        whole = json.dumps(docker().call("GET", "/info").json)
        self.break_docker(only_at("/info", answer(200, whole[:len(whole) // 2])))
        self.assert_shut(self.agent, "docker_error", in_reason="JSON")

    def test_info_that_is_cut_off(self):
        self.break_docker(only_at("/info", answer(200, docker().call("GET", "/info").json)[:-100]))
        self.assert_shut(self.agent, "docker_error")

    def test_info_of_another_shape(self):
        for info in ([], {}, {"Runtimes": []}, {"Runtimes": {"runsc": None}}, "null", {"Runtimes": {"runsc": "x"}}):
            with self.subTest(info=info):
                self.proxy.set_script(only_at("/info", answer(200, info)))
                self.agent.reload()
                gate = wait_for("a shut gate", self.shut_gate, 20)
                self.assertIn(gate["code"], ("docker_error", "oci_runtime_missing"))
                self.mend()

    def shut_gate(self):
        gate = self.agent.get("/v1/status").json["gate"]
        return gate if gate["state"] == "shut" else None

    def test_info_that_is_an_error_keeps_dockers_words(self):
        self.break_docker(only_at("/info", answer(500, {"message": "the disk is on fire"})))
        self.assert_shut(self.agent, "docker_error", in_reason="the disk is on fire")

    def test_info_that_is_an_error_without_words(self):
        self.break_docker(only_at("/info", answer(500, b"")))
        self.assert_shut(self.agent, "docker_error", in_reason="500")

    def test_huge_answer_is_not_kept(self):
        before = self.agent.resident_kb()
        self.break_docker(only_at("/info", answer(200, b'"' + b"x" * 100_000_000 + b'"')))
        self.assert_shut(self.agent, "docker_error")
        self.assertLess(self.agent.resident_kb() - before, 65536 if is_sanitized() else 16384)

    def test_oci_runtime_that_is_not_registered(self):
        info = docker().call("GET", "/info").json
        del info["Runtimes"]["runsc"]
        self.break_docker(only_at("/info", answer(200, info)))
        self.assert_shut(self.agent, "oci_runtime_missing", in_reason="runsc", in_remedy="runsc")

    def test_create_that_fails_keeps_dockers_words(self):
        self.break_docker(only_at(r"/containers/create\?.*", answer(500, {"message": "no space left on device"})))
        self.assert_shut(self.agent, "probe_failed", in_reason="no space left on device")

    def test_start_that_fails_keeps_dockers_words(self):
        words = "OCI runtime create failed: cannot run with network enabled in root network namespace"
        self.break_docker(only_at(r"/containers/\w+/start", answer(500, {"message": words})))
        self.assert_shut(self.agent, "probe_failed", in_reason=words)

    def test_create_that_answers_too_late_leaves_no_container(self):
        self.break_docker(only_at(r"/containers/create\?.*", LATE))
        self.assert_shut(self.agent, "probe_failed")
        self.mend()
        self.agent.wait_idle(20)

    def test_attach_that_is_refused(self):
        self.break_docker(only_at(r"/containers/\w+/attach\?.*", answer(404, {"message": "No such container"})))
        self.assert_shut(self.agent, "probe_failed")

    def test_attach_that_talks_garbage(self):
        upgrade = b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n" \
                  b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
        for stream in (b"no frames at all, just text that somebody wrote",
                       b"\x01\0\0\0\0\0\0\x0cnot a frame!", b"\x01\0\0\0\xff\xff\xff\xff",
                       b"\x01\0\0\0\0\0\0\x08\x82\0\0\0\0\0\0\0", b""):
            with self.subTest(stream=stream):
                self.proxy.set_script(only_at(r"/containers/\w+/attach\?.*", upgrade + stream))
                self.agent.reload()
                self.assert_shut(self.agent, "probe_failed")
                self.mend()

    def test_docker_without_events_is_not_probed_without_end(self):
        self.break_docker(only_at(r"/events\?.*", answer(403, {"message": "a proxy that denies /events"})))
        self.agent.wait_open()
        before = len(self.proxy.asked("POST"))
        self.agent.run("deno", "await new Promise((done) => setTimeout(done, 4000))")
        self.assertLessEqual(len(self.proxy.asked("POST")) - before, 3 + 2 * 3,
                             "one execution is create, attach and start; two probes more are allowed")

    def test_sandbox_that_never_says_ready(self):
        self.break_docker(only_at(r"/containers/\w+/attach\?.*", STALL))
        self.assert_shut(self.agent, "probe_failed")

    def test_execution_whose_docker_breaks_is_refused_and_may_be_sent_again(self):
        self.addCleanup(self.mend)
        self.proxy.set_script(only_at(r"/containers/\w+/start", answer(500, {"message": "once more"})))
        refusal = self.agent.post({"runtime": "sh", "code": "true"})
        self.assertEqual(refusal.status, 503, refusal)
        check_refusal(refusal)
        self.assertIn(refusal.error["code"], ("sandbox_failed", "probe_failed"))
        self.assertIn("once more", refusal.error["message"])

    def test_running_program_whose_docker_goes_away_gets_an_answer(self):
        self.addCleanup(self.mend)
        self.agent.wait_idle()
        request = {"runtime": "sh", "code": "echo begun; tail -f /dev/null", "limits": {"wall_ms": 60000}}
        events = (event for _, event in self.agent.stream(request, timeout=15))
        self.assertEqual([next(events)["event"] for _ in range(2)], ["started", "stdout"])
        self.proxy.set_script(everywhere(HANG_UP))
        result = list(events)[-1]["result"]
        self.assertEqual(result["status"], "internal_error", result)
        self.assertTrue(result["cause"])
        self.mend()
        self.agent.wait_idle(20)

    def test_so_does_one_that_ran_before_docker_said_that_it_was_started(self):
        self.addCleanup(self.mend)
        self.agent.wait_idle()
        self.proxy.set_script(only_at(r"/containers/\w+/start", LATE))
        self.test_running_program_whose_docker_goes_away_gets_an_answer()


class MissingDocker(ShutGate, unittest.TestCase):
    def test_socket_missing_then_refused_then_there(self):
        agent = Agent("missingdocker")
        self.addCleanup(agent.close)
        path = agent.socket_folder / "docker.sock"
        agent.configure({"docker": {"socket": str(path)}})
        agent.start()
        self.assert_shut(agent, "docker_unreachable", in_reason=str(path), in_remedy="docker")

        dead = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        dead.bind(str(path))
        dead.close()
        agent.reload()
        wait_for("the other reason", lambda: "refused" in agent.get("/v1/status").json["gate"]["reason"])
        self.assert_shut(agent, "docker_unreachable", in_reason="refused")

        path.unlink()
        proxy = ScriptedDocker(path, docker().path)
        self.addCleanup(proxy.close)
        self.assert_opens(agent)
        agent.account()


class Registration(ShutGate, unittest.TestCase):
    def agent_with(self, name, oci_runtime, **docker_settings):
        agent = Agent(name)
        self.addCleanup(agent.account)
        agent.configure({"gvisor": {"oci_runtime": oci_runtime}, "docker": docker_settings, "runtimes": ONLY_SH})
        return agent.start()

    def register(self, name, runtime):
        def take_out():
            docker().register(name, None)
            docker().reload()

        self.addCleanup(take_out)
        docker().register(name, runtime)
        docker().reload()
        wait_for(f"the OCI runtime {name}",
                 lambda: docker().oci_runtimes().get(name, {}).get("path") == runtime["path"])

    def test_registered_later_opens_by_itself(self):
        agent = self.agent_with("registered-late", "tee-late")
        self.assert_shut(agent, "oci_runtime_missing", in_reason="tee-late")
        self.register("tee-late", docker().oci_runtimes()["runsc"])
        self.assert_opens(agent)
        agent.wait_idle()  # before it is taken out again

    def test_runc_by_another_name_is_not_gvisor_and_gets_no_code(self):
        self.register("tee-fake", {"path": which_runc()})
        agent = Agent("fake")
        proxy = ScriptedDocker(agent.socket_folder / "docker.sock", docker().path)
        self.addCleanup(proxy.close)
        self.addCleanup(agent.account)
        agent.configure({"gvisor": {"oci_runtime": "tee-fake"}, "docker": {"socket": proxy.path}})
        agent.start()
        self.assert_shut(agent, "not_gvisor", in_reason="gVisor")
        self.assertTrue(proxy.asked("POST"), "there was no probe")
        self.assertNotIn(CANARY.encode(), proxy.sent)

    def test_oci_runtime_that_turns_into_runc_behind_the_gate_gets_no_code(self):
        """The gate is open and hears nothing of the change: the sandbox's own evidence must speak."""
        self.register("tee-turncoat", docker().oci_runtimes()["runsc"])
        agent = Agent("turncoat")
        proxy = ScriptedDocker(agent.socket_folder / "docker.sock", docker().path, only_at(r"/events\?.*", STALL))
        self.addCleanup(proxy.close)
        self.addCleanup(agent.account)
        agent.configure({"gvisor": {"oci_runtime": "tee-turncoat"},
                         "docker": {"socket": proxy.path, "daemon_json": ""}})
        self.assert_opens(agent.start())
        agent.wait_idle()
        self.register("tee-turncoat", {"path": which_runc()})
        refusal = agent.post({"runtime": "sh", "code": f"echo {CANARY}"})
        check_refusal(refusal)
        self.assertEqual((refusal.status, refusal.error["code"]), (503, "not_gvisor"), refusal)
        self.assertNotIn(CANARY.encode(), proxy.sent)
        self.assert_shut(agent, "not_gvisor")

    def test_daemon_json_that_disagrees(self):
        own = Agent("mismatch")
        self.addCleanup(own.account)
        daemon_json = pathlib.Path(own.folder / "daemon.json")
        right = pathlib.Path(docker().daemon_json).read_text(encoding="utf-8")
        other_path = json.loads(right)
        other_path["runtimes"]["runsc"]["path"] = "/opt/other/runsc"
        without = json.loads(right)
        del without["runtimes"]["runsc"]
        own.configure({"docker": {"daemon_json": str(daemon_json)}, "runtimes": ONLY_SH})

        daemon_json.write_text(json.dumps(other_path), encoding="utf-8")
        own.start()
        self.assert_shut(own, "registration_mismatch", in_reason="/opt/other/runsc")
        for wrong in (json.dumps(without), right[:-5], "[]", ""):
            with self.subTest(wrong=wrong[-30:]):
                daemon_json.write_text(right, encoding="utf-8")
                own.reload()
                self.assert_opens(own)
                daemon_json.write_text(wrong, encoding="utf-8")
                own.reload()
                self.assert_shut(own, "registration_mismatch")

    def test_daemon_json_that_is_not_there_is_not_looked_at(self):
        agent = self.agent_with("no-daemon-json", "runsc", daemon_json="/nonexistent/daemon.json")
        self.assert_opens(agent)


def which_runc():
    return shutil.which("runc", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")


class Images(ShutGate, AgentTestCase):
    """A runtime whose image is wrong is refused, the others are not."""

    changes = {"runtimes": {
        "late": dict(ONLY_SH["sh"], image="tee-test-late:latest"),
        "old": dict(ONLY_SH["sh"], image="tee-test-old:latest"),
        "bare": dict(ONLY_SH["sh"], image="tee-test-bare:latest"),
    }}

    @classmethod
    def setUpClass(cls):
        for image in ("tee-test-late", "tee-test-old", "tee-test-bare"):
            docker().untag(image)
            cls.addClassCleanup(docker().untag, image)
        docker().import_tar("tee-test-old", "tee.guest.version=0.0.1-older%20tee.recipe=0")
        docker().import_tar("tee-test-bare", "unrelated=label")
        super().setUpClass()

    def assert_unavailable(self, name, code, in_message, remedy=None):
        refusal = self.agent.post({"runtime": name, "code": "true"})
        check_refusal(refusal)
        self.assertEqual((refusal.status, refusal.error["code"]), (503, code), refusal)
        self.assertIn(in_message, refusal.error["message"])
        self.assertEqual(refusal.error["remedy"], remedy or f"tee-install --with-runtime {name}")
        status = self.agent.get("/v1/status").json
        check_status(status)
        self.assertEqual(status["runtimes"][name]["available"], False)
        self.assertEqual(status["runtimes"][name]["code"], code)
        self.assertEqual(self.agent.get("/healthz").status, 200, "the gate is not shut by one runtime")
        self.assertEqual(self.agent.run("sh", "echo others")["stdout"], "others\n")

    def test_missing_image_is_refused_until_it_is_there(self):
        self.assert_unavailable("late", "image_missing", "tee-test-late:latest")
        docker().tag(IMAGE_SH, "tee-test-late")
        docker().oci_runtimes()  # by then Docker has told the agent as well
        self.assertEqual(self.agent.run("late", "echo here")["stdout"], "here\n")

    def test_image_with_another_guest(self):
        self.assert_unavailable("old", "guest_version_mismatch", "0.0.1-older", "tee-install --refresh-runtimes")

    def test_image_without_a_guest(self):
        self.assert_unavailable("bare", "guest_version_mismatch", "tee-test-bare:latest")

    def test_log_says_enabled_and_has_no_banner(self):
        log = self.agent.log_text()
        self.assertIn("✓ gVisor sandboxing: ENABLED", log)
        self.assertNotIn("╔", log)
        self.assertNotIn("DISABLED", log)


class ImageThatMayHaveCome(WarmTestCase):
    """Whatever image has come, who was refused for one waits for the next check; nobody else does."""

    changes = {"runtimes": {"warm": dict(ONLY_SH["sh"], pool={"warm": 2}),
                            "late": dict(ONLY_SH["sh"], image="tee-test-late:latest")}}

    @classmethod
    def setUpClass(cls):
        for image in ("tee-test-late", "tee-test-other"):
            cls.addClassCleanup(docker().untag, image)
        super().setUpClass()

    def setUp(self):
        super().setUp()
        for image in ("tee-test-late", "tee-test-other"):
            docker().untag(image)
        wait_for("no image", lambda: not self.agent.get("/v1/status").json["runtimes"]["late"]["available"], 20)
        wait_for("the last check's end", lambda: len(docker().containers(self.agent.instance)) == 2, 20)

    def ask_for_late(self):
        """Asks in a thread, and waits until the request is in the queue. Returns the thread and its answers."""
        answers = []
        thread = threading.Thread(target=lambda: answers.append(self.agent.post({"runtime": "late", "code": "echo on"})))
        thread.start()
        wait_for("one that waits", lambda: self.agent.get("/v1/status").json["executions"]["queued"] == 1, 1)
        return thread, answers

    def test_nobody_waits_behind_one_who_does(self):
        self.wait_ready(2)
        docker().tag(IMAGE_SH, "tee-test-other")
        docker().oci_runtimes()  # by then Docker has told the agent as well
        thread, answers = self.ask_for_late()
        self.assertEqual(self.run_warm("echo here")["stdout"], "here\n")
        self.assertEqual(answers, [], "the other one should still wait")
        thread.join(30)
        self.assertEqual(answers[0].error["code"], "image_missing")

    def test_image_that_comes_during_a_check_is_not_missed(self):
        self.wait_ready(2)
        docker().tag(IMAGE_SH, "tee-test-other")
        wait_for("the check's probe", lambda: len(docker().containers(self.agent.instance)) > 2, 10)
        docker().tag(IMAGE_SH, "tee-test-late")
        docker().oci_runtimes()  # by then Docker has told the agent as well
        self.assertEqual(self.agent.run("late", "echo here")["stdout"], "here\n")


class NoImageAtAll(ShutGate, unittest.TestCase):
    def test_gate_is_shut_until_an_image_is_there(self):
        docker().untag("tee-test-only")
        self.addCleanup(docker().untag, "tee-test-only")
        agent = Agent("noimage")
        self.addCleanup(agent.account)
        agent.settings["runtimes"] = {"sh": dict(ONLY_SH["sh"], image="tee-test-only:latest")}
        agent.write_config()
        agent.start()
        self.assert_shut(agent, "image_missing", in_reason="tee-test-only:latest", in_remedy="tee-install")
        docker().tag(IMAGE_SH, "tee-test-only")
        docker().oci_runtimes()  # by then Docker has told the agent as well
        self.assertEqual(agent.run("sh", "echo at once")["stdout"], "at once\n")
        self.assert_opens(agent)


class Disabled(AgentTestCase):
    """DISABLE_GVISOR=true: it works, and nobody can overlook it."""

    agent_environment = {"DISABLE_GVISOR": "true"}

    def test_banner_stands_in_the_log_character_for_character(self):
        banner = guides("banner")
        lines = self.agent.log_text().splitlines()
        self.assertEqual(self.agent.log_text().count("╔"), 1)
        begin = next(i for i, line in enumerate(lines) if "╔" in line)
        self.assertEqual(lines[begin:begin + banner.count("\n") + 1], banner.split("\n"))

    def test_each_execution_logs_the_guides_warning(self):
        warning = guides("warning")
        before = self.agent.log_text().count(warning)
        for _ in range(2):
            self.agent.run("sh", "true")
        self.assertEqual(self.agent.log_text().count(warning), before + 2)

    def test_result_says_it(self):
        result = self.agent.run("deno", "console.log('hello')")
        self.assertEqual((result["status"], result["stdout"]), ("ok", "hello\n"))
        self.assertIs(result["sandbox"]["gvisor"], False)
        self.assertEqual(result["sandbox"]["oci_runtime"], "runc")

    def test_program_runs_on_the_hosts_kernel(self):
        result = self.agent.run("sh", "uname -r")
        self.assertEqual(result["stdout"].strip(), pathlib.Path("/proc/sys/kernel/osrelease").read_text().strip())

    def test_healthz_status_and_notification_say_it(self):
        self.assertEqual(self.agent.get("/healthz").json, {"gate": "open", "gvisor": False, "failing_pools": []})
        gvisor = self.agent.get("/v1/status").json["gvisor"]
        self.assertEqual((gvisor["enabled"], gvisor["oci_runtime"]), (False, "runc"))
        self.agent.wait_notified_matching("STATUS=.*(?i:gvisor).*DISABLED")

    def test_log_does_not_say_enabled(self):
        self.assertNotIn("✓ gVisor sandboxing: ENABLED", self.agent.log_text())


class DisabledByConfiguration(AgentTestCase):
    changes = {"gvisor": {"enabled": False}}

    def test_setting_does_the_same_as_the_environment(self):
        self.assertIs(self.agent.run("sh", "true")["sandbox"]["gvisor"], False)
        self.assertIn("╔", self.agent.log_text())


class DisabledWithFalse(AgentTestCase):
    agent_environment = {"DISABLE_GVISOR": "false"}

    def test_false_in_the_environment_disables_nothing(self):
        self.assertIs(self.agent.run("sh", "true")["sandbox"]["gvisor"], True)
