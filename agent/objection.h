/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base.h"

/* What speaks against running programs now: a code for machines, a reason and a remedy for people. Owns its words. */
typedef struct Objection {
        const char *code; /* static; NULL: there is none */
        char *reason;
        char *remedy;
} Objection;

/* The remedy where only Docker knows more. */
#define LOOK_AT_DOCKER "journalctl -u docker"

void objection_deinit(Objection *objection);

/* Copies the words; a lack of memory leaves them out, never the code. Each objection has a remedy. */
void objection_set(Objection *objection, const char *code, const char *reason, const char *remedy);

/* The codes for which a gate is shut, from index 0 on; NULL after the last one. */
const char *objection_code(size_t index);

/* The MESSAGE_ID of a gate that is shut for this code; NULL for a code of no gate's. */
const char *objection_message_id(const char *code);

bool objection_is(const Objection *objection, const char *code, const char *reason);
