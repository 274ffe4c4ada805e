/* SPDX-License-Identifier: Apache-2.0 */

/* The new content goes to a file beside the old one, is brought to the disk, and takes its name by rename(2). Before
 * that the old file gets a second name by link(2): to give it back is another rename, which cannot fail for lack of
 * space. Both names begin with a dot, since programs that read whole folders (apt) pass such files by. */

#include "change.h"
#include "text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* "/a/b" + ".tee-new" → "/a/.b.tee-new" */
static char *name_beside(const char *path, const char *suffix) {
        const char *slash = strrchr(path, '/');

        return text_format("%.*s/.%s%s", (int) (slash - path), path, slash + 1, suffix);
}

static char *folder_of(const char *path) {
        const char *slash = strrchr(path, '/');

        return slash == path ? strdup("/") : strndup(path, (size_t) (slash - path));
}

/* The folder's entries are on the disk when this has returned. */
static int sync_folder(const char *path) {
        CLEANUP_FREE char *folder = folder_of(path);
        CLEANUP_FD int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

        if (!folder)
                return -ENOMEM;
        return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* Where path leads: also the target that a link names and that is not there yet. */
int change_resolve(const char *path, char **ret_path) {
        char target[PATH_MAX];
        CLEANUP_FREE char *folder = NULL, *at = strdup(path);

        for (unsigned links = 0; at; links++) {
                ssize_t n = readlink(at, target, sizeof(target) - 1);
                CLEANUP_FREE char *from = at;

                at = NULL;
                if (n < 0) {
                        int error = errno;

                        if (error != EINVAL && error != ENOENT) /* EINVAL: no link */
                                return error > 0 ? -error : -EIO;
                        *ret_path = TAKE_PTR(from);
                        return 0;
                }
                if (links == 40)
                        return -ELOOP;
                target[n] = '\0';
                free(folder);
                folder = folder_of(from);
                at = target[0] == '/' || !folder ? strdup(target) : text_format("%s/%s", folder, target);
        }
        return -ENOMEM;
}

/* Its mode does not depend on the umask: others than root may have to find the file. */
static int make_folder(Change *change) {
        CLEANUP_FREE char *folder = folder_of(change->path);

        if (!folder)
                return -ENOMEM;
        if (mkdir(folder, 0755) < 0)
                return errno == EEXIST ? 0 : -errno;
        change->folder = TAKE_PTR(folder);
        return chmod(change->folder, 0755) < 0 ? -errno : 0;
}

static int write_all(int fd, const uint8_t *data, size_t size) {
        while (size > 0) {
                ssize_t n = write(fd, data, size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                data += n;
                size -= (size_t) n;
        }
        return 0;
}

static int fill(int fd, const struct stat *old, const void *data, size_t size, mode_t mode) {
        int r;

        if (old && fchown(fd, old->st_uid, old->st_gid) < 0)
                return -errno;
        if (fchmod(fd, old ? old->st_mode & 07777 : mode) < 0)
                return -errno;
        r = write_all(fd, data, size);
        if (r < 0)
                return r;
        return fsync(fd) < 0 ? -errno : 0;
}

static int write_new(const char *name, const struct stat *old, const void *data, size_t size, mode_t mode) {
        int fd, r;

        (void) unlink(name); /* of a run that was killed */
        fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        r = fill(fd, old, data, size, mode);
        if (close(fd) < 0 && r >= 0)
                r = -errno;
        return r;
}

/* Gives the old file its second name, if there is one. */
static int keep_old(Change *change, struct stat *ret_stat) {
        CLEANUP_FREE char *undo = name_beside(change->path, CHANGE_UNDO_SUFFIX);

        if (!undo)
                return -ENOMEM;
        (void) unlink(undo); /* of a run that was killed */
        if (lstat(change->path, ret_stat) < 0)
                return errno == ENOENT ? 0 : -errno;
        if (!S_ISREG(ret_stat->st_mode))
                return -EISDIR;
        if (link(change->path, undo) < 0)
                return -errno;
        change->undo = TAKE_PTR(undo);
        return 0;
}

/* When the file has changed all the same, because it could not be given back, its old content is not thrown away. */
static void forget(Change *change) {
        if (change->undo && !change->made)
                (void) unlink(change->undo);
        if (change->folder)
                (void) rmdir(change->folder);
        change_deinit(change);
}

static int replace(Change *change, const void *data, size_t size, mode_t mode) {
        CLEANUP_FREE char *name = NULL;
        struct stat old;
        int r = make_folder(change);

        if (r >= 0)
                r = keep_old(change, &old);
        if (r < 0)
                return r;
        name = name_beside(change->path, CHANGE_NEW_SUFFIX);
        if (!name)
                return -ENOMEM;
        r = write_new(name, change->undo ? &old : NULL, data, size, mode);
        if (r >= 0 && rename(name, change->path) < 0)
                r = -errno;
        if (r < 0) {
                (void) unlink(name);
                return r;
        }
        change->made = true;
        r = sync_folder(change->path);
        if (r < 0)
                (void) change_undo(change);
        return r;
}

int change_write(Change *change, const char *path, const void *data, size_t size, mode_t mode) {
        int r;

        *change = (Change){0};
        r = change_resolve(path, &change->path);
        if (r >= 0)
                r = replace(change, data, size, mode);
        if (r < 0)
                forget(change);
        return r;
}

/* Of a link the link itself goes: what it names is not ours. */
static int set_aside(Change *change) {
        CLEANUP_FREE char *undo = name_beside(change->path, CHANGE_UNDO_SUFFIX);
        struct stat old;
        int r;

        if (!undo)
                return -ENOMEM;
        if (lstat(change->path, &old) < 0)
                return errno == ENOENT ? 0 : -errno;
        if (S_ISDIR(old.st_mode))
                return -EISDIR;
        /* Where a killed run has left a second name of this very file, rename(2) would do nothing and call it done. */
        (void) unlink(undo);
        if (rename(change->path, undo) < 0)
                return -errno;
        change->undo = TAKE_PTR(undo);
        change->made = true;
        r = sync_folder(change->path);
        if (r < 0)
                (void) change_undo(change);
        return r;
}

int change_remove(Change *change, const char *path) {
        int r;

        *change = (Change){.path = strdup(path)};
        r = change->path ? set_aside(change) : -ENOMEM;
        if (r < 0 || !change->made)
                forget(change);
        return r;
}

int change_undo(Change *change) {
        int r = 0;

        if (change->made && change->undo)
                r = rename(change->undo, change->path) < 0 ? -errno : 0;
        else if (change->made)
                r = unlink(change->path) < 0 && errno != ENOENT ? -errno : 0;
        if (r < 0)
                return r;
        if (change->folder)
                (void) rmdir(change->folder); /* others may have put something there */
        if (change->made && !change->folder)
                r = sync_folder(change->path);
        change_deinit(change);
        return r;
}

void change_keep(Change *change) {
        if (change->undo)
                (void) unlink(change->undo);
        change_deinit(change);
}

void change_deinit(Change *change) {
        free(change->path);
        free(change->undo);
        free(change->folder);
        *change = (Change){0};
}

void change_tidy(const char *path) {
        static const char *const suffixes[] = {CHANGE_NEW_SUFFIX, CHANGE_UNDO_SUFFIX};
        CLEANUP_FREE char *where = NULL;

        if (change_resolve(path, &where) < 0 || !where)
                return;
        for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
                CLEANUP_FREE char *name = name_beside(where, suffixes[i]);

                if (name)
                        (void) unlink(name);
        }
}

static bool is_left_over(const char *name) {
        static const char *const suffixes[] = {CHANGE_NEW_SUFFIX, CHANGE_UNDO_SUFFIX};
        size_t n = strlen(name);

        for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
                size_t k = strlen(suffixes[i]);

                if (name[0] == '.' && n > k && strcmp(name + n - k, suffixes[i]) == 0)
                        return true;
        }
        return false;
}

void change_tidy_folder(const char *folder) {
        DIR *entries = opendir(folder);

        for (const struct dirent *entry; entries && (entry = readdir(entries));)
                if (is_left_over(entry->d_name))
                        (void) unlinkat(dirfd(entries), entry->d_name, 0);
        if (entries)
                (void) closedir(entries);
}
