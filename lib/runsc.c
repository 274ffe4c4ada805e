/* SPDX-License-Identifier: Apache-2.0 */

#include "runsc.h"
#include "executable.h"
#include "text.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define GVISOR_BIN_SINCE 20260701U /* from then on, runsc is one program of several */

int runsc_version(Loop *loop, const char *path, uint64_t most_usec, Trouble *trouble, char **ret_version) {
        static const char prefix[] = "runsc version ";
        Executable program = {.name = path, .path = path, .most_usec = most_usec};
        CLEANUP_FREE char *line = NULL;
        int r = executable_check(&program, NULL, trouble);

        if (r >= 0)
                r = executable_version(loop, &program, "--version", trouble, &line);
        if (r < 0)
                return r;
        if (strncmp(line, prefix, strlen(prefix)) != 0)
                return trouble_set(trouble, -ENOEXEC, NULL, "%s is no runsc: it says '%.200s'", path, line);
        *ret_version = strdup(line + strlen(prefix));
        return *ret_version ? 0 : -ENOMEM;
}

unsigned runsc_release(const char *version) {
        for (const char *p = version; *p; p += strspn(p, "0123456789")) {
                unsigned date;

                p += strcspn(p, "0123456789");
                if (strspn(p, "0123456789") == 8 && sscanf(p, "%8u", &date) == 1)
                        return date;
        }
        return 0;
}

static size_t count_files(const char *folder) {
        DIR *entries = opendir(folder);
        size_t files = 0;

        for (const struct dirent *entry; entries && (entry = readdir(entries));)
                files += entry->d_name[0] != '.';
        if (entries)
                (void) closedir(entries);
        return files;
}

int runsc_check_parts(const char *path, const char *version, Trouble *trouble) {
        const char *slash = strrchr(path, '/');
        CLEANUP_FREE char *folder = text_format("%.*s/gvisor-bin", slash ? (int) (slash - path) : 0, path);

        if (runsc_release(version) < GVISOR_BIN_SINCE)
                return 0;
        if (!folder)
                return -ENOMEM;
        if (count_files(folder) > 0)
                return 0;
        return trouble_set(trouble, -ENOENT, "install all of the release: runsc and gvisor-bin/",
                           "runsc %s needs the folder %s beside it, which is missing or empty", version, folder);
}
