/* SPDX-License-Identifier: Apache-2.0 */

/* One client, one execution. The client is told by an answer when all is over, or by a stream of events from the moment
 * the program starts; a refusal is always a plain answer, since no stream has begun by then. */

#include "job.h"

#include <errno.h>

struct Job {
        Job *next, *previous;
        HttpExchange *exchange;
        Execution *execution;
        bool streaming;
        Stream stream;
        uid_t uid;
        JobEnded ended;
        void *userdata;
};

static size_t output_max(const Execution *execution) {
        return execution_request(execution)->limits[CONFIG_LIMIT_OUTPUT_KB] * 1024;
}

/* A stream that fails for lack of memory is cut off by the server, which is all that can still be said to its client.
 */
static void on_started(Execution *execution, const Result *result, void *userdata) {
        Job *job = userdata;

        if (job->streaming)
                (void) stream_begin(&job->stream, job->exchange, output_max(execution), result);
}

static void on_output(Execution *execution, FrameType type, const uint8_t *data, size_t size, void *userdata) {
        Job *job = userdata;

        (void) execution;
        if (job->streaming)
                (void) stream_output(&job->stream, type, data, size);
}

static char *result_text(const Result *result) {
        CLEANUP_JSON cJSON *json = result_to_json(result, true);

        return json ? cJSON_PrintUnformatted(json) : NULL;
}

static void on_ended(Execution *execution, const Result *result, void *userdata) {
        Job *job = userdata;

        (void) execution;
        if (job->streaming)
                (void) stream_end(&job->stream, result);
        else
                http_exchange_answer(job->exchange, 200, result_text(result));
        job->ended(job, result, NULL, 0, job->userdata);
}

static void on_refused(Execution *execution, const Refusal *refusal, SandboxFailure failure, void *userdata) {
        Job *job = userdata;

        (void) execution;
        http_exchange_refuse(job->exchange, refusal);
        job->ended(job, NULL, refusal, failure, job->userdata);
}

int job_new(sd_event *event, HttpExchange *exchange, Request *request, bool streaming, JobEnded ended, void *userdata,
            Job **ret_job) {
        static const ExecutionHandlers handlers = {
                .started = on_started,
                .output = on_output,
                .ended = on_ended,
                .refused = on_refused,
        };
        CLEANUP(job_freep) Job *job = calloc(1, sizeof(*job));
        int r;

        if (!job)
                return -ENOMEM;
        job->exchange = exchange;
        job->streaming = streaming;
        job->uid = http_exchange_uid(exchange);
        job->ended = ended;
        job->userdata = userdata;
        r = execution_new(event, request, !streaming, http_exchange_arrived_usec(exchange), &handlers, job,
                          &job->execution);
        if (r < 0)
                return r;
        http_exchange_set_userdata(exchange, job);
        *ret_job = TAKE_PTR(job);
        return 0;
}

Job *job_free(Job *job) {
        if (!job)
                return NULL;
        http_exchange_set_userdata(job->exchange, NULL);
        execution_free(job->execution);
        stream_deinit(&job->stream);
        free(job);
        return NULL;
}

void job_flush(Job *job) {
        if (job->streaming)
                (void) stream_flush(&job->stream);
}

Execution *job_execution(const Job *job) {
        return job->execution;
}

uid_t job_uid(const Job *job) {
        return job->uid;
}

Job *job_next(const Job *job) {
        return job->next;
}

void job_link(Job **list, Job *job) {
        job->next = *list;
        if (*list)
                (*list)->previous = job;
        *list = job;
}

void job_unlink(Job **list, Job *job) {
        if (job->previous)
                job->previous->next = job->next;
        else
                *list = job->next;
        if (job->next)
                job->next->previous = job->previous;
        job->next = job->previous = NULL;
}
