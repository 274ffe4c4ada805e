/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "config.h"
#include "exposition.h"
#include "refusal.h"
#include "result.h"

/* What has happened since the agent started, counted. */

typedef struct Metrics Metrics;

int metrics_new(const Config *config, Metrics **ret_metrics);
Metrics *metrics_free(Metrics *metrics);

DEFINE_CLEANUP(Metrics *, metrics_free)

/* Runtimes that were not there before get their series; those that have gone keep theirs, since no counter may go back.
 * Returns 0, or -ENOMEM when some got none. */
int metrics_set_config(Metrics *metrics, const Config *config);

void metrics_execution_ended(Metrics *metrics, const char *runtime, const Result *result);

/* A program is begun, and no gVisor is between it and the host. */
void metrics_begun_without_gvisor(Metrics *metrics);

/* A sandbox could not prove that its kernel is gVisor. No program has been run in it. */
void metrics_not_gvisor(Metrics *metrics);

/* There is no result, since nobody is there to have it. */
void metrics_client_left(Metrics *metrics, const char *runtime);

void metrics_refused(Metrics *metrics, const Refusal *refusal);

/* Over all runtimes and outcomes, and over all codes. */
uint64_t metrics_executions(const Metrics *metrics);
uint64_t metrics_refusals(const Metrics *metrics);

/* Unix time, in microseconds. */
uint64_t metrics_started_usec(const Metrics *metrics);

void metrics_write(const Metrics *metrics, Exposition *exposition);
