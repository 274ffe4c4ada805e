# SPDX-License-Identifier: Apache-2.0
"""What an administrator does with the package, on a machine with a kernel of its own and cgroups of version 2, and in
this order: the tests are steps on one machine, and what stands after one that failed fails, too."""

import json
import os
import re

from test_package import CONFIG, HELLO, PackageTestCase
import machine
import packages
import repository

# An emulated machine takes ten times as long, and a program that is run while sandboxes are made as long again: a Deno
# that was not started ahead prints its first line after 10 s and more, which is the limit. So it gets ten times that.
TIMES = re.compile(r"(\bboot_ms = |\b(?:wall|cpu)_ms += \{ default = )(\d+);")
SHUT = re.compile(r"The gate is shut \((oci_runtime|image)_missing\): |Refused a request: 503 oci_runtime_missing$"
                  r"|Runtime deno is not available \(image_missing\): ")
FILLS_MEMORY = "const all = []; for (;;) all.push(new Uint8Array(8 << 20).fill(1))"

# The agent is quicker than the kernel here, so it is stopped, for less than its watchdog would bear.
KERNEL_FIRST = """
trap 'systemctl kill --signal CONT tee-agent' EXIT
killed() { dmesg | grep 'oom-kill:.*oom_memcg=[^,]*/docker-' >/tmp/killed; }
dmesg --clear
echo "console.log('begun'); setTimeout(() => { $1 }, 5000)" | tee-run - >/tmp/out &
timeout 200 bash -c 'until grep -q begun /tmp/out; do sleep 0.1; done'
systemctl kill --signal STOP tee-agent
for ((i = 0; i < 100; i++)); do ! killed || break; sleep 0.2; done
systemctl kill --signal CONT tee-agent
head -n 1 /tmp/killed
wait "$!"
"""


class Administrator(PackageTestCase):
    suite = "trixie"
    failed = None

    @classmethod
    def setUpClass(cls):
        cls.site = packages.site(cls.suite)
        cls.sites = [cls.site, repository.gvisor(cls.suite), repository.debian(cls.suite)]
        cls.host = machine.Machine(cls.suite)
        cls.addClassCleanup(cls.host.close)

    def run(self, result=None):
        before = result.failed
        super().run(result)
        if result.failed > before:
            type(self).failed = self._testMethodName

    def setUp(self):
        if self.failed:
            self.fail(f"{self.failed} has failed before")

    def show(self, *facts):
        print("".join(f"     {line}\n" for fact in facts for line in fact.splitlines()), end="", flush=True)

    def test_1_boots_with_a_kernel_of_its_own_and_cgroups_of_version_2(self):
        self.host.boot(self.sites, {"deno": packages.deno().read_bytes(), "hello.ts": HELLO.encode()})
        kernel = self.host.succeed("uname -r").strip()
        self.assertEqual(kernel, self.host.kernel)
        self.assertNotEqual(kernel, os.uname().release)
        controllers = self.host.read_file("/sys/fs/cgroup/cgroup.controllers")
        self.assertLessEqual({"cpu", "memory", "pids"}, set(controllers.split()))
        docker = self.host.succeed(["docker", "info", "--format", "{{.CgroupVersion}} {{.CgroupDriver}} {{.Driver}}"])
        self.assertEqual(docker, "2 systemd overlay2\n")
        self.show(f"uname -r: {kernel}", f"cgroup.controllers: {controllers}", f"docker: {docker}",
                  f"systemd-analyze: {self.host.succeed('systemd-analyze time')}")

    def test_2_apt_installs_it_and_a_request_is_told_what_is_missing(self):
        repository.add_debian_source(self.host)
        packages.add_source(self.host, self.site)
        self.host.succeed("apt-get update")
        self.apt("install", "tee-agent", timeout=300)
        self.assertEqual(self.state("tee-agent.socket", "ActiveState", "UnitFileState"), ("active", "enabled"))
        self.assertEqual(self.state("tee-agent.service", "ActiveState", "UnitFileState"), ("inactive", "disabled"))
        said = self.host.succeed("systemctl status --no-pager tee-agent.socket")
        self.assertIn("/run/tee/agent.sock (Stream)", said)

        text, count = TIMES.subn(r"\g<1>\g<2>0;", self.host.read_file(CONFIG))
        self.assertEqual(count, 3)
        self.host.write_file(CONFIG, text)
        done = self.hello()
        self.assertEqual((done.status, done.stdout), (125, ""), done)
        self.assertRegex(done.stderr, r"refused \(oci_runtime_missing\): Docker knows no OCI runtime 'runsc'")
        self.assertRegex(done.stderr, r"remedy: .*runsc")
        self.show(said, done.stderr)

    def test_3_tee_install_opens_the_gate_and_nothing_is_restarted(self):
        process = self.state("tee-agent.service", "MainPID")
        self.make_ready()
        type(self).since = self.now()
        self.assert_hello()
        self.assertEqual(self.state("tee-agent.service", "MainPID"), process)
        result = json.loads(self.host.succeed(["tee-run", "--json", "/srv/hello.ts"]))
        self.assertEqual((result["status"], result["stdout"]), ("ok", "hello from a sandbox\n"))
        self.assertEqual((result["sandbox"]["gvisor"], result["sandbox"]["oci_runtime"]), (True, "runsc"))
        self.assertNotIn(self.host.kernel, result["sandbox"]["kernel"])
        self.show(json.dumps(result))

    def test_4_a_program_that_fills_its_memory_ends_at_that_limit(self):
        done = self.host.run(["tee-run", "--json", "-"], input=f"console.log('begun'); {FILLS_MEMORY}")
        self.show(done.stdout)
        self.assertEqual(done.status, 137, done)
        result = json.loads(done.stdout)
        self.assertEqual((result["status"], result["stdout"]), ("memory_limit", "begun\n"), result)
        self.assertIn("memory_mb", result["cause"])
        self.assertTrue(result["evidence"])

    def test_5_and_ends_there_too_when_the_kernel_has_killed_it(self):
        done = self.host.run(["bash", "-euo", "pipefail", "-c", KERNEL_FIRST, "kernel-first", FILLS_MEMORY])
        self.show(done.stdout, done.stderr)
        self.assertEqual(done.status, 137, done)
        self.assertEqual(done.stderr, "tee-run: memory_limit: limits.memory_mb = 256: the kernel killed the sandbox\n")
        self.assertIn("oom-kill:", done.stdout)

    def test_6_the_journal_warns_of_the_shut_gate_and_of_nothing_since(self):
        said = self.warnings().splitlines()
        self.show(*said)
        self.assertEqual([line for line in said if not SHUT.match(line)], [])
        self.assertEqual(self.warnings(self.since), "")

    def test_7_powers_off_in_order(self):
        said = self.host.poweroff()
        self.assertIn("reboot: Power down", said)
        self.assertNotIn("[FAILED]", said)
        self.assertNotIn("Timed out", said)
