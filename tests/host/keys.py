# SPDX-License-Identifier: Apache-2.0
"""What the tests sign with: OpenPGP keys for apt repositories, and a certificate authority for HTTPS. Both are made
once. The authority's certificate is in the trust store of every tree (trees.py).
"""

import functools

from cache import call, made_once

OWNERS = ("gvisor", "other", "debian")
NAMES = ("gvisor.dev", "storage.googleapis.com", "mirror.test", "localhost")
DAYS = "3650"

# gpg's agent outlives gpg, and the path of its socket may be too long below build/. In namespaces of their own it ends
# with gpg, and the folder has a short name.
GPG = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--", "sh", "-euc", """
mount -t tmpfs tmpfs /run
mkdir /run/keys
mount --bind "$0" /run/keys
exec gpg --homedir /run/keys --batch --no-tty --quiet --pinentry-mode loopback --passphrase '' "$@"
"""]


def make_openpgp(folder):
    folder.chmod(0o700)
    for owner in OWNERS:
        call([*GPG, folder, "--quick-generate-key", f"{owner} <{owner}@test>", "rsa4096", "sign", "never"])


def gpg(*arguments, data=b""):
    return call([*GPG, made_once("openpgp", make_openpgp), *arguments], data)


@functools.lru_cache(maxsize=None)
def fingerprint(owner):
    listing = gpg("--with-colons", "--list-keys", f"={owner} <{owner}@test>").decode()
    return next(line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr:"))


@functools.lru_cache(maxsize=None)
def public_key(*owners):
    """The owners' public keys, armoured, in one block."""
    return gpg("--armor", "--export", *map(fingerprint, owners))


def signed(owner, text):
    """The text in a clear-signed message, as InRelease is."""
    return gpg("--local-user", fingerprint(owner), "--clearsign", data=text)


def signature(owner, data):
    """An armoured signature apart from the data, as Release.gpg is."""
    return gpg("--local-user", fingerprint(owner), "--armor", "--detach-sign", data=data)


def make_tls(folder):
    """ca.crt; server.pem, which it has signed; stranger.pem, which it has not. The .pem have certificate and key."""
    authority = ["-CA", folder / "ca.crt", "-CAkey", folder / "ca.key"]
    names = "subjectAltName=" + ",".join(f"DNS:{name}" for name in NAMES)
    issue(folder / "ca.crt", folder / "ca.key", "/CN=tee-agent test authority")
    for name, issuer in (("server", authority), ("stranger", [])):
        key = folder / f"{name}.key"
        issue(folder / f"{name}.crt", key, f"/CN={name}", *issuer, "-addext", names,
              "-addext", "basicConstraints=critical,CA:FALSE", "-addext", "extendedKeyUsage=serverAuth")
        (folder / f"{name}.pem").write_bytes((folder / f"{name}.crt").read_bytes() + key.read_bytes())


def issue(certificate, key, subject, *options):
    call(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
          "-days", DAYS, "-subj", subject, *options, "-keyout", key, "-out", certificate])


def tls():
    return made_once("tls", make_tls)
