/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "install.h"

/* apt-get and dpkg, driven without questions, with their progress shown. All return 0 or a negative errno with trouble
 * set, in the words of apt. */

/* Waits until nobody else works with packages, for options.wait_ms at most. */
int apt_await_turn(Install *install);

/* What dpkg was stopped in the middle of is finished. */
int apt_finish_interrupted(Install *install);

/* Fetches the indexes: of one file of sources, or of all of them (NULL). Any index that cannot be had is a failure. */
int apt_update(Install *install, const char *sources);

/* Installs packages ("name", "name=version" or a path), ended by NULL. */
int apt_install(Install *install, const char *label, const char *const *packages);

/* Version of an installed package, owned by the caller; NULL when it is not installed. */
int apt_installed_version(Install *install, const char *package, char **ret_version);

/* The newest version of the package that a suite of the repository at url has, by the indexes that are here; owned by
 * the caller. NULL for none. exact, which may be NULL: this version only. */
int apt_offered_version(Install *install, const char *package, const char *url, const char *suite, const char *exact,
                        char **ret_version);

/* Does any index that is here have this very version? */
int apt_has_version(Install *install, const char *package, const char *version, bool *ret_has);

/* Is there a package of this name in any of the indexes? */
int apt_knows(Install *install, const char *package, bool *ret_known);

/* Are all files of an installed package there as it brought them? Sets trouble when not. */
int apt_verify(Install *install, const char *package);

/* Remembers what is installed, so that what comes is known. */
int packages_begin(Install *install, Packages *packages);

/* Purges what has come since, and forgets. Does nothing when nothing was begun. */
int packages_take_back(Install *install, Packages *packages);

void packages_deinit(Packages *packages);

/* Removes packages, ended by NULL; with purge, their configuration, too. */
int apt_remove(Install *install, const char *const *packages, bool purge);

/* Deletes the indexes of a repository that has gone. Best effort: apt itself would do so at its next update. */
void apt_forget_lists(const char *url);
