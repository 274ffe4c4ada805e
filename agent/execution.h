/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "result.h"
#include "retired.h"
#include "sandbox.h"

/* One run of one program, from admission to its result. */

typedef struct Execution Execution;

/* ended or refused is called exactly once, last, and may free the execution. */
typedef struct ExecutionHandlers {
        /* The program has been sent to a proven sandbox; id and sandbox of the result are known. */
        void (*started)(Execution *execution, const Result *result, void *userdata);
        /* A piece of stdout (FRAME_STDOUT) or stderr. */
        void (*output)(Execution *execution, FrameType stream, const uint8_t *data, size_t size, void *userdata);
        void (*ended)(Execution *execution, const Result *result, void *userdata);
        /* Nothing of the program has run. failure is 0, or says what became of its sandbox. */
        void (*refused)(Execution *execution, const Refusal *refusal, SandboxFailure failure, void *userdata);
} ExecutionHandlers;

/* Takes request, on success only. keep_output: collect it for the result. arrived_usec: when the whole request was
 * there. */
int execution_new(sd_event *event, Request *request, bool keep_output, uint64_t arrived_usec,
                  const ExecutionHandlers *handlers, void *userdata, Execution **ret_execution);

/* Ends it without a word; its sandbox is destroyed in the background. */
Execution *execution_free(Execution *execution);

DEFINE_CLEANUP(Execution *, execution_free)

const char *execution_id(const Execution *execution);
const Request *execution_request(const Execution *execution);

/* What is known of it by now, before it has ended. Belongs to it. */
const Result *execution_result(Execution *execution);

/* Has it been given a sandbox? */
bool execution_is_started(const Execution *execution);

typedef struct ExecutionStart {
        const SandboxContext *context;
        const Config *config;
        const ConfigRuntime *runtime;
        const char *image_id;
        const char *boot_id;
        Sandbox *ready;   /* from the pool, taken over; or NULL: one is made */
        Retired *retired; /* gets the sandbox once that has given its report; outlives the execution */
} ExecutionStart;

/* Begins to set up its sandbox, or takes the one that is ready. Failure shows through refused, possibly before this
 * returns. start is read during the call only. */
void execution_start(Execution *execution, const ExecutionStart *start);

/* Refuses it; only while none of its program has run. */
void execution_refuse(Execution *execution, const Refusal *refusal);

/* Kills the program and ends as cancelled; what has not started is refused with 503 and shutting_down. why goes into
 * the result's cause. */
void execution_cancel(Execution *execution, const char *why);
