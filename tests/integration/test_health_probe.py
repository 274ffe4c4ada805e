# SPDX-License-Identifier: Apache-2.0
"""tee-health --probe: what a sandbox promises is tried, through the agent and without it; nothing fools it, and nothing
of it is left, however it ends."""

import os
import signal
import subprocess

from engine import docker
from harness import AgentTestCase, libconfig
from health import GROUP, PROBES, Checker
from places import TEE_HEALTH, patience, wait_for
from scripted_docker import PASS, STALL, ScriptedDocker

INSTANCE = "tee-health"  # of the sandboxes that tee-health makes itself

# Calls itself runsc, and has runc run what it is told to.
IMPOSTOR = """#!/bin/sh
for word; do
    shift
    case $word in --network=*) ;; *) set -- "$@" "$word" ;; esac
done
exec RUNC "$@"
"""


def children(parent):
    """Process ids. Not from /proc/PID/task/PID/children, which not every kernel has."""
    listing = subprocess.run(["ps", "--ppid", str(parent), "-o", "pid="], capture_output=True, text=True, check=False)
    return [int(word) for word in listing.stdout.split()]


class ProbeTestCase(Checker, AgentTestCase):
    def tearDown(self):
        self.assertEqual(docker().containers(INSTANCE), [], "what a probe has made is left")

    def probed(self, mode, **how):
        report = self.report(f"--probe={mode}", "--only", "probe", **how)
        self.assertEqual(list(report.checks), PROBES)
        return report

    def assert_all_pass(self, report, words):
        wrong = {name: check["seen"] for name, check in report.checks.items() if check["verdict"] != "pass"}
        self.assertEqual(wrong, {})
        self.assertEqual(report.status, 0)
        for name, check in report.checks.items():
            self.assertIn(words, check["seen"], name)

    def only(self, name, **changes):
        """The configuration with this runtime alone."""
        settings = {**self.agent.settings, "runtimes": {name: self.agent.settings["runtimes"][name]}, **changes}
        path = self.folder / "tee.conf"
        path.write_text(libconfig(settings), encoding="utf-8")
        return path

    def start(self, *arguments, config=None):
        process = subprocess.Popen([TEE_HEALTH, "--config", config or self.agent.config, "--socket", self.path,
                                    *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait, patience(60))
        self.addCleanup(process.kill)
        return process


class Probe(ProbeTestCase):
    def test_through_the_agent(self):
        report = self.probed("auto")
        network = report.checks.pop("probe.network")
        self.assert_all_pass(report, "through the agent")
        self.assertEqual(network["verdict"], "skip", "Deno has refused, so that the sandbox was not tried")
        self.assertIn("NotCapable", network["seen"])

    def test_programs_of_the_shell_through_the_agent(self):
        self.assert_all_pass(self.probed("agent", config=self.only("sh")), "through the agent")

    def test_without_the_agent(self):
        self.path = self.folder / "not-there.sock"
        report = self.probed("auto")
        self.assert_all_pass(report, "without the agent")
        self.assertIn("UNREACH", report.checks["probe.network"]["seen"], "Deno's own permissions have to be lifted")

    def test_programs_of_the_shell(self):
        self.assert_all_pass(self.probed("direct", config=self.only("sh")), "without the agent")

    def test_member_of_the_agents_group_needs_no_docker(self):
        agent = ScriptedDocker(self.folder / "agent.sock", self.agent.socket)
        self.addCleanup(agent.close)
        os.chown(agent.path, 0, GROUP.gr_gid)
        os.chmod(agent.path, 0o660)
        self.path = agent.path
        os.chmod(docker().path, 0o660)
        report = self.report("--probe", "--only", "probe.sandbox", "--only", "probe.taken_down",
                             config=self.config({}), **self.as_nobody(GROUP.gr_gid))
        self.assertEqual(report.checks["probe.sandbox"]["verdict"], "pass", report.checks)
        self.assertIn("through the agent", report.checks["probe.sandbox"]["seen"])
        self.assertEqual(report.checks["probe.taken_down"]["verdict"], "skip")
        report = self.report("--only", "probe", config=self.config({}), **self.as_nobody())
        self.assertEqual(report.status, 3)
        self.assertIn("may not connect", report.checks["probe.sandbox"]["seen"])

    def test_it_is_run_on_demand_only(self):
        done = self.tee_health("--only", "config")
        self.assertNotIn("  probe.", done.stdout)
        done = self.tee_health("--only", "config", "--probe=direct", "--timeout", "1", config="/nonexistent")
        self.assertIn("skip  probe.sandbox", done.stdout)

    def test_runtime_of_no_known_language(self):
        config = self.folder / "tee.conf"
        runtime = dict(self.agent.settings["runtimes"]["sh"], entry="main.awk")
        config.write_text(libconfig({**self.agent.settings, "runtimes": {"awk": runtime}}), encoding="utf-8")
        self.see("probe.sandbox", "skip", "none of the runtimes", config=config)

    def test_a_wrapper_that_calls_itself_runsc_does_not_fool_it(self):
        runc = next(path for path in ("/usr/sbin/runc", "/usr/bin/runc") if os.path.exists(path))
        wrapper = self.file("runsc", IMPOSTOR.replace("RUNC", runc), 0o755)
        self.addCleanup(docker().reload)
        self.addCleanup(docker().register, "tee-impostor", None)
        docker().register("tee-impostor", {"path": wrapper, "runtimeArgs": ["--network=none"]})
        docker().reload()
        wait_for("the reload", lambda: "tee-impostor" in docker().oci_runtimes())
        config = self.only("sh", gvisor={"oci_runtime": "tee-impostor"})
        report = self.probed("direct", config=config)
        self.assertEqual(report.document["counts"]["fail"], 1)
        self.assertEqual(report.checks["probe.sandbox"]["verdict"], "fail")
        self.assertIn("is not gVisor", report.checks["probe.sandbox"]["seen"])
        self.assertEqual(set(report.verdicts().values()), {"fail", "skip"})

    def test_image_that_is_not_there(self):
        config = self.only("sh", runtimes={"sh": {**self.agent.settings["runtimes"]["sh"], "image": "tee-test-none:1"}})
        check = self.report("--probe=direct", "--only", "probe.sandbox", config=config).checks["probe.sandbox"]
        self.assertEqual(check["verdict"], "fail")
        self.assertIn("tee-test-none:1", check["seen"])

    # --- its end ---

    def interrupt(self, number, *arguments):
        """Sends a signal when a sandbox of the probe's runs a program; returns the process."""
        process = self.start("--probe=direct", "--only", "probe.memory", *arguments)
        wait_for("a sandbox", lambda: docker().running(INSTANCE))
        process.send_signal(number)
        return process

    def test_ctrl_c_leaves_nothing(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            process = self.interrupt(number)
            self.assertEqual(process.wait(patience(30)), -number)
            self.assertEqual(docker().containers(INSTANCE), [], "it has ended before all was taken down")
            self.assertIn("interrupted", process.stderr.read())

    def test_ctrl_c_through_the_agent_cancels_the_execution(self):
        process = self.start("--probe=agent", "--only", "probe.memory")
        self.agent.wait_running()
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(patience(30)), -signal.SIGINT)
        self.agent.wait_no_sandbox()

    def test_check_that_is_killed_leaves_nothing(self):
        process = self.start("--probe=direct", "--only", "probe.memory")
        wait_for("a sandbox", lambda: docker().running(INSTANCE))
        (check,) = children(process.pid)
        os.kill(check, signal.SIGKILL)
        self.assertEqual(process.wait(patience(60)), 2)
        self.assertIn("the check was ended by SIGKILL", process.stdout.read())
        self.assertEqual(docker().containers(INSTANCE), [])

    def test_check_that_hangs_leaves_nothing(self):
        process = self.start("--probe=direct", "--only", "probe.memory", "--timeout", "3")
        wait_for("a sandbox", lambda: docker().running(INSTANCE))
        (check,) = children(process.pid)
        os.kill(check, signal.SIGSTOP)
        self.assertEqual(process.wait(patience(60)), 2)
        self.assertIn("the check had no verdict after 3.0 s", process.stdout.read())
        self.assertEqual(docker().containers(INSTANCE), [])

    def test_what_a_killed_one_has_left_the_next_takes_down(self):
        left = docker().create("tee-runtime-sh:latest", {"tee.instance": INSTANCE, "tee.boot": "of-the-killed-one"})
        self.report("--only", "probe.program", config=self.only("sh"))
        self.assertTrue(docker().exists(left), "the agent's probes have nothing to do with it")
        self.path = self.folder / "not-there.sock"
        self.see("probe.program", "pass", "without the agent", config=self.only("sh"))
        self.assertFalse(docker().exists(left))

    def test_two_at_once_take_turns(self):
        first = self.start("--probe=direct", "--only", "probe.sandbox")
        second = self.start("--probe=direct", "--only", "probe.sandbox")
        self.assertEqual((first.wait(patience(60)), second.wait(patience(60))), (0, 0))

    def test_docker_that_hangs_costs_its_deadline(self):
        proxy = self.proxy(lambda method, target: STALL if "/containers/create" in target else PASS)
        config = self.only("sh", docker={**self.agent.settings["docker"], "socket": proxy.path})
        report = self.report("--probe=direct", "--only", "probe.sandbox", "--timeout", "4", config=config)
        self.assertEqual(report.checks["probe.sandbox"]["verdict"], "fail")


class ProbeWithoutGvisor(ProbeTestCase):
    agent_environment = {"DISABLE_GVISOR": "true"}

    def test_it_says_so(self):
        report = self.probed("agent")
        self.assertEqual(report.checks["probe.sandbox"]["verdict"], "warn")
        self.assertIn("gVisor is DISABLED", report.checks["probe.sandbox"]["seen"])
