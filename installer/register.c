/* SPDX-License-Identifier: Apache-2.0 */

/* The registration of runsc in daemon.json, and of nothing else: what an administrator wrote stays as it was written,
 * and a registration of somebody else's is changed only when that is demanded. */

#include "daemon-file.h"
#include "docker-service.h"
#include "dockerd.h"
#include "file.h"
#include "process.h"
#include "record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define FILE_SIZE_MAX ((size_t) 1024 * 1024)
#define WORDS_MAX ((size_t) 128 * 1024)
#define COPY_SUFFIX ".tee-" /* and the date */
#define VALIDATE_USEC (30 * USEC_PER_SEC)

static int fault(Install *install, int error, const char *path) {
        return trouble_errno(&install->trouble, error, path);
}

/* ---- look ---- */

/* The file that Docker reads: the one that was named, or that dockerd's command line names, or Docker's own. */
static int find_config(Install *install, const Buffer *words) {
        const char *named = dockerd_config_file(words), *path = install->options->docker_config;

        if (!path)
                path = named ? named : "/etc/docker/daemon.json";
        free(install->registration.path);
        return change_resolve(path, &install->registration.path);
}

/* gVisor's package registers itself, without arguments. When an earlier run of this program had apt do that, and was
 * killed then, it is not an administrator's. */
static bool is_packages_own(const Install *install, const char *present) {
        static const char *const none[] = {NULL};
        const DaemonRuntime plain = {.name = "runsc", .path = install_runsc_path(install), .arguments = none};
        CLEANUP_FREE char *text = daemon_runtime_text(&plain);

        return text && strcmp(present, text) == 0 && record_get(install, step_runsc.name);
}

/* What dockerd's flags set, too, keeps it from starting again. */
static int check_conflict(Install *install, const Buffer *words) {
        const Registration *was = &install->registration;
        CLEANUP_JSON cJSON *config = NULL;
        JsonError error;
        const char *key;

        config = was->old.size > 0 ? json_parse(was->old.data, was->old.size, &error) : NULL;
        key = dockerd_conflict(words, config, true);
        if (!key)
                return 0;
        return trouble_set(&install->trouble, -EEXIST, "take it out of one of the two places",
                           "dockerd's command line sets '%s', and %s %s: with both, Docker would not start again", key,
                           was->path, json_get(config, key) ? "does, too" : "would, too");
}

static int look_missing(Install *install, const DaemonRuntime *wanted, const Buffer *words, StepState *ret_state) {
        const Registration *was = &install->registration;
        CLEANUP_FREE char *text = daemon_runtime_text(wanted);
        CLEANUP_JSON cJSON *info = NULL;
        int r;

        if (dockerd_adds_runtime(words, wanted->name)) {
                r = engine_info(&install->engine, &info);
                if (r < 0)
                        return r;
                if (!docker_info_has(info, wanted))
                        return trouble_set(&install->trouble, -EEXIST,
                                           "change it there, or name another: --runtime-name",
                                           "dockerd's command line registers '%s' in another way", wanted->name);
                *ret_state = STEP_DONE;
                install_note(install, "%s is registered by dockerd's command line", wanted->name);
                return 0;
        }
        r = check_conflict(install, words);
        if (r < 0)
                return r;
        *ret_state = STEP_TO_DO;
        install_note(install, "%s %s%s", was->was_there ? "change" : "make", was->path,
                     was->was_there ? ", keeping a copy with the date in its name" : "");
        install_note(install, "+ \"%s\": %s", wanted->name, text ? text : "");
        return 0;
}

static int look_different(Install *install, const DaemonRuntime *wanted, const char *present, const Buffer *words,
                          StepState *ret_state) {
        Registration *was = &install->registration;
        CLEANUP_FREE char *text = daemon_runtime_text(wanted);
        int r = text ? check_conflict(install, words) : -ENOMEM;

        if (r < 0)
                return r;
        if (!is_packages_own(install, present)) {
                if (!install->options->force)
                        return trouble_set(&install->trouble, -EEXIST,
                                           "--force changes it; --runtime-name NAME leaves it alone",
                                           "%s registers '%s' in another way: it has %s, wanted is %s", was->path,
                                           wanted->name, present, text);
                was->replaces = true;
        }
        *ret_state = STEP_TO_DO;
        install_note(install, "change %s, keeping a copy with the date in its name", was->path);
        install_note(install, "- \"%s\": %s", wanted->name, present);
        install_note(install, "+ \"%s\": %s", wanted->name, text);
        return 0;
}

static int look(Install *install, const Buffer *words, StepState *ret_state) {
        DaemonRuntime wanted = docker_wanted_runtime(install);
        Registration *was = &install->registration;
        CLEANUP_FREE char *present = NULL, *reason = NULL;
        DaemonState state = DAEMON_MISSING;
        int r = find_config(install, words);

        if (r >= 0)
                r = daemon_file_remember(install);
        if (r >= 0)
                r = daemon_json_look(was->old.data, was->old.size, &wanted, &state, &present, &reason);
        if (r < 0)
                return r == -EINVAL ? daemon_file_broken(install, was->path, reason) : r;
        if (state == DAEMON_MISSING)
                return look_missing(install, &wanted, words, ret_state);
        if (state == DAEMON_DIFFERS)
                return look_different(install, &wanted, present, words, ret_state);
        *ret_state = STEP_DONE;
        install_note(install, "%s registers %s", was->path, wanted.name);
        return 0;
}

static int register_look(Install *install, StepState *ret_state) {
        Buffer words = BUFFER_INIT(WORDS_MAX);
        int r = install->host.docker && install->host.systemd ? dockerd_read_words(&words) : 0;

        if (r >= 0)
                r = look(install, &words, ret_state);
        buffer_deinit(&words);
        return r;
}

/* ---- apply ---- */

static int keep_copy(Install *install, const Buffer *text) {
        Registration *was = &install->registration;
        struct tm utc;
        time_t now = time(NULL);
        char date[32];
        int r;

        if (text->size == 0 || !gmtime_r(&now, &utc))
                return 0;
        (void) strftime(date, sizeof(date), "%Y%m%dT%H%M%SZ", &utc);
        was->copy = text_format("%s" COPY_SUFFIX "%s", was->path, date);
        if (!was->copy)
                return -ENOMEM;
        r = daemon_file_write(install, was->copy, text);
        if (r >= 0 && chmod(was->copy, 0600) < 0)
                r = fault(install, -errno, was->copy);
        return r;
}

/* dockerd knows --validate from 23.0 on; an older one says that it does not know the flag. */
static int validate(Install *install, const Buffer *text) {
        char name[] = "/run/tee-install-daemon-XXXXXX.json";
        int fd = mkostemps(name, (int) strlen(".json"), O_CLOEXEC);
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
                                install->registration.path,
                                output.size > 0 ? (const char *) output.data : "it gives no reason");
        (void) close_fd(fd);
        (void) unlink(name);
        buffer_deinit(&output);
        return r;
}

/* Others may have registered the same name since the plan was shown. */
static int check_present(Install *install, const Buffer *now, const DaemonRuntime *wanted) {
        const Registration *was = &install->registration;
        CLEANUP_FREE char *present = NULL, *reason = NULL;
        DaemonState state = DAEMON_MISSING;
        int r = daemon_json_look(now->data, now->size, wanted, &state, &present, &reason);

        if (r == -EINVAL)
                return daemon_file_broken(install, was->path, reason);
        if (r < 0 || state != DAEMON_DIFFERS || was->replaces || is_packages_own(install, present))
                return r;
        return trouble_set(&install->trouble, -EEXIST, "look at it, and run tee-install again",
                           "%s has got another registration of '%s' since the plan was shown: %s", was->path,
                           wanted->name, present);
}

/* What a package's script has only written in another form is merged as it was written before. */
static int register_apply(Install *install) {
        DaemonRuntime wanted = docker_wanted_runtime(install);
        Registration *was = &install->registration;
        Buffer now = BUFFER_INIT(FILE_SIZE_MAX), text = BUFFER_INIT(2 * FILE_SIZE_MAX);
        const Buffer *base = &now;
        CLEANUP_FREE char *reason = NULL;
        int r = daemon_file_read(install, was->path, &now);

        if (r >= 0)
                r = check_present(install, &now, &wanted);
        if (r >= 0 && daemon_file_is_only_registered(install, &now))
                base = &was->old;
        if (r >= 0)
                r = daemon_json_put(base->data, base->size, &wanted, &text, &reason);
        if (r == -EINVAL && reason)
                r = daemon_file_broken(install, was->path, reason);
        if (r >= 0)
                r = validate(install, &text);
        if (r >= 0)
                r = keep_copy(install, base);
        if (r >= 0)
                r = daemon_file_write(install, was->path, &text);
        was->written = r >= 0;
        if (r >= 0)
                install_note(install, "%s registers %s", was->path, wanted.name);
        if (r >= 0 && was->copy)
                install_note(install, "its old text is in %s", was->copy);
        buffer_deinit(&now);
        buffer_deinit(&text);
        return r;
}

/* ---- what earlier runs made: an object for each name ---- */

static int register_describe(Install *install, cJSON *entry) {
        DaemonRuntime wanted = docker_wanted_runtime(install);
        const Registration *was = &install->registration;
        CLEANUP_FREE char *text = daemon_runtime_text(&wanted);
        const cJSON *before = json_get_object(entry, wanted.name);
        bool made_config = before ? cJSON_IsTrue(json_get(before, "made_config")) : !was->was_there;
        bool replaced = was->replaces || (before && cJSON_IsTrue(json_get(before, "replaced")));
        cJSON *object = cJSON_CreateObject();

        if (!text || json_add(object, "config", cJSON_CreateString(was->path)) < 0 ||
            json_add(object, "registration", cJSON_CreateString(text)) < 0 ||
            json_add(object, "made_config", cJSON_CreateBool(made_config)) < 0 ||
            json_add(object, "replaced", cJSON_CreateBool(replaced)) < 0) {
                cJSON_Delete(object);
                return -ENOMEM;
        }
        cJSON_DeleteItemFromObjectCaseSensitive(entry, wanted.name);
        return json_add(entry, wanted.name, object);
}

typedef struct Made {
        const char *name, *path, *registration;
        bool made_config, replaced;
} Made;

static int read_made(Install *install, const cJSON *item, Made *ret) {
        *ret = (Made){
                .name = item->string,
                .path = json_get_string(item, "config"),
                .registration = json_get_string(item, "registration"),
                .made_config = cJSON_IsTrue(json_get(item, "made_config")),
                .replaced = cJSON_IsTrue(json_get(item, "replaced")),
        };
        if (ret->path && ret->path[0] == '/' && ret->registration)
                return 0;
        return trouble_set(&install->trouble, -EINVAL, NULL, "the record of '%s' is damaged", item->string);
}

/* Does the running Docker still have it? */
static bool docker_has(Install *install, const char *name) {
        CLEANUP_JSON cJSON *info = NULL;

        return install->host.docker && engine_info(&install->engine, &info) >= 0 &&
               json_get(json_get_object(info, "Runtimes"), name);
}

/* A Docker whose default it is would not start without it. */
static int check_default(Install *install, const Made *made, const Buffer *text) {
        CLEANUP_JSON cJSON *config = NULL;
        JsonError error;
        const char *standard;

        config = text->size > 0 ? json_parse(text->data, text->size, &error) : NULL;
        standard = json_get_string(config, "default-runtime");
        if (!standard || strcmp(standard, made->name) != 0)
                return 0;
        return trouble_set(&install->trouble, -EBUSY, "choose another one there, and restart Docker",
                           "%s has '%s' as its default-runtime: Docker would not start without it", made->path,
                           made->name);
}

static void note_made(Install *install, const Made *made, const char *present, StepState state) {
        if (state == STEP_TO_DO)
                install_note(install, "take '%s' out of %s, and have Docker read it", made->name, made->path);
        else if (present)
                install_note(install, "'%s' in %s was changed since, and stays: %s", made->name, made->path, present);
        else
                install_note(install, "'%s' is no longer in %s", made->name, made->path);
        if (made->replaced)
                install_note(install, "what it replaced is in %s" COPY_SUFFIX "…, and is not put back", made->path);
}

/* Notes nothing when quiet. */
static int look_back_at(Install *install, const Made *made, bool quiet, StepState *ret_state) {
        static const char *const none[] = {NULL};
        DaemonRuntime any = {.name = made->name, .path = "", .arguments = none};
        Buffer text = BUFFER_INIT(FILE_SIZE_MAX);
        CLEANUP_FREE char *present = NULL, *reason = NULL;
        DaemonState state = DAEMON_MISSING;
        StepState to_do = STEP_DONE;
        int r = daemon_file_read(install, made->path, &text);

        if (r >= 0)
                r = daemon_json_look(text.data, text.size, &any, &state, &present, &reason);
        if (r == -EINVAL)
                r = daemon_file_broken(install, made->path, reason);
        if (r >= 0)
                r = check_default(install, made, &text);
        if (r >= 0 && (!present || strcmp(present, made->registration) == 0) &&
            (present || docker_has(install, made->name) ||
             (made->made_config && text.size > 0 && daemon_json_is_empty(text.data, text.size))))
                *ret_state = to_do = STEP_TO_DO;
        if (r >= 0 && !quiet)
                note_made(install, made, present, to_do);
        buffer_deinit(&text);
        return r;
}

/* The last first: the one for which the file was made, if it was, comes at the end. */
static int each_made(Install *install, const cJSON *entry, int (*handler)(Install *, const Made *, StepState *),
                     StepState *state) {
        for (int i = cJSON_GetArraySize(entry); i-- > 0;) {
                Made made;
                int r = read_made(install, cJSON_GetArrayItem(entry, i), &made);

                if (r >= 0)
                        r = handler(install, &made, state);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int look_back_aloud(Install *install, const Made *made, StepState *state) {
        return look_back_at(install, made, false, state);
}

static int register_look_back(Install *install, const cJSON *entry, StepState *ret_state) {
        *ret_state = STEP_DONE;
        return each_made(install, entry, look_back_aloud, ret_state);
}

/* The copies that earlier runs kept. */
static void remove_copies(const char *path) {
        CLEANUP_FREE char *folder = strndup(path, (size_t) (strrchr(path, '/') - path)),
                          *prefix = text_format("%s" COPY_SUFFIX, strrchr(path, '/') + 1);
        DIR *entries = folder ? opendir(folder) : NULL;

        for (const struct dirent *entry; prefix && entries && (entry = readdir(entries));)
                if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
                        (void) unlinkat(dirfd(entries), entry->d_name, 0);
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

static int take_away(Install *install, const Made *made) {
        Buffer before = BUFFER_INIT(FILE_SIZE_MAX), after = BUFFER_INIT(FILE_SIZE_MAX);
        CLEANUP_FREE char *reason = NULL;
        int r = daemon_file_read(install, made->path, &before);

        if (r >= 0)
                r = daemon_json_drop(before.data, before.size, made->name, true, &after, &reason);
        if (r == -EINVAL)
                r = daemon_file_broken(install, made->path, reason);
        if (r >= 0 && (before.size > 0 || docker_has(install, made->name))) {
                r = daemon_file_unregister(install, made->path, &before, made->name);
                if (r >= 0)
                        r = have_docker_forget(install, made->name);
                if (r < 0 && daemon_file_write(install, made->path, &before) >= 0 && install->host.systemd &&
                    install->host.docker && !docker_service_answers(install))
                        (void) docker_service_revive(install);
        }
        if (r >= 0 && made->made_config && daemon_json_is_empty(after.data, after.size))
                r = unlink(made->path) < 0 && errno != ENOENT ? fault(install, -errno, made->path) : 0;
        else if (r >= 0 && before.size > 0)
                r = daemon_file_write(install, made->path, &after);
        if (r >= 0) {
                if (!made->replaced)
                        remove_copies(made->path);
                install_note(install, "'%s' is no longer in %s", made->name, made->path);
        }
        buffer_deinit(&before);
        buffer_deinit(&after);
        return r;
}

static int take_away_if_made(Install *install, const Made *made, StepState *state) {
        int r;

        *state = STEP_DONE;
        r = look_back_at(install, made, true, state);
        return r < 0 || *state == STEP_DONE ? r : take_away(install, made);
}

static int register_take_away(Install *install, const cJSON *entry) {
        StepState state = STEP_DONE;

        return each_made(install, entry, take_away_if_made, &state);
}

const Step step_register = {
        .name = "register",
        .exit_status = 15,
        .look = register_look,
        .apply = register_apply,
        .undo = daemon_file_restore,
        .keep = daemon_file_keep,
        .describe = register_describe,
        .look_back = register_look_back,
        .take_away = register_take_away,
};
