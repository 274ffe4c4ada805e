/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "context.h"

/* The Debian package that a file came with. */
typedef struct Package {
        char *name; /* NULL: it came with none */
        char *version;
} Package;

void package_deinit(Package *package);

/* Asks dpkg. Returns 0, -ENOENT where there is no dpkg, or as context_ask(). */
int package_of(Context *context, const char *path, Package *ret_package);

/* Is version a older than b, as dpkg orders them? Returns 1 or 0, or as context_ask(). */
int package_is_older(Context *context, const char *a, const char *b);

/* The package's changelog, as far as it has one here; "" else. Owned by the caller. */
int package_changelog(Context *context, const Package *package, char **ret_text);
