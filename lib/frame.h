/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The frames that agent and guest exchange: docs/PROTOCOL.md in C. Depends on libc alone, for the static guest. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_PROTOCOL_VERSION 3U
#define FRAME_HEADER_SIZE 8U
#define FRAME_PAYLOAD_MAX 65536U
#define FRAME_WORK_FOLDER "/work"
#define FRAME_LIMITS_SIZE 32U
#define FRAME_EXIT_SIZE 52U
#define FRAME_STOP_SIZE 8U
#define FRAME_FAULT_HEADER_SIZE 8U

typedef enum FrameType {
        FRAME_ARG = 0x01,
        FRAME_ENV = 0x02,
        FRAME_FILE = 0x03,
        FRAME_DATA = 0x04,
        FRAME_STDIN = 0x05,
        FRAME_LIMITS = 0x06,
        FRAME_RUN = 0x07,
        FRAME_STOP = 0x08,
        FRAME_WARM = 0x09,

        FRAME_READY = 0x81,
        FRAME_STDOUT = 0x82,
        FRAME_STDERR = 0x83,
        FRAME_EXIT = 0x84,
        FRAME_FAULT = 0x85,
        FRAME_WARMED = 0x86,
} FrameType;

typedef enum FrameFaultReason {
        FRAME_FAULT_PROTOCOL = 1,
        FRAME_FAULT_FILES = 2,
        FRAME_FAULT_START = 3,
        FRAME_FAULT_GUEST = 4,
} FrameFaultReason;

typedef enum FrameExitKind {
        FRAME_EXIT_EXITED = 0,
        FRAME_EXIT_SIGNALED = 1,
} FrameExitKind;

enum {
        FRAME_EXIT_FLAG_OUTPUT_LIMIT = 1U << 0,
        FRAME_EXIT_FLAG_STOPPED = 1U << 1,
};

typedef struct FrameLimits {
        uint64_t cpu_ms;
        uint64_t output_bytes;
        uint64_t file_bytes;
        uint32_t processes;
        uint32_t open_files;
} FrameLimits;

typedef struct FrameExit {
        FrameExitKind kind;
        uint32_t value; /* exit code or signal number */
        uint64_t run_usec;
        uint64_t cpu_usec;
        uint64_t memory_peak_bytes;
        uint64_t stdout_bytes;
        uint64_t stderr_bytes;
        uint32_t flags;
} FrameExit;

typedef struct FrameFault {
        FrameFaultReason reason;
        uint32_t error_number; /* errno of Linux, 0 for none */
        const char *message;   /* points into the payload; not terminated */
        size_t message_size;
} FrameFault;

/* Collects bytes into frames. Embedded or static; holds one frame, so what a peer can make it grow to is fixed. */
typedef struct FrameReader {
        uint8_t header[FRAME_HEADER_SIZE];
        uint8_t payload[FRAME_PAYLOAD_MAX];
        size_t have; /* bytes of this frame seen so far, header included */
        uint32_t length;
} FrameReader;

/* Called for each whole frame. Valid during the call only. A negative return ends the feed with that value. */
typedef int (*FrameHandler)(uint8_t type, const uint8_t *payload, size_t size, void *userdata);

void frame_reader_init(FrameReader *reader);

/* Feeds bytes of any number and cut. Returns 0, -EBADMSG for a header that breaks the protocol, or what the handler
 * returned. The handler must not free the reader unless it then returns a negative value; after one, the reader is
 * not touched again. */
int frame_reader_feed(FrameReader *reader, const void *data, size_t size, FrameHandler handler, void *userdata);

/* True between two frames: the stream may end here. */
bool frame_reader_at_boundary(const FrameReader *reader);

/* size must be at most FRAME_PAYLOAD_MAX. */
void frame_header_encode(uint8_t ret_header[FRAME_HEADER_SIZE], FrameType type, size_t size);

void frame_u32_encode(uint8_t ret_bytes[4], uint32_t value);
uint32_t frame_u32_decode(const uint8_t bytes[4]);
void frame_u64_encode(uint8_t ret_bytes[8], uint64_t value);
uint64_t frame_u64_decode(const uint8_t bytes[8]);

/* The decoders return -EBADMSG for a payload of the wrong size or with a value that the protocol does not have. */
void frame_limits_encode(uint8_t ret_payload[FRAME_LIMITS_SIZE], const FrameLimits *limits);
int frame_limits_decode(const uint8_t *payload, size_t size, FrameLimits *ret_limits);
void frame_exit_encode(uint8_t ret_payload[FRAME_EXIT_SIZE], const FrameExit *report);
int frame_exit_decode(const uint8_t *payload, size_t size, FrameExit *ret_report);
int frame_fault_decode(const uint8_t *payload, size_t size, FrameFault *ret_fault);

/* Is this a path that FILE may carry (docs/PROTOCOL.md)? Relative, no empty, "." or ".." component, no NUL or other
 * control character, at most 255 bytes a component and 1,024 in all. */
bool frame_path_is_safe(const char *path, size_t size);
