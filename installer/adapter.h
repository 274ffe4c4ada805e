/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "parts.h"
#include "recipe.h"
#include "trouble.h"

/* The warm-up script that goes into an image from elsewhere, so that its language can be started before its program is
 * known (docs/PROTOCOL.md, "The guest and its adapter"). */

typedef struct Adapter {
        const char *name;        /* "python", "node", "none", or the path of one's own script */
        const char *label;       /* the same, with "own" for that */
        const char *path;        /* in the image; NULL for none */
        const char *arguments;   /* warm_arguments in tee.conf that start it; NULL for none, or for one's own */
        const char *part;        /* its file below guest/adapters; NULL for one's own */
        const char *search_path; /* variable of the image that has to begin with the script's folder, or NULL */
} Adapter;

/* choice: --adapter, or NULL for the one that the runtime's name begins with (python, python3.12, node22), else none.
 * Returns 0, or -EINVAL for a choice that is none. */
int adapter_choose(const char *choice, const char *runtime, Adapter *ret);

/* Adds the script, what it needs and its label to the recipe. image is the base image's document. What fails is set as
 * trouble. */
int adapter_add(const Adapter *adapter, const Parts *parts, const cJSON *image, Recipe *recipe, Trouble *trouble);

/* The script alone, into an image that has all the rest. One's own cannot be had again, and stays as it is there. */
int adapter_renew(const char *label, const Parts *parts, Recipe *recipe, Trouble *trouble);
