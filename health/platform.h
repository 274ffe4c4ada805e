/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "finding.h"

/* What gVisor stands on to catch system calls: systrap, ptrace or kvm. */

/* The platform that runsc takes without being told, "" when it does not say; and whether it has the one that is wanted.
 * flags is what `runsc flags` prints. Pure. */
void platform_parse(const char *flags, const char *wanted, char ret_default[static 16], bool *ret_has);

/* Adds whether the wanted platform (NULL: the default one) is one of runsc's and works on this host. remedy
 * registers runsc with its default one. */
void platform_judge(const char *flags, const char *wanted, const char *remedy, Finding *finding);

/* Opens /dev/kvm and asks for its version. Returns 0, -ENOENT where there is none, -EACCES or -EPERM where this user
 * may not, -ENOTTY for what is no KVM, or another negative errno. */
int platform_open_kvm(void);
