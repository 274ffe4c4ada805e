/* SPDX-License-Identifier: Apache-2.0 */

/* Evidence about the kernel, taken once, before anything of the user's has arrived: later, everything in here could
 * have been forged. The guest collects and does not judge; the agent does, with what it knows of the host. */

#include "kernel.h"

#include "fault.h"
#include "version.h"

#include <fcntl.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/utsname.h>
#include <unistd.h>

#define KERNEL_LINES 7U
#define KERNEL_KEY_MAX 16U
#define KERNEL_LOG_READ_ALL 3 /* SYSLOG_ACTION_READ_ALL, syslog(2); libc does not name it */

_Static_assert(KERNEL_LINES *(KERNEL_KEY_MAX + KERNEL_VALUE_MAX) <= KERNEL_EVIDENCE_MAX, "evidence outgrows its room");

/* Appends "key=value LF"; the value ends at its LF or NUL. Returns where the next line goes. */
static char *line_append(char *target, const char *key, const char *value) {
        size_t n = strcspn(value, "\n");

        target = stpcpy(target, key);
        *target++ = '=';
        if (n > KERNEL_VALUE_MAX)
                n = KERNEL_VALUE_MAX;
        for (size_t i = 0; i < n; i++)
                *target++ = fault_printable(value[i]);
        *target++ = '\n';
        return target;
}

static void proc_version_read(char *ret_text, size_t size) {
        ssize_t n = -1;
        int fd = open("/proc/version", O_RDONLY | O_CLOEXEC);

        if (fd >= 0) {
                n = read(fd, ret_text, size - 1);
                close(fd);
        }
        ret_text[n > 0 ? n : 0] = '\0';
}

/* Skips "<6>" or "[    0.000000]" and the blanks behind it, where the line begins so. */
static const char *mark_skip(const char *line, char opening, char closing) {
        const char set[] = {closing, '\n', '\0'};
        const char *end = line + strcspn(line, set);

        if (*line != opening || *end != closing)
                return line;
        return end + 1 + strspn(end + 1, " ");
}

/* Finds the first line with a text in log. Returns the empty string where there is none. */
static const char *log_first_text(const char *log) {
        for (const char *line = log; *line != '\0';) {
                const char *text = mark_skip(mark_skip(line, '<', '>'), '[', ']');

                if (*text != '\0' && *text != '\n')
                        return text;
                line += strcspn(line, "\n");
                line += *line == '\n';
        }
        return "";
}

size_t kernel_evidence(char ret_text[KERNEL_EVIDENCE_MAX]) {
        char proc_version[KERNEL_VALUE_MAX + 1] = "", log[16384];
        struct utsname name = {0};
        char *p = ret_text;
        int n;

        (void) uname(&name);
        proc_version_read(proc_version, sizeof(proc_version));
        n = klogctl(KERNEL_LOG_READ_ALL, log, sizeof(log) - 1);
        log[n > 0 ? n : 0] = '\0';

        p = line_append(p, "guest", TEE_VERSION);
        p = line_append(p, "sysname", name.sysname);
        p = line_append(p, "release", name.release);
        p = line_append(p, "version", name.version);
        p = line_append(p, "machine", name.machine);
        p = line_append(p, "proc_version", proc_version);
        p = line_append(p, "klog", log_first_text(log));
        return (size_t) (p - ret_text);
}
