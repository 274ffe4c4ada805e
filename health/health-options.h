/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "inspection.h"

#define HEALTH_ONLY_MAX 64U /* --only */

/* The command line of tee-health. Strings point into argv, or are literals. */
typedef struct HealthOptions {
        Inspection inspection;
        const char *only[HEALTH_ONLY_MAX]; /* ids and groups, each of which there is */
        size_t only_size;                  /* 0: all checks */
        bool json, list;
        bool done; /* --help or --version has been answered */
} HealthOptions;

/* Prints what is wrong on stderr and returns -EINVAL. */
int health_options_parse(HealthOptions *ret, int argc, char *argv[]);
