/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "loop.h"
#include "trouble.h"

/* gVisor's program: what it says of itself, and whether all of it is there. What fails is set as trouble. */

/* "release-20240807.0", "0.0~20221219.0"; owned by the caller. Runs path for at most_usec, 0 for a minute. Returns 0,
 * -ENOEXEC for what is no program, or another one, or as executable_version(). */
int runsc_version(Loop *loop, const char *path, uint64_t most_usec, Trouble *trouble, char **ret_version);

/* The date in a version, as the number 20240807; 0 where there is none. */
unsigned runsc_release(const char *version);

/* Since July 2026 a release is runsc and a folder gvisor-bin/ beside it, and all of it belongs together. Returns 0 or
 * -ENOENT. */
int runsc_check_parts(const char *path, const char *version, Trouble *trouble);
