/* SPDX-License-Identifier: Apache-2.0 */

/* runsc and, on demand, Docker, as packages. Whether runsc is there already is a question of where its version comes
 * from: one that the wanted repository offers is left alone, an upgrade being apt's affair; another one is replaced. */

#include "apt.h"
#include "daemon-file.h"
#include "executable.h"
#include "paths.h"
#include "record.h"
#include "runsc.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

#define DOCKER_START_USEC (60 * USEC_PER_SEC)
#define OFFLINE_PACKAGES_MAX 16U

/* ---- the program ---- */

/* Notes what is there. */
static int check_runsc(Install *install) {
        CLEANUP_FREE char *version = NULL;
        const char *path = install_runsc_path(install);
        int r = runsc_version(&install->loop, path, 0, &install->trouble, &version);

        if (r >= 0)
                r = runsc_check_parts(path, version, &install->trouble);
        if (r >= 0 && install->options->source != SOURCE_NONE)
                r = apt_verify(install, "runsc");
        if (r >= 0)
                install_note(install, "%s, version %s", path, version);
        return r;
}

/* ---- the package: look ---- */

static const char *source_words(const Install *install) {
        switch (install->options->source) {
        case SOURCE_DEBIAN:
                return "the distribution";
        case SOURCE_NONE:
                return "nowhere";
        default:
                return install->options->offline ? install->options->offline : install->options->mirror;
        }
}

static const char *source_name(const Options *options) {
        static const char *const names[] = {"gvisor", "debian", "none"};

        return options->offline ? "offline" : names[options->source];
}

static bool entry_says(const cJSON *entry, const char *key, const char *value) {
        const char *said = json_get_string(entry, key);

        return said && strcmp(said, value) == 0;
}

/* Has an earlier run installed just this from just there? The indexes may be gone by now, or not have it any more. */
static bool was_made(const Install *install, const char *installed) {
        const Options *options = install->options;
        const cJSON *entry = record_get(install, step_runsc.name);

        return entry && entry_says(entry, "version", installed) && entry_says(entry, "source", source_name(options)) &&
               (options->source != SOURCE_GVISOR || options->offline ||
                (entry_says(entry, "mirror", options->mirror) && entry_says(entry, "channel", options->channel)));
}

/* Is the installed version one that is wanted? */
static int is_wanted(Install *install, const char *installed, bool *ret_wanted) {
        const Options *options = install->options;
        const cJSON *entry = record_get(install, step_runsc.name);
        CLEANUP_FREE char *offered = NULL;
        int r = 0;

        *ret_wanted = !options->version || strcmp(options->version, installed) == 0;
        if (!*ret_wanted || was_made(install, installed))
                return 0;
        if (options->source == SOURCE_GVISOR && !options->offline) {
                r = apt_offered_version(install, "runsc", options->mirror, options->channel, installed, &offered);
                *ret_wanted = offered != NULL;
        } else if (entry && entry_says(entry, "version", installed)) {
                *ret_wanted = false; /* by us, from elsewhere */
        }
        return r;
}

static int look_on_path(Install *install) {
        int r = executable_find("runsc", install->options->runsc, "--runsc", &install->trouble, &install->runsc_found);

        return r < 0 ? r : check_runsc(install);
}

/* Should a later step fail, what is there now has to come back. */
static int check_way_back(Install *install, const char *installed) {
        bool has = false;
        int r = apt_has_version(install, "runsc", installed, &has);

        if (r < 0 || has)
                return r;
        return trouble_set(
                &install->trouble, -EEXIST, "apt-get update, if its lists are gone; --force replaces it all the same",
                "runsc %s is installed, and no source of apt's has that version: it could not be brought back",
                installed);
}

static int runsc_look(Install *install, StepState *ret_state) {
        const Options *options = install->options;
        CLEANUP_FREE char *installed = NULL;
        bool wanted = false;
        int r;

        *ret_state = STEP_DONE;
        if (options->source == SOURCE_NONE)
                return look_on_path(install);
        if (options->offline && access(options->offline, R_OK | X_OK) < 0)
                return trouble_errno(&install->trouble, -errno, options->offline);
        r = apt_installed_version(install, "runsc", &installed);
        if (r >= 0 && installed)
                r = is_wanted(install, installed, &wanted);
        if (r < 0)
                return r;
        if (wanted)
                return check_runsc(install);
        r = installed && !options->force ? check_way_back(install, installed) : 0;
        if (r < 0)
                return r;
        *ret_state = STEP_TO_DO;
        install_note(install, "install runsc%s%s from %s", options->version ? " " : "",
                     options->version ? options->version : "", source_words(install));
        if (installed)
                install_note(install, "in place of runsc %s, which is another one's", installed);
        return 0;
}

/* ---- the package: apply ---- */

static bool is_package(const char *name) {
        const char *dot = strrchr(name, '.');

        return dot && strcmp(dot, ".deb") == 0;
}

static int install_offline(Install *install) {
        const char *folder = install->options->offline;
        char *paths[OFFLINE_PACKAGES_MAX + 1] = {NULL};
        DIR *entries = opendir(folder);
        size_t n = 0;
        int r = entries ? 0 : -errno;

        for (const struct dirent *entry; r >= 0 && entries && (entry = readdir(entries));) {
                if (!is_package(entry->d_name))
                        continue;
                if (n == OFFLINE_PACKAGES_MAX)
                        r = -E2BIG;
                else if (!(paths[n++] = text_format("%s%s/%s", folder[0] == '/' ? "" : "./", folder, entry->d_name)))
                        r = -ENOMEM;
        }
        if (entries)
                (void) closedir(entries);
        if (r < 0)
                r = trouble_errno(&install->trouble, r, folder);
        else if (n == 0)
                r = trouble_set(&install->trouble, -ENOENT, NULL, "%s has no packages (*.deb)", folder);
        else
                r = apt_install(install, "runsc", (const char *const *) paths);
        for (size_t i = 0; i < n; i++)
                free(paths[i]);
        return r;
}

static int install_version(Install *install, const char *version) {
        CLEANUP_FREE char *package = version ? text_format("runsc=%s", version) : strdup("runsc");
        const char *const packages[] = {package, NULL};

        return package ? apt_install(install, "runsc", packages) : -ENOMEM;
}

static int install_from_gvisor(Install *install) {
        const Options *options = install->options;
        CLEANUP_FREE char *offered = NULL;
        int r;

        install->runsc_packages.lists = true;
        r = apt_update(install, PATH_SOURCES);
        if (r >= 0)
                r = apt_offered_version(install, "runsc", options->mirror, options->channel, options->version,
                                        &offered);
        if (r < 0)
                return r;
        if (!offered)
                return trouble_set(&install->trouble, -ENOENT, NULL, "%s has no runsc%s%s for %s in %s",
                                   options->mirror, options->version ? " " : "",
                                   options->version ? options->version : "", install->host.architecture,
                                   options->channel);
        return install_version(install, offered);
}

static int runsc_apply(Install *install) {
        const Options *options = install->options;
        int r = apt_await_turn(install);

        if (r >= 0)
                r = apt_finish_interrupted(install);
        if (r >= 0)
                r = apt_installed_version(install, "runsc", &install->runsc_before);
        if (r >= 0)
                r = packages_begin(install, &install->runsc_packages);
        if (r < 0)
                return r;
        if (options->offline) {
                r = install_offline(install);
        } else if (options->source == SOURCE_GVISOR) {
                r = install_from_gvisor(install);
        } else {
                r = apt_update(install, NULL);
                if (r >= 0)
                        r = install_version(install, options->version);
        }
        if (r >= 0)
                r = check_runsc(install);
        return r < 0 ? r : apt_installed_version(install, "runsc", &install->runsc_now);
}

static int runsc_describe(Install *install, cJSON *entry) {
        static const char *const keys[] = {"source", "mirror", "channel", "version"};
        const Options *options = install->options;

        for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
                cJSON_DeleteItemFromObjectCaseSensitive(entry, keys[i]);
        if (json_add(entry, "source", cJSON_CreateString(source_name(options))) < 0 ||
            json_add(entry, "mirror", cJSON_CreateString(options->mirror)) < 0 ||
            json_add(entry, "channel", cJSON_CreateString(options->channel)) < 0)
                return -ENOMEM;
        return install->runsc_now ? json_add(entry, "version", cJSON_CreateString(install->runsc_now)) : 0;
}

/* A version that was there before comes back, if apt can still have it. */
static int runsc_undo(Install *install) {
        CLEANUP_FREE char *now = NULL;
        int r = packages_take_back(install, &install->runsc_packages);

        if (r >= 0 && install->runsc_before)
                r = apt_installed_version(install, "runsc", &now);
        if (r >= 0 && install->runsc_before && (!now || strcmp(now, install->runsc_before) != 0))
                r = install_version(install, install->runsc_before);
        if (install->runsc_packages.lists && install->source.change.made)
                apt_forget_lists(install->options->mirror);
        return r < 0 ? r : daemon_file_restore(install); /* the package may have registered itself */
}

static void runsc_keep(Install *install) {
        packages_deinit(&install->runsc_packages);
}

static int runsc_look_back(Install *install, const cJSON *entry, StepState *ret_state) {
        CLEANUP_FREE char *installed = NULL;
        int r = apt_installed_version(install, "runsc", &installed);

        (void) entry;
        *ret_state = installed && install->options->purge ? STEP_TO_DO : STEP_DONE;
        if (!installed)
                install_note(install, "the package runsc is no longer there");
        else if (install->options->purge)
                install_note(install, "purge the package runsc %s", installed);
        else
                install_note(install, "the package runsc %s stays (--purge removes it)", installed);
        return r;
}

static int runsc_take_away(Install *install, const cJSON *entry) {
        static const char *const packages[] = {"runsc", NULL};
        int r = apt_remove(install, packages, true);

        (void) entry;
        if (r >= 0)
                install_note(install, "the package runsc has been purged");
        return r;
}

const Step step_runsc = {
        .name = "runsc",
        .exit_status = 14,
        .look = runsc_look,
        .apply = runsc_apply,
        .undo = runsc_undo,
        .keep = runsc_keep,
        .describe = runsc_describe,
        .look_back = runsc_look_back,
        .take_away = runsc_take_away,
};

/* ---- Docker ---- */

static int docker_look(Install *install, StepState *ret_state) {
        *ret_state = install->host.docker ? STEP_DONE : STEP_TO_DO;
        install_note(install, install->host.docker ? "Docker is there" : "install docker.io from the distribution");
        return 0;
}

static int await_docker(Install *install) {
        uint64_t until = now_usec() + DOCKER_START_USEC;

        for (;;) {
                CLEANUP_FREE char *message = NULL;
                int r = engine_ping(&install->engine, &message);

                if (r >= 0 || r == -EINTR)
                        return r;
                if (now_usec() >= until)
                        return trouble_set(&install->trouble, r, "systemctl start docker; systemctl status docker",
                                           "docker.io is installed, and does not answer: %s", message);
                r = loop_sleep(&install->loop, USEC_PER_SEC / 5);
                if (r < 0)
                        return r;
        }
}

/* From Debian 13 on, the command docker is a package of its own. */
static int install_docker(Install *install) {
        const char *packages[] = {"docker.io", NULL, NULL};
        bool known = false;
        int r = apt_knows(install, "docker-cli", &known);

        if (known)
                packages[1] = "docker-cli";
        return r < 0 ? r : apt_install(install, "docker.io", packages);
}

static int docker_apply(Install *install) {
        int r = apt_await_turn(install);

        if (r >= 0)
                r = apt_finish_interrupted(install);
        if (r >= 0)
                r = packages_begin(install, &install->docker_packages);
        /* To purge docker.io deletes these, whosever they are. */
        install->docker_packages.keep_config = access("/var/lib/docker", F_OK) == 0 || access("/etc/docker", F_OK) == 0;
        if (r >= 0)
                r = apt_update(install, NULL);
        if (r >= 0)
                r = install_docker(install);
        if (r >= 0)
                r = await_docker(install);
        if (r < 0)
                return r;
        install->host.docker = true;
        install_note(install, "docker.io is installed, and Docker answers");
        return 0;
}

static int docker_undo(Install *install) {
        return packages_take_back(install, &install->docker_packages);
}

static void docker_keep(Install *install) {
        packages_deinit(&install->docker_packages);
}

/* Docker stays at --uninstall: others will have begun to use it. */
const Step step_docker_package = {
        .name = "docker.io",
        .exit_status = 11,
        .look = docker_look,
        .apply = docker_apply,
        .undo = docker_undo,
        .keep = docker_keep,
};
