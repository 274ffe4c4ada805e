# SPDX-License-Identifier: Apache-2.0
"""A Debian on a machine of its own: its own kernel, cgroups of version 2, two processors that qemu emulates, and no
network but its loopback. It takes no KVM, so it is slow. The build host is an amd64, too.

Its first disk is made from a tree (trees.py) and kept beside it in the cache; nothing is ever written to that file. The
second one, mounted at /srv, has what the test brings: the sites with the packages, and the program that does there what
the test asks for (guest.py). qemu is our child and dies with us, even if we are killed; every wait has an end.
"""

import contextlib
import functools
import hashlib
import json
import os
import shutil
import socket
import subprocess
import time

from cache import CACHE, call, made_once
from hosts import MASKED, Done
from places import ROOT, TEST_DIR
import trees

MADE = TEST_DIR / "vm"
CONSOLE = MADE / "console.log"
LIFE_SECONDS = 1800  # of a machine, whatever is done on it
DISK = ["mke2fs", "-q", "-t", "ext4", "-E", "lazy_itable_init=1,lazy_journal_init=1", "-m", "0"]
SIZE = "8G"  # of a file with holes
# Docker brings the one AppArmor profile that it needs; Debian's, for programs that are not there, take half a minute to
# compile. And nobody logs in.
UNITS = [*MASKED, "apparmor.service", "serial-getty@ttyS0.service", "getty@tty1.service"]
# Without what costs an emulated processor time and does nothing on it: five levels of page tables, virtual machines in
# the machine, and the kernel's measures against faults of real processors.
KERNEL_ARGUMENTS = ["root=/dev/vda", "rw", "console=ttyS0", "panic=-1", "mitigations=off", "TERM=dumb",
                    *(f"systemd.mask={unit}" for unit in UNITS)]
QEMU = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-nic", "none", "-no-reboot",
        "-accel", "tcg,thread=multi", "-cpu", "max,la57=off,svm=off", "-smp", "2", "-m", "4096",
        "-device", "virtio-rng-pci"]


@functools.lru_cache(maxsize=None)
def system_disk(suite):
    """A folder with the disk, and the kernel and initrd to boot it with, which keep their names."""
    tree = trees.tree(suite, "vm")
    digest = hashlib.sha256(json.dumps([*DISK, SIZE]).encode()).hexdigest()[:12]

    def make(folder):
        call([*DISK, "-d", tree, folder / "disk", SIZE])
        for name in ("vmlinuz", "initrd.img"):
            (kept,) = (tree / "boot").glob(f"{name}-*")
            shutil.copy(kept, folder)

    return made_once(f"{tree.parent.name}-disk-{digest}", make)


def second_disk(sites, files):
    """Made anew each time. `files`: name → content."""
    folder = MADE / "srv"
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("integration", "host", "vm"):
        (folder / "tests" / name).mkdir(parents=True)
        for module in (ROOT / "tests" / name).glob("*.py"):
            shutil.copy(module, folder / "tests" / name)
    (folder / "lib").mkdir()
    shutil.copy(ROOT / "lib" / "version.h", folder / "lib")
    shutil.copytree(CACHE / "tls", folder / "build" / "cache" / "tls")
    for site in sites:
        shutil.copytree(site, folder / "sites" / site.name, symlinks=True, copy_function=os.link)
    for name, content in files.items():
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o755)
    megabytes = int(call(["du", "--summarize", "--block-size=1M", folder]).split()[0])
    (MADE / "srv.disk").unlink(missing_ok=True)
    call([*DISK, "-L", "srv", "-d", folder, MADE / "srv.disk", f"{megabytes + megabytes // 10 + 32}M"])
    shutil.rmtree(folder)
    return MADE / "srv.disk"


def quoted(path):
    """As a value among options of qemu's, which commas part."""
    return str(path).replace(",", ",,")


class Machine:
    """Like a Host (hosts.py), as far as it goes."""

    def __init__(self, suite):
        self.suite = suite
        self.kernel = None
        self._process = None
        self._port = None
        self._lines = None
        self._deadline = None

    # --- its life ---

    def boot(self, sites, files, seconds=600):
        """Boots it and waits until systemd has started all that it is to start."""
        MADE.mkdir(parents=True, exist_ok=True)
        CONSOLE.unlink(missing_ok=True)
        system, second = system_disk(self.suite), second_disk(sites, files)
        (kernel,), (initrd,) = system.glob("vmlinuz-*"), system.glob("initrd.img-*")
        self.kernel = kernel.name.removeprefix("vmlinuz-")
        self._port, theirs = socket.socketpair()
        self._lines = self._port.makefile("rb")
        with theirs:
            self._start([
                "-kernel", kernel, "-initrd", initrd, "-append", " ".join(KERNEL_ARGUMENTS),
                "-drive", f"file={quoted(system / 'disk')},if=virtio,format=raw,snapshot=on",
                "-drive", f"file={quoted(second)},if=virtio,format=raw,readonly=on",
                "-chardev", f"file,id=console,path={quoted(CONSOLE)}", "-serial", "chardev:console",
                "-device", "virtio-serial-pci", "-chardev", f"socket,id=tests,fd={theirs.fileno()}",
                "-device", "virtserialport,chardev=tests,name=tests"], theirs.fileno())
        self._deadline = time.monotonic() + LIFE_SECONDS
        self._answer("boot", seconds)
        state = self.run("systemctl is-system-running --wait", timeout=seconds).stdout.strip()
        if state != "running":
            raise AssertionError(f"the machine is {state}\n{self.run('systemctl --failed --no-pager').stdout}")
        return self

    def _start(self, arguments, port):
        self._process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *QEMU, *arguments],
                                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                         pass_fds=[port], env={**os.environ, "TMPDIR": str(MADE)})

    def poweroff(self, seconds=120):
        """Shuts it down in order; what its console had to say from then on."""
        before = len(self.console())
        self._ask(["systemctl", "poweroff"], "", seconds)
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the machine has not powered off within {seconds} s") from None
        if status != 0:
            raise AssertionError(f"qemu ended with status {status}")
        return self.console()[before:]

    def close(self):
        """Ends it, however it stands."""
        if self._process:
            self._process.kill()
            self._process.communicate()
        for thing in (self._lines, self._port):
            if thing:
                thing.close()
        self._process = self._port = self._lines = None

    # --- commands ---

    def run(self, command, input="", timeout=300):
        """Runs a command (a list of words, or a text for bash) as root, with an environment like that of a login. It
        gets its input and then the end of it."""
        words = ["bash", "-euo", "pipefail", "-c", command] if isinstance(command, str) else list(map(str, command))
        self._ask(words, input, timeout)
        answer = self._answer(command, timeout + 30)
        done = Done(command, answer["status"], answer["stdout"], answer["stderr"])
        if answer["late"]:
            raise AssertionError(f"it ran for more than {timeout} s: {done!r}")
        return done

    def succeed(self, command, **options):
        """The same for a command that has to succeed; returns its stdout."""
        done = self.run(command, **options)
        if done.status != 0:
            raise AssertionError(repr(done))
        return done.stdout

    def _ask(self, words, input, timeout):
        if self._port is None:
            raise AssertionError("the machine has ended")
        self._port.sendall(json.dumps({"words": words, "input": input, "timeout": timeout}).encode() + b"\n")

    def _answer(self, what, seconds):
        """Once one has not come in time, or only in part, the machine is of no more use."""
        self._port.settimeout(max(1, min(seconds, self._deadline - time.monotonic())))
        with contextlib.suppress(OSError):
            line = self._lines.readline()
            if line.endswith(b"\n"):
                return json.loads(line)
        said = self._process.communicate()[0] if self._process.poll() is not None else b""
        self.close()
        raise AssertionError(f"{what!r}: the machine does not answer {said.decode(errors='replace')}")

    # --- files and records ---

    def write_file(self, path, content, mode=0o644):
        self.succeed(["sh", "-euc", 'mkdir -p "${1%/*}"; cat >"$1"; chmod "$2" "$1"', "write", path, f"{mode:o}"],
                     input=content if isinstance(content, str) else content.decode())

    def read_file(self, path):
        return self.succeed(["cat", path])

    def console(self):
        return CONSOLE.read_text("utf-8", "replace") if CONSOLE.exists() else ""

    def log_tail(self, lines=60):
        """The end of what the machine has to say, for a test that failed."""
        said = f"the machine's console ({CONSOLE}):\n" + "\n".join(self.console().splitlines()[-lines:])
        if self._port is None:
            return said
        with contextlib.suppress(AssertionError):
            said += "\nits journal:\n" + self.run(["journalctl", "--no-pager", f"--lines={lines}"]).stdout
        return said
