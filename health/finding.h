/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "fix.h"
#include "text.h"

/* Milder ones first. */
typedef enum Verdict {
        VERDICT_NONE, /* nobody has looked */
        VERDICT_PASS,
        VERDICT_SKIP, /* it could not be looked at */
        VERDICT_WARN,
        VERDICT_FAIL,
        VERDICT_COUNT_,
} Verdict;

/* "pass" and so on. */
const char *verdict_name(Verdict verdict);

#define FINDING_TEXT_MAX ((size_t) 2048)
#define FINDING_FIXES_MAX 4U

/* What a check has found. Zero-initialised is nothing. */
typedef struct Finding {
        Verdict verdict;
        char *seen;   /* a sentence without a full stop: what was seen; of a skip, why it was not */
        char *remedy; /* a command or a sentence, or NULL */
        Fix fixes[FINDING_FIXES_MAX];
        size_t fixes_size;
        bool heeded; /* was the last observation taken? */
} Finding;

void finding_deinit(Finding *finding);

/* Adds what was seen. What weighs more takes the place of what was there, what weighs less is dropped, and what weighs
 * the same stands behind it. The words are cleaned and bounded (FINDING_TEXT_MAX); a lack of memory leaves them out,
 * never the verdict. remedy may be NULL. */
void finding_add(Finding *finding, Verdict verdict, const char *remedy, const char *format, ...) PRINTF_LIKE(4, 5);

#define finding_pass(finding, ...) finding_add((finding), VERDICT_PASS, NULL, __VA_ARGS__)
#define finding_skip(finding, remedy, ...) finding_add((finding), VERDICT_SKIP, (remedy), __VA_ARGS__)
#define finding_warn(finding, remedy, ...) finding_add((finding), VERDICT_WARN, (remedy), __VA_ARGS__)
#define finding_fail(finding, remedy, ...) finding_add((finding), VERDICT_FAIL, (remedy), __VA_ARGS__)

/* Adds the command that mends what was observed last ("systemctl", "reload", "docker"). A fix that is there already,
 * and that of an observation that weighed too little, are left out; so is one that is none (fix.h), or has no place. */
#define finding_fix(finding, ...) finding_add_fix((finding), (const char *const[]){__VA_ARGS__, NULL})
void finding_add_fix(Finding *finding, const char *const *words);

/* As bytes, to be sent from one process to another, and back. A finding is at most FINDING_BYTES_MAX of them. */
#define FINDING_BYTES_MAX (2 * FINDING_TEXT_MAX + FINDING_FIXES_MAX * (FIX_TEXT_MAX + 1) + 16)
int finding_encode(const Finding *finding, Buffer *bytes);

/* Returns 0, -EBADMSG for what is none, or -ENOMEM. */
int finding_decode(const void *bytes, size_t size, Finding *ret_finding);
