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

/* Is it the kernel of the machine that Docker Desktop runs Linux in, or of Windows' own? */
bool host_facts_is_desktop(const char *kernel);

/* What the reference guide says to that. */
#define HOST_FACTS_REMEDY_DESKTOP                                                                                \
        "for production use a Linux host; for development: make run-dev, or gvisor.enabled = false in tee.conf " \
        "(DISABLE_GVISOR=true)"
