/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The files that the program finds in its work folder, and what it reads from its stdin. */

#include <stddef.h>
#include <stdint.h>

#include "identity.h"

#define FILES_MAX 512U
#define FILES_WORK_FOLDER "/work"

typedef struct Files {
        const Identity *identity;
        int current_fd; /* the file that DATA belongs to, or -1 */
        int stdin_fd;
        size_t n_files;
} Files;

/* Enters the work folder and makes an empty stdin. identity must outlive files. Returns 0 or a negative errno. */
int files_init(Files *files, const Identity *identity);

/* Makes a new, empty file, the program's own, with the folders that it lies in; DATA goes there from now on. Returns 0,
 * -EBADMSG for a path that the protocol does not allow, -E2BIG for one file too many, or another negative errno. */
int files_create(Files *files, const uint8_t *path, size_t size);

/* Appends to the current file. Returns 0, -EBADMSG where there is none, or another negative errno. */
int files_append(Files *files, const uint8_t *data, size_t size);

/* Appends to what the program will read from its stdin. Returns 0 or a negative errno. */
int files_append_stdin(Files *files, const uint8_t *data, size_t size);

/* No more files: the program reads its stdin from the start. Returns 0 or a negative errno. */
int files_finish(Files *files);
