# SPDX-License-Identifier: Apache-2.0
"""tee-health on booted hosts, as an administrator meets it: what it says of a host with nothing but Docker, that its
remedies, typed one after the other, make that host well, and what each user gets to see of it then."""

import json

from places import ROOT, wait_for
from test_install import InstallTestCase

CONFIG = """
runtimes = {
    sh = { image = "tee-runtime-sh:latest"; entry = "main.sh"; command = [ "/bin/busybox", "sh" ]; };
};
"""

SUBSTITUTES = {"@SBINDIR@": "/usr/local/sbin", "@SYSCONFDIR@": "/etc"}
FILES = {"tee-agent.service": "/etc/systemd/system/tee-agent.service",
         "tee-agent.socket": "/etc/systemd/system/tee-agent.socket",
         "tee-agent.sysusers": "/etc/sysusers.d/tee-agent.conf",
         "tee-agent.tmpfiles": "/etc/tmpfiles.d/tee-agent.conf"}


class HealthTests:
    """Of both suites."""

    def prepare_agent(self):
        """All that `make install` puts on a host, which has Docker and no gVisor yet."""
        self.prepare()
        for program in ("tee-agent", "tee-health"):
            self.host.install(program)
        for name, path in FILES.items():
            text = (ROOT / "units" / name).read_text(encoding="utf-8")
            for word, value in SUBSTITUTES.items():
                text = text.replace(word, value)
            self.host.write_file(path, text)
        self.host.write_file("/etc/tee/tee.conf", CONFIG)
        self.host.write_file("/bin/busybox", open("/bin/busybox", "rb").read(), 0o755)
        self.host.succeed("systemd-sysusers && systemd-tmpfiles --create && systemctl daemon-reload")

    def report(self, status, *command):
        done = self.host.run([*command, "tee-health", "--json"])
        self.assertEqual(done.status, status, done)
        return {check["id"]: check for check in json.loads(done.stdout)["checks"]}

    def verdicts(self, status, *command):
        return {name: check["verdict"] for name, check in self.report(status, *command).items()}

    def test_its_remedies_make_a_host_well(self):
        self.prepare_agent()
        before = self.report(2)
        self.assertEqual({name for name, check in before.items() if check["verdict"] == "pass"},
                         {"config.valid", "host.linux_and_architecture", "host.cgroups", "docker.reachable"})
        self.assertEqual(before["runsc.program"]["remedy"], "tee-install --with-gvisor")
        self.assertEqual(before["registration.running"]["remedy"], "tee-install --with-gvisor")
        self.installed()

        before = self.report(2)
        self.assertEqual(before["registration.running"]["verdict"], "pass")
        self.assertEqual(before["images.runtimes"]["remedy"], "tee-install --with-runtime sh")
        self.host.succeed(before["images.runtimes"]["remedy"])

        before = self.report(2)
        self.assertEqual(before["agent.socket"]["remedy"], "systemctl enable --now tee-agent.socket")
        self.host.succeed(before["agent.socket"]["remedy"])
        wait_for("an open gate", lambda: self.host.run("tee-health --only agent.gate").status == 0, 20)
        self.assertEqual(set(self.verdicts(0).values()), {"pass"})

        nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup"]
        groups = self.host.succeed("getent group docker tee | cut -d : -f 3").split()
        self.assertEqual(set(self.verdicts(0, *nobody, "--groups=" + ",".join(groups)).values()), {"pass"})
        skipped = self.verdicts(3, *nobody, "--clear-groups")
        self.assertEqual({name for name, verdict in skipped.items() if verdict == "skip"},
                         {"docker.reachable", "registration.running", "images.runtimes", "agent.answers", "agent.gate",
                          "agent.mode"})
        of_tee = self.verdicts(0, *nobody, f"--groups={groups[1]}")
        self.assertEqual(of_tee["agent.gate"], "pass")
        self.assertEqual(of_tee["docker.reachable"], "skip")


class HealthBookworm(HealthTests, InstallTestCase):
    suite = "bookworm"


class HealthTrixie(HealthTests, InstallTestCase):
    suite = "trixie"
