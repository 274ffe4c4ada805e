/* SPDX-License-Identifier: Apache-2.0 */

/* One verdict of many observations: a check of three images says what is wrong with two of them, and nothing of the
 * third. Its words may be a peer's, so they are cleaned before anybody's terminal sees them.
 *
 * As bytes it is the verdict's number, then the two texts, each ended by a NUL; a remedy that is missing is empty. The
 * words of each fix follow, in the same way, with an empty one behind the last. */

#include "finding.h"

#include <errno.h>
#include <string.h>

static const char *const names[VERDICT_COUNT_] = {
        [VERDICT_NONE] = "none", [VERDICT_PASS] = "pass", [VERDICT_SKIP] = "skip",
        [VERDICT_WARN] = "warn", [VERDICT_FAIL] = "fail",
};

const char *verdict_name(Verdict verdict) {
        return names[verdict];
}

void finding_deinit(Finding *finding) {
        free(finding->seen);
        free(finding->remedy);
        for (size_t i = 0; i < finding->fixes_size; i++)
                fix_deinit(&finding->fixes[i]);
        *finding = (Finding){0};
}

/* Takes text, which may be NULL. */
static char *made_fit(char *text) {
        if (text && strlen(text) > FINDING_TEXT_MAX)
                text[utf8_valid_prefix(text, FINDING_TEXT_MAX)] = '\0';
        text_clean(text);
        return text;
}

static bool has_part(const char *text, const char *part) {
        static const char between[] = "; ";
        size_t n = strlen(part), k = strlen(between);

        for (const char *at = text; n > 0 && (at = strstr(at, part)); at += n) {
                bool begins = at == text || (at >= text + k && memcmp(at - k, between, k) == 0);

                if (begins && (at[n] == '\0' || strncmp(at + n, between, k) == 0))
                        return true;
        }
        return false;
}

/* Puts more, which it takes, behind what is there; what stands there already is not said again. */
static void append(char **text, char *more) {
        char *both;

        if (*text && more && has_part(*text, more)) {
                free(more);
                return;
        }
        both = *text && more ? made_fit(text_format("%s; %s", *text, more)) : NULL;
        if (both) {
                free(*text);
                free(more);
                *text = both;
        } else if (!*text) {
                *text = more;
        } else {
                free(more);
        }
}

void finding_add(Finding *finding, Verdict verdict, const char *remedy, const char *format, ...) {
        va_list arguments;
        char *seen;

        finding->heeded = verdict >= finding->verdict;
        if (!finding->heeded)
                return;
        va_start(arguments, format);
        seen = made_fit(text_format_list(format, arguments));
        va_end(arguments);
        if (verdict > finding->verdict) {
                finding_deinit(finding);
                finding->heeded = true;
        }
        finding->verdict = verdict;
        append(&finding->seen, seen);
        append(&finding->remedy, remedy ? made_fit(strdup(remedy)) : NULL);
}

void finding_add_fix(Finding *finding, const char *const *words) {
        Fix fix;

        if (!finding->heeded || finding->fixes_size == FINDING_FIXES_MAX || fix_init(&fix, words) < 0)
                return;
        for (size_t i = 0; i < finding->fixes_size; i++)
                if (fix_equals(&finding->fixes[i], &fix)) {
                        fix_deinit(&fix);
                        return;
                }
        finding->fixes[finding->fixes_size++] = fix;
}

/* ---- as bytes ---- */

static int append_string(Buffer *bytes, const char *text) {
        return buffer_append(bytes, text ? text : "", (text ? strlen(text) : 0) + 1);
}

int finding_encode(const Finding *finding, Buffer *bytes) {
        uint8_t verdict = (uint8_t) finding->verdict;
        int r = buffer_append(bytes, &verdict, 1);

        if (r >= 0)
                r = append_string(bytes, finding->seen);
        if (r >= 0)
                r = append_string(bytes, finding->remedy);
        for (size_t i = 0; r >= 0 && i < finding->fixes_size; i++) {
                for (char *const *word = finding->fixes[i].words; r >= 0 && *word; word++)
                        r = append_string(bytes, *word);
                if (r >= 0)
                        r = append_string(bytes, NULL);
        }
        return r;
}

/* The next string of bytes that end with a NUL, or NULL. */
static const char *take_string(const char **at, const char *end) {
        const char *text = *at;

        if (text >= end)
                return NULL;
        *at += strlen(text) + 1;
        return text;
}

static int decode_fix(const char **at, const char *end, Finding *finding) {
        const char *words[FIX_WORDS_MAX + 1] = {0}, *word;
        size_t size = 0;
        int r;

        while ((word = take_string(at, end)) && word[0]) {
                if (size == FIX_WORDS_MAX)
                        return -EBADMSG;
                words[size++] = word;
        }
        if (!word || finding->fixes_size == FINDING_FIXES_MAX)
                return -EBADMSG;
        r = fix_init(&finding->fixes[finding->fixes_size], words);
        if (r >= 0)
                finding->fixes_size++;
        return r == -EINVAL ? -EBADMSG : r;
}

static int decode_texts(const char **at, const char *end, Finding *finding) {
        const char *seen = take_string(at, end), *remedy = take_string(at, end);

        if (!seen || !remedy || finding->verdict <= VERDICT_NONE || finding->verdict >= VERDICT_COUNT_)
                return -EBADMSG;
        finding->seen = strdup(seen);
        finding->remedy = remedy[0] ? strdup(remedy) : NULL;
        text_clean(finding->seen);
        text_clean(finding->remedy);
        return finding->seen && (finding->remedy || !remedy[0]) ? 0 : -ENOMEM;
}

int finding_decode(const void *bytes, size_t size, Finding *ret_finding) {
        const char *at = (const char *) bytes + 1, *end = (const char *) bytes + size;
        Finding finding = {0};
        int r;

        if (size < 3 || end[-1] != '\0')
                return -EBADMSG;
        finding.verdict = (Verdict) * (const uint8_t *) bytes;
        r = decode_texts(&at, end, &finding);
        while (r >= 0 && at < end)
                r = decode_fix(&at, end, &finding);
        if (r < 0)
                finding_deinit(&finding);
        else
                *ret_finding = finding;
        return r;
}
