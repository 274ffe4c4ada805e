/* SPDX-License-Identifier: Apache-2.0 */

/* All files are written before the program starts, in a folder that was empty when the sandbox came up, so there is no
 * link to be led astray by and nobody to race with. They are made under the program's identity. What they hold is
 * bounded by the folder's size (a tmpfs) and the sandbox's memory, and the kernel's answer is passed on as it is:
 * ENOSPC means a full work folder. stdin is a memfd: the program can seek in it, read it twice, and never waits. */

#include "files.h"

#include "frame.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_PATH_MAX 1024U /* frame_path_is_safe's bound */

int files_init(Files *files, const Identity *identity) {
        int r, error = 0;

        *files = (Files){.identity = identity, .current_fd = -1, .stdin_fd = -1};

        r = identity_borrow(identity);
        if (r < 0)
                return r;
        if (chdir(FILES_WORK_FOLDER) < 0)
                error = -errno;
        files->stdin_fd = memfd_create("stdin", MFD_CLOEXEC);
        if (files->stdin_fd < 0)
                error = -errno;
        r = identity_return();
        return error < 0 ? error : r;
}

static void current_close(Files *files) {
        if (files->current_fd >= 0)
                close(files->current_fd);
        files->current_fd = -1;
}

/* Makes the folders of path, one after the other. */
static int parents_make(char *path) {
        for (char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
                *slash = '\0';
                if (mkdir(path, 0755) < 0 && errno != EEXIST)
                        return -errno;
                *slash = '/';
        }
        return 0;
}

static int file_open(char *path) {
        int r = parents_make(path);
        int fd;

        if (r < 0)
                return r;
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
        return fd < 0 ? -errno : fd;
}

int files_create(Files *files, const uint8_t *path, size_t size) {
        char name[FILES_PATH_MAX + 1];
        int fd, r;

        if (!frame_path_is_safe((const char *) path, size) || size > FILES_PATH_MAX)
                return -EBADMSG;
        if (files->n_files >= FILES_MAX)
                return -E2BIG;
        memcpy(name, path, size);
        name[size] = '\0';

        r = identity_borrow(files->identity);
        if (r < 0)
                return r;
        fd = file_open(name);
        r = identity_return();
        if (fd < 0)
                return fd;

        current_close(files);
        files->current_fd = fd;
        files->n_files++;
        return r;
}

static int write_all(int fd, const uint8_t *data, size_t size) {
        while (size > 0) {
                ssize_t n = write(fd, data, size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                data += n;
                size -= (size_t) n;
        }
        return 0;
}

int files_append(Files *files, const uint8_t *data, size_t size) {
        return files->current_fd < 0 ? -EBADMSG : write_all(files->current_fd, data, size);
}

int files_append_stdin(Files *files, const uint8_t *data, size_t size) {
        return write_all(files->stdin_fd, data, size);
}

int files_finish(Files *files) {
        current_close(files);
        return lseek(files->stdin_fd, 0, SEEK_SET) < 0 ? -errno : 0;
}
