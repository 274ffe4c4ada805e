/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base.h"

/* What apt's and dpkg's programs print, read. Pure: text in, facts out. */

/* A line of APT::Status-Fd (apt's README.progress-reporting). False when it tells of no progress. *ret_percent is 0 to
 * 100, or -1 when the line has no such figure; *ret_words points into the line. */
bool apt_output_progress(const char *line, int *ret_percent, const char **ret_words);

/* The lines of error with those below that belong to them, or, where there is none, the last thing that was said. Owned
 * by the caller; NULL on ENOMEM. */
char *apt_output_errors(const char *text);

typedef struct AptOffer {
        const char *url; /* of the repository; slashes at its end do not count; NULL for any, and then suite is, too */
        const char *suite;
        const char *version; /* NULL for any */
} AptOffer;

/* The first version that "apt-cache madison" lists from there, which is the newest; owned by the caller, NULL for none.
 * Returns 0 or -ENOMEM. */
int apt_output_offer(const char *text, const AptOffer *wanted, char **ret_version);

/* What "apt-cache policy PACKAGE" tells. */
typedef struct AptPolicy {
        char *installed, *candidate; /* versions; NULL for none */
        bool is_offered;             /* by a repository whose list is here */
} AptPolicy;

void apt_policy_deinit(AptPolicy *policy);

/* Returns 0 or -ENOMEM. */
int apt_output_policy(const char *text, AptPolicy *ret_policy);

/* Names of the packages whose lines "NAME STATE" are in now and were not in before; ended by NULL, all of it owned by
 * the caller. Returns 0 or -ENOMEM. */
int apt_output_added(const char *before, const char *now, char ***ret_names);
