# SPDX-License-Identifier: Apache-2.0
"""Runs inside the machine (machine.py), as its unit tests.service: serves the sites of the second disk on the loopback,
then does what the test asks for over the port that is our argument. A line of JSON is a command, and one its answer;
the first line only says that we are there.
"""

import json
import os
import pathlib
import signal
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests" / "integration"), str(TOP / "tests" / "host")]

import hosts  # noqa: E402
import servers  # noqa: E402


class Here:
    """What servers.py wants of a host: the one that it runs on."""

    leader = os.getpid()

    def attach(self, thing):
        """It ends with us."""

    def read_file(self, path):
        return pathlib.Path(path).read_text(encoding="utf-8")

    def write_file(self, path, content):
        pathlib.Path(path).write_text(content, encoding="utf-8")


def run(asked):
    with subprocess.Popen(asked["words"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          encoding="utf-8", errors="replace", cwd="/", env=hosts.ENVIRONMENT,
                          start_new_session=True) as process:
        try:
            stdout, stderr = process.communicate(asked["input"], asked["timeout"])
            late = False
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            stdout, stderr = process.communicate()
            late = True
    return {"status": process.returncode, "stdout": stdout, "stderr": stderr, "late": late}


def main():
    servers.Server(Here(), *sorted((TOP / "sites").iterdir()))
    with open(sys.argv[1], "r+b", buffering=0) as port:
        port.write(b"{}\n")
        while True:
            answer = run(json.loads(port.readline()))
            left = json.dumps(answer).encode() + b"\n"
            while left:
                left = left[port.write(left):]


main()
