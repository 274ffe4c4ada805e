/* SPDX-License-Identifier: Apache-2.0 */

/* One check is a chain of steps, each asking Docker one question: ping, info (and daemon.json beside it), each
 * runtime's image, the leftovers of a dead agent, and last a probe sandbox, whose kernel must prove that it is gVisor.
 * The first step that fails shuts the gate with its reason and its remedy. A shut gate checks again by itself, at
 * growing intervals; an open one when Docker says that something changed (its event stream), when that stream ends,
 * when the OCI runtime's binary is another, and when the agent is told to. An open gate stays open during a check that
 * nothing contradicts yet: each sandbox still proves its own kernel, so the gate is never the only guard. */

#include "gate.h"
#include "images.h"
#include "known-runtime.h"
#include "log.h"
#include "message-ids.h"
#include "probe.h"
#include "registration.h"

#include <errno.h>
#include <string.h>

#define RETRY_FIRST_USEC (USEC_PER_SEC / 2)
#define RETRY_LAST_USEC (10 * USEC_PER_SEC)
#define SETTLE_USEC (USEC_PER_SEC / 10) /* one change on the host seldom comes alone */
#define IMAGES_SETTLE_USEC USEC_PER_SEC /* a host that builds images tells of them all day */
#define EVENTS_LASTING_USEC (10 * USEC_PER_SEC)
#define EVENTS_PAUSE_FIRST_USEC (2 * USEC_PER_SEC)
#define EVENTS_PAUSE_LAST_USEC (60 * USEC_PER_SEC)
#define LOOK_AT_AGENT "journalctl -u tee-agent; it is tried again by itself"

struct Gate {
        sd_event *event;
        Docker *docker;
        Containers *containers;
        const Config *config;
        char *boot_id;
        GateChanged changed;
        void *userdata;

        GateState state;
        Objection objection; /* of a shut one */
        bool doubted;        /* what is wrong may have been mended just now: who asks waits for the next check */
        bool doubted_again;  /* and for the one after it, because that happened during it; but for no third */

        /* of the check under way */
        bool checking;
        bool again;
        DockerCall *call;
        Probe *probe;
        sd_event_source *timer; /* the next check: */
        uint64_t due_usec;      /* when, or 0 */
        bool distrusted;        /* the check under way does not count any more */
        uint64_t retry_usec;
        bool sweeping;
        bool swept; /* once is enough */

        /* what the last check saw */
        char *docker_version;
        char *host_release;
        KnownRuntime runtime;
        char *kernel;
        Images *images;

        DockerCall *events;
        uint64_t events_since_usec;
        uint64_t events_wait_usec;  /* from its end to the next look */
        uint64_t events_pause_usec; /* before the next look, when streams keep ending at once */
};

static void step_ping(Gate *gate);

const char *gate_state_name(GateState state) {
        static const char *const names[] = {
                [GATE_CHECKING] = "checking",
                [GATE_OPEN] = "open",
                [GATE_SHUT] = "shut",
        };

        return names[state];
}

/* ---- verdicts ---- */

static int replace(char **target, const char *value) {
        char *copy = value ? strdup(value) : NULL;

        if (value && !copy)
                return -ENOMEM;
        free(*target);
        *target = copy;
        return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Gate *gate = userdata;

        (void) source;
        (void) usec;
        gate->due_usec = 0;
        if (!gate->checking)
                step_ping(gate);
        return 0;
}

/* Never puts off a check that is due sooner: whoever asks often must not be able to prevent it. */
static void check_in(Gate *gate, uint64_t usec) {
        uint64_t due_usec = now_usec() + usec;
        int r;

        if (gate->due_usec != 0 && gate->due_usec <= due_usec)
                return;
        gate->due_usec = due_usec;
        r = sd_event_source_set_time_relative(gate->timer, usec);

        if (r >= 0)
                r = sd_event_source_set_enabled(gate->timer, SD_EVENT_ONESHOT);
        if (r < 0)
                log_line(LOG_ERR, "The gate's timer cannot be set: %s", strerror(-r));
}

/* When Docker's event stream has ended: how long until it is asked for anew, by a check. The first time at once, since
 * Docker may have gone; a Docker that never lets it last must not be probed without end. */
static uint64_t take_events_pause(Gate *gate) {
        uint64_t pause = gate->events_pause_usec, next = pause == 0 ? EVENTS_PAUSE_FIRST_USEC : pause * 2;

        gate->events_pause_usec = next < EVENTS_PAUSE_LAST_USEC ? next : EVENTS_PAUSE_LAST_USEC;
        return pause > 0 ? pause : SETTLE_USEC;
}

/* A check has come to its end. */
static void finish(Gate *gate) {
        gate->checking = false;
        gate->doubted = gate->doubted_again = gate->again && !gate->doubted_again;
        gate->call = docker_call_free(gate->call);
        gate->probe = probe_free(gate->probe);
        gate->sweeping = false;
        if (gate->again)
                check_in(gate, SETTLE_USEC);
        else if (!gate->events && gate->state == GATE_OPEN)
                check_in(gate, gate->events_wait_usec);
        gate->again = false;
}

static void shut(Gate *gate, const char *code, const char *reason, const char *remedy) {
        bool news = gate->state != GATE_SHUT || !objection_is(&gate->objection, code, reason);

        gate->state = GATE_SHUT;
        objection_set(&gate->objection, code, reason, remedy);
        finish(gate);
        check_in(gate, gate->retry_usec);
        gate->retry_usec = gate->retry_usec >= RETRY_LAST_USEC / 2 ? RETRY_LAST_USEC : gate->retry_usec * 2;
        if (news)
                log_message(LOG_ERR, objection_message_id(code), "The gate is shut (%s): %s. Remedy: %s", code,
                            reason ? reason : "", remedy);
        gate->changed(gate->userdata);
}

static void open_gate(Gate *gate) {
        bool news = gate->state != GATE_OPEN;

        if (gate->distrusted) {
                finish(gate); /* which begins the check that counts */
                return;
        }
        gate->state = GATE_OPEN;
        gate->retry_usec = RETRY_FIRST_USEC;
        objection_deinit(&gate->objection);
        finish(gate);
        if (!images_are_known(gate->images))
                check_in(gate, RETRY_LAST_USEC);
        if (news && gate->config->gvisor_enabled) {
                log_line(LOG_INFO, "✓ gVisor sandboxing: ENABLED");
                log_message(LOG_INFO, MESSAGE_GATE_OPEN, "The gate is open: OCI runtime %s, kernel %s",
                            config_oci_runtime(gate->config), gate->kernel ? gate->kernel : "unknown");
        } else if (news) {
                log_message(LOG_WARNING, MESSAGE_GATE_OPEN_WITHOUT_GVISOR,
                            "The gate is open WITHOUT gVisor: OCI runtime %s", config_oci_runtime(gate->config));
        }
        gate->changed(gate->userdata);
}

static void shut_after_reply(Gate *gate, const DockerReply *reply) {
        if (reply->error == -ECONNREFUSED)
                shut(gate, "docker_unreachable", reply->message,
                     "systemctl start docker, or where there is none: apt-get install docker.io");
        else
                shut(gate, "docker_error", reply->message, LOOK_AT_DOCKER);
}

static void shut_after_errno(Gate *gate, int error) {
        shut(gate, "docker_error", strerror(-error), LOOK_AT_AGENT);
}

/* ---- the probe ---- */

static void on_probed(const Objection *objection, const char *kernel, void *userdata) {
        Gate *gate = userdata;

        if (objection->code) {
                shut(gate, objection->code, objection->reason, objection->remedy);
        } else if (replace(&gate->kernel, kernel) < 0) {
                shut_after_errno(gate, -ENOMEM);
        } else {
                open_gate(gate);
        }
}

/* The first that there is. */
static size_t choose_runtime(const Gate *gate) {
        size_t i = 0;

        while (i < gate->config->runtimes_size && !images_id(gate->images, i))
                i++;
        return i;
}

static void step_probe(Gate *gate) {
        size_t index = choose_runtime(gate);
        const Objection *objection = images_objection(gate->images, 0);
        int r;

        if (index == gate->config->runtimes_size) {
                shut(gate, objection->code, objection->reason, objection->remedy);
                return;
        }

        const ProbeInput input = {
                .context = gate_sandbox_context(gate),
                .config = gate->config,
                .runtime = &gate->config->runtimes[index],
                .image_id = images_id(gate->images, index),
                .boot_id = gate->boot_id,
        };

        r = probe_new(&input, on_probed, gate, &gate->probe);
        if (r < 0)
                shut_after_errno(gate, r);
}

/* ---- leftovers ---- */

static void on_swept(int error, const char *message, size_t found, void *userdata) {
        Gate *gate = userdata;

        if (found > 0)
                log_message(LOG_NOTICE, MESSAGE_SANDBOXES_SWEPT, "Removing %zu sandboxes that an earlier agent left",
                            found);
        gate->swept = error == 0;
        if (!gate->sweeping)
                return; /* the check that asked was given up */
        gate->sweeping = false;
        if (error < 0)
                shut(gate, "docker_error", message, LOOK_AT_DOCKER);
        else
                step_probe(gate);
}

static void step_sweep(Gate *gate) {
        int r;

        if (gate->swept) {
                step_probe(gate);
                return;
        }
        gate->sweeping = true;
        r = containers_sweep(gate->containers, on_swept, gate);
        if (r < 0)
                shut_after_errno(gate, r);
}

/* ---- images ---- */

static void on_images_looked(int error, void *userdata) {
        if (error < 0)
                shut_after_errno(userdata, error);
        else
                step_sweep(userdata);
}

static void step_images(Gate *gate) {
        int r = images_look(gate->images, on_images_looked, gate);

        if (r < 0)
                shut_after_errno(gate, r);
}

/* ---- registration ---- */

/* Returns true when the file agrees, or has no say; otherwise the gate has been shut. */
static bool check_daemon_json(Gate *gate, const char *oci_runtime, const char *info_path) {
        const char *path = gate->config->docker_daemon_json;
        CLEANUP_FREE char *why = NULL, *reason = NULL;
        int r = registration_check_file(path, oci_runtime, info_path, &why);

        if (r >= 0)
                return true;
        reason = text_format("%s: %s", path, why ? why : strerror(-r));
        shut(gate, "registration_mismatch", reason,
             "mend the file, then: systemctl reload docker; where OCI runtimes are registered by dockerd's options, "
             "set docker.daemon_json = \"\" in tee.conf");
        return false;
}

/* Another binary, or the same under other arguments, is another OCI runtime: what an earlier check has proven, and what
 * was made from it, does not count any more. This check goes on, and says what does. */
static int look_at_runtime(Gate *gate, const cJSON *info, const char *path) {
        bool same;
        int r = known_runtime_look(&gate->runtime, info, config_oci_runtime(gate->config), path, &same);

        if (r < 0 || same || gate->state != GATE_OPEN)
                return r;
        log_message(LOG_NOTICE, MESSAGE_OCI_RUNTIME_CHANGED,
                    "The OCI runtime is not the one that was checked; it is proven anew");
        gate->state = GATE_CHECKING;
        gate->changed(gate->userdata);
        return 0;
}

static int remember_info(Gate *gate, const cJSON *info) {
        int r = replace(&gate->docker_version, json_get_string(info, "ServerVersion"));

        return r < 0 ? r : replace(&gate->host_release, json_get_string(info, "KernelVersion"));
}

static void on_info(const DockerReply *reply, void *userdata) {
        Gate *gate = userdata;
        const char *oci_runtime = config_oci_runtime(gate->config), *path;
        CLEANUP_FREE char *reason = NULL;
        int r;

        if (!docker_reply_ok(reply) || !cJSON_IsObject(reply->json)) {
                if (docker_reply_ok(reply))
                        shut(gate, "docker_error", "GET /info was answered by something that is no info",
                             LOOK_AT_DOCKER);
                else
                        shut_after_reply(gate, reply);
                return;
        }
        path = registration_in_info(reply->json, oci_runtime);
        if (!path) {
                reason = text_format("Docker knows no OCI runtime '%s' (unknown or invalid runtime name: %s)",
                                     oci_runtime, oci_runtime);
                shut(gate, "oci_runtime_missing", reason,
                     "tee-install --with-gvisor; by hand: apt-get install runsc, runsc install -- --network=none, "
                     "systemctl reload docker");
                return;
        }
        r = look_at_runtime(gate, reply->json, path);
        if (r >= 0)
                r = remember_info(gate, reply->json);
        if (r < 0) {
                shut_after_errno(gate, r);
                return;
        }
        if (gate->config->gvisor_enabled && !check_daemon_json(gate, oci_runtime, path))
                return;
        gate->call = docker_call_free(gate->call);
        step_images(gate);
}

static void step_info(Gate *gate) {
        int r = docker_info(gate->docker, on_info, gate, &gate->call);

        if (r < 0)
                shut_after_errno(gate, r);
}

/* ---- Docker's events ---- */

/* Any event of the daemon itself or of an image may have changed what was checked. */
static void on_event(const cJSON *event, void *userdata) {
        const char *type = json_get_string(event, "Type");
        Gate *gate = userdata;

        if (type && strcmp(type, "image") == 0 && gate->state == GATE_OPEN && !gate->checking) {
                gate->doubted = true;
                check_in(gate, IMAGES_SETTLE_USEC);
        } else if (type && (strcmp(type, "daemon") == 0 || strcmp(type, "image") == 0))
                gate_check(gate);
}

static void on_events_ended(const DockerReply *reply, void *userdata) {
        Gate *gate = userdata;

        (void) reply;
        gate->events = docker_call_free(gate->events);
        if (now_usec() - gate->events_since_usec >= EVENTS_LASTING_USEC)
                gate->events_pause_usec = 0;
        gate->events_wait_usec = take_events_pause(gate);
        if (!gate->checking)
                check_in(gate, gate->events_wait_usec);
}

/* Listens before it asks, so that no change falls between. */
static void on_ping(const DockerReply *reply, void *userdata) {
        Gate *gate = userdata;
        int r = 0;

        if (!docker_reply_ok(reply)) {
                shut_after_reply(gate, reply);
                return;
        }
        gate->call = docker_call_free(gate->call);
        if (gate->state == GATE_SHUT && strcmp(gate->objection.code, "docker_unreachable") == 0)
                log_message(LOG_NOTICE, MESSAGE_DOCKER_FOUND, "Docker answers again");
        gate->events_since_usec = gate->events ? gate->events_since_usec : now_usec();
        if (!gate->events)
                r = docker_events(gate->docker, on_event, on_events_ended, gate, &gate->events);
        if (r < 0)
                shut_after_errno(gate, r);
        else
                step_info(gate);
}

static void step_ping(Gate *gate) {
        int r;

        gate->checking = true;
        gate->distrusted = false;
        r = docker_ping(gate->docker, on_ping, gate, &gate->call);
        if (r < 0)
                shut_after_errno(gate, r);
}

/* ---- the whole ---- */

int gate_set_config(Gate *gate, const Config *config) {
        Images *images;
        int r = images_new(gate->docker, config, &images);

        if (r < 0)
                return r;
        images_free(gate->images);
        gate->images = images;
        gate->config = config;
        finish(gate);
        gate_distrust(gate);
        return 0;
}

int gate_new(sd_event *event, Docker *docker, Containers *containers, const Config *config, const char *boot_id,
             GateChanged changed, void *userdata, Gate **ret_gate) {
        CLEANUP(gate_freep) Gate *gate = calloc(1, sizeof(*gate));
        int r;

        if (!gate)
                return -ENOMEM;
        *gate = (Gate){
                .event = sd_event_ref(event),
                .docker = docker,
                .containers = containers,
                .config = config,
                .boot_id = strdup(boot_id),
                .changed = changed,
                .userdata = userdata,
                .retry_usec = RETRY_FIRST_USEC,
        };
        if (!gate->boot_id)
                return -ENOMEM;
        r = images_new(docker, config, &gate->images);
        if (r < 0)
                return r;
        r = sd_event_add_time_relative(event, &gate->timer, CLOCK_MONOTONIC, 0, 1, on_timer, gate);
        if (r >= 0)
                r = sd_event_source_set_enabled(gate->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(gate->timer, "gate-check");
        *ret_gate = TAKE_PTR(gate);
        return 0;
}

void gate_stop(Gate *gate) {
        if (gate->images)
                images_stop(gate->images);
        gate->call = docker_call_free(gate->call);
        gate->events = docker_call_free(gate->events);
        gate->probe = probe_free(gate->probe);
        gate->timer = sd_event_source_disable_unref(gate->timer);
        gate->sweeping = false;
        gate->checking = true; /* for ever: no other begins */
}

Gate *gate_free(Gate *gate) {
        if (!gate)
                return NULL;
        gate_stop(gate);
        images_free(gate->images);
        objection_deinit(&gate->objection);
        free(gate->boot_id);
        free(gate->docker_version);
        free(gate->host_release);
        known_runtime_deinit(&gate->runtime);
        free(gate->kernel);
        (void) sd_event_unref(gate->event);
        free(gate);
        return NULL;
}

void gate_check(Gate *gate) {
        gate->doubted = true;
        if (gate->checking)
                gate->again = true;
        else
                check_in(gate, gate->state == GATE_CHECKING ? 0 : SETTLE_USEC);
}

void gate_knock(Gate *gate) {
        if (gate->state != GATE_SHUT || strcmp(gate->objection.code, "docker_unreachable") != 0)
                return;
        gate->doubted = true;
        if (!gate->checking)
                check_in(gate, 0);
}

void gate_distrust(Gate *gate) {
        bool news = gate->state == GATE_OPEN;

        gate->distrusted = true;
        if (gate->state == GATE_OPEN)
                gate->state = GATE_CHECKING;
        gate_check(gate);
        if (news)
                gate->changed(gate->userdata);
}

static GateVerdict verdict(GateState state, const Objection *objection) {
        return (GateVerdict){
                .state = state,
                .code = objection->code,
                .reason = objection->reason,
                .remedy = objection->remedy,
        };
}

GateVerdict gate_verdict(const Gate *gate) {
        return verdict(gate->state, &gate->objection);
}

GateVerdict gate_runtime(const Gate *gate, size_t index) {
        const Objection *objection = images_objection(gate->images, index);

        if (images_id(gate->images, index))
                return verdict(GATE_OPEN, objection);
        return verdict(objection->code ? GATE_SHUT : GATE_CHECKING, objection);
}

static int refuse(const Objection *objection, const char *field, Refusal *ret_refusal) {
        return refusal_set(ret_refusal, 503, objection->code, field, objection->remedy, "%s",
                           objection->reason ? objection->reason : "");
}

const char *gate_admit(Gate *gate, const char *runtime, Refusal *ret_refusal) {
        const ConfigRuntime *configured = config_runtime(gate->config, runtime);
        size_t index;

        if (gate->state == GATE_OPEN && known_runtime_has_changed(&gate->runtime)) {
                log_message(LOG_NOTICE, MESSAGE_OCI_RUNTIME_CHANGED,
                            "The OCI runtime's binary %s has changed; it is checked again", gate->runtime.path);
                gate_distrust(gate);
        }
        if (gate->state == GATE_CHECKING || (gate->state == GATE_SHUT && gate->doubted))
                return NULL;
        if (gate->state == GATE_SHUT) {
                refuse(&gate->objection, NULL, ret_refusal);
                return NULL;
        }
        if (!configured) {
                refusal_set(ret_refusal, 400, "unknown_runtime", "runtime", NULL, "there is no runtime '%.64s'",
                            runtime);
                return NULL;
        }
        index = config_runtime_index(gate->config, configured);
        if (!images_id(gate->images, index) && !gate->doubted)
                refuse(images_objection(gate->images, index), "runtime", ret_refusal);
        return images_id(gate->images, index);
}

const char *gate_docker_version(const Gate *gate) {
        return gate->docker_version;
}

const char *gate_kernel(const Gate *gate) {
        return gate->kernel;
}

SandboxContext gate_sandbox_context(const Gate *gate) {
        return (SandboxContext){
                .event = gate->event,
                .docker = gate->docker,
                .containers = gate->containers,
                .host_release = gate->host_release,
        };
}
