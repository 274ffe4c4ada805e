/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base.h"

#define EVIDENCE_VALUE_MAX 512U

/* What a sandbox's kernel said of itself to the guest, before any user code was there to forge it. */
typedef struct Evidence {
        char guest[EVIDENCE_VALUE_MAX + 1]; /* version of tee-guest */
        char sysname[EVIDENCE_VALUE_MAX + 1];
        char release[EVIDENCE_VALUE_MAX + 1];
        char version[EVIDENCE_VALUE_MAX + 1];
        char machine[EVIDENCE_VALUE_MAX + 1];
        char proc_version[EVIDENCE_VALUE_MAX + 1];
        char klog[EVIDENCE_VALUE_MAX + 1];
} Evidence;

/* Reads the key=value lines of READY (docs/PROTOCOL.md). All keys must be there, once, and no other; values are
 * printable UTF-8. Returns 0 or -EBADMSG. */
int evidence_parse(const void *lines, size_t size, Evidence *ret_evidence);

/* Is this gVisor? Several signs have to agree, because each alone can stand in another kernel too: the kernel log
 * begins with gVisor's words, release and version are ones that gVisor gives, /proc/version tells the same as
 * uname, and none of it is the host's own kernel (host_release, as Docker's /info gives it). NULL for yes, else a
 * static sentence that says which sign is missing. */
const char *evidence_not_gvisor(const Evidence *evidence, const char *host_release);
