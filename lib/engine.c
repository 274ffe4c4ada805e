/* SPDX-License-Identifier: Apache-2.0 */

#include "engine.h"

#include <errno.h>
#include <string.h>

void engine_answer_deinit(EngineAnswer *answer) {
        cJSON_Delete(answer->json);
        free(answer->message);
        *answer = (EngineAnswer){0};
}

int engine_init(Engine *engine, Loop *loop, Trouble *trouble, const char *socket_path, uint64_t call_ms) {
        *engine = (Engine){.loop = loop, .trouble = trouble, .most_usec = 2 * call_ms * USEC_PER_MSEC};
        return docker_new(loop->event, socket_path, call_ms, &engine->docker);
}

void engine_deinit(Engine *engine) {
        engine->docker = docker_free(engine->docker);
}

void engine_on_done(const DockerReply *reply, void *userdata) {
        EngineAnswer *answer = userdata;

        answer->done = true;
        answer->status = reply->status;
        answer->error = docker_reply_ok(reply) ? 0 : reply->error < 0 ? reply->error : -EIO;
        if (answer->error < 0)
                answer->message = strdup(reply->message ? reply->message : "Docker gave no reason");
        else if (reply->json && !(answer->json = cJSON_Duplicate(reply->json, true)))
                answer->error = -ENOMEM;
}

int engine_await(Engine *engine, int r, DockerCall **call, EngineAnswer *answer, uint64_t most_usec) {
        if (r >= 0)
                r = loop_await(engine->loop, &answer->done, most_usec);
        *call = docker_call_free(*call);
        return r < 0 ? r : answer->error;
}

int engine_ping(Engine *engine, char **ret_message) {
        EngineAnswer answer = {0};
        DockerCall *call = NULL;
        int r = docker_ping(engine->docker, engine_on_done, &answer, &call);

        r = engine_await(engine, r, &call, &answer, engine->most_usec);
        if (r < 0 && ret_message)
                *ret_message = strdup(answer.message ? answer.message : strerror(-r));
        engine_answer_deinit(&answer);
        return r;
}

static int fault(Engine *engine, int error, const EngineAnswer *answer, const char *what) {
        if (error == -EINTR)
                return error;
        return trouble_set(engine->trouble, error, NULL, "%s: %s", what,
                           answer->message ? answer->message : strerror(-error));
}

int engine_info(Engine *engine, cJSON **ret_info) {
        CLEANUP_FREE char *message = NULL;
        EngineAnswer answer = {0};
        DockerCall *call = NULL;
        int r = engine_ping(engine, &message);

        if (r < 0)
                return trouble_set(engine->trouble, r, "systemctl status docker", "Docker does not answer: %s",
                                   message);
        r = docker_info(engine->docker, engine_on_done, &answer, &call);
        r = engine_await(engine, r, &call, &answer, engine->most_usec);
        if (r >= 0 && !answer.json)
                r = -EBADMSG;
        if (r < 0)
                r = fault(engine, r, &answer, "Docker tells nothing of itself");
        else
                *ret_info = TAKE_PTR(answer.json);
        engine_answer_deinit(&answer);
        return r;
}

int engine_image(Engine *engine, const char *image, cJSON **ret_image) {
        EngineAnswer answer = {0};
        DockerCall *call = NULL;
        int r = docker_image_inspect(engine->docker, image, engine_on_done, &answer, &call);

        r = engine_await(engine, r, &call, &answer, engine->most_usec);
        *ret_image = NULL;
        if (r < 0 && answer.status == 404)
                r = 0;
        else if (r < 0)
                r = fault(engine, r, &answer, image);
        else
                *ret_image = TAKE_PTR(answer.json);
        engine_answer_deinit(&answer);
        return r;
}
