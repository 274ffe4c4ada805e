/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "context.h"

/* One program in one sandbox, to see what it can do: through the agent, or in a sandbox that is made here, as the agent
 * makes them. */

/* What is tried. Each program prints its steps, a number a line, and at last "unbounded" when nothing has stopped it.
 */
typedef enum ProbeProgram {
        PROBE_HELLO,   /* prints "tee-health" */
        PROBE_USER,    /* the number of the user whose a new file is */
        PROBE_NETWORK, /* what comes of a connection: "connected", "timeout" or an error; then the interfaces it sees */
        PROBE_MEMORY,  /* fills it, in MB, up to four times the first argument */
        PROBE_PROCESSES, /* starts them, up to twice as many */
        PROBE_DISK,      /* writes a file, in MB, up to four times as many */
        PROBE_PROGRAM_COUNT_,
} ProbeProgram;

typedef struct ProbeRequest {
        ProbeProgram program;
        uint64_t memory_mb, processes, disk_mb; /* limits; 0: the configuration's */
        uint64_t argument;
} ProbeRequest;

typedef struct ProbeResult {
        bool direct;
        char *refusal, *remedy; /* why it was not run; the rest is then missing */
        char *status, *cause;   /* its outcome, as the agent's API has it */
        char *output;           /* the first of what it printed on stdout */
        char *kernel;           /* as the guest read it before the program was there; may be NULL */
        char *id;
        bool gvisor;     /* and that is gVisor */
        bool warm;       /* the sandbox had stood ready */
        double setup_ms; /* else, until it was */
} ProbeResult;

/* Returns whether there is a result; otherwise the finding tells why not. */
bool probe_run(Context *context, const ProbeRequest *request, ProbeResult *ret_result, Finding *finding);
void probe_result_deinit(ProbeResult *result);

/* The source of a program in the language of files that are named like entry, or NULL. */
const char *probe_source(const char *entry, ProbeProgram program);

/* ---- the two ways ---- */

/* body is that of POST /v1/executions. Return 0, -EINTR, or a negative errno with the context's trouble set. */
int probe_agent_run(Context *context, const char *body, ProbeResult *result);
int probe_direct_run(Context *context, const ConfigRuntime *runtime, const char *body, ProbeResult *result);

/* Takes down what probes that were killed have left; such that run take each other's turn. */
int probe_direct_tidy(Context *context);
