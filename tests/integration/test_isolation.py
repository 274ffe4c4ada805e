# SPDX-License-Identifier: Apache-2.0
"""What user code can't do: forge a frame, signal, trace or read the guest, or reach the container's options."""

import errno
import json

from api import as_base64, as_bytes
from engine import docker
from harness import AgentTestCase, Background

# An EXIT frame that says "exited with 0", a STDOUT frame, a FAULT frame: what a forger would send. With and without
# the header of Docker's stream around it.
EXIT_FRAME = bytes([0x84, 0, 0, 0, 0, 0, 0, 52]) + bytes(52)
OUTPUT_FRAME = bytes([0x82, 0, 0, 0, 0, 0, 0, 6]) + b"forged"
FAULT_FRAME = bytes([0x85, 0, 0, 0, 0, 0, 0, 14]) + b"\0\0\0\4\0\0\0\0forged"
FORGED = OUTPUT_FRAME + EXIT_FRAME + FAULT_FRAME
FORGERY = FORGED + bytes([1, 0, 0, 0, 0, 0, 0, len(FORGED)]) + FORGED

LIBC = """
const libc = Deno.dlopen("libc.so.6", {
  write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  open: { parameters: ["buffer", "i32", "i32"], result: "i32" },
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
  kill: { parameters: ["i32", "i32"], result: "i32" },
  ptrace: { parameters: ["i64", "i64", "usize", "usize"], result: "i64" },
  syscall: { parameters: ["i64", "i64"], result: "i64" },
  process_vm_readv: { parameters: ["i32", "buffer", "usize", "buffer", "usize", "usize"], result: "isize" },
  __errno_location: { parameters: [], result: "pointer" },
}).symbols;
const forgery = new Uint8Array(%s);
const errno = () => new Deno.UnsafePointerView(libc.__errno_location()!).getInt32();
const outcome = (attempt: () => unknown) => {  // "EACCES" for example, so that no other failure is taken for a refusal
  try { return attempt(); } catch (e) { return e.code ?? `${e}`; }
};
const open = (path: string, options: Deno.OpenOptions) =>
  outcome(() => { Deno.openSync(path, options).close(); return "opened"; });
""" % list(FORGERY)


class Isolation(AgentTestCase):
    """Under gVisor. Unconfined below runs the same under runc, where only the guest's own defence stands."""

    agent_environment = {}

    def hostile(self, code):
        """Runs hostile TypeScript that ends with exit code 7, and checks that its own end is what is told."""
        result = self.agent.run("deno_all", LIBC + code + "\nDeno.exit(7);")
        self.assertEqual((result["status"], result["exit_code"], result["signal"]), ("error", 7, None), result)
        return result

    def seen_by_hostile(self, code):
        """What such a program prints: a JSON document."""
        return json.loads(self.hostile(code)["stdout"])

    def test_frames_written_to_every_descriptor_are_not_believed(self):
        result = self.hostile("""
            Deno.stdout.writeSync(new TextEncoder().encode("true output\\n"));
            for (let fd = 3; fd < 256; fd++) {
              // O_NONBLOCK, so that no pipe of Deno's own holds us up
              if (libc.fcntl(fd, 4, 0o4000) === 0) libc.write(fd, forgery, BigInt(forgery.length));
            }
            Deno.stdout.writeSync(new TextEncoder().encode("still true\\n"));
            """)
        # Deno keeps duplicates of its stdout and stderr, so some of it is output.
        self.assertEqual(as_bytes(result["stdout"]).replace(FORGERY, b""), b"true output\nstill true\n")
        self.assertEqual(as_bytes(result["stderr"]).replace(FORGERY, b""), b"")

    def test_frames_printed_are_output_and_nothing_else(self):
        result = self.hostile("Deno.stdout.writeSync(forgery); Deno.stderr.writeSync(forgery);")
        self.assertEqual(as_bytes(result["stdout"]), FORGERY)
        self.assertEqual(as_bytes(result["stderr"]), FORGERY)

    def test_channel_of_the_guest_cannot_be_opened(self):
        """Old gVisors let anybody open other descriptors of the guest's, the ends of the program's own pipes."""
        seen = self.seen_by_hostile("""
            const ways = [{ write: true }, { read: true }, { write: true, append: true }];
            const all = (process: string, fd: number) => ways.map((way) => open(`/proc/${process}/fd/${fd}`, way));
            console.log(JSON.stringify({ own: all("self", 1), guests: [0, 1, 2].map((fd) => all("1", fd)) }));
            """)
        self.assertEqual(seen["own"], ["opened"] * 3, "the attempt itself is wrong")
        self.assertEqual(seen["guests"], [["EACCES"] * 3] * 3)

    def test_frames_written_to_the_guests_descriptors_are_not_believed(self):
        result = self.hostile("""
            for (let fd = 0; fd < 64; fd++) {
              const opened = libc.open(new TextEncoder().encode(`/proc/1/fd/${fd}\\0`), 0o4001, 0);  // O_NONBLOCK
              if (opened >= 0) libc.write(opened, forgery, BigInt(forgery.length));
            }
            Deno.stdout.writeSync(new TextEncoder().encode("true output\\n"));
            """)
        self.assertIn(b"true output\n", as_bytes(result["stdout"]))
        self.assertEqual(as_bytes(result["stdout"]).replace(FORGERY, b""), b"true output\n")

    def test_memory_of_the_guest_cannot_be_read(self):
        """What works on the program itself, which is Deno.pid, must not on the guest."""
        seen = self.seen_by_hostile("""
            const secret = new TextEncoder().encode("what is in memory"), into = new Uint8Array(secret.length);
            const address = (bytes: Uint8Array) => BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes)));
            const vector = (at: bigint) => new Uint8Array(new BigUint64Array([at, BigInt(into.length)]).buffer);
            const text = (n: number) => new TextDecoder().decode(into.subarray(0, n));
            const call = (pid: number, at: bigint) => {
              const n = libc.process_vm_readv(pid, vector(address(into)), 1n, vector(at), 1n, 0n);
              return n < 0n ? errno() : text(Number(n));
            };
            const mem = (pid: number, at: bigint) => outcome(() => {
              using file = Deno.openSync(`/proc/${pid}/mem`);
              file.seekSync(at, Deno.SeekMode.Start);
              return text(file.readSync(into) ?? 0);
            });
            // Where the guest may not even be asked what it has mapped, any address must give the same refusal.
            const maps = outcome(() => Deno.readTextFileSync("/proc/1/maps")) as string;
            const guests = BigInt(/^[0-9a-f]+-/.test(maps) ? "0x" + maps.split("-")[0] : 0x555555554000);
            console.log(JSON.stringify({
              own_mem: mem(Deno.pid, address(secret)), guests_mem: mem(1, guests),
              own_call: call(Deno.pid, address(secret)), guests_call: call(1, guests),
            }));
            """)
        self.assertEqual((seen["own_mem"], seen["guests_mem"]), ("what is in memory", "EACCES"))
        if seen["own_call"] == "what is in memory":
            self.assertEqual(seen["guests_call"], errno.EPERM)
        else:  # this kernel has no such call, or Docker's seccomp lets nobody use it
            self.assertIn(seen["own_call"], (errno.ENOSYS, errno.EPERM))
            self.assertEqual(seen["guests_call"], seen["own_call"])

    def test_files_behind_the_guest_cannot_be_read(self):
        seen = self.seen_by_hostile("""
            const read = (process: string) => ["root/etc/passwd", "cwd/main.ts", "exe", "fd/0", "io"].map((name) =>
              outcome(() => { Deno.readFileSync(`/proc/${process}/${name}`); return "read"; }));
            console.log(JSON.stringify({ own: read("self"), guests: read("1") }));
            """)
        self.assertEqual(seen["own"], ["read"] * 5, "the attempt itself is wrong")
        self.assertEqual(seen["guests"], ["EACCES"] * 5)

    def test_environment_of_the_guest_holds_nothing_worth_reading(self):
        """Old gVisors let anybody read /proc/PID/environ."""
        result = self.agent.run("sh", "tr '\\000' '\\n' 2>/dev/null < /proc/1/environ; exit 0")
        names = {line.split("=", 1)[0] for line in result["stdout"].splitlines()}
        self.assertLessEqual(names, {"PATH", "HOME", "HOSTNAME", "TEE_UID"})

    def test_guest_cannot_be_traced(self):
        result = self.hostile("""
            const attach = 16n, seize = 0x4206n;
            console.log(Number(libc.ptrace(attach, 1n, 0n, 0n)), Number(libc.ptrace(seize, 1n, 0n, 0n)));
            """)
        self.assertEqual(result["stdout"], "-1 -1\n")

    def test_guest_cannot_be_signalled(self):
        result = self.hostile("""
            const answers = [];
            for (let signal = 1; signal < 65; signal++) answers.push(libc.kill(1, signal));
            console.log(new Set(answers).size, answers[8]);
            """)
        self.assertEqual(result["stdout"], "1 -1\n")

    def test_kill_of_everything_leaves_the_guest(self):
        result = self.hostile("libc.kill(-1, 9); console.log('alive');")
        self.assertEqual(result["stdout"], "alive\n")

    def test_root_cannot_be_regained(self):
        """By the system call itself: glibc's setuid() sends a signal to each thread first, which Debian's runsc lets some
        processors' programs die of."""
        result = self.hostile("""
            const setuid = Deno.build.arch === "x86_64" ? 105n : 146n;
            const r = libc.syscall(setuid, 0n);
            console.log(r, errno(), Deno.uid(), Deno.gid());
            """)
        self.assertEqual(result["stdout"], "-1n 1 65532 65532\n")  # EPERM

    def test_guests_binary_can_be_neither_opened_nor_run(self):
        seen = self.seen_by_hostile("""
            const run = (path: string) => outcome(() => new Deno.Command(path, { args: ["-V"] }).outputSync().success);
            console.log(JSON.stringify({
              own: [open("/proc/self/exe", { read: true }), open("main.ts", { write: true }), run(Deno.execPath())],
              guests: [open("/proc/1/exe", { read: true }), open("/proc/1/exe", { write: true }),
                       open("/tee/tee-guest", { read: true }), open("/tee/tee-guest", { write: true }),
                       run("/tee/tee-guest")],
            }));
            """)
        self.assertEqual(seen["own"], ["opened", "opened", True], "the attempt itself is wrong")
        self.assertEqual(seen["guests"], ["EACCES"] * 5)

    def test_shell_cannot_write_to_the_channel_or_signal(self):
        code = ("for f in 0 1 2; do (printf '\\204\\000' > /proc/1/fd/$f) 2>/dev/null && echo opened $f; done\n"
                "for s in KILL TERM STOP SEGV ABRT USR1 PIPE; do kill -$s 1 2>/dev/null && echo killed $s; done\n"
                "echo true output; exit 9")
        result = self.agent.run("sh", code)
        self.assertEqual((result["status"], result["exit_code"], result["stdout"]), ("error", 9, "true output\n"))

    def test_kill_of_everything_from_the_shell(self):
        result = self.agent.run("sh", "tail -f /dev/null & kill -9 -1; echo alive; exit 9")
        self.assertEqual((result["status"], result["exit_code"], result["stdout"]), ("error", 9, "alive\n"), result)

    def test_files_of_the_image_cannot_be_changed(self):
        code = ("for f in /tee /tee/tee-guest /bin/busybox /etc /proc/sys/kernel/hostname /sys/kernel /dev; do\n"
                "[ -w $f ] && (echo x >> $f || touch $f/x) 2>/dev/null && echo changed $f; done; exit 9")
        result = self.agent.run("sh", code)
        self.assertEqual((result["exit_code"], result["stdout"]), (9, ""), result)

    def test_program_in_the_work_folder_gains_nothing(self):
        """A set-uid copy can be made, not given away, and where it lies nothing can be executed."""
        code = ("for dir in /work /tmp; do cp /bin/busybox $dir/busybox && chmod 4755 $dir/busybox || exit 8\n"
                "stat -c '%a %u' $dir/busybox; chown 0 $dir/busybox 2>/dev/null && echo given away\n"
                "$dir/busybox id -u 2>&1; echo $?; done; /bin/busybox id -u")
        result = self.agent.run("sh", code)
        refused = r"4755 65532\n\S+ line \d+: /(work|tmp)/busybox: Permission denied\n126\n"
        self.assertRegex(result["stdout"], rf"\A({refused}){{2}}65532\n\Z", result)


class Unconfined(Isolation):
    """The same attacks with gVisor disabled."""

    agent_environment = {"DISABLE_GVISOR": "true"}


class Container(AgentTestCase):
    """What Docker is told about a sandbox."""

    CANARY = "canary0815"

    def inspect_a_run(self, **request):
        run = Background(lambda: self.agent.post(request))
        container, = self.agent.wait_running()
        inspected = docker().inspect(container["Id"])
        result = run.result().json
        self.assertEqual(result["status"], "wall_limit", result)
        return inspected, result

    def test_options_are_the_closed_template(self):
        limits = {"wall_ms": 4000, "memory_mb": 96, "disk_mb": 7}
        container, result = self.inspect_a_run(runtime="sh", code="tail -f /dev/null", limits=limits)
        host, config = container["HostConfig"], container["Config"]
        self.assertEqual(host["Runtime"], "runsc")
        self.assertEqual(host["NetworkMode"], "none")
        self.assertIs(host["ReadonlyRootfs"], True)
        self.assertIs(host["Privileged"], False)
        self.assertEqual(host["CapDrop"], ["ALL"])
        self.assertLessEqual({name.removeprefix("CAP_") for name in host["CapAdd"]}, {"SETUID", "SETGID", "KILL", "SETPCAP"})
        self.assertIn("no-new-privileges", host["SecurityOpt"])
        self.assertFalse([one for one in host["SecurityOpt"] if "unconfined" in one])
        self.assertEqual((host["Memory"], host["MemorySwap"]), (96 << 20, 96 << 20))
        self.assertEqual(host["NanoCpus"], 1_000_000_000)
        self.assertEqual(host["PidsLimit"], 4096)
        self.assertEqual(host["LogConfig"]["Type"], "none")
        self.assertEqual((host["IpcMode"], host["PidMode"], host["UTSMode"]), ("none", "", ""))
        for name in ("Binds", "VolumesFrom", "Devices", "DeviceRequests", "ExtraHosts", "Links", "Sysctls", "Dns",
                     "PortBindings", "GroupAdd"):
            self.assertFalse(host.get(name), name)
        self.assertEqual(container["Mounts"], [])
        self.assertEqual(set(host["Tmpfs"]), {"/work", "/tmp"})
        for options in host["Tmpfs"].values():
            self.assertIn(f"size={7 << 20}", options.split(","))
            self.assertLessEqual({"nosuid", "nodev", "noexec"}, set(options.split(",")))
        of_the_image = docker().call("GET", f"/images/{container['Image']}/json").json["Config"]["Labels"]
        self.assertEqual(set(config["Labels"]) - set(of_the_image), {"tee.instance", "tee.boot", "tee.execution"})
        self.assertEqual(config["Labels"]["tee.instance"], self.agent.instance)
        self.assertEqual(config["Labels"]["tee.execution"], result["id"])
        self.assertEqual((config["OpenStdin"], config["StdinOnce"], config["Tty"]), (True, True, False))
        self.assertIs(host["AutoRemove"], False)

    def test_nothing_of_a_clients_reaches_docker(self):
        canary = self.CANARY
        self.assert_not_in_docker(runtime="sh", code=f"tail -f /dev/null # {canary}", args=[canary],
                                  env={canary: canary}, stdin=canary, labels={canary: canary},
                                  limits={"wall_ms": 3000})
        self.assert_not_in_docker(runtime="sh", entry=f"{canary}/main.sh", stdin=as_base64(canary.encode()),
                                  files={f"{canary}/main.sh": "tail -f /dev/null", canary + ".txt": canary},
                                  limits={"wall_ms": 3000})

    def assert_not_in_docker(self, **request):
        container, result = self.inspect_a_run(**request)
        self.assertNotIn(self.CANARY, json.dumps(container))
        self.assertEqual(result["labels"], request.get("labels", {}))

    def test_nothing_of_a_clients_reaches_the_log(self):
        canary = "canary0816"
        self.agent.run("sh", f"echo {canary}; echo {canary} >&2; exit 3", args=[canary], env={canary: canary},
                       stdin=canary)
        self.assertNotIn(canary, self.agent.log_text())
