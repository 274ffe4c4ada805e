# SPDX-License-Identifier: Apache-2.0
"""What is dear is made once and kept in build/cache: trees, images, keys, certificates; and the commands that make it."""

import fcntl
import os
import pathlib
import shutil
import subprocess

from places import ROOT

CACHE = ROOT / "build" / "cache"


def made_once(name, make):
    """The folder NAME in the cache. If it is not there, make(folder) fills a new one, which gets its name when it is
    whole; two runners at once make it once."""
    folder = CACHE / name
    if not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        new = CACHE / f"{name}.new"
        lock = os.open(CACHE / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.exists():
                remove(new)
                new.mkdir()
                make(new)
                new.rename(folder)
        finally:
            remove(new)
            os.close(lock)
    return folder


def call(command, data=b""):
    """Runs a command that has to succeed; returns what it printed."""
    words = [str(word) for word in command]
    done = subprocess.run(words, input=data, capture_output=True, timeout=1800, check=False)
    if done.returncode != 0:
        said = (done.stdout + done.stderr).decode(errors="replace")
        raise RuntimeError(f"{words[0]} … {words[-1]} ended with status {done.returncode}:\n{said}")
    return done.stdout


def remove(folder):
    if pathlib.Path(folder).exists():
        shutil.rmtree(folder)
