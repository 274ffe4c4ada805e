# SPDX-License-Identifier: Apache-2.0
"""A systemd-journald of the tests' own, in a mount namespace where /run/systemd and /run/log are empty, so that neither
it nor what is started by its prefix can meet the host's. It needs no systemd: since no socket is passed to it, it makes
them all.
"""

import json
import pathlib
import subprocess

from places import patience, wait_for

BINARIES = ("/usr/lib/systemd/systemd-journald", "/lib/systemd/systemd-journald")
CONFIGURATION = "[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=no\nForwardToSyslog=no\nRateLimitBurst=0\n"

START = """
set -e
mkdir -p /run/systemd /run/log
mount -t tmpfs tmpfs /run/systemd
mount -t tmpfs tmpfs /run/log
mkdir /run/systemd/journald.conf.d
printf %s "$2" > /run/systemd/journald.conf.d/test.conf
exec "$1"
"""

# What systemd tells its services (systemd.exec(5)), and systemd-cat only from version 256 on.
CONNECTED = 'JOURNAL_STREAM=$(stat --dereference --format=%d:%i /proc/self/fd/2) exec "$@"'


class Journald:
    def __init__(self, log):
        """log: the file for what journald itself has to say."""
        binary = next(path for path in BINARIES if pathlib.Path(path).exists())
        with open(log, "ab") as output:
            command = ["unshare", "--mount", "--propagation", "private", "--", "bash", "-c", START, "start"]
            self.process = subprocess.Popen([*command, binary, CONFIGURATION],
                                            stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        self.root = pathlib.Path(f"/proc/{self.process.pid}/root")
        self.log = pathlib.Path(log)
        wait_for("journald", self.listens, 10)

    def listens(self):
        if self.process.poll() is not None:
            raise AssertionError(f"journald ended with {self.process.returncode}:\n{self.log.read_text()}")
        systemd = self.root / "run" / "systemd"
        return (systemd / "journald.conf.d").exists() and (systemd / "journal" / "stdout").exists()

    def prefix(self):
        """What goes before a command, so that its stderr is this journal, as under systemd. Its pid stays its own."""
        return ["nsenter", f"--mount=/proc/{self.process.pid}/ns/mnt", "--", "systemd-cat",
                "bash", "-c", CONNECTED, "connected"]

    def entries(self, **fields):
        """All entries that have these fields, oldest first: name → text, or a list where a field is there twice."""
        matches = [f"{name}={value}" for name, value in fields.items()]
        done = subprocess.run(["journalctl", "--quiet", "--all", "--output=json", "--directory",
                               self.root / "run" / "log" / "journal", *matches],
                              stdout=subprocess.PIPE, check=True, timeout=patience(20))
        return [{name: text_of(value) for name, value in json.loads(line).items()} for line in done.stdout.splitlines()]

    def wait_entry(self, seconds=10, **fields):
        """The one entry that has these fields. It comes by a datagram, so it may take its time."""
        entry, = wait_for(f"an entry with {fields}", lambda: self.entries(**fields), seconds)
        return entry

    def close(self):
        self.process.terminate()
        self.process.wait(patience(10))


def text_of(value):
    """journalctl gives what it takes for no text as a list of bytes."""
    return bytes(value).decode("utf-8") if isinstance(value, list) and isinstance(value[0], int) else value
