/* SPDX-License-Identifier: Apache-2.0 */

/* See docker-stream.h: a small state machine, either within a header or within a frame's payload. */

#include "docker-stream.h"

#include <errno.h>
#include <string.h>

static int header_complete(DockerStream *stream) {
        const uint8_t *h = stream->header;

        if (h[0] > DOCKER_STREAM_STDERR || h[1] != 0 || h[2] != 0 || h[3] != 0)
                return -EBADMSG;
        stream->left = (uint32_t) h[4] << 24 | (uint32_t) h[5] << 16 | (uint32_t) h[6] << 8 | h[7];
        if (stream->left == 0)
                stream->header_have = 0;
        return 0;
}

int docker_stream_feed(DockerStream *stream, const void *data, size_t size, DockerStreamHandler handler,
                       void *userdata) {
        const uint8_t *p = data;

        while (size > 0) {
                size_t n;
                int r;

                if (stream->header_have < sizeof(stream->header)) {
                        stream->header[stream->header_have++] = *p++;
                        size--;
                        if (stream->header_have == sizeof(stream->header)) {
                                r = header_complete(stream);
                                if (r < 0)
                                        return r;
                        }
                        continue;
                }

                n = size < stream->left ? size : stream->left;
                stream->left -= (uint32_t) n;
                if (stream->left == 0)
                        stream->header_have = 0;
                r = handler((DockerStreamId) stream->header[0], p, n, userdata);
                if (r < 0)
                        return r;
                p += n;
                size -= n;
        }
        return 0;
}
