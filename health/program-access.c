/* SPDX-License-Identifier: Apache-2.0 */

#include "program-access.h"

#include <string.h>
#include <sys/stat.h>

static void make_chmod(char **ret_remedy, const char *path) {
        *ret_remedy = text_format("chmod a+rx %s", path);
}

/* Docker runs it as root. Returns true when the finding has told that others than root may change what that is. */
static bool is_writable(const char *path, const struct stat *st, Finding *finding) {
        CLEANUP_FREE char *remedy = text_format("chmod o-w %s", path);
        bool is_sticky = S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX);

        if (!(st->st_mode & 02) || is_sticky)
                return false;
        finding_fail(finding, remedy, "%s has the mode %04o: everybody may change what Docker runs as root", path,
                     st->st_mode & 07777);
        finding_fix(finding, "chmod", "o-w", path);
        return true;
}

bool program_access_judge(const char *path, Finding *finding) {
        CLEANUP_FREE char *part = realpath(path, NULL), *remedy = NULL;
        struct stat st;

        if (!part || stat(part, &st) < 0)
                return true; /* somebody else will say so */
        if (is_writable(part, &st, finding))
                return false;
        if ((st.st_mode & 05) != 05) {
                make_chmod(&remedy, path);
                finding_fail(finding, remedy, "%s has the mode %04o: runsc has to be readable and executable by all",
                             path, st.st_mode & 07777);
                finding_fix(finding, "chmod", "a+rx", path);
                return false;
        }
        for (char *slash = strrchr(part, '/'); slash && slash != part; slash = strrchr(part, '/')) {
                *slash = '\0';
                if (stat(part, &st) < 0)
                        continue;
                if (is_writable(part, &st, finding))
                        return false;
                if (st.st_mode & 01)
                        continue;
                make_chmod(&remedy, part);
                finding_fail(finding, remedy, "%s lies in %s, which has the mode %04o: all have to get at runsc", path,
                             part, st.st_mode & 07777);
                return false;
        }
        return true;
}
