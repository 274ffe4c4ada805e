/* SPDX-License-Identifier: Apache-2.0 */

/* Nearness is the number of letters that have to be put in, taken out or replaced (Levenshtein), against the whole id
 * or the part of it behind the dot, whichever is nearer: "gate" means "agent.gate". */

#include "pages.h"
#include "base.h"

#include <string.h>

#define WORD_MAX 64U

const char *page_text(const char *id) {
        for (const Page *page = pages; page->id; page++)
                if (strcmp(page->id, id) == 0)
                        return page->text;
        return NULL;
}

static size_t least(size_t a, size_t b, size_t c) {
        size_t ab = a < b ? a : b;

        return ab < c ? ab : c;
}

static size_t distance(const char *a, const char *b) {
        size_t row[WORD_MAX + 1], b_size = strnlen(b, WORD_MAX);

        for (size_t k = 0; k <= b_size; k++)
                row[k] = k;
        for (size_t i = 0; i < WORD_MAX && a[i]; i++) {
                size_t before = row[0]; /* of the row above, one to the left */

                row[0] = i + 1;
                for (size_t k = 0; k < b_size; k++) {
                        size_t above = row[k + 1];

                        row[k + 1] = least(above + 1, row[k] + 1, before + (a[i] != b[k]));
                        before = above;
                }
        }
        return row[b_size];
}

static size_t distance_of_id(const char *word, const char *id) {
        const char *dot = strchr(id, '.');
        size_t whole = distance(word, id), part = dot ? distance(word, dot + 1) : whole;

        return whole < part ? whole : part;
}

size_t pages_near(const char *id, const char *ret_ids[static PAGES_NEAR_MAX]) {
        size_t distances[PAGES_NEAR_MAX], size = 0;

        for (const Page *page = pages; page->id; page++) {
                size_t far = distance_of_id(id, page->id), at = size;

                while (at > 0 && far < distances[at - 1])
                        at--;
                if (at == PAGES_NEAR_MAX)
                        continue;
                if (size < PAGES_NEAR_MAX)
                        size++;
                memmove(distances + at + 1, distances + at, (size - 1 - at) * sizeof(distances[0]));
                memmove(ret_ids + at + 1, ret_ids + at, (size - 1 - at) * sizeof(ret_ids[0]));
                distances[at] = far;
                ret_ids[at] = page->id;
        }
        return size;
}
