/* SPDX-License-Identifier: Apache-2.0 */

/* libcurl's multi interface driven by sd-event: curl tells which sockets it watches and when it wants to be woken, the
 * loop tells curl what happened, and after each such step all messages are read, since one action can end several
 * transfers. A transfer that ends is taken out of the multi handle before its owner is told, so that the owner may free
 * it on the spot. No low-speed limit is set: a wait for a container is silent by nature. */

#include "transfer.h"
#include "text.h"
#include "version.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TRANSPORT_KEPT_CONNECTIONS 16L
#define REDIRECTIONS_MAX 5L
#define CONNECT_MS 15000L

struct Transport {
        sd_event *event;
        sd_event_source *timer;
        sd_event_source *soon; /* for what is due at once: a timer would cost four system calls, ten times a sandbox */
        CURLM *multi;
};

struct Transfer {
        Transport *transport;
        CURL *easy;
        struct curl_slist *headers;
        char *wanted_header;
        Buffer request_body;
        Buffer response_body;
        char error_text[CURL_ERROR_SIZE];
        bool active;
        bool head_is_whole;
        bool too_large;
        int source_error;
        TransferSource source;
        TransferDone done;
        TransferData data;
        TransferProgress progress;
        void *userdata;
};

static int result_errno(CURLcode code, const Transfer *transfer) {
        if (transfer->too_large)
                return -EFBIG;
        if (transfer->source_error < 0)
                return transfer->source_error;
        switch (code) {
        case CURLE_OK:
                /* curl takes the end of a connection for the end of a head. */
                return transfer->head_is_whole ? 0 : -EIO;
        case CURLE_COULDNT_CONNECT:
                return -ECONNREFUSED;
        case CURLE_OPERATION_TIMEDOUT:
                return -ETIMEDOUT;
        case CURLE_OUT_OF_MEMORY:
                return -ENOMEM;
        default:
                return -EIO;
        }
}

static const char *wanted_header_value(const Transfer *transfer) {
        struct curl_header *header;

        if (!transfer->wanted_header ||
            curl_easy_header(transfer->easy, transfer->wanted_header, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
                return NULL;
        return header->value;
}

static void transfer_finish(Transfer *transfer, CURLcode code) {
        TransferResult result = {.error = result_errno(code, transfer), .body = &transfer->response_body};
        long status = 0, os_errno = 0;

        (void) curl_multi_remove_handle(transfer->transport->multi, transfer->easy);
        transfer->active = false;
        (void) curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
        (void) curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &os_errno);
        result.status = (unsigned) status;
        result.header_value = wanted_header_value(transfer);
        if (transfer->too_large)
                result.message = "the answer is too large";
        else if (transfer->source_error < 0)
                result.message = strerror(-transfer->source_error);
        else if (result.error == -ECONNREFUSED && os_errno != 0)
                result.message = strerror((int) os_errno);
        else if (result.error < 0 && code == CURLE_OK)
                result.message = "the answer was cut off";
        else if (result.error < 0)
                result.message = transfer->error_text[0] ? transfer->error_text : curl_easy_strerror(code);
        transfer->done(transfer, &result, transfer->userdata);
}

static void transport_read_messages(Transport *transport) {
        CURLMsg *message;
        int left;

        while ((message = curl_multi_info_read(transport->multi, &left))) {
                Transfer *transfer = NULL;

                if (message->msg != CURLMSG_DONE)
                        continue;
                if (curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **) &transfer) == CURLE_OK)
                        transfer_finish(transfer, message->data.result);
        }
}

static int transport_act(Transport *transport, curl_socket_t fd, int events) {
        int running;

        if (curl_multi_socket_action(transport->multi, fd, events, &running) != CURLM_OK)
                return -EIO;
        transport_read_messages(transport);
        return 0;
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        int events = 0;

        (void) source;
        if (revents & (EPOLLIN | EPOLLHUP | EPOLLERR))
                events |= CURL_CSELECT_IN;
        if (revents & EPOLLOUT)
                events |= CURL_CSELECT_OUT;
        if (revents & EPOLLERR)
                events |= CURL_CSELECT_ERR;
        return transport_act(userdata, fd, events);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        (void) source;
        (void) usec;
        return transport_act(userdata, CURL_SOCKET_TIMEOUT, 0);
}

static int on_soon(sd_event_source *source, void *userdata) {
        (void) source;
        return transport_act(userdata, CURL_SOCKET_TIMEOUT, 0);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *userdata, void *socket_data) {
        Transport *transport = userdata;
        sd_event_source *source = socket_data;
        uint32_t events = 0;

        (void) easy;
        if (what == CURL_POLL_REMOVE) {
                (void) sd_event_source_disable_unref(source);
                return curl_multi_assign(transport->multi, fd, NULL) == CURLM_OK ? 0 : -1;
        }
        if (what & CURL_POLL_IN)
                events |= EPOLLIN;
        if (what & CURL_POLL_OUT)
                events |= EPOLLOUT;
        if (source)
                return sd_event_source_set_io_events(source, events) < 0 ? -1 : 0;
        if (sd_event_add_io(transport->event, &source, fd, events, on_io, transport) < 0)
                return -1;
        (void) sd_event_source_set_description(source, "transfer-socket");
        (void) sd_event_source_set_exit_on_failure(source, true);
        return curl_multi_assign(transport->multi, fd, source) == CURLM_OK ? 0 : -1;
}

static int on_timeout_change(CURLM *multi, long timeout_ms, void *userdata) {
        Transport *transport = userdata;

        (void) multi;
        if (sd_event_source_set_enabled(transport->soon, timeout_ms == 0 ? SD_EVENT_ONESHOT : SD_EVENT_OFF) < 0)
                return -1;
        if (timeout_ms <= 0)
                return sd_event_source_set_enabled(transport->timer, SD_EVENT_OFF) < 0 ? -1 : 0;
        if (sd_event_source_set_time_relative(transport->timer, (uint64_t) timeout_ms * USEC_PER_MSEC) < 0)
                return -1;
        return sd_event_source_set_enabled(transport->timer, SD_EVENT_ONESHOT) < 0 ? -1 : 0;
}

static bool answer_is_success(const Transfer *transfer) {
        long status = 0;

        (void) curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
        return status >= 200 && status < 300;
}

static size_t on_body(char *data, size_t size, size_t count, void *userdata) {
        Transfer *transfer = userdata;
        size_t n = size * count; /* size is always 1 (CURLOPT_WRITEFUNCTION(3)) */

        if (transfer->data && answer_is_success(transfer)) {
                transfer->data(transfer, data, n, transfer->userdata);
                return n;
        }
        if (buffer_append(&transfer->response_body, data, n) < 0) {
                transfer->too_large = true;
                return 0;
        }
        return n;
}

/* Called for each line of each head, the empty last one included (CURLOPT_HEADERFUNCTION(3)). */
/* NOLINTNEXTLINE(readability-non-const-parameter): the type is curl's */
static size_t on_header(char *line, size_t size, size_t count, void *userdata) {
        Transfer *transfer = userdata;

        if (line[0] == '\r' || line[0] == '\n')
                transfer->head_is_whole = true;
        else if (size * count >= 5 && memcmp(line, "HTTP/", 5) == 0)
                transfer->head_is_whole = false; /* another one after a redirection */
        return size * count;
}

static int make_sources(Transport *transport) {
        int r = sd_event_add_time_relative(transport->event, &transport->timer, CLOCK_MONOTONIC, 0, 10 * USEC_PER_MSEC,
                                           on_timer, transport);

        if (r >= 0)
                r = sd_event_add_defer(transport->event, &transport->soon, on_soon, transport);
        if (r >= 0)
                r = sd_event_source_set_enabled(transport->timer, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_source_set_enabled(transport->soon, SD_EVENT_OFF);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(transport->timer, "transfer-timer");
        (void) sd_event_source_set_description(transport->soon, "transfer-soon");
        return sd_event_source_set_exit_on_failure(transport->soon, true);
}

int transport_new(sd_event *event, Transport **ret_transport) {
        CLEANUP(transport_freep) Transport *transport = calloc(1, sizeof(*transport));
        int r;

        if (!transport)
                return -ENOMEM;
        transport->event = sd_event_ref(event);
        r = make_sources(transport);
        if (r < 0)
                return r;

        /* All that is talked to is on unix sockets: there is no TLS to set up. */
        if (curl_global_init(CURL_GLOBAL_NOTHING) != CURLE_OK)
                return -ENOMEM;
        transport->multi = curl_multi_init();
        if (!transport->multi)
                return -ENOMEM;
        if (curl_multi_setopt(transport->multi, CURLMOPT_SOCKETFUNCTION, on_socket) != CURLM_OK ||
            curl_multi_setopt(transport->multi, CURLMOPT_SOCKETDATA, transport) != CURLM_OK ||
            curl_multi_setopt(transport->multi, CURLMOPT_TIMERFUNCTION, on_timeout_change) != CURLM_OK ||
            curl_multi_setopt(transport->multi, CURLMOPT_TIMERDATA, transport) != CURLM_OK ||
            curl_multi_setopt(transport->multi, CURLMOPT_MAXCONNECTS, TRANSPORT_KEPT_CONNECTIONS) != CURLM_OK)
                return -EIO;
        *ret_transport = TAKE_PTR(transport);
        return 0;
}

Transport *transport_free(Transport *transport) {
        if (!transport)
                return NULL;
        if (transport->multi)
                (void) curl_multi_cleanup(transport->multi);
        (void) sd_event_source_disable_unref(transport->timer);
        (void) sd_event_source_disable_unref(transport->soon);
        (void) sd_event_unref(transport->event);
        free(transport);
        return NULL;
}

static int add_header(Transfer *transfer, const char *header) {
        struct curl_slist *headers = curl_slist_append(transfer->headers, header);

        if (!headers)
                return -ENOMEM;
        transfer->headers = headers;
        return 0;
}

static size_t on_source(char *data, size_t size, size_t count, void *userdata) {
        Transfer *transfer = userdata;
        ssize_t n = transfer->source(data, size * count, transfer->userdata);

        if (n >= 0)
                return (size_t) n;
        transfer->source_error = (int) n;
        return CURL_READFUNC_ABORT;
}

/* CURLOPT_UPLOAD is what makes curl ask for pieces; the method's name is set apart from it. */
static int set_source(Transfer *transfer) {
        if (curl_easy_setopt(transfer->easy, CURLOPT_UPLOAD, 1L) != CURLE_OK ||
            curl_easy_setopt(transfer->easy, CURLOPT_READFUNCTION, on_source) != CURLE_OK ||
            curl_easy_setopt(transfer->easy, CURLOPT_READDATA, transfer) != CURLE_OK)
                return -EIO;
        return add_header(transfer, "Transfer-Encoding: chunked");
}

static int set_whole_body(Transfer *transfer, const TransferRequest *request) {
        int r;

        transfer->request_body = BUFFER_INIT(request->body_size);
        r = buffer_append(&transfer->request_body, request->body, request->body_size);
        if (r < 0)
                return r;
        if (curl_easy_setopt(transfer->easy, CURLOPT_POST, 1L) != CURLE_OK ||
            curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) request->body_size) !=
                    CURLE_OK ||
            curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDS, transfer->request_body.data) != CURLE_OK)
                return -EIO;
        return 0;
}

static int set_body(Transfer *transfer, const TransferRequest *request) {
        const char *type = request->content_type ? request->content_type : "application/json";
        CLEANUP_FREE char *header = NULL;
        int r;

        if (!request->source && !request->body && strcmp(request->method, "POST") != 0)
                return 0;
        r = request->source ? set_source(transfer) : set_whole_body(transfer, request);
        if (r < 0)
                return r;
        header = text_format("Content-Type: %s", type);
        r = header ? add_header(transfer, header) : -ENOMEM;
        return r < 0 ? r : add_header(transfer, "Expect:");
}

static int on_progress(void *userdata, curl_off_t expected, curl_off_t received, curl_off_t to_send, curl_off_t sent) {
        Transfer *transfer = userdata;

        (void) to_send;
        (void) sent;
        transfer->progress((uint64_t) received, (uint64_t) expected, transfer->userdata);
        return 0;
}

/* $https_proxy, $http_proxy and $no_proxy are libcurl's own affair. */
static int set_tcp_options(Transfer *transfer, const TransferRequest *request) {
        CURL *easy = transfer->easy;
        const char *protocols = strncasecmp(request->url, "https:", 6) == 0 ? "https" : "http,https";

        if (curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, protocols) != CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, protocols) != CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, request->follow ? 1L : 0L) != CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_MAXREDIRS, REDIRECTIONS_MAX) != CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_USERAGENT, "tee-agent/" TEE_VERSION) != CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS) != CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L) != CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, TRANSFER_STALL_S) != CURLE_OK)
                return -EIO;
        return 0;
}

static int set_options(Transfer *transfer, const TransferRequest *request) {
        CURL *easy = transfer->easy;
        int r = set_body(transfer, request);

        if (r >= 0 && !request->unix_socket)
                r = set_tcp_options(transfer, request);
        if (r < 0)
                return r;
        if (request->progress && (curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress) != CURLE_OK ||
                                  curl_easy_setopt(easy, CURLOPT_XFERINFODATA, transfer) != CURLE_OK ||
                                  curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L) != CURLE_OK))
                return -EIO;
        if (curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer) != CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_URL, request->url) != CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method) != CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers) != CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error_text) != CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) != CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer) != CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header) != CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer) != CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) != CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_NOPROXY, request->unix_socket ? "*" : NULL) != CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, request->unix_socket) != CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long) request->timeout_ms) != CURLE_OK)
                return -EIO;
        return 0;
}

int transfer_start(Transport *transport, const TransferRequest *request, TransferDone done, TransferData data,
                   void *userdata, Transfer **ret_transfer) {
        CLEANUP(transfer_freep) Transfer *transfer = calloc(1, sizeof(*transfer));
        int r;

        if (!transfer)
                return -ENOMEM;
        *transfer = (Transfer){
                .transport = transport,
                .response_body = BUFFER_INIT(request->response_limit),
                .source = request->source,
                .done = done,
                .data = data,
                .progress = request->progress,
                .userdata = userdata,
        };
        transfer->easy = curl_easy_init();
        if (!transfer->easy)
                return -ENOMEM;
        if (request->header) {
                transfer->wanted_header = strdup(request->header);
                if (!transfer->wanted_header)
                        return -ENOMEM;
        }
        r = set_options(transfer, request);
        if (r < 0)
                return r;
        if (curl_multi_add_handle(transport->multi, transfer->easy) != CURLM_OK)
                return -ENOMEM;
        transfer->active = true;
        *ret_transfer = TAKE_PTR(transfer);
        return 0;
}

Transfer *transfer_free(Transfer *transfer) {
        if (!transfer)
                return NULL;
        if (transfer->active)
                (void) curl_multi_remove_handle(transfer->transport->multi, transfer->easy);
        if (transfer->easy)
                curl_easy_cleanup(transfer->easy);
        curl_slist_free_all(transfer->headers);
        buffer_deinit(&transfer->request_body);
        buffer_deinit(&transfer->response_body);
        free(transfer->wanted_header);
        free(transfer);
        return NULL;
}
