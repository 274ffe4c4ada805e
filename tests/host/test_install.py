# SPDX-License-Identifier: Apache-2.0
"""tee-install on booted hosts: real apt, real Docker, real runsc, a repository like gVisor's under gVisor's names. What
a failure leaves behind is compared, file by file, with what was there before."""

import functools
import json
import re
import signal
import subprocess

from hosts import HostTestCase
from places import ROOT, TEST_DIR, wait_for
import keys
import repository
import servers

CONFIG = "/etc/docker/daemon.json"
KEYRING = "/usr/share/keyrings/gvisor-archive-keyring.gpg"
SOURCE = "/etc/apt/sources.list.d/gvisor.sources"
KEY_URL = "https://gvisor.dev/archive.key"
WANTED = {"path": "/usr/bin/runsc", "runtimeArgs": ["--network=none"]}
NEWEST = repository.CHANNELS["release"][-1]

# Keys that both Dockers know, with values that change nothing for the tests.
MANY_KEYS = """{
  "debug" : false, "log-level": "info",
  "log-opts": {"max-size": "10m", "max-file": "\\u0033"},
  "log-driver": "json-file",
  "live-restore": false,
  "labels": ["a=b", "c=d"],
  "max-concurrent-downloads": 3,
  "max-concurrent-uploads": 5, "max-download-attempts": 5,
  "shutdown-timeout": 15,
  "insecure-registries": [], "registry-mirrors": [],
  "dns": [], "dns-opts": [], "dns-search": [],
  "default-ulimits": {"nofile": {"Name": "nofile", "Hard": 64000, "Soft": 64000}},
  "default-shm-size": "64M",
  "default-ipc-mode": "private",
  "default-address-pools": [{"base": "172.30.0.0/16", "size": 24}],
  "icc": true,
  "ip-forward": true, "ip-masq": true,
  "iptables": false, "ip6tables": false,
  "ipv6": false,
  "bridge": "none",
  "mtu": 1500,
  "init": false,
  "no-new-privileges": false,
  "oom-score-adjust": -500,
  "raw-logs": true, "selinux-enabled": false,
  "userland-proxy": false
}
"""


# What calls itself runsc, and is runc.
IMPOSTOR = r"""
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char *argv[]) {
        if (argc == 2 && strcmp(argv[1], "--version") == 0)
                return puts("runsc version release-VERSION") < 0;
        argv[1] = argv[1] && strncmp(argv[1], "--network", 9) == 0 ? "--debug=false" : argv[1];
        return execv("/usr/sbin/runc", argv);
}
"""


@functools.lru_cache(maxsize=None)
def impostor(version):
    """A static program, so that it runs on every suite."""
    folder = TEST_DIR / "host" / "impostors"
    folder.mkdir(parents=True, exist_ok=True)
    source, program = folder / f"{version}.c", folder / version
    source.write_text(IMPOSTOR.replace("VERSION", version), encoding="ascii")
    subprocess.run(["gcc", "-O1", "-static", "-o", program, source], check=True)
    return program.read_bytes()


class InstallTestCase(HostTestCase):
    variant = "docker"
    server = None

    def setUp(self):
        self.boot_files = {CONFIG: '{\n    "bridge": "none",\n    "iptables": false\n}\n'}

    def prepare(self, fault=None, config=None, variant=None, serve=True, files=None):
        """A host with tee-install; config None: no daemon.json, and Docker's options come from its unit."""
        files = dict(files or {})
        if config is not None:
            files[CONFIG] = config
        else:
            files["/etc/systemd/system/docker.service.d/tests.conf"] = (
                "[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// --bridge=none --iptables=false\n")
        self.boot(variant, files)
        self.host.install("tee-install")
        self.host.install("tee-guest", "/usr/local/lib/tee/tee-guest")
        if serve:
            self.server = servers.Server(self.host, repository.gvisor(self.suite, fault))
        if (variant or self.variant) == "docker":
            self.host.succeed(["systemctl", "start", "docker.service"])
        return self.host.snapshot()

    def place_agent(self):
        """The agent as `make install` puts it there, configured for a runtime that needs no network."""
        for program in ("tee-agent", "tee-run", "tee-health"):
            self.host.install(program)
        for unit in ("tee-agent.service", "tee-agent.socket"):
            text = (ROOT / "units" / unit).read_text(encoding="utf-8")
            self.host.write_file(f"/etc/systemd/system/{unit}", text.replace("@SBINDIR@", "/usr/local/sbin")
                                 .replace("@SYSCONFDIR@", "/etc"))
        for kind, folder in (("sysusers", "sysusers.d"), ("tmpfiles", "tmpfiles.d")):
            text = (ROOT / "units" / f"tee-agent.{kind}").read_text(encoding="utf-8")
            self.host.write_file(f"/etc/{folder}/tee-agent.conf", text)
        self.host.write_file("/etc/tee/tee.conf", 'runtimes = { sh = { image = "tee-runtime-sh:latest"; entry = "main.sh"; '
                             'command = [ "/bin/busybox", "sh" ]; }; };\n')
        self.host.write_file("/usr/local/bin/busybox", open("/bin/busybox", "rb").read(), 0o755)
        self.host.succeed("systemd-sysusers && systemd-tmpfiles --create && systemctl daemon-reload")

    def command(self, *options):
        return ["tee-install", "--key-fingerprint", keys.fingerprint("gvisor"), *options]

    def install(self, *options, **others):
        return self.host.run(self.command("--with-gvisor", *options), **others)

    def installed(self, *options, **others):
        done = self.install(*options, **others)
        self.assertEqual(done.status, 0, done)
        return done

    def refused(self, status, words, *options, **others):
        """It fails with this status, and says why."""
        done = self.install(*options, **others)
        self.assertEqual(done.status, status, done)
        self.assertRegex(done.stdout, words)
        return done

    def config(self):
        return json.loads(self.host.read_file(CONFIG))

    def runtimes(self):
        return json.loads(self.host.succeed(["docker", "info", "--format", "{{json .Runtimes}}"]))

    def assert_unchanged(self, before, ignore=()):
        self.assertEqual(before.differences(self.host.snapshot(), ignore), [])

    def assert_complete(self, version=NEWEST):
        """All that --with-gvisor promises is there, and Docker uses it."""
        self.assertEqual(self.config()["runtimes"]["runsc"], WANTED)
        self.assertEqual(self.runtimes()["runsc"]["path"], "/usr/bin/runsc")
        self.assertEqual(self.host.succeed(["dpkg-query", "-W", "-f", "${Version}", "runsc"]), version)
        self.assertEqual(self.host.succeed(["stat", "-c", "%a %U", KEYRING, SOURCE]), "644 root\n644 root\n")
        leftovers = self.host.succeed("find /etc /usr /var/lib/tee -name '*.tee-new' -o -name '*.tee-undo'")
        self.assertEqual(leftovers, "")


class InstallTests:
    """Of both suites."""

    def test_a_docker_without_a_file_gets_all_of_it(self):
        self.prepare()
        done = self.installed()
        self.assertRegex(done.stdout, r"verify +a sandbox booted in \d+ ms, and its kernel is gVisor: ")
        self.assertRegex(done.stdout, r"docker\.service was reloaded; no container was touched")
        self.assert_complete()

    def test_the_second_run_changes_nothing_and_says_so(self):
        self.prepare()
        self.installed()
        before, fetched = self.host.snapshot(), self.server.count("")
        done = self.installed()
        self.assertIn("Nothing had to be changed.", done.stdout)
        self.assertEqual(before.differences(self.host.snapshot(), folder_times=True), [])
        self.assertEqual(self.server.count(""), fetched, "something was fetched again")

    def test_a_bare_host_is_told_what_it_lacks_and_gets_docker_on_demand(self):
        before = self.prepare(variant="bare")
        self.refused(10, "there is no Docker here.*\n.*--with-docker")
        self.assert_unchanged(before)
        self.server.close()
        self.server = servers.Server(self.host, repository.gvisor(self.suite), repository.debian(self.suite))
        repository.add_debian_source(self.host)
        # Docker's own start wants a bridge, which the kernel of the tests does not let it make.
        self.host.write_file("/etc/systemd/system/docker.service.d/tests.conf",
                             "[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// --bridge=none --iptables=false\n")
        self.installed("--with-docker")
        self.assert_complete()

    def test_a_dry_run_changes_nothing_at_all(self):
        before = self.prepare()
        done = self.installed("--dry-run")
        for words in ("fetch https://gvisor.dev/archive.key", "write " + SOURCE, "install runsc", "make " + CONFIG,
                      "reload docker.service", "boot a sandbox", "Nothing has been changed"):
            self.assertIn(words, done.stdout)
        self.assertEqual(before.differences(self.host.snapshot(), folder_times=True), [])
        self.assertEqual(self.server.count(""), 0)

    def test_uninstall_takes_away_exactly_what_was_made(self):
        before = self.prepare()
        self.installed()
        done = self.host.run(self.command("--uninstall", "--purge"))
        self.assertEqual(done.status, 0, done)
        self.assertNotIn("runsc", self.runtimes())
        self.assert_unchanged(before)
        again = self.host.run(self.command("--uninstall", "--purge"))
        self.assertEqual(again.status, 0, again)
        self.assertIn("There is nothing to take away.", again.stdout)

    def test_a_wrong_signature_is_taken_back(self):
        before = self.prepare(fault="signature")
        done = self.refused(14, "apt-get update failed: .*(signatures were invalid|has been manipulated)")
        self.assertIn("The host is as it was before.", done.stdout)
        self.assert_unchanged(before)

    def test_what_it_does_is_in_the_journal(self):
        self.prepare()
        self.installed()
        records = [record for record in self.host.journal() if record.get("SYSLOG_IDENTIFIER") == "tee-install"]
        self.assertEqual({record["TEE_STEP"] for record in records},
                         {"keyring", "source", "runsc", "register", "docker", "verify"})
        self.assertTrue(all(re.fullmatch("[0-9a-f]{32}", record["MESSAGE_ID"]) for record in records))


class InstallBookworm(InstallTests, InstallTestCase):
    suite = "bookworm"


class InstallTrixie(InstallTests, InstallTestCase):
    suite = "trixie"


class DaemonJson(InstallTestCase):
    suite = "bookworm"

    def test_thirty_other_keys_stay_as_they_were_written(self):
        self.prepare(config=MANY_KEYS)
        self.installed()
        self.assert_complete()
        text = self.host.read_file(CONFIG)
        self.assertTrue(text.startswith(MANY_KEYS.rstrip("}\n").rstrip()), text)
        (copy,) = self.host.succeed("ls /etc/docker/daemon.json.tee-*").split()
        self.assertEqual(self.host.read_file(copy), MANY_KEYS)

    def test_an_empty_file_is_filled(self):
        self.prepare(files={"/etc/docker/empty": ""})
        self.host.write_file(CONFIG, "")
        self.installed()
        self.assert_complete()

    def test_a_broken_file_is_not_touched_and_the_place_is_named(self):
        self.prepare()
        self.host.write_file(CONFIG, '{\n  "debug": true,\n}\n')
        before = self.host.snapshot()
        self.refused(15, r"daemon\.json: line 3, column \d: not valid JSON")
        self.assert_unchanged(before)

    def test_a_file_that_cannot_be_written_is_named_and_all_is_taken_back(self):
        before = self.prepare(config='{"bridge": "none", "iptables": false}')
        self.host.succeed("mount --bind /etc/docker /etc/docker && mount -o remount,bind,ro /etc/docker")
        self.refused(15, "daemon.json.*Read-only file system")
        self.assert_unchanged(before)
        self.assertNotIn("runsc", self.runtimes())

    def test_a_full_disk_loses_nothing(self):
        before = self.prepare(config='{"bridge": "none", "iptables": false}')
        self.host.succeed("cp -a /etc/docker /tmp/docker && mount -t tmpfs -o size=8k,mode=755 tmpfs /etc/docker && "
                          "cp -a /tmp/docker/. /etc/docker && rm -r /tmp/docker && "
                          "! head -c 100k /dev/zero >/etc/docker/filler")
        self.refused(15, "No space left on device")
        self.assertEqual(self.config(), {"bridge": "none", "iptables": False})
        self.host.succeed("umount /etc/docker")
        self.assert_unchanged(before)

    def test_a_link_stays_and_its_file_is_changed(self):
        self.prepare(config=None, files={"/srv/docker.json": "{}\n"})
        self.host.succeed(f"mkdir -p /etc/docker && ln -s /srv/docker.json {CONFIG}")
        self.installed()
        self.assert_complete()
        self.assertEqual(self.host.succeed(["readlink", CONFIG]), "/srv/docker.json\n")
        self.assertIn("runsc", self.host.read_file("/srv/docker.json"))

    def test_another_oci_runtime_stays(self):
        other = {"crun": {"path": "/usr/bin/crun"}}
        self.prepare(config=json.dumps({"bridge": "none", "iptables": False, "runtimes": other}, indent=2))
        self.installed()
        self.assertEqual(self.config()["runtimes"], {**other, "runsc": WANTED})
        self.assertEqual(set(self.runtimes()) & {"crun", "runsc"}, {"crun", "runsc"})

    def test_an_older_registration_is_shown_and_changed_only_by_force(self):
        old = {"bridge": "none", "iptables": False, "runtimes": {"runsc": {"path": "/usr/bin/runsc"}}}
        before = self.prepare(config=json.dumps(old))
        done = self.refused(15, r'registers .runsc. in another way: it has \{"path":"/usr/bin/runsc"\}, wanted is '
                                r'\{"path":"/usr/bin/runsc","runtimeArgs":\["--network=none"\]\}')
        self.assertIn("Nothing has been changed.", done.stdout)
        self.assert_unchanged(before)
        self.installed("--force")
        self.assert_complete()

    def test_a_file_that_docker_could_not_start_with_is_no_reason_to_restart_it(self):
        self.prepare(config=None)  # Docker has --bridge on its command line
        self.host.write_file(CONFIG, '{"bridge": "none", "log-level": "info"}')
        before = self.host.snapshot()
        self.refused(15, "dockerd's command line sets 'bridge', and /etc/docker/daemon.json does, too")
        self.assert_unchanged(before)
        self.assertNotIn("runsc", self.runtimes())

    def test_a_file_of_another_name_is_found(self):
        self.prepare(files={"/etc/systemd/system/docker.service.d/z.conf":
                            "[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// --config-file=/etc/docker/alt.json\n",
                            "/etc/docker/alt.json": '{"bridge": "none", "iptables": false}'})
        self.installed()
        self.assertIn("runsc", json.loads(self.host.read_file("/etc/docker/alt.json"))["runtimes"])
        self.assertEqual(self.host.run(["test", "-e", CONFIG]).status, 1)

    def test_a_link_that_leads_nowhere_is_given_back(self):
        self.prepare(files={"/srv/conf/kept": ""})
        self.host.succeed(f"mkdir -p /etc/docker && ln -s /srv/conf/docker.json {CONFIG}")
        before = self.host.snapshot()
        self.refused(17, "The host is as it was before", "--runtime-arg=--bogus")
        self.assert_unchanged(before)
        self.installed()
        self.assertEqual(self.host.run(self.command("--uninstall", "--purge")).status, 0)
        self.assert_unchanged(before)

    def test_what_an_administrator_writes_meanwhile_stays(self):
        for there in (True, False):
            with self.subTest(there=there):
                self.prepare(config='{"bridge": "none", "iptables": false}' if there else None)
                self.server.answer("https://storage.googleapis.com/gvisor/releases/dists/release/InRelease",
                                   servers.stall(10))
                running = self.host.start(self.command("--with-gvisor"))
                wait_for("apt's request", lambda: self.server.count("InRelease") >= 1, 30)
                text = '{"bridge": "none", "iptables": false, "labels": ["by=admin"]}'
                self.host.write_file(CONFIG, text)
                running.signal(signal.SIGINT)
                self.assertEqual(running.end().status, 130, running.output())
                self.assertEqual(self.host.read_file(CONFIG), text)
                self.host.close()

    def test_only_the_registration_goes_when_others_have_written_since(self):
        self.prepare(config='{"bridge": "none", "iptables": false}')
        running = self.host.start(self.command("--with-gvisor", "--runtime-arg=--bogus"))
        running.wait_line("register +/etc/docker/daemon.json registers")
        text = json.dumps({**self.config(), "labels": ["by=admin"]})
        self.host.write_file(CONFIG, text)
        self.assertEqual(running.end().status, 17, running.output())
        self.assertEqual(self.config(), {"bridge": "none", "iptables": False, "labels": ["by=admin"]})

    def test_a_runtime_that_is_docker_s_default_is_not_taken_away(self):
        self.prepare(config='{"bridge": "none", "iptables": false}')
        self.installed()
        self.host.write_file(CONFIG, json.dumps({**self.config(), "default-runtime": "runsc"}))
        before = self.host.snapshot()
        done = self.host.run(self.command("--uninstall", "--purge"))
        self.assertEqual(done.status, 15, done)
        self.assertIn("has 'runsc' as its default-runtime", done.stdout)
        self.assert_unchanged(before)

    def test_a_runtime_of_dockerd_s_command_line_is_not_made_to_collide(self):
        self.prepare(files={"/etc/systemd/system/docker.service.d/z.conf":
                            "[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// --bridge=none --iptables=false "
                            "--add-runtime other=/usr/bin/other\n"})
        before = self.host.snapshot()
        self.refused(15, "dockerd's command line sets 'runtimes'")
        self.assert_unchanged(before)


class Source(InstallTestCase):
    suite = "bookworm"

    def test_no_network_is_said_and_nothing_stays(self):
        before = self.prepare(serve=False)
        self.refused(12, "https://gvisor.dev/archive.key: .*resolve")
        self.assert_unchanged(before)

    def test_a_key_with_another_fingerprint_is_refused(self):
        before = self.prepare(fault="key-other")
        self.refused(12, f"has the fingerprint {keys.fingerprint('other')}, not {keys.fingerprint('gvisor')}")
        self.assert_unchanged(before)

    def test_a_web_page_is_no_key(self):
        before = self.prepare(fault="key-page")
        self.refused(12, "is not gVisor's key: it is no OpenPGP key at all")
        self.assert_unchanged(before)

    def test_a_second_key_behind_the_right_one_is_refused(self):
        before = self.prepare(fault="key-two")
        self.refused(12, "it holds more than one key")
        self.assert_unchanged(before)

    def test_a_server_that_nobody_vouches_for_is_not_listened_to(self):
        self.prepare(serve=False)
        self.server = servers.Server(self.host, repository.gvisor(self.suite), certificate="stranger")
        before = self.host.snapshot()
        self.refused(12, "certificate")
        self.assert_unchanged(before)

    def test_the_way_from_https_to_http_is_not_gone(self):
        before = self.prepare()
        self.server.answer(KEY_URL, servers.redirect("http://gvisor.dev/archive.key"))
        self.refused(12, "archive.key: .*[Pp]rotocol")
        self.assertEqual(self.server.requests["http://gvisor.dev/archive.key"], 0)
        self.assert_unchanged(before)

    def test_a_server_that_falls_silent_is_given_up(self):
        before = self.prepare()
        self.server.answer(KEY_URL, servers.stall(10))
        self.refused(12, "archive.key: .*(slow|[Tt]ime)")
        self.assert_unchanged(before)

    def test_an_answer_without_an_end_is_cut_off(self):
        before = self.prepare()
        self.server.answer(KEY_URL, servers.endless)
        self.refused(12, "too large")
        self.assert_unchanged(before)

    def test_a_server_s_error_is_named(self):
        before = self.prepare()
        self.server.answer(KEY_URL, servers.error(404))
        self.refused(12, "answers with status 404")
        self.assert_unchanged(before)

    def test_a_package_that_is_a_web_page_is_taken_back(self):
        before = self.prepare(fault="package")
        self.refused(14, "apt-get failed: ")
        self.assert_unchanged(before)

    def test_an_older_list_of_the_same_repository_is_taken_over(self):
        self.prepare(files={"/etc/apt/sources.list.d/gvisor.list":
                            f"deb [signed-by={KEYRING}] https://storage.googleapis.com/gvisor/releases release main\n"})
        self.installed()
        self.assert_complete()
        self.assertEqual(self.host.run(["test", "-e", "/etc/apt/sources.list.d/gvisor.list"]).status, 1)
        self.assertNotIn("configured multiple times", self.host.run(["apt-get", "update"]).stderr)

    def test_an_older_list_comes_back_when_a_later_step_fails(self):
        before = self.prepare(fault="signature", files={
            "/etc/apt/sources.list.d/gvisor.list":
                "deb https://storage.googleapis.com/gvisor/releases/ release main\ndeb http://localhost/other x y\n"})
        self.refused(14, "apt-get update failed")
        self.assert_unchanged(before)

    def test_an_older_list_comes_back_at_uninstall(self):
        before = self.prepare(files={
            "/etc/apt/sources.list.d/gvisor.list":
                f"# why\ndeb [signed-by={KEYRING}] https://storage.googleapis.com/gvisor/releases release main\n",
            "/etc/apt/sources.list.d/two.list":
                "deb https://storage.googleapis.com/gvisor/releases/ release main\n# deb http://localhost/other x y\n"})
        self.installed()
        self.assertEqual(self.host.run(self.command("--uninstall", "--purge")).status, 0)
        self.assertEqual([words for words in before.differences(self.host.snapshot()) if "mtime" not in words], [])

    def test_a_keyring_that_apt_cannot_use_is_written_anew(self):
        self.prepare()
        self.host.write_file(KEYRING, keys.public_key("gvisor"))  # armoured, as `curl -o` leaves it
        self.assertIn("which apt cannot use as it lies there", self.installed().stdout)
        self.host.succeed(["chmod", "0600", KEYRING])
        self.installed()
        self.assert_complete()

    def test_what_was_installed_is_known_without_apt_s_lists(self):
        self.prepare()
        self.installed()
        self.server.close()
        self.host.succeed("rm -rf /var/lib/apt/lists/*")
        self.assertIn("Nothing had to be changed.", self.installed().stdout)

    def test_a_source_that_was_edited_since_stays(self):
        self.prepare()
        self.installed()
        self.host.succeed(f"printf '\\nTypes: deb\\nURIs: http://localhost/x\\nSuites: x\\nComponents: x\\n' >>{SOURCE}")
        done = self.host.run(self.command("--uninstall"))
        self.assertEqual(done.status, 0, done)
        self.assertIn("gvisor.sources was changed since, and stays", done.stdout)
        self.assertIn("http://localhost/x", self.host.read_file(SOURCE))

    def test_a_version_and_a_channel_can_be_chosen(self):
        self.prepare()
        self.installed("--runsc-version", repository.CHANNELS["release"][0])
        self.assert_complete(repository.CHANNELS["release"][0])
        self.installed("--channel", "nightly")
        self.assert_complete(repository.CHANNELS["nightly"][0])

    def test_a_version_that_is_not_there_is_named(self):
        before = self.prepare()
        self.refused(14, "has no runsc 19990101.0 for amd64 in release", "--runsc-version", "19990101.0")
        self.assert_unchanged(before)

    def test_debian_s_runsc_is_replaced_by_gvisor_s(self):
        self.prepare()
        self.server.close()
        self.server = servers.Server(self.host, repository.gvisor(self.suite), repository.debian(self.suite))
        repository.add_debian_source(self.host)
        done = self.installed("--source", "debian")
        self.assertNotIn("keyring", done.stdout)
        debians = self.host.succeed(["dpkg-query", "-W", "-f", "${Version}", "runsc"])
        self.assertTrue(debians.startswith("0.0~"), debians)
        done = self.installed()
        self.assertIn(f"in place of runsc {debians}", done.stdout)
        self.assert_complete()

    def test_a_runsc_that_could_not_be_brought_back_is_replaced_only_by_force(self):
        self.prepare()
        self.host.write_file("/srv/runsc.deb", repository.runsc(self.suite, "1.0").read_bytes())
        self.host.succeed(["apt-get", "install", "-y", "/srv/runsc.deb"])
        before = self.host.snapshot()
        self.refused(14, "runsc 1.0 is installed, and no source of apt's has that version")
        self.assert_unchanged(before)
        self.installed("--force")
        self.assert_complete()

    def test_a_runsc_that_was_there_comes_back_in_its_version(self):
        self.prepare()
        self.server.close()
        self.server = servers.Server(self.host, repository.gvisor(self.suite), repository.debian(self.suite))
        repository.add_debian_source(self.host)
        self.host.succeed("apt-get update && apt-get install -y runsc")
        before = self.host.snapshot()
        done = self.refused(17, "in place of runsc 0.0~", "--runtime-arg=--bogus")
        self.assertIn("The host is as it was before.", done.stdout)
        self.assert_unchanged(before, ["/usr/bin/runsc", "/var/lib/dpkg/info/runsc.*"])
        self.assertEqual(before.packages, self.host.snapshot().packages)

    def test_a_folder_will_do_without_a_network(self):
        self.prepare(serve=False)
        package = repository.runsc(self.suite, NEWEST)
        self.host.write_file("/srv/offline/archive.key", keys.public_key("gvisor"))
        self.host.write_file(f"/srv/offline/{package.name}", package.read_bytes())
        self.installed("--offline", "/srv/offline")
        self.assertEqual(self.config()["runtimes"]["runsc"], WANTED)

    def test_a_proxy_is_heeded(self):
        self.prepare(serve=False)
        self.server = servers.Server(self.host, repository.gvisor(self.suite), proxy=True)
        self.installed(env={"http_proxy": servers.PROXY, "https_proxy": servers.PROXY})
        self.assert_complete()
        self.assertGreater(self.server.proxied["gvisor.dev:443"], 0)
        self.assertGreater(self.server.proxied["storage.googleapis.com:443"], 0)

    def test_a_mirror_and_a_key_file_will_do(self):
        self.prepare()
        self.host.write_file("/srv/key.asc", keys.public_key("gvisor"))
        self.installed("--key-file", "/srv/key.asc", "--mirror", "https://storage.googleapis.com/gvisor/releases/")
        self.assertEqual(self.server.count("archive.key"), 0)
        self.assert_complete()


class OwnPackage(InstallTestCase):
    """gVisor's package registers itself, in place, in a form of its own and without arguments."""

    suite = "bookworm"

    def test_the_administrator_s_text_stays_as_it_was_written(self):
        before = self.prepare(fault="registers", config=MANY_KEYS)
        self.installed()
        self.assert_complete()
        self.assertTrue(self.host.read_file(CONFIG).startswith(MANY_KEYS.rstrip("}\n").rstrip()))
        self.assertEqual(self.host.run(["test", "-e", f"{CONFIG}~"]).status, 1)
        self.assertEqual(self.host.run(self.command("--uninstall", "--purge")).status, 0)
        self.assertEqual(self.host.read_file(CONFIG), MANY_KEYS)
        self.assertEqual([words for words in before.differences(self.host.snapshot()) if "mtime" not in words], [])

    def test_what_it_registered_is_taken_back_too(self):
        before = self.prepare(fault="registers", config=MANY_KEYS)
        self.refused(17, "The host is as it was before.", "--runtime-arg=--bogus")
        self.assert_unchanged(before)
        self.assertNotIn("runsc", self.runtimes())

    def test_killed_behind_it_the_next_run_completes_it(self):
        self.prepare(fault="registers", config='{"bridge": "none", "iptables": false}')
        running = self.host.start(self.command("--with-gvisor"))
        running.wait_line(DONE["runsc"])
        running.signal(signal.SIGKILL)
        running.end()
        self.installed()
        self.assert_complete()


class Docker(InstallTestCase):
    suite = "bookworm"

    def start_container(self):
        """One that runs until it is ended, with runc; returns its id."""
        busybox = open("/bin/busybox", "rb").read()
        self.host.write_file("/srv/image/bin/sh", busybox, 0o755)
        self.host.succeed("tar -c -C /srv/image . | docker import - idle:latest")
        return self.host.succeed(["docker", "run", "--detach", "--network=none", "idle:latest", "/bin/sh", "-c",
                                  "while true; do sleep 1000; done"]).strip()

    def runs(self, container):
        return self.host.succeed(["docker", "inspect", "--format", "{{.State.Running}}", container]).strip() == "true"

    def test_a_reload_touches_no_container(self):
        self.prepare()
        container = self.start_container()
        self.installed()
        self.assertTrue(self.runs(container))

    def test_a_reload_needs_no_kill_program(self):
        self.prepare()
        container = self.start_container()
        self.host.succeed("rm /bin/kill")
        self.installed()
        self.assertTrue(self.runs(container))
        self.assert_complete()

    def test_a_restart_that_would_end_containers_is_not_made_without_a_word(self):
        self.prepare()
        container = self.start_container()
        before = self.host.snapshot()
        self.refused(16, "restart docker.service:\n.*this ends 1 running containers(.*\n)*.*FAILED: Docker has to be "
                         "restarted, which would end 1 running containers", "--docker=restart")
        self.assert_unchanged(before)
        self.assertTrue(self.runs(container))
        self.installed("--docker=restart", "--yes")
        self.assertFalse(self.runs(container))
        self.assert_complete()

    def test_under_live_restore_a_restart_ends_nothing(self):
        self.prepare(config='{"bridge": "none", "iptables": false, "live-restore": true}')
        container = self.start_container()
        self.installed("--docker=restart")
        self.assertTrue(self.runs(container))
        self.assert_complete()

    def test_a_docker_that_does_not_come_back_gets_its_old_file_again(self):
        before = self.prepare(files={"/etc/systemd/system/docker.service.d/z.conf":
                                     f"[Service]\nExecStartPre=/bin/sh -c '! grep -qs runsc {CONFIG}'\n"})
        self.refused(16, "RestartUnit of docker.service ends with 'failed'", "--docker=restart")
        self.assert_unchanged(before)
        self.assertNotIn("runsc", self.runtimes())

    def test_a_person_is_asked_before_containers_end(self):
        self.prepare()
        container = self.start_container()
        for answer, status in (("n", 16), ("y", 0)):
            line = " ".join(self.command("--with-gvisor", "--docker=restart"))
            done = self.host.run(["script", "--quiet", "--return", "--command", line, "/dev/null"], input=answer + "\n",
                                 env={"TERM": "xterm"})
            self.assertIn("This ends 1 running containers. Go on? [y/N]", done.stdout)
            self.assertEqual((done.status, self.runs(container)), (status, answer == "n"), done)
        self.assert_complete()


    def test_the_number_of_containers_is_told_also_to_who_has_said_yes(self):
        self.prepare(files={"/etc/systemd/system/docker.service.d/z.conf": "[Service]\nExecReload=\nExecReload=/bin/true\n"})
        self.start_container()
        done = self.installed("--yes")
        self.assertIn("a restart, which ends 1 running containers (--yes)", done.stdout)
        self.assert_complete()

    def test_what_runs_on_two_names_is_all_taken_away(self):
        before = self.prepare(config='{"bridge": "none", "iptables": false}')
        self.installed()
        self.installed("--runtime-name", "gv2")
        self.installed("--force", "--runtime-arg=--network=none", "--runtime-arg=--debug=false")
        self.assertEqual(set(self.runtimes()) & {"runsc", "gv2"}, {"runsc", "gv2"})
        done = self.host.run(self.command("--uninstall", "--purge"))
        self.assertEqual(done.status, 0, done)
        self.assertEqual(set(self.runtimes()) & {"runsc", "gv2"}, set())
        self.assertEqual(self.config(), {"bridge": "none", "iptables": False})
        kept = [words for words in before.differences(self.host.snapshot()) if ".tee-" not in words and CONFIG not in words]
        self.assertEqual(kept, [])

    def test_a_host_without_docker_can_be_cleared(self):
        self.prepare(config='{"bridge": "none", "iptables": false}')
        self.installed()
        self.host.succeed("systemctl stop docker.socket docker.service && systemctl mask docker.socket docker.service")
        done = self.host.run(self.command("--uninstall", "--purge"))
        self.assertEqual(done.status, 0, done)
        self.assertNotIn("runtimes", self.config())


class Impostors(InstallTestCase):
    """What is called runsc need not be it."""

    suite = "bookworm"
    options = ("--source=none", "--runsc=/opt/runsc")

    def prepare_program(self, content):
        self.prepare(serve=False)
        self.host.write_file("/opt/runsc", content, 0o755)
        return self.host.snapshot()

    def test_a_script_is_no_runsc(self):
        before = self.prepare_program("#!/bin/sh\nexec runc \"$@\"\n")
        self.refused(14, "/opt/runsc is no program", *self.options)
        self.assert_unchanged(before)

    def test_another_program_is_no_runsc(self):
        before = self.prepare_program(open("/bin/busybox", "rb").read())
        self.refused(14, "/opt/runsc (is no runsc|does not run)", *self.options)
        self.assert_unchanged(before)

    def test_a_release_without_its_folder_is_not_whole(self):
        before = self.prepare_program(impostor("20260803.0"))
        self.refused(14, "needs the folder /opt/gvisor-bin beside it", *self.options)
        self.assert_unchanged(before)

    def test_a_runc_under_runsc_s_name_is_found_out_by_its_kernel_and_taken_back(self):
        before = self.prepare_program(impostor("20260105.0"))
        done = self.refused(17, "FAILED: .*gVisor", *self.options)
        self.assertIn("is it runsc that is registered?", done.stdout)
        self.assert_unchanged(before)
        self.assertNotIn("runsc", self.runtimes())
        self.assertEqual(self.host.succeed(["docker", "ps", "--all", "--quiet"]), "")
        self.assertEqual(self.host.succeed(["docker", "images", "--quiet"]), "")


class Turns(InstallTestCase):
    """Who else is at work, and what a run leaves that was ended in the middle."""

    suite = "bookworm"

    def test_only_root_may(self):
        before = self.prepare()
        done = self.host.run(["setpriv", "--reuid=65534", "--clear-groups", *self.command("--with-gvisor")])
        self.assertEqual(done.status, 10, done)
        self.assertIn("only root may do this", done.stdout)
        self.assert_unchanged(before)

    def hold_apt(self):
        """An apt-get that stands still with its locks in its hand."""
        self.host.succeed("mkfifo /run/hold")
        apt = self.host.start(["apt-get", "-y", "-o", "DPkg::Pre-Invoke::=echo holding; read x </run/hold",
                               "--reinstall", "install", "/srv/held.deb"])
        apt.wait_line("holding")
        return apt

    def prepare_held_package(self):
        self.host.write_file("/srv/held.deb", repository.runsc(self.suite, "1.0").read_bytes())

    def test_it_waits_for_apt_and_goes_on(self):
        self.prepare()
        self.prepare_held_package()
        apt = self.hold_apt()
        running = self.host.start(self.command("--with-gvisor"))
        running.wait_line(r"wait +apt-get \(process \d+\) works with packages: waiting for its end")
        self.host.succeed("echo go >/run/hold")
        self.assertEqual(apt.end().status, 0)
        self.assertEqual(running.end().status, 0, running.output())
        self.assert_complete()

    def test_it_does_not_wait_for_ever(self):
        self.prepare()
        self.prepare_held_package()
        apt = self.hold_apt()
        before = self.host.snapshot()
        self.refused(14, r"apt-get \(process \d+\) holds /var/lib/dpkg/lock-frontend", "--wait", "1")
        self.assert_unchanged(before)
        self.host.succeed("echo go >/run/hold")
        self.assertEqual(apt.end().status, 0)

    def test_two_at_once_take_turns(self):
        self.prepare()
        self.server.answer(KEY_URL, servers.stall(10))
        first = self.host.start(self.command("--with-gvisor"))
        wait_for("the first one's request", lambda: self.server.count("archive.key") == 1)
        self.server.answer(KEY_URL, None)
        second = self.host.start(self.command("--with-gvisor"))
        second.wait_line("another tee-install is at work")
        first.signal(signal.SIGINT)
        self.assertEqual(first.end().status, 130, first.output())
        self.assertEqual(second.end().status, 0, second.output())
        self.assert_complete()

    def test_an_interruption_takes_everything_back(self):
        before = self.prepare()
        release = "https://storage.googleapis.com/gvisor/releases/dists/release/InRelease"
        self.server.answer(release, servers.stall(10))
        running = self.host.start(self.command("--with-gvisor"))
        wait_for("apt's request", lambda: self.server.count("InRelease") >= 1, 30)
        running.signal(signal.SIGINT)
        done = running.end()
        self.assertEqual(done.status, 130, done)
        self.assertIn("The host is as it was before.", done.stdout)
        self.assert_unchanged(before)

    def test_after_a_power_failure_the_next_run_completes_it(self):
        self.prepare(config='{"bridge": "none", "iptables": false}')
        running = self.host.start(self.command("--with-gvisor"))
        running.wait_line(DONE["register"])
        self.host.reboot(hard=True)
        self.server = servers.Server(self.host, repository.gvisor(self.suite))
        self.installed()
        self.assert_complete()

    def test_a_lost_terminal_takes_everything_back(self):
        before = self.prepare()
        release = "https://storage.googleapis.com/gvisor/releases/dists/release/InRelease"
        for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
            with self.subTest(number=number):
                seen = self.server.count("InRelease")
                self.server.answer(release, servers.stall(10))
                running = self.host.start(self.command("--with-gvisor"))
                wait_for("apt's request", lambda seen=seen: self.server.count("InRelease") > seen, 30)
                running.signal(number)
                self.assertEqual(running.end().status, 130, running.output())
                self.assert_unchanged(before)

    def test_who_watches_may_go(self):
        self.prepare()
        self.host.run("set +o pipefail; " + " ".join(self.command("--with-gvisor")) + " | head -n 2")
        self.assert_complete()

    def test_uninstall_that_was_killed_is_completed_by_the_next(self):
        before = self.prepare()
        self.installed()
        self.host.write_file("/etc/systemd/system/docker.service.d/z.conf",
                             "[Service]\nExecReload=\nExecReload=/bin/sh -c 'sleep 3; kill -HUP $MAINPID'\n")
        self.host.succeed(["systemctl", "daemon-reload"])
        running = self.host.start(self.command("--uninstall", "--purge"))
        wait_for("the reload", lambda: "ReloadUnit" in self.host.run(["systemctl", "list-jobs"]).stdout
                 or self.host.run(["systemctl", "is-active", "docker"]).stdout.strip() == "reloading", 30)
        running.signal(signal.SIGKILL)
        running.end()
        done = self.host.run(self.command("--uninstall", "--purge"))
        self.assertEqual(done.status, 0, done)
        self.assertNotIn("runsc", self.runtimes())
        self.assert_unchanged(before, ["/etc/systemd/system/docker.service.d/z.conf"])

    def test_one_that_waited_looks_at_what_the_other_has_done(self):
        self.prepare()
        self.server.answer(KEY_URL, servers.stall(10))
        first = self.host.start(self.command("--with-gvisor"))
        wait_for("the first one's request", lambda: self.server.count("archive.key") == 1)
        self.server.answer(KEY_URL, None)
        second = self.host.start(self.command("--with-gvisor"))
        second.wait_line("another tee-install is at work")
        third = self.host.start(self.command("--with-gvisor", "--runtime-arg=--bogus"))
        third.wait_line("another tee-install is at work")
        first.signal(signal.SIGINT)
        self.assertEqual(first.end().status, 130, first.output())
        statuses = sorted([second.end().status, third.end().status])
        self.assertEqual(statuses[0], 0, second.output() + third.output())
        self.assertIn(statuses[1], (15, 17), second.output() + third.output())
        self.assert_complete()

    def test_docker_s_data_survives_when_docker_is_taken_back(self):
        self.prepare(variant="bare")
        self.server.close()
        self.server = servers.Server(self.host, repository.gvisor(self.suite, "key-page"), repository.debian(self.suite))
        repository.add_debian_source(self.host)
        self.host.write_file("/etc/systemd/system/docker.service.d/tests.conf",
                             "[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// --bridge=none --iptables=false\n")
        self.host.write_file("/var/lib/docker/volumes/precious/_data/db", "data")
        self.refused(12, "is not gVisor's key", "--with-docker")
        self.assertEqual(self.host.read_file("/var/lib/docker/volumes/precious/_data/db"), "data")
        state = self.host.run(["dpkg-query", "-W", "-f", "${db:Status-Status}", "docker.io"]).stdout
        self.assertIn(state, ("config-files", ""))

    def test_killed_after_each_step_the_next_run_completes_it(self):
        for step in ("keyring", "source", "runsc", "register", "docker"):
            with self.subTest(step=step):
                self.prepare(config='{"bridge": "none", "iptables": false}')
                running = self.host.start(self.command("--with-gvisor"))
                running.wait_line("What is done:")
                running.wait_line(DONE[step])
                running.signal(signal.SIGKILL)
                running.end()
                self.installed()
                self.assert_complete()
                done = self.host.run(self.command("--uninstall", "--purge"))
                self.assertEqual(done.status, 0, done)
                self.assertNotIn("runtimes", self.config())
                self.host.close()


DONE = {"keyring": "keyring    /usr", "source": "source     /etc", "runsc": r"runsc +/usr/bin/runsc, version",
        "register": r"register +/etc/docker/daemon.json registers", "docker": r"docker +docker.service was reloaded"}


class Agent(InstallTestCase):
    """A host that is in use."""

    suite = "bookworm"

    def install_agent(self):
        self.place_agent()
        self.host.succeed("tee-install --with-runtime sh && systemctl start tee-agent.socket")

    def test_it_is_not_uninstalled_while_programs_run(self):
        self.prepare()
        self.installed()
        self.install_agent()
        self.host.write_file("/srv/main.sh", "echo up\nsleep 50\n")
        program = self.host.start(["tee-run", "--runtime", "sh", "--timeout", "60s", "/srv/main.sh"])
        program.wait_line("^up$")
        before = self.host.snapshot()
        done = self.host.run(self.command("--uninstall", "--purge"))
        self.assertEqual(done.status, 10, done)
        self.assertIn("tee-agent has 1 executions running", done.stdout)
        self.assert_unchanged(before)
        program.signal(signal.SIGINT)
        program.end()
        self.host.succeed("systemctl stop tee-agent.socket tee-agent.service")
        self.assertEqual(self.host.run(self.command("--uninstall", "--purge")).status, 0)


class Machine(InstallTestCase):
    suite = "bookworm"

    def test_json_tells_the_plan_and_the_results(self):
        self.prepare()
        done = self.installed("--json")
        document = json.loads(done.stdout)
        self.assertEqual([one["step"] for one in document["steps"]],
                         ["preflight", "keyring", "source", "runsc", "register", "docker", "verify"])
        self.assertEqual({one["step"]: one["result"] for one in document["steps"][1:]},
                         dict.fromkeys(["keyring", "source", "runsc", "register", "docker", "verify"], "done"))
        self.assertEqual(document["exit_status"], 0)
        self.assertIn("The plan:", done.stderr)

    def test_json_of_a_failure_has_its_reason_and_what_was_taken_back(self):
        before = self.prepare(fault="signature")
        done = self.install("--json")
        document = json.loads(done.stdout)
        self.assertEqual((done.status, document["exit_status"]), (14, 14))
        self.assertIn("apt-get update failed", document["message"])
        self.assertEqual({one["step"]: one["result"] for one in document["steps"]},
                         {"preflight": "not_begun", "keyring": "taken_back", "source": "taken_back", "runsc": "failed",
                          "register": "not_begun", "docker": "not_begun", "verify": "not_begun"})
        self.assert_unchanged(before)

    def test_keep_going_keeps_what_was_done(self):
        self.prepare(fault="signature")
        done = self.refused(14, "What was done before stays", "--keep-going")
        self.assertNotIn("keyring    taken back", done.stdout)
        self.assertEqual(self.host.run(["test", "-e", SOURCE]).status, 0)
