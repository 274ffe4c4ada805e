# SPDX-License-Identifier: Apache-2.0
"""Booted Debian hosts: systemd is PID 1, there is a network of its own with nothing but a loopback, and Docker, apt and
the journal are the real ones.

A host is a systemd-nspawn in namespaces that are made for it: on a tmpfs that nobody else sees lies an overlay whose
lower layer is a cached tree, so that nothing can stay mounted and nothing is written to a tree. `unshare` is PID 1's
parent there and dies with us, and everything in it dies with unshare, even if we are killed. Its cgroups are its own,
too, and are removed at the end. Hosts and commands are started from the runner's main thread, whose end ends them.
"""

import contextlib
import io
import itertools
import json
import os
import pathlib
import re
import shlex
import signal
import socket
import subprocess
import tarfile
import threading
import time
import unittest

from places import TEST_DIR, wait_for
from snapshots import Snapshot
import trees

LOGS = TEST_DIR / "host"
CGROUPS = "tee-host-"  # and our process id, and a number
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root",
               "LANG": "C.UTF-8", "TERM": "dumb", "DEBIAN_FRONTEND": "noninteractive"}

# join FILE… -- COMMAND…: enters cgroups, then becomes the command.
JOIN = ["bash", "-euc", 'while [[ $1 != -- ]]; do echo 0 >"$1"; shift; done; shift; exec "$@"', "join"]

# Not outliving us, and nothing in it outliving it.
NAMESPACES = ["setpriv", "--pdeathsig", "KILL", "--",
              "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]

# $0 is the tree, the rest are arguments of nspawn's; stdin is a tar of files to add. overlay2 does not work on an
# overlay, so Docker gets a tmpfs. The filter lets runc make its session keyring. Neither the modules nor the clock of
# the build host are for a test. nspawn says with 133 that it wants to be started again, because the host reboots.
BOOT = ["bash", "-euc", """
mount -t tmpfs -o mode=0755 tmpfs /run
mkdir -p /run/systemd/nspawn /run/tree /run/upper /run/work /run/root
mkdir -m 0710 /run/docker
mount --bind "$0" /run/tree
mount -t overlay -o lowerdir=/run/tree,upperdir=/run/upper,workdir=/run/work overlay /run/root
tar -x -C /run/root
status=133
while ((status == 133)); do
status=0
systemd-nspawn --quiet --boot --directory=/run/root --machine=host --register=no --keep-unit --notify-ready=yes \\
        --private-network --resolv-conf=off --timezone=off --link-journal=no --bind=/run/docker:/var/lib/docker \\
        --capability=all --drop-capability=CAP_SYS_MODULE,CAP_SYS_TIME --system-call-filter='@keyring bpf' \\
        --console=pipe "$@" </dev/null || status=$?
done
exit "$status"
"""]

# What would run on its own, at a time that nobody knows, and take apt's lock or change files.
MASKED = ["apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer",
          "e2scrub_reap.service", "fstrim.timer", "systemd-tmpfiles-clean.timer"]

_numbers = itertools.count(1)
_open = []


class Done:
    """How a command ended: status (128 and the signal's number, if one ended it), and what it printed."""

    def __init__(self, command, status, stdout, stderr):
        self.command, self.stdout, self.stderr = command, stdout, stderr
        self.status = status if status >= 0 else 128 - status

    def __repr__(self):
        return f"{self.command!r} ended with status {self.status}\nstdout: {self.stdout}\nstderr: {self.stderr}"

    def transcript(self):
        """As it would have looked in a terminal; bytes are left out."""
        command = self.command if isinstance(self.command, str) else shlex.join(self.command)
        said = [text for text in (self.stdout, self.stderr) if isinstance(text, str)]
        return f"# {command}\n{''.join(said)}[{self.status}]\n"


class Running:
    """A command in the background of a host. `lines` has what it has printed so far, stdout and stderr in turn."""

    def __init__(self, command, process):
        self.command = command
        self.process = process
        self.lines = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        with self.process.stdout as stream:
            for line in stream:
                with self._news:
                    self.lines.append(line.rstrip("\n"))
                    self._news.notify_all()
        with self._news:
            self.lines.append(None)  # the end
            self._news.notify_all()

    def output(self):
        return "\n".join(line for line in self.lines if line is not None)

    def wait_line(self, pattern, seconds=60):
        """The first line that the pattern is found in, as soon as it has been printed."""
        def found():
            return next((line for line in self.lines if line is None or re.search(pattern, line)), self)

        with self._news:
            self._news.wait_for(lambda: found() is not self, seconds)
            line = found()
        if line is None or line is self:
            why = "has ended" if line is None else f"has not, within {seconds} s,"
            raise AssertionError(f"{self.command!r} {why} without a line like {pattern!r}:\n{self.output()}")
        return line

    def signal(self, number):
        """To the command itself, which the process that entered the host for it only waits for."""
        for pid in children(self.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def end(self, seconds=60):
        """Waits for its end."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.command!r} runs for more than {seconds} s:\n{self.output()}") from None
        self._reader.join(seconds)
        return Done(self.command, self.process.returncode, self.output(), "")


class Host:
    def __init__(self, suite, variant="bare", name="host"):
        self.suite = suite
        self.tree = trees.tree(suite, variant)
        self.number = next(_numbers)
        self.log = LOGS / f"{self.number}-{name}.log"
        self.transcript = self.log.with_suffix(".txt")  # all that was typed, and what came of it
        self.transcript.unlink(missing_ok=True)
        self.leader = None
        self._process = None
        self._notifications = None
        self._came_up = threading.Event()
        self._cgroups = []
        self._running = []
        self._attached = []

    # --- its life ---

    def boot(self, files=None, degraded=False, seconds=120):
        """Boots it and waits until systemd has started all that it is to start. `files` (path → content) are there
        when it does. A unit that failed is our failure, unless the host may be degraded."""
        _open.append(self)
        LOGS.mkdir(parents=True, exist_ok=True)
        self._make_cgroups()
        address = f"{CGROUPS}{os.getpid()}-{self.number}"
        self._notifications = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._notifications.bind(f"\0{address}")
        threading.Thread(target=self._read_notifications, args=(self._notifications,), daemon=True).start()
        command = [*JOIN, *self._cgroup_files(), "--", *NAMESPACES, *BOOT, str(self.tree), *self._boot_arguments()]
        with open(self.log, "wb") as log:
            self._process = subprocess.Popen(command, env={**os.environ, "NOTIFY_SOCKET": f"@{address}"},
                                             stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True)
        with self._process.stdin as stdin, contextlib.suppress(BrokenPipeError):
            stdin.write(archive(files or {}))
        return self._wait_booted(degraded, seconds)

    def reboot(self, hard=False, degraded=False, seconds=120):
        """Boots it anew from its disk: after an orderly shutdown or, hard, as after a power failure, though all that
        was written is on the disk. Its servers are gone; what was started in it has ended."""
        self._detach()
        if not hard:
            self._kill_running()
        self._came_up.clear()
        self.run(["systemctl", "reboot", *(["--force", "--force"] if hard else [])])
        return self._wait_booted(degraded, seconds)

    def _wait_booted(self, degraded, seconds):
        self._wait_ready(time.monotonic() + seconds)
        self.leader = self._find_leader()
        state = self.run(["systemctl", "is-system-running", "--wait"], timeout=seconds).stdout.strip()
        if state != "running" and not (degraded and state == "degraded"):
            units = self.failed_units()
            records = "".join(f"{unit}: {record.get('MESSAGE')}\n" for unit in units for record in self.journal(unit))
            raise AssertionError(f"the host is {state}; failed: {', '.join(units) or 'nothing'}\n{records}")
        return self

    def failed_units(self):
        listing = self.succeed(["systemctl", "list-units", "--failed", "--plain", "--no-legend"])
        return [line.split()[0] for line in listing.splitlines()]

    def poweroff(self, seconds=60):
        """Shuts it down in order."""
        self._kill_running()
        os.kill(self.leader, signal.SIGRTMIN + 4)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the host has not powered off within {seconds} s") from None
        finally:
            self.close()

    def _kill_running(self):
        """What was started from outside would hold up a shutdown: its parent is no process of the host."""
        for command in self._running:
            command.signal(signal.SIGKILL)
            command.end()
        self._running = []

    def close(self):
        """Ends all of it, however it stands: what is left after a power-off, or the host with its plug pulled."""
        if self not in _open:
            return
        self._detach()
        if self._process:
            self._end_processes()
        if self._notifications:
            self._notifications.sendto(b"", self._notifications.getsockname())  # the last one
        for command in self._running:
            command.end()
        self.leader = None
        self._remove_cgroups()
        _open.remove(self)

    def _end_processes(self):
        """The child of unshare is PID 1 of all that we have started, so all of it ends with that, and unshare then."""
        for pid in children(self._process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def attach(self, thing):
        """Has it closed when the host is."""
        self._attached.append(thing)

    def _detach(self):
        while self._attached:
            self._attached.pop().close()

    def _boot_arguments(self):
        arguments = [f"systemd.mask={unit}" for unit in MASKED]
        if self.suite != "bookworm" and not pathlib.Path("/sys/fs/cgroup/cgroup.controllers").exists():
            # This systemd wants to be asked for cgroups of version 1, and the kernel that we run on has those.
            arguments += ["systemd.unified_cgroup_hierarchy=no", "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"]
        return arguments

    def _read_notifications(self, notifications):
        """All of them, in a thread: a systemd tells of each reload, too, and stands still while nobody listens."""
        with notifications:
            while message := notifications.recv(4096):
                if b"READY=1" in message.split(b"\n"):
                    self._came_up.set()

    def _wait_ready(self, deadline):
        while not self._came_up.wait(0.2):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the host did not come up:\n{self.log.read_text(errors='replace')}")

    def _find_leader(self):
        """PID 1 of the host. Its parent is nspawn, whose parent is the script, whose parent is unshare."""
        (script,) = children(self._process.pid)
        (self.nspawn,) = children(script)
        (leader,) = (pid for pid in children(self.nspawn) if namespaced_pid(pid) == 1)
        return leader

    # --- cgroups ---

    def _make_cgroups(self):
        remove_stale_cgroups()
        for mounted in cgroup_mounts():
            cgroup = mounted / f"{CGROUPS}{os.getpid()}-{self.number}"
            cgroup.mkdir(exist_ok=True)  # left by a runner that had our process id
            self._cgroups.append(cgroup)
            for name in ("cpuset.cpus", "cpuset.mems"):  # empty in a new one of version 1, and nothing can run in it
                if (cgroup / name).exists() and not (cgroup / "cgroup.controllers").exists():
                    (cgroup / name).write_text((mounted / name).read_text("ascii"), "ascii")

    def _cgroup_files(self):
        return [str(cgroup / "cgroup.procs") for cgroup in self._cgroups]

    def _remove_cgroups(self):
        wait_for("the end of the host's cgroups", lambda: all(remove_cgroup(cgroup) for cgroup in self._cgroups), 30)
        self._cgroups = []

    # --- commands ---

    def _entered(self, command, environment):
        """A command line of the build host that runs this one in the host."""
        words = ["bash", "-euo", "pipefail", "-c", command] if isinstance(command, str) else list(map(str, command))
        variables = [f"{name}={value}" for name, value in {**ENVIRONMENT, **(environment or {})}.items()]
        return [*JOIN, *self._cgroup_files(), "--", "setpriv", "--pdeathsig", "KILL", "--",
                "nsenter", f"--target={self.leader}", "--all", "--root", "--wd", "--", "env", "-i", *variables, *words]

    def run(self, command, input="", timeout=120, env=None):
        """Runs a command (a list of words, or a text for bash) as root, in the host's root, with an environment like
        that of a login. It gets its input and then the end of it."""
        text = {"encoding": "utf-8", "errors": "replace"} if isinstance(input, str) else {}
        with subprocess.Popen(self._entered(command, env), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, **text) as process:
            try:
                stdout, stderr = process.communicate(input, timeout)
            except BaseException as error:
                for pid in [*children(process.pid), process.pid]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                if isinstance(error, subprocess.TimeoutExpired):
                    said = (error.stdout or b"") + (error.stderr or b"")
                    raise AssertionError(f"{command!r} runs for more than {timeout} s:\n{said!r}") from None
                raise
        done = Done(command, process.returncode, stdout, stderr)
        with open(self.transcript, "a", encoding="utf-8") as file:
            file.write(done.transcript())
        return done

    def succeed(self, command, **options):
        """The same for a command that has to succeed; returns its stdout."""
        done = self.run(command, **options)
        if done.status != 0:
            raise AssertionError(repr(done))
        return done.stdout

    def start(self, command, env=None):
        """Starts a command in the background."""
        process = subprocess.Popen(self._entered(command, env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, encoding="utf-8", errors="replace")
        self._running.append(Running(command, process))
        return self._running[-1]

    # --- files and records ---

    def write_file(self, path, content, mode=None):
        """Writes a file in place, and makes its folder. By a process in the host: a link leads nowhere else."""
        data = content.encode() if isinstance(content, str) else content
        self.succeed(["sh", "-euc", 'mkdir -p "${1%/*}"; cat >"$1"; [ -z "$2" ] || chmod "$2" "$1"', "write", path,
                      "" if mode is None else f"{mode:o}"], input=data)

    def read_file(self, path):
        return self.succeed(["cat", path])

    def install(self, program, path=None):
        """Puts one of our programs, built for this host's suite, where an administrator finds it."""
        source = trees.programs(self.suite) / program
        self.write_file(path or f"/usr/local/sbin/{program}", source.read_bytes(), 0o755)

    def journal(self, unit=None):
        """The journal's records, of one unit or of all."""
        chosen = ["--unit", unit] if unit else []
        lines = self.succeed(["journalctl", "--output=json", "--no-pager", "--quiet", *chosen]).splitlines()
        return [json.loads(line) for line in lines]

    def log_tail(self, records=25):
        """The end of what the host has to say, for a test that failed."""
        if not self.leader:
            return f"the host has ended; its console: {self.log}"
        done = self.run(["journalctl", "--no-pager", f"--lines={records}"])
        return f"the host's journal ({self.suite}):\n{done.stdout}{done.stderr}"

    def snapshot(self):
        """Every file that a program of ours could have touched."""
        return Snapshot(f"/proc/{self.leader}/root", f"/proc/{self.nspawn}/root/run/upper", str(self.tree))


class HostTestCase(unittest.TestCase):
    """Tests on a host each. `suite` is the Debian that they run on."""

    suite = None
    variant = "bare"
    host = None

    def boot(self, variant=None, files=None):
        self.host = Host(self.suite, variant or self.variant, self.id().rpartition(".")[2])
        self.addCleanup(self.host.close)
        return self.host.boot(files)

    def log_tail(self):
        return self.host.log_tail() if self.host else ""


def close_all():
    """Ends every host that is open. The runner's last word."""
    for host in list(_open):
        host.close()


def archive(files):
    """A tar of them."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for path, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            facts = tarfile.TarInfo(path.lstrip("/"))
            facts.size, facts.mtime = len(data), int(time.time())
            tar.addfile(facts, io.BytesIO(data))
    return made.getvalue()


# --- processes and cgroups of the build host ---


def children(parent):
    """Process ids. Not from /proc/PID/task/PID/children, which not every kernel has."""
    found = []
    for status in pathlib.Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            if f"\nPPid:\t{parent}\n" in status.read_text("utf-8", "replace"):
                found.append(int(status.parent.name))
    return found


def namespaced_pid(pid):
    """Its number in the innermost PID namespace that it is in."""
    return int(re.search(r"^NSpid:.*\s(\d+)$", pathlib.Path(f"/proc/{pid}/status").read_text("utf-8"), re.M)[1])


def cgroup_mounts():
    """Where the hierarchies are mounted: one of version 2, many of version 1, or both."""
    mounts = []
    for line in pathlib.Path("/proc/self/mountinfo").read_text("utf-8").splitlines():
        fields, kind = line.split(" - ")
        if kind.split()[0] in ("cgroup", "cgroup2"):
            mounts.append(pathlib.Path(fields.split()[4]))
    return mounts


def remove_cgroup(cgroup):
    """Removes it with all below it, if no process is left there. True if it has gone."""
    for folder, _, _ in os.walk(cgroup, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(folder)
    return not cgroup.exists()


def remove_stale_cgroups():
    """Those of a runner that was killed: its processes have died with it, its cgroups have not."""
    for mounted in cgroup_mounts():
        for cgroup in mounted.glob(f"{CGROUPS}*"):
            if not pathlib.Path(f"/proc/{cgroup.name.split('-')[2]}").exists():
                remove_cgroup(cgroup)
