/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "config.h"
#include "engine.h"
#include "options.h"
#include "screen.h"

/* The images that sandboxes are made from. What fails is set as the engine's trouble. */

/* Where the deno program comes from when nobody says anything else. */
#define RUNTIME_DENO_IMAGE "denoland/deno:bin-2.9.5"

/* All of it works with these; nothing is owned. */
typedef struct RuntimeImages {
        const Options *options;
        Engine *engine;
        Screen *screen;
        const Config *config; /* of --refresh-runtimes; else NULL */
} RuntimeImages;

/* The name of a runtime's image, owned by the caller: --tag, or "tee-runtime-NAME:latest". NULL on ENOMEM. */
char *runtime_image_name(const Options *options, const char *runtime);

/* --with-runtime. Does nothing where the image is up to date. Returns 0; -EINVAL for a runtime that needs --image;
 * -EINTR, and then nothing is left of what was begun; or another negative errno. ret_result (owned by the caller, for
 * --json) is what was done. */
int runtime_image_make(const RuntimeImages *images, cJSON **ret_result);
