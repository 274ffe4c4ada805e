/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "inspection.h"
#include "table.h"

/* How the fixes that checks have found are carried out (--fix). */
typedef struct Repairer {
        const Inspection *inspection;
        const Table *table; /* NULL where no people read it: nobody is asked then */
        bool yes;           /* without asking */
} Repairer;

/* Shows each fix, asks for it, runs it, and runs its check again, and those behind it that had not passed: what they
 * say then has taken the place of what they said. Without a terminal to ask at, or without the right, nothing is done,
 * and that is said. Returns 0, or -EINTR when the process was told to end. */
int repair(const Repairer *repairer, Inspected *inspected, size_t size);
