/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "engine.h"
#include "screen.h"
#include "tar.h"

/* Images, and containers that are never started, one thing after another. All return 0 or a negative errno, -EINTR when
 * interrupted; what fails is set as trouble, in Docker's own words, unless another thing is said. */

/* Makes an image of the archive. ret_id (owned by the caller) is its id. */
int engine_import(Engine *engine, Screen *screen, const DockerImage *image, Tar *tar, char **ret_id);

/* Has Docker fetch the image; gives up a registry that is silent for so long. remedy (or NULL) is what helps where it
 * cannot be had. */
int engine_pull(Engine *engine, Screen *screen, const char *image, uint64_t silence_usec, const char *remedy);

/* An array, owned by the caller. */
int engine_images(Engine *engine, const char *label, cJSON **ret_images);

/* A label of one of them, or NULL. */
const char *engine_images_label(const cJSON *image, const char *label);

/* *ret_message (owned by the caller; NULL: removed) is why Docker keeps it: a container needs it. */
int engine_image_remove(Engine *engine, const char *image, char **ret_message);

/* A container that is only there to be read or changed, with this process's id in its name. It is removed with
 * engine_container_remove(). */
int engine_container_create(Engine *engine, const char *image, char **ret_id);

/* Also after an interruption, which it passes over and leaves standing. Sets no trouble. */
void engine_container_remove(Engine *engine, const char *id);

/* Removes what such processes have left that run no more. */
int engine_containers_tidy(Engine *engine);

/* What takes the content of a file that comes out of a container. */
typedef struct EngineFile {
        int (*take)(const void *data, size_t size, void *userdata); /* returns 0 or a negative errno */
        void *userdata;
        const char *label; /* shown with the progress; NULL: none is shown */
} EngineFile;

/* Returns -ENOENT without setting trouble where there is no such path, -EISDIR where it is no regular file. */
int engine_container_read(Engine *engine, Screen *screen, const char *id, const char *path, const EngineFile *file);

/* Unpacks the archive in the container's root folder. */
int engine_container_unpack(Engine *engine, const char *id, Tar *tar);

int engine_container_commit(Engine *engine, const char *id, const DockerImage *image, char **ret_id);
