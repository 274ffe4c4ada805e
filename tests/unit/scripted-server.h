/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A server on a unix socket that answers as a test tells it, for what a real Docker cannot be made to do: stall, lie,
 * cut its answers off. It lives in the test's own loop, at a lower priority than its client, so that each piece that it
 * sends has been read before the next one goes out. */

#include "buffer.h"

#include <systemd/sd-event.h>

typedef struct ScriptedServer ScriptedServer;

typedef struct ServerAnswer {
        const void *data; /* sent as it is; NULL: nothing is answered. Must stay until it has been sent */
        size_t size;
        size_t piece;     /* bytes at a time; 0: all at once */
        bool close;       /* afterwards */
        bool then_stream; /* what comes afterwards is no HTTP: server_received() */
} ServerAnswer;

/* A text as a whole answer. */
#define ANSWER(text) ((ServerAnswer){.data = (text), .size = sizeof(text) - 1})

/* Called for each whole request. head is all of it up to the blank line, body what its Content-Length told, or what its
 * chunks carried. */
typedef ServerAnswer (*ServerHandler)(const char *head, const char *body, void *userdata);

/* Listens in a new folder. Fails the test rather than returning NULL. */
ScriptedServer *server_new(sd_event *event, ServerHandler handler, void *userdata);
ScriptedServer *server_free(ScriptedServer *server);

const char *server_path(const ScriptedServer *server);

/* Connections that are open. */
size_t server_connections(const ScriptedServer *server);

/* The rest works on the stream that was begun last, or else on the connection that was accepted last. */

bool server_has_stream(const ScriptedServer *server);

/* More bytes after an answer. */
void server_send(ScriptedServer *server, const void *data, size_t size, size_t piece);
void server_close(ScriptedServer *server);

/* Reads no more until told to go on. */
void server_pause(ScriptedServer *server, bool paused);

/* What has come since an answer with then_stream. */
const Buffer *server_received(const ScriptedServer *server);

/* Runs the loop until *done, and fails the test when that takes 20 seconds. */
void loop_until(sd_event *event, const bool *done);

/* Runs the loop until nothing happens any more but timers. */
void loop_settle(sd_event *event);
