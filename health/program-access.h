/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "finding.h"

/* Whether all users of the host get at a program, and none but root may change what it is. runsc runs itself anew as an
 * unprivileged user, and Docker runs it as root. Returns false when the finding has told what is wrong. */
bool program_access_judge(const char *path, Finding *finding);
