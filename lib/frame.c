/* SPDX-License-Identifier: Apache-2.0 */

/* Encoding and decoding of the guest protocol. Pure functions over bytes: agent and guest are built from this one
 * file, so they cannot disagree. The reader is strict, because the peer of the agent's reader is, in the worst case, a
 * guest that user code has taken over: reserved bytes must be zero, and no length beyond the fixed payload is believed.
 */

#include "frame.h"

#include <errno.h>
#include <string.h>

void frame_u64_encode(uint8_t ret_bytes[8], uint64_t value) {
        frame_u32_encode(ret_bytes, (uint32_t) (value >> 32));
        frame_u32_encode(ret_bytes + 4, (uint32_t) value);
}

uint64_t frame_u64_decode(const uint8_t bytes[8]) {
        return (uint64_t) frame_u32_decode(bytes) << 32 | frame_u32_decode(bytes + 4);
}

void frame_u32_encode(uint8_t ret_bytes[4], uint32_t value) {
        ret_bytes[0] = (uint8_t) (value >> 24);
        ret_bytes[1] = (uint8_t) (value >> 16);
        ret_bytes[2] = (uint8_t) (value >> 8);
        ret_bytes[3] = (uint8_t) value;
}

uint32_t frame_u32_decode(const uint8_t bytes[4]) {
        return (uint32_t) bytes[0] << 24 | (uint32_t) bytes[1] << 16 | (uint32_t) bytes[2] << 8 | bytes[3];
}

void frame_header_encode(uint8_t ret_header[FRAME_HEADER_SIZE], FrameType type, size_t size) {
        ret_header[0] = (uint8_t) type;
        memset(ret_header + 1, 0, 3);
        frame_u32_encode(ret_header + 4, (uint32_t) size);
}

void frame_reader_init(FrameReader *reader) {
        reader->have = 0;
        reader->length = 0;
}

bool frame_reader_at_boundary(const FrameReader *reader) {
        return reader->have == 0;
}

/* Takes up to what is missing of target; returns the bytes taken. */
static size_t take(uint8_t *target, size_t missing, const uint8_t *data, size_t size) {
        size_t n = size < missing ? size : missing;

        if (n > 0)
                memcpy(target, data, n);
        return n;
}

static int header_check(FrameReader *reader) {
        if (reader->header[1] != 0 || reader->header[2] != 0 || reader->header[3] != 0)
                return -EBADMSG;
        reader->length = frame_u32_decode(reader->header + 4);
        return reader->length <= FRAME_PAYLOAD_MAX ? 0 : -EBADMSG;
}

int frame_reader_feed(FrameReader *reader, const void *data, size_t size, FrameHandler handler, void *userdata) {
        const uint8_t *p = data;

        while (size > 0) {
                size_t n;
                int r;

                if (reader->have < FRAME_HEADER_SIZE) {
                        n = take(reader->header + reader->have, FRAME_HEADER_SIZE - reader->have, p, size);
                        reader->have += n;
                        p += n;
                        size -= n;
                        if (reader->have < FRAME_HEADER_SIZE)
                                return 0;
                }

                /* Also when its header was seen by an earlier call: who feeds on after an error gets it again. */
                r = header_check(reader);
                if (r < 0)
                        return r;

                size_t got = reader->have - FRAME_HEADER_SIZE;
                n = take(reader->payload + got, reader->length - got, p, size);
                reader->have += n;
                p += n;
                size -= n;
                if (reader->have - FRAME_HEADER_SIZE < reader->length)
                        return 0;

                reader->have = 0;
                r = handler(reader->header[0], reader->payload, reader->length, userdata);
                if (r < 0)
                        return r;
        }
        return 0;
}

void frame_limits_encode(uint8_t ret_payload[FRAME_LIMITS_SIZE], const FrameLimits *limits) {
        frame_u64_encode(ret_payload, limits->cpu_ms);
        frame_u64_encode(ret_payload + 8, limits->output_bytes);
        frame_u64_encode(ret_payload + 16, limits->file_bytes);
        frame_u32_encode(ret_payload + 24, limits->processes);
        frame_u32_encode(ret_payload + 28, limits->open_files);
}

int frame_limits_decode(const uint8_t *payload, size_t size, FrameLimits *ret_limits) {
        if (size != FRAME_LIMITS_SIZE)
                return -EBADMSG;
        *ret_limits = (FrameLimits){
                .cpu_ms = frame_u64_decode(payload),
                .output_bytes = frame_u64_decode(payload + 8),
                .file_bytes = frame_u64_decode(payload + 16),
                .processes = frame_u32_decode(payload + 24),
                .open_files = frame_u32_decode(payload + 28),
        };
        return 0;
}

void frame_exit_encode(uint8_t ret_payload[FRAME_EXIT_SIZE], const FrameExit *report) {
        frame_u32_encode(ret_payload, (uint32_t) report->kind);
        frame_u32_encode(ret_payload + 4, report->value);
        frame_u64_encode(ret_payload + 8, report->run_usec);
        frame_u64_encode(ret_payload + 16, report->cpu_usec);
        frame_u64_encode(ret_payload + 24, report->memory_peak_bytes);
        frame_u64_encode(ret_payload + 32, report->stdout_bytes);
        frame_u64_encode(ret_payload + 40, report->stderr_bytes);
        frame_u32_encode(ret_payload + 48, report->flags);
}

int frame_exit_decode(const uint8_t *payload, size_t size, FrameExit *ret_report) {
        if (size != FRAME_EXIT_SIZE)
                return -EBADMSG;

        uint32_t kind = frame_u32_decode(payload);
        uint32_t value = frame_u32_decode(payload + 4);
        uint32_t flags = frame_u32_decode(payload + 48);

        if (kind > FRAME_EXIT_SIGNALED || value > (kind == FRAME_EXIT_EXITED ? 255U : 64U) ||
            (kind == FRAME_EXIT_SIGNALED && value == 0) ||
            (flags & ~(uint32_t) (FRAME_EXIT_FLAG_OUTPUT_LIMIT | FRAME_EXIT_FLAG_STOPPED)) != 0)
                return -EBADMSG;

        *ret_report = (FrameExit){
                .kind = (FrameExitKind) kind,
                .value = value,
                .run_usec = frame_u64_decode(payload + 8),
                .cpu_usec = frame_u64_decode(payload + 16),
                .memory_peak_bytes = frame_u64_decode(payload + 24),
                .stdout_bytes = frame_u64_decode(payload + 32),
                .stderr_bytes = frame_u64_decode(payload + 40),
                .flags = flags,
        };
        return 0;
}

int frame_fault_decode(const uint8_t *payload, size_t size, FrameFault *ret_fault) {
        if (size < FRAME_FAULT_HEADER_SIZE)
                return -EBADMSG;

        uint32_t reason = frame_u32_decode(payload);
        if (reason < FRAME_FAULT_PROTOCOL || reason > FRAME_FAULT_GUEST)
                return -EBADMSG;

        *ret_fault = (FrameFault){
                .reason = (FrameFaultReason) reason,
                .error_number = frame_u32_decode(payload + 4),
                .message = (const char *) payload + FRAME_FAULT_HEADER_SIZE,
                .message_size = size - FRAME_FAULT_HEADER_SIZE,
        };
        return 0;
}

static bool component_is_safe(const char *name, size_t size) {
        if (size == 0 || size > 255)
                return false;
        if (name[0] == '.' && (size == 1 || (size == 2 && name[1] == '.')))
                return false;
        for (size_t i = 0; i < size; i++)
                if ((unsigned char) name[i] < 0x20 || name[i] == 0x7f)
                        return false;
        return true;
}

bool frame_path_is_safe(const char *path, size_t size) {
        if (size == 0 || size > 1024)
                return false;

        for (;;) {
                const char *slash = memchr(path, '/', size);
                size_t n = slash ? (size_t) (slash - path) : size;

                if (!component_is_safe(path, n))
                        return false;
                if (!slash)
                        return true;
                path += n + 1;
                size -= n + 1;
        }
}
