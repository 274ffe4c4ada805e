/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "config.h"
#include "engine.h"
#include "finding.h"

/* Whom the checks of the group probe have their sandboxes from. */
typedef enum ProbeMode {
        PROBE_AUTO,   /* the agent, or tee-health itself where there is none */
        PROBE_AGENT,  /* the agent, by its API */
        PROBE_DIRECT, /* tee-health itself, as the agent would make them */
} ProbeMode;

/* Where to look. The strings must outlive what looks. */
typedef struct Places {
        const char *config_path;
        const char *agent_socket;
        ProbeMode probe_mode;
} Places;

/* What the checks look through: the configuration, Docker and the agent, each asked when a check first wants it. */
typedef struct Context {
        Places places;
        uint64_t until_usec; /* when the last wait of the check has to be over */
        Loop loop;
        Trouble trouble;
        Engine engine;
        Config *config;
        cJSON *info, *status;
        char *install[2]; /* without and with --force */
} Context;

/* A check that may take deadline_ms waits for answers somewhat less in all, so that it can say itself what has hung,
 * and take down what it has made. */
int context_init(Context *context, const Places *places, uint64_t deadline_ms);
void context_deinit(Context *context);

/* How long the check may still wait, for one answer or for a program to end; at least 1. */
uint64_t context_left_ms(const Context *context);

/* Runs a program that tells something, in English whatever the user's language is, while the check may still wait.
 * output gets what it prints. Returns its exit status, or as process_run(). */
int context_ask(Context *context, const char *const *argv, Buffer *output);

/* All that follows belongs to the context. NULL: the finding tells why. */

/* tee.conf. */
const Config *context_config(Context *context, Finding *finding);

/* The same, unless it says that there is to be no gVisor: there is nothing to be looked for then. */
const Config *context_gvisor(Context *context, Finding *finding);

/* The command that registers gVisor under the name that tee.conf has; with force also where that is registered in
 * another way. Belongs to the context. */
const char *context_install(Context *context, bool force);

/* Docker's /info; engine may be used afterwards. broken is the verdict on a Docker that is not there or does not
 * answer: fail for the check that looks for just that, skip for all others. No permission is always a skip. */
const cJSON *context_info(Context *context, Verdict broken, Finding *finding);

/* May this user connect to the agent's socket, and is it there? broken is the verdict on one that is not. */
bool context_agent_connects(Context *context, Verdict broken, Finding *finding);

/* The agent's /v1/status, likewise. */
const cJSON *context_status(Context *context, Verdict broken, Finding *finding);
