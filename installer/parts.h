/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "loop.h"
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

/* The script by which a runtime waits for its program, and the library that is preloaded into Deno; owned by the
 * caller. */
int parts_find_adapter(const Parts *parts, const char *name, Trouble *trouble, char **ret_path);
int parts_find_keep_memory(const Parts *parts, Trouble *trouble, char **ret_path);
