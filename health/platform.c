/* SPDX-License-Identifier: Apache-2.0 */

/* runsc itself tells which platforms it has: in the text of its flag, "systrap (default), ptrace, kvm.". */

#include "platform.h"
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#define PTRACE_SCOPE "/proc/sys/kernel/yama/ptrace_scope"
#define SECCOMP_ACTIONS "/proc/sys/kernel/seccomp/actions_avail"
#define SYSCTL_MAX ((size_t) 4096)

/* ---- which ---- */

static bool is_word(const char *word, size_t size, const char *text) {
        return size == strlen(text) && memcmp(word, text, size) == 0;
}

void platform_parse(const char *flags, const char *wanted, char ret_default[static 16], bool *ret_has) {
        static const char head[] = "\n  -platform ", list[] = ": ", mark[] = " (default)";
        const char *at = strstr(flags, head);

        ret_default[0] = '\0';
        *ret_has = false;
        at = at ? strstr(at + strlen(head), list) : NULL;
        for (at = at ? at + strlen(list) : ""; *at && !strchr(".\n", *at); at += strspn(at, ", ")) {
                size_t size = strcspn(at, " ,.()\n");
                bool is_default = strncmp(at + size, mark, strlen(mark)) == 0;

                if (is_default && size < 16)
                        (void) snprintf(ret_default, 16, "%.*s", (int) size, at);
                *ret_has |= wanted ? is_word(at, size, wanted) : is_default && size < 16;
                at += size + (is_default ? strlen(mark) : 0);
                if (strspn(at, ", ") == 0)
                        break;
        }
}

/* ---- does it work here ---- */

int platform_open_kvm(void) {
        CLEANUP_FD int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC | O_NONBLOCK);
        int version = fd < 0 ? -1 : ioctl(fd, KVM_GET_API_VERSION, 0);

        if (version < 0)
                return -errno;
        return version == KVM_API_VERSION ? 0 : -EPROTONOSUPPORT;
}

static void judge_kvm(const char *remedy, Finding *finding) {
        int r = platform_open_kvm();

        if (r == 0)
                finding_pass(finding, "kvm, and /dev/kvm answers");
        else if ((r == -EACCES || r == -EPERM) && geteuid() != 0)
                finding_skip(finding, "run it as root", "kvm: /dev/kvm: %s", strerror(-r));
        else
                finding_fail(finding, remedy, "runsc is to use the platform kvm, and /dev/kvm cannot be used: %s",
                             strerror(-r));
}

/* Without the file the kernel lacks what it would restrict. */
static bool may_trace(void) {
        CLEANUP_BUFFER Buffer text = BUFFER_INIT(SYSCTL_MAX);

        return file_read(PTRACE_SCOPE, &text) < 0 || text.size == 0 || text.data[0] != '3';
}

static bool has_seccomp_trap(void) {
        CLEANUP_BUFFER Buffer text = BUFFER_INIT(SYSCTL_MAX);

        return file_read(SECCOMP_ACTIONS, &text) >= 0 && text.size > 0 && strstr((const char *) text.data, "trap");
}

static void judge_traced(const char *platform, const char *fallback, const char *remedy, Finding *finding) {
        if (!may_trace())
                finding_fail(
                        finding,
                        "set kernel.yama.ptrace_scope = 2 or less in /etc/sysctl.d/, and reboot: a 3 stays until then",
                        "the platform %s needs ptrace(2), and " PTRACE_SCOPE " is 3: nobody may trace", platform);
        if (strcmp(platform, "systrap") == 0 && !has_seccomp_trap())
                finding_fail(finding, "boot a kernel with CONFIG_SECCOMP_FILTER",
                             "the platform systrap needs seccomp filters, and this kernel has none");
        if (strcmp(platform, "ptrace") == 0 && strcmp(fallback, "systrap") == 0)
                finding_warn(
                        finding, remedy,
                        "runsc is registered with --platform=ptrace, which is slow and no longer supported by gVisor");
        finding_pass(finding, "%s%s", platform, strcmp(platform, fallback) == 0 ? ", its default" : "");
}

void platform_judge(const char *flags, const char *wanted, const char *remedy, Finding *finding) {
        char fallback[16];
        const char *platform;
        bool has;

        platform_parse(flags, wanted, fallback, &has);
        platform = wanted ? wanted : fallback;
        if (!fallback[0])
                finding_skip(finding, NULL, "'runsc flags' does not tell which platforms it has");
        else if (!has)
                finding_fail(finding, remedy, "runsc has no platform '%s'; its default is %s", platform, fallback);
        else if (strcmp(platform, "kvm") == 0)
                judge_kvm(remedy, finding);
        else
                judge_traced(platform, fallback, remedy, finding);
}
