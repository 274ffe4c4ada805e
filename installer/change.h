/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base.h"

#include <sys/types.h>

/* One file that is replaced or removed, and can be given back as it was, its inode and times included, until the change
 * is kept. At every moment the file is either the old or the new one, whole. Zero-initialised is no change. */
typedef struct Change {
        char *path;   /* where it really is: a link to a file stays, and the file that it names is changed */
        char *undo;   /* a second name of the old file, in the same folder; NULL when there was none */
        char *folder; /* made for it; NULL when it was there */
        bool made;
} Change;

/* Ends of the names of what stands beside a file meanwhile. What a killed run has left of it is replaced. */
#define CHANGE_NEW_SUFFIX ".tee-new"
#define CHANGE_UNDO_SUFFIX ".tee-undo"

/* Where a path leads: through links, also to what is not there yet. Owned by the caller. Returns 0 or a negative errno.
 */
int change_resolve(const char *path, char **ret_path);

/* A file that exists keeps its owner and mode; a new one is root's, with mode, in a folder that is made when it is
 * missing. Returns 0 or a negative errno, and then nothing has changed. */
int change_write(Change *change, const char *path, const void *data, size_t size, mode_t mode);

/* Of a link, the link itself goes. A file that is not there is no failure. Same errors. */
int change_remove(Change *change, const char *path);

/* Gives the old state back. Does nothing when nothing was changed. */
int change_undo(Change *change);

/* Takes the second name away; there is no way back then. */
void change_keep(Change *change);

/* change_keep(), without touching what may still be wanted: frees memory alone. */
void change_deinit(Change *change);

/* Takes away what a killed run left beside the file. */
void change_tidy(const char *path);

/* The same for every file of a folder. */
void change_tidy_folder(const char *folder);
