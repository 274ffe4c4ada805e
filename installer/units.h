/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "loop.h"
#include "trouble.h"

#include <sys/types.h>

/* Units of systemd's, over the bus. The only glue to sd-bus. */

/* Each runs the job and awaits its end. Return 0 or a negative errno with trouble set. */
int unit_reload(Loop *loop, const char *unit, Trouble *trouble);
int unit_restart(Loop *loop, const char *unit, Trouble *trouble);

/* Sends a signal to the unit's main process. Same errors. */
int unit_signal(const char *unit, int signal, Trouble *trouble);

/* After some failures in a row systemd starts a unit no more until it is told to forget them. Best effort. */
void unit_forget_failures(const char *unit);

/* What systemd says of it: "active", "deactivating", …; owned by the caller. NULL for a unit that it does not know, and
 * where there is no bus. */
char *unit_state(const char *unit);

/* 0 where there is none. */
pid_t unit_main_pid(const char *unit);
