# SPDX-License-Identifier: Apache-2.0
"""The package: what it is made of, and on booted hosts what an administrator does with it, from `apt install` to `apt
purge`."""

import collections
import hashlib
import json
import os
import pathlib
import re
import subprocess
import tempfile
import threading
import unittest
import unittest.mock

from api import http_request
from hosts import HostTestCase
from places import ROOT, VERSION, guides, wait_for
import keys
import packages
import prometheus
import repository
import servers
import trees

CONFIG = "/etc/tee/tee.conf"
DOCKER = {"bridge": "none", "iptables": False}
HELLO = 'console.log("hello from a sandbox")'
ACCOUNTS = re.compile(r"/etc/(passwd|group|shadow|gshadow) has another mtime: ")  # and the same content again
OLDER, NEWER = "0.0.9", "0.1.1"


def call(*command):
    return subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=600, check=False)


class Package:
    """What can be said of the package without a host."""

    suite = None

    def test_lintian_has_nothing_to_say(self):
        (changes,) = packages.built(self.suite).glob("*.changes")
        done = call("lintian", "--pedantic", "--allow-root", changes)
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_each_compiler_call_is_hardened(self):
        done = call("blhc", "--all", packages.built(self.suite) / "log")
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_each_program_is_hardened(self):
        folder = packages.MADE / f"{self.suite}-tree"
        call("rm", "-rf", folder)
        call("dpkg-deb", "--extract", packages.package(self.suite), folder)
        programs = sorted([*folder.glob("usr/bin/*"), *folder.glob("usr/sbin/*")])
        self.assertGreaterEqual(len(programs), 5)
        for program in programs:
            done = call("hardening-check", "--nocfprotection", program)
            self.assertEqual(done.returncode, 0, done.stdout)
        # hardening-check takes a static program for a library.
        said = call("readelf", "--wide", "--headers", "--dynamic", "--symbols", folder / "usr/lib/tee/tee-guest").stdout
        self.assertRegex(said, r"Type: +DYN")
        self.assertRegex(said, r"GNU_RELRO")
        self.assertRegex(said, r"BIND_NOW")
        self.assertNotRegex(said, r"\(NEEDED\)")

    def test_the_build_is_reproducible(self):
        again = packages.build(self.suite, packages.MADE / "again", "nocheck")
        names = sorted(path.name for path in again.glob("*.deb"))
        self.assertEqual(len(names), 2, "the package and its debug symbols")
        for name in names:
            first, second = (hashlib.sha256((folder / name).read_bytes()).hexdigest()
                             for folder in (packages.built(self.suite), again))
            self.assertEqual(first, second, name)

    def test_piuparts_finds_nothing_left_after_a_purge(self):
        options = ["--keep-sources-list", "--no-eatmydata", "--pedantic-purge-test",
                   "--ignore-regex=/var/cache/debconf/tmp[.]ci/?"]  # debconf's own
        done = call("piuparts", *options, "--distribution", self.suite, "--existing-chroot",
                    trees.tree(self.suite, "bare"), packages.package(self.suite))
        self.assertEqual(done.returncode, 0, done.stdout[-3000:])

    def test_its_version_is_the_programs(self):
        self.assertEqual(call("dpkg-deb", "--field", packages.package(self.suite), "Version").stdout.strip(), VERSION)


class PackageBookworm(Package, unittest.TestCase):
    suite = "bookworm"


class PackageTrixie(Package, unittest.TestCase):
    suite = "trixie"


class Repository(unittest.TestCase):
    """What packaging/apt-repo makes, and what it leaves alone."""

    def setUp(self):
        self.folder = packages.MADE / "repository tests"
        call("rm", "-rf", self.folder)
        (self.folder / "tree" / "DEBIAN").mkdir(parents=True)
        (self.folder / "tree" / "DEBIAN" / "control").write_text(
            "Package: x\nVersion: 1\nArchitecture: all\nMaintainer: x <x@x.example>\nDescription: x\n", encoding="ascii")
        call("dpkg-deb", "--build", self.folder / "tree", self.folder / "x.deb")

    def make(self, *arguments):
        return call(ROOT / "packaging" / "apt-repo", *arguments, f"bookworm={self.folder / 'x.deb'}")

    def test_a_key_is_called_as_gpg_has_it(self):
        home = pathlib.Path(tempfile.mkdtemp(prefix="tee-test-"))
        self.addCleanup(call, "rm", "-rf", home)
        gpg = ["env", f"GNUPGHOME={home}", "gpg", "--batch", "--quiet"]
        call(*gpg, "--passphrase", "", "--quick-generate-key", "A Person <a.person@x.example>", "rsa2048", "sign", "never")
        fingerprint = re.search(r"^fpr:+(\w+):", call(*gpg, "--list-keys", "--with-colons").stdout, re.M)[1]
        for key in (fingerprint, "a.person@x.example"):
            with self.subTest(key), unittest.mock.patch.dict(os.environ, GNUPGHOME=str(home)):
                done = self.make("--key", key, self.folder / "apt")
                self.assertEqual(done.returncode, 0, done.stdout)
                done = call(*gpg, "--verify", self.folder / "apt" / "dists" / "bookworm" / "InRelease")
                self.assertIn(fingerprint, done.stdout)

    def test_another_folder_is_left_alone(self):
        other = self.folder / "other"
        other.mkdir()
        (other / "precious").touch()
        done = self.make(other)
        self.assertEqual(done.returncode, 1)
        self.assertIn("left alone", done.stdout)
        self.assertEqual([path.name for path in other.iterdir()], ["precious"])


class PackageTestCase(HostTestCase):
    """A host with Docker, and with apt's sources of Debian, gVisor and us."""

    variant = "docker"

    def prepare(self, *versions):
        self.boot(files={"/etc/docker/daemon.json": json.dumps(DOCKER, indent=4)})
        site = packages.site(self.suite, *versions)
        self.server = servers.Server(self.host, site, repository.gvisor(self.suite), repository.debian(self.suite))
        repository.add_debian_source(self.host)
        packages.add_source(self.host, site)
        self.host.write_file("/srv/hello.ts", HELLO)
        self.host.write_file("/srv/deno", packages.deno().read_bytes(), 0o755)
        self.host.succeed("apt-get update")

    def apt(self, *arguments, **options):
        return self.host.succeed(["apt-get", "--yes", "--quiet", *arguments], **options)

    def make_ready(self):
        """As the README says. The key is the tests' own."""
        self.host.succeed(["tee-install", "--with-gvisor", "--key-fingerprint", keys.fingerprint("gvisor")])
        self.host.succeed(["tee-install", "--with-runtime", "deno", "--deno", "/srv/deno"])

    def install(self, version=None):
        self.apt("install", f"tee-agent={version}" if version else "tee-agent")
        self.make_ready()

    def hello(self, *prefix):
        return self.host.run([*prefix, "tee-run", "/srv/hello.ts"])

    def assert_hello(self):
        done = self.hello()
        self.assertEqual((done.status, done.stdout, done.stderr), (0, "hello from a sandbox\n", ""), done)

    def health(self, status):
        """The checks of tee-health that are not well, but for what is so on any Debian: a runc that may have known
        faults."""
        done = self.host.run(["tee-health", "--json"])
        self.assertEqual(done.status, status, done)
        return {check["id"] for check in json.loads(done.stdout)["checks"]
                if check["verdict"] in ("warn", "fail")} - {"docker.runc"}

    def state(self, unit, *names):
        said = self.host.succeed(["systemctl", "show", unit, *(f"--property={name}" for name in names)])
        values = dict(line.split("=", 1) for line in said.splitlines())
        return tuple(values[name] for name in names)

    def containers(self):
        return self.host.succeed("docker ps --all --quiet").split()

    def warnings(self, since=None):
        chosen = [f"--since=@{since}"] if since else []
        return self.host.succeed(["journalctl", "--quiet", "--no-pager", "--unit=tee-agent", "--priority=warning",
                                  "--output=cat", *chosen])

    def now(self):
        return self.host.succeed("date +%s.%6N").strip()

    def socket(self):
        """The agent's, as it is seen from outside."""
        return f"/proc/{self.host.leader}/root/run/tee/agent.sock"


class Clients:
    """So many requests, a few at a time, each on a connection of its own. `answers` counts them by what came back:
    the outcome, or the code of a refusal, or what went wrong with the connection."""

    def __init__(self, path, count, at_a_time=6):
        self.answers = collections.Counter()
        self.faults = []
        self._path = path
        self._left = iter(range(count))
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(at_a_time)]
        for thread in self._threads:
            thread.start()

    def _work(self):
        pause = threading.Event()
        while True:
            with self._lock:
                if next(self._left, None) is None:
                    return
            answer, explained = self._ask()
            with self._lock:
                self.answers[answer] += 1
                if not explained:
                    self.faults.append(answer)
            if answer != "ok":
                pause.wait(0.25)  # as Retry-After asks, only not so long

    def _ask(self):
        body = json.dumps({"runtime": "deno", "code": HELLO}).encode()
        try:
            answer = http_request(self._path, "POST", "/v1/executions", body, {"Content-Type": "application/json"}, 120)
        except OSError as error:
            return f"{type(error).__name__}: {error}", False
        if answer.status == 200:
            result = answer.json
            if result["status"] == "ok":
                return "ok", result["stdout"] == "hello from a sandbox\n"
            return result["status"], bool(result["cause"])
        return (f"{answer.status} {answer.error['code']}",
                answer.status == 503 and bool(answer.error["message"]) and "retry-after" in answer.headers)

    def end(self, seconds=300):
        for thread in self._threads:
            thread.join(seconds)
            if thread.is_alive():
                raise AssertionError(f"a request has not been answered: {self.answers}")
        return self.answers


class Scenes:
    """Of both suites."""

    def test_from_nothing_to_a_program(self):
        self.prepare()
        self.apt("install", "tee-agent")
        self.assertEqual(self.state("tee-agent.socket", "ActiveState", "UnitFileState"), ("active", "enabled"))
        self.assertEqual(self.state("tee-agent.service", "ActiveState", "UnitFileState"), ("inactive", "disabled"))
        self.assertEqual(self.host.succeed("stat --format '%a %U %G' /run/tee/agent.sock"), "660 root tee\n")

        done = self.hello()
        self.assertEqual((done.status, done.stdout), (125, ""), done)
        self.assertRegex(done.stderr, r"refused \(oci_runtime_missing\): Docker knows no OCI runtime 'runsc'")
        self.assertRegex(done.stderr, r"remedy: .*tee-install --with-gvisor")
        self.assertRegex(self.warnings(), r"The gate is shut \(oci_runtime_missing\): Docker knows no OCI runtime 'runsc'")
        self.assertEqual(self.health(2) & {"registration.running", "agent.gate"}, {"registration.running", "agent.gate"})
        process = self.state("tee-agent.service", "MainPID")

        self.make_ready()
        self.assert_hello()  # at once, and by the agent that refused before
        self.assertEqual(self.health(1), set())
        self.assertEqual(self.state("tee-agent.service", "MainPID"), process)
        result = json.loads(self.host.succeed(["tee-run", "--json", "/srv/hello.ts"]))
        self.assertEqual((result["sandbox"]["gvisor"], result["sandbox"]["oci_runtime"]), (True, "runsc"))

        self.host.succeed("useradd --groups tee member; useradd stranger")
        self.assertEqual(self.hello("runuser", "-u", "member", "--").status, 0)
        refused = self.hello("runuser", "-u", "stranger", "--")
        self.assertEqual((refused.status, refused.stdout), (125, ""))
        self.assertIn("Permission denied", refused.stderr)

        since = self.now()
        self.assert_hello()
        self.assertEqual(self.warnings(since), "")
        self.without_gvisor()

    def without_gvisor(self):
        since = self.now()
        self.host.write_file("/etc/systemd/system/tee-agent.service.d/override.conf",
                             "[Service]\nEnvironment=DISABLE_GVISOR=true\n")
        self.host.succeed("systemctl daemon-reload && systemctl restart tee-agent")
        done = self.hello()
        self.assertEqual((done.status, done.stdout), (0, "hello from a sandbox\n"), done)
        self.assertRegex(done.stderr, "(?i)not .*gvisor|without gvisor")
        said = self.warnings(since)
        self.assertIn(guides("banner"), said)
        self.assertEqual(said.count(guides("warning")), 1)
        self.assertEqual(self.health(1), {"agent.mode", "agent.environment"})

    def test_the_autopkgtest_passes(self):
        self.prepare()
        self.apt("install", "tee-agent")
        self.host.write_file("/usr/local/bin/busybox", pathlib.Path("/bin/busybox").read_bytes(), 0o755)
        script = ROOT / "packaging" / "debian" / "tests" / "administrator"
        done = self.host.run("bash -s", input=script.read_text(encoding="utf-8"))
        self.assertEqual((done.status, done.stderr), (0, ""), done)
        self.assertEqual(done.stdout.count("- "), 7, done)

    def test_the_unit_is_as_closed_as_it_can_be(self):
        self.prepare()
        self.apt("install", "--no-install-recommends", "tee-agent")
        done = self.host.run("systemd-analyze security --no-pager --threshold=10 tee-agent.service")
        self.assertEqual(done.status, 0, done)  # 10: an exposure of 1.0
        done = self.host.run("systemd-analyze verify --man=no tee-agent.service tee-agent.socket")
        self.assertEqual((done.status, done.stderr), (0, ""), done)

    def test_how_things_stand_is_in_systemctl_status_and_in_node_exporters_folder(self):
        self.prepare()
        self.apt("install", "tee-agent", "curl")
        self.make_ready()
        self.assert_hello()
        wait_for("the line", lambda: re.search(r'Status: "Gate open, gVisor, \d warm, 0 running, 0 queued"',
                                               self.host.succeed("systemctl status --no-pager tee-agent")))

        folder = "/var/lib/prometheus/node-exporter"  # as Debian's node_exporter has it
        self.host.succeed(f"mkdir -p {folder}; cp /usr/share/doc/tee-agent/monitoring/tee-metrics.* /etc/systemd/system/;"
                          "systemctl daemon-reload")
        for command in ("verify --man=no tee-metrics.service tee-metrics.timer",
                        "security --no-pager --threshold=20 tee-metrics.service"):
            done = self.host.run(f"systemd-analyze {command}")
            self.assertEqual((done.status, done.stderr), (0, ""), done)

        def written(command):
            self.host.succeed(command)
            self.assertEqual(self.host.succeed(f"ls {folder}; stat --format=%a {folder}/*").split(), ["tee-agent.prom", "644"])
            return prometheus.Scrape(self.host.read_file(f"{folder}/tee-agent.prom"))

        now = written("systemctl start tee-metrics.service")
        self.assertEqual((now.value("tee_up"), now.value("tee_gvisor_enabled"), now.value("tee_gate_state", state="open"),
                          now.value("tee_executions_total", runtime="deno", outcome="ok")), (1, 1, 1, 1))
        self.assertGreater(now.value("tee_process_open_fds"), 5)
        self.assertFalse([name for name in now.names() if not name.startswith("tee_")])

        now = written("systemctl stop tee-agent.socket tee-agent.service; systemctl start tee-metrics.service")
        self.assertEqual((now.names(), now.value("tee_up")), ({"tee_up"}, 0))
        self.host.succeed("systemctl start tee-agent.socket; systemctl enable --now tee-metrics.timer")
        wait_for("the timer", lambda: "tee_up 1\n" in self.host.read_file(f"{folder}/tee-agent.prom"), 90)
        self.assertEqual(self.state("tee-agent.service", "ActiveState"), ("active",))

    def test_without_docker_it_says_so_and_needs_no_more_ado_later(self):
        self.boot("bare")
        self.host.write_file("/srv/hello.ts", HELLO)
        self.host.write_file("/srv/package.deb", packages.package(self.suite).read_bytes())
        self.host.succeed("dpkg --install /srv/package.deb")
        for _ in range(2):
            done = self.hello()
            self.assertEqual(done.status, 125, done)
            self.assertIn("refused (docker_unreachable)", done.stderr)
        self.assertEqual(self.state("tee-agent.socket", "ActiveState"), ("active",))

        # Neither half of the pair takes the other one with it.
        self.host.succeed("systemctl enable tee-agent; systemctl disable tee-agent")
        self.assertEqual(self.state("tee-agent.socket", "UnitFileState"), ("enabled",))

        # Another system's tree is not this host.
        self.host.succeed("mkdir -p /srv/root/etc /srv/root/var/lib/dpkg/info /srv/root/var/lib/dpkg/updates /var/lib/tee;"
                          "touch /srv/root/etc/passwd /srv/root/etc/group /srv/root/var/lib/dpkg/status")
        (process,) = self.state("tee-agent.service", "MainPID")
        dpkg = "dpkg --root=/srv/root --force-script-chrootless --force-depends"
        self.host.succeed(f"{dpkg} --install /srv/package.deb; {dpkg} --install /srv/package.deb; {dpkg} --purge tee-agent")
        self.assertEqual(self.state("tee-agent.service", "MainPID"), (process,))
        self.host.succeed("getent passwd tee; test -d /var/lib/tee")

        # Nor is an account of this name always its own.
        self.host.succeed("dpkg --purge tee-agent; ! getent passwd tee")
        self.host.succeed("useradd tee; dpkg --install /srv/package.deb; dpkg --purge tee-agent; getent passwd tee")

    def test_five_hundred_requests_are_answered_whatever_is_restarted_meanwhile(self):
        self.prepare()
        self.install()
        self.assert_hello()
        clients = Clients(self.socket(), 500)
        self.apt("install", "--reinstall", "tee-agent")
        self.host.succeed("systemctl restart tee-agent")
        before = clients.answers["ok"]
        wait_for("more results", lambda: clients.answers["ok"] > before + 20, 60)
        self.host.succeed("systemctl restart docker")
        wait_for("results of the new Docker", lambda: clients.answers["ok"] > before + 60, 120)
        answers = clients.end()
        self.assertEqual(clients.faults, [], answers)
        self.assertEqual(sum(answers.values()), 500)
        self.assertGreater(answers["ok"], 250, answers)

    def test_after_a_reboot_the_first_request_works_and_nothing_is_left(self):
        self.prepare()
        self.install()
        self.assert_hello()
        for hard in (False, True):
            with self.subTest(hard=hard):
                wait_for("sandboxes that stand ready", self.containers, 30)
                before = set(self.containers())
                self.host.reboot(hard=hard)
                self.assertEqual(self.state("tee-agent.socket", "ActiveState"), ("active",))
                self.assertEqual(self.state("tee-agent.service", "ActiveState"), ("inactive",))
                self.assert_hello()
                self.assertEqual(before & set(self.containers()), set())
        self.host.succeed("systemctl stop tee-agent.socket tee-agent.service")
        self.assertEqual(self.containers(), [])

    def test_upgrade_downgrade_remove_and_purge(self):
        newer = packages.other_version(self.suite, NEWER, lambda text: text.replace("max_running = 8", "max_running = 9"))
        self.prepare(packages.other_version(self.suite, OLDER), newer)
        self.apt("install", "runsc")
        self.host.write_file("/etc/docker/daemon.json", json.dumps(
            {**DOCKER, "runtimes": {"runsc": {"path": "/usr/bin/runsc", "runtimeArgs": ["--network=none"]}}}))
        self.host.succeed("systemctl reload docker")
        before = self.host.snapshot()
        self.apt("install", f"tee-agent={OLDER}")
        self.host.succeed("tee-install --with-runtime deno --deno /srv/deno")
        self.assert_hello()

        # An upgrade while programs run: each ends as it would have, though the new agent wants a new guest.
        self.assertIn(f" {OLDER} ", self.host.succeed("tee-install --list-runtimes"))
        clients = Clients(self.socket(), 40, 2)
        (process,) = self.state("tee-agent.service", "MainPID")
        self.apt("install", f"tee-agent={VERSION}")
        self.assertNotIn(self.state("tee-agent.service", "MainPID"), ((process,), ("0",)))
        self.assertEqual(clients.end(), {"ok": 40})
        self.assertIn(f" {VERSION} ", self.host.succeed("tee-install --list-runtimes"))

        # A tee.conf that the administrator has changed is asked about, and stays.
        self.host.succeed(f"sed -i 's/queue_length = 64/queue_length = 65/' {CONFIG}")
        done = self.host.run(["apt-get", "--yes", "install", f"tee-agent={NEWER}"], input="N\n")
        self.assertEqual(done.status, 0, done)
        self.assertRegex(done.stdout + done.stderr, r"tee\.conf.*\n.*Modified \(by you or by a script\)")
        self.assertIn("queue_length = 65", self.host.read_file(CONFIG))
        self.assertIn("max_running = 9", self.host.read_file(f"{CONFIG}.dpkg-dist"))
        self.assert_hello()
        self.apt("install", "--allow-downgrades", f"tee-agent={OLDER}", input="N\n")
        self.assert_hello()

        self.apt("remove", "tee-agent")
        self.assertEqual(self.containers(), [])
        self.assertEqual(self.host.run("systemctl is-active tee-agent.socket tee-agent.service").stdout,
                         "inactive\ninactive\n")
        self.assertIn("queue_length = 65", self.host.read_file(CONFIG))
        self.apt("purge", "tee-agent")
        left = before.differences(self.host.snapshot(), ["/etc/*-"])  # useradd's and groupadd's backups
        self.assertEqual([line for line in left if not ACCOUNTS.match(line)], [])

    def test_killed_it_comes_back_and_frozen_the_watchdog_sees_to_that(self):
        self.prepare()
        self.install()
        self.assert_hello()
        self.assertEqual(self.state("tee-agent.service", "WatchdogUSec"), ("30s",))
        self.host.write_file("/etc/systemd/system/tee-agent.service.d/override.conf", "[Service]\nWatchdogSec=5\n")
        self.host.succeed("systemctl daemon-reload && systemctl restart tee-agent")  # so that the test takes less long
        self.assert_hello()
        for how in ("SIGKILL", "SIGSTOP"):
            with self.subTest(how):
                (process,) = self.state("tee-agent.service", "MainPID")
                wait_for("sandboxes that stand ready", self.containers, 30)
                before = set(self.containers())
                self.host.succeed(["systemctl", "kill", "--signal", how, "tee-agent"])
                wait_for("another agent", lambda: self.state("tee-agent.service", "MainPID") not in ((process,), ("0",)), 90)
                self.assert_hello()
                self.assertEqual(before & set(self.containers()), set())
        records = [record["MESSAGE"] for record in self.host.journal("tee-agent.service")]
        self.assertTrue(any("Watchdog timeout" in record for record in records), records)

    def test_before_docker_is_there_it_runs_and_says_so(self):
        self.variant = "bare"
        self.prepare()
        self.apt("install", "--no-install-recommends", "tee-agent")
        done = self.hello()
        self.assertEqual(done.status, 125)
        self.assertRegex(done.stderr, r"(?s)refused \(docker_unreachable\).*remedy: .*apt-get install docker\.io")
        self.assertEqual(self.state("tee-agent.service", "ActiveState"), ("active",))
        self.host.write_file("/etc/systemd/system/docker.service.d/tests.conf", "[Service]\nExecStart=\n"
                             "ExecStart=/usr/sbin/dockerd -H fd:// --bridge=none --iptables=false\n")
        self.host.succeed("rm /etc/docker/daemon.json")
        self.host.succeed(["tee-install", "--with-docker", "--with-gvisor", "--key-fingerprint", keys.fingerprint("gvisor")])
        self.host.succeed(["tee-install", "--with-runtime", "deno", "--deno", "/srv/deno"])
        self.assert_hello()  # at once

    def test_a_wrong_configuration_is_told_and_mended_without_more_ado(self):
        self.prepare()
        self.apt("install", "tee-agent")
        text = self.host.read_file(CONFIG)
        self.host.write_file(CONFIG, text.replace("max_running = 8", "max_running = 0"))
        done = self.host.run("systemctl restart tee-agent")
        self.assertEqual(done.status, 1)
        self.assertRegex(self.warnings(), rf"{CONFIG}:\d+: agent\.max_running")
        done = self.hello()
        self.assertEqual(done.status, 125)
        self.assertIn("systemctl status tee-agent", done.stderr)
        self.host.write_file(CONFIG, text)
        wait_for("the end of systemd's limit of starts", lambda: self.host.run("systemctl restart tee-agent").status == 0, 20)
        self.assertIn("oci_runtime_missing", self.hello().stderr)


class Bookworm(Scenes, PackageTestCase):
    suite = "bookworm"


class Trixie(Scenes, PackageTestCase):
    suite = "trixie"
