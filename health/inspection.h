/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "check.h"

/* How checks are run. */
typedef struct Inspection {
        const char *config_path;
        const char *agent_socket;
        uint64_t deadline_ms; /* of each check */
} Inspection;

/* What has become of a check. */
typedef struct Inspected {
        CheckPlace place;
        Finding finding;
        uint64_t duration_usec;
} Inspected;

/* Runs one check in a process of its own. Always gives a finding: a check that hangs is killed at its deadline, and
 * that, a crash and an end without a verdict are failures. */
void inspection_run(const Inspection *inspection, const Check *check, Finding *ret_finding);

/* Fills in the finding of one of several checks that are run in turn, where those before it are done: by a run, or by a
 * skip when what it needs has failed or could not be looked at. */
void inspection_next(const Inspection *inspection, Inspected *inspected, size_t index);
