/* SPDX-License-Identifier: Apache-2.0 */

/* The registration in daemon.json. gVisor's own package registers itself, too, when the file is there, in place and
 * without a copy: so how the file was is remembered when the run begins, not when this step does. */

#include "register.h"
#include "docker-service.h"
#include "file.h"
#include "paths.h"
#include "process.h"
#include "registration.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define FILE_SIZE_MAX ((size_t) 1024 * 1024)
#define COPY_SUFFIX ".tee-" /* and the date */
#define VALIDATE_USEC (30 * USEC_PER_SEC)

static int fault(Install *install, int error, const char *path) {
        return trouble_set(&install->trouble, error, NULL, "%s: %s", path, strerror(-error));
}

static int broken(Install *install, const char *path, const char *reason) {
        return trouble_set(&install->trouble, -EINVAL,
                           "mend it by hand: tee-install does not touch a file that it cannot read", "%s: %s", path,
                           reason);
}

/* A file that is not there has no text. */
static int read_config(Install *install, const char *path, Buffer *text) {
        int r = file_read(path, text);

        return r == -ENOENT ? 0 : r < 0 ? fault(install, r, path) : 0;
}

/* ---- how it was ---- */

static char *tilde_path(const Install *install) {
        return text_format("%s~", install->options->docker_config);
}

static int remember(Install *install) {
        Registration *was = &install->registration;
        const char *path = install->options->docker_config;
        CLEANUP_FREE char *tilde = tilde_path(install), *folder = strndup(path, (size_t) (strrchr(path, '/') - path));
        struct stat st;
        int r;

        if (!tilde || !folder)
                return -ENOMEM;
        was->old = BUFFER_INIT(FILE_SIZE_MAX);
        was->tilde_was_there = access(tilde, F_OK) == 0;
        was->folder_was_there = !folder[0] || access(folder, F_OK) == 0;
        was->was_there = stat(path, &st) == 0;
        if (was->was_there)
                was->old_time = st.st_mtim;
        r = read_config(install, install->options->docker_config, &was->old);
        was->begun = r >= 0;
        return r;
}

static bool same_text(const Buffer *a, const Buffer *b) {
        return a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

static int write_config(Install *install, const char *path, const Buffer *text) {
        Change change;
        int r = change_write(&change, path, text->data, text->size, 0644);

        if (r < 0)
                return fault(install, r, path);
        change_keep(&change);
        return 0;
}

static int give_back(Install *install) {
        Registration *was = &install->registration;
        const char *path = install->options->docker_config;
        const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, was->old_time};
        CLEANUP_FREE char *folder = strndup(path, (size_t) (strrchr(path, '/') - path));
        int r;

        if (was->was_there) {
                r = write_config(install, install->options->docker_config, &was->old);
                (void) utimensat(AT_FDCWD, path, times, 0);
                return r;
        }
        if (unlink(path) < 0 && errno != ENOENT)
                return fault(install, -errno, path);
        if (folder && !was->folder_was_there)
                (void) rmdir(folder);
        return 0;
}

/* Docker takes no notice of a reload when the whole key "runtimes" has gone, so for a moment it stands there empty. */
static int unregister(Install *install, const char *path, const Buffer *now, const char *name) {
        Buffer without = BUFFER_INIT(FILE_SIZE_MAX);
        CLEANUP_FREE char *reason = NULL;
        int r = daemon_json_drop(now->data, now->size, name, false, &without, &reason);

        if (r >= 0)
                r = write_config(install, path, &without);
        buffer_deinit(&without);
        return r == -EINVAL ? broken(install, path, reason) : r;
}

/* Docker forgets the OCI runtime before it loses its file's key; one that has died on the way starts again. */
static int restore(Install *install, const Buffer *now) {
        const char *path = install->options->docker_config;
        bool answers = docker_service_answers(install);
        int r;

        if (answers && install->host.systemd && unregister(install, path, now, install->options->runtime_name) >= 0)
                docker_service_forget(install, install->options->runtime_name);
        r = give_back(install);
        if (r >= 0 && !answers && install->host.docker && install->host.systemd)
                r = docker_service_revive(install);
        return r;
}

int register_restore(Install *install) {
        Registration *was = &install->registration;
        const char *path = install->options->docker_config;
        Buffer now = BUFFER_INIT(FILE_SIZE_MAX);
        CLEANUP_FREE char *tilde = tilde_path(install);
        int r;

        if (!was->begun)
                return 0;
        r = read_config(install, path, &now);
        if (r >= 0 && ((access(path, F_OK) == 0) != was->was_there || !same_text(&now, &was->old)))
                r = restore(install, &now);
        if (was->backup)
                (void) unlink(was->backup);
        if (tilde && !was->tilde_was_there)
                (void) unlink(tilde);
        buffer_deinit(&now);
        return r;
}

/* ---- look ---- */

/* What the running Docker has and its file does not comes from dockerd's command line, and a key that is in both keeps
 * dockerd from starting. */
static int check_command_line(Install *install, const cJSON *info) {
        const cJSON *runtime, *runtimes = json_get_object(info, "Runtimes");
        const Buffer *text = &install->registration.old;

        cJSON_ArrayForEach(runtime, runtimes) {
                CLEANUP_FREE char *reason = NULL, *present = NULL;
                const char *const none[] = {NULL};
                DaemonRuntime other = {.name = runtime->string, .path = "", .arguments = none};
                DaemonState state = DAEMON_MISSING;
                int r;

                if (strcmp(runtime->string, "runc") == 0 || strncmp(runtime->string, "io.containerd.", 14) == 0)
                        continue;
                r = daemon_json_look(text->data, text->size, &other, &state, &present, &reason);
                if (r < 0)
                        return r == -EINVAL ? broken(install, install->options->docker_config, reason) : r;
                if (state == DAEMON_MISSING)
                        return trouble_set(
                                &install->trouble, -EEXIST,
                                "register runsc there, too (--add-runtime), or move all of them into the file",
                                "the running Docker has the OCI runtime '%s', which %s does not have: it comes from "
                                "dockerd's command line, and would keep dockerd from starting with 'runtimes' in "
                                "the file",
                                runtime->string, install->options->docker_config);
        }
        return 0;
}

static int look_missing(Install *install, const DaemonRuntime *wanted, StepState *ret_state) {
        CLEANUP_FREE char *text = daemon_runtime_text(wanted);
        CLEANUP_JSON cJSON *info = NULL;
        int r = install->host.docker ? engine_info(&install->engine, &info) : 0;

        if (r < 0)
                return r;
        if (info && docker_info_has(info, wanted)) {
                *ret_state = STEP_DONE;
                install_note(install, "%s is registered by dockerd's command line", wanted->name);
                return 0;
        }
        r = info ? check_command_line(install, info) : 0;
        if (r < 0)
                return r;
        *ret_state = STEP_TO_DO;
        install_note(install, "%s %s%s", install->registration.was_there ? "change" : "make",
                     install->options->docker_config,
                     install->registration.was_there ? ", keeping a copy with the date in its name" : "");
        install_note(install, "+ \"%s\": %s", wanted->name, text ? text : "");
        return 0;
}

static int look_different(Install *install, const DaemonRuntime *wanted, const char *present, StepState *ret_state) {
        CLEANUP_FREE char *text = daemon_runtime_text(wanted);

        if (!text)
                return -ENOMEM;
        if (!install->options->force)
                return trouble_set(&install->trouble, -EEXIST,
                                   "--force changes it; --runtime-name NAME leaves it alone",
                                   "%s registers '%s' in another way: it has %s, wanted is %s",
                                   install->options->docker_config, wanted->name, present, text);
        *ret_state = STEP_TO_DO;
        install_note(install, "change %s, keeping a copy with the date in its name", install->options->docker_config);
        install_note(install, "- \"%s\": %s", wanted->name, present);
        install_note(install, "+ \"%s\": %s", wanted->name, text);
        return 0;
}

static int register_look(Install *install, StepState *ret_state) {
        DaemonRuntime wanted = docker_wanted_runtime(install);
        CLEANUP_FREE char *present = NULL, *reason = NULL;
        DaemonState state = DAEMON_MISSING;
        int r = remember(install);

        if (r >= 0)
                r = daemon_json_look(install->registration.old.data, install->registration.old.size, &wanted, &state,
                                     &present, &reason);
        if (r < 0)
                return r == -EINVAL ? broken(install, install->options->docker_config, reason) : r;
        if (state == DAEMON_MISSING)
                return look_missing(install, &wanted, ret_state);
        if (state == DAEMON_DIFFERS)
                return look_different(install, &wanted, present, ret_state);
        *ret_state = STEP_DONE;
        install_note(install, "%s registers %s", install->options->docker_config, wanted.name);
        return 0;
}

/* ---- apply ---- */

static int keep_copy(Install *install) {
        Registration *was = &install->registration;
        struct tm utc;
        time_t now = time(NULL);
        char date[32];
        Change change;
        int r;

        if (!was->was_there || !gmtime_r(&now, &utc))
                return 0;
        (void) strftime(date, sizeof(date), "%Y%m%dT%H%M%SZ", &utc);
        was->backup = text_format("%s" COPY_SUFFIX "%s", install->options->docker_config, date);
        if (!was->backup)
                return -ENOMEM;
        r = change_write(&change, was->backup, was->old.data, was->old.size, 0600);
        if (r < 0)
                return fault(install, r, was->backup);
        change_keep(&change);
        return 0;
}

/* dockerd knows --validate from 23.0 on; an older one says that it does not know the flag. */
static int validate(Install *install, const Buffer *text) {
        char name[] = "/run/tee-install-daemon-XXXXXX.json";
        int fd = mkostemps(name, strlen(".json"), O_CLOEXEC);
        const char *const argv[] = {"dockerd", "--validate", "--config-file", name, NULL};
        Process process = {.argv = argv, .most_usec = VALIDATE_USEC};
        Buffer output = BUFFER_INIT(PROCESS_OUTPUT_MAX);
        int r = 0;

        if (fd < 0 || write(fd, text->data, text->size) != (ssize_t) text->size)
                r = fault(install, errno > 0 ? -errno : -EIO, name);
        if (r >= 0)
                r = process_run(&install->loop, &process, &output);
        if (r == -ENOENT || (r > 0 && output.size > 0 && strstr((const char *) output.data, "unknown flag")))
                r = 0;
        else if (r > 0 || r == -EPROTO)
                r = trouble_set(&install->trouble, -EINVAL, NULL, "dockerd would not start with the changed %s: %.500s",
                                install->options->docker_config,
                                output.size > 0 ? (const char *) output.data : "it gives no reason");
        (void) close_fd(fd);
        (void) unlink(name);
        buffer_deinit(&output);
        return r;
}

static int register_apply(Install *install) {
        DaemonRuntime wanted = docker_wanted_runtime(install);
        Buffer now = BUFFER_INIT(FILE_SIZE_MAX), text = BUFFER_INIT(2 * FILE_SIZE_MAX);
        CLEANUP_FREE char *reason = NULL;
        int r = read_config(install, install->options->docker_config, &now);

        if (r >= 0)
                r = daemon_json_put(now.data, now.size, &wanted, &text, &reason);
        if (r == -EINVAL)
                r = broken(install, install->options->docker_config, reason);
        if (r >= 0)
                r = validate(install, &text);
        if (r >= 0)
                r = keep_copy(install);
        if (r >= 0)
                r = write_config(install, install->options->docker_config, &text);
        if (r >= 0)
                install_note(install, "%s registers %s", install->options->docker_config, wanted.name);
        if (r >= 0 && install->registration.backup)
                install_note(install, "its old text is in %s", install->registration.backup);
        buffer_deinit(&now);
        buffer_deinit(&text);
        return r;
}

static void register_keep(Install *install) {
        Registration *was = &install->registration;

        free(was->backup);
        buffer_deinit(&was->old);
        *was = (Registration){0};
        change_tidy(install->options->docker_config);
}

/* ---- what an earlier run made ---- */

/* That run may have been told of another file. */
static const char *config_path(const Install *install, const cJSON *entry) {
        const char *path = json_get_string(entry, "docker_config");

        return path ? path : install->options->docker_config;
}

/* Removed is only what is still as it was made. Returns 1 when it is. */
static int is_ours(Install *install, const cJSON *entry, const Buffer *text, char **ret_present) {
        const char *path = config_path(install, entry);
        const char *made = json_get_string(entry, "registration"), *name = json_get_string(entry, "runtime_name");
        const char *const none[] = {NULL};
        DaemonRuntime any = {.name = name ? name : "", .path = "", .arguments = none};
        CLEANUP_FREE char *reason = NULL;
        DaemonState state = DAEMON_MISSING;
        int r = daemon_json_look(text->data, text->size, &any, &state, ret_present, &reason);

        if (r == -EINVAL)
                return broken(install, path, reason);
        return r < 0 ? r : *ret_present && made && strcmp(*ret_present, made) == 0;
}

static int register_look_back(Install *install, const cJSON *entry, StepState *ret_state) {
        const char *name = json_get_string(entry, "runtime_name"), *path = config_path(install, entry);
        Buffer text = BUFFER_INIT(FILE_SIZE_MAX);
        CLEANUP_FREE char *present = NULL;
        int r = read_config(install, path, &text);

        if (r >= 0)
                r = is_ours(install, entry, &text, &present);
        buffer_deinit(&text);
        if (r < 0)
                return r;
        *ret_state = r > 0 ? STEP_TO_DO : STEP_DONE;
        if (r > 0)
                install_note(install, "take '%s' out of %s, and have Docker read it", name, path);
        else if (present)
                install_note(install, "'%s' in %s was changed since, and stays: %s", name, path, present);
        else
                install_note(install, "'%s' is no longer in %s", name, path);
        return 0;
}

/* The copies that earlier runs kept. */
static void remove_copies(const char *path) {
        CLEANUP_FREE char *folder = strndup(path, (size_t) (strrchr(path, '/') - path)),
                          *prefix = text_format("%s" COPY_SUFFIX, strrchr(path, '/') + 1);
        CLEANUP_FD int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
        DIR *entries = fd >= 0 ? opendir(folder) : NULL;

        for (const struct dirent *entry; prefix && entries && (entry = readdir(entries));)
                if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
                        (void) unlinkat(fd, entry->d_name, 0);
        if (entries)
                (void) closedir(entries);
}

static int have_docker_forget(Install *install, const char *name) {
        if (!install->host.docker || install->options->docker == DOCKER_LEAVE)
                return 0;
        if (install->host.systemd)
                return docker_service_settle(install, NULL, name);
        install_note(install, "have Docker read its file again: it still has '%s'", name);
        return 0;
}

static int register_take_away(Install *install, const cJSON *entry) {
        const char *name = json_get_string(entry, "runtime_name"), *path = config_path(install, entry);
        Buffer before = BUFFER_INIT(FILE_SIZE_MAX), after = BUFFER_INIT(FILE_SIZE_MAX);
        CLEANUP_FREE char *reason = NULL;
        int r = read_config(install, path, &before);

        if (r >= 0)
                r = daemon_json_drop(before.data, before.size, name, true, &after, &reason);
        if (r == -EINVAL)
                r = broken(install, path, reason);
        if (r >= 0)
                r = unregister(install, path, &before, name);
        if (r >= 0) {
                r = have_docker_forget(install, name);
                if (r < 0)
                        (void) write_config(install, path, &before);
        }
        if (r >= 0 && cJSON_IsTrue(json_get(entry, "made_config")) && daemon_json_is_empty(after.data, after.size))
                r = unlink(path) < 0 ? fault(install, -errno, path) : 0;
        else if (r >= 0)
                r = write_config(install, path, &after);
        if (r >= 0) {
                remove_copies(path);
                install_note(install, "'%s' is no longer in %s", name, path);
        }
        buffer_deinit(&before);
        buffer_deinit(&after);
        return r;
}

const Step step_register = {
        .name = "register",
        .exit_status = 15,
        .look = register_look,
        .apply = register_apply,
        .undo = register_restore,
        .keep = register_keep,
        .look_back = register_look_back,
        .take_away = register_take_away,
};
