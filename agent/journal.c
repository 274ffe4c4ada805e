/* SPDX-License-Identifier: Apache-2.0 */

/* One record for each execution that ended and each request that was refused, with fields that a machine can select.
 * Executions are bounded by what they cost. What costs its client nothing is bounded here: so many records in a span of
 * time that begins with the first of them, and at its end one that counts the others. What is the client's own fault
 * has spans of its own, so that it cannot hide what is the host's. */

#include "journal.h"
#include "banner.h"
#include "log.h"
#include "message-ids.h"

#include <errno.h>
#include <string.h>

#define FIELDS_MAX 12
#define RECORDS_MAX 50U
#define SPAN_USEC (10 * USEC_PER_SEC)

typedef struct Span {
        sd_event_source *timer; /* its end; off while there is none */
        size_t records;         /* that there were to be */
} Span;

struct Journal {
        Span of_clients, of_host;
};

typedef struct Fields {
        char *texts[FIELDS_MAX + 1];
        size_t count;
} Fields;

/* Takes field; one that could not be made is left out. */
static void fields_add(Fields *fields, char *field) {
        if (!field || fields->count == FIELDS_MAX)
                free(field);
        else
                fields->texts[fields->count++] = field;
}

static void fields_deinit(Fields *fields) {
        for (size_t i = 0; i < fields->count; i++)
                free(fields->texts[i]);
}

static void tell_held_back(Span *span) {
        size_t held_back = span->records > RECORDS_MAX ? span->records - RECORDS_MAX : 0;
        __attribute__((cleanup(fields_deinit))) Fields fields = {0};

        span->records = 0;
        if (held_back == 0)
                return;
        fields_add(&fields, text_format("TEE_HELD_BACK=%zu", held_back));
        log_record(LOG_WARNING, MESSAGE_REFUSALS_HELD_BACK, (const char *const *) fields.texts,
                   "%zu more requests were refused in the last %llu seconds and have no record", held_back,
                   (unsigned long long) (SPAN_USEC / USEC_PER_SEC));
}

static int on_span_over(sd_event_source *source, uint64_t usec, void *userdata) {
        (void) source;
        (void) usec;
        tell_held_back(userdata);
        return 0;
}

static int span_init(Span *span, sd_event *event) {
        int r = sd_event_add_time_relative(event, &span->timer, CLOCK_MONOTONIC, 0, 0, on_span_over, span);

        if (r >= 0)
                r = sd_event_source_set_enabled(span->timer, SD_EVENT_OFF);
        if (r >= 0)
                (void) sd_event_source_set_description(span->timer, "journal-span");
        return r;
}

static void span_deinit(Span *span) {
        tell_held_back(span);
        sd_event_source_disable_unref(span->timer);
}

int journal_new(sd_event *event, Journal **ret_journal) {
        CLEANUP(journal_freep) Journal *journal = calloc(1, sizeof(*journal));
        int r;

        if (!journal)
                return -ENOMEM;
        r = span_init(&journal->of_clients, event);
        if (r >= 0)
                r = span_init(&journal->of_host, event);
        if (r >= 0)
                *ret_journal = TAKE_PTR(journal);
        return r;
}

Journal *journal_free(Journal *journal) {
        if (!journal)
                return NULL;
        span_deinit(&journal->of_clients);
        span_deinit(&journal->of_host);
        free(journal);
        return NULL;
}

/* Does this get a record? */
static bool span_takes(Span *span) {
        if (span->records++ > 0)
                return span->records <= RECORDS_MAX;
        /* Without its end the span would hold back all that comes. */
        if (sd_event_source_set_time_relative(span->timer, SPAN_USEC) < 0 ||
            sd_event_source_set_enabled(span->timer, SD_EVENT_ONESHOT) < 0)
                span->records = 0;
        return true;
}

static void fields_add_client(Fields *fields, const char *execution_id, const char *runtime, uid_t client) {
        if (execution_id)
                fields_add(fields, text_format("TEE_EXECUTION_ID=%s", execution_id));
        if (runtime)
                fields_add(fields, text_format("TEE_RUNTIME=%s", runtime));
        if (client != (uid_t) -1)
                fields_add(fields, text_format("TEE_CLIENT_UID=%u", (unsigned) client));
}

/* What is the host's or ours is worth a warning; what programs do is not. */
static int outcome_priority(Outcome outcome) {
        return outcome == OUTCOME_INTERNAL_ERROR ? LOG_ERR : outcome == OUTCOME_SANDBOX_CRASH ? LOG_WARNING : LOG_INFO;
}

static const char *outcome_message_id(Outcome outcome) {
        switch (outcome) {
        case OUTCOME_WALL_LIMIT:
        case OUTCOME_CPU_LIMIT:
        case OUTCOME_MEMORY_LIMIT:
        case OUTCOME_OUTPUT_LIMIT:
        case OUTCOME_PROCESS_LIMIT:
        case OUTCOME_DISK_LIMIT:
                return MESSAGE_LIMIT_REACHED;
        case OUTCOME_SANDBOX_CRASH:
                return MESSAGE_SANDBOX_CRASH;
        case OUTCOME_INTERNAL_ERROR:
                return MESSAGE_INTERNAL_ERROR;
        default:
                return NULL;
        }
}

void journal_execution_ended(const char *runtime, uid_t client, const Result *result) {
        __attribute__((cleanup(fields_deinit))) Fields fields = {0};
        const char *status = outcome_name(result->outcome);

        fields_add_client(&fields, result->id, runtime, client);
        fields_add(&fields, text_format("TEE_STATUS=%s", status));
        if (result->cause)
                fields_add(&fields, text_format("TEE_CAUSE=%s", result->cause));
        if (result->has_usage) {
                fields_add(&fields, text_format("TEE_CPU_USEC=%llu", (unsigned long long) result->cpu_usec));
                fields_add(&fields,
                           text_format("TEE_MEMORY_PEAK=%llu", (unsigned long long) result->memory_peak_bytes));
        }
        fields_add(&fields, text_format("TEE_WALL_USEC=%llu", (unsigned long long) result->run_usec));
        fields_add(&fields, text_format("TEE_GVISOR=%d", result->gvisor));
        log_record(outcome_priority(result->outcome), outcome_message_id(result->outcome),
                   (const char *const *) fields.texts, "Execution %s of %s ended: %s%s%s (%.1f ms)", result->id,
                   runtime, status, result->cause ? ", " : "", result->cause ? result->cause : "",
                   (double) result->total_usec / 1000.0);
}

void journal_begun_without_gvisor(const char *execution_id, const char *runtime, uid_t client) {
        __attribute__((cleanup(fields_deinit))) Fields fields = {0};

        fields_add_client(&fields, execution_id, runtime, client);
        fields_add(&fields, strdup("TEE_GVISOR=0"));
        log_record(LOG_WARNING, MESSAGE_EXECUTION_WITHOUT_GVISOR, (const char *const *) fields.texts, "%s",
                   banner_execution_without_gvisor);
}

void journal_client_left(Journal *journal, const char *runtime, uid_t client, bool begun, const Result *result) {
        __attribute__((cleanup(fields_deinit))) Fields fields = {0};

        if (!begun && !span_takes(&journal->of_clients))
                return;
        fields_add_client(&fields, result->id, runtime, client);
        fields_add(&fields, text_format("TEE_STATUS=%s", outcome_name(OUTCOME_CANCELLED)));
        fields_add(&fields, strdup("TEE_CAUSE=its client has left"));
        if (begun) {
                fields_add(&fields, text_format("TEE_WALL_USEC=%llu", (unsigned long long) result->run_usec));
                fields_add(&fields, text_format("TEE_GVISOR=%d", result->gvisor));
        }
        log_record(LOG_INFO, NULL, (const char *const *) fields.texts,
                   "Execution %s of %s ended: %s, its client has left%s", result->id, runtime,
                   outcome_name(OUTCOME_CANCELLED), begun ? "" : " before it had begun");
}

static void refused(Journal *journal, const char *execution_id, const char *runtime, uid_t client,
                    const Refusal *refusal, const char *message_id, const char *reason) {
        __attribute__((cleanup(fields_deinit))) Fields fields = {0};

        if (!span_takes(refusal->status >= 500 ? &journal->of_host : &journal->of_clients))
                return;
        fields_add_client(&fields, execution_id, runtime, client);
        fields_add(&fields, text_format("TEE_CODE=%s", refusal->code));
        fields_add(&fields, text_format("TEE_HTTP_STATUS=%u", refusal->status));
        log_record(refusal->status == 503 ? LOG_WARNING : LOG_INFO, message_id, (const char *const *) fields.texts,
                   "Refused a request: %u %s%s%s", refusal->status, refusal->code, reason ? ", " : "",
                   reason ? reason : "");
}

void journal_refused(Journal *journal, const char *execution_id, const char *runtime, uid_t client,
                     const Refusal *refusal) {
        refused(journal, execution_id, runtime, client, refusal, NULL, NULL);
}

void journal_sandbox_failed(Journal *journal, const char *execution_id, const char *runtime, uid_t client,
                            const Refusal *refusal) {
        refused(journal, execution_id, runtime, client, refusal, MESSAGE_SANDBOX_FAILED, refusal->message);
}
