/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base.h"

/* Why something cannot be done, and what a person can do about it. Zero-initialised is none. The first one that is set
 * stays, because what follows from it explains less. */
typedef struct Trouble {
        char *message; /* a sentence without a full stop */
        char *remedy;  /* a command or a sentence, or NULL */
} Trouble;

void trouble_deinit(Trouble *trouble);

/* remedy may be NULL. Returns error, a negative errno, so that it can be handed on in one line. */
int trouble_set(Trouble *trouble, int error, const char *remedy, const char *format, ...) PRINTF_LIKE(4, 5);

/* The same for what the system says of something: "what: No such file or directory". */
int trouble_errno(Trouble *trouble, int error, const char *what);
