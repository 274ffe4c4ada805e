/* SPDX-License-Identifier: Apache-2.0 */

#include "program-access.h"
#include "executable.h"

#include <string.h>
#include <sys/stat.h>

/* Docker runs it as root. Who may write to a folder with the sticky bit can change nobody else's file in it. Returns
 * true when the finding has told that others than root may change what that is. */
static bool is_others(const char *part, bool is_program, Finding *finding) {
        CLEANUP_FREE char *chown = text_format("chown root: %s", part), *chmod = text_format("chmod go-w %s", part);
        struct stat st;

        if (stat(part, &st) < 0)
                return false; /* somebody else will say so */
        if (st.st_uid != 0) {
                finding_fail(finding, chown, "%s belongs to the user %u, who may change what Docker runs as root", part,
                             st.st_uid);
                return true;
        }
        if ((S_ISDIR(st.st_mode) && (st.st_mode & S_ISVTX)) ||
            (!(st.st_mode & S_IWOTH) && (!(st.st_mode & S_IWGRP) || st.st_gid == 0)))
                return false;
        finding_fail(finding, chmod, "%s has the mode %04o: others than root may change what Docker runs as root", part,
                     st.st_mode & 07777U);
        if (is_program)
                finding_fix(finding, "chmod", "go-w", part);
        return true;
}

static bool is_program(const char *path) {
        const Executable program = {.name = path, .path = path};
        Trouble none = {0};
        int r = executable_check(&program, NULL, &none);

        trouble_deinit(&none);
        return r >= 0;
}

/* All have to get at it. Nothing but a program is opened to them by a fix, and none that is reached by a link. */
static bool is_closed(const char *path, const char *real, Finding *finding) {
        CLEANUP_FREE char *remedy = text_format("chmod a+rx %s", path);
        struct stat st;

        if (stat(real, &st) < 0 || (st.st_mode & 05) == 05)
                return false;
        finding_fail(finding, remedy, "%s has the mode %04o: runsc has to be readable and executable by all", path,
                     st.st_mode & 07777U);
        if (strcmp(path, real) == 0 && is_program(real))
                finding_fix(finding, "chmod", "a+rx", real);
        return true;
}

static bool is_in_closed_folder(const char *path, const char *folder, Finding *finding) {
        CLEANUP_FREE char *remedy = text_format("chmod a+rx %s", folder);
        struct stat st;

        if (stat(folder, &st) < 0 || (st.st_mode & 01))
                return false;
        finding_fail(finding, remedy, "%s lies in %s, which has the mode %04o: all have to get at runsc", path, folder,
                     st.st_mode & 07777U);
        return true;
}

/* Cuts a path down to the folder that it lies in. */
static bool go_up(char *part) {
        char *slash = strrchr(part, '/');

        if (!slash || strcmp(part, "/") == 0)
                return false;
        slash[slash == part] = '\0';
        return true;
}

bool program_access_judge(const char *path, Finding *finding) {
        CLEANUP_FREE char *real = realpath(path, NULL), *part = real ? strdup(real) : NULL;

        if (!part)
                return true; /* somebody else will say so */
        do {
                if (is_others(part, strcmp(part, real) == 0, finding))
                        return false;
        } while (go_up(part));
        if (is_closed(path, real, finding))
                return false;
        (void) strcpy(part, real); /* NOLINT: as long as it was */
        while (go_up(part))
                if (is_in_closed_folder(path, part, finding))
                        return false;
        return true;
}
