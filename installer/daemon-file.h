/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "install.h"

/* Docker's daemon.json as a file: its text, and how it was when the run began. All return 0 or a negative errno with
 * trouble set. */

/* A file that is not there has no text. */
int daemon_file_read(Install *install, const char *path, Buffer *text);

/* At once, or not at all. */
int daemon_file_write(Install *install, const char *path, const Buffer *text);

/* What is there is no daemon.json: reason says why. */
int daemon_file_broken(Install *install, const char *path, const char *reason);

/* Remembers how the file is, which may be where a link leads. */
int daemon_file_remember(Install *install);

/* Is all of it as it was, but for the registration, for white space and for order? */
bool daemon_file_is_only_registered(const Install *install, const Buffer *now);

/* Takes the registration of this run back, also one that a package's own script made, and gives the file back as it
 * was, inode aside. What others have written since stays. Has a running Docker forget the OCI runtime, and one that has
 * died on the way start again. Does nothing when nothing has changed. */
int daemon_file_restore(Install *install);

/* There is no way back any more. */
void daemon_file_keep(Install *install);

/* Writes the text without the registration, but with an object "runtimes": Docker takes no notice of a reload when the
 * whole key has gone, so for a moment it stands there empty. */
int daemon_file_unregister(Install *install, const char *path, const Buffer *now, const char *name);
