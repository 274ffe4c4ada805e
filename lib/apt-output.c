/* SPDX-License-Identifier: Apache-2.0 */

#include "apt-output.h"
#include "buffer.h"

#include <errno.h>
#include <string.h>

#define ERRORS_MAX ((size_t) 2048)
#define BLANKS " \t\r"

typedef struct Line {
        const char *text;
        size_t size; /* without its end */
} Line;

/* Takes the next line off the text; false at its end. */
static bool next_line(const char **at, Line *ret) {
        size_t size = strcspn(*at, "\n");

        if (!**at)
                return false;
        *ret = (Line){*at, size};
        *at += size + ((*at)[size] == '\n');
        return true;
}

static bool starts_with(Line line, const char *text) {
        return line.size >= strlen(text) && memcmp(line.text, text, strlen(text)) == 0;
}

static Line trim(Line line) {
        while (line.size > 0 && strchr(BLANKS, line.text[0])) {
                line.text++;
                line.size--;
        }
        while (line.size > 0 && strchr(BLANKS, line.text[line.size - 1]))
                line.size--;
        return line;
}

/* ---- progress ---- */

/* "dlstatus:1:27.5:Retrieving file 1 of 2", "pmstatus:runsc:60.0:Unpacking runsc (amd64)" */
bool apt_output_progress(const char *line, int *ret_percent, const char **ret_words) {
        const char *fields[4] = {line};
        double percent;

        if (strncmp(line, "dlstatus:", 9) != 0 && strncmp(line, "pmstatus:", 9) != 0)
                return false;
        for (size_t i = 1; i < ARRAY_SIZE(fields); i++) {
                const char *colon = strchr(fields[i - 1], ':');

                if (!colon)
                        return false;
                fields[i] = colon + 1;
        }
        percent = strtod(fields[2], NULL);
        *ret_percent = percent >= 0.0 && percent <= 100.0 ? (int) percent : -1;
        *ret_words = fields[3];
        return true;
}

/* ---- errors ---- */

static bool begins_error(Line line) {
        static const char *const starts[] = {"E: ", "Err:", "dpkg: error", "dpkg-deb: error"};

        for (size_t i = 0; i < ARRAY_SIZE(starts); i++)
                if (starts_with(line, starts[i]))
                        return true;
        return false;
}

char *apt_output_errors(const char *text) {
        CLEANUP_BUFFER Buffer errors = BUFFER_INIT(ERRORS_MAX);
        Line line, last = {0};
        bool is_error = false;

        while (next_line(&text, &line)) {
                Line words = trim(line);

                is_error = begins_error(line) || (is_error && starts_with(line, "  "));
                if (words.size > 0)
                        last = words;
                if (is_error && words.size > 0) /* best effort: what has no room is left out */
                        (void) buffer_append_format(&errors, "%s%.*s", errors.size > 0 ? "; " : "", (int) words.size,
                                                    words.text);
        }
        if (errors.size > 0)
                return strdup((const char *) errors.data);
        return last.size > 0 ? strndup(last.text, last.size) : strdup("it said nothing");
}

/* ---- what is offered ---- */

/* "URL SUITE/main amd64 Packages" */
static bool is_from(Line from, const AptOffer *wanted) {
        if (!wanted->url)
                return true;
        size_t n = strlen(wanted->url), k = strlen(wanted->suite);

        while (n > 0 && wanted->url[n - 1] == '/')
                n--;
        if (from.size < n || memcmp(from.text, wanted->url, n) != 0)
                return false;
        while (n < from.size && from.text[n] == '/')
                n++;
        return from.size > n + 1 + k && from.text[n] == ' ' && memcmp(from.text + n + 1, wanted->suite, k) == 0 &&
               from.text[n + 1 + k] == '/';
}

/* Between bars; what follows is left in *rest. */
static Line next_column(Line *rest) {
        const char *bar = memchr(rest->text, '|', rest->size);
        size_t size = bar ? (size_t) (bar - rest->text) : rest->size;
        Line column = {rest->text, size};

        *rest = bar ? (Line){bar + 1, rest->size - size - 1} : (Line){rest->text + size, 0};
        return trim(column);
}

/* " runsc | 20240807.0 | URL SUITE/main amd64 Packages" */
int apt_output_offer(const char *text, const AptOffer *wanted, char **ret_version) {
        Line line;

        *ret_version = NULL;
        while (next_line(&text, &line)) {
                Line name = next_column(&line), version = next_column(&line), from = next_column(&line);

                if (name.size == 0 || version.size == 0 || !is_from(from, wanted))
                        continue;
                if (wanted->version && (strlen(wanted->version) != version.size ||
                                        memcmp(wanted->version, version.text, version.size) != 0))
                        continue;
                *ret_version = strndup(version.text, version.size);
                return *ret_version ? 0 : -ENOMEM;
        }
        return 0;
}

/* "  Candidate: 20240807.0" */
static int take_version(Line line, const char *name, char **version) {
        Line value;

        if (!starts_with(line, name))
                return 0;
        value = trim((Line){line.text + strlen(name), line.size - strlen(name)});
        if (value.size == 0 || (value.size == 6 && memcmp(value.text, "(none)", 6) == 0))
                return 0;
        free(*version);
        *version = strndup(value.text, value.size);
        return *version ? 0 : -ENOMEM;
}

int apt_output_policy(const char *text, AptPolicy *ret_policy) {
        AptPolicy policy = {0};
        Line line;
        int r = 0;

        while (r >= 0 && next_line(&text, &line)) {
                line = trim(line);
                r = take_version(line, "Installed:", &policy.installed);
                if (r >= 0)
                        r = take_version(line, "Candidate:", &policy.candidate);
                policy.is_offered |= memmem(line.text, line.size, " Packages", strlen(" Packages")) != NULL;
        }
        if (r < 0)
                apt_policy_deinit(&policy);
        else
                *ret_policy = policy;
        return r;
}

void apt_policy_deinit(AptPolicy *policy) {
        free(policy->installed);
        free(policy->candidate);
        *policy = (AptPolicy){0};
}

/* ---- what has come ---- */

static bool has_line(const char *text, Line wanted) {
        Line line;

        while (next_line(&text, &line))
                if (line.size == wanted.size && memcmp(line.text, wanted.text, line.size) == 0)
                        return true;
        return false;
}

static void free_names(char ***names) {
        for (char **name = *names; name && *name; name++)
                free(*name);
        free(*names);
}

int apt_output_added(const char *before, const char *now, char ***ret_names) {
        CLEANUP(free_names) char **names = calloc(1, sizeof(*names));
        size_t n = 0;
        Line line;

        if (!names)
                return -ENOMEM;
        while (next_line(&now, &line)) {
                char **grown;

                if (trim(line).size == 0 || has_line(before, line))
                        continue;
                grown = reallocarray(names, n + 2, sizeof(*names));
                if (!grown)
                        return -ENOMEM;
                names = grown;
                names[n] = strndup(line.text, strcspn(line.text, " \n"));
                names[n + 1] = NULL;
                if (!names[n++])
                        return -ENOMEM;
        }
        *ret_names = TAKE_PTR(names);
        return 0;
}
