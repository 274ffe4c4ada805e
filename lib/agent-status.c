/* SPDX-License-Identifier: Apache-2.0 */

#include "agent-status.h"
#include "transfer.h"

#include <errno.h>
#include <string.h>

#define STATUS_MAX ((size_t) 1024 * 1024)

typedef struct Call {
        const char *socket_path;
        Trouble *trouble;
        cJSON *status;
        int error; /* trouble is set */
        bool done;
} Call;

static int take_answer(Call *call, const TransferResult *result) {
        JsonError error;

        if (result->error < 0)
                return trouble_set(call->trouble, result->error, NULL, "%s: %s", call->socket_path, result->message);
        if (result->status == 200)
                call->status = json_parse(result->body->data, result->body->size, &error);
        if (cJSON_IsObject(call->status))
                return 0;
        return trouble_set(call->trouble, -EBADMSG, NULL, "what answers on %s is not tee-agent (HTTP status %u)",
                           call->socket_path, result->status);
}

static void on_done(Transfer *transfer, const TransferResult *result, void *userdata) {
        Call *call = userdata;

        (void) transfer;
        call->error = take_answer(call, result);
        call->done = true;
}

int agent_status_get(Loop *loop, const char *socket_path, uint64_t timeout_ms, Trouble *trouble, cJSON **ret_status) {
        CLEANUP(transport_freep) Transport *transport = NULL;
        CLEANUP(transfer_freep) Transfer *transfer = NULL; /* goes before its transport */
        Call call = {.socket_path = socket_path, .trouble = trouble};
        TransferRequest request = {
                .unix_socket = socket_path,
                .method = "GET",
                .url = "http://tee/v1/status",
                .timeout_ms = timeout_ms,
                .response_limit = STATUS_MAX,
        };
        int r = transport_new(loop->event, &transport);

        if (r >= 0)
                r = transfer_start(transport, &request, on_done, NULL, &call, &transfer);
        if (r >= 0)
                r = loop_await(loop, &call.done, 2 * timeout_ms * USEC_PER_MSEC);
        if (r >= 0)
                r = call.error;
        else if (r != -EINTR)
                (void) trouble_errno(trouble, r, socket_path);
        if (r < 0)
                cJSON_Delete(call.status);
        else
                *ret_status = call.status;
        return r;
}
