/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "context.h"

/* The program that sandboxes run on: where it is, and how Docker starts it. */
typedef struct RegisteredRunsc {
        char *path;          /* as it is registered, or found on $PATH; NULL when it is not there */
        const char *witness; /* who told: daemon.json's path, "Docker" or "$PATH" */
        cJSON *runtime;      /* the registration; NULL when nobody has one */
} RegisteredRunsc;

void registered_runsc_deinit(RegisteredRunsc *runsc);

/* As Docker's file says, else Docker itself, else from $PATH, where tee-install would take it from. Writes
 * runsc in any case. Returns 0, or a negative errno with the context's trouble set: -EACCES where this user may not
 * look.
 */
int registered_runsc_find(Context *context, const Config *config, RegisteredRunsc *runsc);

/* The same with its version, owned by the caller; false when the finding has told why it cannot be seen. */
bool registered_runsc_see(Context *context, RegisteredRunsc *runsc, char **ret_version, Finding *finding);
