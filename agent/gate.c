/* SPDX-License-Identifier: Apache-2.0 */

/* One check is a chain of steps, each asking Docker one question: ping, info (and daemon.json beside it), each
 * runtime's image, the leftovers of a dead agent, and last a probe sandbox, whose kernel must prove that it is gVisor.
 * The first step that fails shuts the gate with its reason and its remedy. A shut gate checks again by itself, at
 * growing intervals; an open one when Docker says that something changed (its event stream), when that stream ends,
 * when the OCI runtime's binary is another, and when the agent is told to. An open gate stays open during a check that
 * nothing contradicts yet: each sandbox still proves its own kernel, so the gate is never the only guard. */

#include "gate.h"
#include "log.h"
#include "registration.h"
#include "version.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-id128.h>

#define RETRY_FIRST_USEC (USEC_PER_SEC / 2)
#define RETRY_LAST_USEC (10 * USEC_PER_SEC)
#define SETTLE_USEC (USEC_PER_SEC / 10) /* one change on the host seldom comes alone */
#define EVENTS_LASTING_USEC (10 * USEC_PER_SEC)
#define EVENTS_PAUSE_FIRST_USEC (2 * USEC_PER_SEC)
#define EVENTS_PAUSE_LAST_USEC (60 * USEC_PER_SEC)
#define DAEMON_JSON_MAX ((size_t) 1024 * 1024)
#define PROBE_MEMORY_MB 128U
#define PROBE_DISK_MB 1U

/* A verdict that owns its words. */
typedef struct Words {
        const char *code; /* NULL: nothing against it */
        char *reason;
        char *remedy;
} Words;

typedef struct RuntimeImage {
        char *id; /* NULL when not available */
        Words words;
} RuntimeImage;

typedef struct BinaryStamp {
        bool known;
        dev_t device;
        ino_t inode;
        off_t size;
        struct timespec changed;
} BinaryStamp;

struct Gate {
        sd_event *event;
        Docker *docker;
        Containers *containers;
        const Config *config;
        char *boot_id;
        GateChanged changed;
        void *userdata;

        GateState state;
        Words words;

        /* of the check under way */
        bool checking;
        bool again;
        DockerCall *call;
        size_t image_index;
        Sandbox *probe;
        sd_event_source *timer; /* the next check: */
        uint64_t due_usec;      /* when, or 0 */
        bool distrusted;        /* the check under way does not count any more */
        uint64_t retry_usec;
        bool sweeping;
        bool swept; /* once is enough */

        /* what the last check saw */
        char *docker_version;
        char *host_release;
        char *binary_path;
        BinaryStamp binary;
        char *kernel;
        RuntimeImage *images; /* as many as config->runtimes */
        size_t images_size;

        DockerCall *events;
        uint64_t events_since_usec;
        uint64_t events_wait_usec;  /* from its end to the next look */
        uint64_t events_pause_usec; /* before the next look, when streams keep ending at once */
};

static void step_ping(Gate *gate);

/* ---- words ---- */

static void words_deinit(Words *words) {
        free(words->reason);
        free(words->remedy);
        *words = (Words){0};
}

/* reason and remedy are copied; a lack of memory leaves them out, never the code. */
static void words_set(Words *words, const char *code, const char *reason, const char *remedy) {
        words_deinit(words);
        words->code = code;
        words->reason = reason ? strdup(reason) : NULL;
        text_clean(words->reason); /* Docker's words go to systemctl status, where a line feed has a meaning */
        words->remedy = remedy ? strdup(remedy) : NULL;
}

static bool words_equal(const Words *words, const char *code, const char *reason) {
        if (!words->code || !code)
                return words->code == code;
        return strcmp(words->code, code) == 0 && strcmp(words->reason ? words->reason : "", reason ? reason : "") == 0;
}

static GateVerdict words_verdict(GateState state, const Words *words) {
        return (GateVerdict){.state = state, .code = words->code, .reason = words->reason, .remedy = words->remedy};
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
        gate->call = docker_call_free(gate->call);
        gate->probe = sandbox_free(gate->probe);
        gate->sweeping = false;
        if (gate->again)
                check_in(gate, SETTLE_USEC);
        else if (!gate->events && gate->state == GATE_OPEN)
                check_in(gate, gate->events_wait_usec);
        gate->again = false;
}

static void shut(Gate *gate, const char *code, const char *reason, const char *remedy) {
        bool news = gate->state != GATE_SHUT || !words_equal(&gate->words, code, reason);

        gate->state = GATE_SHUT;
        words_set(&gate->words, code, reason, remedy);
        finish(gate);
        check_in(gate, gate->retry_usec);
        gate->retry_usec = gate->retry_usec >= RETRY_LAST_USEC / 2 ? RETRY_LAST_USEC : gate->retry_usec * 2;
        if (news) {
                log_line(LOG_ERR, "The gate is shut (%s): %s%s%s", code, reason ? reason : "",
                         remedy ? ". Remedy: " : "", remedy ? remedy : "");
        }
        gate->changed(gate->userdata);
}

/* False when Docker could not tell about an image: that one is asked for again. */
static bool all_images_are_known(const Gate *gate) {
        for (size_t i = 0; i < gate->images_size; i++)
                if (gate->images[i].words.code && strcmp(gate->images[i].words.code, "docker_error") == 0)
                        return false;
        return true;
}

static void open_gate(Gate *gate) {
        bool news = gate->state != GATE_OPEN;

        if (gate->distrusted) {
                finish(gate); /* which begins the check that counts */
                return;
        }
        gate->state = GATE_OPEN;
        gate->retry_usec = RETRY_FIRST_USEC;
        words_deinit(&gate->words);
        finish(gate);
        if (!all_images_are_known(gate))
                check_in(gate, RETRY_LAST_USEC);
        if (news && gate->config->gvisor_enabled) {
                log_line(LOG_INFO, "✓ gVisor sandboxing: ENABLED");
                log_line(LOG_INFO, "The gate is open: OCI runtime %s, kernel %s", config_oci_runtime(gate->config),
                         gate->kernel ? gate->kernel : "unknown");
        } else if (news) {
                log_line(LOG_WARNING, "The gate is open WITHOUT gVisor: OCI runtime %s",
                         config_oci_runtime(gate->config));
        }
        gate->changed(gate->userdata);
}

static void shut_after_reply(Gate *gate, const DockerReply *reply) {
        if (reply->error == -ECONNREFUSED)
                shut(gate, "docker_unreachable", reply->message,
                     "systemctl start docker; the user tee must be in the group docker");
        else
                shut(gate, "docker_error", reply->message, "journalctl -u docker");
}

static void shut_after_errno(Gate *gate, int error) {
        shut(gate, "docker_error", strerror(-error), NULL);
}

/* ---- the OCI runtime's binary ---- */

static void binary_stamp(const char *path, BinaryStamp *ret) {
        struct stat st;

        *ret = (BinaryStamp){0};
        if (!path || path[0] != '/' || stat(path, &st) < 0)
                return; /* runc is registered without a path, and Docker may live elsewhere */
        *ret = (BinaryStamp){
                .known = true,
                .device = st.st_dev,
                .inode = st.st_ino,
                .size = st.st_size,
                .changed = st.st_ctim,
        };
}

static bool binary_is_unchanged(const Gate *gate) {
        BinaryStamp now;

        binary_stamp(gate->binary_path, &now);
        return now.known == gate->binary.known && now.device == gate->binary.device &&
               now.inode == gate->binary.inode && now.size == gate->binary.size &&
               now.changed.tv_sec == gate->binary.changed.tv_sec && now.changed.tv_nsec == gate->binary.changed.tv_nsec;
}

/* ---- the probe ---- */

static void on_probe_ready(const Evidence *evidence, void *userdata) {
        Gate *gate = userdata;

        free(gate->kernel);
        gate->kernel = text_format("%s %s", evidence->release, evidence->version);
        open_gate(gate);
}

static void on_probe_failed(const SandboxError *error, void *userdata) {
        Gate *gate = userdata;
        CLEANUP_FREE char *reason = text_format("the probe sandbox: %s", error->message ? error->message : "");

        switch (error->failure) {
        case SANDBOX_E_NOT_GVISOR:
                shut(gate, "not_gvisor", reason, "check what the OCI runtime is: docker info, /etc/docker/daemon.json");
                break;
        case SANDBOX_E_GUEST_VERSION:
                shut(gate, "guest_version_mismatch", reason, "tee-install --with-runtime NAME");
                break;
        default:
                shut(gate, "probe_failed", reason, "journalctl -u docker");
        }
}

/* A guest that reports output or an exit to a probe, which has no program, breaks the protocol before this is called.
 */
static void on_probe_output(FrameType stream, const uint8_t *data, size_t size, void *userdata) {
        (void) stream;
        (void) data;
        (void) size;
        (void) userdata;
}

static void on_probe_exited(const FrameExit *report, void *userdata) {
        (void) report;
        shut(userdata, "probe_failed", "the probe sandbox ended", NULL);
}

static const RuntimeImage *first_available(const Gate *gate, const ConfigRuntime **ret_runtime) {
        for (size_t i = 0; i < gate->images_size; i++)
                if (gate->images[i].id) {
                        *ret_runtime = &gate->config->runtimes[i];
                        return &gate->images[i];
                }
        return NULL;
}

static void step_probe(Gate *gate) {
        static const SandboxHandlers handlers = {
                .ready = on_probe_ready,
                .output = on_probe_output,
                .exited = on_probe_exited,
                .failed = on_probe_failed,
        };
        const ConfigRuntime *runtime = NULL;
        const RuntimeImage *image = first_available(gate, &runtime);
        SandboxContext context = gate_sandbox_context(gate);
        char name[SD_ID128_STRING_MAX];
        sd_id128_t id;
        int r;

        if (!image) {
                shut(gate, gate->images[0].words.code, gate->images[0].words.reason, gate->images[0].words.remedy);
                return;
        }
        r = sd_id128_randomize(&id);
        if (r >= 0) {
                TemplateInput input = {
                        .config = gate->config,
                        .runtime = runtime,
                        .image_id = image->id,
                        .instance = containers_instance(gate->containers),
                        .boot_id = gate->boot_id,
                        .execution_id = sd_id128_to_string(id, name),
                        .memory_mb = PROBE_MEMORY_MB,
                        .disk_mb = PROBE_DISK_MB,
                };
                r = sandbox_new(&context, &input, &handlers, gate, &gate->probe);
        }
        if (r < 0)
                shut_after_errno(gate, r);
}

/* ---- leftovers ---- */

static void on_swept(int error, const char *message, size_t found, void *userdata) {
        Gate *gate = userdata;

        if (found > 0)
                log_line(LOG_NOTICE, "Removing %zu sandboxes that an earlier agent left", found);
        gate->swept = error == 0;
        if (!gate->sweeping)
                return; /* the check that asked was given up */
        gate->sweeping = false;
        if (error < 0)
                shut(gate, "docker_error", message, "journalctl -u docker");
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

static void step_image(Gate *gate);

static void judge_image(RuntimeImage *image, const ConfigRuntime *runtime, const DockerReply *reply) {
        const cJSON *labels = json_get_object(json_get_object(reply->json, "Config"), "Labels");
        const char *id = json_get_string(reply->json, "Id");
        const char *guest = json_get_string(labels, TEE_IMAGE_LABEL_GUEST);
        CLEANUP_FREE char *remedy = text_format("tee-install --with-runtime %s", runtime->name);
        CLEANUP_FREE char *reason = NULL;

        if (reply->error == 0 && reply->status == 404) {
                reason = text_format("runtime %s: Docker has no image %s", runtime->name, runtime->image);
                words_set(&image->words, "image_missing", reason, remedy);
        } else if (!docker_reply_ok(reply) || !id) {
                words_set(&image->words, "docker_error", reply->message ? reply->message : "the image has no id",
                          "journalctl -u docker");
        } else if (!guest || strcmp(guest, TEE_VERSION) != 0) {
                reason = text_format("runtime %s: the guest in image %s is of version %.32s, the agent of %s",
                                     runtime->name, runtime->image, guest ? guest : "unknown", TEE_VERSION);
                words_set(&image->words, "guest_version_mismatch", reason, remedy);
        } else {
                words_deinit(&image->words);
                image->id = strdup(id);
        }
}

static void on_image(const DockerReply *reply, void *userdata) {
        Gate *gate = userdata;
        const ConfigRuntime *runtime = &gate->config->runtimes[gate->image_index];
        RuntimeImage *image = &gate->images[gate->image_index];
        const char *old_code = image->words.code;

        gate->call = docker_call_free(gate->call);
        free(image->id);
        image->id = NULL;
        judge_image(image, runtime, reply);
        if (image->words.code && image->words.code != old_code)
                log_line(LOG_ERR, "Runtime %s is not available (%s): %s", runtime->name, image->words.code,
                         image->words.reason ? image->words.reason : "");
        gate->image_index++;
        step_image(gate);
}

static void step_image(Gate *gate) {
        int r;

        if (gate->image_index == gate->images_size) {
                step_sweep(gate);
                return;
        }
        r = docker_image_inspect(gate->docker, gate->config->runtimes[gate->image_index].image, on_image, gate,
                                 &gate->call);
        if (r < 0)
                shut_after_errno(gate, r);
}

/* ---- registration ---- */

/* Reads daemon.json. Returns 1 when it was read, 0 when there is none or it may not be read, or a negative errno. */
static int read_daemon_json(const char *path, Buffer *text) {
        CLEANUP_FD int fd = -1;
        char block[4096];
        ssize_t n;

        if (path[0] == '\0')
                return 0;
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return errno == ENOENT || errno == EACCES ? 0 : -errno;
        while ((n = read(fd, block, sizeof(block))) > 0) {
                int r = buffer_append(text, block, (size_t) n);
                if (r < 0)
                        return r;
        }
        return n < 0 ? -errno : 1;
}

/* Returns true when the file agrees, or has no say; otherwise the gate has been shut. */
static bool check_daemon_json(Gate *gate, const char *oci_runtime, const char *info_path) {
        const char *path = gate->config->docker_daemon_json;
        Buffer text = BUFFER_INIT(DAEMON_JSON_MAX);
        CLEANUP_FREE char *why = NULL, *reason = NULL;
        int r = read_daemon_json(path, &text);

        if (r > 0)
                r = registration_check_file(text.data, text.size, oci_runtime, info_path, &why);
        buffer_deinit(&text);
        if (r >= 0)
                return true;
        reason = text_format("%s: %s", path, why ? why : strerror(-r));
        shut(gate, "registration_mismatch", reason,
             "mend the file, then: systemctl reload docker; where OCI runtimes are registered by dockerd's options, "
             "set "
             "docker.daemon_json = \"\" in tee.conf");
        return false;
}

static int remember_info(Gate *gate, const cJSON *info, const char *path) {
        int r = replace(&gate->docker_version, json_get_string(info, "ServerVersion"));

        if (r >= 0)
                r = replace(&gate->host_release, json_get_string(info, "KernelVersion"));
        if (r >= 0)
                r = replace(&gate->binary_path, path);
        if (r >= 0)
                binary_stamp(path, &gate->binary);
        return r;
}

static void on_info(const DockerReply *reply, void *userdata) {
        Gate *gate = userdata;
        const char *oci_runtime = config_oci_runtime(gate->config), *path;
        CLEANUP_FREE char *reason = NULL;
        int r;

        if (!docker_reply_ok(reply) || !cJSON_IsObject(reply->json)) {
                if (docker_reply_ok(reply))
                        shut(gate, "docker_error", "GET /info was answered by something that is no info", NULL);
                else
                        shut_after_reply(gate, reply);
                return;
        }
        path = registration_in_info(reply->json, oci_runtime);
        if (!path) {
                reason = text_format("Docker knows no OCI runtime '%s' (unknown or invalid runtime name: %s)",
                                     oci_runtime, oci_runtime);
                shut(gate, "oci_runtime_missing", reason,
                     "apt-get install runsc && runsc install -- --network=none && systemctl reload docker");
                return;
        }
        r = remember_info(gate, reply->json, path);
        if (r < 0) {
                shut_after_errno(gate, r);
                return;
        }
        if (gate->config->gvisor_enabled && !check_daemon_json(gate, oci_runtime, path))
                return;
        gate->call = docker_call_free(gate->call);
        gate->image_index = 0;
        step_image(gate);
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

        if (type && (strcmp(type, "daemon") == 0 || strcmp(type, "image") == 0))
                gate_check(userdata);
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

static void images_free(Gate *gate) {
        for (size_t i = 0; i < gate->images_size; i++) {
                free(gate->images[i].id);
                words_deinit(&gate->images[i].words);
        }
        free(gate->images);
        gate->images = NULL;
        gate->images_size = 0;
}

int gate_set_config(Gate *gate, const Config *config) {
        RuntimeImage *images = calloc(config->runtimes_size, sizeof(*images));

        if (!images)
                return -ENOMEM;
        images_free(gate);
        gate->images = images;
        gate->images_size = config->runtimes_size;
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
                .images = calloc(config->runtimes_size, sizeof(*gate->images)),
                .images_size = config->runtimes_size,
        };
        if (!gate->boot_id || !gate->images)
                return -ENOMEM;
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
        gate->call = docker_call_free(gate->call);
        gate->events = docker_call_free(gate->events);
        gate->probe = sandbox_free(gate->probe);
        gate->timer = sd_event_source_disable_unref(gate->timer);
        gate->checking = true; /* for ever: no other begins */
}

Gate *gate_free(Gate *gate) {
        if (!gate)
                return NULL;
        gate_stop(gate);
        if (gate->images)
                images_free(gate);
        words_deinit(&gate->words);
        free(gate->boot_id);
        free(gate->docker_version);
        free(gate->host_release);
        free(gate->binary_path);
        free(gate->kernel);
        (void) sd_event_unref(gate->event);
        free(gate);
        return NULL;
}

void gate_check(Gate *gate) {
        if (gate->checking)
                gate->again = true;
        else
                check_in(gate, gate->state == GATE_CHECKING ? 0 : SETTLE_USEC);
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

GateVerdict gate_verdict(const Gate *gate) {
        return words_verdict(gate->state, &gate->words);
}

GateVerdict gate_runtime(const Gate *gate, size_t index) {
        const RuntimeImage *image = &gate->images[index];

        return words_verdict(image->id ? GATE_OPEN : image->words.code ? GATE_SHUT : GATE_CHECKING, &image->words);
}

const char *gate_admit(Gate *gate, const char *runtime, Refusal *ret_refusal) {
        const Words *against = &gate->words;

        if (gate->state == GATE_OPEN && !binary_is_unchanged(gate)) {
                log_line(LOG_NOTICE, "The OCI runtime's binary %s has changed; it is checked again", gate->binary_path);
                gate_distrust(gate);
        }
        if (gate->state == GATE_CHECKING)
                return NULL;
        for (size_t i = 0; gate->state == GATE_OPEN && i < gate->images_size; i++) {
                if (strcmp(gate->config->runtimes[i].name, runtime) != 0)
                        continue;
                if (gate->images[i].id)
                        return gate->images[i].id;
                against = &gate->images[i].words;
        }
        if (against->code)
                refusal_set(ret_refusal, 503, against->code, against == &gate->words ? NULL : "runtime",
                            against->remedy, "%s", against->reason ? against->reason : "");
        else
                refusal_set(ret_refusal, 400, "unknown_runtime", "runtime", NULL, "there is no runtime '%.64s'",
                            runtime);
        return NULL;
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
