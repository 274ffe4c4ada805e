/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base.h"

/* Which host this is. */
typedef struct HostFacts {
        char *name;    /* of the host */
        char *system;  /* "Debian GNU/Linux 12 (bookworm)" */
        char *kernel;  /* "6.1.0-28-amd64" */
        char *machine; /* "x86_64" */
} HostFacts;

/* Returns 0 or -ENOMEM. */
int host_facts_read(HostFacts *ret_host);
void host_facts_deinit(HostFacts *host);
