/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "report.h"
#include "sandbox.h"

/* Sandboxes made for being measured, by the same code as the agent's own, with gVisor and without. Calls run the event
 * loop until they are done. Failures print one line on stderr. */

typedef struct Measure Measure;

/* Connects to the Docker of config, and finds the runtime's image there. config must outlive it, and is changed by
 * measure_sandbox(). Ended by SIGINT and SIGTERM, which must be blocked: -EINTR then, from here and from the others. */
int measure_new(Config *config, const ConfigRuntime *runtime, Measure **ret_measure);

/* Removes what there is of sandboxes. */
Measure *measure_free(Measure *measure);

DEFINE_CLEANUP(Measure *, measure_free)

const char *measure_docker_version(const Measure *measure);
const char *measure_host_kernel(const Measure *measure);

/* The figures of two sandboxes: one in which a short program runs to its end, one in which a program stands. */
int measure_sandbox(Measure *measure, ReportWay way, double ret_values[static REPORT_METRICS]);
