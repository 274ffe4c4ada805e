/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base.h"

#include <sys/stat.h>

/* Which file stands at a path, so that its replacement or its change is noticed (stat(2), without reading it). */
typedef struct FileStamp {
        bool known;
        dev_t device;
        ino_t inode;
        off_t size;
        struct timespec changed; /* st_ctim, which nobody can set */
} FileStamp;

/* path may be NULL. What is no absolute path, or not there, is not known. */
FileStamp file_stamp(const char *path);

bool file_stamp_equals(const FileStamp *a, const FileStamp *b);
