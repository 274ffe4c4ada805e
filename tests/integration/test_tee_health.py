# SPDX-License-Identifier: Apache-2.0
"""tee-health: what is well passes, what is broken is told with its reason and what helps, and what it cannot see it
says so.
"""

import contextlib
import fcntl
import grp
import json
import os
import pathlib
import pty
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import termios
import time

from engine import docker
from harness import IMAGE_SH, AgentTestCase, merged
from health import CHECKS, GROUP, NOBODY, ONLY_OURS, OURS, PROBES, SEEN_COLUMN, UNSEEN, Checker
from places import TEE_HEALTH, patience, wait_for
from scripted_docker import HANG_UP, PASS, STALL, ScriptedDocker, answer

class TeeHealth(Checker, AgentTestCase):
    """One agent that is well; what is broken is what tee-health is shown instead of it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        os.chown(cls.agent.socket, 0, GROUP.gr_gid)
        os.chmod(cls.agent.socket, 0o660)

    # --- the whole ---

    def test_everything_passes_on_a_good_host(self):
        report = self.report()
        self.assert_well(report)
        self.assertEqual(list(report.checks), CHECKS)
        self.assertEqual(report.document["host"]["kernel"], os.uname().release)
        for name, check in report.checks.items():
            self.assertEqual(check["group"], name.split(".")[0])
            self.assertTrue(check["verdict"] == "skip" or (check["remedy"] is None) == (check["verdict"] == "pass"), check)

    def assert_well(self, report):
        verdicts = report.verdicts()
        self.assertEqual({name: verdicts[name] for name in OURS},
                         {**dict.fromkeys(OURS, "pass"), **dict.fromkeys(UNSEEN, "skip")})
        self.assertNotIn("fail", verdicts.values(), report.checks)

    def test_text_in_a_pipe_is_plain_and_ends_with_the_counts(self):
        done = self.tee_health(*ONLY_OURS)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertNotIn("\033", done.stdout)
        self.assertNotIn("\r", done.stdout)
        lines = done.stdout.splitlines()
        self.assertEqual(lines[-1], f"{len(OURS)} checks: {len(OURS) - len(UNSEEN)} pass, 0 warn, 0 fail, "
                                    f"{len(UNSEEN)} skip; all is well")
        self.assertEqual([line.split()[1] for line in lines if line.startswith(("pass ", "skip "))], OURS)

    def test_unprivileged_members_of_the_groups_see_all(self):
        proxy = self.proxy()
        shutil.copy(docker().daemon_json, self.folder / "daemon.json")
        agent = self.proxy_of_agent()
        for path in (proxy.path, agent.path):
            os.chown(path, 0, GROUP.gr_gid)
            os.chmod(path, 0o660)
        self.path = agent.path
        config = self.config({"docker": {"socket": proxy.path, "daemon_json": str(self.folder / "daemon.json")}})
        report = self.report(config=config, **self.as_nobody(GROUP.gr_gid))
        self.assert_well(report)
        self.assertEqual(report.document["host"]["user_id"], NOBODY)

    def proxy_of_agent(self, script=lambda method, target: PASS):
        proxy = ScriptedDocker(self.folder / "agent.sock", self.agent.socket, script)
        self.addCleanup(proxy.close)
        return proxy

    def test_nobody_sees_what_is_open_and_cannot_tell_the_rest(self):
        config = self.config({"docker": {"daemon_json": self.file("daemon.json", "{}", 0o600)}})
        report = self.report(*ONLY_OURS, config=config, **self.as_nobody())
        self.assertEqual(report.status, 3)
        self.assertEqual({name for name, verdict in report.verdicts().items() if verdict == "pass"},
                         {"config.valid", "host.linux_and_architecture", "host.cgroups", "docker.socket"})
        self.assertEqual(set(report.verdicts().values()), {"pass", "skip"})
        for name in ("docker.reachable", "registration.daemon_json", "agent.socket", "agent.answers"):
            self.assertIn("run it as root", report.checks[name]["remedy"])
        self.assertIn("run it as root", report.checks["runsc.in_path"]["remedy"])
        self.assertEqual(report.checks["agent.gate"]["seen"], "agent.answers was skipped")
        self.assertIn("it could not be told", self.tee_health(*ONLY_OURS, config=config, **self.as_nobody()).stdout)

    def test_remedy_names_the_group_that_may(self):
        agent = self.proxy_of_agent()
        os.chown(agent.path, 0, GROUP.gr_gid)
        os.chmod(agent.path, 0o660)
        self.path = agent.path
        self.see("agent.answers", "skip", agent.path, f"member of the group {GROUP.gr_name}",
                 config=self.config({}), **self.as_nobody())

    def test_a_check_is_picked_by_id_or_group(self):
        report = self.report("--only", "host", "--only", "agent.mode")
        self.assertEqual(list(report.checks), [name for name in CHECKS if name.startswith("host.")] + ["agent.mode"])

    def test_list_has_every_check_and_runs_none(self):
        done = self.tee_health("--list", config="/nonexistent")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual([line.split()[0] for line in done.stdout.splitlines()], CHECKS + PROBES)

    def test_wrong_use_is_unknown_with_a_reason(self):
        for arguments, words in ((["--only", "agent.gat"], "no check and no group 'agent.gat'"),
                                 (["--jsno"], "--jsno"), (["x"], "unexpected argument 'x'"),
                                 (["--timeout", "0"], "--timeout"), (["--list", "--json"], "--list")):
            with self.subTest(arguments=arguments):
                done = self.tee_health(*arguments)
                self.assertEqual((done.returncode, done.stdout), (3, ""))
                self.assertIn(words, done.stderr)
                self.assertIn("tee-health --", done.stderr)

    def test_help_and_version(self):
        for option in ("--help", "--version"):
            done = self.tee_health(option)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn("tee-health", done.stdout)

    def test_report_that_cannot_be_written_is_unknown(self):
        for arguments in ([], ["--json"]):
            with open("/dev/full", "w", encoding="ascii") as full:
                done = self.tee_health(*arguments, stdout=full)
            self.assertEqual(done.returncode, 3)
            self.assertIn("could not be written", done.stderr)

    def test_man_page_and_completion_know_every_check_and_option(self):
        root = pathlib.Path(__file__).resolve().parents[2]
        manual = (root / "docs" / "man" / "tee-health.1").read_text(encoding="utf-8")
        completion = (root / "packaging" / "completions" / "tee-health").read_text(encoding="utf-8")
        for name in CHECKS + PROBES:
            self.assertIn(f".It {name}\n", manual)
        options = set(re.findall(r"(?<!\S)--[a-z]+", self.tee_health("--help").stdout))
        self.assertGreaterEqual(len(options), 12)
        for option in options:
            self.assertIn(f"Fl {option[1:]}", manual.replace(" , ", " Fl "))
            self.assertIn(option, completion)

    # --- on a terminal ---

    def on_terminal(self, columns=70, **environment):
        """What is seen on a terminal of this width."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        path = self.folder / "not-there.sock"
        with subprocess.Popen([TEE_HEALTH, "--config", self.agent.config, "--socket", path], stdin=subprocess.DEVNULL,
                              stdout=theirs, stderr=theirs,
                              env=dict(os.environ, TERM="xterm", **environment)) as process:
            os.close(theirs)
            text = b""
            with contextlib.suppress(OSError):  # the other end has closed
                while block := os.read(ours, 65536):
                    text += block
            os.close(ours)
            self.assertEqual(process.wait(patience(20)), 2)
        return text.decode().replace("\r\n", "\n")

    def test_terminal_has_colours_and_lines_that_fit(self):
        text = self.on_terminal(NO_COLOR="")
        self.assertIn("\033[32mpass\033[0m  config.valid", text)
        self.assertIn("\033[1;31mfail\033[0m  agent.socket", text)
        for line in text.splitlines()[1:]:
            line = re.sub("\033\\[[0-9;]*m", "", line.split("\033[K")[-1])
            self.assertTrue(len(line) <= 70 or " " not in line[SEEN_COLUMN:], f"a line that could be broken: {line}")

    def test_no_color_is_heeded(self):
        text = self.on_terminal(NO_COLOR="1")
        self.assertNotIn("\033[3", text)
        self.assertNotIn("\033[1;", text)
        self.assertIn("fail  agent.socket", text)

    # --- configuration ---

    def test_mistake_in_tee_conf_is_told_with_its_line(self):
        config = self.file("tee.conf", "agent = {\n    max_runing = 3;\n};\n")
        check = self.see("config.valid", "fail", f"{config}:2: agent.max_runing", config=config)
        self.assertIn("78", check["remedy"])
        report = self.report(config=config)
        self.assertEqual(report.checks["docker.reachable"]["seen"], "config.valid has failed")
        self.assertEqual(report.checks["agent.gate"]["verdict"], "pass", "the agent does not depend on it")

    def test_missing_tee_conf(self):
        self.see("config.valid", "fail", "No such file", config="/nonexistent/tee.conf")
        self.see("docker.reachable", "skip", "/nonexistent/tee.conf", config="/nonexistent/tee.conf")

    def test_tee_conf_that_may_not_be_read_is_skipped(self):
        config = self.config({})
        config.chmod(0o600)
        self.see("config.valid", "skip", "Permission denied", "root", config=config, **self.as_nobody())

    # --- host ---

    def in_mounts(self, command):
        """The prefix of a command that runs behind mounts of its own."""
        return {"prefix": ["unshare", "--mount", "sh", "-ec", command + '; exec "$@"', "sh"]}

    def test_missing_controllers_of_cgroup_version_1(self):
        how = self.in_mounts("mount -t tmpfs none /sys/fs/cgroup")
        check = self.see("host.cgroups", "fail", "lacks the controller memory", "cgroup_enable=memory", **how)
        self.assertIn("lacks the controller pids", check["seen"])
        self.assertIn("lacks the controller cpu", check["seen"])

    def test_cgroup_version_2_is_judged_by_its_controllers(self):
        how = self.in_mounts("mount -t cgroup2 none /sys/fs/cgroup")
        there = subprocess.run([*how["prefix"], "cat", "/sys/fs/cgroup/cgroup.controllers"], capture_output=True,
                               text=True, check=True).stdout.split()
        missing = [name for name in ("memory", "pids", "cpu") if name not in there]
        check = self.see("host.cgroups", "fail" if missing else "pass", "version 2", **how)
        for name in missing:
            self.assertIn(f"version 2 lacks the controller {name}", check["seen"])

    def test_memory_that_does_not_go_round(self):
        def with_memory(total_mb, available_mb):
            text = f"MemTotal: {total_mb * 1024} kB\nMemFree: 1 kB\nMemAvailable: {available_mb * 1024} kB\n"
            return self.in_mounts(f"mount --bind {self.file('meminfo', text)} /proc/meminfo")

        config = self.config({"agent": {"max_running": 4}, "limits": {"memory_mb": {"default": 256}}})
        self.see("host.memory", "pass", "900 of 1024 MB", config=config, **with_memory(1024, 900))
        self.see("host.memory", "warn", "4 programs of 256 MB", "agent.max_running", config=config,
                 **with_memory(1023, 900))
        self.see("host.memory", "fail", "255 MB of memory are available", config=config, **with_memory(4096, 255))

    def test_kvm_that_does_not_answer(self):
        how = self.in_mounts("mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && mknod -m 666 /dev/kvm c 1 3")
        self.see("host.kvm", "warn", "does not work", "the platform kvm", **how)
        runtime = self.runsc("--platform=kvm")
        self.see("runsc.platform", "fail", "/dev/kvm cannot be used", "tee-install --with-gvisor --force",
                 config=self.daemon_json(runtime), **how)
        how = self.in_mounts("mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3")
        self.see("host.kvm", "pass", "no /dev/kvm", **how)

    # --- runsc ---

    def test_platform_that_runsc_has_not(self):
        self.see("runsc.platform", "fail", "no platform 'sysemu'", "tee-install --with-gvisor --force",
                 config=self.daemon_json(self.runsc("--platform=sysemu")))

    def test_kernel_that_lets_nobody_trace(self):
        sysctls = "mount -t tmpfs none /proc/sys/kernel && mkdir /proc/sys/kernel/yama /proc/sys/kernel/seccomp && "
        for scope, verdict in ((3, "fail"), (2, "pass")):
            how = self.in_mounts(sysctls + f"echo {scope} >/proc/sys/kernel/yama/ptrace_scope && "
                                 "echo trap >/proc/sys/kernel/seccomp/actions_avail")
            self.see("runsc.platform", verdict, "ptrace", "kernel.yama.ptrace_scope" if verdict == "fail" else "", **how)

    def test_two_that_are_called_runsc(self):
        path = self.file("runsc", pathlib.Path("/bin/cat").read_bytes(), 0o755)
        self.see("runsc.in_path", "warn", path, "tee-install --with-gvisor --force",
                 environment={"PATH": str(self.folder)})

    def test_what_is_no_runsc(self):
        for name, content, mode, verdict, seen in (
                ("page", "<!DOCTYPE html><html>404</html>", 0o755, "fail", "error page"),
                ("empty", "", 0o755, "fail", "is empty"),
                ("text", "not a program", 0o755, "fail", "is no program"),
                ("script", "#!/bin/sh\nexec runc \"$@\"\n", 0o755, "warn", "is a script"),
                ("half", pathlib.Path("/bin/true").read_bytes()[:40], 0o755, "fail", "is no program"),
                ("other", pathlib.Path("/bin/cat").read_bytes(), 0o755, "fail", "is no runsc"),
                ("closed", pathlib.Path("/bin/cat").read_bytes(), 0o750, "fail", "mode 0750")):
            with self.subTest(name=name):
                path = self.file(name, content, mode)
                self.see("runsc.program", verdict, seen, config=self.daemon_json({"path": path}))

    def test_runsc_that_is_not_there(self):
        config = self.daemon_json({"path": "/nonexistent/runsc"})
        self.see("runsc.program", "fail", "/nonexistent/runsc", "tee-install --with-gvisor", config=config)

    def test_runsc_in_a_folder_that_is_closed(self):
        path = self.file("runsc", pathlib.Path("/bin/cat").read_bytes(), 0o755)
        self.folder.chmod(0o700)
        self.see("runsc.program", "fail", "mode 0700", f"chmod a+rx {self.folder}",
                 config=self.daemon_json({"path": path}))

    def test_runsc_behind_a_link_into_a_folder_that_is_closed(self):
        closed = self.folder / "closed"
        closed.mkdir(mode=0o700)
        shutil.copy("/bin/cat", closed / "runsc")
        (self.folder / "runsc").symlink_to(closed / "runsc")
        self.see("runsc.program", "fail", "mode 0700", f"chmod a+rx {closed}",
                 config=self.daemon_json({"path": str(self.folder / "runsc")}))

    def test_runsc_that_anybody_could_replace(self):
        runsc = docker().oci_runtimes()["runsc"]["path"]
        path = self.folder / "runsc"
        shutil.copy(runsc, path)
        for target, mode in ((path, 0o777), (self.folder, 0o777)):
            with self.subTest(target=target.name):
                path.chmod(0o755)
                target.chmod(mode)
                config = self.daemon_json({"path": str(path)})
                self.see("runsc.program", "fail", f"{target} has the mode 0777", f"chmod go-w {target}", config=config)
                self.see("runsc.parts", "skip", f"{path} is not run: {target} has the mode 0777", config=config)

    def test_runsc_that_some_could_replace(self):
        path = self.folder / "runsc"
        shutil.copy(docker().oci_runtimes()["runsc"]["path"], path)
        config = self.daemon_json({"path": str(path)})
        os.chown(path, 0, GROUP.gr_gid)
        path.chmod(0o775)
        check = self.see("runsc.program", "fail", "mode 0775: others than root", f"chmod go-w {path}", config=config)
        self.assertEqual(check["fixes"], [["chmod", "go-w", str(path)]])
        path.chmod(0o755)
        self.see("runsc.program", "pass", config=config)
        for target in (path, self.folder):
            with self.subTest(target=target.name):
                os.chown(target, NOBODY, -1)
                check = self.see("runsc.program", "fail", f"{target} belongs to the user {NOBODY}",
                                 f"chown root: {target}", config=config)
                self.assertEqual(check["fixes"], [])
                os.chown(target, 0, -1)

    def test_no_fix_opens_what_is_no_program_or_behind_a_link(self):
        secret = pathlib.Path(self.file("secret", "secret", 0o600))
        link = self.folder / "link"
        link.symlink_to(secret)
        program = self.folder / "program"
        shutil.copy("/bin/cat", program)
        program.chmod(0o700)
        other = self.folder / "other"
        other.symlink_to(program)
        for path, fixes in ((secret, []), (link, []), (other, []), (program, [["chmod", "a+rx", str(program)]])):
            with self.subTest(path=path.name):
                check = self.see("runsc.program", "fail", "readable and executable by all",
                                 config=self.daemon_json({"path": str(path)}))
                self.assertEqual(check["fixes"], fixes)

    def test_reload_is_no_fix_where_what_docker_would_read_is_dangerous(self):
        for arguments, fixes in ((["--network=none"], [["systemctl", "reload", "docker"]]), (["--network=host"], []),
                                 (["--network=none --network=host"], [])):
            with self.subTest(arguments=arguments):
                registered = {"path": docker().oci_runtimes()["runsc"]["path"], "runtimeArgs": arguments}
                document = json.loads(pathlib.Path(docker().daemon_json).read_text(encoding="utf-8"))
                document["runtimes"] = {"other": registered}
                config = self.config({"docker": {"daemon_json": self.file("daemon.json", json.dumps(document))},
                                      "gvisor": {"oci_runtime": "other"}})
                check = self.see("registration.running", "fail", "has not read it", config=config)
                self.assertEqual(check["fixes"], fixes)

    def test_docker_that_hangs_is_not_runscs_affair(self):
        config = self.config({"docker": {"socket": self.proxy(lambda *_: STALL).path, "daemon_json": ""}})
        runsc = pathlib.Path(docker().oci_runtimes()["runsc"]["path"])
        (self.folder / "runsc").symlink_to(runsc)
        self.see("runsc.program", "pass", "$PATH", config=config, environment={"PATH": str(self.folder)})

    def test_runsc_by_name_is_looked_for_where_daemons_do(self):
        self.see("runsc.program", "pass", "version", config=self.daemon_json({"path": "runsc"}),
                 environment={"PATH": "/nonexistent"})

    def test_runsc_that_hangs_is_told_and_ended(self):
        path = self.folder / "runsc"
        code = "#include <unistd.h>\nint main(void) { for (;;) pause(); }"
        subprocess.run(["gcc", "-xc", "-", "-o", path], input=code, text=True, check=True)
        config = self.daemon_json({"path": str(path)})
        begun = time.monotonic()
        report = self.report("--timeout", "2", "--only", "runsc.program", config=config)
        self.assertLess(time.monotonic() - begun, patience(6))
        self.assertEqual(report.verdicts(), {"runsc.program": "fail"})
        self.assertIn("had not ended in time", report.checks["runsc.program"]["seen"])
        self.assert_no_process_of(path)

    def assert_no_process_of(self, path):
        def others():
            for link in pathlib.Path("/proc").glob("[0-9]*/exe"):
                with contextlib.suppress(OSError):
                    if os.readlink(link) == str(path):
                        return True
            return False

        wait_for(f"the end of {path}", lambda: not others())

    # --- Docker ---

    def test_docker_that_is_not_there(self):
        for path, words in ((str(self.folder / "none"), "No such file"), (self.dead_socket("dead"), "refused")):
            config = self.config({"docker": {"socket": path}})
            check = self.see("docker.reachable", "fail", words, "systemctl start docker", config=config)
            self.assertIn(path, check["seen"])
            report = self.report(config=config)
            self.assertEqual(report.status, 2)
            for name in ("registration.running", "images.runtimes"):
                self.assertEqual(report.checks[name]["seen"], "docker.reachable has failed")
            self.see("registration.running", "skip", words, config=config)
            self.see("images.runtimes", "skip", words, config=config)

    def test_docker_that_hangs_costs_one_deadline_and_the_rest_goes_on(self):
        proxy = self.proxy(lambda method, target: STALL)
        begun = time.monotonic()
        report = self.report("--timeout", "2", *ONLY_OURS, config=self.config({"docker": {"socket": proxy.path}}))
        self.assertLess(time.monotonic() - begun, patience(8))
        self.assertGreater(report.checks["docker.reachable"]["duration_ms"], 1500)
        self.assertEqual({name for name, verdict in report.verdicts().items() if verdict == "skip"},
                         {"docker.version", "docker.host", "docker.network_api", "registration.running",
                          "registration.default", "images.runtimes", *UNSEEN})
        self.assertEqual(report.document["counts"]["fail"], 1)
        self.assertIn("/_ping", report.checks["docker.reachable"]["seen"])
        self.assertEqual(report.checks["agent.gate"]["verdict"], "pass")

    def test_docker_that_hangs_later(self):
        proxy = self.proxy(lambda method, target: STALL if "/images/" in target else PASS)
        config = self.config({"docker": {"socket": proxy.path}})
        report = self.report("--timeout", "2", "--only", "images", config=config)
        self.assertEqual(report.verdicts(), {"images.runtimes": "skip"})
        self.assertEqual(len(proxy.asked("GET /v")), 2, "of /info and one image")

    def test_docker_that_talks_nonsense(self):
        proxy = self.proxy()
        config = self.config({"docker": {"socket": proxy.path}})
        for action, words in ((answer(200, "[]"), "not Docker"), (answer(200, "{"), "JSON"), (HANG_UP, "/info"),
                              (answer(500, {"message": "the disk \033[2J is on fire"}), "the disk ?[2J is on fire")):
            proxy.set_script(lambda method, target, action=action: action if "/info" in target else PASS)
            self.see("docker.reachable", "fail", words, config=config)

    def test_end_of_tee_health_is_the_end_of_its_checks(self):
        proxy = self.proxy(lambda method, target: STALL)
        program = self.folder / "tee-health"
        shutil.copy(TEE_HEALTH, program)
        for number in (signal.SIGKILL, signal.SIGTERM):
            with subprocess.Popen([program, "--only", "docker", "--config",
                                   self.config({"docker": {"socket": proxy.path}})],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
                wait_for("a call", lambda: proxy.asked("GET /_ping"))
                process.send_signal(number)
                self.assertEqual(process.wait(patience(10)), -number)
            self.assert_no_process_of(program)
            proxy.requests.clear()

    def docker_that_says(self, changes):
        """Docker, and its /info is another."""
        info = docker().call("GET", "/info").json
        proxy = self.proxy(lambda method, target: answer(200, {**info, **changes}) if "/info" in target else PASS,
                           f"{len(list(self.folder.iterdir()))}.sock")
        return self.config({"docker": {"socket": proxy.path}})

    def test_docker_that_is_too_old(self):
        for version, verdict, words in (("19.03.15", "warn", "19.03.15"), ("29.1.0", "pass", "29.1.0"),
                                        ("dev", "skip", "cannot be read")):
            config = self.docker_that_says({"ServerVersion": version})
            self.see("docker.version", verdict, words, "docker.io" if verdict == "warn" else "", config=config)

    def test_docker_of_another_system_or_machine(self):
        desktop = {"OperatingSystem": "Docker Desktop", "KernelVersion": "6.10.14-linuxkit"}
        windows = {"KernelVersion": "5.15.167.4-microsoft-standard-WSL2"}
        self.see("docker.host", "fail", "cannot run on macOS or Windows", "make run-dev",
                 config=self.docker_that_says(desktop))
        self.see("docker.host", "fail", "microsoft", "DISABLE_GVISOR=true", config=self.docker_that_says(windows))
        self.see("docker.host", "warn", "9.9.9-other", "where Docker runs",
                 config=self.docker_that_says({"KernelVersion": "9.9.9-other"}))

    def test_live_restore_on_a_node_of_a_swarm(self):
        changes = {"LiveRestoreEnabled": False, "Swarm": {"LocalNodeState": "active"}}
        self.see("docker.live_restore", "pass", "swarm", config=self.docker_that_says(changes))

    def test_folder_of_dockers_with_little_room(self):
        for size_mb, verdict in ((100, "fail"), (1000, "warn")):
            path = self.folder / str(size_mb)
            path.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "none", path], check=True)
            self.addCleanup(subprocess.run, ["umount", path], check=True)
            self.see("docker.disk", verdict, f"{path} has {size_mb} MB left", "docker system df",
                     config=self.docker_that_says({"DockerRootDir": str(path)}))

    # --- registration ---

    def test_default_oci_runtime_that_docker_has_not(self):
        self.see("registration.default", "fail", "does not have", "systemctl reload docker",
                 config=self.docker_that_says({"DefaultRuntime": "gone"}))

    def runsc(self, *arguments, **changes):
        return dict(docker().oci_runtimes()["runsc"], runtimeArgs=["--network=none", *arguments], **changes)

    def test_registration_that_the_file_has_not(self):
        config = self.daemon_json(None)
        self.see("registration.daemon_json", "fail", "no OCI runtime 'runsc'", "tee-install --with-gvisor",
                 config=config)
        self.see("registration.running", "fail", "next restart loses it", "tee-install --with-gvisor", config=config)

    def test_file_that_is_not_there(self):
        config = self.config({"docker": {"daemon_json": "/nonexistent/daemon.json"}})
        self.see("registration.daemon_json", "warn", "/nonexistent/daemon.json", "docker.daemon_json", config=config)
        self.see("registration.running", "pass", "no file", config=config)

    def test_file_that_is_not_to_be_looked_at(self):
        config = self.config({"docker": {"daemon_json": ""}})
        self.see("registration.daemon_json", "skip", "docker.daemon_json is empty", config=config)
        self.see("registration.running", "pass", config=config)

    def test_file_that_docker_could_not_read(self):
        for text, words in (("", "line 1"), ("{\n  \"runtimes\": x\n}", "line 2"),
                            ('{"runtimes": {"runsc": {"path": "/a"}, "runsc": {"path": "/b"}}}', "stands twice")):
            config = self.config({"docker": {"daemon_json": self.file("daemon.json", text)}})
            self.see("registration.daemon_json", "fail", words, config=config)
            self.see("registration.running", "fail", words, config=config)

    def test_file_that_may_not_be_read_is_skipped(self):
        proxy = self.proxy()
        os.chmod(proxy.path, 0o666)
        config = self.config({"docker": {"socket": proxy.path, "daemon_json": self.file("daemon.json", "{}", 0o600)}})
        self.see("registration.daemon_json", "skip", "Permission denied", "root", config=config, **self.as_nobody())
        self.see("registration.running", "skip", "whether its file agrees", config=config, **self.as_nobody())

    def test_registered_program_that_is_not_there(self):
        config = self.daemon_json({"path": "/nonexistent/runsc"})
        self.see("registration.daemon_json", "fail", "/nonexistent/runsc", "tee-install", config=config)

    def test_shim_whose_arguments_are_elsewhere_is_skipped(self):
        config = self.daemon_json({"runtimeType": "io.containerd.runsc.v1"})
        self.see("registration.daemon_json", "skip", "io.containerd.runsc.v1", config=config)

    def test_dangerous_arguments(self):
        for argument, verdict in (("--network=host", "fail"), ("--TESTONLY-unsafe-nonroot", "fail"),
                                  ("--ignore-cgroups", "fail"), ("--debug", "warn"), ("--strace", "warn")):
            with self.subTest(argument=argument):
                check = self.see("registration.daemon_json", verdict, argument, "tee-install --with-gvisor --force",
                                 config=self.daemon_json(self.runsc(argument)))
                self.assertNotIn("--network=none", check["seen"])

    def test_dangerous_arguments_of_the_running_docker(self):
        """Whatever its file says, or where that is."""
        self.addCleanup(docker().reload)
        self.addCleanup(docker().register, "tee-danger", None)
        docker().register("tee-danger", self.runsc("--network=host"))
        docker().reload()
        wait_for("the reload", lambda: "tee-danger" in docker().oci_runtimes())
        config = self.config({"gvisor": {"oci_runtime": "tee-danger"}, "docker": {"daemon_json": ""}})
        self.see("registration.running", "fail", "--network=host",
                 "tee-install --with-gvisor --runtime-name tee-danger --force", config=config)

    def test_arguments_that_docker_could_not_read(self):
        for arguments in ("--network=none", [1], {"a": "b"}):
            with self.subTest(arguments=arguments):
                self.see("registration.daemon_json", "fail", "no list of words", "mend the file",
                         config=self.daemon_json(dict(self.runsc(), runtimeArgs=arguments)))

    def test_debug_log_that_all_can_read(self):
        runtime = self.runsc("--debug", f"--debug-log={self.folder}/")
        self.see("registration.daemon_json", "fail", "all users", "tee-install", config=self.daemon_json(runtime))
        self.folder.chmod(0o700)
        self.see("registration.daemon_json", "warn", "--debug", config=self.daemon_json(runtime))

    def test_file_that_tells_another_story_than_docker(self):
        other = shutil.which("runc", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
        self.see("registration.running", "fail", other, "systemctl reload docker",
                 config=self.daemon_json(self.runsc(path=other)))
        self.see("registration.running", "warn", "arguments", "systemctl reload docker",
                 config=self.daemon_json(self.runsc("--platform=ptrace")))

    def test_registration_that_docker_has_not_read(self):
        self.addCleanup(docker().register, "tee-unread", None)
        docker().register("tee-unread", self.runsc())
        config = self.config({"gvisor": {"oci_runtime": "tee-unread"}})
        self.see("registration.daemon_json", "pass", config=config)
        self.see("registration.running", "fail", "has not read it", "systemctl reload docker", config=config)

    def test_oci_runtime_that_nobody_knows(self):
        config = self.config({"gvisor": {"oci_runtime": "tee-none"}})
        self.see("registration.running", "fail", "unknown or invalid runtime name: tee-none",
                 "tee-install --with-gvisor --runtime-name tee-none", config=config)

    def test_configuration_without_gvisor_has_nothing_to_be_looked_for(self):
        report = self.report(config=self.config({"gvisor": {"enabled": False}}))
        for name in ("runsc.program", "registration.daemon_json", "registration.running"):
            self.assertEqual(report.checks[name]["verdict"], "skip")
            self.assertIn("there is to be no gVisor", report.checks[name]["seen"])

    # --- images ---

    def test_images_that_are_missing_or_have_another_guest(self):
        for image in ("tee-test-old", "tee-test-foreign", "tee-test-bare"):
            self.addCleanup(docker().untag, image)
        docker().import_tar("tee-test-old", "tee.guest.version=0.0.1-older%20tee.recipe=0")
        docker().import_tar("tee-test-foreign", "tee.guest.version=0.0.1-older")
        docker().import_tar("tee-test-bare", "unrelated=label")
        make = ["tee-install", "--with-runtime", "sh"]
        refresh = ["tee-install", "--refresh-runtimes", "--config", str(self.folder / "tee.conf")]
        for image, words, remedy, fixes in (("tee-test-none:latest", "no image", make, [make]),
                                            ("tee-test-old:latest", "0.0.1-older", refresh, [refresh]),
                                            ("tee-test-foreign:latest", "0.0.1-older", make, []),
                                            ("tee-test-bare:latest", "no tee-guest", make, [])):
            with self.subTest(image=image):
                check = self.see("images.runtimes", "fail", image, " ".join(remedy),
                                 config=self.config({"runtimes": {"sh": {"image": image}}}))
                self.assertIn(words, check["seen"])
                self.assertEqual(check["fixes"], fixes)
                self.assertNotIn("deno", check["seen"])

    def test_each_image_that_is_wrong_is_told(self):
        wrong = {"image": "tee-test-none:latest"}
        check = self.see("images.runtimes", "fail", config=self.config({"runtimes": {"sh": wrong, "deno": wrong}}))
        self.assertIn("runtime sh:", check["seen"])
        self.assertIn("runtime deno:", check["seen"])
        self.assertEqual(check["remedy"], "tee-install --with-runtime deno; tee-install --with-runtime sh")

    # --- the agent ---

    def test_socket_of_the_agent(self):
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(listener.close)
        self.path = self.folder / "agent.sock"
        self.see("agent.socket", "fail", "No such file", "tee-agent.socket")
        listener.bind(str(self.path))
        members = GROUP.gr_gid
        for mode, group, verdict, words in ((0o666, members, "fail", "everybody"), (0o660, 0, "warn", "root"),
                                            (0o600, members, "warn", "0600"), (0o664, members, "warn", "0664"),
                                            (0o660, 4711471, "warn", "4711471"),
                                            (0o660, members, "pass", GROUP.gr_name)):
            with self.subTest(mode=oct(mode), group=group):
                os.chown(self.path, 0, group)
                os.chmod(self.path, mode)
                self.see("agent.socket", verdict, words, "SocketMode" if verdict != "pass" else "")
        self.path = self.file("file", "")
        self.see("agent.socket", "fail", "is not a socket")

    def test_agent_that_is_not_there(self):
        self.path = self.dead_socket("agent.sock")
        check = self.see("agent.answers", "fail", "refused", "tee-agent.socket")
        self.assertIn(self.path, check["seen"])
        report = self.report()
        for name in ("agent.gate", "agent.mode"):
            self.assertEqual(report.checks[name]["seen"], "agent.answers has failed")
        self.see("agent.gate", "skip", "refused")

    def test_agent_that_hangs(self):
        self.path = self.proxy_of_agent(lambda method, target: STALL).path
        report = self.report("--timeout", "2", "--only", "agent.answers", "--only", "agent.gate")
        self.assertEqual(report.verdicts(), {"agent.answers": "fail", "agent.gate": "skip"})
        self.assertIn("does not answer", report.checks["agent.answers"]["seen"])

    def test_somebody_else_on_the_agents_socket(self):
        proxy = self.proxy_of_agent()
        self.path = proxy.path
        for action in (answer(200, "[]"), answer(200, "hello"), answer(404, {}), answer(200, {})):
            proxy.set_script(lambda method, target, action=action: action)
            self.see("agent.answers", "fail", "is not tee-agent")

    def scripted_status(self, changes):
        status = merged(self.agent.get("/v1/status").json, changes)
        self.path = self.proxy_of_agent(lambda method, target: answer(200, status)).path

    def test_agent_of_another_version(self):
        self.scripted_status({"version": "0.0.1-older"})
        self.see("agent.answers", "warn", "0.0.1-older", "systemctl restart tee-agent")

    def test_gate_that_is_checking(self):
        self.scripted_status({"gate": {"state": "checking"}})
        self.see("agent.gate", "warn", "still checking")

    def test_words_of_a_peer_do_no_harm_to_a_terminal(self):
        gate = {"state": "shut", "code": "x", "reason": "\033[2J" + "y" * 5000, "remedy": "a\nb"}
        self.scripted_status({"gate": gate})
        check = self.see("agent.gate", "fail", "shut (x): ?[2Jyyy", "a?b")
        self.assertLessEqual(len(check["seen"]), 2048)


class ShutGate(Checker, AgentTestCase):
    changes = {"gvisor": {"oci_runtime": "tee-none"}}
    open = False

    def test_reason_and_remedy_are_the_agents_own(self):
        gate = self.agent.wait_gate("oci_runtime_missing")
        check = self.see("agent.gate", "fail", f"shut (oci_runtime_missing): {gate['reason']}")
        self.assertEqual(check["remedy"], gate["remedy"])
        self.see("agent.answers", "pass")


class Disabled(Checker, AgentTestCase):
    agent_environment = {"DISABLE_GVISOR": "true"}
    changes = {"runtimes": {"sh": {"image": IMAGE_SH}}}

    def test_mode_without_gvisor_is_a_warning(self):
        self.see("agent.mode", "warn", "gVisor is DISABLED", "tee-health --only agent.environment")
        self.see("agent.gate", "pass")
