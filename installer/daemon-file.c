/* SPDX-License-Identifier: Apache-2.0 */

/* gVisor's own package registers itself when the file is there: in place, without a copy, and in a form of its own. So
 * the text is remembered when the run begins, not when the registration's step does. Minutes may lie between the two,
 * in which an administrator may write to the file, too: nothing is given back that would take that away. */

#include "daemon-file.h"
#include "docker-service.h"
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_SIZE_MAX ((size_t) 1024 * 1024)

static int fault(Install *install, int error, const char *path) {
        return trouble_errno(&install->trouble, error, path);
}

int daemon_file_broken(Install *install, const char *path, const char *reason) {
        return trouble_set(&install->trouble, -EINVAL,
                           "mend it by hand: tee-install does not touch a file that it cannot read", "%s: %s", path,
                           reason);
}

int daemon_file_read(Install *install, const char *path, Buffer *text) {
        int r = file_read(path, text);

        return r == -ENOENT ? 0 : r < 0 ? fault(install, r, path) : 0;
}

int daemon_file_write(Install *install, const char *path, const Buffer *text) {
        Change change;
        int r = change_write(&change, path, text->data, text->size, 0644);

        if (r < 0)
                return fault(install, r, path);
        change_keep(&change);
        return 0;
}

/* ---- how it was ---- */

static char *folder_of(const char *path) {
        return strndup(path, (size_t) (strrchr(path, '/') - path));
}

int daemon_file_remember(Install *install) {
        Registration *was = &install->registration;
        CLEANUP_FREE char *tilde = text_format("%s~", was->path), *folder = folder_of(was->path);
        struct stat st;
        int r;

        if (!tilde || !folder)
                return -ENOMEM;
        buffer_deinit(&was->old);
        was->old = BUFFER_INIT(FILE_SIZE_MAX);
        was->tilde_was_there = access(tilde, F_OK) == 0;
        was->folder_was_there = !folder[0] || access(folder, F_OK) == 0;
        was->was_there = stat(was->path, &st) == 0;
        if (was->was_there)
                was->old_time = st.st_mtim;
        r = daemon_file_read(install, was->path, &was->old);
        was->begun = r >= 0;
        return r;
}

bool daemon_file_is_only_registered(const Install *install, const Buffer *now) {
        const Buffer *old = &install->registration.old;

        return daemon_json_same_rest(old->data, old->size, now->data, now->size, install->options->runtime_name);
}

/* ---- back ---- */

int daemon_file_unregister(Install *install, const char *path, const Buffer *now, const char *name) {
        Buffer without = BUFFER_INIT(FILE_SIZE_MAX);
        CLEANUP_FREE char *reason = NULL;
        int r = daemon_json_drop(now->data, now->size, name, false, &without, &reason);

        if (r >= 0)
                r = daemon_file_write(install, path, &without);
        buffer_deinit(&without);
        return r == -EINVAL ? daemon_file_broken(install, path, reason) : r;
}

static int give_back(Install *install) {
        const Registration *was = &install->registration;
        const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, was->old_time};
        CLEANUP_FREE char *folder = folder_of(was->path);
        int r;

        if (was->was_there) {
                r = daemon_file_write(install, was->path, &was->old);
                (void) utimensat(AT_FDCWD, was->path, times, 0);
                return r;
        }
        if (unlink(was->path) < 0 && errno != ENOENT)
                return fault(install, -errno, was->path);
        if (folder && !was->folder_was_there)
                (void) rmdir(folder);
        return 0;
}

/* Others have written to it: only the registration goes. One that it replaced is in the copy. */
static int take_out(Install *install, const Buffer *now) {
        const Registration *was = &install->registration;
        const char *name = install->options->runtime_name;
        Buffer after = BUFFER_INIT(FILE_SIZE_MAX);
        CLEANUP_FREE char *reason = NULL;
        int r;

        if (was->replaces)
                return trouble_set(&install->trouble, -EBUSY, "put it back by hand, from the copy beside it",
                                   "others have changed %s meanwhile, so its registration of '%s' stays", was->path,
                                   name);
        r = daemon_json_drop(now->data, now->size, name, true, &after, &reason);
        if (r >= 0)
                r = daemon_file_write(install, was->path, &after);
        buffer_deinit(&after);
        return r == -EINVAL ? daemon_file_broken(install, was->path, reason) : r;
}

static int restore(Install *install, const Buffer *now) {
        const Registration *was = &install->registration;
        const char *name = install->options->runtime_name;
        bool answers = docker_service_answers(install);
        int r;

        if (answers && install->host.systemd && !was->replaces &&
            daemon_file_unregister(install, was->path, now, name) >= 0)
                docker_service_forget(install, name);
        r = daemon_file_is_only_registered(install, now) ? give_back(install) : take_out(install, now);
        if (r >= 0 && answers && install->host.systemd && was->replaces)
                docker_service_forget(install, NULL);
        if (r >= 0 && !answers && install->host.docker && install->host.systemd)
                r = docker_service_revive(install);
        return r;
}

/* Has the registration's place in the file changed at all? Else it was only others who wrote. */
static bool is_touched(const Install *install, const Buffer *now) {
        const Registration *was = &install->registration;

        return !daemon_json_same_registration(was->old.data, was->old.size, now->data, now->size,
                                              install->options->runtime_name);
}

static void remove_tilde(const Registration *was) {
        CLEANUP_FREE char *tilde = text_format("%s~", was->path);

        if (tilde && !was->tilde_was_there)
                (void) unlink(tilde);
}

int daemon_file_restore(Install *install) {
        Registration *was = &install->registration;
        Buffer now = BUFFER_INIT(FILE_SIZE_MAX);
        int r;

        if (!was->begun)
                return 0;
        r = daemon_file_read(install, was->path, &now);
        if (r >= 0 && is_touched(install, &now))
                r = restore(install, &now);
        if (r >= 0 && was->copy)
                (void) unlink(was->copy);
        remove_tilde(was);
        buffer_deinit(&now);
        return r;
}

void daemon_file_keep(Install *install) {
        Registration *was = &install->registration;

        if (was->begun) {
                remove_tilde(was);
                change_tidy(was->path);
        }
        was->begun = false;
}
