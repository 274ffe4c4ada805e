/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "config.h"
#include "frame.h"
#include "json.h"
#include "refusal.h"

/* A program and how to run it, as a client asked for it (docs/openapi.yaml, schema Request), checked and complete. */

#define REQUEST_FILES_MAX 256
#define REQUEST_ARGS_MAX 256
#define REQUEST_ENV_MAX 256
#define REQUEST_LABELS_MAX 16
#define REQUEST_STRINGS_MAX                                                                       \
        ((size_t) 1024 * 1024) /* args and env together, each with its NUL; execve(2) takes 2 MiB \
                                */
#define REQUEST_LABEL_SIZE_MAX 256U

typedef struct RequestFile {
        char *path;
        Buffer content;
} RequestFile;

typedef struct Request {
        char *runtime;
        char *entry; /* one of files */
        RequestFile *files;
        size_t files_size;
        char **args;
        size_t args_size;
        char **env; /* "NAME=value" */
        size_t env_size;
        Buffer input; /* the program's stdin */
        uint64_t limits[CONFIG_LIMIT_COUNT_];
        cJSON *labels; /* an object of strings */
} Request;

/* Pure: bytes in, request or refusal out. Returns 0 with *ret_request, -EINVAL with *ret_refusal, or -ENOMEM. */
int request_parse(const void *body, size_t size, const Config *config, Request **ret_request, Refusal *ret_refusal);

Request *request_free(Request *request);

DEFINE_CLEANUP(Request *, request_free)

/* Appends the frames that tell the guest all of the program, RUN being the last (docs/PROTOCOL.md). open_files is the
 * configuration's. Returns 0 or as buffer_append(). */
int request_encode(const Request *request, uint64_t open_files, Buffer *buffer);

/* The same for a runtime that is to wait for a program which begins with entry; WARM is the last. */
int request_encode_warm_up(const ConfigWords *arguments, const char *entry, const FrameLimits *limits, Buffer *buffer);

/* What request_encode() can append at the most. */
size_t request_encoded_max(const Request *request);
