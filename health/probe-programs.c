/* SPDX-License-Identifier: Apache-2.0 */

/* JavaScript as both Deno and Node.js run it, whose files are scripts or modules. Each takes its figure as the first
 * argument. The address is one that is nobody's (RFC 5737). */

#include "probe.h"

#include <string.h>

static const char *const javascript[PROBE_PROGRAM_COUNT_] = {
        [PROBE_HELLO] = "console.log('tee-health')",
        [PROBE_USER] = "import('node:fs').then((fs) => { fs.writeFileSync('probe', '');\n"
                       "console.log(fs.statSync('probe').uid) })",
        [PROBE_NETWORK] =
                "import('node:net').then(async (net) => {\n"
                "const said = await new Promise((say) => { try {\n"
                "  const s = net.connect(80, '192.0.2.1');\n"
                "  s.on('connect', () => say('connected')); s.on('error', (e) => say(e.code || e.name));\n"
                "  setTimeout(() => say('timeout'), 3000);\n"
                "} catch (e) { say(e.code || e.name) } });\n"
                "console.log(said);\n"
                "try { console.log(Object.keys((await import('node:os')).networkInterfaces()).join(' ')) } catch {}\n"
                "process.exit(0) })",
        [PROBE_MEMORY] = "const all = [], most = 4 * Number(process.argv[2]);\n"
                         "(function step() { if (all.length * 8 >= most) return console.log('unbounded');\n"
                         "all.push(new Uint8Array(8 << 20).fill(1)); console.log(all.length * 8);\n"
                         "setTimeout(step, 0) })()",
        [PROBE_PROCESSES] = "import('node:worker_threads').then(async ({ Worker }) => {\n"
                            "const most = 2 * Number(process.argv[2]), all = [];\n"
                            "while (all.length < most) {\n"
                            "  all.push(new Worker('setInterval(() => {}, 1e6)', { eval: true }));\n"
                            "  await new Promise((go, stop) => { const w = all[all.length - 1]; w.on('online', go);\n"
                            "    w.on('error', stop) });\n"
                            "  console.log(all.length) }\n"
                            "console.log('unbounded'); process.exit(0) }).catch(() => process.exit(1))",
        [PROBE_DISK] = "import('node:fs').then((fs) => {\n"
                       "const most = 4 * Number(process.argv[2]), f = fs.openSync('big', 'w');\n"
                       "for (let n = 1; n <= most; n++) {\n"
                       "  for (let i = 0; i < 16; i++) {\n"
                       "    const b = Buffer.alloc(65536, 1); let at = 0;\n"
                       "    while (at < b.length) at += fs.writeSync(f, b, at) }\n"
                       "  console.log(n) }\n"
                       "console.log('unbounded') })",
};

static const char *const python[PROBE_PROGRAM_COUNT_] = {
        [PROBE_HELLO] = "print('tee-health')",
        [PROBE_USER] = "import os\nopen('probe', 'w').close()\nprint(os.stat('probe').st_uid)",
        [PROBE_NETWORK] = "import errno, socket\n"
                          "s = socket.socket()\ns.settimeout(3)\n"
                          "try:\n    s.connect(('192.0.2.1', 80))\n    print('connected')\n"
                          "except socket.timeout:\n    print('timeout')\n"
                          "except OSError as e:\n    print(errno.errorcode.get(e.errno, e))\n"
                          "try:\n    print(*[name for _, name in socket.if_nameindex()])\n"
                          "except OSError:\n    pass\n",
        [PROBE_MEMORY] = "import sys\nall = []\n"
                         "while len(all) * 8 < 4 * int(sys.argv[1]):\n"
                         "    all.append(b'x' * (8 << 20))\n    print(len(all) * 8, flush=True)\n"
                         "print('unbounded')",
        [PROBE_PROCESSES] = "import os, sys, time\n"
                            "for n in range(1, 2 * int(sys.argv[1]) + 1):\n"
                            "    if os.fork() == 0:\n        time.sleep(60)\n        os._exit(0)\n"
                            "    print(n, flush=True)\n"
                            "print('unbounded')",
        [PROBE_DISK] = "import sys\n"
                       "with open('big', 'wb', buffering=0) as f:\n"
                       "    for n in range(1, 4 * int(sys.argv[1]) + 1):\n"
                       "        for i in range(16):\n"
                       "            if f.write(b'x' * 65536) != 65536:\n                sys.exit(1)\n"
                       "        print(n, flush=True)\n"
                       "print('unbounded')",
};

static const char *const shell[PROBE_PROGRAM_COUNT_] = {
        [PROBE_HELLO] = "echo tee-health",
        [PROBE_USER] = "set -e\n: >probe\n/bin/busybox stat -c %u probe",
        [PROBE_NETWORK] = "said=$(/bin/busybox nc -w 3 192.0.2.1 80 2>&1 </dev/null) && said=connected\n"
                          "case $said in *'timed out'*) said=timeout ;; esac\n"
                          "echo ${said##*: }\n"
                          "/bin/busybox sed -n 's/^ *\\([a-z0-9]*\\):.*/\\1/p' /proc/net/dev 2>/dev/null",
        [PROBE_MEMORY] = "text=$(/bin/busybox head -c 1048576 /dev/zero | /bin/busybox tr '\\0' x)\n"
                         "text=$text$text$text$text$text$text$text$text\nn=0\n"
                         "while [ $n -lt $((4 * $1)) ]; do\n"
                         "n=$((n + 8)); eval \"all$n=\\$text\"; echo $n\ndone\necho unbounded",
        [PROBE_PROCESSES] = "n=0\nwhile [ $n -lt $((2 * $1)) ]; do\n"
                            "/bin/busybox sleep 60 &\nn=$((n + 1)); echo $n\ndone\necho unbounded",
        [PROBE_DISK] = "n=0\nwhile [ $n -lt $((4 * $1)) ]; do\n"
                       "/bin/busybox dd if=/dev/zero bs=1024k count=1 >>big 2>/dev/null || exit 1\n"
                       "n=$((n + 1)); echo $n\ndone\necho unbounded",
};

static const struct {
        const char *ending;
        const char *const *sources;
} languages[] = {
        {".ts", javascript},  {".mts", javascript}, {".js", javascript}, {".mjs", javascript},
        {".cjs", javascript}, {".py", python},      {".sh", shell},
};

const char *probe_source(const char *entry, ProbeProgram program) {
        const char *ending = strrchr(entry, '.');

        for (size_t i = 0; ending && i < ARRAY_SIZE(languages); i++)
                if (strcmp(languages[i].ending, ending) == 0)
                        return languages[i].sources[program];
        return NULL;
}
