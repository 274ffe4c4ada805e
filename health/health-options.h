/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "inspection.h"

#define HEALTH_ONLY_MAX 64U /* --only */

/* The command line of tee-health. Strings point into argv, or are literals. */
typedef struct HealthOptions {
        Inspection inspection;
        const char *only[HEALTH_ONLY_MAX]; /* ids and groups, each of which there is */
        size_t only_size;                  /* 0: all checks */
        const char *explain;               /* id of the check whose page is wanted, or NULL */
        bool json, list, fix, yes;
        bool probe; /* also what is run on demand */
        bool done;  /* --help or --version has been answered */
} HealthOptions;

/* Prints what is wrong on stderr and returns -EINVAL. */
int health_options_parse(HealthOptions *ret, int argc, char *argv[]);
