/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "loop.h"
#include "recipe.h"
#include "trouble.h"

/* What this product itself brings into an image, found where it has been installed, or in the tree that it was built
 * in. */
typedef struct Parts {
        char *folder; /* of this program */
        char *guest, *guest_version;
} Parts;

/* Finds the guest (given: --guest, or NULL) and asks it for its version. What fails is set as trouble. */
int parts_init(Parts *parts, Loop *loop, const char *given, Trouble *trouble);
void parts_deinit(Parts *parts);

/* The script by which a runtime waits for its program; owned by the caller. */
int parts_find_adapter(const Parts *parts, const char *name, Trouble *trouble, char **ret_path);

/* A file of this machine, into the image as path. One that is there already is left. */
int parts_add_file(Recipe *recipe, mode_t mode, const char *source, const char *path, Trouble *trouble);

/* The guest in its folder, and its label; and what Deno's image has besides: its adapter and the library that is loaded
 * first. */
int parts_add_guest(const Parts *parts, Recipe *recipe, Trouble *trouble);
int parts_add_deno(const Parts *parts, Recipe *recipe, Trouble *trouble);

/* Where that library is in the image. */
#define PARTS_DENO_PRELOAD "/usr/lib/tee/keep-memory.so"
