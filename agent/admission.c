/* SPDX-License-Identifier: Apache-2.0 */

/* A queue hides overload until it breaks; this one is short, its length is in the configuration, and whoever does not
 * fit is told so at once. An entry carries its own deadline, so that nobody waits for a place longer than was promised.
 */

#include "admission.h"

#include <errno.h>

typedef struct AdmissionEntry AdmissionEntry;

struct AdmissionEntry {
        Admission *admission;
        Execution *execution;
        sd_event_source *timer;
        uint64_t queue_ms;
        AdmissionEntry *next;
};

struct Admission {
        sd_event *event;
        AdmissionEntry *first;
        size_t queued;
};

int admission_new(sd_event *event, Admission **ret_admission) {
        Admission *admission = calloc(1, sizeof(*admission));

        if (!admission)
                return -ENOMEM;
        admission->event = sd_event_ref(event);
        *ret_admission = admission;
        return 0;
}

static void entry_free(AdmissionEntry *entry) {
        (void) sd_event_source_disable_unref(entry->timer);
        free(entry);
}

Admission *admission_free(Admission *admission) {
        if (!admission)
                return NULL;
        while (admission->first)
                admission_remove(admission, admission->first->execution);
        (void) sd_event_unref(admission->event);
        free(admission);
        return NULL;
}

void admission_remove(Admission *admission, const Execution *execution) {
        for (AdmissionEntry **link = &admission->first; *link; link = &(*link)->next) {
                AdmissionEntry *entry = *link;

                if (entry->execution != execution)
                        continue;
                *link = entry->next;
                admission->queued--;
                entry_free(entry);
                return;
        }
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata) {
        AdmissionEntry *entry = userdata;
        Execution *execution = entry->execution;
        uint64_t queue_ms = entry->queue_ms;
        Refusal refusal = {0};

        (void) source;
        (void) usec;
        admission_remove(entry->admission, execution);
        refusal_set(&refusal, 503, "queue_timeout", NULL, NULL, "it could not be begun within %llu ms",
                    (unsigned long long) queue_ms);
        execution_refuse(execution, &refusal);
        refusal_deinit(&refusal);
        return 0;
}

int admission_add(Admission *admission, Execution *execution, uint64_t length, uint64_t queue_ms,
                  Refusal *ret_refusal) {
        AdmissionEntry *entry, **end = &admission->first;
        int r;

        if (admission->queued >= length) {
                refusal_set(ret_refusal, 429, "queue_full", NULL, NULL,
                            "%zu executions wait already, which is the most that agent.queue_length allows",
                            admission->queued);
                return -EBUSY;
        }
        entry = calloc(1, sizeof(*entry));
        if (!entry)
                return -ENOMEM;
        *entry = (AdmissionEntry){.admission = admission, .execution = execution, .queue_ms = queue_ms};
        r = sd_event_add_time_relative(admission->event, &entry->timer, CLOCK_MONOTONIC, queue_ms * USEC_PER_MSEC, 0,
                                       on_timeout, entry);
        if (r < 0) {
                entry_free(entry);
                return r;
        }
        while (*end)
                end = &(*end)->next;
        *end = entry;
        admission->queued++;
        return 0;
}

Execution *admission_first(const Admission *admission) {
        return admission->first ? admission->first->execution : NULL;
}

void admission_offer(Admission *admission, AdmissionOffer offer, void *userdata) {
        AdmissionEntry *next;

        for (AdmissionEntry *entry = admission->first; entry; entry = next) {
                next = entry->next;
                if (!offer(entry->execution, userdata))
                        return;
        }
}

size_t admission_queued(const Admission *admission) {
        return admission->queued;
}
