# SPDX-License-Identifier: Apache-2.0
"""tee-install and the images of runtimes, in a Docker that has none at first: made from a program, read out of an image
that a registry serves, or an image with the guest added; listed and removed; and after whatever goes wrong nothing is
left."""

import contextlib
import hashlib
import io
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
import threading
import unittest

import engine
from harness import IMAGE_DENO, Agent
from places import BUILD, IMAGES_DIR, ROOT, TEE_INSTALL, VERSION, patience, wait_for
from registry import Registry
from scripted_docker import PASS, STALL, ScriptedDocker, answer, with_connection_close

GUEST = BUILD / "tee-guest"
BUSYBOX = pathlib.Path("/bin/busybox")

# A tee-guest of another version, as far as tee-install looks.
OTHER_GUEST = """
#include <stdio.h>
int main(void) { return puts("0.0.9") < 0; }
"""

# Says that it is Deno, has a library of its own, and is as large as a download that can be watched.
FAKE_DENO = r"""
#include <stdio.h>
#include <string.h>
int tee_test_number(void);
int main(int argc, char *argv[]) {
        if (argc == 2 && strcmp(argv[1], "--version") == 0)
                printf("%s %d.9.5 (stable)\nv8\n", NAME, tee_test_number());
        return 0;
}
"""


def compile_c(text, *arguments):
    subprocess.run(["gcc", "-O1", "-x", "c", "-", "-x", "none", *arguments], input=text, text=True, check=True, timeout=120)


class Programs:
    """Programs that take Deno's place, made once."""

    def __init__(self, folder):
        self.folder = folder
        self.library = folder / "libteetest.so"
        self.deno = folder / "deno"
        self.make_library(2)
        self.make(self.deno, "deno")
        self.other_guest = folder / "other-guest"
        compile_c(OTHER_GUEST, "-static", "-o", str(self.other_guest))

    def make_library(self, number):
        made = self.folder / "library.new"
        compile_c(f"int tee_test_number(void) {{ return {number}; }}", "-shared", "-fPIC",
                  f"-Wl,-soname,{self.library}", "-o", str(made))
        made.replace(self.library)

    def make(self, path, name):
        # The soname is a path, so that the loader finds the library where it lies.
        compile_c(FAKE_DENO.replace("NAME", f'"{name}"'), str(self.library), "-o", str(path))
        with open(path, "ab") as file:
            file.write(os.urandom(4 * 1024 * 1024))


class Entry:
    """A file, folder or link in an image."""

    def __init__(self, info, content):
        self.mode, self.owner, self.mtime = info.mode & 0o7777, (info.uid, info.gid), info.mtime
        self.is_file, self.is_folder, self.link = info.isfile(), info.isdir(), info.issym() and info.linkname
        self.content = content


class Installer:
    """A tee-install under way."""

    def __init__(self, test, *arguments, socket_path=None, program=TEE_INSTALL, path=None, user=None):
        environment = dict(os.environ, DOCKER_HOST=f"unix://{socket_path or test.docker.path}", LC_ALL="C",
                           TMPDIR=str(test.temporary), ASAN_OPTIONS="quarantine_size_mb=4")
        if path is not None:
            environment["PATH"] = path
        self.process = subprocess.Popen([program, *map(str, arguments)], env=environment, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, user=user)
        test.addCleanup(self.close)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        return self

    def end(self, seconds=120):
        self.output, self.errors = self.process.communicate(timeout=patience(seconds))
        self.status = self.process.returncode
        return self


class RuntimeImages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.docker = engine.secluded_docker()
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="programs-", dir=IMAGES_DIR))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.programs = Programs(cls.folder)

    def setUp(self):
        self.temporary = pathlib.Path(tempfile.mkdtemp(prefix="tmp-", dir=self.folder))
        self.socket_folder = pathlib.Path(tempfile.mkdtemp(prefix="tee-test-"))
        self.addCleanup(shutil.rmtree, self.socket_folder)
        self.addCleanup(self.remove_images)

    def tearDown(self):
        self.assertEqual(list(self.temporary.iterdir()), [], "temporary files are left")
        self.assertEqual(self.docker.call("GET", "/containers/json?all=1").json, [], "containers are left")

    def remove_images(self):
        for one in self.docker.call("GET", "/containers/json?all=1").json:
            self.docker.remove(one["Id"])
        while images := self.docker.image_ids():  # those that others are made from go last
            for image in images:
                self.docker.call("DELETE", f"/images/{image}?force=1", expect=(200, 404, 409))
            self.assertLess(len(self.docker.image_ids()), len(images))

    def install(self, *arguments, status=0, **how):
        done = Installer(self, *arguments, **how).end()
        self.assertEqual(done.status, status, done.output + done.errors)
        self.assertNotIn("Sanitizer", done.errors)
        return done

    def refused(self, message, *arguments, status=18, **how):
        """It fails with this message, and nothing has changed."""
        before = self.docker.images()
        done = self.install(*arguments, status=status, **how)
        self.assertIn(message, done.errors)
        self.assertEqual(self.docker.images(), before)
        return done

    def with_deno(self, *more, deno=None):
        return ("--with-runtime", "deno", "--deno", deno or self.programs.deno, *more)

    def proxy(self, kind=ScriptedDocker, **how):
        proxy = kind(self.socket_folder / "docker.sock", self.docker.path, **how)
        self.addCleanup(proxy.close)
        return proxy

    def registry(self):
        registry = Registry(self.docker.pid)
        self.addCleanup(registry.close)
        return registry

    def deno_image(self, registry, **how):
        """As denoland's own: a program at / and nothing else."""
        return registry.add("denoland/deno:bin-2.9.5", {"deno": (0o755, self.programs.deno.read_bytes())}, **how)

    def tree(self, image):
        """Path → entry of what is in the image."""
        container = self.docker.create(image, {})
        try:
            archive = self.docker.call("GET", f"/containers/{container}/export").body
        finally:
            self.docker.remove(container)
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            files = {"/" + one.name: Entry(one, tar.extractfile(one).read() if one.isfile() else None) for one in tar}
        # What Docker itself mounts something over.
        for name in ("/.dockerenv", "/dev/console", "/dev/pts", "/dev/shm", "/etc/hostname", "/etc/hosts", "/etc/mtab",
                     "/etc/resolv.conf"):
            files.pop(name, None)
        return files

    # --- from a program ---

    def test_image_of_deno_holds_the_program_its_libraries_the_guest_and_nothing_else(self):
        done = self.install(*self.with_deno())
        for line in (r"guest +tee-guest \S+ \(", rf"runtime +deno 2\.9\.5 \({self.programs.deno}\), with \d+ libraries",
                     rf"image +{IMAGE_DENO} \(sha256:[0-9a-f]{{12}}, [0-9.]+ MB\)"):
            self.assertRegex(done.output, rf"(?m)^  {line}")
        tree = self.tree(IMAGE_DENO)
        libraries = {str(pathlib.Path(line.split(" => ")[-1].split(" (0x")[0].strip())) for line in subprocess.run(
            ["ldd", self.programs.deno], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
            if "/" in line}
        files = {"/usr/bin/deno", "/usr/lib/tee/adapter.ts", "/usr/lib/tee/keep-memory.so", "/tee/tee-guest",
                 "/etc/passwd", "/etc/group", "/etc/ld.so.preload", *libraries}
        self.assertEqual({path for path, entry in tree.items() if not entry.is_folder}, files)
        self.assertIn(str(self.programs.library), libraries)
        modes = {"/usr/bin/deno": 0o755, "/tee/tee-guest": 0o500, "/usr/lib/tee/adapter.ts": 0o644, "/tee": 0o700,
                 "/tmp": 0o1777, "/work": 0o755, "/etc/passwd": 0o644, "/proc": 0o755}
        self.assertEqual({path: tree[path].mode for path in modes}, modes)
        self.assertEqual({entry.owner for entry in tree.values()}, {(0, 0)})
        self.assertEqual({path for path, entry in tree.items() if entry.is_file and entry.mtime != 0}, set())
        self.assertEqual(tree["/etc/passwd"].content, b"root:x:0:0::/:/bin/false\n"
                                                      b"program:x:65532:65532::/work:/bin/false\n")
        self.assertEqual(tree["/etc/ld.so.preload"].content, b"/usr/lib/tee/keep-memory.so\n")
        self.assertEqual(tree["/usr/bin/deno"].content, self.programs.deno.read_bytes())
        config = self.docker.image(IMAGE_DENO)["Config"]
        self.assertEqual(sorted(config["Env"]), ["DENO_DIR=/tmp/.deno", "DENO_NO_UPDATE_CHECK=1", "NO_COLOR=1"])
        labels = config["Labels"]
        self.assertEqual(sorted(labels), ["tee.guest.version", "tee.recipe", "tee.runtime", "tee.runtime.version"])
        self.assertEqual((labels["tee.runtime"], labels["tee.runtime.version"]), ("deno", "2.9.5"))
        self.assertRegex(labels["tee.recipe"], "^[0-9a-f]{64}$")

    def test_second_run_says_that_all_is_up_to_date(self):
        self.install(*self.with_deno())
        before = self.docker.images()
        done = self.install(*self.with_deno())
        self.assertRegex(done.output, rf"^  image +{IMAGE_DENO} is up to date \(deno 2.9.5, tee-guest \S+\)\n$")
        self.assertEqual(self.docker.images(), before)

    def test_json_says_what_was_done(self):
        states = []
        for more in (["--dry-run"], [], [], ["--force"]):
            done = self.install(*self.with_deno("--json", *more))
            result = json.loads(done.output)
            self.assertEqual(set(result), {"runtime", "image", "state", "id", "runtime_version", "adapter",
                                           "guest_version"})
            self.assertEqual((result["image"], result["runtime_version"]), (IMAGE_DENO, "2.9.5"))
            states.append(result["state"])
        self.assertEqual(states, ["would_be_made", "made", "up_to_date", "made"])

    def test_each_thing_that_changes_makes_another_image(self):
        self.install(*self.with_deno())
        images = [self.docker.images()[IMAGE_DENO]]
        self.programs.make_library(3)
        self.addCleanup(self.programs.make_library, 2)
        done = self.install(*self.with_deno())
        self.assertIn("deno 3.9.5", done.output)
        images.append(self.docker.images()[IMAGE_DENO])
        self.install(*self.with_deno("--force"))
        images.append(self.docker.images()[IMAGE_DENO])
        self.assertNotEqual(images[0], images[1])
        # Those that have lost the name are gone.
        self.assertEqual(self.docker.image_ids(), {images[-1]})

    def test_image_that_loses_its_name_stays_while_it_is_in_use(self):
        self.install(*self.with_deno())
        old = self.docker.images()[IMAGE_DENO]
        container = self.docker.create(IMAGE_DENO, {})
        self.programs.make_library(3)
        self.addCleanup(self.programs.make_library, 2)
        done = self.install(*self.with_deno())
        self.assertRegex(done.output, rf"(?m)^  note +the image before it \({old[:19]}\) is still in use, and stays$")
        self.assertIn(old, self.docker.image_ids())
        self.docker.remove(container)

    def test_dry_run_changes_nothing(self):
        done = self.install(*self.with_deno("--dry-run"))
        self.assertRegex(done.output, rf"(?m)^  image +{IMAGE_DENO} would be made$")
        self.assertEqual(self.docker.image_ids(), set())
        self.install(*self.with_deno())
        before = self.docker.image_ids()
        done = self.install(*self.with_deno("--dry-run", "--force"))
        self.assertRegex(done.output, rf"(?m)^  image +{IMAGE_DENO} would be made again$")
        self.assertEqual(self.docker.image_ids(), before)

    def test_deno_on_the_path_is_taken(self):
        done = self.install("--with-runtime", "deno", path=f"{self.folder}:{os.environ['PATH']}")
        self.assertIn(f"deno 2.9.5 ({self.programs.deno})", done.output)

    def test_image_of_sh_has_busybox_under_all_its_names(self):
        self.install("--with-runtime", "sh", "--busybox", BUSYBOX, "--tag", "my-shell:1")
        tree = self.tree("my-shell:1")
        names = subprocess.run([BUSYBOX, "--list"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
        links = {path for path, entry in tree.items() if entry.link}
        self.assertEqual(links, {f"/bin/{name}" for name in names if name != "busybox"})
        self.assertEqual({tree[path].link for path in links}, {"busybox"})

    def test_installed_programs_find_each_other(self):
        root = self.temporary / "installed"
        variant = ["SANITIZE=1"] if BUILD.name == "asan" else []
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
        subprocess.run(["make", "install", f"DESTDIR={root}", "PREFIX=/usr", *variant], cwd=ROOT, check=True,
                       env=environment, stdout=subprocess.DEVNULL, timeout=patience(300))
        done = self.install(*self.with_deno(), program=root / "usr/sbin/tee-install")
        self.assertIn(f"({root}/usr/lib/tee/tee-guest)", done.output)
        shutil.rmtree(root)

    # --- what cannot be made ---

    def test_program_that_is_not_deno(self):
        other = self.folder / "other"
        self.programs.make(other, "node")
        self.refused(f"{other} is no deno: it says 'node 2.9.5 (stable)'", *self.with_deno(deno=other))

    def test_script_that_says_that_it_is_deno(self):
        script = self.folder / "script"
        script.write_text("#!/bin/sh\necho deno 2.9.5\n", encoding="ascii")
        script.chmod(0o755)
        self.refused(f"{script} is no program", *self.with_deno(deno=script))

    def test_library_that_is_missing(self):
        away = self.programs.library.with_suffix(".away")
        self.programs.library.rename(away)
        self.addCleanup(away.rename, self.programs.library)
        self.refused(f"{self.programs.deno} does not run on this machine", *self.with_deno())

    def test_library_that_is_missing_but_not_at_the_start(self):
        """What is only loaded when it is needed lets the program start, and ldd tells of it all the same."""
        needs = self.folder / "needs"
        lost = self.folder / "liblost.so"
        compile_c("int lost;", "-shared", "-fPIC", "-Wl,-soname,liblost.so", "-o", str(lost))
        wrapper = self.folder / "ldd"
        wrapper.write_text("#!/bin/sh\necho '\tliblost.so => not found'\n", encoding="ascii")
        wrapper.chmod(0o755)
        self.addCleanup(wrapper.unlink)
        self.programs.make(needs, "deno")
        self.refused(f"{needs} needs liblost.so, which is not on this machine", *self.with_deno(deno=needs),
                     path=f"{self.folder}:{os.environ['PATH']}")

    def test_program_for_another_machine(self):
        foreign = self.folder / "foreign"
        data = bytearray(self.programs.deno.read_bytes())
        data[18:20] = (243).to_bytes(2, "little")  # EM_RISCV
        foreign.write_bytes(data)
        foreign.chmod(0o755)
        self.refused(f"{foreign} is a program for riscv, and this machine is", *self.with_deno(deno=foreign))

    def test_program_that_is_not_there_or_cannot_be_run(self):
        self.refused("there is no program '/no/deno'", *self.with_deno(deno="/no/deno"))
        self.refused(f"{self.folder}: is not a file", *self.with_deno(deno=self.folder))
        dead = self.folder / "dead"
        shutil.copy(self.programs.deno, dead)
        dead.chmod(0o644)
        self.refused(f"{dead} may not be run", *self.with_deno(deno=dead))

    def test_program_that_cannot_be_read(self):
        """By somebody who may use Docker and is not root."""
        closed = self.folder / "closed"
        shutil.copy(self.programs.deno, closed)
        closed.chmod(0o711)
        with self.accessible(self.docker.path):
            self.refused(f"{closed} cannot be read: Permission denied", *self.with_deno(deno=closed), user=65534)

    @contextlib.contextmanager
    def accessible(self, path):
        mode = os.stat(path).st_mode
        os.chmod(path, 0o666)
        folders = [folder for folder in pathlib.Path(path).parents if not folder.stat().st_mode & 0o001]
        folders += [folder for folder in (self.folder, *self.folder.parents) if not folder.stat().st_mode & 0o001]
        modes = {folder: folder.stat().st_mode for folder in folders}
        for folder in modes:
            folder.chmod(modes[folder] | 0o011)
        self.temporary.chmod(0o777)
        try:
            yield
        finally:
            for folder, old in modes.items():
                folder.chmod(old)
            os.chmod(path, mode)

    def test_guest_that_is_none(self):
        self.refused("there is no tee-guest at /no/guest", *self.with_deno("--guest", "/no/guest"))
        self.refused(f"{self.programs.deno} is not static", *self.with_deno("--guest", self.programs.deno))
        self.refused(f"{BUSYBOX.resolve()} does not run on this machine", *self.with_deno("--guest", BUSYBOX))

    def test_wrong_use(self):
        for arguments, message in ((["--with-runtime", "python"], "give the image that it is made from with --image"),
                                   (["--with-runtime", "sh", "--deno", "/x"], "--deno is for the runtime deno"),
                                   (self.with_deno("--image", "x"), "two places to take the program from")):
            self.refused(message, *arguments, status=64)

    def test_docker_that_is_not_there(self):
        done = Installer(self, *self.with_deno(), socket_path="/no/docker.sock").end()
        self.assertEqual(done.status, 10)
        self.assertIn("Docker does not answer: GET /_ping on /no/docker.sock: No such file or directory", done.errors)

    def test_docker_on_another_machine(self):
        info = self.docker.call("GET", "/info").json
        info["Architecture"] = "riscv64"
        body = json.dumps(info).encode()
        answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        proxy = self.proxy(script=lambda method, target: answer if target.endswith("/info") else PASS)
        self.refused("Docker runs on linux/riscv64 and this machine is linux/", *self.with_deno(),
                     socket_path=proxy.path)

    def test_name_that_docker_does_not_take(self):
        self.refused("UPPER:x: invalid reference format", *self.with_deno("--tag", "UPPER:x"))

    def test_docker_that_refuses_while_the_image_is_being_sent(self):
        name = "x@sha256:" + "0" * 64
        self.refused("the image could not be made: invalid reference format", *self.with_deno("--tag", name))

    def test_disk_of_dockers_that_is_full(self):
        """Docker tells of it within an answer that began well."""
        words = b'{"status":"x"}\r\n{"errorDetail":{"message":"no space left on device"},"error":"no space left"}\r\n'
        answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(words), words)
        proxy = self.proxy(script=lambda method, target: answer if "fromSrc" in target else PASS)
        self.refused("the image could not be made: no space left on device", *self.with_deno(), socket_path=proxy.path)

    # --- interrupted ---

    def test_interrupt_while_the_image_is_sent_leaves_nothing(self):
        proxy = self.proxy(HalfUpload)
        running = Installer(self, *self.with_deno(), socket_path=proxy.path)
        wait_for("half an image", proxy.half.is_set, 60)
        done = running.interrupt().end()
        self.assertEqual((done.status, done.errors), (130, "tee-install: interrupted\n"), done.output)
        wait_for("Docker's end of the upload", proxy.ended.is_set, 30)
        self.assertEqual(self.docker.image_ids(), set())

    def test_interrupt_while_a_layer_comes_leaves_nothing(self):
        registry = self.registry()
        registry.fault = "stall"
        running = Installer(self, "--with-runtime", "deno", "--image", self.deno_image(registry))
        wait_for("half a layer", registry.stalled.is_set, 60)
        done = running.interrupt().end()
        self.assertEqual(done.status, 130, done.errors)
        self.assertEqual(self.docker.image_ids(), set())

    def test_interrupt_while_a_program_is_read_out_of_an_image_leaves_nothing(self):
        image = self.deno_image(self.registry())
        proxy = self.proxy(script=lambda method, target: STALL if "/archive" in target else PASS)
        running = Installer(self, "--with-runtime", "deno", "--image", image, socket_path=proxy.path)
        wait_for("the question for the program", lambda: [one for one in proxy.requests if "/archive" in one], 60)
        done = running.interrupt().end()
        self.assertEqual(done.status, 130, done.errors)
        self.assertEqual(set(self.docker.images()), {image})  # is whole, and the next run needs it

    def test_what_a_killed_run_left_is_removed_by_the_next(self):
        image = self.deno_image(self.registry())
        proxy = self.proxy(script=lambda method, target: STALL if "/archive" in target else PASS)
        running = Installer(self, "--with-runtime", "deno", "--image", image, socket_path=proxy.path)
        wait_for("the question for the program", lambda: [one for one in proxy.requests if "/archive" in one], 60)
        running.close()
        self.assertEqual(len(self.docker.call("GET", "/containers/json?all=1").json), 1)
        self.install("--with-runtime", "deno", "--image", image)  # and tearDown() looks for containers

    # --- from an image ---

    def test_deno_comes_out_of_an_image_from_a_registry(self):
        registry = self.registry()
        image = self.deno_image(registry)
        done = self.install("--with-runtime", "deno", "--image", image)
        self.assertRegex(done.output, rf"(?m)^  pull +{image} \(4\.[0-9] MB downloaded\)$")
        self.assertRegex(done.output, rf"(?m)^  runtime +deno 2\.9\.5 \(/deno of {image}\), with \d+ libraries$")
        labels = self.docker.image(IMAGE_DENO)["Config"]["Labels"]
        self.assertEqual((labels["tee.base"], labels["tee.runtime.version"]), (image, "2.9.5"))
        content = self.tree(IMAGE_DENO)["/usr/bin/deno"].content
        self.assertEqual(hashlib.sha256(content).digest(), hashlib.sha256(self.programs.deno.read_bytes()).digest())
        # The second run needs no registry.
        registry.fault = "missing"
        asked = len(registry.asked)
        done = self.install("--with-runtime", "deno", "--image", image)
        self.assertIn("is up to date", done.output)
        self.assertEqual(len(registry.asked), asked)

    def test_the_same_program_from_a_path_and_from_an_image_is_the_same_tree(self):
        self.install(*self.with_deno("--tag", "one:1"))
        self.install("--with-runtime", "deno", "--image", self.deno_image(self.registry()), "--tag", "two:1")
        layers = [self.docker.image(name)["RootFS"]["Layers"] for name in ("one:1", "two:1")]
        self.assertEqual(layers[0], layers[1])

    def test_dry_run_pulls_nothing(self):
        registry = self.registry()
        image = self.deno_image(registry)
        done = self.install("--with-runtime", "deno", "--image", image, "--dry-run")
        self.assertRegex(done.output, rf"(?m)^  pull +{image} would be pulled$")
        self.assertRegex(done.output, rf"(?m)^  image +{IMAGE_DENO} would be made, unless it is up to date$")
        self.assertEqual((registry.asked, self.docker.image_ids()), ([], set()))

    def test_registry_that_does_not_know_the_image(self):
        registry = self.registry()
        image = self.deno_image(registry)
        registry.fault = "missing"
        done = self.refused(f"{image} could not be pulled: ", "--with-runtime", "deno", "--image", image)
        self.assertIn("manifest", done.errors)
        self.assertIn("what helps: a deno program that is on this machine: --deno PATH", done.errors)

    def test_registry_that_is_not_there(self):
        registry = Registry(self.docker.pid)
        image = self.deno_image(registry)
        registry.close()
        done = self.refused(f"{image} could not be pulled: ", "--with-runtime", "deno", "--image", image)
        self.assertIn("connection refused", done.errors)

    def test_registry_that_falls_silent_is_given_up(self):
        registry = self.registry()
        registry.fault = "stall"
        image = self.deno_image(registry)
        self.refused(f"the registry has sent nothing of {image} for 5 seconds",
                     "--with-runtime", "deno", "--image", image, "--wait", 5)

    def test_registry_that_breaks_off_is_asked_again(self):
        registry = self.registry()
        registry.fault = "truncate"
        image = self.deno_image(registry)
        layers = lambda: [one for one in registry.asked if "/blobs/" in one]
        running = Installer(self, "--with-runtime", "deno", "--image", image)
        wait_for("a layer that was broken off", lambda: len(layers()) >= 2, 60)
        registry.fault = None
        done = running.end()
        self.assertEqual(done.status, 0, done.errors)
        self.assertGreater(len(layers()), 2)

    def test_image_for_another_machine(self):
        image = self.deno_image(self.registry(), architecture="riscv64")
        self.refused_with_base("is an image for linux/riscv64, and this machine is linux/", image, "deno")

    def test_image_without_a_deno(self):
        image = self.registry().add("empty:1", {"etc/motd": (0o644, b"hello\n")})
        self.refused_with_base(f"there is no deno program in {image}", image, "deno")

    def refused_with_base(self, message, image, runtime):
        done = self.install("--with-runtime", runtime, "--image", image, status=18)
        self.assertIn(message, done.errors)
        self.assertEqual(set(self.docker.images()), {image})

    # --- another language ---

    def shell_base(self, registry, **config):
        files = {"bin/sh": (0o755, BUSYBOX.read_bytes()), "etc/passwd": (0o644, b"root:x:0:0:root:/root:/bin/sh"),
                 "srv/data": (0o640, b"kept")}
        return registry.add("lang/shell:7", files, config={"Env": ["LANGUAGE_HOME=/srv"], **config})

    def test_other_image_keeps_what_it_has_and_gets_the_guest(self):
        base = self.shell_base(self.registry(), Healthcheck={"Test": ["CMD", "/bin/sh"]})
        done = self.install("--with-runtime", "shell", "--image", base)
        self.assertRegex(done.output, rf"(?m)^  runtime +shell from {base}$")
        tree = self.tree("tee-runtime-shell:latest")
        self.assertEqual(tree["/tee/tee-guest"].content, GUEST.read_bytes())
        self.assertEqual((tree["/tee/tee-guest"].mode, tree["/tee"].mode), (0o500, 0o700))
        self.assertEqual((tree["/srv/data"].content, tree["/srv/data"].mode), (b"kept", 0o640))
        self.assertEqual(tree["/etc/passwd"].content, b"root:x:0:0:root:/root:/bin/sh\n"
                                                      b"program:x:65532:65532::/work:/bin/false\n")
        self.assertTrue(all(tree[path].is_folder for path in ("/work", "/tmp", "/proc", "/sys", "/dev")))
        image = self.docker.image("tee-runtime-shell:latest")
        self.assertEqual(image["Config"]["Env"], ["LANGUAGE_HOME=/srv"])
        self.assertEqual(image["Config"]["Labels"]["tee.base"], base)
        self.assertEqual(image["Config"]["Healthcheck"], {"Test": ["NONE"]})
        self.assertEqual(image["Config"]["Labels"]["tee.adapter"], "none")
        self.assertEqual([label for label in image["Config"]["Labels"] if not label.startswith("tee.")], [])
        # The base's layers are shared.
        self.assertEqual(image["RootFS"]["Layers"][0], self.docker.image(base)["RootFS"]["Layers"][0])
        done = self.install("--with-runtime", "shell", "--image", base)
        self.assertIn("tee-runtime-shell:latest is up to date", done.output)

    def test_image_with_a_volume_is_refused(self):
        base = self.shell_base(self.registry(), Volumes={"/data": {}})
        self.refused_with_base("declares a volume (/data)", base, "shell")

    def test_base_image_that_changes_makes_another_image(self):
        registry = self.registry()
        base = self.shell_base(registry)
        self.install("--with-runtime", "shell", "--image", base)
        old = self.docker.images()
        self.docker.untag(base)
        self.shell_base(registry, Cmd=["/bin/sh"])
        done = self.install("--with-runtime", "shell", "--image", base)
        self.assertRegex(done.output, r"(?m)^  image +tee-runtime-shell:latest \(sha256:")
        self.assertNotEqual(self.docker.images(), old)

    # --- another guest ---

    def trees_before_and_after(self, image, *how):
        """Makes the image with a guest of another version, and has it refreshed."""
        self.install(*how, "--guest", self.programs.other_guest)
        before, tree = self.docker.image(image)["Config"], self.tree(image)
        self.assertEqual(before["Labels"]["tee.guest.version"], "0.0.9")
        self.assertIn(f"{image} has a tee-guest of another version", self.install("--list-runtimes").output)
        done = self.install("--refresh-runtimes")
        self.assertRegex(done.output, rf"(?m)^  image +{image} has tee-guest {VERSION} now, before 0\.0\.9$")
        after = self.docker.image(image)["Config"]
        self.assertEqual(after["Labels"].pop("tee.guest.version"), VERSION)
        before["Labels"].pop("tee.guest.version")
        self.assertNotEqual(after["Labels"].pop("tee.recipe"), before["Labels"].pop("tee.recipe"))
        for one in ("Labels", "Env", "WorkingDir", "User", "Entrypoint"):
            self.assertEqual(after.get(one), before.get(one))
        return tree, self.tree(image)

    def assert_only_differ(self, before, after, *paths):
        self.assertEqual({path for path in before.keys() | after.keys()
                          if path not in before or path not in after
                          or (before[path].content, before[path].mode) != (after[path].content, after[path].mode)},
                         set(paths))

    def test_refresh_gives_each_image_this_versions_guest_and_leaves_the_rest(self):
        before, after = self.trees_before_and_after(IMAGE_DENO, *self.with_deno())
        self.assert_only_differ(before, after, "/tee/tee-guest")
        self.assertEqual((after["/tee/tee-guest"].content, after["/tee/tee-guest"].mode), (GUEST.read_bytes(), 0o500))
        images = self.docker.images()
        done = self.install("--refresh-runtimes")
        self.assertRegex(done.output, rf"(?m)^  image +{IMAGE_DENO} has tee-guest {VERSION} already$")
        self.assertEqual(self.docker.images(), images)
        self.install("--remove-runtime", "deno")
        self.assertEqual(self.docker.image_ids(), set(), "what it was made from stays")

    def test_refresh_needs_neither_the_base_nor_the_options_again(self):
        base = self.shell_base(self.registry())
        script = self.temporary / "adapter"
        script.write_text("#!/bin/sh\n# one's own\n")
        how = ("--with-runtime", "shell", "--image", base, "--adapter", script)
        before, after = self.trees_before_and_after("tee-runtime-shell:latest", *how)
        self.assert_only_differ(before, after, "/tee/tee-guest")
        script.unlink()
        image = self.docker.image("tee-runtime-shell:latest")
        self.assertEqual(image["RootFS"]["Layers"][0], self.docker.image(base)["RootFS"]["Layers"][0])

    def test_refresh_brings_this_versions_adapter(self):
        folder = self.temporary / "lib"
        shutil.copytree(ROOT / "guest/adapters", folder / "adapters")
        guest = folder / "tee-guest"
        shutil.copy(self.programs.other_guest, guest)
        with open(folder / "adapters/node.cjs", "a", encoding="utf-8") as file:
            file.write("// of another version\n")
        self.install("--with-runtime", "node", "--image", self.shell_base(self.registry()), "--guest", guest)
        old = self.tree("tee-runtime-node:latest")["/usr/lib/tee/adapter.cjs"].content
        self.assertTrue(old.endswith(b"// of another version\n"))
        self.install("--refresh-runtimes")
        new = self.tree("tee-runtime-node:latest")["/usr/lib/tee/adapter.cjs"].content
        self.assertEqual(new, (ROOT / "guest/adapters/node.cjs").read_bytes())
        shutil.rmtree(folder)

    def test_refresh_leaves_what_is_not_ours_and_tells_of_all_in_json(self):
        self.install(*self.with_deno(), "--guest", self.programs.other_guest)
        self.install("--with-runtime", "sh")
        self.docker.import_tar("tee-other", "a=b")
        self.docker.tag(IMAGE_DENO, "second-name")
        before = self.docker.images()
        planned = json.loads(self.install("--refresh-runtimes", "--dry-run", "--json").output)
        self.assertEqual(self.docker.images(), before)
        self.assertEqual({one["image"]: one["state"] for one in planned},
                         {IMAGE_DENO: "would_be_refreshed", "second-name:latest": "would_be_refreshed",
                          "tee-runtime-sh:latest": "up_to_date"})
        done = json.loads(self.install("--refresh-runtimes", "--json").output)
        after = self.docker.images()
        self.assertEqual({one["image"]: one["id"] for one in done},
                         {name: image for name, image in after.items() if name != "tee-other:latest"})
        self.assertEqual({name for name in before if before[name] != after[name]}, {IMAGE_DENO, "second-name:latest"})

    def test_one_image_that_fails_does_not_keep_the_others_from_it(self):
        self.install(*self.with_deno(), "--guest", self.programs.other_guest)
        self.install("--with-runtime", "sh", "--guest", self.programs.other_guest)
        commits = []

        def script(method, target):
            if "/commit?" not in target:
                return PASS
            commits.append(target)
            return answer(500, {"message": "no more room"}) if len(commits) == 1 else PASS

        done = self.install("--refresh-runtimes", socket_path=self.proxy(script=script).path, status=18)
        self.assertRegex(done.output, r"(?m)^  image +\S+ FAILED: .*no more room")
        self.assertIn("images that keep the tee-guest that they have: 1", done.errors)
        guests = [self.docker.image(name)["Config"]["Labels"]["tee.guest.version"]
                  for name in (IMAGE_DENO, "tee-runtime-sh:latest")]
        self.assertEqual(sorted(guests), sorted(["0.0.9", VERSION]))

    def test_interrupted_refresh_leaves_the_image_as_it_was(self):
        self.install(*self.with_deno(), "--guest", self.programs.other_guest)
        before = self.docker.images()
        proxy = self.proxy(script=lambda method, target: STALL if "/commit?" in target else PASS)
        running = Installer(self, "--refresh-runtimes", socket_path=proxy.path)
        wait_for("the commit", lambda: [one for one in proxy.requests if "/commit?" in one], 60)
        self.assertEqual(running.interrupt().end().status, 130)
        self.assertEqual(self.docker.images(), before)

    def test_containers_of_somebody_elses_are_not_taken_for_what_a_killed_run_left(self):
        base = self.shell_base(self.registry())
        self.install("--with-runtime", "shell", "--image", base)
        container = self.docker.create("tee-runtime-shell:latest", {})
        self.install("--with-runtime", "shell", "--image", base, "--force")
        self.assertEqual([one["Id"] for one in self.docker.call("GET", "/containers/json?all=1").json], [container])
        self.docker.remove(container)

    # --- lists ---

    def test_list_shows_what_is_there(self):
        done = self.install("--list-runtimes")
        self.assertEqual(done.output, "There is no image of a runtime: tee-install --with-runtime deno\n")
        self.docker.import_tar("tee-other", "a=b")
        self.docker.import_tar("tee-runtime-old", "tee.recipe=0")
        self.install(*self.with_deno())
        self.install("--with-runtime", "sh", "--tag", "example.org/x/shell:5")
        lines = self.install("--list-runtimes").output.splitlines()
        self.assertEqual(lines[0].split(), ["RUNTIME", "IMAGE", "VERSION", "TEE-GUEST", "SIZE", "MADE"])
        self.assertEqual([line.split()[:2] for line in lines[1:4]],
                         [["deno", IMAGE_DENO], ["old", "tee-runtime-old:latest"], ["sh", "example.org/x/shell:5"]])
        self.assertRegex(lines[1], r" 2\.9\.5 +\d+\.\d+\.\d+ +[0-9.]+ MB +\d{4}-\d\d-\d\d$")
        self.assertIn("tee-runtime-old:latest has a tee-guest of another version", lines[4])
        self.assertEqual(len(lines), 5)
        listed = json.loads(self.install("--list-runtimes", "--json").output)
        self.assertEqual({one["image"]: one["id"] for one in listed},
                         {name: image for name, image in self.docker.images().items() if "tee-other" not in name})

    def test_removed_image_is_gone(self):
        self.install(*self.with_deno())
        done = self.install("--remove-runtime", "deno", "--dry-run")
        self.assertIn(f"{IMAGE_DENO} would be removed", done.output)
        self.assertIn(IMAGE_DENO, self.docker.images())
        done = self.install("--remove-runtime", "deno")
        self.assertIn(f"{IMAGE_DENO} is removed", done.output)
        self.assertEqual(self.docker.image_ids(), set())
        done = self.install("--remove-runtime", "deno")
        self.assertIn(f"there is no {IMAGE_DENO}: nothing to remove", done.output)

    def test_image_in_use_is_not_removed(self):
        self.install(*self.with_deno())
        container = self.docker.create(IMAGE_DENO, {})
        self.refused(f"{IMAGE_DENO} is in use, and stays: ", "--remove-runtime", "deno")
        self.docker.remove(container)

    def test_image_of_somebody_elses_is_not_removed(self):
        self.docker.import_tar("tee-runtime-deno", "a=b")
        self.refused(f"{IMAGE_DENO} is no image that tee-install has made, and stays", "--remove-runtime", "deno")


class HalfUpload(ScriptedDocker):
    """Lets half a megabyte of an image pass, and holds the rest until the client has gone."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.half = threading.Event()
        self.ended = threading.Event()

    def _splice(self, client, docker, swallow):
        if "fromSrc" not in self.requests[-1]:
            super()._splice(client, docker, swallow)
            return
        passed = 0
        while passed < 512 * 1024:
            data = self._receive(client)
            docker.sendall(data)
            passed += len(data)
        self.half.set()
        with contextlib.suppress(OSError):
            self._drain(client)
        docker.shutdown(socket.SHUT_RDWR)
        self.ended.set()


class InASandbox(unittest.TestCase):
    """A runtime that was made from another image runs programs under the real agent."""

    def test_program_of_the_language_runs_as_the_templates_user(self):
        docker = engine.docker()
        name = f"test-base-{os.getpid()}"
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w") as archive:
            archive.add(BUSYBOX, "bin/busybox")
        docker.import_tar(name, "a=b", tar.getvalue())
        self.addCleanup(docker.untag, name)
        environment = dict(os.environ, DOCKER_HOST=f"unix://{docker.path}")
        subprocess.run([TEE_INSTALL, "--with-runtime", "lang", "--image", name, "--tag", f"{name}-runtime:1"],
                       env=environment, check=True, stdout=subprocess.DEVNULL, timeout=patience(120))
        self.addCleanup(docker.untag, f"{name}-runtime:1")
        agent = Agent("runtimeimages", {"runtimes": {"lang": {"image": f"{name}-runtime:1", "entry": "main.sh",
                                                              "command": ["/bin/busybox", "sh"]}}})
        self.addCleanup(agent.account)
        agent.start().wait_open()
        result = agent.run("lang", "busybox id; busybox pwd; busybox dmesg | busybox head -n 1", timeout=60)
        self.assertEqual(result["status"], "ok", result)
        lines = result["stdout"].splitlines()
        self.assertEqual(lines[:2], ["uid=65532(program) gid=65532(program)", "/work"])
        self.assertTrue(result["sandbox"]["gvisor"], result)
