/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base.h"

#include <stdio.h>

/* What tee-bench has measured, and how it is shown: the reference guide's table "Performance Impact". */

typedef enum ReportWay {
        REPORT_WITHOUT, /* without gVisor */
        REPORT_WITH,
        REPORT_WARM, /* with gVisor, the sandbox made before its program is known */
        REPORT_WAYS,
} ReportWay;

typedef enum ReportMetric {
        REPORT_SETUP,  /* ms until a program can be sent */
        REPORT_RUN,    /* ms from its sending until its end and whole output are known */
        REPORT_MEMORY, /* MB of the whole sandbox while a program stands in it */
        REPORT_CPU,    /* ms of CPU of the whole sandbox until then */
        REPORT_METRICS,
} ReportMetric;

#define REPORT_RUNS_MAX 1000U

typedef struct Report {
        const char *runtime;
        const char *oci_runtimes[REPORT_WAYS];
        const char *docker_version;
        const char *host_kernel;
        unsigned runs; /* values in each sample, at least 1 */
        bool has_warm; /* the runtime can wait for its program */
        double samples[REPORT_METRICS][REPORT_WAYS][REPORT_RUNS_MAX];
} Report;

/* The smallest value that at least percent of 100 of the values do not exceed (nearest rank). size at least 1. */
double report_quantile(const double *values, size_t size, unsigned percent);

/* A Markdown table with aligned columns. */
void report_print_table(const Report *report, FILE *out);

/* Returns 0 or -ENOMEM. */
int report_print_json(const Report *report, FILE *out);

/* A chart of the same figures, readable on light and dark ground. */
void report_print_svg(const Report *report, FILE *out);
