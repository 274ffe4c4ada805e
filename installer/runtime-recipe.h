/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "adapter.h"
#include "parts.h"
#include "recipe.h"
#include "runtime-image.h"

/* What goes into the image of the runtime that --with-runtime names, and where it comes from. What fails is set as
 * trouble. */
typedef struct RuntimeRecipe {
        const RuntimeImages *images; /* these five are not owned */
        const Options *options;
        Loop *loop;
        Trouble *trouble;
        const char *name;

        Parts parts;
        Recipe recipe;
        const char *base;                  /* the image that the program, or all, comes from; NULL for none */
        char *program_name, *program_path; /* of the language, as people and as the system know it */
        int program_fd;                    /* where it was read out of an image; else -1 */
        char *version;                     /* of the language */
        size_t libraries;
        Adapter adapter; /* of a runtime from an image */
} RuntimeRecipe;

/* Refuses options that do not go together: -EINVAL. To be given to runtime_recipe_deinit() also on failure. */
int runtime_recipe_init(RuntimeRecipe *runtime, const RuntimeImages *images);
void runtime_recipe_deinit(RuntimeRecipe *runtime);

/* Finds everything, pulls what has to be pulled, and closes the recipe. That stays open, and its digest "", where a dry
 * run cannot know it all. */
int runtime_recipe_write(RuntimeRecipe *runtime);

/* The tree is added to the base image. Otherwise it is all of the image. */
bool runtime_recipe_is_from_base(const RuntimeRecipe *runtime);
