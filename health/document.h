/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "host-facts.h"
#include "inspection.h"
#include "tally.h"

/* The report for machines (docs/tee-health.schema.json); owned by the caller, NULL on ENOMEM. */
cJSON *document_new(const HostFacts *host, const Inspected *inspected, size_t size, const Tally *tally);
