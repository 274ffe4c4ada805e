/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base.h"

#define FIX_WORDS_MAX 8U
#define FIX_TEXT_MAX ((size_t) 512) /* of all its words, each with its end */

/* A command that mends what a check has found, run as root and without a shell. Only what is safe on every host may be
 * one: it can be run twice, harms nothing or can be taken back, ends nobody's containers, and never makes a sandbox
 * less isolated. All else is a remedy, and a person's decision. */
typedef struct Fix {
        char *words[FIX_WORDS_MAX + 1]; /* ended by NULL; the first is the program */
} Fix;

/* Copies the words (ended by NULL). Returns -EINVAL for none, too many or too long ones, and for words that could not
 * be shown as they are, because nobody is asked about another command than the one that is run. Or -ENOMEM. */
int fix_init(Fix *ret_fix, const char *const *words);
void fix_deinit(Fix *fix);

bool fix_equals(const Fix *a, const Fix *b);

/* As it would be typed into a shell; owned by the caller, NULL on ENOMEM. */
char *fix_text(const Fix *fix);
