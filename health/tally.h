/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "check.h"

/* The exit statuses of monitoring plugins. */
typedef enum HealthStatus {
        HEALTH_OK = 0,
        HEALTH_WARNING = 1,
        HEALTH_CRITICAL = 2,
        HEALTH_UNKNOWN = 3,
} HealthStatus;

/* How many of each verdict. Zero-initialised is none. */
typedef struct Tally {
        size_t counts[VERDICT_COUNT_];
        size_t total;
        size_t vital, vital_skipped;
} Tally;

void tally_add(Tally *tally, const Check *check, Verdict verdict);

/* What all of it comes to. Skips are no fault, unless all checks were skipped, or all that are vital. */
HealthStatus tally_status(const Tally *tally);
