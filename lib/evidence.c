/* SPDX-License-Identifier: Apache-2.0 */

/* The judgement on which the first promise rests, kept pure so that it can be tested on real and on forged evidence.
 * gVisor's signs are in its sources: pkg/sentry/kernel/syslog.go ("Starting gVisor...", always first) and
 * pkg/sentry/syscalls/linux/linux64.go (release and version; release 4.4.0 until 2026-04, 4.19.0-gvisor after). */

#include "evidence.h"
#include "text.h"

#include <errno.h>
#include <string.h>

static const struct {
        const char *key;
        size_t offset;
} evidence_keys[] = {
        {"guest", offsetof(Evidence, guest)},     {"sysname", offsetof(Evidence, sysname)},
        {"release", offsetof(Evidence, release)}, {"version", offsetof(Evidence, version)},
        {"machine", offsetof(Evidence, machine)}, {"proc_version", offsetof(Evidence, proc_version)},
        {"klog", offsetof(Evidence, klog)},
};

static bool is_printable(const char *text, size_t size) {
        for (size_t i = 0; i < size; i++)
                if ((unsigned char) text[i] < 0x20 || text[i] == 0x7f)
                        return false;
        return utf8_is_valid(text, size);
}

static int read_line(const char *line, size_t size, Evidence *evidence, unsigned *seen) {
        const char *equals = memchr(line, '=', size);
        size_t key_size, value_size;

        if (!equals)
                return -EBADMSG;
        key_size = (size_t) (equals - line);
        value_size = size - key_size - 1;
        if (value_size > EVIDENCE_VALUE_MAX || !is_printable(equals + 1, value_size))
                return -EBADMSG;

        for (unsigned i = 0; i < ARRAY_SIZE(evidence_keys); i++) {
                char *target = (char *) evidence + evidence_keys[i].offset;

                if (strlen(evidence_keys[i].key) != key_size || memcmp(evidence_keys[i].key, line, key_size) != 0)
                        continue;
                if (*seen & 1U << i)
                        return -EBADMSG;
                *seen |= 1U << i;
                memcpy(target, equals + 1, value_size);
                target[value_size] = '\0';
                return 0;
        }
        return -EBADMSG;
}

int evidence_parse(const void *lines, size_t size, Evidence *ret_evidence) {
        const char *p = lines;
        Evidence evidence = {0};
        unsigned seen = 0;

        while (size > 0) {
                const char *end = memchr(p, '\n', size);
                size_t n;
                int r;

                if (!end)
                        return -EBADMSG;
                n = (size_t) (end - p);
                r = read_line(p, n, &evidence, &seen);
                if (r < 0)
                        return r;
                p += n + 1;
                size -= n + 1;
        }
        if (seen != (1U << ARRAY_SIZE(evidence_keys)) - 1)
                return -EBADMSG;
        *ret_evidence = evidence;
        return 0;
}

static bool ends_with(const char *text, const char *end) {
        size_t n = strlen(text), m = strlen(end);

        return n >= m && strcmp(text + n - m, end) == 0;
}

const char *evidence_not_gvisor(const Evidence *evidence, const char *host_release) {
        static const char klog_start[] = "Starting gVisor", version[] = "#1 SMP Sun Jan 10 15:06:54 PST 2016";

        if (strncmp(evidence->klog, klog_start, sizeof(klog_start) - 1) != 0)
                return "its kernel log does not begin with \"Starting gVisor\"";
        if (strcmp(evidence->release, "4.4.0") != 0 && !ends_with(evidence->release, "-gvisor"))
                return "its kernel release is none of gVisor's";
        if (strcmp(evidence->version, version) != 0)
                return "its kernel version is not gVisor's";
        if (!strstr(evidence->proc_version, evidence->release) || !strstr(evidence->proc_version, version))
                return "its /proc/version contradicts uname";
        if (host_release && strcmp(evidence->release, host_release) == 0)
                return "its kernel release is the host's own";
        return NULL;
}
