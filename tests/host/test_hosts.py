# SPDX-License-Identifier: Apache-2.0
"""What the tests on hosts stand on: do hosts boot, are they what they seem, and is nothing left of them?"""

import io
import os
import pathlib
import re
import signal
import subprocess
import tarfile

from hosts import CGROUPS, HostTestCase, cgroup_mounts
from places import wait_for
import hosts
import keys
import repository
import servers
import trees

KEYRING = "/usr/share/keyrings/gvisor-archive-keyring.gpg"
DAEMON_JSON = '{"runtimes": {"runsc": {"path": "/usr/bin/runsc", "runtimeArgs": ["--network=none"]}}}\n'

# The reference guide's, but for sudo.
GUIDE = f"""
curl -fsSL https://gvisor.dev/archive.key | gpg --dearmor -o {KEYRING}
echo "deb [signed-by={KEYRING}] https://storage.googleapis.com/gvisor/releases release main" |
        tee /etc/apt/sources.list.d/gvisor.list
apt-get update
apt-get install -y runsc
"""


def busybox_image():
    """A root for `docker import` with nothing but a static busybox in it."""
    image = io.BytesIO()
    with tarfile.open(fileobj=image, mode="w") as tar:
        tar.add("/bin/busybox", "bin/busybox")
    return image.getvalue()


def left_of_a_host(runner=None):
    """Processes, mounts and cgroups of hosts that a runner (we, if none is given) has booted."""
    found = [line for line in pathlib.Path("/proc/self/mountinfo").read_text("utf-8").splitlines()
             if "/run/upper" in line or "/run/root" in line]
    found += [str(cgroup) for mounted in cgroup_mounts()
              for cgroup in mounted.glob(f"{CGROUPS}{runner or os.getpid()}-*")]
    return found + processes_with(f"{CGROUPS}{runner or os.getpid()}-".encode())


def processes_with(word):
    """Those that have a word among their arguments or in their environment."""
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if word in (folder / "cmdline").read_bytes() + b"\0" + (folder / "environ").read_bytes():
                found.append(folder.name)
        except OSError:
            continue
    return [pid for pid in found if int(pid) != os.getpid()]


class Hosts:
    def test_boots_as_a_debian_of_its_own_and_leaves_nothing(self):
        host = self.boot()
        self.assertIn(f"VERSION_CODENAME={self.suite}\n", host.read_file("/etc/os-release"))
        self.assertEqual(host.succeed("hostname; cat /proc/1/comm; id -u; pwd; echo $HOME $0; stat -fc %T /"),
                         "host\nsystemd\n0\n/\n/root bash\noverlayfs\n")
        self.assertEqual(host.succeed("ls /etc/apt/sources.list.d; ls /var/lib/apt/lists"),
                         host.succeed("ls /var/lib/apt/lists"), "there is an apt source")
        self.assertFalse(host.run("test -e /etc/apt/sources.list").status == 0)
        self.assertEqual(set(re.findall(r"^ *(\w+):", host.read_file("/proc/net/dev"), re.M)), {"lo"})
        self.assertNotEqual(host.run("getent hosts gvisor.dev").status, 0)
        self.assertNotEqual(left_of_a_host(), [])
        upper = pathlib.Path(f"/proc/{host.nspawn}/root/run/upper")
        self.assertTrue(upper.is_dir())
        host.poweroff()
        self.assertEqual(left_of_a_host(), [])
        self.assertFalse(upper.exists())

    def test_a_unit_that_fails_is_named_and_its_host_is_gone(self):
        host = hosts.Host(self.suite, name="degraded")
        self.addCleanup(host.close)
        unit = "systemd-user-sessions.service"
        with self.assertRaisesRegex(AssertionError, f"the host is degraded; failed: {unit}\n"):
            host.boot({f"/etc/systemd/system/{unit}.d/broken.conf": "[Service]\nExecStartPre=/bin/false\n"})
        self.assertEqual(host.failed_units(), [unit])
        host.close()
        self.assertEqual(left_of_a_host(), [])

    def test_a_command_gets_its_input_and_its_end_is_told_as_it_was(self):
        host = self.boot()
        done = host.run("read -r line; echo \"got $line $WORD\"; echo no >&2; exit 7", input="in\n", env={"WORD": "x"})
        self.assertEqual((done.status, done.stdout, done.stderr), (7, "got in x\n", "no\n"))
        self.assertEqual(host.run(["cat"], input=b"\0\xff").stdout, b"\0\xff")
        self.assertEqual(host.run("kill -KILL $$").status, 137)
        self.assertEqual(host.run(["/no/such/program"]).status, 127)
        with self.assertRaises(subprocess.TimeoutExpired):
            host.run(["sleep", "1234"], timeout=0.5)
        wait_for("the end of sleep", lambda: host.run(["grep", "-lsx", "sleep", "-r", "/proc/1/comm"]).status != 0)
        self.assertEqual(processes_with(b"1234"), [])

    def test_a_command_in_the_background_can_be_killed_after_a_line(self):
        host = self.boot()
        running = host.start("for n in 1 2 3; do echo line $n; done; echo last >&2; exec sleep 1235")
        self.assertEqual(running.wait_line(r"line \d"), "line 1")
        self.assertEqual(running.wait_line("last"), "last")
        self.assertEqual(running.output(), "line 1\nline 2\nline 3\nlast")
        running.signal(signal.SIGKILL)
        self.assertEqual(running.end().status, 137)
        self.assertEqual(processes_with(b"1235"), [])
        with self.assertRaisesRegex(AssertionError, "has ended without a line like 'never'"):
            running.wait_line("never")

    def test_files_are_written_inside_even_through_a_link_that_seems_to_lead_out(self):
        host = self.boot()
        host.succeed("mkdir /etc/docker; ln -s /root/elsewhere.json /etc/docker/daemon.json")
        host.write_file("/etc/docker/daemon.json", "{}\n", 0o640)
        self.assertEqual(host.succeed(["stat", "-c", "%a %s", "/root/elsewhere.json"]), "640 3\n")
        self.assertEqual(host.read_file("/etc/docker/daemon.json"), "{}\n")
        self.assertFalse(pathlib.Path("/root/elsewhere.json").exists())

    def test_the_journal_can_be_read(self):
        host = self.boot()
        host.succeed("systemd-run --quiet --wait --unit=speaker.service echo something to say")
        spoken = [record["MESSAGE"] for record in host.journal("speaker.service")]
        self.assertIn("something to say", spoken)
        self.assertGreater(len(host.journal()), len(spoken))

    def test_our_programs_run_on_it(self):
        host = self.boot()
        host.install("tee-agent")
        self.assertRegex(host.succeed(["tee-agent", "--version"]), r"^tee-agent \d")

    # --- snapshots ---

    def test_nothing_differs_on_an_idle_host(self):
        host = self.boot("docker")
        before = host.snapshot()
        self.assertGreater(len(before.entries), 5000)
        self.assertIn("runc", before.packages)
        host.succeed(["docker", "info"])
        self.assertEqual(before.differences(host.snapshot()), [])

    def test_every_kind_of_difference_is_noticed(self):
        host = self.boot()
        before = host.snapshot()
        host.succeed("""
            echo new >/etc/added
            ln -s /nowhere /usr/local/bin/link
            rm /etc/issue
            chmod 0600 /etc/passwd
            touch -d 2001-01-01 /etc/group
            sed -i.bak s/root/toor/ /etc/shadow && touch -r /etc/shadow.bak /etc/shadow && rm /etc/shadow.bak
            chown 1:2 /etc/fstab
            echo more >>/etc/profile
            ln -sf /elsewhere /etc/localtime
            rm /etc/environment; mkdir /etc/environment
            touch /tmp/left /root/left
            sed -i 's/^Status: install ok installed/Status: hold ok installed/' /var/lib/dpkg/status
        """)
        said = before.differences(host.snapshot())
        self.assertEqual([line for line in said if "added" in line or "removed" in line],
                         ["/etc/added was added: a file", "/etc/issue was removed: a file",
                          "/root/left was added: a file", "/tmp/left was added: a file",
                          "/usr/local/bin/link was added: a link"])
        text = "\n".join(said)
        for pattern in (r"^/etc/passwd has another mode: 0644, now 0600$", r"^/etc/group has another mtime: \d+ ns",
                        r"^/etc/shadow has another content$", r"^/etc/fstab has another owner: 0:0, now 1:2$",
                        r"^/etc/profile has another size: \d+, now \d+$",
                        r"^/etc/localtime has another target: .*, now /elsewhere$",
                        r"^/etc/environment has become a folder, was a file$",
                        r"^package apt was .* \(install ok installed\), is .* \(hold ok installed\)$"):
            self.assertRegex(text, re.compile(pattern, re.M))
        self.assertNotRegex(text, re.compile(r"^/etc/group has another (content|size|mode)", re.M))
        self.assertNotIn("/etc/added", "\n".join(before.differences(host.snapshot(), ignore=["/etc/a*"])))

    def test_a_file_that_came_and_went_shows_in_its_folder(self):
        host = self.boot()
        before = host.snapshot()
        host.succeed("touch /etc/brief; rm /etc/brief; mv /etc/issue /etc/i; mv /etc/i /etc/issue")
        later = host.snapshot()
        self.assertEqual(before.differences(later), [])
        (line,) = before.differences(later, folder_times=True)
        self.assertRegex(line, r"^/etc has another mtime: ")

    # --- apt, Docker and gVisor ---

    def test_docker_answers(self):
        host = self.boot("docker")
        self.assertEqual(host.succeed("docker info --format '{{.Driver}} {{.CgroupVersion}}'").split()[0], "overlay2")
        host.succeed(["docker", "import", "-", "busybox"], input=busybox_image())
        self.assertEqual(host.succeed("docker run --rm busybox /bin/busybox echo from runc"), "from runc\n")

    def test_the_guide_s_commands_install_a_gvisor_that_runs(self):
        host = self.boot("docker")
        server = servers.Server(host, repository.gvisor(self.suite), repository.debian(self.suite))
        repository.add_debian_source(host)
        host.succeed("apt-get update && apt-get install --yes curl gpg")
        host.succeed(GUIDE)
        self.assertEqual(host.succeed(f"gpg --show-keys --with-colons {KEYRING} | grep ^fpr: | cut -d: -f10").split(),
                         [keys.fingerprint("gvisor")])
        self.assertEqual(server.count("https://gvisor.dev/archive.key"), 1)
        self.assertEqual(server.count("https://storage.googleapis.com/gvisor/releases/pool/"), 1)
        self.assertEqual(host.succeed("dpkg-query --show runsc"), "runsc\t20260105.0\n")
        host.write_file("/etc/docker/daemon.json", DAEMON_JSON)
        host.succeed("systemctl reload docker")
        wait_for("the OCI runtime", lambda: "runsc" in host.succeed("docker info --format '{{.Runtimes}}'"))
        host.succeed(["docker", "import", "-", "busybox"], input=busybox_image())
        kernel = host.succeed("docker run --rm --network none --runtime runsc busybox /bin/busybox sh -c "
                              "'/bin/busybox uname -r; /bin/busybox dmesg'")
        self.assertEqual(kernel.splitlines()[0], "4.4.0")
        self.assertIn("Starting gVisor...", kernel)

    def test_docker_can_be_installed_on_a_bare_host(self):
        host = self.boot()
        servers.Server(host, repository.debian(self.suite))
        repository.add_debian_source(host)
        host.succeed(["sh", "-c", "apt-get update && apt-get install --yes --no-install-recommends " +
                      " ".join(trees.SUITES[self.suite].docker)])
        self.assertEqual(host.succeed("systemctl is-active docker"), "active\n")
        self.assertEqual(host.succeed("docker info --format '{{.Driver}}'"), "overlay2\n")


class Bookworm(Hosts, HostTestCase):
    suite = "bookworm"


class Trixie(Hosts, HostTestCase):
    suite = "trixie"
