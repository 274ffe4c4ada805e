# SPDX-License-Identifier: Apache-2.0
"""tee-health and the agent's units on booted hosts: each thing is broken as it breaks, is told with its remedy, and
passes once that, or --fix, has been carried out."""

import json
import signal

from places import wait_for
from test_install import InstallTestCase

DROP_IN = "/etc/systemd/system/tee-agent.service.d/test.conf"
ENVIRONMENT = "/etc/default/tee-agent"
UNIT = "/etc/systemd/system/tee-agent.service"
SOCKET_UNIT = "tee-agent.socket"
NOBODY = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]


class AgentTests:
    """Of both suites."""

    def see(self, name, verdict, *words, by=(), options=()):
        """One check, which must end so, with these words in what it says; returns it."""
        done = self.host.run([*by, "tee-health", "--json", "--only", name, *options])
        (check,) = json.loads(done.stdout)["checks"]
        self.assertEqual(check["verdict"], verdict, check)
        for word in words:
            self.assertIn(word, f"{check['seen']} -> {check['remedy']}")
        return check

    def fix(self, status, *names):
        """--fix --yes of these checks; the report."""
        only = [word for name in names for word in ("--only", name)]
        done = self.host.run(["tee-health", "--json", "--fix", "--yes", *only])
        self.assertEqual(done.status, status, done)
        return {check["id"]: check for check in json.loads(done.stdout)["checks"]}

    def at_terminal(self, keys, *names):
        """--fix where a person types these keys when it asks."""
        only = " ".join(f"--only {name}" for name in names)
        self.host.succeed("rm -f /tmp/keys /tmp/screen && mkfifo /tmp/keys")
        running = self.host.start(f"exec 3<>/tmp/keys && script -qefc 'tee-health --fix {only}' /tmp/screen <&3",
                                  env={"TERM": "xterm"})
        wait_for("the question", lambda: self.host.run("grep -q 'do it?' /tmp/screen").status == 0)
        self.host.succeed("cat >/tmp/keys", input=keys)
        return running.end()

    def drop_in(self, text):
        self.host.write_file(DROP_IN, f"[Service]\n{text}\n")
        self.host.succeed(["systemctl", "daemon-reload"])

    def no_drop_in(self):
        self.host.succeed(f"rm -f {DROP_IN} && systemctl daemon-reload")

    def made(self):
        """A host with everything but the agent's socket."""
        self.prepare()
        self.place_agent()
        self.installed()
        self.host.succeed(["tee-install", "--with-runtime", "sh"])

    def listening(self):
        self.made()
        self.host.succeed(["systemctl", "enable", "--now", SOCKET_UNIT])
        self.wait_open()

    def wait_open(self):
        wait_for("an open gate", lambda: self.host.run("tee-health --only agent.gate").status == 0, 20)

    def main_pid(self):
        return int(self.host.succeed("systemctl show --property=MainPID --value tee-agent"))

    # --- the units ---

    def test_socket_that_is_stopped_is_fixed_when_somebody_says_so(self):
        self.made()
        check = self.see("agent.socket_unit", "fail", "is inactive", f"systemctl enable --now {SOCKET_UNIT}")
        self.assertEqual(check["fixes"], [["systemctl", "enable", "--now", SOCKET_UNIT]])
        self.see("agent.socket", "fail", f"systemctl enable --now {SOCKET_UNIT}")

        done = self.host.run(["tee-health", "--fix", "--only", "agent.socket_unit"])
        self.assertEqual(done.status, 2)
        self.assertIn("Nothing was done: there is no terminal to ask at", done.stdout)
        done = self.host.run([*NOBODY, "tee-health", "--fix", "--yes", "--only", "agent.socket_unit"])
        self.assertEqual(done.status, 2)
        self.assertIn("Nothing was done: that needs root", done.stdout)
        done = self.at_terminal("n\n", "agent.socket_unit")
        self.assertEqual(done.status, 2)
        self.assertIn(f"systemctl enable --now {SOCKET_UNIT}", done.stdout)
        self.assertIn("do it? [y/N]", done.stdout)
        self.assertEqual(self.at_terminal("\x03", "agent.socket_unit").status, 128 + signal.SIGINT)
        self.see("agent.socket_unit", "fail", "is inactive")

        done = self.at_terminal("y\n", "agent.socket_unit", "agent.socket")
        self.assertEqual(done.status, 0, done)
        self.assertIn("Created symlink", done.stdout, "what the command prints is shown")
        self.assertEqual(done.stdout.count("do it?"), 1, "the second is mended by the first")
        self.assertIn(f"{SOCKET_UNIT} is active and enabled", done.stdout)

        self.host.succeed(["systemctl", "disable", SOCKET_UNIT])
        self.see("agent.socket_unit", "warn", "after the next boot")
        check = self.fix(0, "agent.socket_unit")["agent.socket_unit"]
        self.assertEqual((check["verdict_before"], check["verdict"]), ("warn", "pass"))
        self.assertEqual([one["exit_status"] for one in check["repairs"]], [0])
        self.assertEqual(self.host.run(["tee-health", "--fix", "--only", "agent.socket_unit"]).status, 0)
        self.host.succeed(f"systemctl stop {SOCKET_UNIT} && ln -sf /dev/null /etc/systemd/system/{SOCKET_UNIT} && "
                          "systemctl daemon-reload")
        self.see("agent.socket_unit", "fail", "systemctl unmask")

    def test_service_that_was_given_up_is_started_again(self):
        self.listening()
        self.see("agent.service", "pass", "never restarted")
        self.host.succeed(["kill", "-KILL", str(self.main_pid())])
        wait_for("its successor", lambda: self.host.run("tee-health --only agent.answers").status == 0)
        self.see("agent.service", "warn", "1 times", "systemctl restart tee-agent")
        self.host.succeed(["systemctl", "restart", "tee-agent"])
        self.see("agent.service", "pass")

        self.drop_in("ExecStart=\nExecStart=/bin/false\nRestartSec=0")
        self.host.run(["systemctl", "restart", "tee-agent"])
        wait_for("a unit that is given up", lambda: self.host.run("systemctl is-failed tee-agent").status == 0)
        self.host.run(["tee-run", "--runtime", "sh", "-"], input=":")
        remedy = "systemctl reset-failed tee-agent.service tee-agent.socket && systemctl start tee-agent.socket"
        self.see("agent.service", "fail", "does not start it again", remedy)
        wait_for("the end of its socket", lambda: self.host.run(f"systemctl is-failed {SOCKET_UNIT}").status == 0)
        self.see("agent.socket_unit", "fail", "service-start-limit-hit", remedy)
        self.no_drop_in()
        self.fix(0, "agent.socket_unit", "agent.service")
        self.wait_open()

        self.host.succeed("cp /etc/tee/tee.conf /root && echo nonsense >>/etc/tee/tee.conf")
        self.host.run(["systemctl", "restart", "tee-agent"])
        check = self.see("agent.service", "fail", "tee.conf has a mistake", "--only config")
        self.assertEqual(check["fixes"], [], "a person has to mend it")
        self.host.succeed("cp /root/tee.conf /etc/tee/")
        self.host.succeed(remedy)
        self.wait_open()

    def test_watchdog(self):
        self.listening()
        self.see("agent.watchdog", "pass", "30 s")
        self.drop_in("WatchdogSec=0")
        self.host.succeed(["systemctl", "restart", "tee-agent"])
        self.see("agent.watchdog", "warn", "has no watchdog", "systemctl restart tee-agent")
        self.drop_in("WatchdogSec=10")
        self.host.succeed(["systemctl", "restart", "tee-agent"])
        self.wait_open()
        pid = self.main_pid()
        self.host.succeed(["kill", "-STOP", str(pid)])
        try:
            self.see("agent.answers", "fail", "does not answer", "systemctl status", options=["--timeout", "1"])
            wait_for("an overdue sign", lambda: self.host.run("tee-health --only agent.watchdog").status == 2, 20)
        finally:
            self.host.run(["kill", "-CONT", str(pid)])
        wait_for("a sign of life", lambda: self.host.run("tee-health --only agent.watchdog").status == 0, 20)

    # --- DISABLE_GVISOR ---

    def test_what_disables_gvisor_is_named(self):
        self.listening()
        self.see("agent.environment", "pass")
        self.drop_in("Environment=DISABLE_GVISOR=true")
        self.see("agent.environment", "warn", f"the drop-in {DROP_IN}", f"out of {DROP_IN}", "daemon-reload")
        self.see("agent.mode", "pass")
        self.host.succeed(["systemctl", "restart", "tee-agent"])
        self.wait_open()
        self.see("agent.mode", "warn", "gVisor is DISABLED", "agent.environment")
        self.drop_in("Environment=DISABLE_GVISOR=maybe")
        self.see("agent.environment", "fail", DROP_IN, "does not start with it")
        self.drop_in("Environment=DISABLE_GVISOR=false")
        self.see("agent.environment", "pass")
        self.no_drop_in()
        self.host.succeed(["systemctl", "restart", "tee-agent"])
        self.wait_open()
        self.see("agent.mode", "pass")

        before = self.host.read_file(UNIT)
        self.host.write_file(UNIT, before.replace("[Service]\n", "[Service]\nEnvironment=DISABLE_GVISOR=1\n"))
        self.host.succeed(["systemctl", "daemon-reload"])
        self.see("agent.environment", "warn", f"the unit's own file {UNIT}")
        self.host.write_file(UNIT, before)

        self.drop_in(f"EnvironmentFile=-{ENVIRONMENT}")
        self.see("agent.environment", "pass")
        self.host.write_file(ENVIRONMENT, '# DISABLE_GVISOR=false\nDISABLE_GVISOR="yes"\n', 0o600)
        self.see("agent.environment", "warn", f"the environment file {ENVIRONMENT}")
        self.see("agent.environment", "skip", ENVIRONMENT, "run it as root", by=NOBODY)
        self.no_drop_in()

        self.host.succeed("systemctl set-environment DISABLE_GVISOR=true")
        check = self.see("agent.environment", "warn", "systemd's own environment")
        self.host.succeed(check["remedy"].partition(";")[0])
        self.see("agent.environment", "pass")

        self.host.succeed("echo 'gvisor = { enabled = false; };' >>/etc/tee/tee.conf")
        self.see("agent.environment", "warn", "/etc/tee/tee.conf", "gvisor.enabled = false")

    # --- images, users, the probe ---

    def test_images_users_and_the_probe(self):
        self.listening()
        for mode, words in (("auto", "through the agent"), ("direct", "without the agent")):
            done = self.host.run(["tee-health", "--json", f"--probe={mode}", "--only", "probe"])
            report = {check["id"]: check for check in json.loads(done.stdout)["checks"]}
            self.assertEqual({check["verdict"] for check in report.values()}, {"pass"}, report)
            self.assertIn(words, report["probe.sandbox"]["seen"])
        self.assertEqual(self.host.succeed("docker ps --all --quiet --filter label=tee.instance=tee-health"), "")

        self.host.succeed("docker image rm --force tee-runtime-sh:latest")
        self.see("images.runtimes", "fail", "tee-install --with-runtime sh")
        self.fix(0, "images.runtimes", "agent.gate")
        self.host.succeed("tar -cT /dev/null | docker import --change 'LABEL tee.guest.version=0.0.1 tee.recipe=0 "
                          "tee.runtime=sh' - tee-runtime-sh:latest")
        check = self.see("images.runtimes", "fail", "0.0.1", "tee-install --refresh-runtimes")
        self.assertEqual(check["fixes"], [["tee-install", "--refresh-runtimes"]])
        self.fix(0, "images.runtimes")

        self.host.succeed("useradd someone")
        self.see("agent.user", "pass", "root")
        someone = ["setpriv", "--reuid=someone", "--regid=someone"]
        self.see("agent.user", "skip", "usermod --append --groups tee someone", by=[*someone, "--clear-groups"])
        self.host.succeed("usermod --append --groups tee someone")
        self.see("agent.user", "warn", "log in again", by=[*someone, "--clear-groups"])
        self.see("agent.user", "pass", "member of the group tee", by=[*someone, "--init-groups"])


class AgentBookworm(AgentTests, InstallTestCase):
    suite = "bookworm"


class AgentTrixie(AgentTests, InstallTestCase):
    suite = "trixie"
