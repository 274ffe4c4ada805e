/* SPDX-License-Identifier: Apache-2.0 */

/* Output comes cut where pipes cut it. An event's text has to be whole characters, so up to three bytes of one that is
 * not complete wait for the next piece; bytes that are no text go as base64. An event costs some forty bytes of its
 * own, so that a program which prints byte by byte could fill the memory of a server whose client reads slowly: while a
 * client is behind, output is held back and becomes one event once it has caught up, or at the end. */

#include "stream.h"

#include <errno.h>
#include <string.h>

/* How far a client may be behind before output is held back. */
#define BEHIND_MAX ((size_t) 64 * 1024)
/* Text no more than doubles in JSON, base64 grows by a third; then there are the events' own bytes. */
#define JSON_GROWTH 2U
#define EVENTS_OWN ((size_t) 2 * 1024 * 1024)

static int write_event(Stream *stream, const cJSON *event) {
        CLEANUP_JSON_TEXT char *text = event ? cJSON_PrintUnformatted(event) : NULL;
        Buffer line = BUFFER_INIT(SIZE_MAX / 2);
        int r;

        if (!text)
                return -ENOMEM;
        r = buffer_append_text(&line, text);
        if (r >= 0)
                r = buffer_append(&line, "\n", 1);
        if (r >= 0)
                r = http_exchange_stream_write(stream->exchange, line.data, line.size);
        buffer_deinit(&line);
        return r;
}

/* What could not be said cuts the answer off: an incomplete stream must not look like a whole one. */
static int checked(Stream *stream, int r) {
        if (r < 0)
                http_exchange_stream_abort(stream->exchange);
        return r;
}

static cJSON *event_new(const char *name) {
        CLEANUP_JSON cJSON *event = cJSON_CreateObject();

        if (!event || json_add(event, "event", cJSON_CreateString(name)) < 0)
                return NULL;
        return TAKE_PTR(event);
}

int stream_begin(Stream *stream, HttpExchange *exchange, size_t output_max, const Result *result) {
        CLEANUP_JSON cJSON *event = event_new("started");
        int r;

        if (event && (json_add(event, "id", cJSON_CreateString(result->id)) < 0 ||
                      json_add(event, "sandbox", result_sandbox_to_json(result)) < 0)) {
                cJSON_Delete(event);
                event = NULL;
        }
        *stream = (Stream){
                .exchange = exchange,
                .held = {BUFFER_INIT(output_max), BUFFER_INIT(output_max)},
        };
        r = http_exchange_stream_begin(exchange, "application/x-ndjson", output_max * JSON_GROWTH + EVENTS_OWN);
        return checked(stream, r < 0 ? r : write_event(stream, event));
}

static const char *event_name(FrameType type) {
        return type == FRAME_STDOUT ? "stdout" : "stderr";
}

/* Sends what is held of one stream: all of it, or without a character that is not complete. */
static int send_held(Stream *stream, FrameType type, bool all) {
        Buffer *held = &stream->held[type == FRAME_STDOUT ? 0 : 1];
        size_t size = held->size - (all ? 0 : utf8_incomplete_tail(held->data, held->size));
        CLEANUP_JSON cJSON *event = NULL;
        int r;

        if (size == 0)
                return 0;
        event = event_new(event_name(type));
        if (!event || json_add(event, "data", json_new_text(held->data, size)) < 0)
                return -ENOMEM;
        r = write_event(stream, event);
        if (r >= 0)
                buffer_consume(held, size);
        return r;
}

static int send_both(Stream *stream, bool all) {
        int r = send_held(stream, FRAME_STDOUT, all);

        return r < 0 ? r : send_held(stream, FRAME_STDERR, all);
}

int stream_flush(Stream *stream) {
        return checked(stream, send_both(stream, false));
}

int stream_output(Stream *stream, FrameType type, const uint8_t *data, size_t size) {
        int r = buffer_append(&stream->held[type == FRAME_STDOUT ? 0 : 1], data, size);

        if (r >= 0 && http_exchange_stream_waiting(stream->exchange) < BEHIND_MAX)
                r = send_held(stream, type, false);
        return checked(stream, r);
}

int stream_end(Stream *stream, const Result *result) {
        CLEANUP_JSON cJSON *event = event_new("ended");
        int r = send_both(stream, true);

        if (r >= 0)
                r = !event || json_add(event, "result", result_to_json(result, false)) < 0 ? -ENOMEM : 0;
        if (r >= 0)
                r = write_event(stream, event);
        if (r >= 0)
                http_exchange_stream_end(stream->exchange);
        return checked(stream, r);
}

void stream_deinit(Stream *stream) {
        buffer_deinit(&stream->held[0]);
        buffer_deinit(&stream->held[1]);
}
