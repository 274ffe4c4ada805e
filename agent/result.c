/* SPDX-License-Identifier: Apache-2.0 */

/* The Result as clients see it: every field is always there, and is null where nothing is known, never a guess. */

#include "result.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static const char *const outcome_names[] = {
        [OUTCOME_OK] = "ok",
        [OUTCOME_ERROR] = "error",
        [OUTCOME_SIGNAL] = "signal",
        [OUTCOME_WALL_LIMIT] = "wall_limit",
        [OUTCOME_CPU_LIMIT] = "cpu_limit",
        [OUTCOME_MEMORY_LIMIT] = "memory_limit",
        [OUTCOME_OUTPUT_LIMIT] = "output_limit",
        [OUTCOME_PROCESS_LIMIT] = "process_limit",
        [OUTCOME_DISK_LIMIT] = "disk_limit",
        [OUTCOME_CANCELLED] = "cancelled",
        [OUTCOME_SANDBOX_CRASH] = "sandbox_crash",
        [OUTCOME_INTERNAL_ERROR] = "internal_error",
};

const char *outcome_name(Outcome outcome) {
        return outcome_names[outcome];
}

const char *signal_name(int signal, char *buffer, size_t size) {
        const char *name = sigabbrev_np(signal);

        if (name)
                (void) snprintf(buffer, size, "SIG%s", name);
        else
                (void) snprintf(buffer, size, "SIG%d", signal);
        return buffer;
}

void result_deinit(Result *result) {
        buffer_deinit(&result->output.data);
        buffer_deinit(&result->error_output.data);
        free(result->oci_runtime);
        free(result->kernel);
        free(result->cause);
        free(result->evidence);
}

static int add_output(cJSON *object, const char *name, const ResultOutput *output, bool with_output) {
        char key[32];

        if (json_add(object, name,
                     with_output ? json_new_text(output->data.data, output->data.size) : cJSON_CreateNull()) < 0)
                return -1;
        (void) snprintf(key, sizeof(key), "%s_bytes", name);
        if (json_add(object, key, json_new_integer(output->bytes)) < 0)
                return -1;
        (void) snprintf(key, sizeof(key), "%s_truncated", name);
        return json_add(object, key, cJSON_CreateBool(output->bytes > output->passed_on));
}

static int add_end(cJSON *object, const Result *result) {
        char name[16];

        if (json_add(object, "status", cJSON_CreateString(outcome_name(result->outcome))) < 0 ||
            json_add(object, "exit_code",
                     result->has_exit_code ? json_new_integer(result->exit_code) : cJSON_CreateNull()) < 0)
                return -1;
        return json_add(object, "signal",
                        result->signal > 0 ? cJSON_CreateString(signal_name(result->signal, name, sizeof(name)))
                                           : cJSON_CreateNull());
}

static cJSON *timing_to_json(const Result *result) {
        CLEANUP_JSON cJSON *timing = cJSON_CreateObject();

        if (!timing || json_add(timing, "queue_ms", json_new_msec(result->queue_usec)) < 0 ||
            json_add(timing, "setup_ms", json_new_msec(result->setup_usec)) < 0 ||
            json_add(timing, "run_ms", json_new_msec(result->run_usec)) < 0 ||
            json_add(timing, "total_ms", json_new_msec(result->total_usec)) < 0)
                return NULL;
        return TAKE_PTR(timing);
}

static cJSON *usage_to_json(const Result *result) {
        CLEANUP_JSON cJSON *usage = result->has_usage ? cJSON_CreateObject() : cJSON_CreateNull();

        if (!usage)
                return NULL;
        if (result->has_usage &&
            (json_add(usage, "cpu_ms", json_new_msec(result->cpu_usec)) < 0 ||
             json_add(usage, "memory_peak_bytes", json_new_integer(result->memory_peak_bytes)) < 0))
                return NULL;
        return TAKE_PTR(usage);
}

cJSON *result_sandbox_to_json(const Result *result) {
        CLEANUP_JSON cJSON *sandbox = cJSON_CreateObject();

        if (!sandbox || json_add(sandbox, "gvisor", cJSON_CreateBool(result->gvisor)) < 0 ||
            json_add(sandbox, "oci_runtime", json_new_string_or_null(result->oci_runtime)) < 0 ||
            json_add(sandbox, "kernel", json_new_string_or_null(result->kernel)) < 0 ||
            json_add(sandbox, "warm", cJSON_CreateBool(result->warm)) < 0)
                return NULL;
        return TAKE_PTR(sandbox);
}

cJSON *result_to_json(const Result *result, bool with_output) {
        CLEANUP_JSON cJSON *object = cJSON_CreateObject();

        if (!object || json_add(object, "id", cJSON_CreateString(result->id)) < 0 || add_end(object, result) < 0 ||
            add_output(object, "stdout", &result->output, with_output) < 0 ||
            add_output(object, "stderr", &result->error_output, with_output) < 0 ||
            json_add(object, "timing", timing_to_json(result)) < 0 ||
            json_add(object, "usage", usage_to_json(result)) < 0 ||
            json_add(object, "sandbox", result_sandbox_to_json(result)) < 0 ||
            json_add(object, "labels", result->labels ? cJSON_Duplicate(result->labels, true) : cJSON_CreateObject()) <
                    0 ||
            json_add(object, "cause", json_new_string_or_null(result->cause)) < 0 ||
            json_add(object, "evidence", json_new_string_or_null(result->evidence)) < 0)
                return NULL;
        return TAKE_PTR(object);
}
