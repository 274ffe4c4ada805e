/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "buffer.h"

#include <systemd/sd-event.h>

/* HTTP transfers in the one event loop. A Transport keeps the connections; a Transfer is one request and its answer. */

typedef struct Transport Transport;
typedef struct Transfer Transfer;

/* Told now and then of a download: bytes that have come, and that will come in all, 0 where that is not known. */
typedef void (*TransferProgress)(uint64_t received, uint64_t expected, void *userdata);

#define TRANSFER_STALL_S 30L

/* Asked for the next piece of a body that is sent while it is made. Returns how many bytes it has written to data, at
 * most size, 0 at the end, or a negative errno, with which the transfer then fails. Must not free the transfer. */
typedef ssize_t (*TransferSource)(void *data, size_t size, void *userdata);

typedef struct TransferRequest {
        const char *unix_socket;   /* NULL for TCP, which is also given up when nothing comes for TRANSFER_STALL_S */
        bool follow;               /* redirections, a few of them; from https only to https */
        TransferProgress progress; /* NULL for none */
        const char *method;
        const char *url;
        const void *body; /* NULL for none; copied */
        size_t body_size;
        TransferSource source;    /* instead of body: sent in chunks, since nobody knows its size; NULL for none */
        const char *content_type; /* of body or source; NULL: application/json */
        uint64_t timeout_ms;      /* of the whole transfer; 0 for none */
        size_t response_limit;    /* of the body; beyond it the transfer fails with -EFBIG */
        const char *header;       /* a header of the answer that the caller wants, or NULL */
} TransferRequest;

typedef struct TransferResult {
        int error; /* 0 when an answer has come whole, else a negative errno */
        unsigned status;
        const Buffer *body;       /* what came, also before a failure */
        const char *header_value; /* of the wanted header, or NULL */
        const char *message;      /* for people, when error is set */
} TransferResult;

/* Called once, when the transfer has ended; result is valid during the call. The callee may free the transfer. */
typedef void (*TransferDone)(Transfer *transfer, const TransferResult *result, void *userdata);

/* Called with each piece of the body of a 2xx answer instead of collecting it. Must not free the transfer. */
typedef void (*TransferData)(Transfer *transfer, const void *data, size_t size, void *userdata);

int transport_new(sd_event *event, Transport **ret_transport);

/* All its transfers must have been freed. */
Transport *transport_free(Transport *transport);

/* data may be NULL. Returns 0 or a negative errno, and then calls nothing. */
int transfer_start(Transport *transport, const TransferRequest *request, TransferDone done, TransferData data,
                   void *userdata, Transfer **ret_transfer);

/* Cancels it when it is still under way; done is not called then. */
Transfer *transfer_free(Transfer *transfer);

DEFINE_CLEANUP(Transport *, transport_free)
DEFINE_CLEANUP(Transfer *, transfer_free)
