# SPDX-License-Identifier: Apache-2.0
"""The ways in which a host breaks that tee-health has checks for: each is brought about on a real host, told with its
remedy, and mended by that remedy, typed as it was printed."""

import gzip
import hashlib
import json
import os
import re
import shutil

from cache import call, made_once
from places import ROOT, wait_for
from test_install import CONFIG, KEYRING, NEWEST, SOURCE, InstallTestCase, impostor
import keys
import repository
import servers
import trees

REGISTER = "tee-install --with-gvisor --force"
INSTALL = "tee-install --with-gvisor"
LIST = "/etc/apt/sources.list.d/gvisor.list"
ADDRESS = "https://storage.googleapis.com/gvisor/releases"
TRUSTED = "/etc/apt/trusted.gpg.d/gvisor.gpg"
DROP_IN = "/etc/systemd/system/docker.service.d/network.conf"

# tee-install as an administrator has it who trusts the tests' key.
WRAPPER = """#!/bin/sh
[ "$1" != --with-gvisor ] || set -- --key-fingerprint {fingerprint} "$@"
exec /usr/local/lib/tee/tee-install "$@"
"""


def mended_runc(suite):
    """The suite's runc, a version further, with a changelog that tells what was mended: a site that has it."""
    (debians,) = (package for package in trees.packages(suite) if package.name.startswith("runc_"))
    faults = re.findall(r'"(CVE-[0-9-]+)"', (ROOT / "health" / "runc-faults.c").read_text(encoding="utf-8"))
    said = f"runc (99) {suite}-security; urgency=high\n\n" + "".join(f"  * {fault}: mended\n" for fault in faults)
    key = hashlib.sha256(said.encode()).hexdigest()[:12]

    def make(folder):
        content = folder / "content"
        call(["dpkg-deb", "--raw-extract", debians, content])
        call(["sed", "-i", "s/^Version: .*/&u99/", content / "DEBIAN" / "control"])
        (content / "usr/share/doc/runc/changelog.Debian.gz").write_bytes(gzip.compress(said.encode()))
        call(["dpkg-deb", "-Zgzip", "-z1", "--root-owner-group", "--build", content, folder / "runc.deb"])
        shutil.rmtree(content)

    site = repository.new_site(f"runc-{suite}")
    package = made_once(f"{debians.stem}-mended-{key}", make) / "runc.deb"
    repository.fill(site / "localhost" / "debian", suite, [package], "debian")
    return site


class Remedies:
    """Of both suites."""

    def prepare_well(self, *sites):
        """A host on which all is well, but for what no remedy of this host's can mend."""
        self.prepare(config='{\n  "bridge": "none",\n  "iptables": false\n}\n', serve=False)
        self.server = servers.Server(self.host, repository.gvisor(self.suite), *sites)
        self.place_agent()
        self.host.install("tee-install", "/usr/local/lib/tee/tee-install")
        self.host.write_file("/usr/local/sbin/tee-install", WRAPPER.format(fingerprint=keys.fingerprint("gvisor")), 0o755)
        self.installed()

    def look(self, name):
        done = self.host.run(["tee-health", "--json", "--only", name])
        (check,) = json.loads(done.stdout)["checks"]
        return check

    def see(self, name, verdict, words, remedy=None):
        check = self.look(name)
        self.assertEqual(check["verdict"], verdict, check)
        self.assertIn(words, check["seen"])
        if remedy:
            self.assertEqual(check["remedy"], remedy)
        return check

    def see_and_mend(self, name, verdict, words, remedy=None, others=(), fix=False):
        """The check ends so; when its remedy has been typed, or tee-health has done what is safe, it passes, and so do
        others."""
        with self.subTest(check=name, words=words):
            check = self.see(name, verdict, words, remedy)
            self.host.succeed(["tee-health", "--fix", "--yes", "--only", name] if fix else check["remedy"])
            for one in (name, *others):
                wait_for(f"{one} to pass", lambda one=one: self.look(one)["verdict"] == "pass", 20)

    def register(self, reload=True, **changes):
        """Changes the registration in daemon.json, as somebody who edits it."""
        config = self.config()
        config["runtimes"]["runsc"].update(changes)
        self.write(config, reload)

    def write(self, config, reload=True):
        self.host.write_file(CONFIG, json.dumps(config))
        if reload:
            self.host.succeed("systemctl reload docker")

    # --- Docker ---

    def test_docker(self):
        self.prepare_well(mended_runc(self.suite))
        self.host.succeed(["chmod", "0666", "/run/docker.sock"])
        self.see_and_mend("docker.socket", "fail", "as good as root", "chmod 0660 /run/docker.sock")
        self.host.succeed(["chown", "nobody", "/run/docker.sock"])
        self.see_and_mend("docker.socket", "fail", "belongs to the user", "chown root /run/docker.sock")

        self.see("docker.live_restore", "pass", "no container runs but sandboxes")
        self.host.succeed("tee-install --with-runtime sh")
        self.host.succeed("docker run --detach --network none --entrypoint /bin/busybox tee-runtime-sh sleep 1000")
        self.see_and_mend("docker.live_restore", "warn", "ends 1 containers that are no sandboxes")
        self.write({**self.config(), "live-restore": False})
        wait_for("the reload", lambda: self.look("docker.live_restore")["verdict"] == "warn", 20)
        self.see_and_mend("docker.live_restore", "warn", "ends 1 containers that are no sandboxes")
        self.host.succeed("docker rm --force $(docker ps --quiet)")
        self.assertEqual(self.config()["runtimes"]["runsc"]["path"], "/usr/bin/runsc", "nothing else has changed")

        self.see("docker.disk", "pass", "/var/lib/docker has")
        self.host.succeed("mount -o remount,size=200M /var/lib/docker")
        self.see("docker.disk", "fail", "/var/lib/docker has")
        self.host.succeed("mount -o remount,size=8G /var/lib/docker")
        self.see("docker.disk", "pass", "/var/lib/docker has")

        faults = self.see("docker.runc", "warn", "CVE-2025-52881")
        self.assertNotIn("CVE-2024-21626", faults["seen"], "Debian has mended it")
        repository.add_debian_source(self.host)
        self.see_and_mend("docker.runc", "warn", "other containers do",
                          "apt-get update && apt-get install -y --only-upgrade runc")

        self.host.write_file(DROP_IN, "[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// -H tcp://127.0.0.1:2375\n")
        self.host.succeed("systemctl daemon-reload && systemctl restart docker")
        self.see("docker.network_api", "fail", "API is accessible on http://127.0.0.1:2375")
        self.host.succeed(f"rm {DROP_IN} && systemctl daemon-reload && systemctl restart docker")
        self.see("docker.network_api", "pass", "no address")

    # --- apt ---

    def test_apt(self):
        self.prepare_well()
        for name in ("apt.source", "apt.key", "apt.trusted_keys"):
            self.assertEqual(self.look(name)["verdict"], "pass", self.look(name))

        for key, words in ((keys.gpg("--export", keys.fingerprint("other")), keys.fingerprint("other")),
                           (repository.PAGE, "no OpenPGP key at all"),
                           (keys.public_key("gvisor"), "is armoured"),
                           (keys.gpg("--export", keys.fingerprint("gvisor"), keys.fingerprint("other")), "more than one key")):
            self.host.write_file(KEYRING, key)
            self.see_and_mend("apt.key", "fail", words, INSTALL)
        self.host.succeed(["rm", KEYRING])
        self.see_and_mend("apt.key", "fail", "No such file", INSTALL)
        for mode, words in ((0o600, "cannot read it"), (0o666, "may change whom apt believes")):
            self.host.succeed(["chmod", f"{mode:o}", KEYRING])
            self.see_and_mend("apt.key", "fail", words, f"chmod 0644 {KEYRING}")

        stanza = self.host.read_file(SOURCE)
        self.host.write_file(SOURCE, stanza + "Trusted: yes\n")
        self.see_and_mend("apt.source", "fail", "trusted=yes", INSTALL)
        self.host.write_file(SOURCE, stanza.replace("Signed-By", "X-Signed-By"))
        self.see_and_mend("apt.source", "warn", "has no 'signed-by'", INSTALL)
        self.host.succeed(["rm", SOURCE])
        self.see_and_mend("apt.source", "warn", "no new version of runsc arrives", INSTALL)
        self.host.write_file(LIST, f"deb [signed-by={KEYRING}] {ADDRESS} release main\n")
        self.see("apt.source", "warn", "2 entries name gVisor's repository", INSTALL)
        self.host.succeed(["rm", SOURCE])
        self.see_and_mend("apt.source", "warn", "form of one line", INSTALL)
        self.assertEqual(self.host.run(["test", "-e", LIST]).status, 1)
        self.host.write_file(SOURCE, stanza.replace("https:", "http:"))
        self.see_and_mend("apt.source", "warn", "with http", INSTALL)

        self.host.write_file(TRUSTED, keys.gpg("--export", keys.fingerprint("gvisor")))
        self.see_and_mend("apt.trusted_keys", "warn", TRUSTED, f"{INSTALL} && rm {TRUSTED}")
        self.host.write_file(TRUSTED.replace(".gpg", ".asc").replace("trusted.asc", "trusted.gpg"), keys.public_key("gvisor"))
        self.see_and_mend("apt.trusted_keys", "warn", "gvisor.asc")
        ring = keys.gpg("--export", keys.fingerprint("other"), keys.fingerprint("gvisor"))
        self.host.write_file("/etc/apt/trusted.gpg", ring)
        check = self.see("apt.trusted_keys", "warn", "/etc/apt/trusted.gpg has")
        self.assertIn(f"--delete-keys {keys.fingerprint('gvisor')}", check["remedy"])
        self.host.write_file("/etc/apt/trusted.gpg", keys.gpg("--export", keys.fingerprint("other")))
        self.see("apt.trusted_keys", "pass", "not among")


class RemediesBookworm(Remedies, InstallTestCase):
    suite = "bookworm"

    # --- runsc ---

    def test_runsc(self):
        self.prepare_well()
        runsc = "/usr/bin/runsc"
        good = ["runsc.program", "runsc.in_path", "runsc.parts", "runsc.platform", "runsc.network", "runsc.updates"]
        for name in good:
            self.assertEqual(self.look(name)["verdict"], "pass", self.look(name))

        self.host.succeed(["chmod", "0700", runsc])
        self.see_and_mend("runsc.program", "fail", "mode 0700", f"chmod a+rx {runsc}", fix=True)
        self.host.succeed(["chmod", "0777", runsc])
        self.see_and_mend("runsc.program", "fail", "mode 0777", f"chmod go-w {runsc}", fix=True)
        self.host.succeed(["chmod", "0700", "/usr/bin"])
        self.see_and_mend("runsc.program", "fail", "lies in /usr/bin", "chmod a+rx /usr/bin")

        reinstall = "apt-get install -y --reinstall runsc"
        self.host.write_file(runsc, repository.PAGE)
        self.see_and_mend("runsc.program", "fail", "error page", reinstall)
        self.host.write_file(runsc, "")
        self.see_and_mend("runsc.program", "fail", "is empty", reinstall)
        self.host.write_file(runsc, "#!/bin/sh\nexec runc \"$@\"\n")
        self.see_and_mend("runsc.program", "warn", "is a script", reinstall)

        self.host.write_file("/opt/gvisor/runsc", "#!/bin/sh\nexec runc \"$@\"\n", 0o755)
        self.register(path="/opt/gvisor/runsc")
        self.see_and_mend("runsc.program", "warn", "is a script", REGISTER, ["registration.running"])
        self.register(path="/opt/gvisor/gone")
        self.see_and_mend("runsc.program", "fail", "/opt/gvisor/gone", REGISTER)
        self.host.write_file("/opt/gvisor/runsc", impostor("20260805.0"), 0o755)
        self.register(path="/opt/gvisor/runsc")
        self.see("runsc.in_path", "warn", "sandboxes run on /opt/gvisor/runsc", REGISTER)
        self.see("runsc.updates", "warn", "of no package", REGISTER)
        self.see_and_mend("runsc.parts", "fail", "/opt/gvisor/gvisor-bin", REGISTER, ["runsc.in_path", "runsc.updates"])

        self.register(runtimeArgs=["--network=none", "--platform=kvm"])
        self.see_and_mend("runsc.platform", "fail", "/dev/kvm cannot be used", REGISTER)
        self.register(runtimeArgs=["--network=none", "--platform=systrap"])
        self.see_and_mend("runsc.platform", "fail", "no platform 'systrap'", REGISTER)
        self.register(runtimeArgs=[])
        if tuple(map(int, os.uname().release.split(".")[:2])) >= (6, 11):
            self.see_and_mend("runsc.network", "fail", "network enabled in root network namespace", REGISTER)
        else:
            self.see("runsc.network", "pass", "has a network")

        older = repository.CHANNELS["release"][0]
        self.host.succeed(f"apt-get install -qq -y --allow-downgrades runsc={older}")
        self.see_and_mend("runsc.updates", "warn", f"version {older}, and apt has {NEWEST}",
                          "apt-get update && apt-get install -y --only-upgrade runsc")
        self.assertEqual({self.look(name)["verdict"] for name in good}, {"pass"})

    # --- registration ---

    def test_registration(self):
        self.prepare_well()
        both = ["registration.daemon_json", "registration.running"]
        good = self.config()

        self.write({**good, "runtimes": {}})
        self.write(good, reload=False)
        self.see_and_mend("registration.running", "fail", "has not read it", "systemctl reload docker", both)
        self.write({**good, "runtimes": {}})
        self.write(good, reload=False)
        self.see_and_mend("registration.running", "fail", "has not read it", "systemctl reload docker", both, fix=True)
        self.write({**good, "runtimes": {}}, reload=False)
        self.see("registration.daemon_json", "fail", "has no OCI runtime 'runsc'", INSTALL)
        self.see_and_mend("registration.running", "fail", "next restart loses it", INSTALL, both)
        self.write({**good, "runtimes": {}})
        self.see_and_mend("registration.running", "fail", "unknown or invalid runtime name: runsc", INSTALL, both)

        for argument, verdict in (("--network=host", "fail"), ("--TESTONLY-unsafe-nonroot", "fail"),
                                  ("--ignore-cgroups", "fail"), ("--debug", "warn"), ("--profile", "warn"),
                                  ("--strace", "warn"), ("--host-uds=all", "warn"), ("--host-fifo=open", "warn"),
                                  ("--allow-flag-override", "warn"), ("--rootless", "warn")):
            with self.subTest(argument=argument):
                self.register(reload=False, runtimeArgs=["--network=none", argument])
                self.see("registration.daemon_json", verdict, argument, REGISTER)
        self.register(runtimeArgs=["--network=none", "--debug"])
        self.see_and_mend("registration.running", "warn", "--debug", REGISTER, both)

        good = self.config()
        self.write({**good, "default-runtime": "runsc"}, reload=False)
        self.see_and_mend("registration.default", "warn", "will be runsc at its next restart", "systemctl reload docker")
        self.write({**good, "default-runtime": "gone"}, reload=False)
        self.see("registration.default", "fail", "registered nowhere")
        self.write({**good, "default-runtime": "runc"})
        wait_for("the reload", lambda: self.look("registration.default")["verdict"] == "pass", 20)


class RemediesTrixie(Remedies, InstallTestCase):
    suite = "trixie"
