/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base.h"

/* The ids of the vulnerabilities that runc of this version ("1.1.5+ds1", "1.4.0-rc.3") is known to have, parted by ",
 * "; owned by the caller. Those that changelog, which may be "", names are mended in it: distributions mend old
 * versions. NULL when the version cannot be read, or on ENOMEM. Pure. */
char *runc_faults(const char *version, const char *changelog);
