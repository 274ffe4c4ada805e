/* SPDX-License-Identifier: Apache-2.0 */

#include "sources-list.h"

#include <errno.h>
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
        FIELD_TYPES,
        FIELD_URIS,
        FIELD_SUITES,
        FIELD_SIGNED_BY,
        FIELD_TRUSTED,
        FIELD_ENABLED,
        FIELD_COUNT_,
} Field;

static const char *const field_names[FIELD_COUNT_] = {
        [FIELD_TYPES] = "Types:",         [FIELD_URIS] = "URIs:",       [FIELD_SUITES] = "Suites:",
        [FIELD_SIGNED_BY] = "Signed-By:", [FIELD_TRUSTED] = "Trusted:", [FIELD_ENABLED] = "Enabled:",
};

typedef struct Stanza {
        bool any;      /* something is in it */
        bool is_deb;   /* of packages, not of sources alone */
        bool ours;     /* names the repository */
        bool foreign;  /* names another one */
        bool disabled; /* apt passes it by */
        bool trusted;  /* whatever its signature is */
        Line suite;    /* the first one; no text: none */
        Line signed_by;
} Stanza;

static void take_word(Stanza *stanza, Field field, Line word, const char *url) {
        if (field == FIELD_TYPES)
                stanza->is_deb |= is_word(&word, "deb");
        else if (field == FIELD_URIS && is_url(&word, url))
                stanza->ours = true;
        else if (field == FIELD_URIS)
                stanza->foreign = true;
        else if (field == FIELD_SUITES && !stanza->suite.text && word.text[0] != '[') /* options are elsewhere */
                stanza->suite = word;
        else if (field == FIELD_SIGNED_BY && !stanza->signed_by.text)
                stanza->signed_by = word;
        else if (field == FIELD_TRUSTED)
                stanza->trusted = !is_no(&word);
        else if (field == FIELD_ENABLED)
                stanza->disabled = is_no(&word);
}

/* A field's value goes on in lines that begin with a blank. */
static void read_field(Stanza *stanza, Field *field, Line line, const char *url) {
        Line word;

        stanza->any = true;
        if (!is_blank(line.text[0])) {
                *field = FIELD_OTHER;
                for (Field one = FIELD_OTHER + 1; one < FIELD_COUNT_; one++)
                        if (starts_with(&line, field_names[one])) {
                                size_t name = strlen(field_names[one]);

                                *field = one;
                                line = (Line){line.text + name, line.size - name};
                                break;
                        }
        }
        while (*field != FIELD_OTHER && next_word(&line, &word))
                take_word(stanza, *field, word, url);
}

static bool is_empty(Line line) {
        Line word;

        return !next_word(&line, &word);
}

/* Reads the next stanza; false when there is none. */
static bool next_stanza(const char **at, const char *end, const char *url, Stanza *ret) {
        Field field = FIELD_OTHER;
        Line line;

        *ret = (Stanza){0};
        while (next_line(at, end, &line)) {
                if (!is_empty(line) && line.text[0] != '#')
                        read_field(ret, &field, line, url);
                else if (is_empty(line) && ret->any)
                        return true;
        }
        return ret->any;
}

void sources_stanzas_look(const char *text, size_t size, const char *url, bool *ret_found, bool *ret_others) {
        const char *at = text, *end = text + size;
        Stanza stanza;

        *ret_found = *ret_others = false;
        while (next_stanza(&at, end, url, &stanza)) {
                bool ours = stanza.ours && !stanza.disabled;

                *ret_found |= ours;
                *ret_others |= !ours || stanza.foreign;
        }
}

/* ---- entries ---- */

void sources_entry_deinit(SourcesEntry *entry) {
        free(entry->suite);
        free(entry->signed_by);
        *entry = (SourcesEntry){0};
}

static char *word_text(Line word) {
        return word.text ? strndup(word.text, word.size) : NULL;
}

/* "[arch=amd64 signed-by=/path trusted=yes]" as the fields that they stand for. */
static void read_options(Stanza *stanza, Line options) {
        Line word;

        options = (Line){options.text + 1, options.size - 1};
        if (options.size > 0 && options.text[options.size - 1] == ']')
                options.size--;
        while (next_word(&options, &word)) {
                const char *equals = memchr(word.text, '=', word.size);
                size_t name = equals ? (size_t) (equals - word.text) : word.size;
                Line key = {word.text, name}, value = {word.text + name + 1, equals ? word.size - name - 1 : 0};

                if (equals && is_word(&key, "signed-by"))
                        take_word(stanza, FIELD_SIGNED_BY, value, "");
                else if (equals && is_word(&key, "trusted"))
                        take_word(stanza, FIELD_TRUSTED, value, "");
        }
}

/* Reads the next line that is an entry; false when there is none. */
static bool next_entry(const char **at, const char *end, const char *url, Stanza *ret) {
        Line line, word;

        while (next_line(at, end, &line)) {
                *ret = (Stanza){.any = true};
                if (!next_word(&line, &word) || !is_word(&word, "deb") || !next_word(&line, &word))
                        continue;
                ret->is_deb = true;
                if (word.text[0] == '[') {
                        read_options(ret, word);
                        if (!next_word(&line, &word))
                                continue;
                }
                take_word(ret, FIELD_URIS, word, url);
                if (next_word(&line, &word))
                        take_word(ret, FIELD_SUITES, word, url);
                return true;
        }
        return false;
}

int sources_find(const char *text, size_t size, bool is_deb822, const char *url, SourcesEntry *entry, size_t *found) {
        const char *at = text, *end = text + size;
        Stanza stanza;

        while (is_deb822 ? next_stanza(&at, end, url, &stanza) : next_entry(&at, end, url, &stanza)) {
                if (!stanza.is_deb || !stanza.ours || stanza.disabled || (*found)++ > 0)
                        continue;
                *entry = (SourcesEntry){
                        .is_one_line = !is_deb822,
                        .is_trusted = stanza.trusted,
                        .suite = word_text(stanza.suite),
                        .signed_by = word_text(stanza.signed_by),
                };
                if ((stanza.suite.text && !entry->suite) || (stanza.signed_by.text && !entry->signed_by))
                        return -ENOMEM;
        }
        return 0;
}
