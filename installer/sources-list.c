/* SPDX-License-Identifier: Apache-2.0 */

#include "sources-list.h"

#include <string.h>
#include <strings.h>

#define BLANKS " \t\r"

typedef struct Line {
        const char *text;
        size_t size; /* without its end */
} Line;

static bool next_line(const char **at, const char *end, Line *ret) {
        const char *newline;

        if (*at == end)
                return false;
        newline = memchr(*at, '\n', (size_t) (end - *at));
        ret->text = *at;
        ret->size = (size_t) ((newline ? newline : end) - *at);
        *at = newline ? newline + 1 : end;
        return true;
}

/* The next word of a line; [options of a source, with blanks in them] are one. */
static bool next_word(Line *rest, Line *ret) {
        const char *end = rest->text + rest->size, *at = rest->text;

        while (at < end && strchr(BLANKS, *at))
                at++;
        ret->text = at;
        if (at < end && *at == '[')
                while (at < end && *at != ']')
                        at++;
        while (at < end && !strchr(BLANKS, *at))
                at++;
        ret->size = (size_t) (at - ret->text);
        *rest = (Line){at, (size_t) (end - at)};
        return ret->size > 0;
}

static size_t without_slashes(const char *text, size_t size) {
        while (size > 0 && text[size - 1] == '/')
                size--;
        return size;
}

static bool is_url(const Line *word, const char *url) {
        size_t n = without_slashes(url, strlen(url));

        return without_slashes(word->text, word->size) == n && strncasecmp(word->text, url, n) == 0;
}

static bool is_word(const Line *word, const char *text) {
        return word->size == strlen(text) && memcmp(word->text, text, word->size) == 0;
}

int sources_list_without(const char *text, size_t size, const char *url, Buffer *out, size_t *ret_found,
                         bool *ret_others) {
        const char *at = text, *end = text + size;
        Line line;
        int r = 0;

        *ret_found = 0;
        *ret_others = false;
        while (r >= 0 && next_line(&at, end, &line)) {
                Line rest = line, type, address = {0};
                bool active = next_word(&rest, &type) && (is_word(&type, "deb") || is_word(&type, "deb-src"));
                bool ours;

                if (active && next_word(&rest, &address) && address.text[0] == '[')
                        active = next_word(&rest, &address);
                ours = active && is_url(&address, url);
                *ret_found += ours;
                *ret_others |= active && !ours;
                if (ours)
                        r = buffer_append_text(out, "# ");
                if (r >= 0)
                        r = buffer_append(out, line.text, (size_t) (at - line.text));
        }
        return r;
}

/* A field's value goes on in lines that begin with a blank. */
void sources_stanzas_look(const char *text, size_t size, const char *url, bool *ret_found, bool *ret_others) {
        const char *at = text, *end = text + size;
        bool in_uris = false, named = false, any = false;
        Line line;

        *ret_found = *ret_others = false;
        for (;;) {
                bool more = next_line(&at, end, &line);
                Line rest = line, word;

                if (!more || line.size == strspn(line.text, BLANKS)) { /* the end of a stanza */
                        *ret_found |= named;
                        *ret_others |= any && !named;
                        in_uris = named = any = false;
                        if (!more)
                                return;
                        continue;
                }
                if (line.text[0] == '#')
                        continue;
                any = true;
                if (!strchr(BLANKS, line.text[0])) {
                        in_uris = line.size > 5 && strncasecmp(line.text, "URIs:", 5) == 0;
                        rest = (Line){line.text + 5, in_uris ? line.size - 5 : 0};
                }
                while (in_uris && next_word(&rest, &word))
                        named |= is_url(&word, url);
        }
}
