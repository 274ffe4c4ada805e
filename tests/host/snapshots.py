# SPDX-License-Identifier: Apache-2.0
"""What stands on a host's disk, and what differs between two such moments, in words.

A snapshot walks all of the host's own file system and /tmp. Only files that were written since the host first booted
are read: they lie in the overlay's upper layer. A file that does not is the tree's, and trees do not change.
"""

import collections
import contextlib
import fnmatch
import hashlib
import os
import re
import stat

# What changes without anyone's being to blame. A pattern's * matches any number of folders, too.
CHANGES_ITSELF = {
    "/var/log/*": "journald, apt, dpkg and the login records write what happened",
    "/var/lib/docker": "Docker's, a file system of its own",
    "/var/lib/containerd/*": "containerd's state",
    "/var/cache/*": "what can be made again: apt's indexes and archives, debconf's, the linker's",
    "/var/lib/apt/lists*": "what `apt-get update` fetches",
    "/var/lib/apt/extended_states": "apt writes it anew; which packages are installed is compared for itself",
    "/var/lib/apt/periodic/*": "apt notes when it did something",
    "/var/lib/dpkg/status*": "dpkg orders it as it likes; which packages are installed is compared for itself",
    "/var/lib/dpkg/available*": "dpkg writes it anew",
    "/var/lib/dpkg/diversions*": "dpkg writes it anew",
    "/var/lib/dpkg/lock*": "dpkg makes its locks when it first needs them",
    "/var/lib/dpkg/triggers/*": "dpkg's notes to itself",
    "/var/lib/systemd/random-seed": "systemd saves one",
    "/var/lib/systemd/timers/*": "systemd notes when a timer went off",
    "/var/lib/systemd/catalog/database": "made anew by dpkg's trigger",
    "/etc/ld.so.cache": "made anew by dpkg's trigger",
    "/tmp/systemd-private-*": "systemd gives services a /tmp of their own",
    "/var/tmp/systemd-private-*": "systemd gives services a /tmp of their own",
}

ROOTS = ("", "/tmp")
TREES = object()  # instead of a digest: as in the tree

Entry = collections.namedtuple("Entry", "kind mode owner size mtime target digest")

KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link", stat.S_IFSOCK: "socket",
         stat.S_IFIFO: "pipe", stat.S_IFCHR: "device", stat.S_IFBLK: "device"}


class Snapshot:
    def __init__(self, root, upper, tree):
        self.tree = tree
        self.entries = {}
        for top in ROOTS:
            self._walk(root, upper, top, os.lstat(f"{root}{top}/").st_dev)
        with open(f"{root}/var/lib/dpkg/status", encoding="utf-8") as status:
            self.packages = installed(status.read())

    def _walk(self, root, upper, folder, device):
        with os.scandir(f"{root}{folder}/") as found:
            for item in found:
                path = f"{folder}/{item.name}"
                with contextlib.suppress(FileNotFoundError):  # gone between two looks: not there
                    facts = item.stat(follow_symlinks=False)
                    self.entries[path] = entry(root, upper, path, facts)
                    # On an overlay only folders tell which file system they are in.
                    if stat.S_ISDIR(facts.st_mode) and facts.st_dev == device:
                        self._walk(root, upper, path, device)

    def differences(self, later, ignore=(), folder_times=False):
        """What is different in a later one: a list of sentences, empty if nothing is. `ignore` has more patterns like
        those of CHANGES_ITSELF; with folder_times even a file that came and went is noticed, by its folder's time."""
        ignored = re.compile("|".join(fnmatch.translate(pattern) for pattern in [*CHANGES_ITSELF, *ignore]))
        said = []
        for path in sorted(self.entries.keys() | later.entries.keys()):
            if ignored.match(path):
                continue
            before, after = self.entries.get(path), later.entries.get(path)
            if before is None:
                said.append(f"{path} was added: a {after.kind}")
            elif after is None:
                said.append(f"{path} was removed: a {before.kind}")
            elif before is not after:
                said.extend(f"{path} has {change}" for change in self._changes(path, before, after, folder_times))
        for name in sorted(self.packages.keys() | later.packages.keys()):
            before, after = (packages.get(name, "not there") for packages in (self.packages, later.packages))
            if before != after:
                said.append(f"package {name} was {before}, is {after}")
        return said

    def _changes(self, path, before, after, folder_times):
        if before.kind != after.kind:
            yield f"become a {after.kind}, was a {before.kind}"
            return
        if before.mode != after.mode:
            yield f"another mode: {before.mode:04o}, now {after.mode:04o}"
        if before.owner != after.owner:
            yield "another owner: {}:{}, now {}:{}".format(*before.owner, *after.owner)
        if before.target != after.target:
            yield f"another target: {before.target}, now {after.target}"
        if before.size != after.size:
            yield f"another size: {before.size}, now {after.size}"
        elif before.digest != after.digest and self._digest(path, before) != self._digest(path, after):
            yield "another content"
        if before.mtime != after.mtime and (before.kind != "folder" or folder_times):
            yield f"another mtime: {before.mtime} ns, now {after.mtime} ns"

    def _digest(self, path, known):
        return digest(f"{self.tree}{path}") if known.digest is TREES else known.digest


def entry(root, upper, path, facts):
    kind = KINDS[stat.S_IFMT(facts.st_mode)]
    content = target = None
    if kind == "file":
        written = path.startswith("/tmp/") or os.path.lexists(f"{upper}{path}")
        content = digest(f"{root}{path}") if written else TREES
    elif kind == "link":
        target = os.readlink(f"{root}{path}")
    elif kind == "device":
        target = facts.st_rdev
    return Entry(kind, stat.S_IMODE(facts.st_mode), (facts.st_uid, facts.st_gid),
                 facts.st_size if kind == "file" else 0, facts.st_mtime_ns, target, content)


def digest(path):
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def installed(status):
    """dpkg's packages: name → version and state."""
    packages = {}
    for paragraph in status.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Version|Status): (.*)$", paragraph, re.M))
        if fields:
            packages[fields["Package"]] = f"{fields.get('Version')} ({fields['Status']})"
    return packages
