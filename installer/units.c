/* SPDX-License-Identifier: Apache-2.0 */

/* A job's end comes as the signal JobRemoved, which is sent to those who have subscribed (org.freedesktop.systemd1(5)).
 * The match is made before the job, and the signal read after the job's name is known, so none can be missed. */

#include "units.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-bus.h>

#define DESTINATION "org.freedesktop.systemd1"
#define MANAGER DESTINATION, "/org/freedesktop/systemd1", DESTINATION ".Manager"
#define JOB_USEC (120 * USEC_PER_SEC)

typedef struct Job {
        const char *path; /* NULL until systemd has named it */
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

static int run_job_on(Loop *loop, sd_bus *bus, const char *method, const char *unit, Trouble *trouble) {
        CLEANUP(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        CLEANUP(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        CLEANUP(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL;
        Job job = {0};
        int r = sd_bus_match_signal(bus, &slot, MANAGER, "JobRemoved", on_job_removed, &job);

        if (r >= 0)
                r = sd_bus_call_method(bus, MANAGER, "Subscribe", &error, NULL, NULL);
        if (r >= 0)
                r = sd_bus_call_method(bus, MANAGER, method, &error, &reply, "ss", unit, "replace");
        if (r >= 0)
                r = sd_bus_message_read(reply, "o", &job.path);
        if (r >= 0)
                r = loop_await(loop, &job.done, JOB_USEC);
        if (r == -EINTR)
                return r;
        if (r < 0)
                return trouble_set(trouble, r, NULL, "%s of %s: %s", method, unit,
                                   error.message ? error.message : strerror(-r));
        if (strcmp(job.result, "done") != 0)
                return trouble_set(trouble, -EIO, "journalctl -n 20 -u docker", "%s of %s ends with '%s'", method, unit,
                                   job.result);
        return 0;
}

static int run_job(Loop *loop, const char *method, const char *unit, Trouble *trouble) {
        CLEANUP(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        int r = sd_bus_open_system(&bus);

        if (r >= 0)
                r = sd_bus_attach_event(bus, loop->event, SD_EVENT_PRIORITY_NORMAL);
        if (r < 0)
                return trouble_set(trouble, r, NULL, "systemd cannot be asked: %s", strerror(-r));
        r = run_job_on(loop, bus, method, unit, trouble);
        (void) sd_bus_detach_event(bus);
        return r;
}

int unit_reload(Loop *loop, const char *unit, Trouble *trouble) {
        return run_job(loop, "ReloadUnit", unit, trouble);
}

int unit_restart(Loop *loop, const char *unit, Trouble *trouble) {
        return run_job(loop, "RestartUnit", unit, trouble);
}

int unit_signal(const char *unit, int signal, Trouble *trouble) {
        CLEANUP(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        CLEANUP(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        int r = sd_bus_open_system(&bus);

        if (r >= 0)
                r = sd_bus_call_method(bus, MANAGER, "KillUnit", &error, NULL, "ssi", unit, "main", (int32_t) signal);
        return r < 0 ? trouble_set(trouble, r, NULL, "a signal to %s: %s", unit,
                                   error.message ? error.message : strerror(-r))
                     : 0;
}

void unit_forget_failures(const char *unit) {
        CLEANUP(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;

        if (sd_bus_open_system(&bus) >= 0)
                (void) sd_bus_call_method(bus, MANAGER, "ResetFailedUnit", NULL, NULL, "s", unit);
}

/* Opens the bus, and finds the unit's object on it. */
static int find_unit(const char *unit, sd_bus **ret_bus, char **ret_path) {
        CLEANUP(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        CLEANUP(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *path;
        int r = sd_bus_open_system(&bus);

        if (r >= 0)
                r = sd_bus_call_method(bus, MANAGER, "GetUnit", NULL, &reply, "s", unit);
        if (r >= 0)
                r = sd_bus_message_read(reply, "o", &path);
        if (r < 0)
                return r;
        *ret_path = strdup(path);
        if (!*ret_path)
                return -ENOMEM;
        *ret_bus = TAKE_PTR(bus);
        return 0;
}

char *unit_state(const char *unit) {
        CLEANUP(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        CLEANUP_FREE char *path = NULL;
        char *state = NULL;

        if (find_unit(unit, &bus, &path) < 0 ||
            sd_bus_get_property_string(bus, DESTINATION, path, DESTINATION ".Unit", "ActiveState", NULL, &state) < 0)
                return NULL;
        return state;
}

pid_t unit_main_pid(const char *unit) {
        CLEANUP(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        CLEANUP_FREE char *path = NULL;
        uint32_t pid = 0;

        if (find_unit(unit, &bus, &path) < 0 ||
            sd_bus_get_property_trivial(bus, DESTINATION, path, DESTINATION ".Service", "MainPID", NULL, 'u', &pid) < 0)
                return 0;
        return (pid_t) pid;
}
