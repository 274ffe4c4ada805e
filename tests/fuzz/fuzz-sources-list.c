/* SPDX-License-Identifier: Apache-2.0 */

/* Whatever stands in apt's lists: taking our entries out adds "# " before as many lines as were counted and changes
 * nothing else, and then none is left. */

#include "sources-list.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)          \
        do {                      \
                if (!(condition)) \
                        abort();  \
        } while (0)

#define URL "https://storage.googleapis.com/gvisor/releases"

/* Walks both texts line by line. Returns how many lines became comments. */
static size_t count_changes(const char *before, size_t size, const Buffer *after) {
        const char *new = (const char *) after->data;
        size_t left = after->size, changes = 0;

        while (size > 0) {
                const char *newline = memchr(before, '\n', size);
                size_t n = newline ? (size_t) (newline - before) + 1 : size;
                bool same = left >= n && memcmp(before, new, n) == 0;

                if (!same) {
                        CHECK(left >= n + 2 && memcmp(new, "# ", 2) == 0 && memcmp(before, new + 2, n) == 0);
                        changes++;
                }
                before += n;
                size -= n;
                new += n + (same ? 0 : 2);
                left -= n + (same ? 0 : 2);
        }
        CHECK(left == 0);
        return changes;
}

/* How many entries there are, each of which would have become a comment. */
static size_t count_entries(const char *text, size_t size, bool is_deb822) {
        SourcesEntry entry = {0};
        size_t found = 0;

        CHECK(sources_find(text, size, is_deb822, URL, &entry, &found) == 0);
        CHECK(found > 0 || (!entry.suite && !entry.signed_by));
        CHECK(!entry.suite || !strpbrk(entry.suite, " \t\r\n"));
        sources_entry_deinit(&entry);
        return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        const char *text = size > 0 ? (const char *) data : "";
        Buffer once = BUFFER_INIT(3 * size), twice = BUFFER_INIT(3 * size);
        size_t found, found_again;
        bool others, others_again;

        CHECK(sources_list_without(text, size, URL, &once, &found, &others) == 0);
        CHECK(count_changes(text, size, &once) == found);
        CHECK(count_entries(text, size, false) <= found);
        CHECK(sources_list_without(once.data ? (const char *) once.data : "", once.size, URL, &twice, &found_again,
                                   &others_again) == 0);
        CHECK(found_again == 0 && others_again == others);
        CHECK(twice.size == once.size);
        CHECK(!once.data || !twice.data || memcmp(twice.data, once.data, once.size) == 0);
        sources_stanzas_look(text, size, URL, &others, &others_again);
        CHECK(count_entries(text, size, true) == 0 || others);
        buffer_deinit(&once);
        buffer_deinit(&twice);
        return 0;
}
