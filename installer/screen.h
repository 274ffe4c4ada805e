/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base.h"

/* What people see: on stdout, or on stderr when stdout is for a machine. On a terminal, what takes long has a line that
 * is drawn again and again; elsewhere only what has happened is printed. */
typedef struct Screen {
        bool terminal;
        bool to_stderr;
        bool drawn;     /* a line that is not finished stands at the end */
        unsigned above; /* lines of an unfinished block that stand above it */
} Screen;

void screen_init(Screen *screen, bool json);

/* "  keyring    what happened". label NULL: none, but indented as if there were one. */
void screen_line(Screen *screen, const char *label, const char *format, ...) PRINTF_LIKE(3, 4);

/* A line of its own without indentation. */
void screen_say(Screen *screen, const char *format, ...) PRINTF_LIKE(2, 3);

/* What is under way: label, a bar when percent is 0 to 100 (else none), and words. Drawn over its last state. */
void screen_progress(Screen *screen, const char *label, int percent, const char *format, ...) PRINTF_LIKE(4, 5);

/* Several lines that are under way: screen_block() takes away what was drawn of the block before, screen_progress()
 * draws a line, and screen_below() goes to the next one. */
void screen_block(Screen *screen);
void screen_below(Screen *screen);

/* Takes the unfinished line, or block, away. */
void screen_clear(Screen *screen);

/* "1.2 MB", "12 MB" of bytes; the text belongs to the caller's array. */
#define SCREEN_SIZE_MAX 24
const char *screen_size(uint64_t bytes, char text[SCREEN_SIZE_MAX]);
