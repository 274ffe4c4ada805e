/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base.h"

/* What systemd says of a unit, and of its own environment. Strings are never NULL in one that was read, lists are ended
 * by NULL. */
typedef struct UnitFacts {
        char *load_state;      /* "loaded", "not-found", "masked", … */
        char *active_state;    /* "active", "inactive", "failed", … */
        char *unit_file_state; /* "enabled", "disabled", … */
        char *fragment_path;   /* of the unit's file; "" where there is none */
        char **drop_in_paths;
        char *result; /* "success", "start-limit-hit", "exit-code", … */

        /* of services alone */
        char **environment;       /* "NAME=value" */
        char **environment_files; /* their paths */
        char **manager_environment;
        uint32_t restarts; /* without a person's doing, since it was last started by one */
        uint32_t main_pid; /* 0 for none */
        int32_t exit_status;
        uint64_t watchdog_usec;      /* 0 or UINT64_MAX for none */
        uint64_t watchdog_ping_usec; /* monotonic; 0 for none yet */
} UnitFacts;

/* Asks over the system bus, and waits at most so long for each of the answers, which are two, and four of a service.
 * Returns 0, -ENXIO where systemd is not this host's init, or another negative errno with *ret_message, owned by the
 * caller. */
int unit_facts_read(const char *unit, uint64_t most_usec, UnitFacts *ret_facts, char **ret_message);
void unit_facts_deinit(UnitFacts *facts);
