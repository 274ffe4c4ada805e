/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "config.h"
#include "docker.h"
#include "objection.h"

/* The images of the configured runtimes: is each there, and is its guest of this agent's version? Indices are those of
 * config->runtimes. */

typedef struct Images Images;

/* config must outlive them. */
int images_new(Docker *docker, const Config *config, Images **ret_images);
Images *images_free(Images *images);

DEFINE_CLEANUP(Images *, images_free)

/* Asks Docker about one after the other. error is 0 when all have been asked, whatever the answers were. */
typedef void (*ImagesLooked)(int error, void *userdata);
int images_look(Images *images, ImagesLooked looked, void *userdata);

/* Ends a look that is under way; looked is not called. */
void images_stop(Images *images);

/* The id that Docker gave, or NULL while it is not available; belongs to images, valid until the next look. */
const char *images_id(const Images *images, size_t index);

/* Why it is not available; without a code when it is, or nobody has looked yet. */
const Objection *images_objection(const Images *images, size_t index);

/* False when Docker could not tell about one: that is asked for again. */
bool images_are_known(const Images *images);
