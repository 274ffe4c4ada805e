/* SPDX-License-Identifier: Apache-2.0 */

#include "sources-list.h"

#include <string.h>
#include <strings.h>

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

static bool is_blank(char c) {
        return c == ' ' || c == '\t' || c == '\r';
}

/* The next word of a line; [options of a source, with blanks in them] are one, and end with their bracket. */
static bool next_word(Line *rest, Line *ret) {
        const char *end = rest->text + rest->size, *at = rest->text, *bracket;

        while (at < end && is_blank(*at))
                at++;
        ret->text = at;
        if (at < end && *at == '[') {
                bracket = memchr(at, ']', (size_t) (end - at));
                at = bracket ? bracket + 1 : end;
        } else {
                while (at < end && !is_blank(*at))
                        at++;
        }
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

/* ---- deb822 ---- */

static bool starts_with(const Line *line, const char *text) {
        size_t n = strlen(text);

        return line->size >= n && strncasecmp(line->text, text, n) == 0;
}

/* What apt takes for a no (StringToBool() in its strutl.cc). */
static bool is_no(const Line *word) {
        static const char *const words[] = {"no", "false", "without", "off", "disable", "0"};

        for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                if (word->size == strlen(words[i]) && strncasecmp(word->text, words[i], word->size) == 0)
                        return true;
        return false;
}

typedef enum Field {
        FIELD_OTHER,
        FIELD_URIS,
        FIELD_ENABLED,
} Field;

typedef struct Stanza {
        bool any;      /* something is in it */
        bool ours;     /* names the repository */
        bool foreign;  /* names another one */
        bool disabled; /* apt passes it by */
} Stanza;

/* A field's value goes on in lines that begin with a blank. */
static void read_field(Stanza *stanza, Field *field, Line line, const char *url) {
        static const char uris[] = "URIs:", enabled[] = "Enabled:";
        Line word;

        stanza->any = true;
        if (!is_blank(line.text[0])) {
                size_t name = 0;

                *field = FIELD_OTHER;
                if (starts_with(&line, uris)) {
                        *field = FIELD_URIS;
                        name = strlen(uris);
                } else if (starts_with(&line, enabled)) {
                        *field = FIELD_ENABLED;
                        name = strlen(enabled);
                }
                line = (Line){line.text + name, line.size - name};
        }
        while (*field != FIELD_OTHER && next_word(&line, &word)) {
                if (*field == FIELD_ENABLED)
                        stanza->disabled = is_no(&word);
                else if (is_url(&word, url))
                        stanza->ours = true;
                else
                        stanza->foreign = true;
        }
}

static void end_stanza(Stanza *stanza, bool *found, bool *others) {
        bool ours = stanza->ours && !stanza->disabled;

        *found |= ours;
        *others |= stanza->any && (!ours || stanza->foreign);
        *stanza = (Stanza){0};
}

static bool is_empty(Line line) {
        Line word;

        return !next_word(&line, &word);
}

void sources_stanzas_look(const char *text, size_t size, const char *url, bool *ret_found, bool *ret_others) {
        const char *at = text, *end = text + size;
        Field field = FIELD_OTHER;
        Stanza stanza = {0};
        Line line;

        *ret_found = *ret_others = false;
        while (next_line(&at, end, &line)) {
                if (is_empty(line)) {
                        end_stanza(&stanza, ret_found, ret_others);
                        field = FIELD_OTHER;
                } else if (line.text[0] != '#') {
                        read_field(&stanza, &field, line, url);
                }
        }
        end_stanza(&stanza, ret_found, ret_others);
}
