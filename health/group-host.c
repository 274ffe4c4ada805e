/* SPDX-License-Identifier: Apache-2.0 */

#include "file.h"
#include "groups.h"
#include "host-facts.h"
#include "platform.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>

/* ---- the system ---- */

/* gVisor's own bounds (its documentation: Linux 4.14.77 and later, x86_64 and arm64). */
#define KERNEL_MAJOR 4
#define KERNEL_MINOR 14

static void look_at_system(Context *context, Finding *finding) {
        CLEANUP(host_facts_deinit) HostFacts host = {0};
        unsigned major = 0, minor = 0;

        (void) context;
        if (host_facts_read(&host) < 0) {
                finding_skip(finding, NULL, "out of memory");
                return;
        }
        finding_pass(finding, "%s, Linux %s, %s", host.system, host.kernel, host.machine);
        if (host_facts_is_desktop(host.kernel))
                finding_warn(
                        finding, HOST_FACTS_REMEDY_DESKTOP,
                        "Linux %s is the kernel of a machine below macOS or Windows, where gVisor is not supported",
                        host.kernel);
        if (strcmp(host.machine, "x86_64") != 0 && strcmp(host.machine, "aarch64") != 0)
                finding_fail(finding, "use another machine: gVisor is there for x86_64 and aarch64",
                             "this machine is %s", host.machine);
        if (sscanf(host.kernel, "%u.%u", &major, &minor) != 2)
                finding_skip(finding, NULL, "the kernel's version '%s' cannot be read", host.kernel);
        else if (major < KERNEL_MAJOR || (major == KERNEL_MAJOR && minor < KERNEL_MINOR))
                finding_fail(finding, "boot a newer kernel: gVisor needs Linux 4.14 or later", "the kernel is Linux %s",
                             host.kernel);
}

/* ---- control groups ---- */

#define CGROUP "/sys/fs/cgroup"
#define CONTROLLERS_MAX ((size_t) 4096)

/* What a sandbox's limits stand on. */
static const char *const controllers[] = {"memory", "pids", "cpu"};

static const char remedy_controllers[] =
        "boot with them: on the kernel's command line, cgroup_enable=memory; see also /proc/cgroups";

static bool has_word(const char *words, const char *word) {
        size_t n = strlen(word);

        for (const char *p = words; *p; p += strcspn(p, " \n")) {
                p += strspn(p, " \n");
                if (strncmp(p, word, n) == 0 && strchr(" \n", p[n])) /* which finds the NUL, too */
                        return true;
        }
        return false;
}

static void look_at_version_2(Finding *finding) {
        Buffer words = BUFFER_INIT(CONTROLLERS_MAX);
        int r = file_read(CGROUP "/cgroup.controllers", &words);

        if (r < 0)
                finding_skip(finding, NULL, "%s: %s", CGROUP "/cgroup.controllers", strerror(-r));
        for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(controllers); i++)
                if (!has_word(words.size > 0 ? (const char *) words.data : "", controllers[i]))
                        finding_fail(finding, remedy_controllers, "cgroup version 2 lacks the controller %s",
                                     controllers[i]);
        finding_pass(finding, "version 2, with memory, pids and cpu");
        buffer_deinit(&words);
}

static void look_at_version_1(Finding *finding) {
        for (size_t i = 0; i < ARRAY_SIZE(controllers); i++) {
                CLEANUP_FREE char *path = text_format("%s/%s", CGROUP, controllers[i]);
                struct statfs fs;

                if (!path || statfs(path, &fs) < 0 || fs.f_type != CGROUP_SUPER_MAGIC)
                        finding_fail(finding, remedy_controllers, "cgroup version 1 lacks the controller %s",
                                     controllers[i]);
        }
        finding_pass(finding, "version 1, with memory, pids and cpu");
}

static void look_at_cgroups(Context *context, Finding *finding) {
        struct statfs fs;

        (void) context;
        if (statfs(CGROUP, &fs) < 0)
                finding_fail(finding, "mount -t cgroup2 none " CGROUP, "%s: %s", CGROUP, strerror(errno));
        else if (fs.f_type == CGROUP2_SUPER_MAGIC)
                look_at_version_2(finding);
        else
                look_at_version_1(finding);
}

/* ---- KVM ---- */

static void look_at_kvm(Context *context, Finding *finding) {
        int r = platform_open_kvm();

        (void) context;
        if (r == 0)
                finding_pass(finding, "/dev/kvm answers");
        else if (r == -ENOENT)
                finding_pass(finding, "there is no /dev/kvm: gVisor's default platform, systrap, needs none");
        else if (r == -EACCES || r == -EPERM)
                finding_skip(finding, "run it as root", "/dev/kvm: %s", strerror(-r));
        else
                finding_warn(finding,
                             "switch virtualization on in the firmware and load kvm_intel or kvm_amd, or leave the "
                             "platform kvm alone",
                             "there is a /dev/kvm, and it does not work: %s", strerror(-r));
}

/* ---- memory ---- */

#define MEMINFO_MAX ((size_t) 16 * 1024)

/* A line of /proc/meminfo, in MB; 0 when it is not there. */
static uint64_t memory_mb(const char *text, const char *name) {
        const char *line = strstr(text, name);
        unsigned long long kib;

        return line && sscanf(line + strlen(name), " %llu kB", &kib) == 1 ? kib / 1024 : 0;
}

static void judge_memory(const Config *config, uint64_t total_mb, uint64_t available_mb, Finding *finding) {
        uint64_t one_mb = config->limits[CONFIG_LIMIT_MEMORY_MB].fallback, all_mb = 0;
        CLEANUP_FREE char *remedy =
                text_format("lower agent.max_running (now %llu) or limits.memory_mb.default (now %llu) in %s, then: "
                            "systemctl reload "
                            "tee-agent",
                            (unsigned long long) config->max_running, (unsigned long long) one_mb, config->path);

        if (__builtin_mul_overflow(one_mb, config->max_running, &all_mb))
                all_mb = UINT64_MAX;
        if (available_mb < one_mb)
                finding_fail(finding, "see what takes it: ps -eo rss,comm --sort -rss | head",
                             "%llu MB of memory are available, and one program may use %llu MB",
                             (unsigned long long) available_mb, (unsigned long long) one_mb);
        else if (all_mb > total_mb)
                finding_warn(
                        finding, remedy,
                        "the host has %llu MB of memory, and %llu programs of %llu MB may run at a time: the kernel "
                        "would end somebody",
                        (unsigned long long) total_mb, (unsigned long long) config->max_running,
                        (unsigned long long) one_mb);
        else
                finding_pass(finding, "%llu of %llu MB are available", (unsigned long long) available_mb,
                             (unsigned long long) total_mb);
}

static void look_at_memory(Context *context, Finding *finding) {
        const Config *config = context_config(context, finding);
        CLEANUP_BUFFER Buffer text = BUFFER_INIT(MEMINFO_MAX);
        uint64_t total_mb = 0, available_mb = 0;

        if (!config)
                return;
        if (file_read("/proc/meminfo", &text) >= 0 && text.size > 0) {
                total_mb = memory_mb((const char *) text.data, "MemTotal:");
                available_mb = memory_mb((const char *) text.data, "MemAvailable:");
        }
        if (total_mb == 0 || !strstr((const char *) text.data, "MemAvailable:"))
                finding_skip(finding, NULL, "/proc/meminfo does not tell how much memory there is");
        else
                judge_memory(config, total_mb, available_mb, finding);
}

static const Check checks[] = {
        {
                .id = "host.linux_and_architecture",
                .title = "the kernel and the machine are ones that gVisor runs on",
                .look = look_at_system,
        },
        {
                .id = "host.cgroups",
                .title = "the control groups that limits stand on are there",
                .look = look_at_cgroups,
        },
        {
                .id = "host.kvm",
                .title = "KVM works, where the host has it",
                .look = look_at_kvm,
        },
        {
                .id = "host.memory",
                .title = "there is memory for the programs that may run at a time",
                .look = look_at_memory,
                .needs = "config.valid",
        },
};

const CheckGroup group_host = CHECK_GROUP("host", checks);
