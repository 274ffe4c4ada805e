# SPDX-License-Identifier: Apache-2.0
"""Our package, built for a suite, and others made of it that are a version before or after it; and a site with the apt
repository that `make apt-repo` lays round them.
"""

import functools
import pathlib
import shutil

from cache import call
from places import ROOT, TEST_DIR, VERSION
import repository

MADE = TEST_DIR / "host" / "packages"
ADDRESS = "http://localhost/tee-agent"


def build(suite, folder, options=""):
    """Builds it in a clean Debian, with these DEB_BUILD_OPTIONS. Returns the folder with all that came out."""
    call(["env", f"DEB_BUILD_OPTIONS={options}", ROOT / "packaging" / "deb", "--output", folder, suite])
    return folder / suite


@functools.lru_cache(maxsize=None)
def built(suite):
    return build(suite, MADE)


@functools.lru_cache(maxsize=None)
def deno():
    """The pinned one, as a file."""
    return pathlib.Path(call([ROOT / "tests" / "dev" / "deno"]).decode().strip())


def package(suite):
    (path,) = built(suite).glob("tee-agent_*.deb")
    return path


def other_version(suite, version, config=None):
    """The same package under another version of as many letters, which its programs have, too; with another tee.conf if a
    function (text → text) is given."""
    assert len(version) == len(VERSION)
    folder = MADE / f"{suite}-{version}"
    shutil.rmtree(folder, ignore_errors=True)
    call(["dpkg-deb", "--raw-extract", package(suite), folder])
    call(["sed", "-i", f"s/^Version: .*/Version: {version}/", folder / "DEBIAN" / "control"])
    for program in (*folder.glob("usr/*bin/tee-*"), folder / "usr/lib/tee/tee-guest"):
        program.write_bytes(program.read_bytes().replace(VERSION.encode(), version.encode()))
    if config:
        path = folder / "etc" / "tee" / "tee.conf"
        path.write_text(config(path.read_text(encoding="utf-8")), encoding="utf-8")
    made = folder.with_name(f"{suite}-made") / package(suite).name.replace(f"_{VERSION}_", f"_{version}_")
    made.parent.mkdir(exist_ok=True)
    call(["dpkg-deb", "-Zgzip", "-z1", "--root-owner-group", "--build", folder, made])
    return made


def site(suite, *others):
    """A site with the package, and with other versions of it."""
    top = repository.new_site(f"tee-agent-{suite}")
    (top / "localhost").mkdir()
    call([ROOT / "packaging" / "apt-repo", top / "localhost" / "tee-agent",
          *(f"{suite}={path}" for path in (package(suite), *others))])
    return top


def add_source(host, top):
    """Has the host's apt know it, as tee-agent.sources says."""
    folder = pathlib.Path(top) / "localhost" / "tee-agent"
    host.write_file("/etc/apt/keyrings/tee-agent.asc", (folder / "tee-agent.asc").read_text(encoding="ascii"))
    source = (folder / "tee-agent.sources").read_text(encoding="utf-8")
    host.write_file("/etc/apt/sources.list.d/tee-agent.sources",
                    source.replace("ADDRESS", ADDRESS).replace("Suites: SUITE", f"Suites: {host.suite}"))
