# SPDX-License-Identifier: Apache-2.0
"""Images with languages, as somebody would have them: a Debian of this machine's suite with Python and Node.js in it."""

import functools
import hashlib
import json
import pathlib
import re

from cache import call, made_once

WORDS = ["--quiet", "--variant=minbase", "--include=python3,nodejs", "--dpkgopt=path-exclude=/usr/share/doc/*",
         "--customize-hook=rm -rf \"$1\"/var/lib/apt/lists/* \"$1\"/var/cache/apt/*"]


def suite():
    release = pathlib.Path("/etc/os-release").read_text(encoding="utf-8")
    return re.search(r"^VERSION_CODENAME=\"?(\w+)", release, re.MULTILINE).group(1)


@functools.lru_cache(maxsize=None)
def archive():
    """The image's files, as a tar."""
    words = [*WORDS, suite()]
    digest = hashlib.sha256(json.dumps(words).encode()).hexdigest()[:12]
    folder = made_once(f"{suite()}-languages-{digest}",
                       lambda new: call(["mmdebstrap", *words, new / "root.tar"]))
    return folder / "root.tar"
