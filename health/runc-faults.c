/* SPDX-License-Identifier: Apache-2.0 */

/* Ways out of a container, from runc's own CHANGELOG.md and advisories: the first version of each branch that has the
 * fix. A branch that is older than all of these never got it, one that is newer always had it. */

#include "runc-faults.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

#define BRANCHES_MAX 4U
#define RELEASE UINT64_C(0xffff) /* comes after its candidates */

typedef struct Fault {
        const char *id;
        const char *mended[BRANCHES_MAX]; /* the oldest branch first */
} Fault;

static const Fault faults[] = {
        {"CVE-2019-5736", {"1.0.0-rc7"}},
        {"CVE-2019-16884", {"1.0.0-rc9"}},
        {"CVE-2019-19921", {"1.0.0-rc10"}},
        {"CVE-2021-30465", {"1.0.0-rc95"}},
        {"CVE-2023-27561", {"1.1.5"}},
        {"CVE-2023-28642", {"1.1.5"}},
        {"CVE-2024-21626", {"1.1.12", "1.2.0-rc.1"}},
        {"CVE-2024-45310", {"1.1.14", "1.2.0-rc.3"}},
        {"CVE-2025-31133", {"1.2.8", "1.3.3", "1.4.0-rc.3"}},
        {"CVE-2025-52565", {"1.2.8", "1.3.3", "1.4.0-rc.3"}},
        {"CVE-2025-52881", {"1.2.8", "1.3.3", "1.4.0-rc.3"}},
        {"CVE-2026-41579", {"1.3.6", "1.4.3", "1.5.0-rc.3"}},
        {"CVE-2026-119101", {"1.3.7", "1.4.4", "1.5.3", "1.6.0-rc.2"}},
};

/* As a number that orders as versions do, and without its lower half tells the branch; 0 for what is no version. */
static uint64_t parse(const char *version) {
        unsigned major, minor, patch, candidate;
        int n = 0;

        if (version[0] < '0' || version[0] > '9' || sscanf(version, "%4u.%4u.%4u%n", &major, &minor, &patch, &n) != 3)
                return 0;
        version += n;
        version += version[0] == '-' || version[0] == '~';
        if (sscanf(version, "rc%*1[.]%3u", &candidate) != 1 && sscanf(version, "rc%3u", &candidate) != 1)
                candidate = RELEASE;
        return (uint64_t) major << 48 | (uint64_t) minor << 32 | (uint64_t) patch << 16 | candidate;
}

static bool is_mended(const Fault *fault, uint64_t version) {
        uint64_t mended = 0;

        for (size_t i = 0; i < BRANCHES_MAX && fault->mended[i]; i++) {
                mended = parse(fault->mended[i]);
                if (version >> 32 == mended >> 32)
                        return version >= mended;
        }
        return version > mended;
}

/* Is it named, and not only the beginning of a longer id? */
static bool names(const char *changelog, const char *id) {
        size_t n = strlen(id);

        for (const char *at = changelog; (at = strstr(at, id)); at += n)
                if (at[n] < '0' || at[n] > '9')
                        return true;
        return false;
}

char *runc_faults(const char *version, const char *changelog) {
        uint64_t number = parse(version);
        char *all = number > 0 ? strdup("") : NULL;

        for (size_t i = 0; all && i < ARRAY_SIZE(faults); i++) {
                char *more;

                if (is_mended(&faults[i], number) || names(changelog, faults[i].id))
                        continue;
                more = text_format("%s%s%s", all, all[0] ? ", " : "", faults[i].id);
                free(all);
                all = more;
        }
        return all;
}
