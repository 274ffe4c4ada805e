/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base.h"

/* Parser of the frames in which Docker's attach carries a container's stdout and stderr (Docker Engine API,
 * "ContainerAttach", stream format): 1 byte stream, 3 zero bytes, 4 bytes big-endian length. Holds no payload: pieces
 * are passed on as they come, so a frame's length needs no bound. */

typedef enum DockerStreamId {
        DOCKER_STREAM_STDIN = 0, /* never seen with a container that has no echo */
        DOCKER_STREAM_STDOUT = 1,
        DOCKER_STREAM_STDERR = 2,
} DockerStreamId;

typedef struct DockerStream {
        uint8_t header[8];
        size_t header_have;
        uint32_t left; /* bytes of the current frame that are still to come */
} DockerStream;

/* A piece of at least one byte. A negative return ends the feed with that value; the parser is not touched again. */
typedef int (*DockerStreamHandler)(DockerStreamId id, const uint8_t *data, size_t size, void *userdata);

/* Returns 0, -EBADMSG for bytes that are no such frame, or what the handler returned. */
int docker_stream_feed(DockerStream *stream, const void *data, size_t size, DockerStreamHandler handler,
                       void *userdata);
