# SPDX-License-Identifier: Apache-2.0
"""Where things are, and how long to wait for them."""

import functools
import os
import pathlib
import re
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
VERSION = re.search(r'TEE_VERSION "(.*)"', (ROOT / "lib" / "version.h").read_text("ascii"))[1]
BUILD = (ROOT / os.environ.get("BUILD", "build/release")).resolve()
AGENT = BUILD / "tee-agent"
TEE_RUN = BUILD / "tee-run"
TEE_BENCH = BUILD / "tee-bench"
TEE_INSTALL = BUILD / "tee-install"
TEE_HEALTH = BUILD / "tee-health"
TEST_DIR = (ROOT / os.environ.get("TEE_DEV_DIR", "build/test")).resolve()
IMAGES_DIR = TEST_DIR.with_name(TEST_DIR.name + "-images")  # of a second Docker
GUIDE = ROOT.parent / "shared" / "reference" / "gvisor-configuration-guide.md"  # not in a clone
GUIDE_PARTS = ROOT / "tests" / "integration" / "guide"  # what is copied from it


def guides(name):
    """A text that the guide prescribes, character for character: banner or warning."""
    text = (GUIDE_PARTS / f"{name}.txt").read_text(encoding="utf-8").removesuffix("\n")
    if GUIDE.exists():
        assert f"\n{text}\n" in GUIDE.read_text(encoding="utf-8"), f"{name}.txt is not what the guide says"
    return text


@functools.lru_cache(maxsize=None)
def is_sanitized():
    return AGENT.exists() and b"__asan_init" in AGENT.read_bytes()


def patience(seconds):
    """A deadline for this build: sanitizers make everything slower."""
    return seconds * 3 if is_sanitized() else seconds


def wait_for(what, condition, seconds=10):
    """Polls until condition() is true and returns its value; fails after the deadline."""
    deadline = time.monotonic() + patience(seconds)
    pause = threading.Event()
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {patience(seconds)} s in vain: {what}")
        pause.wait(0.02)
