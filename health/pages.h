/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

/* What there is to know of a check, for people: health/pages/ID.txt, put into the program when it is built. */
typedef struct Page {
        const char *id;
        const char *text; /* lines of at most 78 columns, the title first */
} Page;

/* All of them, ended by one whose id is NULL. */
extern const Page pages[];

/* The page of a check, or NULL. */
const char *page_text(const char *id);

/* The ids that a mistyped one may have meant, the nearest first. Returns how many: one at least where there are pages.
 */
#define PAGES_NEAR_MAX 3U
size_t pages_near(const char *id, const char *ret_ids[static PAGES_NEAR_MAX]);
