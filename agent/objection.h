/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base.h"

/* What speaks against running programs now: a code for machines, a reason and a remedy for people. Owns its words. */
typedef struct Objection {
        const char *code; /* static; NULL: there is none */
        char *reason;
        char *remedy;
} Objection;

void objection_deinit(Objection *objection);

/* Copies the words; a lack of memory leaves them out, never the code. Each objection has a remedy. */
void objection_set(Objection *objection, const char *code, const char *reason, const char *remedy);

bool objection_is(const Objection *objection, const char *code, const char *reason);
