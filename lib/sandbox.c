/* SPDX-License-Identifier: Apache-2.0 */

/* The life of one sandbox: CREATING (Docker makes the container), ATTACHING (its stdio becomes our channel, before it
 * starts, so that nothing is missed), BOOTING (until READY), PROVEN (the kernel's evidence was judged; a program may be
 * sent), WARMING (from PROVEN and back: its runtime is started already), RUNNING (its memory is watched), ENDED. The
 * judgement is made here and nowhere else, and sandbox_run() refuses every other state: no path leads from an unproven
 * kernel to user code. When the channel ends without a report, Docker is asked what became of the container, because
 * its state is the evidence. */

#include "sandbox.h"
#include "docker-attach.h"
#include "docker-stream.h"
#include "memory-watch.h"
#include "version.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

typedef enum SandboxState {
        SANDBOX_CREATING,
        SANDBOX_ATTACHING,
        SANDBOX_BOOTING,
        SANDBOX_PROVEN,
        SANDBOX_WARMING,
        SANDBOX_RUNNING,
        SANDBOX_ENDED,
} SandboxState;

struct Sandbox {
        SandboxState state;
        sd_event *event;
        Docker *docker;
        Container *container;
        char *container_id;
        DockerCall *call;
        DockerAttach *attach;
        sd_event_source *boot_timer;
        MemoryWatch *memory_watch; /* of RUNNING */
        uint64_t memory_limit;     /* bytes */
        Evidence evidence;         /* from PROVEN on */
        uint64_t boot_usec;
        bool gvisor_required;
        char *host_release;
        bool started; /* Docker has answered the start call */
        bool channel_ended;
        bool memory_led_to_limit; /* by the time of its death; then memory_evidence says by which figures */
        char memory_evidence[160];
        DockerStream stream;
        bool feeding;  /* bytes are being parsed: */
        bool released; /* a handler that frees the sandbox then only sets this */
        SandboxHandlers handlers;
        void *userdata;
        FrameReader frames; /* last, because it is large and need not be cleared: pages that hold nothing take none */
};

#define DEATH_MS 1000U
#define WARM_UP_MAX ((size_t) 1024 * 1024)
#define ATTACH_WRITE_MAX ((size_t) 256 * 1024 * 1024)

Sandbox *sandbox_free(Sandbox *sandbox) {
        if (!sandbox)
                return NULL;
        if (sandbox->feeding) {
                sandbox->released = true;
                return NULL;
        }
        (void) sd_event_source_disable_unref(sandbox->boot_timer);
        memory_watch_free(sandbox->memory_watch);
        docker_call_free(sandbox->call);
        docker_attach_free(sandbox->attach);
        container_release(sandbox->container);
        (void) sd_event_unref(sandbox->event);
        free(sandbox->container_id);
        free(sandbox->host_release);
        free(sandbox);
        return NULL;
}

/* The last word; the sandbox may be gone afterwards. */
static void sandbox_fail(Sandbox *sandbox, const SandboxError *error) {
        if (sandbox->state == SANDBOX_ENDED)
                return;
        sandbox->state = SANDBOX_ENDED;
        sandbox->boot_timer = sd_event_source_disable_unref(sandbox->boot_timer);
        sandbox->handlers.failed(error, sandbox->userdata);
}

static void fail_with(Sandbox *sandbox, SandboxFailure failure, const char *message) {
        sandbox_fail(sandbox, &(SandboxError){.failure = failure, .message = message});
}

/* ---- frames ---- */

static int on_ready_frame(Sandbox *sandbox, const uint8_t *payload, size_t size) {
        const char *fault = NULL;

        if (sandbox->state != SANDBOX_BOOTING || size < 4)
                return -EBADMSG;
        if (frame_u32_decode(payload) != FRAME_PROTOCOL_VERSION) {
                fail_with(sandbox, SANDBOX_E_GUEST_VERSION, "the image's guest speaks another version of the protocol");
                return -ESHUTDOWN;
        }
        if (evidence_parse(payload + 4, size - 4, &sandbox->evidence) < 0)
                return -EBADMSG;
        if (strcmp(sandbox->evidence.guest, TEE_VERSION) != 0) {
                fail_with(sandbox, SANDBOX_E_GUEST_VERSION, "the image's guest is not of this agent's version");
                return -ESHUTDOWN;
        }
        if (sandbox->gvisor_required)
                fault = evidence_not_gvisor(&sandbox->evidence, sandbox->host_release);
        if (fault) {
                fail_with(sandbox, SANDBOX_E_NOT_GVISOR, fault);
                return -ESHUTDOWN;
        }
        sandbox->state = SANDBOX_PROVEN;
        sandbox->boot_timer = sd_event_source_disable_unref(sandbox->boot_timer);
        sandbox->handlers.ready(&sandbox->evidence, sandbox->userdata);
        return 0;
}

static int on_warmed_frame(Sandbox *sandbox, size_t size) {
        if (sandbox->state != SANDBOX_WARMING || size != 0)
                return -EBADMSG;
        sandbox->state = SANDBOX_PROVEN;
        sandbox->boot_timer = sd_event_source_disable_unref(sandbox->boot_timer);
        sandbox->handlers.warmed(sandbox->userdata);
        return 0;
}

static int on_exit_frame(Sandbox *sandbox, const uint8_t *payload, size_t size) {
        FrameExit report;

        if (frame_exit_decode(payload, size, &report) < 0)
                return -EBADMSG;
        sandbox->state = SANDBOX_ENDED;
        sandbox->memory_watch = memory_watch_free(sandbox->memory_watch);
        sandbox->handlers.exited(&report, sandbox->userdata);
        return -ESHUTDOWN;
}

static int on_fault_frame(Sandbox *sandbox, const uint8_t *payload, size_t size) {
        char message[512];
        FrameFault fault;
        size_t n;

        if (frame_fault_decode(payload, size, &fault) < 0)
                return -EBADMSG;
        n = fault.message_size < sizeof(message) - 1 ? fault.message_size : sizeof(message) - 1;
        memcpy(message, fault.message, n);
        message[n] = '\0';
        for (size_t i = 0; i < n; i++)
                if ((unsigned char) message[i] < 0x20)
                        message[i] = '?';
        message[utf8_valid_prefix(message, strlen(message))] = '\0';
        sandbox_fail(sandbox, &(SandboxError){
                                      .failure = SANDBOX_E_FAULT,
                                      .message = message,
                                      .fault_reason = fault.reason,
                                      .fault_errno = (int) fault.error_number,
                              });
        return -ESHUTDOWN;
}

static int on_output_frame(Sandbox *sandbox, FrameType type, const uint8_t *payload, size_t size) {
        if (size == 0)
                return -EBADMSG;
        sandbox->handlers.output(type, payload, size, sandbox->userdata);
        return 0;
}

/* -ESHUTDOWN ends the feeding without a fault: the conversation is over. */
static int on_frame(uint8_t type, const uint8_t *payload, size_t size, void *userdata) {
        Sandbox *sandbox = userdata;

        if (sandbox->state == SANDBOX_ENDED || sandbox->released)
                return -ESHUTDOWN;
        if (type == FRAME_FAULT)
                return on_fault_frame(sandbox, payload, size);
        if (type == FRAME_READY)
                return on_ready_frame(sandbox, payload, size);
        if (type == FRAME_WARMED)
                return on_warmed_frame(sandbox, size);
        if (sandbox->state != SANDBOX_RUNNING)
                return -EBADMSG;
        if (type == FRAME_STDOUT || type == FRAME_STDERR)
                return on_output_frame(sandbox, (FrameType) type, payload, size);
        return type == FRAME_EXIT ? on_exit_frame(sandbox, payload, size) : -EBADMSG;
}

/* What the guest writes to its stderr is no protocol: its own last words (a crash of the C library, say). Dropped. */
static int on_stream(DockerStreamId id, const uint8_t *data, size_t size, void *userdata) {
        Sandbox *sandbox = userdata;

        if (id != DOCKER_STREAM_STDOUT)
                return 0;
        return frame_reader_feed(&sandbox->frames, data, size, on_frame, sandbox);
}

static void on_attach_data(const uint8_t *data, size_t size, void *userdata) {
        Sandbox *sandbox = userdata;
        int r;

        if (sandbox->state == SANDBOX_ENDED)
                return;
        sandbox->feeding = true;
        r = docker_stream_feed(&sandbox->stream, data, size, on_stream, sandbox);
        if (r < 0 && r != -ESHUTDOWN && !sandbox->released)
                fail_with(sandbox, SANDBOX_E_PROTOCOL, "what the sandbox sent breaks the guest protocol");
        sandbox->feeding = false;
        if (sandbox->released)
                sandbox_free(sandbox);
}

/* ---- its end ---- */

static void on_inspected(const DockerReply *reply, void *userdata) {
        Sandbox *sandbox = userdata;
        const cJSON *state = docker_reply_ok(reply) ? json_get_object(reply->json, "State") : NULL;
        const char *text = json_get_string(state, "Error");
        bool oom_killed = cJSON_IsTrue(json_get(state, "OOMKilled"));
        int64_t exit_code = json_get_integer(state, "ExitCode", -1);
        const char *status = json_get_string(state, "Status");
        bool runs = status && strcmp(status, "running") == 0; /* and nobody holds it any more */
        bool full = sandbox->memory_led_to_limit && exit_code == 128 + SIGKILL && !oom_killed;
        CLEANUP_FREE char *message = NULL;

        if (state)
                message = text_format("container %s, exit code %lld, OOMKilled %s%s%s%s%s", status ? status : "gone",
                                      (long long) exit_code, oom_killed ? "true" : "false", text && text[0] ? ": " : "",
                                      text ? text : "", full ? "; " : "", full ? sandbox->memory_evidence : "");
        else
                message = text_format("the container's state could not be read: %s",
                                      reply->message ? reply->message : "");
        sandbox->call = docker_call_free(sandbox->call);
        sandbox_fail(sandbox, &(SandboxError){
                                      .failure = full             ? SANDBOX_E_MEMORY
                                                 : state && !runs ? SANDBOX_E_DIED
                                                                  : SANDBOX_E_LOST,
                                      .message = message ? message : "out of memory",
                                      .oom_killed = oom_killed,
                              });
}

static void on_waited(const DockerReply *reply, void *userdata) {
        Sandbox *sandbox = userdata;
        int r;

        (void) reply; /* whatever it is, the state tells */
        sandbox->call = docker_call_free(sandbox->call);
        r = docker_container_inspect(sandbox->docker, sandbox->container_id, on_inspected, sandbox, &sandbox->call);
        if (r < 0)
                fail_with(sandbox, SANDBOX_E_LOST, strerror(-r));
}

/* The channel ends a moment before Docker knows that the container has. */
static void inspect(Sandbox *sandbox) {
        int r = docker_container_wait(sandbox->docker, sandbox->container_id, DEATH_MS, on_waited, sandbox,
                                      &sandbox->call);

        if (sandbox->memory_watch)
                sandbox->memory_led_to_limit = memory_watch_led_to_limit(
                        sandbox->memory_watch, sandbox->memory_evidence, sizeof(sandbox->memory_evidence));
        sandbox->memory_watch = memory_watch_free(sandbox->memory_watch);
        if (r < 0)
                fail_with(sandbox, SANDBOX_E_LOST, strerror(-r));
}

static void on_memory_reached(const char *evidence, void *userdata) {
        fail_with(userdata, SANDBOX_E_MEMORY, evidence);
}

static void on_attach_ended(int error, const char *message, void *userdata) {
        Sandbox *sandbox = userdata;

        if (sandbox->state == SANDBOX_ENDED)
                return;
        sandbox->channel_ended = true;
        if (sandbox->state == SANDBOX_ATTACHING)
                fail_with(sandbox, SANDBOX_E_DOCKER, message ? message : strerror(-error));
        else if (sandbox->started)
                inspect(sandbox);
        /* else: a start that fails ends the channel too, and its own answer, which is on its way, says why. */
}

static int on_boot_timeout(sd_event_source *source, uint64_t usec, void *userdata) {
        (void) source;
        (void) usec;
        fail_with(userdata, SANDBOX_E_BOOT_TIMEOUT, "the sandbox did not come up within sandbox.boot_ms");
        return 0;
}

static int arm_boot_timer(Sandbox *sandbox) {
        int r = sd_event_add_time_relative(sandbox->event, &sandbox->boot_timer, CLOCK_MONOTONIC, sandbox->boot_usec, 0,
                                           on_boot_timeout, sandbox);

        if (r >= 0)
                (void) sd_event_source_set_description(sandbox->boot_timer, "sandbox-boot");
        return r;
}

/* ---- its beginning ---- */

static void on_started(const DockerReply *reply, void *userdata) {
        Sandbox *sandbox = userdata;

        sandbox->call = docker_call_free(sandbox->call);
        sandbox->started = true;
        /* What has spoken since was started, whatever became of Docker's answer. */
        if (!docker_reply_ok(reply) && sandbox->state == SANDBOX_BOOTING)
                fail_with(sandbox, SANDBOX_E_DOCKER, reply->message);
        else if (sandbox->channel_ended)
                inspect(sandbox);
}

static void on_attached(void *userdata) {
        Sandbox *sandbox = userdata;
        int r;

        sandbox->state = SANDBOX_BOOTING;
        r = docker_container_start(sandbox->docker, sandbox->container_id, on_started, sandbox, &sandbox->call);
        if (r < 0)
                fail_with(sandbox, SANDBOX_E_DOCKER, strerror(-r));
}

static void on_created(const char *id, const DockerReply *reply, void *userdata) {
        static const DockerAttachHandlers handlers = {
                .ready = on_attached,
                .data = on_attach_data,
                .ended = on_attach_ended,
        };
        Sandbox *sandbox = userdata;
        int r;

        if (!id) {
                fail_with(sandbox, SANDBOX_E_DOCKER, reply->message ? reply->message : "Docker told no container's id");
                return;
        }
        sandbox->state = SANDBOX_ATTACHING;
        sandbox->container_id = strdup(id);
        r = sandbox->container_id ? docker_attach_new(sandbox->docker, sandbox->event, id, ATTACH_WRITE_MAX, &handlers,
                                                      sandbox, &sandbox->attach)
                                  : -ENOMEM;
        if (r < 0)
                fail_with(sandbox, SANDBOX_E_DOCKER, strerror(-r));
}

static int sandbox_init(Sandbox *sandbox, const SandboxContext *context, const TemplateInput *input) {
        CLEANUP_JSON cJSON *spec = template_new(input);
        int r;

        if (!spec)
                return -ENOMEM;
        if (context->host_release) {
                sandbox->host_release = strdup(context->host_release);
                if (!sandbox->host_release)
                        return -ENOMEM;
        }
        sandbox->boot_usec = input->config->sandbox_boot_ms * USEC_PER_MSEC;
        r = arm_boot_timer(sandbox);
        if (r < 0)
                return r;
        return containers_create(context->containers, input->execution_id, spec, on_created, sandbox,
                                 &sandbox->container);
}

int sandbox_new(const SandboxContext *context, const TemplateInput *input, const SandboxHandlers *handlers,
                void *userdata, Sandbox **ret_sandbox) {
        CLEANUP(sandbox_freep) Sandbox *sandbox = malloc(sizeof(*sandbox));
        int r;

        if (!sandbox)
                return -ENOMEM;
        memset(sandbox, 0, offsetof(Sandbox, frames));
        sandbox->state = SANDBOX_CREATING;
        sandbox->event = sd_event_ref(context->event);
        sandbox->docker = context->docker;
        sandbox->gvisor_required = input->config->gvisor_enabled;
        sandbox->memory_limit = input->memory_mb * 1024 * 1024;
        sandbox->handlers = *handlers;
        sandbox->userdata = userdata;
        frame_reader_init(&sandbox->frames);
        r = sandbox_init(sandbox, context, input);
        if (r < 0)
                return r;
        *ret_sandbox = TAKE_PTR(sandbox);
        return 0;
}

int sandbox_warm_up(Sandbox *sandbox, const Config *config, const ConfigRuntime *runtime) {
        /* The runtime starts with the most that a program may have; at its program's coming the guest lowers that. */
        FrameLimits limits = {
                .cpu_ms = config->limits[CONFIG_LIMIT_CPU_MS].max + config->sandbox_boot_ms,
                .file_bytes = config->limits[CONFIG_LIMIT_DISK_MB].fallback * 1024 * 1024,
                .processes = (uint32_t) config->limits[CONFIG_LIMIT_PROCESSES].max,
                .open_files = (uint32_t) config->sandbox_open_files,
        };
        Buffer frames = BUFFER_INIT(WARM_UP_MAX);
        int r;

        if (sandbox->state != SANDBOX_PROVEN)
                return -EPROTO;
        r = request_encode_warm_up(&runtime->warm_arguments, runtime->entry, &limits, &frames);
        if (r >= 0)
                r = docker_attach_write(sandbox->attach, frames.data, frames.size);
        buffer_deinit(&frames);
        if (r >= 0)
                r = arm_boot_timer(sandbox);
        if (r >= 0)
                sandbox->state = SANDBOX_WARMING;
        return r;
}

void sandbox_adopt(Sandbox *sandbox, const SandboxHandlers *handlers, void *userdata) {
        sandbox->handlers = *handlers;
        sandbox->userdata = userdata;
}

bool sandbox_is_alive(const Sandbox *sandbox) {
        return !sandbox->channel_ended;
}

const Evidence *sandbox_evidence(const Sandbox *sandbox) {
        return &sandbox->evidence;
}

const char *sandbox_container_id(const Sandbox *sandbox) {
        return sandbox->container_id;
}

int sandbox_run(Sandbox *sandbox, const Request *request, uint64_t open_files) {
        Buffer frames = BUFFER_INIT(request_encoded_max(request));
        int r;

        if (sandbox->state != SANDBOX_PROVEN)
                return -EPROTO;
        r = memory_watch_new(sandbox->event, sandbox->docker, sandbox->container_id, sandbox->memory_limit,
                             on_memory_reached, sandbox, &sandbox->memory_watch);
        if (r >= 0)
                r = request_encode(request, open_files, &frames);
        if (r >= 0)
                r = docker_attach_write(sandbox->attach, frames.data, frames.size);
        buffer_deinit(&frames);
        if (r >= 0)
                sandbox->state = SANDBOX_RUNNING;
        return r;
}

int sandbox_stop(Sandbox *sandbox, uint64_t run_usec) {
        uint8_t frame[FRAME_HEADER_SIZE + FRAME_STOP_SIZE];

        if (sandbox->state != SANDBOX_RUNNING)
                return -EPROTO;
        frame_header_encode(frame, FRAME_STOP, FRAME_STOP_SIZE);
        frame_u64_encode(frame + FRAME_HEADER_SIZE, run_usec);
        return docker_attach_write(sandbox->attach, frame, sizeof(frame));
}
