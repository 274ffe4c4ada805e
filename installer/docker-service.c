/* SPDX-License-Identifier: Apache-2.0 */

/* Docker reads "runtimes" again on a reload, which touches no container; a restart ends containers unless Docker has
 * live-restore. A reload that Docker did not like is told in its journal only, so what counts is what /info says
 * afterwards. */

#include "docker-service.h"
#include "units.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define UNIT "docker.service"
#define RELOAD_USEC (5 * USEC_PER_SEC)
#define RESTART_USEC (60 * USEC_PER_SEC)
#define POLL_USEC (USEC_PER_SEC / 5)
#define ANSWER_USEC (600 * USEC_PER_SEC)

DaemonRuntime docker_wanted_runtime(const Install *install) {
        return (DaemonRuntime){
                .name = install->options->runtime_name,
                .path = install_runsc_path(install),
                .arguments = install->options->arguments,
        };
}

bool docker_info_has(const cJSON *info, const DaemonRuntime *wanted) {
        const cJSON *present = json_get_object(json_get_object(info, "Runtimes"), wanted->name), *argument,
                    *arguments = json_get(present, "runtimeArgs");
        const char *path = json_get_string(present, "path");
        size_t n = 0;

        if (!path || strcmp(path, wanted->path) != 0)
                return false;
        cJSON_ArrayForEach(argument, arguments) {
                if (!wanted->arguments[n] || !cJSON_IsString(argument) ||
                    strcmp(argument->valuestring, wanted->arguments[n]) != 0)
                        return false;
                n++;
        }
        return !wanted->arguments[n];
}

/* Debian's unit reloads by kill(1), which is a package of its own: the signal itself can do without. */
static int reload(Install *install) {
        Trouble none = {0};
        int r = unit_reload(&install->loop, UNIT, &none);

        trouble_deinit(&none);
        return r >= 0 || r == -EINTR ? r : unit_signal(UNIT, SIGHUP, &install->trouble);
}

/* ---- what Docker says ---- */

static bool is_settled(const cJSON *info, const DaemonRuntime *wanted, const char *name) {
        return wanted ? docker_info_has(info, wanted) : !json_get(json_get_object(info, "Runtimes"), name);
}

/* Returns 1 when it is so, 0 when it has not become so in time, or -EINTR. Docker may be away meanwhile. */
static int await_settled(Install *install, const DaemonRuntime *wanted, const char *name, uint64_t most_usec) {
        uint64_t until = now_usec() + most_usec;

        for (;;) {
                CLEANUP_JSON cJSON *info = NULL;
                Trouble none = {0};
                Engine engine = install->engine;
                int r;

                engine.trouble = &none;
                r = engine_info(&engine, &info);
                trouble_deinit(&none);
                if (r == -EINTR)
                        return r;
                if (r >= 0 && is_settled(info, wanted, name))
                        return 1;
                if (now_usec() >= until)
                        return 0;
                r = loop_sleep(&install->loop, POLL_USEC);
                if (r < 0)
                        return r;
        }
}

/* How many containers a restart would end. */
static int containers_at_stake(Install *install, uint64_t *ret_count) {
        CLEANUP_JSON cJSON *info = NULL;
        int r = engine_info(&install->engine, &info);

        if (r < 0)
                return r;
        *ret_count = cJSON_IsTrue(json_get(info, "LiveRestoreEnabled"))
                             ? 0
                             : (uint64_t) json_get_integer(info, "ContainersRunning", 0);
        return 0;
}

/* One line of a person's, through the loop, so that Ctrl-C is heard. */
typedef struct Answer {
        char first;
        bool done;
} Answer;

static int on_answer(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Answer *answer = userdata;
        char text[256];
        ssize_t n = read(fd, text, sizeof(text));

        (void) source;
        (void) revents;
        if (n > 0 && answer->first == '\0')
                answer->first = text[0];
        answer->done = n <= 0 || text[n - 1] == '\n';
        return 0;
}

static int read_answer(Install *install, bool *ret_yes) {
        CLEANUP(sd_event_source_disable_unrefp) sd_event_source *source = NULL;
        Answer answer = {0};
        int r = sd_event_add_io(install->loop.event, &source, STDIN_FILENO, EPOLLIN, on_answer, &answer);

        if (r >= 0)
                r = loop_await(&install->loop, &answer.done, ANSWER_USEC);
        *ret_yes = r >= 0 && (answer.first == 'y' || answer.first == 'Y');
        return r == -ETIMEDOUT ? 0 : r;
}

static int ask_for_restart(Install *install) {
        uint64_t count = 0;
        bool yes = false;
        int r = containers_at_stake(install, &count);

        if (r < 0 || count == 0)
                return r;
        if (install->options->yes) {
                install_note(install, "a restart, which ends %llu running containers (--yes)",
                             (unsigned long long) count);
                return 0;
        }
        if (!isatty(STDIN_FILENO) || !install->screen.terminal)
                return trouble_set(&install->trouble, -ECANCELED, "at a better time, or at once with --yes",
                                   "Docker has to be restarted, which would end %llu running containers",
                                   (unsigned long long) count);
        (void) fprintf(install->screen.to_stderr ? stderr : stdout,
                       "  Docker has to be restarted. This ends %llu running containers. Go on? [y/N] ",
                       (unsigned long long) count);
        (void) fflush(NULL);
        r = read_answer(install, &yes);
        if (r < 0)
                return r;
        return yes ? 0 : trouble_set(&install->trouble, -ECANCELED, NULL, "Docker is not to be restarted");
}

/* ---- the whole ---- */

static int restart(Install *install, const DaemonRuntime *wanted, const char *name) {
        int r = ask_for_restart(install);

        if (r >= 0) {
                screen_progress(&install->screen, "docker", -1, "restarting " UNIT);
                r = unit_restart(&install->loop, UNIT, &install->trouble);
        }
        if (r >= 0)
                r = await_settled(install, wanted, name, RESTART_USEC);
        screen_clear(&install->screen);
        if (r == 0)
                return trouble_set(
                        &install->trouble, -ETIMEDOUT, "journalctl -u docker -n 20",
                        wanted ? "Docker was restarted, and does not have the OCI runtime %s as it was registered"
                               : "Docker was restarted, and still has the OCI runtime %s",
                        name);
        return r < 0 ? r : 0;
}

int docker_service_settle(Install *install, const DaemonRuntime *wanted, const char *name) {
        int r = 0;

        if (install->options->docker == DOCKER_RELOAD) {
                screen_progress(&install->screen, "docker", -1, "reloading " UNIT);
                r = reload(install);
                if (r >= 0)
                        r = await_settled(install, wanted, name, RELOAD_USEC);
                screen_clear(&install->screen);
                if (r == 1)
                        install_note(install, UNIT " was reloaded; no container was touched");
                if (r != 0)
                        return r < 0 ? r : 0;
        }
        r = restart(install, wanted, name);
        if (r >= 0)
                install_note(install, UNIT " was restarted%s",
                             install->options->docker == DOCKER_RELOAD ? ", for a reload did not do it" : "");
        return r;
}

bool docker_service_answers(Install *install) {
        return engine_ping(&install->engine, NULL) >= 0;
}

void docker_service_forget(Install *install, const char *name) {
        if (reload(install) >= 0 && name)
                (void) await_settled(install, NULL, name, RELOAD_USEC);
}

int docker_service_revive(Install *install) {
        uint64_t until = now_usec() + RESTART_USEC;
        int r;

        unit_forget_failures(UNIT);
        r = unit_restart(&install->loop, UNIT, &install->trouble);
        while (r >= 0 && !docker_service_answers(install)) {
                if (now_usec() >= until)
                        return trouble_set(&install->trouble, -ETIMEDOUT, "journalctl -n 20 -u docker",
                                           "Docker has its old file back, and does not answer");
                r = loop_sleep(&install->loop, POLL_USEC);
        }
        return r;
}

/* ---- the step ---- */

/* Docker may be somebody else's to reload, or another unit's (snap has one). */
static bool can_tell(const Install *install) {
        CLEANUP_FREE char *state = NULL;

        if (!install->host.systemd || install->options->docker == DOCKER_LEAVE)
                return false;
        state = unit_state(UNIT);
        return state && (strcmp(state, "active") == 0 || strcmp(state, "reloading") == 0);
}

static int note_restart(Install *install) {
        uint64_t count = 0;
        int r = install->host.docker ? containers_at_stake(install, &count) : 0;

        install_note(install, "restart " UNIT "%s", count > 0 ? ":" : ", which ends no container");
        if (count > 0)
                install_note(install, "this ends %llu running containers%s", (unsigned long long) count,
                             install->options->yes ? "" : ", and is asked about before");
        return r;
}

static int docker_look(Install *install, StepState *ret_state) {
        DaemonRuntime wanted = docker_wanted_runtime(install);
        CLEANUP_JSON cJSON *info = NULL;
        int r;

        *ret_state = STEP_TO_DO;
        if (install->host.docker) {
                r = engine_info(&install->engine, &info);
                if (r < 0)
                        return r;
                if (docker_info_has(info, &wanted)) {
                        *ret_state = STEP_DONE;
                        install_note(install, "Docker %s has the OCI runtime %s",
                                     json_get_string(info, "ServerVersion"), wanted.name);
                        return 0;
                }
        }
        if (install->options->docker == DOCKER_LEAVE)
                install_note(install, "leave Docker's reload to you (--docker=leave)");
        else if (!install->host.systemd)
                install_note(install, "leave Docker's reload to you: systemd does not run here");
        else if (install->host.docker && !can_tell(install))
                install_note(install, "leave Docker's reload to you: it does not run as " UNIT);
        else if (install->options->docker == DOCKER_RESTART)
                return note_restart(install);
        else
                install_note(install, "reload " UNIT ", which touches no container; should that not do, restart it");
        return 0;
}

static int docker_apply(Install *install) {
        DaemonRuntime wanted = docker_wanted_runtime(install);
        int r;

        if (can_tell(install))
                return docker_service_settle(install, &wanted, wanted.name);
        r = await_settled(install, &wanted, wanted.name, 0);
        if (r < 0)
                return r;
        if (r == 0) {
                install_note(install, "Docker has not read its file again. Have it do so: kill -HUP $(pidof dockerd)");
                install_note(install, "then run tee-install again, which proves that it works");
        }
        install->left_to_person = r == 0;
        return 0;
}

/* The file is given back by the step before. Where that has changed nothing, nobody else looks whether Docker lives. */
static int docker_undo(Install *install) {
        if (!install->host.docker || !install->host.systemd || docker_service_answers(install))
                return 0;
        return install->registration.written ? 0 : docker_service_revive(install);
}

const Step step_docker = {
        .name = "docker",
        .exit_status = 16,
        .look = docker_look,
        .apply = docker_apply,
        .undo = docker_undo,
};
