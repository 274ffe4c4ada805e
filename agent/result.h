/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "json.h"

/* How an execution ended (docs/openapi.yaml, schema Result). */

typedef enum Outcome {
        OUTCOME_OK,
        OUTCOME_ERROR,
        OUTCOME_SIGNAL,
        OUTCOME_WALL_LIMIT,
        OUTCOME_CPU_LIMIT,
        OUTCOME_MEMORY_LIMIT,
        OUTCOME_OUTPUT_LIMIT,
        OUTCOME_PROCESS_LIMIT,
        OUTCOME_DISK_LIMIT,
        OUTCOME_CANCELLED,
        OUTCOME_SANDBOX_CRASH,
        OUTCOME_INTERNAL_ERROR,
        OUTCOME_COUNT_,
} Outcome;

typedef struct ResultOutput {
        Buffer data;    /* what is given to the client */
        uint64_t bytes; /* what the program wrote, as far as it was read */
        uint64_t passed_on;
} ResultOutput;

typedef struct Result {
        const char *id;
        Outcome outcome;
        bool has_exit_code;
        unsigned exit_code;
        int signal; /* 0: none */
        ResultOutput output, error_output;

        uint64_t queue_usec, setup_usec, run_usec, total_usec;

        bool has_usage;
        uint64_t cpu_usec;
        uint64_t memory_peak_bytes;

        bool gvisor;
        bool warm; /* the sandbox stood ready */
        char *oci_runtime;
        char *kernel; /* or NULL */
        const cJSON *labels;

        char *cause;    /* or NULL */
        char *evidence; /* or NULL */
} Result;

void result_deinit(Result *result);

/* "ok", "wall_limit", …: the API's word. */
const char *outcome_name(Outcome outcome);

/* "SIGSEGV", or "SIG34" and the like where the C library has no name. Writes it into buffer and returns that. */
const char *signal_name(int signal, char *buffer, size_t size);

/* The Result as JSON, owned by the caller; NULL on ENOMEM. Without output, stdout and stderr are null (the last event
 * of a stream, where they have been sent already). */
cJSON *result_to_json(const Result *result, bool with_output);

/* What "sandbox" holds. */
cJSON *result_sandbox_to_json(const Result *result);
