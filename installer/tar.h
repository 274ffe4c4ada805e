/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "buffer.h"

#include <sys/types.h>

/* Archives in the ustar format of POSIX (pax(1)): what Docker takes and gives. */

#define TAR_BLOCK ((size_t) 512)

/* ---- one entry ---- */

typedef enum TarType {
        TAR_FILE = '0',
        TAR_LINK = '2', /* symbolic */
        TAR_FOLDER = '5',
} TarType;

typedef struct TarEntry {
        TarType type;
        const char *name; /* without a slash at its begin */
        mode_t mode;
        uint64_t size;      /* of a file */
        const char *target; /* of a link */
} TarEntry;

/* Appends the entry's header, one block: root's, of 1970. A file's content follows it, filled up to whole blocks.
 * Returns 0, -ENAMETOOLONG where the name or the target does not fit, -EFBIG for 8 GB and more, or as buffer_append. */
int tar_append_header(Buffer *buffer, const TarEntry *entry);

/* ---- an archive that is written ---- */

/* A tree that becomes an archive. The same tree makes the same bytes, in whatever order it was put together. */
typedef struct Tar Tar;

int tar_new(Tar **ret_tar);
Tar *tar_free(Tar *tar);

DEFINE_CLEANUP(Tar *, tar_free)

/* path is absolute, without "." and "..". Folders above it that are missing come with mode 0755. Return 0, -EEXIST
 * where something is at path already, -EINVAL for a path that is none, -ENAMETOOLONG, -ENOMEM. */

/* A folder that is there already gets the mode. */
int tar_add_folder(Tar *tar, const char *path, mode_t mode);
int tar_add_link(Tar *tar, const char *path, const char *target);

/* Copies data. */
int tar_add_bytes(Tar *tar, const char *path, mode_t mode, const void *data, size_t size);

/* The file's content, which is read when the archive is. It stays open until then, so that one that takes its name
 * changes nothing. Also another negative errno of open(2), and -EISDIR for what is no regular file. */
int tar_add_file(Tar *tar, const char *path, mode_t mode, const char *source);

/* Files, links and folders. */
size_t tar_entries(const Tar *tar);

/* Bytes of the whole archive. */
uint64_t tar_size(const Tar *tar);

/* The next bytes of the archive, at most size: how many, 0 at the end, or a negative errno; -ESTALE where a file has
 * become shorter. userdata is the Tar, which makes this a DockerSource. Nothing may be added after the first. */
ssize_t tar_read(void *data, size_t size, void *userdata);

/* The next tar_read() begins at the begin again. */
void tar_rewind(Tar *tar);

/* ---- an archive that is read ---- */

/* Finds the one regular file that an archive holds, as Docker sends one, and gives its content to a callback. Other
 * entries (the names of pax and GNU's, folders, links) are passed by. Zero-initialised but for take and userdata. */
typedef struct TarReader {
        int (*take)(const void *data, size_t size, void *userdata); /* a negative errno ends it */
        void *userdata;

        uint64_t size; /* of the file */
        bool found;    /* its header has come */
        bool whole;    /* and all of its content */

        uint8_t header[512];
        size_t header_size;
        uint64_t left;    /* bytes of the entry's content */
        uint64_t padding; /* and what fills it up */
        bool in_file;
} TarReader;

/* Returns 0, -EBADMSG where this is no archive, or what take returned. What follows the file is not looked at. */
int tar_reader_feed(TarReader *reader, const void *data, size_t size);
