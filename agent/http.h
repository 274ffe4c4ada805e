/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "buffer.h"
#include "refusal.h"

#include <systemd/sd-event.h>

/* The HTTP server on a listening socket that was passed in. Knows nothing of what is served. */

typedef struct Http Http;
typedef struct HttpExchange HttpExchange; /* one request and its answer */

typedef struct HttpRoute {
        const char *method; /* HEAD is answered as GET */
        const char *path;
        bool takes_body; /* JSON, bounded by HttpOptions.body_limit; required */
        /* The whole request is there. Has to be answered, now or later, until gone() is called. */
        void (*handle)(HttpExchange *exchange, void *userdata);
} HttpRoute;

typedef struct HttpOptions {
        const HttpRoute *routes;
        size_t routes_size;
        unsigned max_connections;
        size_t body_limit;
        uint64_t request_usec; /* for a whole request to arrive, and for a client to take its answer */
        /* The client has taken all of a stream that is not ended. May write to it. */
        void (*drained)(HttpExchange *exchange, void *userdata);
        /* The client left, or stopped sending, before the exchange was answered whole. It must not be answered any
         * more, and is gone after the call. Not called before handle(). */
        void (*gone)(HttpExchange *exchange, void *userdata);
        /* An exchange is over, and so is what it held. */
        void (*settled)(void *userdata);
        /* A request was refused here, before handle(). */
        void (*refused)(const Refusal *refusal, uid_t client, void *userdata);
        void *userdata;
} HttpOptions;

/* listen_fd: a listening stream socket; stays open and listening, also after http_free(). options->routes must outlive
 * the server. */
int http_new(sd_event *event, int listen_fd, const HttpOptions *options, Http **ret_http);

Http *http_free(Http *http);

DEFINE_CLEANUP(Http *, http_free)

/* Takes no new connections; those that are there are served on, with Connection: close. */
void http_drain(Http *http);

/* Exchanges that are not finished. */
size_t http_busy(const Http *http);

/* Bytes of answers that clients have not taken yet, over all exchanges. */
size_t http_waiting_bytes(const Http *http);

void http_set_limits(Http *http, size_t body_limit, uint64_t request_usec);

const Buffer *http_exchange_body(const HttpExchange *exchange);

/* A query parameter's value, NULL when absent, "" when it has none. */
const char *http_exchange_query(const HttpExchange *exchange, const char *name);

/* The first query parameter whose name is not known, or that stands twice, or NULL. */
const char *http_exchange_unknown_query(const HttpExchange *exchange, const char *known);

/* When the request was there whole, monotonic. */
uint64_t http_exchange_arrived_usec(const HttpExchange *exchange);

/* Unix user of the peer, or (uid_t) -1. */
uid_t http_exchange_uid(const HttpExchange *exchange);

void http_exchange_set_userdata(HttpExchange *exchange, void *userdata);
void *http_exchange_userdata(const HttpExchange *exchange);

/* Answers with JSON. Takes json (malloc'ed); NULL, for lack of memory, is answered with a bare 500. */
void http_exchange_answer(HttpExchange *exchange, unsigned status, char *json);

/* Answers with text of this type, status 200. Takes text likewise. */
void http_exchange_answer_text(HttpExchange *exchange, const char *content_type, char *text);

/* Answers with a refusal, with Retry-After where it may be tried again. */
void http_exchange_refuse(HttpExchange *exchange, const Refusal *refusal);

/* Answers piece by piece. write returns 0 or -ENOMEM, -EFBIG beyond limit, and then the client sees a cut-off answer.
 */
int http_exchange_stream_begin(HttpExchange *exchange, const char *content_type, size_t limit);
int http_exchange_stream_write(HttpExchange *exchange, const void *data, size_t size);
/* Bytes that were written and not yet taken. */
size_t http_exchange_stream_waiting(const HttpExchange *exchange);
void http_exchange_stream_end(HttpExchange *exchange);
void http_exchange_stream_abort(HttpExchange *exchange);
