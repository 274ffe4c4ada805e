/* SPDX-License-Identifier: Apache-2.0 */

#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* O_NOATIME is for the owner and root (open(2)). */
static int open_quietly(const char *path) {
        int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | O_NOATIME);

        if (fd < 0 && errno == EPERM)
                fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

int file_read(const char *path, Buffer *buffer) {
        CLEANUP_FD int fd = open_quietly(path);
        uint8_t data[16384];
        struct stat st;

        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EISDIR;
        for (;;) {
                ssize_t n = read(fd, data, sizeof(data));
                int r;

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : 0;
                r = buffer_append(buffer, data, (size_t) n);
                if (r < 0)
                        return r;
        }
}
