# SPDX-License-Identifier: Apache-2.0
"""Python and Node.js out of an image from elsewhere: they wait for their program as Deno does, and it can't tell."""

import json
import os
import pathlib
import re
import subprocess
import tempfile
import time

import engine
import languages
from harness import IMAGE_SH, libconfig
from places import ROOT, TEE_HEALTH, TEE_INSTALL, patience
from programs_node import PROGRAMS as NODE_PROGRAMS
from programs_python import PROGRAMS as PYTHON_PROGRAMS
from warm import SideBySide, WarmTestCase

BASE = "tee-test-languages"

# Reads the size, then the rest, and runs its program: the smallest adapter that can be.
OWN_ADAPTER = """
exec 3<>/tmp/.tee-in 4<>/tmp/.tee-out
printf R >&4
dd bs=1 count=4 <&3 >/dev/null 2>&1
exec 3<&- 4<&-
. "$1"
"""


def tee_install(*arguments):
    environment = dict(os.environ, DOCKER_HOST=f"unix://{engine.docker().path}")
    done = subprocess.run([TEE_INSTALL, *arguments], env=environment, capture_output=True, text=True,
                          timeout=patience(120), check=False)
    if done.returncode != 0:
        raise AssertionError(f"tee-install ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


class LanguageTestCase(WarmTestCase):
    """The runtime `name` made from the image, cold as `plain` and as `warm` with the arguments that tee-install names."""

    name = entry = None
    plain = "plain"
    base, variable = BASE, None  # the image that the runtime's is made from, and what there is in its environment

    @classmethod
    def setUpClass(cls):
        docker = engine.docker()
        if f"{cls.base}:latest" not in docker.images():
            docker.import_tar(cls.base, f"{BASE}=yes", languages.archive().read_bytes(), cls.variable)
        tag = f"tee-test-{cls.name}:1"
        said = tee_install("--with-runtime", cls.name, "--image", f"{cls.base}:latest", "--tag", tag, "--force")
        cls.addClassCleanup(docker.untag, tag)
        setting = re.search(r"warm_arguments = \[ (.*) \];", said)
        if setting.group() not in (ROOT / "conf" / "tee.conf").read_text(encoding="utf-8"):
            raise AssertionError(f"conf/tee.conf shows another setting than {setting.group()}")
        words = json.loads(f"[{setting.group(1)}]")
        runtime = {"image": tag, "entry": cls.entry, "command": [cls.name if cls.name == "node" else "python3"]}
        pool = {"warm": 2, "max": 8, "creating": 2}
        cls.changes = {"agent": {"max_running": 4},
                       "runtimes": {"plain": runtime, "warm": dict(runtime, warm_arguments=words, pool=pool)}}
        super().setUpClass()


    def assert_probed(self, mode):
        """tee-health's probe has programs of this language, too."""
        config = self.agent.folder / "probe.conf"
        runtimes = {"plain": self.agent.settings["runtimes"]["plain"]}
        config.write_text(libconfig({**self.agent.settings, "runtimes": runtimes}), encoding="utf-8")
        done = subprocess.run([TEE_HEALTH, "--config", config, "--socket", self.agent.socket, f"--probe={mode}", "--only",
                               "probe"], capture_output=True, text=True, timeout=patience(120), check=False)
        self.assertEqual(done.returncode, 0, done.stdout)


class Python(SideBySide, LanguageTestCase):
    name, entry, programs = "python", "main.py", PYTHON_PROGRAMS

    def test_probe_of_tee_health(self):
        self.assert_probed("agent")

    def test_each_sandbox_has_randomness_of_its_own(self):
        code = "import random, uuid; print(random.random(), hash('a'), uuid.uuid4())"
        self.assertEqual(len({word for _ in range(2) for word in self.run_warm(code)["stdout"].split()}), 6)

    def test_limits_of_the_program_hold(self):
        result = self.run_warm("while True: pass", limits={"cpu_ms": 1000, "wall_ms": 20000})
        self.assertEqual(result["status"], "cpu_limit", result)
        result = self.run_warm("import time; time.sleep(60)", limits={"wall_ms": 500})
        self.assertEqual(result["status"], "wall_limit", result)

    def test_program_cannot_speak_in_the_adapters_name(self):
        code = "import os\nfor n in range(3, 64):\n  try: os.write(n, b'E\\x07')\n  except OSError: pass\nprint('on')"
        result = self.run_warm(code)
        self.assertEqual((result["status"], result["stdout"]), ("ok", "on\n"), result)


class PythonPathOfTheImage(SideBySide, LanguageTestCase):
    """It leads to a folder that comes with the program."""

    name, entry = "python", "main.py"
    base, variable = f"{BASE}-path", "PYTHONPATH=/work/lib"
    at_least = 1
    programs = {
        "looks": "import os, sys; print(sys.path, os.environ['PYTHONPATH'])",
        "module": {"files": {"main.py": "import m; print(m.__file__)", "lib/m.py": ""}, "entry": "main.py"},
        "module_that_is_a_librarys": {"files": {"main.py": "import string; print(string.__file__)", "lib/string.py": ""},
                                      "entry": "main.py"},
    }

    @classmethod
    def setUpClass(cls):
        cls.addClassCleanup(engine.docker().untag, cls.base)
        super().setUpClass()


class Node(SideBySide, LanguageTestCase):
    name, entry, programs = "node", "main.js", NODE_PROGRAMS

    def test_probe_of_tee_health(self):
        self.assert_probed("direct")

    def test_the_time_of_waiting_is_not_the_programs(self):
        self.wait_ready(2)
        time.sleep(3)
        code = "setTimeout(() => console.log(performance.now() < 2000, process.uptime() < 2," \
               "performance.measure('m').duration < 2000, performance.now() >= 299), 300)"
        self.assertEqual(self.run_warm(code)["stdout"], "true true true true\n")

    def test_each_sandbox_has_randomness_of_its_own(self):
        code = "console.log(Math.random(), require('crypto').randomUUID())"
        self.assertEqual(len({word for _ in range(2) for word in self.run_warm(code)["stdout"].split()}), 4)


class Choice(WarmTestCase):
    """Which adapter an image gets."""

    changes = {}

    @classmethod
    def setUpClass(cls):
        cls.addClassCleanup(engine.docker().untag, "tee-test-other:1")  # when the agent has gone
        super().setUpClass()

    def test_runtime_whose_name_tells_nothing_gets_none(self):
        said = tee_install("--with-runtime", "other", "--image", IMAGE_SH, "--dry-run")
        self.assertIn("adapter    none: ", said)

    def test_script_of_ones_own_waits_for_the_program(self):
        """A shell that is one: it takes the arguments, not the variables."""
        script = pathlib.Path(tempfile.mkdtemp(dir=self.agent.folder)) / "warm.sh"
        script.write_text(OWN_ADAPTER, encoding="ascii")
        said = tee_install("--with-runtime", "other", "--image", IMAGE_SH, "--tag", "tee-test-other:1", "--adapter", script, "--force")
        self.assertIn(f"adapter    {script}, as /usr/lib/tee/adapter", said)
        runtime = {"image": "tee-test-other:1", "entry": "main.sh", "command": ["/bin/busybox", "sh"],
                   "warm_arguments": ["/usr/lib/tee/adapter"], "pool": {"warm": 2}}
        self.agent.configure({"runtimes": {"warm": runtime}})
        self.agent.reload()
        self.assertEqual(self.run_warm("echo it ran")["stdout"], "it ran\n")
