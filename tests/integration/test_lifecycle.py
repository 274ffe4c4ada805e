# SPDX-License-Identifier: Apache-2.0
"""The agent as a service: notifications, watchdog, draining, and what a dead agent leaves."""

import re
import signal
import time
import unittest

from api import Response, UnixConnection, check_refusal
from engine import docker
from harness import IMAGE_SH, Agent, Background
from places import patience, wait_for
from scripted_docker import HANG_UP, PASS, ScriptedDocker

FOR_EVER = "tail -f /dev/null"


class LifeCycle(unittest.TestCase):
    def start_agent(self, name, changes=None, environment=None):
        self.agent = Agent(name, changes, environment)
        self.addCleanup(self.agent.close)
        return self.agent.start()

    def assert_clean(self, agent, status=0):
        """It has ended with this status and left nothing."""
        self.assertEqual(agent.process.wait(patience(20)), status, agent.log_tail())
        self.assertEqual(docker().containers(agent.instance), [])

    def test_status_line_and_stopping_are_notified(self):
        agent = self.start_agent("notify").wait_open().wait_idle()
        agent.wait_notified_matching("STATUS=.*(?i:open|ready|gvisor)")
        agent.process.send_signal(signal.SIGTERM)
        self.assert_clean(agent)
        self.assertIn("STOPPING=1", agent.notified())

    def test_watchdog_is_pinged_in_time(self):
        agent = self.start_agent("watchdog", environment={"WATCHDOG_USEC": "400000"})
        agent.wait_open().wait_idle()
        pings = self.count_pings(agent)
        begun = time.monotonic()
        wait_for("three more pings", lambda: self.count_pings(agent) >= pings + 3, 5)
        self.assertLess(time.monotonic() - begun, patience(1.3))
        agent.process.send_signal(signal.SIGTERM)
        self.assert_clean(agent)

    def count_pings(self, agent):
        return agent.notified().count("WATCHDOG=1")

    def test_sigterm_lets_a_running_program_finish_and_refuses_others(self):
        agent = self.start_agent("drain").wait_open().wait_idle()
        code = "await new Promise((done) => setTimeout(done, 2500)); console.log('finished')"
        run = agent.start_run("deno", code)
        agent.wait_running()
        others = [self.keep_alive(agent) for _ in range(2)]
        agent.process.send_signal(signal.SIGTERM)
        agent.wait_notified("STOPPING=1")
        for connection, request in zip(others, (("POST", "/v1/executions", b'{"runtime":"sh","code":"true"}',
                                                 {"Content-Type": "application/json"}), ("GET", "/healthz"))):
            connection.request(*request)
            refusal = read_response(connection)
            check_refusal(refusal)
            self.assertEqual((refusal.status, refusal.error["code"]), (503, "shutting_down"))
            self.assertEqual(refusal.headers["connection"].lower(), "close")
        result = run.result()
        self.assertEqual((result["status"], result["stdout"]), ("ok", "finished\n"), result)
        self.assert_clean(agent)

    def keep_alive(self, agent):
        """A connection that the agent has answered once. New ones wait for the next agent while it drains."""
        connection = UnixConnection(agent.socket, patience(10))
        self.addCleanup(connection.close)
        connection.request("GET", "/v1/status")
        self.assertEqual(read_response(connection).status, 200)
        return connection

    def test_client_that_connects_while_the_agent_stops_is_served_by_the_next(self):
        agent = self.start_agent("handover").wait_open().wait_idle()
        run = agent.start_run("deno", "await new Promise((done) => setTimeout(done, 1500))")
        agent.wait_running()
        agent.process.send_signal(signal.SIGTERM)
        agent.wait_notified("STOPPING=1")
        late = agent.start_run("sh", "echo late")
        self.assertEqual(run.result()["status"], "ok")
        self.assert_clean(agent)
        agent.start()
        self.assertEqual(late.result()["stdout"], "late\n")
        agent.process.send_signal(signal.SIGTERM)
        self.assert_clean(agent)

    def test_program_that_outlasts_the_drain_is_cancelled_and_answered(self):
        agent = self.start_agent("drain-short", {"agent": {"drain_ms": 500}}).wait_open().wait_idle()
        run = agent.start_run("sh", "echo begun; " + FOR_EVER, limits={"wall_ms": 60000})
        agent.wait_running()
        begun = time.monotonic()
        agent.process.send_signal(signal.SIGTERM)
        result = run.result()
        self.assertEqual((result["status"], result["stdout"]), ("cancelled", "begun\n"), result)
        self.assertTrue(result["cause"])
        self.assert_clean(agent)
        self.assertLess(time.monotonic() - begun, patience(6))

    def test_waiting_request_is_refused_when_the_agent_stops(self):
        agent = self.start_agent("drain-queue", {"agent": {"max_running": 1, "drain_ms": 1000}}).wait_open().wait_idle()
        run = agent.start_run("sh", FOR_EVER, limits={"wall_ms": 60000})
        agent.wait_running()
        waiting = Background(lambda: agent.post({"runtime": "sh", "code": "true"}))
        wait_for("one in the queue", lambda: agent.get("/v1/status").json["executions"]["queued"] == 1)
        agent.process.send_signal(signal.SIGTERM)
        refusal = waiting.result()
        check_refusal(refusal)
        self.assertEqual((refusal.status, refusal.error["code"]), (503, "shutting_down"))
        self.assertEqual(run.result()["status"], "cancelled")
        self.assert_clean(agent)

    def test_stream_gets_its_end_when_the_agent_stops(self):
        agent = self.start_agent("drain-stream", {"agent": {"drain_ms": 300}}).wait_open().wait_idle()
        request = {"runtime": "sh", "code": "echo begun; " + FOR_EVER, "limits": {"wall_ms": 60000}}
        events = Background(lambda: [event for _, event in agent.stream(request)])
        agent.wait_running()
        agent.process.send_signal(signal.SIGTERM)
        self.assertEqual(events.result()[-1]["result"]["status"], "cancelled")
        self.assert_clean(agent)

    def test_idle_agent_stops_at_once(self):
        agent = self.start_agent("idle").wait_open().wait_idle()
        agent.run("sh", "true")
        begun = time.monotonic()
        agent.process.send_signal(signal.SIGTERM)
        self.assert_clean(agent)
        self.assertLess(time.monotonic() - begun, patience(3))

    def test_agent_without_docker_stops_too(self):
        agent = self.start_agent("no-docker", {"docker": {"socket": "/nonexistent/docker.sock"}})
        agent.wait_gate("docker_unreachable")
        agent.process.send_signal(signal.SIGTERM)
        self.assert_clean(agent)

    def test_agent_whose_docker_has_gone_does_not_wait_for_it(self):
        agent = Agent("docker-gone")
        self.addCleanup(agent.close)
        proxy = ScriptedDocker(agent.socket_folder / "docker.sock", docker().path)
        self.addCleanup(proxy.close)
        agent.configure({"docker": {"socket": proxy.path}})
        agent.start().wait_open().wait_idle()
        proxy.set_script(lambda method, target: HANG_UP if method == "DELETE" else PASS)
        agent.run("sh", "true")
        wait_for("a removal", lambda: proxy.asked("DELETE"))
        begun = time.monotonic()
        agent.process.send_signal(signal.SIGTERM)
        self.assertEqual(agent.process.wait(patience(60)), 0)
        self.assertLess(time.monotonic() - begun, 15, "no program runs: nothing is worth the whole of agent.drain_ms")

    def test_agent_that_is_stopped_while_it_starts(self):
        agent = self.start_agent("stop-early")
        agent.process.send_signal(signal.SIGTERM)
        self.assert_clean(agent)

    def test_sigint_ends_it_like_sigterm(self):
        agent = self.start_agent("sigint").wait_open().wait_idle()
        agent.process.send_signal(signal.SIGINT)
        self.assert_clean(agent)

    def test_killed_agents_sandbox_ends_and_the_next_agent_removes_what_is_left(self):
        agent = self.start_agent("killed").wait_open().wait_idle()
        run = Background(lambda: agent.post({"runtime": "sh", "code": FOR_EVER, "limits": {"wall_ms": 60000}}))
        sandbox, = agent.wait_running()
        left_over = docker().create(IMAGE_SH, sandbox["Labels"])
        foreign = docker().create(IMAGE_SH, {**sandbox["Labels"], "tee.instance": agent.instance + "-other"})
        unrelated = docker().create(IMAGE_SH, {"some.label": agent.instance})
        for container in (left_over, foreign, unrelated):
            self.addCleanup(docker().remove, container)
        agent.kill()
        with self.assertRaises(OSError):
            run.result()
        wait_for("the orphan's end", lambda: sandbox["Id"] not in running_ids(agent.instance), 10)

        agent.start().wait_open()
        wait_for("the sweep", lambda: not docker().exists(left_over) and not docker().exists(sandbox["Id"]), 10)
        self.assertTrue(docker().exists(foreign), "a container of another instance was removed")
        self.assertTrue(docker().exists(unrelated), "a container that is no sandbox was removed")
        self.assertEqual(agent.run("sh", "echo again")["stdout"], "again\n")
        docker().remove(unrelated)
        agent.process.send_signal(signal.SIGTERM)
        self.assert_clean(agent)

    def test_two_agents_on_one_docker_leave_each_other_alone(self):
        first = self.start_agent("twin-a").wait_open().wait_idle()
        run = first.start_run("deno", "await new Promise((done) => setTimeout(done, 3000)); console.log('first')")
        first.wait_running()
        second = self.start_agent("twin-b").wait_open().wait_idle()
        self.assertEqual(second.run("sh", "echo second")["stdout"], "second\n")
        second.process.send_signal(signal.SIGTERM)
        self.assert_clean(second)
        self.assertEqual(run.result()["stdout"], "first\n")
        first.process.send_signal(signal.SIGTERM)
        self.assert_clean(first)

    def test_sandbox_that_is_killed_from_outside_is_a_crash(self):
        agent = self.start_agent("crash").wait_open().wait_idle()
        run = agent.start_run("sh", "echo begun; " + FOR_EVER, limits={"wall_ms": 60000})
        sandbox, = agent.wait_running()
        docker().call("POST", f"/containers/{sandbox['Id']}/kill")
        result = run.result()
        self.assertEqual(result["status"], "sandbox_crash", result)
        self.assertTrue(result["cause"] and result["evidence"], result)
        agent.process.send_signal(signal.SIGTERM)
        self.assert_clean(agent)

    def test_each_execution_and_refusal_is_logged_once(self):
        agent = self.start_agent("log").wait_open().wait_idle()
        ended = agent.run("sh", "exit 3")["id"]
        self.assertEqual(agent.post({"runtime": "sh", "code": "", "typo": 1}).status, 400)
        agent.process.send_signal(signal.SIGTERM)
        self.assert_clean(agent)
        lines = agent.log_text().splitlines()
        self.assertEqual(len([line for line in lines if ended in line]), 1, agent.log_tail())
        self.assertEqual(len([line for line in lines if re.search("refus|unknown_field", line)]), 1, agent.log_tail())


def read_response(connection):
    answer = connection.getresponse()
    return Response(answer.status, answer.getheaders(), answer.read())


def running_ids(instance):
    return [one["Id"] for one in docker().running(instance)]
