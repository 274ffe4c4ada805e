/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "exposition.h"

/* What the process itself costs, under the names that Prometheus' own clients use (process_…). started_usec: Unix time,
 * which must be the same each time: a change of it is how a restart is seen. */
void process_metrics_write(Exposition *exposition, uint64_t started_usec);
