/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "docker.h"
#include "loop.h"
#include "trouble.h"

/* Docker, asked one thing after another: lib/docker's calls, each awaited. What fails is set as trouble, in Docker's
 * own words. */
typedef struct Engine {
        Loop *loop;
        Trouble *trouble;
        Docker *docker;
        uint64_t most_usec; /* for a call that is not known to take long */
} Engine;

/* What a finished call has left. */
typedef struct EngineAnswer {
        int error; /* 0 for a 2xx answer */
        unsigned status;
        cJSON *json;   /* NULL for none */
        char *message; /* Docker's words, or what went wrong; NULL when all is well */
        bool done;
} EngineAnswer;

void engine_answer_deinit(EngineAnswer *answer);

/* socket_path is that of Docker; call_ms is the longest wait for one answer. Connects to nothing. */
int engine_init(Engine *engine, Loop *loop, Trouble *trouble, const char *socket_path, uint64_t call_ms);
void engine_deinit(Engine *engine);

/* The DockerDone for calls whose userdata is an EngineAnswer. */
void engine_on_done(const DockerReply *reply, void *userdata);

/* Waits for the call that r tells of having been started, and frees it. Returns answer->error, or why nothing came;
 * sets no trouble. */
int engine_await(Engine *engine, int r, DockerCall **call, EngineAnswer *answer, uint64_t most_usec);

/* Agrees on an API version. Returns 0 or a negative errno without setting trouble: -ECONNREFUSED, -ENOENT and the like
 * when Docker is not there. ret_message (may be NULL) is then why, owned by the caller. */
int engine_ping(Engine *engine, char **ret_message);

/* /info, owned by the caller. Pings first. */
int engine_info(Engine *engine, cJSON **ret_info);

/* The image's document, owned by the caller. *ret_image is NULL where there is no such image. */
int engine_image(Engine *engine, const char *image, cJSON **ret_image);
