/* SPDX-License-Identifier: Apache-2.0 */

/* Frames from a guest that user code has taken over. The first byte of the input says how the rest is cut; whatever
 * the cuts, the reader must see the same frames as in one piece, and the frames that it sees, encoded again, must be
 * the bytes that came in. What a decoder accepts must survive being encoded. */

#include "frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)          \
        do {                      \
                if (!(condition)) \
                        abort();  \
        } while (0)

typedef struct Walk {
        const uint8_t *data;
        size_t size;
        size_t at; /* bytes of the frames seen so far */
        size_t frames;
        size_t stop_at; /* the frame at which the handler refuses; 0: never */
} Walk;

static void limits_check(const uint8_t *payload, size_t size) {
        uint8_t again[FRAME_LIMITS_SIZE];
        FrameLimits limits;

        if (frame_limits_decode(payload, size, &limits) < 0)
                return;
        frame_limits_encode(again, &limits);
        CHECK(size == sizeof(again) && memcmp(again, payload, size) == 0);
}

static void exit_check(const uint8_t *payload, size_t size) {
        uint8_t again[FRAME_EXIT_SIZE];
        FrameExit report;

        if (frame_exit_decode(payload, size, &report) < 0)
                return;
        CHECK(report.kind == FRAME_EXIT_EXITED ? report.value <= 255 : report.value >= 1 && report.value <= 64);
        frame_exit_encode(again, &report);
        CHECK(size == sizeof(again) && memcmp(again, payload, size) == 0);
}

static void fault_check(const uint8_t *payload, size_t size) {
        FrameFault fault;

        if (frame_fault_decode(payload, size, &fault) < 0)
                return;
        CHECK(fault.reason >= FRAME_FAULT_PROTOCOL && fault.reason <= FRAME_FAULT_GUEST);
        CHECK((const uint8_t *) fault.message == payload + FRAME_FAULT_HEADER_SIZE);
        CHECK(fault.message_size == size - FRAME_FAULT_HEADER_SIZE);
}

/* A safe path, taken apart in another way than frame.c does it, has nothing that could lead out of a folder. */
static void path_check(const uint8_t *payload, size_t size) {
        char path[1026];

        if (!frame_path_is_safe((const char *) payload, size))
                return;
        CHECK(size > 0 && size <= 1024 && memchr(payload, '\0', size) == NULL);
        path[0] = '/';
        memcpy(path + 1, payload, size);
        path[size + 1] = '\0';
        CHECK(strstr(path, "//") == NULL && strstr(path, "/../") == NULL && strstr(path, "/./") == NULL);
        CHECK(path[size] != '/' && strcmp(strrchr(path, '/'), "/..") != 0 && strcmp(strrchr(path, '/'), "/.") != 0);
}

static int on_frame(uint8_t type, const uint8_t *payload, size_t size, void *userdata) {
        uint8_t header[FRAME_HEADER_SIZE];
        Walk *walk = userdata;

        CHECK(size <= FRAME_PAYLOAD_MAX && walk->size - walk->at >= FRAME_HEADER_SIZE + size);
        frame_header_encode(header, (FrameType) type, size);
        CHECK(memcmp(walk->data + walk->at, header, sizeof(header)) == 0);
        CHECK(size == 0 || memcmp(walk->data + walk->at + sizeof(header), payload, size) == 0);
        walk->at += FRAME_HEADER_SIZE + size;

        limits_check(payload, size);
        exit_check(payload, size);
        fault_check(payload, size);
        path_check(payload, size);
        return ++walk->frames == walk->stop_at ? -ECANCELED : 0;
}

/* The next cut: sizes that a small generator makes of the seed; 0 is one of them. */
static size_t cut_next(uint32_t *state) {
        *state = *state * 1664525U + 1013904223U;
        return (*state >> 24) % ((*state >> 16 & 7U) == 0 ? 256U : 12U);
}

static int feed_cut(FrameReader *reader, Walk *walk, uint32_t seed) {
        int r = 0;

        for (size_t at = 0; r == 0 && at < walk->size;) {
                size_t n = cut_next(&seed);

                if (n > walk->size - at)
                        n = walk->size - at;
                r = frame_reader_feed(reader, walk->data + at, n, on_frame, walk);
                at += n;
        }
        return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static FrameReader whole_reader, cut_reader;
        Walk whole, cut;
        int r;

        if (size == 0)
                return 0;

        whole = (Walk){.data = data + 1, .size = size - 1, .stop_at = data[0] & 7U};
        cut = whole;
        frame_reader_init(&whole_reader);
        frame_reader_init(&cut_reader);

        r = frame_reader_feed(&whole_reader, whole.data, whole.size, on_frame, &whole);
        CHECK(r == 0 || r == -EBADMSG || r == -ECANCELED);
        CHECK(feed_cut(&cut_reader, &cut, data[0]) == r);
        CHECK(cut.frames == whole.frames && cut.at == whole.at);

        if (r == 0) {
                CHECK(frame_reader_at_boundary(&whole_reader) == (whole.at == whole.size));
                CHECK(frame_reader_at_boundary(&cut_reader) == (whole.at == whole.size));
        } else if (r == -EBADMSG) /* and it stays so, whatever length that header had */
                CHECK(frame_reader_feed(&cut_reader, data, size, on_frame, &cut) == -EBADMSG);
        return 0;
}
