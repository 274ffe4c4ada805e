/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "refusal.h"
#include "result.h"

#include <sys/types.h>
#include <systemd/sd-event.h>

/* The agent's records in the journal about single requests (fields: tee-agent(8)). Never the program's source,
 * environment or output. */

typedef struct Journal Journal;

int journal_new(sd_event *event, Journal **ret_journal);

/* Tells what it has held back. */
Journal *journal_free(Journal *journal);

DEFINE_CLEANUP(Journal *, journal_free)

void journal_execution_ended(const char *runtime, uid_t client, const Result *result);

/* The guide's warning: a program is begun without gVisor. */
void journal_begun_without_gvisor(const char *execution_id, const char *runtime, uid_t client);

/* Nobody is there to have the result, which is what was known by then. One that had not begun cost its client nothing,
 * and is bounded as refusals are. */
void journal_client_left(Journal *journal, const char *runtime, uid_t client, bool begun, const Result *result);

/* runtime and execution_id may be NULL, client (uid_t) -1. Of a flood only the first are recorded, and how many more
 * there were. */
void journal_refused(Journal *journal, const char *execution_id, const char *runtime, uid_t client,
                     const Refusal *refusal);

/* The same, because no sandbox could be had: the record has the reason, which is Docker's or the guest's and not the
 * client's. */
void journal_sandbox_failed(Journal *journal, const char *execution_id, const char *runtime, uid_t client,
                            const Refusal *refusal);
