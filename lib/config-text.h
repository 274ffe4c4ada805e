/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base.h"

/* What libconfig reads wrongly without a word: 1.5 cuts integers to 32 bits (4294967304 is 8), 016 is 16 for 1.5 and 14
 * for 1.7, both take a comment or a string without an end for the end of the file, and follow @include to files that no
 * message could name. Looked for in the text, before libconfig sees it.
 *
 * Returns 0, -EINVAL with *ret_line, *ret_name (the setting as far as it is known; NULL for none) and *ret_what (both
 * owned by the caller), or -ENOMEM. text ends in NUL and need not be libconfig's language at all. */
int config_text_check(const char *text, unsigned *ret_line, char **ret_name, char **ret_what);

/* The setting whose name stands on a line ("limits.wall_ms.max"; owned by the caller), for errors of libconfig's own.
 * *ret_name is NULL where none does, or several do. Returns 0 or -ENOMEM. */
int config_text_name_at(const char *text, unsigned line, char **ret_name);
