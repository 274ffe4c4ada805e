/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "check.h"

/* How checks are run. */
typedef struct Inspection {
        Loop *loop; /* so that Ctrl-C is heard */
        Places places;
        uint64_t deadline_ms; /* of each check; 0: its own */
} Inspection;

/* A fix that was carried out. */
typedef struct Repaired {
        Fix fix;
        int result;   /* exit status, or a negative errno where it did not get that far */
        char *output; /* the last of what it printed; NULL for nothing */
} Repaired;

/* What has become of a check. */
typedef struct Inspected {
        CheckPlace place;
        Finding finding;
        uint64_t duration_usec;
        Verdict before; /* of one that was run again, the first; else VERDICT_NONE */
        Repaired repaired[FINDING_FIXES_MAX];
        size_t repaired_size;
} Inspected;

void inspected_deinit(Inspected *inspected);

/* Runs one check in a process of its own. Always gives a finding: a check that hangs is killed at its deadline, and
 * that, a crash and an end without a verdict are failures. What such a one has made is taken away (tidy). Returns 0, or
 * -EINTR when the process was told to end: the check has ended, too, and what it says does not count. */
int inspection_run(const Inspection *inspection, const Check *check, Finding *ret_finding);

/* Fills in the finding of one of several checks that are run in turn, where those before it are done: by a run, or by a
 * skip when what it needs has failed or could not be looked at. Returns 0 or -EINTR, as above. */
int inspection_next(const Inspection *inspection, Inspected *inspected, size_t index);
