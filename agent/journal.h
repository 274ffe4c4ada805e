/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "refusal.h"
#include "result.h"

#include <sys/types.h>

/* The agent's records in the journal about single requests (fields: docs/ARCHITECTURE.md). Never the program's source,
 * environment or output. */

void journal_execution_ended(const char *runtime, uid_t client, const Result *result);

/* There is no result, since nobody is there to have it. */
void journal_client_left(const char *execution_id, const char *runtime, uid_t client);

/* runtime and execution_id may be NULL, client (uid_t) -1. */
void journal_refused(const char *execution_id, const char *runtime, uid_t client, const Refusal *refusal);
