/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "digest.h"
#include "docker.h"
#include "tar.h"

/* All that goes into the image of a runtime: a tree, and what the image says of itself. The label tee.recipe is a
 * digest of everything else, so an image that carries the same one need not be made again. */

#define RECIPE_LABEL "tee.recipe"
#define RECIPE_LABEL_RUNTIME "tee.runtime"                 /* its name */
#define RECIPE_LABEL_RUNTIME_VERSION "tee.runtime.version" /* of the language */
#define RECIPE_LABEL_ADAPTER "tee.adapter"                 /* of an image from elsewhere: python, node, none, own */

/* The image that it, or the language's program, came from; where there was one. */
#define RECIPE_LABEL_BASE "tee.base"

#define RECIPE_CHANGES_MAX 16U

typedef struct Recipe {
        Tar *tar;
        char *base_id;                          /* of the image that the tree is added to, or NULL */
        char *changes[RECIPE_CHANGES_MAX + 1U]; /* instructions of a Dockerfile, ended by NULL */
        size_t changes_size;
        char digest[DIGEST_SHA256_TEXT]; /* "" before recipe_close() */
        char *message;
} Recipe;

int recipe_init(Recipe *recipe);
void recipe_deinit(Recipe *recipe);

/* What every image of its own has: the folders, the users, and what the loader loads first (preload, or NULL). */
int recipe_add_root(Recipe *recipe, const char *preload);

/* Users and groups that programs in a sandbox find: lines are added to text (size bytes, the base image's own; NULL for
 * none) unless it has the id already. Returns 0 or as buffer_append. */
int recipe_append_passwd(Buffer *buffer, const void *text, size_t size);
int recipe_append_group(Buffer *buffer, const void *text, size_t size);

/* Neither key nor value may have a line's end: -EINVAL. */
int recipe_set_environment(Recipe *recipe, const char *key, const char *value);
int recipe_set_label(Recipe *recipe, const char *key, const char *value);

/* Another instruction, as it is. */
int recipe_add_change(Recipe *recipe, const char *instruction);

/* Reads all of it for the digest, and sets its label. Nothing may be added afterwards. command, which made the image,
 * is for its history. Returns 0 or a negative errno, also of reading a file. */
int recipe_close(Recipe *recipe, const char *command);

/* What Docker is to make, under this name; valid as long as the recipe and the name are. */
DockerImage recipe_image(const Recipe *recipe, const char *name);
