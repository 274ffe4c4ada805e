/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The program's user and group: put on for a moment by the guest, for good by the program. */

#include <sys/types.h>

typedef struct Identity {
        uid_t uid;
        gid_t gid;
} Identity;

/* Parses a decimal uid, which is the gid, too. Returns 0, or -EINVAL for anything else, root included. */
int identity_parse(const char *text, Identity *ret_identity);

/* Sees to it that nothing which is started from now on can ever gain a capability, whatever it executes. Once; it gives
 * up the right to do so. Returns 0 or a negative errno. */
int identity_bound(void);

/* The guest becomes the program's user for what it does with files, and root again. Return 0 or a negative errno. */
int identity_borrow(const Identity *identity);
int identity_return(void);

/* The same with the real user, which is what counts for setting another process's limits. That process could signal the
 * guest meanwhile: only while none of the program's code runs. identity_return() ends it. */
int identity_borrow_wholly(const Identity *identity);

/* Gives up root, every capability and every group, for good, and checks that it worked. Returns 0, a negative errno, or
 * -EPERM where anything is left or could be had back. */
int identity_drop(const Identity *identity);
