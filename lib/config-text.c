/* SPDX-License-Identifier: Apache-2.0 */

/* A scanner of libconfig's tokens, no parser: it steps over comments and strings, remembers names and the braces that
 * they opened, and looks at numbers. What is wrong otherwise is libconfig's to find. No setting of ours goes beyond 31
 * bits, so that every larger integer, however it is written, is refused here. */

#include "config-text.h"
#include "buffer.h"
#include "text.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define DEPTH_MAX 4U

typedef struct Scanner {
        const char *p;
        unsigned line;
        size_t depth;
        /* The last name at each depth: the path to what is being looked at. */
        const char *names[DEPTH_MAX];
        size_t name_sizes[DEPTH_MAX];
        size_t names_seen; /* all of them */
} Scanner;

/* Steps over what begins with start bytes and goes on until end, and over that, too; false where there is none. In a
 * string a backslash hides the character behind it. */
static bool skip_until(Scanner *scanner, size_t start, const char *end) {
        size_t n = strlen(end);
        unsigned line = scanner->line;

        for (const char *p = scanner->p + start; *p != '\0'; p++) {
                if (strncmp(p, end, n) == 0) {
                        scanner->p = p + n;
                        scanner->line = line;
                        return true;
                }
                if (end[0] == '"' && p[0] == '\\' && p[1] != '\0')
                        p++;
                line += *p == '\n';
        }
        return false;
}

static void scan_name(Scanner *scanner) {
        size_t n = 1;

        while (isalnum((unsigned char) scanner->p[n]) || (scanner->p[n] != '\0' && strchr("-_*", scanner->p[n])))
                n++;
        if (scanner->depth < DEPTH_MAX) {
                scanner->names[scanner->depth] = scanner->p;
                scanner->name_sizes[scanner->depth] = n;
        }
        scanner->names_seen++;
        scanner->p += n;
}

static void scan_brace(Scanner *scanner) {
        if (*scanner->p == '{')
                scanner->depth++;
        else if (scanner->depth > 0)
                scanner->depth--;
        if (*scanner->p == '{' && scanner->depth < DEPTH_MAX)
                scanner->name_sizes[scanner->depth] = 0;
        scanner->p++;
}

/* What is wrong with a number, with its size, or NULL. */
static const char *scan_number(Scanner *scanner, size_t *ret_size) {
        const char *start = scanner->p;
        bool is_hex = start[0] == '0' && (start[1] == 'x' || start[1] == 'X'), is_float;
        char *end;
        unsigned long long value;

        errno = 0;
        value = strtoull(start, &end, is_hex ? 16 : 10);
        is_float = !is_hex && *end != '\0' && strchr(".eE", *end);
        scanner->p = end + strspn(end, is_float ? "0123456789.eE+-" : "L");
        *ret_size = (size_t) (end - start);
        if (is_float)
                return NULL;
        if (errno == ERANGE || value > INT32_MAX)
                return "is out of range";
        return start[0] == '0' && isdigit((unsigned char) start[1]) ? "must not begin with 0" : NULL;
}

/* "limits.wall_ms.max", or NULL where there is none. */
static int setting_name(const Scanner *scanner, char **ret_name) {
        Buffer name = BUFFER_INIT(SIZE_MAX / 2);
        int r = 0;

        for (size_t i = 0; r == 0 && i <= scanner->depth && i < DEPTH_MAX; i++)
                if (scanner->name_sizes[i] > 0)
                        r = buffer_append_format(&name, "%s%.*s", name.size > 0 ? "." : "",
                                                 (int) scanner->name_sizes[i], scanner->names[i]);
        if (r < 0)
                buffer_deinit(&name);
        *ret_name = (char *) name.data;
        return r;
}

/* One token, or one character that is of no interest here. *ret_what is what is wrong with it, else left alone. */
static int scan_token(Scanner *scanner, char **ret_what) {
        const char *p = scanner->p, *what = NULL;
        size_t n = 0;

        if (p[0] == '#' || (p[0] == '/' && p[1] == '/'))
                scanner->p += strcspn(p, "\n");
        else if (p[0] == '/' && p[1] == '*')
                what = skip_until(scanner, 2, "*/") ? NULL : "a comment that begins here has no end";
        else if (p[0] == '"')
                what = skip_until(scanner, 1, "\"") ? NULL : "a string that begins here has no end";
        else if (isalpha((unsigned char) p[0]) || p[0] == '*')
                scan_name(scanner);
        else if (p[0] == '{' || p[0] == '}')
                scan_brace(scanner);
        else if (isdigit((unsigned char) p[0]))
                what = scan_number(scanner, &n);
        else if (strncmp(p, "@include", 8) == 0)
                what = "@include is not supported";
        else
                scanner->line += *scanner->p++ == '\n';

        if (!what)
                return 0;
        *ret_what = n > 0 ? text_format("%.*s %s", n < 64 ? (int) n : 64, p, what) : strdup(what);
        return *ret_what ? -EINVAL : -ENOMEM;
}

int config_text_check(const char *text, unsigned *ret_line, char **ret_name, char **ret_what) {
        CLEANUP_FREE char *what = NULL, *name = NULL;
        Scanner scanner = {.p = text, .line = 1};
        int r = 0;

        while (r == 0 && *scanner.p != '\0')
                r = scan_token(&scanner, &what);
        if (r != -EINVAL)
                return r;
        /* Only a number belongs to the name before it. */
        if (isdigit((unsigned char) what[0]) && setting_name(&scanner, &name) < 0)
                return -ENOMEM;
        *ret_line = scanner.line;
        *ret_name = TAKE_PTR(name);
        *ret_what = TAKE_PTR(what);
        return -EINVAL;
}

int config_text_name_at(const char *text, unsigned line, char **ret_name) {
        CLEANUP_FREE char *name = NULL;
        Scanner scanner = {.p = text, .line = 1};
        size_t found = 0;
        int r = 0;

        while (r == 0 && *scanner.p != '\0' && scanner.line <= line) {
                CLEANUP_FREE char *what = NULL;
                size_t before = scanner.names_seen;
                bool here = scanner.line == line;

                r = scan_token(&scanner, &what);
                if (r < 0 || !here || scanner.names_seen == before)
                        continue;
                free(name);
                name = NULL;
                if (found++ == 0)
                        r = setting_name(&scanner, &name);
        }
        if (r == -ENOMEM)
                return r;
        *ret_name = TAKE_PTR(name);
        return 0;
}
