/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base.h"

/* Why a request did not become an execution: docs/openapi.yaml, schema Refusal. */
typedef struct Refusal {
        unsigned status;  /* HTTP */
        const char *code; /* static */
        char *message;
        char *field;  /* or NULL */
        char *remedy; /* or NULL */
} Refusal;

void refusal_deinit(Refusal *refusal);

/* Writes a refusal; strings are copied, field and remedy may be NULL. *ret_refusal must be empty. Out of memory leaves
 * the message empty rather than the refusal undone. Returns -EINVAL always, so that a parser can return it. */
int refusal_set(Refusal *ret_refusal, unsigned status, const char *code, const char *field, const char *remedy,
                const char *format, ...) PRINTF_LIKE(6, 7);

/* The body: {"error": {…}}, malloc'ed, or NULL on ENOMEM. */
char *refusal_to_json(const Refusal *refusal);

/* 429 and 503 may be tried again. */
bool refusal_is_for_now(const Refusal *refusal);
