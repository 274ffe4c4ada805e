/* SPDX-License-Identifier: Apache-2.0 */

/* A sandbox's whole output as lib/sandbox.c reads it: Docker's frames, in them the guest's, in READY the evidence.
 * The input begins with the sizes of the pieces that arrive (a count, then one byte each, used in turn); however it is
 * cut, the same frames must be seen and the same verdict be given. */

#include "buffer.h"
#include "docker-stream.h"
#include "evidence.h"
#include "frame.h"

#include <errno.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)          \
        do {                      \
                if (!(condition)) \
                        abort();  \
        } while (0)

typedef struct Reading {
        DockerStream stream;
        FrameReader frames;
        bool proven, ended;
        Buffer trace; /* type, size and payload of each frame */
} Reading;

static int on_ready(Reading *reading, const uint8_t *payload, size_t size) {
        Evidence evidence;

        if (reading->proven || size < 4 || frame_u32_decode(payload) != FRAME_PROTOCOL_VERSION ||
            evidence_parse(payload + 4, size - 4, &evidence) < 0)
                return -EBADMSG;
        if (evidence_not_gvisor(&evidence, "6.1.0-41-amd64"))
                return -EPERM;
        /* What is believed has at least gVisor's own words in it. */
        CHECK(memmem(payload, size, "Starting gVisor", 15) && memmem(payload, size, "Jan 10 15:06:54 PST 2016", 24));
        reading->proven = true;
        return 0;
}

static int on_frame(uint8_t type, const uint8_t *payload, size_t size, void *userdata) {
        Reading *reading = userdata;
        FrameExit report;
        FrameFault fault;

        CHECK(size <= FRAME_PAYLOAD_MAX && !reading->ended);
        CHECK(buffer_append(&reading->trace, &type, sizeof(type)) == 0);
        CHECK(buffer_append(&reading->trace, &size, sizeof(size)) == 0);
        CHECK(buffer_append(&reading->trace, payload, size) == 0);
        if (type == FRAME_READY)
                return on_ready(reading, payload, size);
        if (type == FRAME_FAULT) {
                reading->ended = true;
                return frame_fault_decode(payload, size, &fault) < 0 ? -EBADMSG : -ESHUTDOWN;
        }
        if (!reading->proven)
                return -EBADMSG;
        if (type == FRAME_STDOUT || type == FRAME_STDERR)
                return size > 0 ? 0 : -EBADMSG;
        reading->ended = true;
        return type == FRAME_EXIT && frame_exit_decode(payload, size, &report) == 0 ? -ESHUTDOWN : -EBADMSG;
}

static int on_piece(DockerStreamId id, const uint8_t *data, size_t size, void *userdata) {
        Reading *reading = userdata;

        CHECK(size > 0 && id <= DOCKER_STREAM_STDERR);
        return id == DOCKER_STREAM_STDOUT ? frame_reader_feed(&reading->frames, data, size, on_frame, reading) : 0;
}

static int read_in_pieces(Reading *reading, const uint8_t *data, size_t size, const uint8_t *pieces, size_t count) {
        int r = 0;

        for (size_t at = 0, i = 0; r == 0 && at < size; i++) {
                size_t n = count > 0 ? pieces[i % count] + 1U : size;

                if (n > size - at)
                        n = size - at;
                r = docker_stream_feed(&reading->stream, data + at, n, on_piece, reading);
                at += n;
        }
        return r;
}

static void reading_init(Reading *reading) {
        reading->stream = (DockerStream){0};
        frame_reader_init(&reading->frames);
        reading->proven = reading->ended = false;
        reading->trace = BUFFER_INIT(SIZE_MAX / 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static Reading whole, cut;
        size_t count = size > 0 ? data[0] % 16 : 0;

        if (size < 1 + count)
                return 0;
        reading_init(&whole);
        reading_init(&cut);
        CHECK(read_in_pieces(&whole, data + 1 + count, size - 1 - count, NULL, 0) ==
              read_in_pieces(&cut, data + 1 + count, size - 1 - count, data + 1, count));
        CHECK(whole.trace.size == cut.trace.size);
        CHECK(whole.trace.size == 0 || memcmp(whole.trace.data, cut.trace.data, whole.trace.size) == 0);
        CHECK(whole.proven == cut.proven && whole.ended == cut.ended);
        buffer_deinit(&whole.trace);
        buffer_deinit(&cut.trace);
        return 0;
}
