/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "buffer.h"

/* Prometheus' text format, version 0.0.4, written family by family:
 * https://prometheus.io/docs/instrumenting/exposition_formats/ */

#define EXPOSITION_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* The first failure is kept, and what follows it is not written. */
typedef struct Exposition {
        Buffer text;
        const char *family; /* whose samples are being written */
        int error;
} Exposition;

typedef struct ExpositionLabel {
        const char *name;
        const char *value; /* of any bytes */
} ExpositionLabel;

/* LABELS({"runtime", "deno"}, {"outcome", "ok"}) */
#define LABELS(...) ((const ExpositionLabel[]){__VA_ARGS__, {NULL, NULL}})

#define HISTOGRAM_BOUNDS 17U

/* Durations, each in the first bucket that is wide enough. Zero-initialised is empty. */
typedef struct Histogram {
        uint64_t buckets[HISTOGRAM_BOUNDS + 1]; /* not cumulative; the last is for what is longer than all bounds */
        uint64_t sum_usec;
} Histogram;

/* For sums: a counter never goes back. */
uint64_t saturating_add(uint64_t a, uint64_t b);

void histogram_observe(Histogram *histogram, uint64_t usec);

#define EXPOSITION_INIT(most) ((Exposition){.text = BUFFER_INIT(most)})

void exposition_deinit(Exposition *exposition);

/* Begins a family. type: "counter", "gauge", "histogram". name must outlive its samples. */
void exposition_family(Exposition *exposition, const char *name, const char *type, const char *help);

/* A sample of the family; labels may be NULL. */
void exposition_number(Exposition *exposition, const ExpositionLabel *labels, uint64_t value);
void exposition_seconds(Exposition *exposition, const ExpositionLabel *labels, uint64_t usec);
void exposition_histogram(Exposition *exposition, const ExpositionLabel *labels, const Histogram *histogram);

/* A family of one sample without labels. */
void exposition_gauge(Exposition *exposition, const char *name, const char *help, uint64_t value);
void exposition_counter(Exposition *exposition, const char *name, const char *help, uint64_t value);

/* The whole text, now the caller's; NULL when something could not be written. */
char *exposition_take(Exposition *exposition);
