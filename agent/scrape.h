/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "status.h"

/* The body of GET /metrics, owned by the caller; NULL on ENOMEM. */
char *scrape(const StatusInput *input);
