/* SPDX-License-Identifier: Apache-2.0 */

#include "fix.h"
#include "text.h"

#include <errno.h>
#include <string.h>

static bool is_fit(const char *word) {
        for (const char *c = word; *c; c++)
                if ((unsigned char) *c < ' ' || *c == 0x7f)
                        return false;
        return word[0] && utf8_is_valid(word, strlen(word));
}

int fix_init(Fix *ret_fix, const char *const *words) {
        Fix fix = {0};
        size_t size = 0, total = 0;

        for (; words[size]; size++) {
                total += strlen(words[size]) + 1;
                if (size == FIX_WORDS_MAX || total > FIX_TEXT_MAX || !is_fit(words[size])) {
                        fix_deinit(&fix);
                        return -EINVAL;
                }
                fix.words[size] = strdup(words[size]);
                if (!fix.words[size]) {
                        fix_deinit(&fix);
                        return -ENOMEM;
                }
        }
        if (size == 0)
                return -EINVAL;
        *ret_fix = fix;
        return 0;
}

void fix_deinit(Fix *fix) {
        for (size_t i = 0; i < FIX_WORDS_MAX; i++)
                free(fix->words[i]);
        *fix = (Fix){0};
}

bool fix_equals(const Fix *a, const Fix *b) {
        for (size_t i = 0; i < FIX_WORDS_MAX; i++) {
                if (!a->words[i] || !b->words[i])
                        return a->words[i] == b->words[i];
                if (strcmp(a->words[i], b->words[i]) != 0)
                        return false;
        }
        return true;
}

/* In single quotes, where the shell would take it for something else. */
static int append_word(Buffer *text, const char *word) {
        static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789%+,-./:=@_";
        int r = 0;

        if (word[strspn(word, plain)] == '\0')
                return buffer_append_text(text, word);
        r = buffer_append_text(text, "'");
        for (const char *c = word; r >= 0 && *c; c++)
                r = *c == '\'' ? buffer_append_text(text, "'\\''") : buffer_append(text, c, 1);
        return r < 0 ? r : buffer_append_text(text, "'");
}

char *fix_text(const Fix *fix) {
        Buffer text = BUFFER_INIT(5 * FIX_TEXT_MAX);

        for (size_t i = 0; fix->words[i]; i++)
                if ((i > 0 && buffer_append_text(&text, " ") < 0) || append_word(&text, fix->words[i]) < 0) {
                        buffer_deinit(&text);
                        return NULL;
                }
        return (char *) text.data;
}
