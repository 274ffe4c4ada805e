/* SPDX-License-Identifier: Apache-2.0 */

/* A sandbox as the agent makes them, with the same code (lib/sandbox, lib/template): only who asks is another. A
 * runtime's own permissions, which are a second layer, are lifted, so that what is tried is the sandbox itself.
 *
 * Its container carries this program's label. Whoever gets the lock takes down first what an earlier one has left, and
 * nobody's else: only one at a time holds it, and it goes with its process, however that ends. */

#include "probe.h"
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <systemd/sd-id128.h>

#define INSTANCE "tee-health"
#define OUTPUT_MAX ((size_t) 64 * 1024)
#define LOCK_PAUSE_USEC (USEC_PER_SEC / 10)
#define REMOVAL_USEC (10 * USEC_PER_SEC)
#define LOOK_AT_DOCKER "journalctl -u docker -n 20"

typedef struct Direct {
        Context *context;
        ProbeResult *result;
        Request *request;
        Containers *containers;
        Sandbox *sandbox;
        Buffer output;
        char boot_id[SD_ID128_STRING_MAX];
        uint64_t made_usec;
        int lock_fd, error;
        bool sent, done, swept;
} Direct;

/* ---- what the sandbox tells ---- */

static void end(Direct *direct, const char *status, const char *cause) {
        direct->result->status = strdup(status);
        direct->result->cause = cause ? strdup(cause) : NULL;
        direct->done = true;
}

static void refuse(Direct *direct, const char *remedy, const char *what, const char *message) {
        direct->result->refusal = text_format("%s: %s", what, message);
        direct->result->remedy = strdup(remedy);
        direct->done = true;
}

static void on_ready(const Evidence *evidence, void *userdata) {
        Direct *direct = userdata;
        int r;

        direct->result->kernel = text_format("%s %s", evidence->release, evidence->version);
        direct->result->gvisor = direct->context->config->gvisor_enabled; /* or it would have failed */
        direct->result->setup_ms = (double) (now_usec() - direct->made_usec) / 1000.0;
        r = sandbox_run(direct->sandbox, direct->request, direct->context->config->sandbox_open_files);
        if (r < 0)
                refuse(direct, LOOK_AT_DOCKER, "the program could not be sent", strerror(-r));
        direct->sent = r >= 0;
}

static void on_output(FrameType stream, const uint8_t *data, size_t size, void *userdata) {
        Direct *direct = userdata;

        if (stream == FRAME_STDOUT)
                (void) buffer_append(&direct->output, data, size); /* what is too much is left out */
}

static void on_exited(const FrameExit *report, void *userdata) {
        bool exited = report->kind == FRAME_EXIT_EXITED;

        end(userdata,
            exited && report->value == 0 ? "ok"
            : exited                     ? "error"
            : report->value == SIGXFSZ   ? "disk_limit"
                                         : "signal",
            NULL);
}

static const char *remedy_of(const SandboxError *error) {
        const char *message = error->message ? error->message : "";

        if (error->failure == SANDBOX_E_NOT_GVISOR)
                return "what is registered is not runsc: tee-install --with-gvisor --force";
        if (error->failure == SANDBOX_E_GUEST_VERSION)
                return "tee-install --refresh-runtimes";
        if (strstr(message, "root network namespace"))
                return "runsc needs --network=none on this kernel: tee-install --with-gvisor --force";
        if (strstr(message, "ermission denied") || strstr(message, "not permitted"))
                return "may Docker run runsc? tee-health --only runsc; then: systemctl restart docker";
        return LOOK_AT_DOCKER;
}

static void on_failed(const SandboxError *error, void *userdata) {
        Direct *direct = userdata;

        if (!direct->sent)
                refuse(direct, remedy_of(error),
                       error->failure == SANDBOX_E_NOT_GVISOR ? "the sandbox's kernel is not gVisor"
                                                              : "no sandbox could be had",
                       error->message ? error->message : "no reason is given");
        else if (error->failure == SANDBOX_E_MEMORY || (error->failure == SANDBOX_E_DIED && error->oom_killed))
                end(direct, "memory_limit", error->message);
        else
                end(direct, "sandbox_crash", error->message);
}

/* ---- one at a time ---- */

/* The configuration is what all of them have, and may read. */
static int take_turn(Direct *direct) {
        Loop *loop = &direct->context->loop;
        uint64_t until_usec = now_usec() + context_left_ms(direct->context) * USEC_PER_MSEC;

        direct->lock_fd = open(direct->context->places.config_path, O_RDONLY | O_CLOEXEC);
        if (direct->lock_fd < 0)
                return -errno;
        while (flock(direct->lock_fd, LOCK_EX | LOCK_NB) < 0) {
                int r;

                if (errno != EWOULDBLOCK)
                        return -errno;
                if (now_usec() > until_usec)
                        return trouble_set(&direct->context->trouble, -EBUSY, "wait for it, and run this again",
                                           "another tee-health is probing");
                r = loop_sleep(loop, LOCK_PAUSE_USEC);
                if (r < 0)
                        return r;
        }
        return 0;
}

static void on_changed(void *userdata) {
        (void) userdata; /* take_down() looks after each turn of the loop */
}

static void on_swept(int error, const char *message, size_t found, void *userdata) {
        Direct *direct = userdata;

        (void) found;
        direct->swept = true;
        if (error < 0)
                direct->error = trouble_set(&direct->context->trouble, error, LOOK_AT_DOCKER,
                                            "what an earlier probe left cannot be removed: %s", message ? message : "");
}

static int sweep(Direct *direct) {
        Context *context = direct->context;
        sd_id128_t id;
        int r = sd_id128_randomize(&id);

        if (r < 0)
                return r;
        (void) sd_id128_to_string(id, direct->boot_id);
        r = containers_new(context->loop.event, context->engine.docker, INSTANCE, direct->boot_id, on_changed, direct,
                           &direct->containers);
        if (r >= 0)
                r = containers_sweep(direct->containers, on_swept, direct);
        if (r >= 0)
                r = loop_await(&context->loop, &direct->swept, context_left_ms(context) * USEC_PER_MSEC);
        return r < 0 ? r : direct->error;
}

/* Also after an interruption: nothing of it is to stay. */
static int take_down(Direct *direct) {
        Loop *loop = &direct->context->loop;
        bool interrupted = loop->interrupted;
        uint64_t until_usec = now_usec() + REMOVAL_USEC;
        int r = 0;

        loop_pardon(loop);
        direct->sandbox = sandbox_free(direct->sandbox);
        while (direct->containers && containers_count(direct->containers) > 0 && now_usec() < until_usec && r >= 0)
                r = sd_event_run(loop->event, USEC_PER_SEC);
        if (r >= 0 && direct->containers && containers_count(direct->containers) > 0)
                r = trouble_set(&direct->context->trouble, -EBUSY,
                                "docker ps --all --filter label=" TEMPLATE_LABEL_INSTANCE "=" INSTANCE,
                                "Docker does not remove the sandbox");
        containers_free(direct->containers);
        request_free(direct->request);
        buffer_deinit(&direct->output);
        (void) close_fd(direct->lock_fd);
        loop->interrupted |= interrupted;
        return r;
}

/* ---- the sandbox ---- */

static void lift_permissions(ConfigWords *command) {
        static const char prefix[] = "--allow-";
        bool lifted = false;
        size_t kept = 0;

        for (size_t i = 0; i < command->size; i++) {
                char *word = command->items[i], *all;

                if (strncmp(word, prefix, strlen(prefix)) != 0) {
                        command->items[kept++] = word;
                        continue;
                }
                all = lifted ? NULL : strdup("--allow-all");
                free(word);
                if (all)
                        command->items[kept++] = all;
                lifted |= all != NULL;
        }
        command->size = kept;
        command->items[kept] = NULL;
}

static int make(Direct *direct, const ConfigRuntime *runtime, const char *image_id, const char *host_release) {
        static const SandboxHandlers handlers = {
                .ready = on_ready,
                .output = on_output,
                .exited = on_exited,
                .failed = on_failed,
        };
        Context *context = direct->context;
        const uint64_t *limits = direct->request->limits;
        SandboxContext sandbox_context = {
                .event = context->loop.event,
                .docker = context->engine.docker,
                .containers = direct->containers,
                .host_release = host_release,
        };
        char name[SD_ID128_STRING_MAX];
        sd_id128_t id;
        int r = sd_id128_randomize(&id);

        if (r < 0)
                return r;
        TemplateInput input = {
                .config = context->config,
                .runtime = runtime,
                .image_id = image_id,
                .instance = INSTANCE,
                .boot_id = direct->boot_id,
                .execution_id = sd_id128_to_string(id, name),
                .memory_mb = limits[CONFIG_LIMIT_MEMORY_MB],
                .disk_mb = limits[CONFIG_LIMIT_DISK_MB],
        };
        direct->result->id = strdup(name);
        direct->made_usec = now_usec();
        r = sandbox_new(&sandbox_context, &input, &handlers, direct, &direct->sandbox);
        if (r >= 0)
                r = loop_await(&context->loop, &direct->done, context_left_ms(context) * USEC_PER_MSEC);
        if (r == -ETIMEDOUT)
                (void) trouble_set(&context->trouble, r, LOOK_AT_DOCKER, "the sandbox has not ended in time");
        return r;
}

static int parse_request(Direct *direct, const char *body) {
        CLEANUP(refusal_deinit) Refusal refusal = {0};
        int r = request_parse(body, strlen(body), direct->context->config, &direct->request, &refusal);

        return r < 0 ? trouble_set(&direct->context->trouble, r, NULL, "%s: %s",
                                   refusal.field ? refusal.field : "request",
                                   refusal.message ? refusal.message : strerror(-r))
                     : 0;
}

static int run(Direct *direct, const ConfigRuntime *runtime, const char *body) {
        Context *context = direct->context;
        CLEANUP_JSON cJSON *image = NULL;
        int r = engine_image(&context->engine, runtime->image, &image);

        if (r < 0)
                return r;
        if (!json_get_string(image, "Id"))
                return trouble_set(&context->trouble, -ENOENT, "tee-health --only images", "Docker has no image %s",
                                   runtime->image);
        r = take_turn(direct);
        if (r >= 0)
                r = sweep(direct);
        if (r >= 0)
                r = parse_request(direct, body);
        if (r >= 0)
                r = make(direct, runtime, json_get_string(image, "Id"),
                         json_get_string(context->info, "KernelVersion"));
        if (r >= 0) {
                direct->result->output = direct->output.data ? strdup((const char *) direct->output.data) : NULL;
                r = direct->error;
        }
        return r;
}

int probe_direct_run(Context *context, const ConfigRuntime *runtime, const char *body, ProbeResult *result) {
        Direct direct = {.context = context, .result = result, .output = BUFFER_INIT(OUTPUT_MAX), .lock_fd = -1};
        size_t index = config_runtime_index(context->config, runtime);
        int r, left;

        result->direct = true;
        lift_permissions(&context->config->runtimes[index].command);
        r = run(&direct, runtime, body);
        left = take_down(&direct);
        if (r < 0 && r != -EINTR)
                (void) trouble_errno(&context->trouble, r, "the probe");
        return r < 0 ? r : left;
}

int probe_direct_tidy(Context *context) {
        ProbeResult result = {0};
        Direct direct = {.context = context, .result = &result, .lock_fd = -1};
        int r = take_turn(&direct), left;

        if (r >= 0)
                r = sweep(&direct);
        left = take_down(&direct);
        return r < 0 ? r : left;
}
