/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "gate.h"
#include "metrics.h"
#include "pool.h"

typedef struct StatusInput {
        const Config *config;
        const Docker *docker;
        const Containers *containers;
        const Gate *gate;
        const Pool *pool;
        const Metrics *metrics;
        size_t running, queued;
} StatusInput;

/* The body of GET /v1/status, owned by the caller; NULL on ENOMEM. */
char *status_to_json(const StatusInput *input);

/* The body of GET /healthz while the gate is open. */
char *status_health_to_json(const StatusInput *input);

/* One line for systemctl status (STATUS=), owned by the caller; NULL on ENOMEM. */
char *status_line(const StatusInput *input);
