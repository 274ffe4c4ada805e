/* SPDX-License-Identifier: Apache-2.0 */

/* One verdict of many observations: a check of three images says what is wrong with two of them, and nothing of the
 * third. Its words may be a peer's, so they are cleaned before anybody's terminal sees them.
 *
 * As bytes it is the verdict's number, then the two texts, each ended by a NUL; a remedy that is missing is empty. */

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

        if (verdict < finding->verdict)
                return;
        va_start(arguments, format);
        seen = made_fit(text_format_list(format, arguments));
        va_end(arguments);
        if (verdict > finding->verdict)
                finding_deinit(finding);
        finding->verdict = verdict;
        append(&finding->seen, seen);
        append(&finding->remedy, remedy ? made_fit(strdup(remedy)) : NULL);
}

int finding_encode(const Finding *finding, Buffer *bytes) {
        const char *seen = finding->seen ? finding->seen : "", *remedy = finding->remedy ? finding->remedy : "";
        uint8_t verdict = (uint8_t) finding->verdict;
        int r = buffer_append(bytes, &verdict, 1);

        if (r >= 0)
                r = buffer_append(bytes, seen, strlen(seen) + 1);
        return r < 0 ? r : buffer_append(bytes, remedy, strlen(remedy) + 1);
}

int finding_decode(const void *bytes, size_t size, Finding *ret_finding) {
        const char *seen = (const char *) bytes + 1, *end = (const char *) bytes + size, *remedy;
        Finding finding = {0};

        if (size < 3 || end[-1] != '\0')
                return -EBADMSG;
        finding.verdict = (Verdict) * (const uint8_t *) bytes;
        remedy = seen + strlen(seen) + 1;
        if (finding.verdict <= VERDICT_NONE || finding.verdict >= VERDICT_COUNT_ || remedy >= end ||
            remedy + strlen(remedy) + 1 != end)
                return -EBADMSG;
        finding.seen = strdup(seen);
        finding.remedy = remedy[0] ? strdup(remedy) : NULL;
        if (!finding.seen || (remedy[0] && !finding.remedy)) {
                finding_deinit(&finding);
                return -ENOMEM;
        }
        text_clean(finding.seen);
        text_clean(finding.remedy);
        *ret_finding = finding;
        return 0;
}
