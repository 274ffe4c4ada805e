/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "docker.h"

/* A container's stdin, stdout and stderr as one raw, two-way stream (POST /containers/{id}/attach, upgraded to TCP). */

typedef struct DockerAttach DockerAttach;

typedef struct DockerAttachHandlers {
        /* The stream stands: the container may be started now. */
        void (*ready)(void *userdata);
        /* Raw bytes, Docker's stream frames in them (docker-stream.h). */
        void (*data)(const uint8_t *data, size_t size, void *userdata);
        /* The stream has ended, error 0, or broken, with a negative errno and a message for people. Called once and
         * last. Before ready: the attach was refused. */
        void (*ended)(int error, const char *message, void *userdata);
} DockerAttachHandlers;

/* write_limit bounds what docker_attach_write() may have waiting. The handlers may free the attach. */
int docker_attach_new(Docker *docker, sd_event *event, const char *container_id, size_t write_limit,
                      const DockerAttachHandlers *handlers, void *userdata, DockerAttach **ret_attach);

DockerAttach *docker_attach_free(DockerAttach *attach);

DEFINE_CLEANUP(DockerAttach *, docker_attach_free)

/* Queues bytes for the container's stdin and sends what it can at once. All or nothing. Returns 0, -EFBIG beyond
 * write_limit, -ENOMEM, -EPIPE when the stream has ended. */
int docker_attach_write(DockerAttach *attach, const void *data, size_t size);
