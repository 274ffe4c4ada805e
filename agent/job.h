/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "execution.h"
#include "http.h"
#include "stream.h"

/* An execution and the client that waits for it: turns what the one tells into what the other gets. */

typedef struct Job Job;

/* The job has ended, in whichever way, and its client has been told. exactly one of result and refusal is given. The
 * callee frees the job. */
typedef void (*JobEnded)(Job *job, const Result *result, const Refusal *refusal, SandboxFailure failure,
                         void *userdata);

/* Takes request, on success only. The exchange's userdata becomes the job. */
int job_new(sd_event *event, HttpExchange *exchange, Request *request, bool streaming, JobEnded ended, void *userdata,
            Job **ret_job);

/* Ends its execution, if that has not ended. The exchange, which must still be there, forgets it. */
Job *job_free(Job *job);

DEFINE_CLEANUP(Job *, job_free)

/* Its client has taken all of the stream: sends what was held back meanwhile. */
void job_flush(Job *job);

Execution *job_execution(const Job *job);
uid_t job_uid(const Job *job);

/* Jobs form a list of their owner's. */
Job *job_next(const Job *job);
void job_link(Job **list, Job *job);
void job_unlink(Job **list, Job *job);
