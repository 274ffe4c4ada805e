/* SPDX-License-Identifier: Apache-2.0 */

/* An upgrade replaces a file by rename(2), an editor may write in place: the first shows in the inode, the second in
 * size and ctime. */

#include "file-stamp.h"

FileStamp file_stamp(const char *path) {
        struct stat st;

        if (!path || path[0] != '/' || stat(path, &st) < 0)
                return (FileStamp){0};
        return (FileStamp){
                .known = true,
                .device = st.st_dev,
                .inode = st.st_ino,
                .size = st.st_size,
                .changed = st.st_ctim,
        };
}

bool file_stamp_equals(const FileStamp *a, const FileStamp *b) {
        return a->known == b->known && a->device == b->device && a->inode == b->inode && a->size == b->size &&
               a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}
