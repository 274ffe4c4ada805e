/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base.h"

/* os-release(5): which Linux is this? Pure. */

/* The value of a name, with its quotes and backslashes taken off; owned by the caller. NULL when there is none, or on
 * ENOMEM. Of two values the last counts, as it does to a shell. */
char *os_release_value(const char *text, const char *name);

/* Is it Debian, Ubuntu, or one that says that it is like Debian? */
bool os_release_is_debian(const char *text);
