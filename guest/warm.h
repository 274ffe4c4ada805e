/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A runtime that was started before its program is known, and waits for it. Inside it runs an adapter, a script of the
 * image's that knows the runtime; the two talk over named pipes, whose names are gone before any program comes
 * (docs/PROTOCOL.md). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "command.h"
#include "identity.h"

#define WARM_ENTRY_MAX 1100U

typedef enum WarmWord {
        WARM_NOTHING = 0,
        WARM_READY = 'R',  /* it waits for its program */
        WARM_CANNOT = 'C', /* this program it cannot run; nothing of it has been run */
        WARM_ENDED = 'E',  /* the program has ended, all that it printed is in the pipes; an exit code follows */
} WarmWord;

typedef struct Warm {
        const Identity *identity;
        int in_fd; /* to the adapter, or -1 */
        int out_fd;
        uint64_t cpu_usec;          /* what the runtime had used before it got its program */
        char entry[WARM_ENTRY_MAX]; /* the one that it will start */
} Warm;

void warm_init(Warm *warm, const Identity *identity);

/* Makes the pipes, for a runtime that will start entry. Returns 0 or a negative errno. */
int warm_open(Warm *warm, const char *entry);

/* No adapter any more. */
void warm_close(Warm *warm);

static inline bool warm_is_open(const Warm *warm) {
        return warm->in_fd >= 0;
}

/* Takes the pipes' names away. Returns 0 or a negative errno. */
int warm_hide(const Warm *warm);

/* What the adapter says now; with WARM_ENDED, *ret_code. WARM_NOTHING also for what is none of its words: a program can
 * write there, and then only spoils its own end. */
WarmWord warm_read(const Warm *warm, uint8_t *ret_code);

/* Tells the adapter arguments and environment of its program. Returns false when it cannot take them all at once, or
 * the entry is another one; nothing has been told then. */
bool warm_wake(const Warm *warm, const Command *command);
