# SPDX-License-Identifier: Apache-2.0
"""Apt repositories as folders that a server hands out (servers.py), real packages in them, signed with keys of the
tests' own. A *site* is a folder with one folder for each host name.

    gvisor    laid out as gVisor's: https://gvisor.dev/archive.key and https://storage.googleapis.com/gvisor/releases
              with the suites release, nightly and one of a date. The runsc in it is Debian's, packed again with
              version numbers like gVisor's: otherwise apt could not tell the two apart.
              A mirror, http://mirror.test, has the same as /archive.key and /gvisor/releases.
    debian    what a host needs from Debian, in place of Debian's mirrors: http://localhost/debian, with runsc, too

A site of gVisor's can have a fault:

    signature   the indexes were changed after they had been signed
    package     in place of the package there is a web page, and the index vouches for it
    key-page    in place of the key there is a web page
    key-other   another key than the one that signs
    key-two     both keys, in one block

and, which is none: with "registers" its package registers itself with Docker, as gVisor's own does.
"""

import functools
import gzip
import hashlib
import os
import re
import shutil

from cache import call, made_once
from places import TEST_DIR
import keys
import trees

SITES = TEST_DIR / "host" / "sites"
RELEASES = "storage.googleapis.com/gvisor/releases"
CHANNELS = {"release": ("20251208.0", "20260105.0"), "nightly": ("20260119.0",), "20251208": ("20251208.0",)}
PAGE = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Welcome to the hotel's network</body></html>\n"


@functools.lru_cache(maxsize=None)
def gvisor(suite, fault=None):
    site = new_site(f"gvisor-{suite}-{fault or 'sound'}")
    key = {"key-page": lambda: PAGE, "key-other": lambda: keys.public_key("other"),
           "key-two": lambda: keys.public_key("gvisor", "other")}.get(fault, lambda: keys.public_key("gvisor"))
    (site / "gvisor.dev").mkdir()
    (site / "gvisor.dev" / "archive.key").write_bytes(key())
    for channel, versions in CHANNELS.items():
        packages = [runsc(suite, version, fault == "registers") for version in versions]
        fill(site / RELEASES, channel, packages, "gvisor", fault)
    (site / "mirror.test").mkdir()
    (site / "mirror.test" / "archive.key").symlink_to("../gvisor.dev/archive.key")
    (site / "mirror.test" / "gvisor").symlink_to("../storage.googleapis.com/gvisor")
    return site


@functools.lru_cache(maxsize=None)
def debian(suite):
    site = new_site(f"debian-{suite}")
    fill(site / "localhost" / "debian", suite, trees.packages(suite), "debian")
    return site


# In place, where daemon.json is there already, and without arguments.
POSTINST = """#!/bin/sh -e
if [ "$1" = configure ] && [ -f /etc/docker/daemon.json ]; then
        runsc install --clobber=false
        systemctl reload docker
fi
"""


def runsc(suite, version, registers=False):
    """Debian's package with another version."""
    (debians,) = (package for package in trees.packages(suite) if package.name.startswith("runsc_"))

    def make(folder):
        content = folder / "content"
        call(["dpkg-deb", "--raw-extract", debians, content])
        call(["sed", "-i", f"s/^Version: .*/Version: {version}/", content / "DEBIAN" / "control"])
        if registers:
            (content / "DEBIAN" / "postinst").write_text(POSTINST, encoding="ascii")
            (content / "DEBIAN" / "postinst").chmod(0o755)
        call(["dpkg-deb", "-Zgzip", "-z1", "--root-owner-group", "--build", content, folder / f"runsc_{version}.deb"])
        shutil.rmtree(content)

    return made_once(f"{debians.stem}-as-{version}{'-registers' if registers else ''}", make) / f"runsc_{version}.deb"


def add_debian_source(host):
    """Has the host's apt know the site debian, as an installed Debian knows its mirror."""
    host.write_file("/usr/share/keyrings/debian-of-the-tests.asc", keys.public_key("debian"))
    host.write_file("/etc/apt/sources.list.d/debian.sources", f"Types: deb\nURIs: http://localhost/debian\n"
                    f"Suites: {host.suite}\nComponents: main\nSigned-By: /usr/share/keyrings/debian-of-the-tests.asc\n")


def new_site(name):
    site = SITES / name
    shutil.rmtree(site, ignore_errors=True)
    site.mkdir(parents=True)
    return site


def fill(top, suite, packages, signer, fault=None):
    """Makes a suite below top, as apt wants to find it: its packages in pool/, its indexes in dists/."""
    pool = top / "pool" / suite
    pool.mkdir(parents=True)
    for package in packages:
        os.link(package, pool / package.name)
    index = call(["env", "-C", top, "apt-ftparchive", "packages", f"pool/{suite}"])
    if fault == "package":
        index = replaced_by_page(pool, index)
    architecture = call(["dpkg", "--print-architecture"]).decode().strip()
    folder = top / "dists" / suite / "main" / f"binary-{architecture}"
    folder.mkdir(parents=True)
    (folder / "Packages").write_bytes(index)
    (folder / "Packages.gz").write_bytes(gzip.compress(index))
    sign(top / "dists" / suite, suite, architecture, signer, fault)


def sign(folder, suite, architecture, signer, fault):
    facts = {"Origin": signer, "Label": signer, "Suite": suite, "Codename": suite, "Components": "main",
             "Architectures": architecture, "Description": "packages for tests"}
    options = [word for name, value in facts.items() for word in ("-o", f"APT::FTPArchive::Release::{name}={value}")]
    release = call(["apt-ftparchive", *options, "release", folder])
    files = {"Release": release, "Release.gpg": keys.signature(signer, release),
             "InRelease": keys.signed(signer, release)}
    for name, content in files.items():
        if fault == "signature":
            content = content.replace(b"packages for tests", b"packages for theft")
        (folder / name).write_bytes(content)


def replaced_by_page(pool, index):
    """Puts the page in the place of every package; returns an index to match."""
    for package in list(pool.iterdir()):
        package.unlink()  # it is the cache's, too
        package.write_bytes(PAGE)
    for field, value in (("Size", str(len(PAGE))), ("MD5sum", hashlib.md5(PAGE).hexdigest()),
                         ("SHA1", hashlib.sha1(PAGE).hexdigest()), ("SHA256", hashlib.sha256(PAGE).hexdigest()),
                         ("SHA512", hashlib.sha512(PAGE).hexdigest())):
        index = re.sub(f"^{field}: .*$".encode(), f"{field}: {value}".encode(), index, flags=re.MULTILINE)
    return index
