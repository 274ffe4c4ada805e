/* SPDX-License-Identifier: Apache-2.0 */

/* A Request as the frames that its guest is told it by. Order: what is set up first comes first, RUN last. */

#include "frame.h"
#include "request.h"

#include <errno.h>
#include <string.h>

static int add_frame(Buffer *buffer, FrameType type, const void *payload, size_t size) {
        uint8_t header[FRAME_HEADER_SIZE];
        int r;

        frame_header_encode(header, type, size);
        r = buffer_append(buffer, header, sizeof(header));
        return r < 0 ? r : buffer_append(buffer, payload, size);
}

static int add_text(Buffer *buffer, FrameType type, const char *text) {
        return add_frame(buffer, type, text, strlen(text));
}

/* Bytes of any number, cut into frames. */
static int add_bytes(Buffer *buffer, FrameType type, const Buffer *bytes) {
        for (size_t done = 0; done < bytes->size;) {
                size_t left = bytes->size - done, n = left < FRAME_PAYLOAD_MAX ? left : FRAME_PAYLOAD_MAX;
                int r = add_frame(buffer, type, bytes->data + done, n);

                if (r < 0)
                        return r;
                done += n;
        }
        return 0;
}

static int add_limits(Buffer *buffer, const FrameLimits *limits) {
        uint8_t payload[FRAME_LIMITS_SIZE];

        frame_limits_encode(payload, limits);
        return add_frame(buffer, FRAME_LIMITS, payload, sizeof(payload));
}

static int add_files(Buffer *buffer, const Request *request) {
        for (size_t i = 0; i < request->files_size; i++) {
                int r = add_text(buffer, FRAME_FILE, request->files[i].path);

                if (r < 0)
                        return r;
                r = add_bytes(buffer, FRAME_DATA, &request->files[i].content);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int add_texts(Buffer *buffer, FrameType type, char *const *texts, size_t size) {
        for (size_t i = 0; i < size; i++) {
                int r = add_text(buffer, type, texts[i]);

                if (r < 0)
                        return r;
        }
        return 0;
}

/* By its whole path: a runtime must not take a client's file name for one of its options. */
static int add_entry(Buffer *buffer, const char *entry) {
        CLEANUP_FREE char *path = text_format("%s/%s", FRAME_WORK_FOLDER, entry);

        return path ? add_text(buffer, FRAME_ARG, path) : -ENOMEM;
}

int request_encode(const Request *request, uint64_t open_files, Buffer *buffer) {
        FrameLimits limits = {
                .cpu_ms = request->limits[CONFIG_LIMIT_CPU_MS],
                .output_bytes = request->limits[CONFIG_LIMIT_OUTPUT_KB] * 1024,
                .file_bytes = request->limits[CONFIG_LIMIT_DISK_MB] * 1024 * 1024,
                .processes = (uint32_t) request->limits[CONFIG_LIMIT_PROCESSES],
                .open_files = (uint32_t) open_files,
        };
        int r = add_limits(buffer, &limits);

        if (r >= 0)
                r = add_entry(buffer, request->entry);
        if (r >= 0)
                r = add_texts(buffer, FRAME_ARG, request->args, request->args_size);
        if (r >= 0)
                r = add_texts(buffer, FRAME_ENV, request->env, request->env_size);
        if (r >= 0)
                r = add_bytes(buffer, FRAME_STDIN, &request->input);
        if (r >= 0)
                r = add_files(buffer, request);
        return r < 0 ? r : add_frame(buffer, FRAME_RUN, NULL, 0);
}

int request_encode_warm_up(const ConfigWords *arguments, const char *entry, const FrameLimits *limits, Buffer *buffer) {
        int r = add_limits(buffer, limits);

        if (r >= 0)
                r = add_texts(buffer, FRAME_ARG, arguments->items, arguments->size);
        if (r >= 0)
                r = add_entry(buffer, entry);
        return r < 0 ? r : add_frame(buffer, FRAME_WARM, NULL, 0);
}

static size_t framed(size_t size) {
        return size + (size / FRAME_PAYLOAD_MAX + 1) * FRAME_HEADER_SIZE;
}

size_t request_encoded_max(const Request *request) {
        size_t total = framed(FRAME_LIMITS_SIZE) + framed(sizeof(FRAME_WORK_FOLDER) + strlen(request->entry)) +
                       framed(request->input.size) + framed(0);

        for (size_t i = 0; i < request->args_size; i++)
                total += framed(strlen(request->args[i]));
        for (size_t i = 0; i < request->env_size; i++)
                total += framed(strlen(request->env[i]));
        for (size_t i = 0; i < request->files_size; i++)
                total += framed(strlen(request->files[i].path)) + framed(request->files[i].content.size);
        return total;
}
