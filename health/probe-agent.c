/* SPDX-License-Identifier: Apache-2.0 */

/* What the agent answers is taken for what it is: the kernel's evidence in it was read by the guest and judged by the
 * agent, and both are trusted. Whoever closes the connection has the execution cancelled, and its sandbox destroyed; so
 * a check that is killed leaves nothing behind. */

#include "probe.h"
#include "transfer.h"

#include <errno.h>
#include <string.h>

#define ANSWER_MAX ((size_t) 4 * 1024 * 1024)

typedef struct Call {
        Context *context;
        ProbeResult *result;
        int error;
        bool done;
} Call;

static char *copy(const cJSON *object, const char *key) {
        const char *text = json_get_string(object, key);

        return text ? strdup(text) : NULL;
}

static void take_result(const cJSON *body, ProbeResult *result) {
        const cJSON *sandbox = json_get_object(body, "sandbox"),
                    *setup = json_get(json_get_object(body, "timing"), "setup_ms");

        result->id = copy(body, "id");
        result->status = copy(body, "status");
        result->cause = copy(body, "cause");
        result->output = copy(body, "stdout");
        result->kernel = copy(sandbox, "kernel");
        result->gvisor = cJSON_IsTrue(json_get(sandbox, "gvisor"));
        result->warm = cJSON_IsTrue(json_get(sandbox, "warm"));
        result->setup_ms = cJSON_IsNumber(setup) ? setup->valuedouble : 0;
}

static void take_refusal(const cJSON *body, unsigned status, ProbeResult *result) {
        const cJSON *refusal = json_get_object(body, "error");
        const char *code = json_get_string(refusal, "code"), *message = json_get_string(refusal, "message");

        result->refusal = text_format("the agent refuses it (%s): %s", code ? code : "no code",
                                      message ? message : "what answers is not tee-agent");
        result->remedy = copy(refusal, "remedy");
        if (!refusal)
                result->cause = text_format("HTTP status %u", status);
}

static void on_done(Transfer *transfer, const TransferResult *answer, void *userdata) {
        Call *call = userdata;
        JsonError error;
        CLEANUP_JSON cJSON *body =
                answer->error == 0 ? json_parse(answer->body->data, answer->body->size, &error) : NULL;

        (void) transfer;
        call->done = true;
        if (answer->error < 0)
                call->error = trouble_set(&call->context->trouble, answer->error, NULL, "the agent does not answer: %s",
                                          answer->message);
        else if (answer->status == 200 && json_get_string(body, "status"))
                take_result(body, call->result);
        else
                take_refusal(body, answer->status, call->result);
}

int probe_agent_run(Context *context, const char *body, ProbeResult *result) {
        CLEANUP(transport_freep) Transport *transport = NULL;
        CLEANUP(transfer_freep) Transfer *transfer = NULL; /* goes before its transport */
        Call call = {.context = context, .result = result};
        TransferRequest request = {
                .unix_socket = context->places.agent_socket,
                .method = "POST",
                .url = "http://tee/v1/executions",
                .body = body,
                .body_size = strlen(body),
                .timeout_ms = context_left_ms(context),
                .response_limit = ANSWER_MAX,
        };
        int r = transport_new(context->loop.event, &transport);

        if (r >= 0)
                r = transfer_start(transport, &request, on_done, NULL, &call, &transfer);
        if (r >= 0)
                r = loop_await(&context->loop, &call.done, 2 * request.timeout_ms * USEC_PER_MSEC);
        if (r >= 0)
                r = call.error;
        if (r < 0 && r != -EINTR)
                (void) trouble_errno(&context->trouble, r, context->places.agent_socket);
        return r;
}
