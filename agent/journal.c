/* SPDX-License-Identifier: Apache-2.0 */

/* One record for each execution that ended and each request that was refused, with fields that a machine can select. */

#include "journal.h"
#include "log.h"

#define FIELDS_MAX 12

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
        log_record(outcome_priority(result->outcome), NULL, (const char *const *) fields.texts,
                   "Execution %s of %s ended: %s%s%s (%.1f ms)", result->id, runtime, status, result->cause ? ", " : "",
                   result->cause ? result->cause : "", (double) result->total_usec / 1000.0);
}

void journal_client_left(const char *execution_id, const char *runtime, uid_t client) {
        __attribute__((cleanup(fields_deinit))) Fields fields = {0};

        fields_add_client(&fields, execution_id, runtime, client);
        fields_add(&fields, text_format("TEE_STATUS=%s", outcome_name(OUTCOME_CANCELLED)));
        log_record(LOG_INFO, NULL, (const char *const *) fields.texts,
                   "Execution %s of %s ended: %s, its client has left", execution_id, runtime,
                   outcome_name(OUTCOME_CANCELLED));
}

void journal_refused(const char *execution_id, const char *runtime, uid_t client, const Refusal *refusal) {
        __attribute__((cleanup(fields_deinit))) Fields fields = {0};

        fields_add_client(&fields, execution_id, runtime, client);
        fields_add(&fields, text_format("TEE_CODE=%s", refusal->code));
        fields_add(&fields, text_format("TEE_HTTP_STATUS=%u", refusal->status));
        log_record(refusal->status == 503 ? LOG_WARNING : LOG_INFO, NULL, (const char *const *) fields.texts,
                   "Refused a request: %u %s", refusal->status, refusal->code);
}
