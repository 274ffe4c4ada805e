/* SPDX-License-Identifier: Apache-2.0 */

/* libmicrohttpd inside the one event loop: its epoll descriptor is one of our event sources, and a timer stands for
 * what it wants to do without input. A connection is a Peer, with a deadline for whatever it owes us (a whole request;
 * taking its answer), since libmicrohttpd's own time-out starts anew with each byte. A request is an Exchange: READING
 * until it is whole, HANDLED while the program that it asked for runs, ANSWERED. While it is HANDLED its connection is
 * suspended, and a suspended connection does not notice that its client has left; a duplicate of its descriptor in our
 * own epoll does. Whoever shuts down its sending side has left as well: libmicrohttpd ends such a connection when it
 * reads again. */

#include "http.h"
#include "log.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define CONNECTION_MEMORY ((size_t) 32 * 1024) /* request line and headers */
#define STREAM_BLOCK ((size_t) 32 * 1024)
#define RETRY_AFTER_SECONDS "1"
#define JSON_TYPE "application/json"

typedef enum ExchangeState {
        EXCHANGE_READING,
        EXCHANGE_HANDLED,
        EXCHANGE_ANSWERED,
} ExchangeState;

typedef struct Peer {
        Http *http;
        int fd; /* libmicrohttpd's */
        uid_t uid;
        sd_event_source *deadline;
        HttpExchange *exchange; /* the one under way, or NULL */
        bool served;            /* it has had an answer on this connection */
} Peer;

struct HttpExchange {
        Http *http;
        HttpExchange *next, *previous;
        Peer *peer;
        struct MHD_Connection *connection;
        const HttpRoute *route;
        ExchangeState state;
        Refusal refusal; /* decided before the request was whole */
        Buffer body;
        uint64_t arrived_usec;
        bool suspended;
        bool lost; /* its client has left, or it was cut off */
        sd_event_source *watch;
        int watch_fd;
        struct MHD_Response *response;
        size_t response_size;
        unsigned status;
        void *userdata;

        bool streaming, stream_ended, stream_broken;
        Buffer stream;
        size_t stream_sent; /* bytes of stream that have been given away */
};

struct Http {
        sd_event *event;
        struct MHD_Daemon *daemon;
        sd_event_source *io, *timer, *kick;
        HttpOptions options;
        HttpExchange *first;
        size_t busy;
        bool draining;
};

/* ---- the pump ---- */

static int arm_timer(Http *http) {
        MHD_UNSIGNED_LONG_LONG timeout_ms;
        int r;

        if (MHD_get_timeout(http->daemon, &timeout_ms) != MHD_YES)
                return sd_event_source_set_enabled(http->timer, SD_EVENT_OFF);
        if (timeout_ms == 0)
                return sd_event_source_set_enabled(http->kick, SD_EVENT_ONESHOT);
        r = sd_event_source_set_time_relative(http->timer, (uint64_t) timeout_ms * USEC_PER_MSEC);
        return r < 0 ? r : sd_event_source_set_enabled(http->timer, SD_EVENT_ONESHOT);
}

static int pump(Http *http) {
        if (MHD_run(http->daemon) != MHD_YES)
                return -EIO;
        return arm_timer(http);
}

static int on_epoll(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        (void) source;
        (void) fd;
        (void) revents;
        return pump(userdata);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        (void) source;
        (void) usec;
        return pump(userdata);
}

static int on_kick(sd_event_source *source, void *userdata) {
        (void) source;
        return pump(userdata);
}

/* For what libmicrohttpd does in its next run only, without its epoll descriptor becoming ready for it. */
static void kick(Http *http) {
        int r = sd_event_source_set_enabled(http->kick, SD_EVENT_ONESHOT);

        if (r < 0 && r != -ESTALE) /* ESTALE: the loop has ended */
                log_line(LOG_ERR, "http: the pump cannot be woken: %s", strerror(-r));
}

/* ---- peers ---- */

static void peer_expect(Peer *peer) {
        if (!peer->deadline)
                return;
        if (sd_event_source_set_time_relative(peer->deadline, peer->http->options.request_usec) < 0 ||
            sd_event_source_set_enabled(peer->deadline, SD_EVENT_ONESHOT) < 0)
                (void) shutdown(peer->fd, SHUT_RDWR);
}

static void peer_rest(Peer *peer) {
        (void) sd_event_source_set_enabled(peer->deadline, SD_EVENT_OFF);
}

/* libmicrohttpd cannot answer in the middle of a body, so a request that came only in part gets its refusal by hand:
 * nothing else has been sent on this connection since its last answer. Best effort; the connection is closed anyway. */
static void peer_refuse_late(Peer *peer) {
        Refusal refusal = {0};
        CLEANUP_FREE char *json = NULL, *answer = NULL;
        uint64_t request_ms = peer->http->options.request_usec / USEC_PER_MSEC;

        refusal_set(&refusal, 408, "request_timeout", NULL, NULL, "the request did not arrive whole within %llu ms",
                    (unsigned long long) request_ms);
        json = refusal_to_json(&refusal);
        if (json && asprintf(&answer,
                             "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Type: " JSON_TYPE "\r\n"
                             "Content-Length: %zu\r\n\r\n%s",
                             strlen(json), json) < 0)
                answer = NULL;
        if (answer)
                (void) send(peer->fd, answer, strlen(answer), MSG_DONTWAIT | MSG_NOSIGNAL);
        peer->http->options.refused(&refusal, peer->uid, peer->http->options.userdata);
        refusal_deinit(&refusal);
}

static int on_peer_deadline(sd_event_source *source, uint64_t usec, void *userdata) {
        Peer *peer = userdata;

        (void) source;
        (void) usec;
        if (peer->exchange ? peer->exchange->state == EXCHANGE_READING : !peer->served)
                peer_refuse_late(peer);
        (void) shutdown(peer->fd, SHUT_RDWR); /* libmicrohttpd sees the end and cleans up */
        return 0;
}

static uid_t peer_uid(int fd) {
        struct ucred credentials;
        socklen_t size = sizeof(credentials);

        return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0 ? credentials.uid : (uid_t) -1;
}

static void peer_new(Http *http, struct MHD_Connection *connection, void **ret_context) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        Peer *peer = calloc(1, sizeof(*peer));

        if (!peer || !info) {
                free(peer);
                return; /* on_access() refuses a connection without a peer */
        }
        *peer = (Peer){.http = http, .fd = info->connect_fd, .uid = peer_uid(info->connect_fd)};
        if (sd_event_add_time_relative(http->event, &peer->deadline, CLOCK_MONOTONIC, http->options.request_usec, 0,
                                       on_peer_deadline, peer) < 0) {
                free(peer);
                return;
        }
        (void) sd_event_source_set_description(peer->deadline, "http-peer-deadline");
        *ret_context = peer;
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code) {
        Peer *peer = *context;

        if (code == MHD_CONNECTION_NOTIFY_STARTED) {
                peer_new(cls, connection, context);
                return;
        }
        kick(cls); /* at its limit of connections it has stopped listening, and now may begin again */
        if (peer) {
                (void) sd_event_source_disable_unref(peer->deadline);
                free(peer);
                *context = NULL;
        }
}

/* ---- exchanges ---- */

static HttpExchange *exchange_new(Http *http, struct MHD_Connection *connection) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
        HttpExchange *exchange;

        if (!info || !info->socket_context)
                return NULL;
        exchange = calloc(1, sizeof(*exchange));
        if (!exchange)
                return NULL;
        exchange->http = http;
        exchange->peer = info->socket_context;
        exchange->peer->exchange = exchange;
        exchange->connection = connection;
        exchange->body = BUFFER_INIT(http->options.body_limit);
        exchange->watch_fd = -1;
        exchange->next = http->first;
        if (http->first)
                http->first->previous = exchange;
        http->first = exchange;
        http->busy++;
        return exchange;
}

static void exchange_unwatch(HttpExchange *exchange) {
        exchange->watch = sd_event_source_disable_unref(exchange->watch);
        exchange->watch_fd = close_fd(exchange->watch_fd);
}

static void exchange_free(HttpExchange *exchange) {
        Http *http = exchange->http;

        if (exchange->previous)
                exchange->previous->next = exchange->next;
        else
                http->first = exchange->next;
        if (exchange->next)
                exchange->next->previous = exchange->previous;
        http->busy--;
        exchange_unwatch(exchange);
        if (exchange->response)
                MHD_destroy_response(exchange->response);
        refusal_deinit(&exchange->refusal);
        buffer_deinit(&exchange->body);
        buffer_deinit(&exchange->stream);
        free(exchange);
}

static void exchange_resume(HttpExchange *exchange) {
        if (!exchange->suspended)
                return;
        exchange->suspended = false;
        MHD_resume_connection(exchange->connection);
        kick(exchange->http);
}

static void exchange_suspend(HttpExchange *exchange) {
        exchange->suspended = true;
        MHD_suspend_connection(exchange->connection);
}

/* The owner is told at most once, and only of an exchange that it knows and has not finished. */
static void exchange_tell_gone(HttpExchange *exchange) {
        bool owned = exchange->state == EXCHANGE_HANDLED || (exchange->streaming && !exchange->stream_ended);

        if (!owned || exchange->lost)
                return;
        exchange->lost = true;
        exchange->http->options.gone(exchange, exchange->http->options.userdata);
}

static int on_watch(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        HttpExchange *exchange = userdata;

        (void) source;
        (void) fd;
        (void) revents;
        exchange_unwatch(exchange);
        exchange_tell_gone(exchange);
        exchange_resume(exchange);
        return 0;
}

static int exchange_watch(HttpExchange *exchange) {
        exchange->watch_fd = fcntl(exchange->peer->fd, F_DUPFD_CLOEXEC, 3);
        if (exchange->watch_fd < 0)
                return -errno;
        return sd_event_add_io(exchange->http->event, &exchange->watch, exchange->watch_fd, EPOLLRDHUP, on_watch,
                               exchange);
}

/* ---- answers ---- */

static int add_headers(HttpExchange *exchange, const char *content_type, const Refusal *refusal) {
        struct MHD_Response *response = exchange->response;

        if (MHD_add_response_header(response, "Content-Type", content_type) != MHD_YES)
                return -ENOMEM;
        if (exchange->http->draining && MHD_add_response_header(response, "Connection", "close") != MHD_YES)
                return -ENOMEM;
        if (refusal && refusal_is_for_now(refusal) &&
            MHD_add_response_header(response, "Retry-After", RETRY_AFTER_SECONDS) != MHD_YES)
                return -ENOMEM;
        if (refusal && refusal->status == 405 && exchange->route &&
            MHD_add_response_header(response, "Allow", exchange->route->method) != MHD_YES)
                return -ENOMEM;
        return 0;
}

static void answer(HttpExchange *exchange, unsigned status, const char *content_type, char *text,
                   const Refusal *refusal) {
        static char nothing[] = "";
        size_t size = text ? strlen(text) : 0;

        exchange->state = EXCHANGE_ANSWERED;
        exchange->response_size = size;
        exchange->status = text ? status : 500;
        exchange->response = MHD_create_response_from_buffer(size, text ? text : nothing,
                                                             text ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
        if (!exchange->response)
                free(text);
        else if (add_headers(exchange, content_type, refusal) < 0)
                log_line(LOG_WARNING, "An answer lacks headers: out of memory");
        peer_expect(exchange->peer);
        exchange_resume(exchange);
}

void http_exchange_answer(HttpExchange *exchange, unsigned status, char *json) {
        answer(exchange, status, JSON_TYPE, json, NULL);
}

void http_exchange_answer_text(HttpExchange *exchange, const char *content_type, char *text) {
        answer(exchange, 200, content_type, text, NULL);
}

void http_exchange_refuse(HttpExchange *exchange, const Refusal *refusal) {
        answer(exchange, refusal->status, JSON_TYPE, refusal_to_json(refusal), refusal);
}

static ssize_t on_stream_read(void *cls, uint64_t position, char *block, size_t size) {
        HttpExchange *exchange = cls;
        Http *http = exchange->http;
        size_t n;

        (void) position;
        if (exchange->lost || exchange->stream_broken)
                return MHD_CONTENT_READER_END_WITH_ERROR;
        if (http_exchange_stream_waiting(exchange) == 0 && !exchange->stream_ended)
                http->options.drained(exchange, http->options.userdata);
        n = http_exchange_stream_waiting(exchange);
        n = n < size ? n : size;
        if (n > 0) {
                memcpy(block, exchange->stream.data + exchange->stream_sent, n);
                exchange->stream_sent += n;
                return (ssize_t) n;
        }
        if (exchange->stream_ended)
                return MHD_CONTENT_READER_END_OF_STREAM;
        exchange_suspend(exchange);
        return 0;
}

int http_exchange_stream_begin(HttpExchange *exchange, const char *content_type, size_t limit) {
        exchange->stream = BUFFER_INIT(limit);
        exchange->streaming = true;
        exchange->state = EXCHANGE_ANSWERED;
        exchange->status = 200;
        exchange->response =
                MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, on_stream_read, exchange, NULL);
        if (!exchange->response || add_headers(exchange, content_type, NULL) < 0)
                return -ENOMEM;
        exchange_resume(exchange);
        return 0;
}

int http_exchange_stream_write(HttpExchange *exchange, const void *data, size_t size) {
        int r;

        /* What was sent is dropped once it is the larger part, so that a byte is moved but once or twice. */
        if (exchange->stream_sent > exchange->stream.size / 2) {
                buffer_consume(&exchange->stream, exchange->stream_sent);
                exchange->stream_sent = 0;
        }
        r = buffer_append(&exchange->stream, data, size);
        if (r >= 0)
                exchange_resume(exchange);
        return r;
}

void http_exchange_stream_abort(HttpExchange *exchange) {
        exchange->stream_broken = true;
        (void) shutdown(exchange->peer->fd, SHUT_RDWR); /* a full socket would never ask for more */
        exchange_resume(exchange);
}

size_t http_exchange_stream_waiting(const HttpExchange *exchange) {
        return exchange->stream.size - exchange->stream_sent;
}

void http_exchange_stream_end(HttpExchange *exchange) {
        exchange->stream_ended = true;
        peer_expect(exchange->peer);
        exchange_resume(exchange);
}

/* ---- requests ---- */

static const HttpRoute *find_route(const Http *http, const char *method, const char *path, bool *ret_path_known) {
        const HttpRoute *same_path = NULL;

        if (strcmp(method, "HEAD") == 0)
                method = "GET";
        for (size_t i = 0; i < http->options.routes_size; i++) {
                const HttpRoute *route = &http->options.routes[i];

                if (strcmp(route->path, path) != 0)
                        continue;
                same_path = route;
                if (strcmp(route->method, method) == 0) {
                        *ret_path_known = true;
                        return route;
                }
        }
        *ret_path_known = same_path;
        return same_path;
}

static const char *header(const HttpExchange *exchange, const char *name) {
        return MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, name);
}

static bool is_json_type(const char *content_type) {
        return content_type && strncasecmp(content_type, JSON_TYPE, strlen(JSON_TYPE)) == 0 &&
               strchr("; \t", content_type[strlen(JSON_TYPE)]);
}

static int refuse_large(HttpExchange *exchange) {
        return refusal_set(&exchange->refusal, 413, "body_too_large", NULL, "http.body_kb in tee.conf is the bound",
                           "the body is larger than %zu bytes", exchange->body.limit);
}

/* What can be known from the head alone. Leaves the refusal empty when there is nothing against it. */
static int judge_head(HttpExchange *exchange, const char *method, const char *path) {
        const char *length = header(exchange, "Content-Length");
        bool path_known;

        exchange->route = find_route(exchange->http, method, path, &path_known);
        if (!path_known)
                return refusal_set(&exchange->refusal, 404, "not_found", NULL, NULL, "there is nothing at %.128s",
                                   path);
        if (strcmp(exchange->route->method, strcmp(method, "HEAD") == 0 ? "GET" : method) != 0)
                return refusal_set(&exchange->refusal, 405, "method_not_allowed", NULL, NULL, "%s is for %s, not %.32s",
                                   path, exchange->route->method, method);
        if (!exchange->route->takes_body)
                return 0;
        if (!is_json_type(header(exchange, "Content-Type")))
                return refusal_set(&exchange->refusal, 415, "unsupported_media_type", NULL,
                                   "send the header Content-Type: application/json",
                                   "the body must be application/json");
        if (length && strtoull(length, NULL, 10) > exchange->body.limit)
                return refuse_large(exchange);
        return 0;
}

static enum MHD_Result send_response(HttpExchange *exchange) {
        if (!exchange->response)
                return MHD_NO; /* no memory for any answer, or nobody to have it: the connection is closed */
        return MHD_queue_response(exchange->connection, exchange->status, exchange->response);
}

static enum MHD_Result refuse_early(HttpExchange *exchange) {
        exchange->http->options.refused(&exchange->refusal, exchange->peer->uid, exchange->http->options.userdata);
        http_exchange_refuse(exchange, &exchange->refusal);
        return send_response(exchange);
}

/* A client that asks before it sends its body is refused at once; another one has its body read to the end and thrown
 * away first, because many clients do not look for an answer while they send. */
static enum MHD_Result exchange_open(HttpExchange *exchange, const char *method, const char *path) {
        const char *expect = header(exchange, "Expect");

        if (judge_head(exchange, method, path) < 0 && expect && strcasecmp(expect, "100-continue") == 0)
                return refuse_early(exchange);
        return MHD_YES;
}

static void exchange_take(HttpExchange *exchange, const char *data, size_t size) {
        bool wanted = !exchange->refusal.code && exchange->route->takes_body;
        int r = wanted ? buffer_append(&exchange->body, data, size) : 0;

        if (r == 0)
                return;
        if (r == -EFBIG)
                (void) refuse_large(exchange);
        else
                refusal_set(&exchange->refusal, 503, "out_of_memory", NULL, NULL,
                            "the agent has no memory for this now");
        buffer_deinit(&exchange->body);
}

static void exchange_handle(HttpExchange *exchange) {
        exchange->state = EXCHANGE_HANDLED;
        exchange->arrived_usec = now_usec();
        peer_rest(exchange->peer);
        exchange->route->handle(exchange, exchange->http->options.userdata);
}

static enum MHD_Result exchange_complete(HttpExchange *exchange) {
        int r = exchange->refusal.code ? 0 : exchange_watch(exchange);

        if (r < 0)
                refusal_set(&exchange->refusal, 503, "out_of_memory", NULL, NULL,
                            "the agent cannot watch the connection: %s", strerror(-r));
        if (exchange->refusal.code)
                return refuse_early(exchange);
        exchange_handle(exchange);
        if (exchange->state == EXCHANGE_ANSWERED)
                return send_response(exchange);
        exchange_suspend(exchange);
        return MHD_YES;
}

static enum MHD_Result on_access(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
                                 const char *version, const char *data, size_t *data_size, void **context) {
        HttpExchange *exchange = *context;

        (void) version;
        if (!exchange) {
                exchange = exchange_new(cls, connection);
                if (!exchange)
                        return MHD_NO;
                *context = exchange;
                return exchange_open(exchange, method, url);
        }
        if (*data_size > 0) {
                exchange_take(exchange, data, *data_size);
                *data_size = 0;
                return MHD_YES;
        }
        return exchange->state == EXCHANGE_READING ? exchange_complete(exchange) : send_response(exchange);
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode code) {
        HttpExchange *exchange = *context;
        Http *http;

        (void) cls;
        (void) connection;
        (void) code;
        if (!exchange)
                return;
        exchange_tell_gone(exchange);
        exchange->peer->served = true;
        exchange->peer->exchange = NULL;
        peer_expect(exchange->peer);
        http = exchange->http;
        exchange_free(exchange);
        *context = NULL;
        http->options.settled(http->options.userdata);
}

PRINTF_LIKE(2, 0) static void on_message(void *cls, const char *format, va_list arguments) {
        CLEANUP_FREE char *message = text_format_list(format, arguments);

        (void) cls;
        if (!message)
                return;
        message[strcspn(message, "\n")] = '\0';
        log_line(LOG_DEBUG, "http: %s", message);
}

/* ---- the server ---- */

/* libmicrohttpd hands out C strings: an escaped NUL, which would cut one off, is left as it is, and nothing has such a
 * name. */
static size_t on_unescape(void *cls, struct MHD_Connection *connection, char *text) {
        (void) cls;
        (void) connection;
        return strstr(text, "%00") ? strlen(text) : MHD_http_unescape(text);
}

static int exit_on_failure(sd_event_source *source, const char *description) {
        (void) sd_event_source_set_description(source, description);
        return sd_event_source_set_exit_on_failure(source, true);
}

static int start_daemon(Http *http, int listen_fd) {
        const union MHD_DaemonInfo *info;
        int flags = fcntl(listen_fd, F_GETFL), r;

        /* systemd hands out blocking listeners; accept() on one could block the loop. */
        if (flags < 0 || fcntl(listen_fd, F_SETFL, flags | O_NONBLOCK) < 0)
                return -errno;
        http->daemon = MHD_start_daemon(
                MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_access, http,
                MHD_OPTION_EXTERNAL_LOGGER, on_message, NULL, MHD_OPTION_LISTEN_SOCKET, (MHD_socket) listen_fd,
                MHD_OPTION_CONNECTION_LIMIT, http->options.max_connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                CONNECTION_MEMORY, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_NOTIFY_CONNECTION,
                on_connection, http, MHD_OPTION_UNESCAPE_CALLBACK, on_unescape, NULL, MHD_OPTION_END);
        if (!http->daemon)
                return -EIO;
        info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
        if (!info)
                return -EIO;
        r = sd_event_add_io(http->event, &http->io, info->epoll_fd, EPOLLIN, on_epoll, http);
        if (r >= 0)
                r = sd_event_add_time_relative(http->event, &http->timer, CLOCK_MONOTONIC, 0, 1, on_timer, http);
        if (r >= 0)
                r = sd_event_add_defer(http->event, &http->kick, on_kick, http);
        if (r >= 0)
                r = exit_on_failure(http->io, "http-epoll");
        if (r >= 0)
                r = exit_on_failure(http->kick, "http-kick");
        return r < 0 ? r : exit_on_failure(http->timer, "http-timer");
}

int http_new(sd_event *event, int listen_fd, const HttpOptions *options, Http **ret_http) {
        CLEANUP(http_freep) Http *http = calloc(1, sizeof(*http));
        int r;

        if (!http)
                return -ENOMEM;
        http->event = sd_event_ref(event);
        http->options = *options;
        r = start_daemon(http, listen_fd);
        if (r < 0)
                return r;
        *ret_http = TAKE_PTR(http);
        return 0;
}

void http_drain(Http *http) {
        if (http->draining)
                return;
        http->draining = true;
        /* The listener stays open, and what connects from now on waits in it for the next agent. */
        (void) MHD_quiesce_daemon(http->daemon);
}

Http *http_free(Http *http) {
        if (!http)
                return NULL;
        if (http->daemon) {
                http_drain(http);
                for (HttpExchange *exchange = http->first; exchange; exchange = exchange->next) {
                        exchange_tell_gone(exchange);
                        exchange_resume(exchange);
                }
                (void) MHD_run(http->daemon);
                MHD_stop_daemon(http->daemon);
        }
        (void) sd_event_source_disable_unref(http->io);
        (void) sd_event_source_disable_unref(http->timer);
        (void) sd_event_source_disable_unref(http->kick);
        (void) sd_event_unref(http->event);
        free(http);
        return NULL;
}

size_t http_busy(const Http *http) {
        return http->busy;
}

size_t http_waiting_bytes(const Http *http) {
        size_t bytes = 0;

        for (const HttpExchange *exchange = http->first; exchange; exchange = exchange->next)
                bytes += exchange->response_size + exchange->stream.allocated;
        return bytes;
}

void http_set_limits(Http *http, size_t body_limit, uint64_t request_usec) {
        http->options.body_limit = body_limit;
        http->options.request_usec = request_usec;
}

/* ---- getters ---- */

const Buffer *http_exchange_body(const HttpExchange *exchange) {
        return &exchange->body;
}

const char *http_exchange_query(const HttpExchange *exchange, const char *name) {
        const char *value = NULL;

        if (MHD_lookup_connection_value_n(exchange->connection, MHD_GET_ARGUMENT_KIND, name, strlen(name), &value,
                                          NULL) != MHD_YES)
                return NULL;
        return value ? value : "";
}

typedef struct QueryWalk {
        const char *known;
        bool known_seen;
        const char *unknown;
} QueryWalk;

static enum MHD_Result on_query(void *cls, enum MHD_ValueKind kind, const char *key, const char *value) {
        QueryWalk *walk = cls;

        (void) kind;
        (void) value;
        if (walk->known && strcmp(key, walk->known) == 0 && !walk->known_seen) {
                walk->known_seen = true;
                return MHD_YES;
        }
        walk->unknown = key;
        return MHD_NO;
}

const char *http_exchange_unknown_query(const HttpExchange *exchange, const char *known) {
        QueryWalk walk = {.known = known};

        (void) MHD_get_connection_values(exchange->connection, MHD_GET_ARGUMENT_KIND, on_query, &walk);
        return walk.unknown;
}

uint64_t http_exchange_arrived_usec(const HttpExchange *exchange) {
        return exchange->arrived_usec;
}

uid_t http_exchange_uid(const HttpExchange *exchange) {
        return exchange->peer->uid;
}

void http_exchange_set_userdata(HttpExchange *exchange, void *userdata) {
        exchange->userdata = userdata;
}

void *http_exchange_userdata(const HttpExchange *exchange) {
        return exchange->userdata;
}
