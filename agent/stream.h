/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "frame.h"
#include "http.h"
#include "result.h"

/* The answer to ?stream=1: an execution as events, one JSON object a line (docs/openapi.yaml, schema Event). */

typedef struct Stream {
        HttpExchange *exchange;
        /* stdout's and stderr's: the beginning of a UTF-8 character whose rest is still to come, or all that a client
         * who is behind has to wait for. */
        Buffer held[2];
} Stream;

/* output_max: the most that the program's output can come to, which bounds what may wait for a slow reader. The
 * stream's functions return 0 or a negative errno; the client then sees an answer that is cut off. */
int stream_begin(Stream *stream, HttpExchange *exchange, size_t output_max, const Result *result);
int stream_output(Stream *stream, FrameType type, const uint8_t *data, size_t size);
/* Sends what was held back, now that the client has caught up. */
int stream_flush(Stream *stream);
int stream_end(Stream *stream, const Result *result);
void stream_deinit(Stream *stream);
