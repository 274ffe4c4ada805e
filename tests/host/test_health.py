# SPDX-License-Identifier: Apache-2.0
"""tee-health on booted hosts, as an administrator meets it: what it says of a host with nothing but Docker, that its
remedies, typed one after the other, make that host well, and what each user gets to see of it then."""

import json

from places import wait_for
from test_install import InstallTestCase


class HealthTests:
    """Of both suites."""

    def report(self, status, *command):
        """All but the probes, and docker.runc, which is well or not as Debian has mended its runc."""
        done = self.host.run([*command, "tee-health", "--list"])
        names = [line.split()[0] for line in done.stdout.splitlines()]
        only = [word for name in names if name != "docker.runc" and not name.startswith("probe.")
                for word in ("--only", name)]
        done = self.host.run([*command, "tee-health", "--json", *only])
        self.assertEqual(done.status, status, done)
        return {check["id"]: check for check in json.loads(done.stdout)["checks"]}

    def verdicts(self, status, *command):
        return {name: check["verdict"] for name, check in self.report(status, *command).items()}

    def test_its_remedies_make_a_host_well(self):
        self.prepare()
        self.place_agent()
        before = self.report(2)
        self.assertEqual({name for name, check in before.items() if check["verdict"] == "pass"},
                         {"config.valid", "host.linux_and_architecture", "host.cgroups", "host.kvm", "host.memory",
                          "docker.reachable", "docker.version", "docker.host", "docker.socket", "docker.network_api",
                          "docker.live_restore", "docker.disk", "registration.default", "apt.trusted_keys", "agent.service",
                          "agent.environment"})
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
                         {"docker.reachable", "docker.version", "docker.host", "docker.network_api", "docker.live_restore",
                          "docker.disk", "registration.running", "registration.default", "images.runtimes", "agent.user",
                          "agent.answers", "agent.gate", "agent.mode"})
        of_tee = self.verdicts(0, *nobody, f"--groups={groups[1]}")
        self.assertEqual(of_tee["agent.gate"], "pass")
        self.assertEqual(of_tee["docker.reachable"], "skip")


class HealthBookworm(HealthTests, InstallTestCase):
    suite = "bookworm"


class HealthTrixie(HealthTests, InstallTestCase):
    suite = "trixie"
