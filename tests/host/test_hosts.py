# SPDX-License-Identifier: Apache-2.0
"""What the tests on hosts stand on: do hosts boot, are they what they seem, and is nothing left of them?"""

import contextlib
import io
import os
import pathlib
import re
import signal
import subprocess
import sys
import tarfile

from hosts import CGROUPS, HostTestCase, cgroup_mounts
from places import wait_for
import hosts
import keys
import repository
import servers
import trees

RELEASES = "https://storage.googleapis.com/gvisor/releases"
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
    """Mounts, cgroups and processes of the hosts of a runner, which is us if none is given."""
    name = f"{CGROUPS}{runner or os.getpid()}-"
    mounts = [line for line in pathlib.Path("/proc/self/mountinfo").read_text("utf-8").splitlines()
              if "/run/upper" in line or "/run/root" in line]
    return mounts + cgroups_of(runner) + processes_with(name.encode())


def cgroups_of(runner=None):
    name = f"{CGROUPS}{runner or os.getpid()}-*"
    return [str(cgroup) for mounted in cgroup_mounts() for cgroup in mounted.glob(name)]


def processes_in(cgroups):
    return {pid for cgroup in cgroups for file in pathlib.Path(cgroup).rglob("cgroup.procs")
            for pid in file.read_text("ascii").split()}


def alive(pid):
    """A zombie is not. Some PID 1 reaps none."""
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(") ")[2][0] not in "ZX"
    return False


def processes_with(word):
    """Those that have a word among their arguments or in their environment."""
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if word in (folder / "cmdline").read_bytes() + b"\0" + (folder / "environ").read_bytes():
                found.append(int(folder.name))
    return [pid for pid in found if pid != os.getpid()]


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

    def test_a_host_keeps_its_disk_over_a_reboot_and_a_power_failure(self):
        host = self.boot()
        for hard in (False, True):
            boot, leader = host.succeed("cat /proc/sys/kernel/random/boot_id"), host.leader
            self.serve(repository.gvisor(self.suite))
            host.write_file("/etc/kept", f"{hard}")
            running = host.start("echo up; exec sleep 123459")
            running.wait_line("up")
            host.reboot(hard)
            self.assertEqual(host.read_file("/etc/kept"), f"{hard}")
            self.assertNotEqual((host.succeed("cat /proc/sys/kernel/random/boot_id"), host.leader), (boot, leader))
            self.assertNotEqual(running.end().status, 0)
            self.assertEqual(processes_with(b"123459"), [])
        host.start("echo up; exec sleep 123459").wait_line("up")
        host.poweroff()
        self.assertEqual(processes_with(b"123459") + left_of_a_host(), [])

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
        with self.assertRaisesRegex(AssertionError, r"runs for more than 0\.5 s:\n.*so far"):
            host.run("echo so far; exec sleep 123456", timeout=0.5)
        wait_for("the end of sleep", lambda: not processes_with(b"123456"))

    def test_a_command_in_the_background_can_be_killed_after_a_line(self):
        host = self.boot()
        running = host.start("for n in 1 2 3; do echo line $n; done; echo last >&2; exec sleep 123457")
        self.assertEqual(running.wait_line(r"line \d"), "line 1")
        self.assertEqual(running.wait_line("last"), "last")
        self.assertEqual(running.output(), "line 1\nline 2\nline 3\nlast")
        running.signal(signal.SIGKILL)
        self.assertEqual(running.end().status, 137)
        self.assertEqual(processes_with(b"123457"), [])
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

    def test_nothing_is_left_when_the_runner_is_interrupted_or_killed(self):
        trees.tree(self.suite, "docker")
        script = ("import sys; sys.path[:0] = sys.argv[1:3]\n"
                  "import hosts\n"
                  "try:\n"
                  "    host = hosts.Host(sys.argv[3], 'docker').boot()\n"
                  "    running = host.start('echo up; exec sleep 123458')\n"
                  "    print(running.wait_line('up'), flush=True)\n"
                  "    running.end()\n"
                  "finally:\n"
                  "    hosts.close_all()\n")
        command = [sys.executable, "-B", "-c", script, *sys.path[:2], self.suite]
        for number in (signal.SIGINT, signal.SIGKILL):
            with self.subTest(number.name), subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                                             stderr=subprocess.DEVNULL) as runner:
                self.addCleanup(runner.kill)
                self.assertEqual(runner.stdout.readline(), b"up\n")
                processes = processes_in(cgroups_of(runner.pid))
                self.assertGreater(len(processes), 5)
                runner.send_signal(number)
                runner.wait(60)
                wait_for("the end of its processes", lambda: not any(map(alive, processes)))
                self.assertEqual(processes_in(cgroups_of(runner.pid)), set())
                if number == signal.SIGKILL:
                    self.assertNotEqual(cgroups_of(runner.pid), [])  # which the next runner removes
                    hosts.remove_stale_cgroups()
                self.assertEqual(left_of_a_host(runner.pid), [])

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

    def test_installing_and_purging_a_package_leaves_no_difference(self):
        host = self.boot()
        self.serve(repository.gvisor(self.suite))
        host.succeed("apt-get update")
        before = host.snapshot()
        host.succeed("apt-get install --yes runsc")
        said = before.differences(host.snapshot())
        self.assertIn("/usr/bin/runsc was added: a file", said)
        self.assertIn("package runsc was not there, is 20260105.0 (install ok installed)", said)
        host.succeed("apt-get purge --yes runsc")
        self.assertEqual(before.differences(host.snapshot()), [])

    # --- the servers ---

    def serve(self, *sites, source=True, **options):
        """A server for the test's host; the host's apt knows gVisor's repository, unless the test wants to do that."""
        server = servers.Server(self.host, *sites, **options)
        if source:
            self.host.write_file("/etc/apt/keyrings/gvisor.asc", keys.public_key("gvisor"))
            self.host.write_file("/etc/apt/sources.list.d/gvisor.list", "deb [signed-by=/etc/apt/keyrings/gvisor.asc] "
                                 "https://storage.googleapis.com/gvisor/releases release main\n")
        return server

    def test_apt_takes_what_is_sound_and_fetches_nothing_twice(self):
        host = self.boot()
        server = self.serve(repository.gvisor(self.suite))
        host.succeed("apt-get update && apt-get install --yes runsc")
        packages = f"{RELEASES}/dists/release/main/binary-amd64/Packages.gz"
        self.assertEqual((server.count(packages), server.count("/pool/")), (1, 1))
        done = host.run("apt-get update && apt-get install --yes runsc")
        self.assertIn("Hit:1 ", done.stdout)
        self.assertEqual((done.status, server.count(packages), server.count("/pool/")), (0, 1, 1))
        self.assertEqual(server.count("http://"), 0)

    def test_apt_refuses_a_repository_that_was_changed_after_it_was_signed(self):
        host = self.boot()
        self.serve(repository.gvisor(self.suite, "signature"))
        done = host.run(["apt-get", "-o", "APT::Update::Error-Mode=any", "update"])
        self.assertEqual(done.status, 100)
        self.assertRegex(done.stderr, "BADSIG|is not valid|invalid|Message has been manipulated")

    def test_dpkg_refuses_a_web_page_that_the_index_vouches_for(self):
        host = self.boot()
        server = self.serve(repository.gvisor(self.suite, "package"))
        host.succeed("apt-get update")
        done = host.run("apt-get install --yes runsc")
        self.assertEqual(done.status, 100)
        self.assertIn("is not a Debian format archive", done.stdout + done.stderr)
        self.assertEqual(server.count("/pool/"), 1)

    def test_each_key_is_what_it_says(self):
        host = self.boot()
        held = {}
        for fault in (None, "key-other", "key-two"):
            key = (repository.gvisor(self.suite, fault) / "gvisor.dev" / "archive.key").read_bytes()
            self.assertTrue(key.startswith(b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n"))
            held[fault] = re.findall(rb"^pub:.*\n(?:fpr:+)(\w+):$", keys.gpg(
                "--show-keys", "--with-colons", data=key), re.M)
        ours, others = (keys.fingerprint(owner).encode() for owner in ("gvisor", "other"))
        self.assertEqual(held, {None: [ours], "key-other": [others], "key-two": [ours, others]})
        self.serve(repository.gvisor(self.suite, "key-page"), source=False)
        self.assertTrue(self.get(host, "https://gvisor.dev/archive.key").stdout.startswith("<!DOCTYPE html>"))

    def get(self, host, address, timeout=5, **options):
        """By apt's own HTTP client, since a bare host has no other."""
        limits = f"-o Acquire::Retries=0 -o Acquire::http::Timeout={timeout} -o Acquire::https::Timeout={timeout}"
        return host.run(f"cd /tmp && rm -f got && /usr/lib/apt/apt-helper {limits} download-file {address} got >&2 && "
                        "cat got", **options)

    def test_a_server_can_fail_in_many_ways(self):
        host = self.boot()
        key = "https://gvisor.dev/archive.key"
        server = self.serve(repository.gvisor(self.suite), source=False)
        sound = keys.public_key("gvisor").decode()
        self.assertEqual(self.get(host, key).stdout, sound)
        self.assertEqual(self.get(host, "http://mirror.test/archive.key").stdout, sound)
        for what, (answer, said) in {"not found": (servers.error(404), "404"), "broken": (servers.error(500), "500"),
                                     "cut": (servers.cut(100), "(?i)closed|unexpected eof|undetermined"),
                                     "stalled": (servers.stall(100), "timed out|timeout")}.items():
            with self.subTest(what):
                server.answer(key, answer)
                done = self.get(host, key, timeout=1)
                self.assertNotEqual(done.status, 0)
                self.assertRegex(done.stderr, said)
        server.answer(key, servers.page)
        self.assertEqual(self.get(host, key).stdout.encode(), repository.PAGE)
        server.answer(key, servers.redirect("http://gvisor.dev/archive.key"))
        self.assertNotEqual(self.get(host, key).status, 0)  # apt does not follow that way, and nobody should
        self.assertEqual(server.count("http://gvisor.dev/archive.key"), 0)
        server.answer(key, servers.redirect("https://mirror.test/archive.key"))
        self.assertEqual(self.get(host, key).stdout, sound)
        server.answer(key, None)
        self.assertEqual(self.get(host, key).stdout, sound)
        server.answer("http://gvisor.dev/archive.key", servers.endless)
        self.assertEqual(host.succeed("exec 3<>/dev/tcp/gvisor.dev/80; printf 'GET /archive.key HTTP/1.1\\r\\n"
                                      "Host: gvisor.dev\\r\\n\\r\\n' >&3; head -c 1000000 <&3 | wc -c"), "1000000\n")

    def test_a_stranger_s_certificate_is_not_trusted(self):
        host = self.boot()
        server = self.serve(repository.gvisor(self.suite), source=False, certificate="stranger")
        done = self.get(host, "https://gvisor.dev/archive.key")
        self.assertNotEqual(done.status, 0)
        self.assertRegex(done.stderr, "(?i)certificate")
        self.assertEqual(server.count(""), 0)

    def test_a_proxy_is_the_only_way(self):
        host = self.boot()
        server = self.serve(repository.gvisor(self.suite), source=False, proxy=True)
        key = "https://gvisor.dev/archive.key"
        self.assertNotEqual(self.get(host, key).status, 0)
        through = {"http_proxy": servers.PROXY, "https_proxy": servers.PROXY}
        sound = keys.public_key("gvisor").decode()
        self.assertEqual(self.get(host, key, env=through).stdout, sound)
        self.assertEqual(self.get(host, "http://mirror.test/archive.key", env=through).stdout, sound)
        self.assertEqual(dict(server.proxied), {"gvisor.dev:443": 1, "http://mirror.test/archive.key": 1})
        self.assertEqual(dict(server.requests), {key: 1, "http://mirror.test/archive.key": 1})

    # --- apt, Docker and gVisor ---

    def test_docker_answers(self):
        host = self.boot("docker")
        self.assertEqual(host.succeed("docker info --format '{{.Driver}} {{.CgroupVersion}}'").split()[0], "overlay2")
        host.succeed(["docker", "import", "-", "busybox"], input=busybox_image())
        self.assertEqual(host.succeed("docker run --rm busybox /bin/busybox echo from runc"), "from runc\n")

    def test_the_guide_s_commands_install_a_gvisor_that_runs(self):
        host = self.boot("docker")
        server = self.serve(repository.gvisor(self.suite), repository.debian(self.suite), source=False)
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
        self.serve(repository.debian(self.suite), source=False)
        repository.add_debian_source(host)
        host.succeed(["sh", "-c", "apt-get update && apt-get install --yes --no-install-recommends " +
                      " ".join(trees.SUITES[self.suite].docker)])
        self.assertEqual(host.succeed("systemctl is-active docker"), "active\n")
        self.assertEqual(host.succeed("docker info --format '{{.Driver}}'"), "overlay2\n")


class Bookworm(Hosts, HostTestCase):
    suite = "bookworm"


class Trixie(Hosts, HostTestCase):
    suite = "trixie"
