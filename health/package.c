/* SPDX-License-Identifier: Apache-2.0 */

#include "package.h"
#include "process.h"

#include <errno.h>
#include <string.h>

#define CHANGELOG_MAX ((size_t) 1024 * 1024)

void package_deinit(Package *package) {
        free(package->name);
        free(package->version);
        *package = (Package){0};
}

/* The last line of what a program prints, owned by the caller; NULL where it fails. */
static int ask_line(Context *context, const char *const *argv, char **ret_line) {
        CLEANUP_BUFFER Buffer output = BUFFER_INIT(PROCESS_OUTPUT_MAX);
        int r = context_ask(context, argv, &output);
        const char *text, *before;

        *ret_line = NULL;
        if (r != 0 || output.size == 0)
                return r < 0 ? r : 0;
        text = (const char *) output.data;
        output.size -= text[output.size - 1] == '\n';
        before = memrchr(text, '\n', output.size);
        before = before ? before + 1 : text;
        *ret_line = strndup(before, output.size - (size_t) (before - text));
        return *ret_line ? 0 : -ENOMEM;
}

/* dpkg-query says "runc: /usr/sbin/runc", and before that what it knows of diversions. */
int package_of(Context *context, const char *path, Package *ret_package) {
        CLEANUP_FREE char *real = realpath(path, NULL), *owner = NULL, *version = NULL;
        const char *const search[] = {"dpkg-query", "--search", real ? real : path, NULL};
        int r = ask_line(context, search, &owner);

        *ret_package = (Package){0};
        if (r < 0 || !owner)
                return r;
        owner[strcspn(owner, ":, ")] = '\0';
        const char *const show[] = {"dpkg-query", "--show", "--showformat=${Version}", owner, NULL};

        r = ask_line(context, show, &version);
        if (r >= 0 && version)
                *ret_package = (Package){.name = TAKE_PTR(owner), .version = TAKE_PTR(version)};
        return r;
}

int package_is_older(Context *context, const char *a, const char *b) {
        const char *const argv[] = {"dpkg", "--compare-versions", a, "lt", b, NULL};
        CLEANUP_BUFFER Buffer output = BUFFER_INIT(PROCESS_OUTPUT_MAX);
        int r = context_ask(context, argv, &output);

        return r < 0 ? r : r == 0;
}

int package_changelog(Context *context, const Package *package, char **ret_text) {
        CLEANUP_FREE char *path = text_format("/usr/share/doc/%s/changelog.Debian.gz", package->name);
        const char *const argv[] = {"gzip", "--decompress", "--stdout", path, NULL};
        CLEANUP_BUFFER Buffer output = BUFFER_INIT(CHANGELOG_MAX);
        int r = !path ? -ENOMEM : access(path, R_OK) < 0 ? 0 : context_ask(context, argv, &output);

        if (r < 0)
                return r;
        *ret_text = strdup(r == 0 && output.size > 0 ? (const char *) output.data : "");
        return *ret_text ? 0 : -ENOMEM;
}
