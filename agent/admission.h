/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "execution.h"

/* The queue of executions that wait for a place: first come, first served, bounded in length and in time. */

typedef struct Admission Admission;

int admission_new(sd_event *event, Admission **ret_admission);

/* Forgets the entries; the executions are their owners'. */
Admission *admission_free(Admission *admission);

DEFINE_CLEANUP(Admission *, admission_free)

/* Lets an execution wait for at most queue_ms; it is then refused with queue_timeout and is out of the queue. Returns
 * 0, or -EBUSY with *ret_refusal (429, queue_full) when length others wait already, or -ENOMEM. */
int admission_add(Admission *admission, Execution *execution, uint64_t length, uint64_t queue_ms, Refusal *ret_refusal);

/* Out of the queue, if it is in it. */
void admission_remove(Admission *admission, const Execution *execution);

/* The one that has waited longest, or NULL. */
Execution *admission_first(const Admission *admission);

/* Offers each to a function, the one that has waited longest first, until it returns false. The function may take it,
 * and no other, out of the queue. */
typedef bool (*AdmissionOffer)(Execution *execution, void *userdata);
void admission_offer(Admission *admission, AdmissionOffer offer, void *userdata);

size_t admission_queued(const Admission *admission);
