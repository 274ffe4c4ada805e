/* SPDX-License-Identifier: Apache-2.0 */

#include "os-release.h"

#include <string.h>

/* A backslash within quotes, other than single ones, takes away the meaning of what follows. */
static void unquote(char *value) {
        char quote = value[0] == '"' || value[0] == '\'' ? value[0] : '\0', *to = value;
        const char *from = value + (quote != '\0');

        for (; *from && *from != quote; from++) {
                if (*from == '\\' && quote != '\'' && from[1])
                        from++;
                *to++ = *from;
        }
        *to = '\0';
}

char *os_release_value(const char *text, const char *name) {
        size_t n = strlen(name);
        const char *found = NULL;
        char *value;

        for (const char *line = text; line; line = strchr(line, '\n')) {
                line += *line == '\n';
                if (strncmp(line, name, n) == 0 && line[n] == '=')
                        found = line + n + 1;
        }
        value = found ? strndup(found, strcspn(found, "\r\n")) : NULL;
        if (value)
                unquote(value);
        return value;
}

static bool has_word(const char *words, const char *word) {
        size_t n = strlen(word);

        for (const char *at = words; at && (at = strstr(at, word)); at += n)
                if ((at == words || at[-1] == ' ') && (at[n] == '\0' || at[n] == ' '))
                        return true;
        return false;
}

bool os_release_is_debian(const char *text) {
        CLEANUP_FREE char *id = os_release_value(text, "ID"), *like = os_release_value(text, "ID_LIKE");

        return has_word(id, "debian") || has_word(id, "ubuntu") || has_word(like, "debian");
}
