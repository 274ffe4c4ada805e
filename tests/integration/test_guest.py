# SPDX-License-Identifier: Apache-2.0
"""A guest that is broken or cannot act: what the agent makes of it. No program can get the real one so far, so an image
with a scripted guest stands in for it, under the real gVisor.
"""

import io
import tarfile

from engine import docker
from harness import IMAGE_SH, AgentTestCase
from places import patience

IMAGE = "tee-test-scripted"

# The runtime's command is the guest's arguments: the first one says what it does once it has been sent something, which
# is after the agent has judged its READY. What it says is the truth, so it passes.
GUEST = r"""#!/bin/busybox sh
u32() { for shift in 24 16 8 0; do printf "\\$(printf %03o $(($1 >> shift & 255)))"; done; }
frame() { printf "\\$1\\000\\000\\000"; u32 "$2"; }
evidence="guest=GUEST_VERSION
sysname=$(uname -s)
release=$(uname -r)
version=$(uname -v)
machine=$(uname -m)
proc_version=$(cat /proc/version)
klog=$(dmesg | head -n 1 | sed 's/^[^]]*] *//')
"
frame 201 $((4 + ${#evidence}))
u32 3
printf %s "$evidence"
head -c 1 > /dev/null
case $1 in
flood) frame 202 2000; head -c 2000 /dev/zero ;;
garbage) printf 'this is no frame' ;;
ready) frame 201 5; u32 3; echo ;;
frame_of_the_agents) frame 007 0 ;;
exit_cut_short) frame 204 51; head -c 51 /dev/zero ;;
stopped_unasked) frame 204 52; head -c 51 /dev/zero; printf '\002' ;;
fault) frame 205 14; u32 4; u32 5; printf broken ;;
gone) frame 202 5; printf 'words'; exit 3 ;;
esac
exec tail -f /dev/null
"""


def image_of_the_guest():
    """Busybox, with the script as what the agent takes for tee-guest."""
    labels = docker().call("GET", f"/images/{IMAGE_SH}/json").json["Config"]["Labels"]
    script = GUEST.replace("GUEST_VERSION", labels["tee.guest.version"]).encode()
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        archive.add("/bin/busybox", "bin/busybox", filter=lambda info: info.replace(mode=0o755))
        for name in ("sh", "uname", "cat", "head", "tail", "sed", "dmesg"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
        info = tarfile.TarInfo("tee/tee-guest")
        info.mode, info.size = 0o755, len(script)
        archive.addfile(info, io.BytesIO(script))
    docker().import_tar(IMAGE, f"tee.guest.version={labels['tee.guest.version']}", tar.getvalue())


class BrokenGuest(AgentTestCase):
    changes = {"runtimes": {name: {"image": IMAGE + ":latest", "entry": "x", "command": [name]} for name in (
        "flood", "garbage", "ready", "frame_of_the_agents", "exit_cut_short", "stopped_unasked", "fault", "gone",
        "deaf")} | {"no_command": {"image": IMAGE_SH, "entry": "x", "command": ["/bin/there-is-none", "sh"]}}}

    @classmethod
    def setUpClass(cls):
        cls.addClassCleanup(docker().untag, IMAGE)
        image_of_the_guest()
        super().setUpClass()

    def assert_outcome(self, result, status, in_cause, in_evidence):
        self.assertEqual((result["status"], result["exit_code"]), (status, None), result)
        self.assertIn(in_cause, result["cause"])
        self.assertIn(in_evidence, result["evidence"] or "")

    def test_one_that_breaks_the_protocol_is_a_crash(self):
        for runtime in ("garbage", "ready", "frame_of_the_agents", "exit_cut_short"):
            with self.subTest(runtime=runtime):
                result = self.agent.run(runtime, "x")
                self.assert_outcome(result, "sandbox_crash", "broke the guest protocol", "")

    def test_one_that_says_stopped_without_having_been_asked_is_a_crash(self):
        self.assert_outcome(self.agent.run("stopped_unasked", "x"), "sandbox_crash", "stopped without a STOP", "")

    def test_one_that_passes_on_more_than_it_may_is_a_crash_and_its_output_bounded(self):
        result = self.agent.run("flood", "x", limits={"output_kb": 1})
        self.assert_outcome(result, "sandbox_crash", "more output than its guest may", "")
        self.assertEqual(result["stdout"], "")

    def test_one_that_dies_is_a_crash_with_what_was_printed(self):
        result = self.agent.run("gone", "x")
        self.assert_outcome(result, "sandbox_crash", "ended without a report", "")
        self.assertEqual(result["stdout"], "words")

    def test_one_that_gives_up_is_an_internal_error_in_its_own_words(self):
        self.assert_outcome(self.agent.run("fault", "x"), "internal_error", "could not run the program", "broken")

    def test_one_that_does_not_answer_stop_is_not_waited_for(self):
        result = self.agent.run("deaf", "x", limits={"wall_ms": 500})
        self.assert_outcome(result, "wall_limit", "limits.wall_ms = 500", "did not answer STOP")
        self.assertLess(result["timing"]["run_ms"], patience(6000))

    def test_sandbox_that_stands_still_is_not_waited_for(self):
        run = self.agent.start_run("sh", "echo begun; tail -f /dev/null", limits={"wall_ms": 2000})
        sandbox, = self.agent.wait_running()
        docker().call("POST", f"/containers/{sandbox['Id']}/pause")
        result = run.result()
        self.assert_outcome(result, "wall_limit", "limits.wall_ms = 2000", "did not answer STOP")
        self.assertEqual(result["stdout"], "begun\n")
        # Docker itself takes ten seconds to destroy one that is paused.
        docker().call("POST", f"/containers/{sandbox['Id']}/unpause", expect=(204, 404, 409, 500))

    def test_command_that_does_not_exist_is_an_internal_error_that_names_it(self):
        result = self.agent.run("no_command", "x")
        self.assert_outcome(result, "internal_error", "could not run the program", "/bin/there-is-none")
        self.assertIn("No such file or directory", result["evidence"])

    def test_others_are_not_harmed(self):
        self.assertEqual(self.agent.run("sh", "echo fine")["stdout"], "fine\n")
