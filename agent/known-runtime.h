/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "file-stamp.h"
#include "json.h"

/* The OCI runtime as it was when it was last looked at: its registration, and the program that this names.
 * Zero-initialised is none. */
typedef struct KnownRuntime {
        char *registration; /* as text */
        char *path;         /* of the program */
        FileStamp program;
} KnownRuntime;

void known_runtime_deinit(KnownRuntime *known);

/* Looks at it now. *ret_same: neither another program, nor other arguments. Returns 0 or -ENOMEM; nothing is known
 * then. */
int known_runtime_look(KnownRuntime *known, const cJSON *info, const char *oci_runtime, const char *path,
                       bool *ret_same);

/* The program's file is not the one that it was. */
bool known_runtime_has_changed(const KnownRuntime *known);
