# SPDX-License-Identifier: Apache-2.0
"""Debian trees that test hosts boot from, made by mmdebstrap and kept in build/cache under a name with the
digest of their recipe. Nothing ever writes to one: a host has an overlay on it (hosts.py).

    bare    systemd as PID 1, dbus, apt, and the libraries that our programs need; beside the tree the packages that a
            test can serve to its host (repository.py): Docker, runsc, what they need, and the guide's tools
    docker  the same with Docker, without runsc
    vm      the same with a kernel, for a machine of its own (tests/vm), and with what Docker wants there
    build   the compiler and the libraries' headers: the suites differ in the names of libraries, so that a program
            runs only on the suite that it was built on
"""

import dataclasses
import functools
import hashlib
import json
import os
import sys

from cache import CACHE, call, made_once, remove
from places import ROOT
import keys

COMMON = ["systemd-sysv", "dbus", "ca-certificates", "procps"]  # docker.service needs the last one's kill to reload
TOOLS = ["gcc", "libc6-dev", "make", "pkg-config", "libsystemd-dev", "libcurl4-gnutls-dev", "libconfig-dev",
         "libcjson-dev", "libmicrohttpd-dev", "libgnutls28-dev"]
SERVED = ["curl", "gpg", "runsc"]  # with Docker and all that these depend on
# Docker wants the two where the kernel is not the build host's; Python and the module are for the tests' own unit.
KERNEL = ["linux-image-cloud-amd64", "udev", "apparmor", "iptables", "python3-minimal", "libpython3-stdlib"]


@dataclasses.dataclass(frozen=True)
class Suite:
    libraries: tuple
    docker: tuple


SUITES = {
    "bookworm": Suite(("libsystemd0", "libcurl3-gnutls", "libconfig9", "libcjson1", "libmicrohttpd12", "libgnutls30"),
                      ("docker.io",)),
    "trixie": Suite(("libsystemd0", "libcurl3t64-gnutls", "libconfig11", "libcjson1", "libmicrohttpd12t64",
                     "libgnutls30t64"), ("docker.io", "docker-cli")),
}

# The tree becomes a machine of its own, with nothing of the build host's: a name, no name server, no apt source, the
# tests' certificate authority. What belongs to the machine, not to the Debian on it, lies in /usr/local.
MACHINE = """
set -eu
cd "$1"
rm -rf etc/hostname etc/hosts etc/resolv.conf etc/apt/sources.list etc/apt/sources.list.d/*
echo host >etc/hostname
printf '127.0.0.1 localhost\\n127.0.1.1 host\\n' >etc/hosts
touch etc/resolv.conf
cat >usr/local/share/ca-certificates/tests.crt <<'end'
{authority}end
chroot . update-ca-certificates >/dev/null
units=usr/local/lib/systemd/system
"""

# Docker has to make cgroups where systemd-nspawn mounts them read-only.
CONTAINER = """mkdir -p $units/sysinit.target.wants
ln -s ../writable-cgroups.service $units/sysinit.target.wants/
cat >$units/writable-cgroups.service <<'end'
[Unit]
Description=Make the cgroups writable that the container manager has mounted read-only
DefaultDependencies=no
Before=sysinit.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/bash -ec 'while read -r _ _ _ _ target options _; do \\
        if [[ $target = /sys/fs/cgroup/* && ,$options, = *,ro,* ]]; then mount -o remount,bind,rw "$target"; fi; \\
        done </proc/self/mountinfo'
end
"""

# What the test brings is on a second disk (tests/vm/machine.py), with a program that does what the test asks for;
# without it the machine is good for nothing. And this is no first boot after an upgrade, of which systemd makes much.
DRIVEN = """mkdir -p $units/multi-user.target.wants
touch etc/.updated var/.updated
echo 'LABEL=srv /srv ext4 ro 0 0' >etc/fstab
ln -s ../tests.service $units/multi-user.target.wants/
cat >$units/tests.service <<'end'
[Unit]
Description=Do what the test asks for
RequiresMountsFor=/srv
BindsTo=dev-virtio\\x2dports-tests.device
After=dev-virtio\\x2dports-tests.device
FailureAction=poweroff-force

[Service]
StandardError=journal+console
ExecStart=/usr/bin/python3 -B /srv/tests/vm/guest.py /dev/virtio-ports/tests
end
"""

# apt outside the tree, with mmdebstrap's settings, downloads for the tree as it is.
DOWNLOAD = """
set -eu
rm -f "$1"/var/cache/apt/archives/*.deb
APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get --quiet=2 --yes --no-install-recommends --download-only install {packages}
mkdir "${{1%/*}}/packages"
mv "$1"/var/cache/apt/archives/*.deb "${{1%/*}}/packages"
"""


def recipe(suite, variant):
    known = SUITES[suite]
    docker = [*COMMON, *known.libraries, *known.docker]
    packages = {"bare": [*COMMON, *known.libraries], "docker": docker, "vm": [*docker, *KERNEL],
                "build": TOOLS}[variant]
    words = ["--quiet", "--variant=minbase", "--include=" + ",".join(packages)]
    if variant == "bare":
        words.append("--customize-hook=" + DOWNLOAD.format(packages=" ".join([*SERVED, *known.docker])).strip())
    if variant != "build":
        machine = MACHINE.format(authority=(keys.tls() / "ca.crt").read_text("ascii"))
        words.append("--customize-hook=" + (machine + (DRIVEN if variant == "vm" else CONTAINER)).strip())
    return [*words, suite]


@functools.lru_cache(maxsize=None)
def cached(suite, variant):
    """The folder of this tree: root, and for a bare one packages."""
    words = recipe(suite, variant)
    name = f"{suite}-{variant}-{hashlib.sha256(json.dumps(words).encode()).hexdigest()[:12]}"

    def make(folder):
        print(f"making the tree {name}", file=sys.stderr, flush=True)
        call(["mmdebstrap", *words, folder / "root"])
        for other in CACHE.glob(f"{suite}-{variant}-*"):  # of an older recipe
            if other.is_dir() and other != folder:
                remove(other)

    return made_once(name, make)


def tree(suite, variant):
    return cached(suite, variant) / "root"


def packages(suite):
    """The packages that can be served to a host of this suite, as files."""
    return sorted((cached(suite, "bare") / "packages").glob("*.deb"))


# /run is nspawn's own; the sources are seen read-only, and what is made of them goes to a folder of the suite's.
MAKE = """
mount -t tmpfs -o mode=0755 tmpfs /run
exec systemd-nspawn --quiet --register=no --keep-unit --private-network --console=pipe --directory="$0" --read-only \\
        --tmpfs=/tmp --bind-ro="$1:/tmp/source" --bind="$2:/tmp/source/build" --chdir=/tmp/source make "${@:3}"
"""


@functools.lru_cache(maxsize=None)
def programs(suite):
    """The folder with our programs, built in a tree of this suite from the sources as they are now."""
    made = ROOT / "build" / "host" / suite
    made.mkdir(parents=True, exist_ok=True)
    call(["unshare", "--mount", "--", "bash", "-euc", MAKE, tree(suite, "build"), ROOT, made, f"-j{os.cpu_count()}"])
    return made / "release"
