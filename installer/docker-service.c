/* SPDX-License-Identifier: Apache-2.0 */

/* Docker reads "runtimes" again on a reload, which touches no container; a restart ends containers unless Docker has
 * live-restore. A reload that Docker did not like is told in its journal only, so what counts is what /info says
 * afterwards. Over the bus, a job's end comes as the signal JobRemoved (org.freedesktop.systemd1(5)). */

#include "docker-service.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-bus.h>

#define UNIT "docker.service"
#define MANAGER "org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"
#define JOB_USEC (120 * USEC_PER_SEC)
#define RELOAD_USEC (5 * USEC_PER_SEC)
#define RESTART_USEC (60 * USEC_PER_SEC)
#define POLL_USEC (USEC_PER_SEC / 5)

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

/* ---- jobs of systemd's ---- */

typedef struct Job {
        const char *path;
        char result[32];
        bool done;
} Job;

static int on_job_removed(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        Job *job = userdata;
        const char *path, *unit, *result;
        uint32_t id;

        (void) error;
        if (sd_bus_message_read(message, "uoss", &id, &path, &unit, &result) < 0 || !job->path ||
            strcmp(path, job->path) != 0)
                return 0;
        (void) snprintf(job->result, sizeof(job->result), "%s", result);
        job->done = true;
        return 0;
}

static int run_job_on(Install *install, sd_bus *bus, const char *method) {
        __attribute__((cleanup(sd_bus_error_free))) sd_bus_error error = SD_BUS_ERROR_NULL;
        __attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *reply = NULL;
        __attribute__((cleanup(sd_bus_slot_unrefp))) sd_bus_slot *slot = NULL;
        Job job = {0};
        int r = sd_bus_match_signal(bus, &slot, MANAGER, "JobRemoved", on_job_removed, &job);

        if (r >= 0)
                r = sd_bus_call_method(bus, MANAGER, "Subscribe", &error, NULL, NULL);
        if (r >= 0)
                r = sd_bus_call_method(bus, MANAGER, method, &error, &reply, "ss", UNIT, "replace");
        if (r >= 0)
                r = sd_bus_message_read(reply, "o", &job.path);
        if (r >= 0)
                r = loop_await(&install->loop, &job.done, JOB_USEC);
        if (r == -EINTR)
                return r;
        if (r < 0)
                return trouble_set(&install->trouble, r, "systemctl status docker", "%s of " UNIT ": %s", method,
                                   error.message ? error.message : strerror(-r));
        if (strcmp(job.result, "done") != 0)
                return trouble_set(&install->trouble, -EIO, "journalctl -u docker -n 20",
                                   "%s of " UNIT " ends with '%s'", method, job.result);
        return 0;
}

/* method: "ReloadUnit", "RestartUnit" */
static int run_job(Install *install, const char *method) {
        __attribute__((cleanup(sd_bus_flush_close_unrefp))) sd_bus *bus = NULL;
        int r = sd_bus_open_system(&bus);

        if (r >= 0)
                r = sd_bus_attach_event(bus, install->loop.event, SD_EVENT_PRIORITY_NORMAL);
        if (r < 0)
                return trouble_set(&install->trouble, r, NULL, "systemd cannot be asked: %s", strerror(-r));
        install->service.told = true;
        r = run_job_on(install, bus, method);
        (void) sd_bus_detach_event(bus);
        return r;
}

/* After some failures in a row systemd starts a unit no more until it is told to forget them. */
static void forget_failures(void) {
        __attribute__((cleanup(sd_bus_flush_close_unrefp))) sd_bus *bus = NULL;

        if (sd_bus_open_system(&bus) >= 0)
                (void) sd_bus_call_method(bus, MANAGER, "ResetFailedUnit", NULL, NULL, "s", UNIT);
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

static int ask_for_restart(Install *install) {
        char answer[16] = "";
        uint64_t count = 0;
        int r = containers_at_stake(install, &count);

        if (r < 0 || count == 0 || install->options->yes)
                return r;
        if (!isatty(STDIN_FILENO) || !install->screen.terminal)
                return trouble_set(&install->trouble, -ECANCELED, "at a better time, or at once with --yes",
                                   "Docker has to be restarted, which would end %llu running containers",
                                   (unsigned long long) count);
        (void) fprintf(install->screen.to_stderr ? stderr : stdout,
                       "  Docker has to be restarted. This ends %llu running containers. Go on? [y/N] ",
                       (unsigned long long) count);
        (void) fflush(NULL);
        if (!fgets(answer, sizeof(answer), stdin) || (answer[0] != 'y' && answer[0] != 'Y'))
                return trouble_set(&install->trouble, -ECANCELED, NULL, "Docker is not to be restarted");
        return 0;
}

/* ---- the whole ---- */

static int restart(Install *install, const DaemonRuntime *wanted, const char *name) {
        int r = ask_for_restart(install);

        if (r >= 0) {
                screen_progress(&install->screen, "docker", -1, "restarting " UNIT);
                r = run_job(install, "RestartUnit");
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
                r = run_job(install, "ReloadUnit");
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

int docker_service_return(Install *install) {
        CLEANUP_FREE char *message = NULL;
        int r;

        if (!install->service.told || !install->host.systemd)
                return 0;
        install->service.told = false;
        r = engine_ping(&install->engine, &message);
        if (r >= 0)
                return run_job(install, "ReloadUnit");
        forget_failures();
        return run_job(install, "RestartUnit");
}

/* ---- the step ---- */

static bool can_tell(const Install *install) {
        return install->host.systemd && install->options->docker != DOCKER_LEAVE;
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
        else if (install->options->docker == DOCKER_RESTART)
                return note_restart(install);
        else
                install_note(install, "reload " UNIT ", which touches no container");
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

const Step step_docker = {.name = "docker", .exit_status = 16, .look = docker_look, .apply = docker_apply};
