/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "sandbox.h"

/* Sandboxes that have given their report, and wait for a quiet moment to be taken down. */

typedef struct Retired Retired;

int retired_new(sd_event *event, Retired **ret_retired);

/* Takes all of them down. */
Retired *retired_free(Retired *retired);

DEFINE_CLEANUP(Retired *, retired_free)

/* Takes the sandbox, whose exited() has been called. It is taken down within 0.1 s. */
void retired_add(Retired *retired, Sandbox *sandbox);

/* Now: nothing runs that it could slow down. */
void retired_clear(Retired *retired);
