/* SPDX-License-Identifier: Apache-2.0 */

#include "measure.h"
#include "memory-watch.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-id128.h>

/* One at a time on a host: what another tee-bench of this name has there is taken for a dead one's. */
#define INSTANCE "tee-bench"
#define RUN_USEC (60 * USEC_PER_SEC)
#define REMOVAL_USEC (30 * USEC_PER_SEC)

#define SHORT_PROGRAM "const answer: number = 42;\\nconsole.log(answer);\\n"
#define STANDING_PROGRAM "console.log(\\\"up\\\");\\nsetInterval(() => {}, 1000);\\n"

/* What is waited for, one thing at a time. */
typedef struct Pending {
        bool done;
        int error; /* the line has been printed */
} Pending;

/* One sandbox under way. */
typedef struct Run {
        Measure *measure;
        Pending pending;
        const Request *request;
        Sandbox *sandbox;
        DockerCall *stats;
        bool standing, warm;
        uint64_t made_usec, sent_usec;
        double values[REPORT_METRICS];
} Run;

struct Measure {
        sd_event *event;
        Config *config;
        const ConfigRuntime *runtime;
        Docker *docker;
        Containers *containers;
        Request *short_program, *standing_program;
        char *docker_version, *host_kernel, *image_id;
        char boot_id[SD_ID128_STRING_MAX];
        bool interrupted;
};

static int fault(int error, const char *what, const char *why) {
        (void) fprintf(stderr, "tee-bench: %s: %s\n", what, why ? why : strerror(-error));
        return error < 0 ? error : -EIO;
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata) {
        Measure *measure = userdata;

        (void) source;
        (void) info;
        measure->interrupted = true;
        return 0;
}

static void finish(Pending *pending, int error) {
        pending->done = true;
        pending->error = error;
}

/* Runs the loop until it is done. */
static int await(Measure *measure, const Pending *pending, uint64_t most_usec) {
        uint64_t until = now_usec() + most_usec;

        while (!pending->done && !measure->interrupted) {
                uint64_t now = now_usec();
                int r;

                if (now >= until)
                        return fault(-ETIMEDOUT, "a sandbox", "it did not come to an end in time");
                r = sd_event_run(measure->event, until - now);
                if (r < 0)
                        return fault(r, "the event loop", NULL);
        }
        return measure->interrupted ? -EINTR : pending->error;
}

/* ---- Docker ---- */

typedef struct Asked {
        Pending pending;
        Measure *measure;
        DockerCall *call;
        const char *what;
} Asked;

static void on_answer(Asked *asked, const DockerReply *reply) {
        bool ok = docker_reply_ok(reply);

        asked->call = docker_call_free(asked->call);
        finish(&asked->pending, ok ? 0 : fault(reply->error, asked->what, reply->message));
}

static void on_ping(const DockerReply *reply, void *userdata) {
        on_answer(userdata, reply);
}

/* Docker's names of itself are for people; what is missing is said as such. */
static char *copy_or_unknown(const char *text) {
        char *copy = strdup(text ? text : "unknown");

        text_clean(copy);
        return copy;
}

static void on_info(const DockerReply *reply, void *userdata) {
        Asked *asked = userdata;
        Measure *measure = asked->measure;

        measure->docker_version = copy_or_unknown(json_get_string(reply->json, "ServerVersion"));
        measure->host_kernel = copy_or_unknown(json_get_string(reply->json, "KernelVersion"));
        on_answer(asked, reply);
}

static void on_image(const DockerReply *reply, void *userdata) {
        Asked *asked = userdata;
        const char *id = json_get_string(reply->json, "Id");

        if (id)
                asked->measure->image_id = strdup(id);
        on_answer(asked, reply);
}

static int settle(Asked *asked, int r) {
        if (r < 0)
                return fault(r, asked->what, NULL);
        r = await(asked->measure, &asked->pending, REMOVAL_USEC);
        asked->call = docker_call_free(asked->call);
        return r;
}

static int ask_docker(Measure *measure) {
        Asked ping = {.measure = measure, .what = measure->config->docker_socket}, info = ping, image = ping;
        int r = settle(&ping, docker_ping(measure->docker, on_ping, &ping, &ping.call));

        if (r < 0)
                return r;
        r = settle(&info, docker_info(measure->docker, on_info, &info, &info.call));
        if (r < 0)
                return r;
        image.what = measure->runtime->image;
        r = settle(&image,
                   docker_image_inspect(measure->docker, measure->runtime->image, on_image, &image, &image.call));
        if (r < 0 && r != -EINTR)
                (void) fprintf(stderr, "tee-bench: is it there? tee-install --with-runtime %s\n",
                               measure->runtime->name);
        if (r < 0)
                return r;
        return measure->image_id && measure->docker_version && measure->host_kernel
                       ? 0
                       : fault(-EBADMSG, "Docker", "its answers are not whole");
}

/* ---- one sandbox ---- */

static void run_failed(Run *run, const char *what, const char *why) {
        finish(&run->pending, fault(-EIO, what, why));
}

static void run_program(Run *run) {
        Measure *measure = run->measure;
        int r;

        run->sent_usec = now_usec();
        run->values[REPORT_SETUP] = (double) (run->sent_usec - run->made_usec) / 1000.0;
        r = sandbox_run(run->sandbox, run->request, measure->config->sandbox_open_files);
        if (r < 0)
                run_failed(run, "the program could not be sent", strerror(-r));
}

static void on_ready(const Evidence *evidence, void *userdata) {
        Run *run = userdata;
        int r;

        (void) evidence;
        if (!run->warm) {
                run_program(run);
                return;
        }
        r = sandbox_warm_up(run->sandbox, run->measure->config, run->measure->runtime);
        if (r < 0)
                run_failed(run, "the runtime could not be started", strerror(-r));
}

static void on_warmed(void *userdata) {
        run_program(userdata);
}

static void on_sample(const cJSON *document, void *userdata) {
        const cJSON *cpu = json_get_object(json_get_object(document, "cpu_stats"), "cpu_usage");
        int64_t cpu_nsec = json_get_integer(cpu, "total_usage", 0);
        MemorySample memory = memory_sample_read(document);
        Run *run = userdata;

        if (run->pending.done || cpu_nsec <= 0 || memory.used == 0)
                return;
        run->values[REPORT_MEMORY] = (double) (memory.used - memory.reclaimable) / (1024.0 * 1024.0);
        run->values[REPORT_CPU] = (double) cpu_nsec / 1e6;
        finish(&run->pending, 0);
}

static void on_stats_ended(const DockerReply *reply, void *userdata) {
        Run *run = userdata;

        if (!run->pending.done)
                run_failed(run, "Docker gave no figures of a sandbox", reply->message);
}

static void on_output(FrameType stream, const uint8_t *data, size_t size, void *userdata) {
        Run *run = userdata;
        int r;

        if (stream == FRAME_STDERR) {
                (void) fprintf(stderr, "tee-bench: the program says: %.*s\n", (int) size, (const char *) data);
                return;
        }
        if (!run->standing || run->stats)
                return;
        r = docker_container_stats(run->measure->docker, sandbox_container_id(run->sandbox), on_sample, on_stats_ended,
                                   run, &run->stats);
        if (r < 0)
                run_failed(run, "Docker cannot be asked for figures", strerror(-r));
}

static void on_exited(const FrameExit *report, void *userdata) {
        Run *run = userdata;

        run->values[REPORT_RUN] = (double) (now_usec() - run->sent_usec) / 1000.0;
        if (run->standing || report->kind != FRAME_EXIT_EXITED || report->value != 0 || report->stdout_bytes == 0)
                run_failed(run, "the measured program", "it did not end as it should have");
        else
                finish(&run->pending, 0);
}

static void on_failed(const SandboxError *error, void *userdata) {
        run_failed(userdata, "a sandbox failed", error->message);
}

static void on_containers_changed(void *userdata) {
        (void) userdata; /* await_removal() looks after each turn of the loop */
}

/* So that one sandbox's end does not weigh on the next one's figures. */
static int await_removal(Measure *measure) {
        uint64_t until = now_usec() + REMOVAL_USEC;

        while (containers_count(measure->containers) > 0) {
                int r = sd_event_run(measure->event, USEC_PER_SEC);

                if (r < 0)
                        return fault(r, "the event loop", NULL);
                if (now_usec() >= until)
                        return fault(-ETIMEDOUT, "Docker", "it did not remove a sandbox in time");
        }
        return 0;
}

static int run_new(Run *run) {
        static const SandboxHandlers handlers = {
                .ready = on_ready,
                .warmed = on_warmed,
                .output = on_output,
                .exited = on_exited,
                .failed = on_failed,
        };
        Measure *measure = run->measure;
        SandboxContext context = {
                .event = measure->event,
                .docker = measure->docker,
                .containers = measure->containers,
                .host_release = measure->host_kernel,
        };
        char name[SD_ID128_STRING_MAX];
        sd_id128_t id;
        int r = sd_id128_randomize(&id);

        if (r < 0)
                return r;
        TemplateInput input = {
                .config = measure->config,
                .runtime = measure->runtime,
                .image_id = measure->image_id,
                .instance = INSTANCE,
                .boot_id = measure->boot_id,
                .execution_id = sd_id128_to_string(id, name),
                .memory_mb = measure->config->limits[CONFIG_LIMIT_MEMORY_MB].fallback,
                .disk_mb = measure->config->limits[CONFIG_LIMIT_DISK_MB].fallback,
        };
        run->made_usec = now_usec();
        return sandbox_new(&context, &input, &handlers, run, &run->sandbox);
}

static int run_one(Measure *measure, ReportWay way, bool standing, double ret_values[static REPORT_METRICS]) {
        Run run = {
                .measure = measure,
                .request = standing ? measure->standing_program : measure->short_program,
                .standing = standing,
                .warm = way == REPORT_WARM,
        };
        int r, removed;

        measure->config->gvisor_enabled = way != REPORT_WITHOUT;
        r = run_new(&run);
        if (r < 0)
                (void) fault(r, "no sandbox can be made", NULL);
        else
                r = await(measure, &run.pending, RUN_USEC);
        docker_call_free(run.stats);
        sandbox_free(run.sandbox);
        removed = await_removal(measure);
        if (r < 0 || removed < 0)
                return r < 0 ? r : removed;
        for (unsigned metric = 0; metric < REPORT_METRICS; metric++)
                if (standing == (metric == REPORT_MEMORY || metric == REPORT_CPU))
                        ret_values[metric] = run.values[metric];
        return 0;
}

int measure_sandbox(Measure *measure, ReportWay way, double ret_values[static REPORT_METRICS]) {
        int r = run_one(measure, way, true, ret_values);

        return r < 0 ? r : run_one(measure, way, false, ret_values);
}

/* ---- the whole ---- */

static void on_swept(int error, const char *message, size_t found, void *userdata) {
        Pending *pending = userdata;

        (void) found;
        finish(pending, error < 0 ? fault(error, "what an earlier tee-bench left cannot be removed", message) : 0);
}

static int new_program(const Measure *measure, const char *code, Request **ret_request) {
        CLEANUP_FREE char *body = text_format("{\"runtime\":\"%s\",\"code\":\"%s\"}", measure->runtime->name, code);
        Refusal refusal = {0};
        int r = body ? request_parse(body, strlen(body), measure->config, ret_request, &refusal) : -ENOMEM;

        if (r < 0)
                (void) fault(r, "the program to be measured", refusal.message);
        refusal_deinit(&refusal);
        return r;
}

static int set_up(Measure *measure) {
        Pending swept = {0};
        sd_id128_t id;
        int r = sd_event_new(&measure->event);

        if (r >= 0)
                r = sd_event_add_signal(measure->event, NULL, SIGINT, on_signal, measure);
        if (r >= 0)
                r = sd_event_add_signal(measure->event, NULL, SIGTERM, on_signal, measure);
        if (r >= 0)
                r = sd_id128_randomize(&id);
        if (r < 0)
                return fault(r, "the event loop", NULL);
        (void) sd_id128_to_string(id, measure->boot_id);
        r = docker_new(measure->event, measure->config->docker_socket, measure->config->docker_call_ms,
                       &measure->docker);
        if (r >= 0)
                r = containers_new(measure->event, measure->docker, INSTANCE, measure->boot_id, on_containers_changed,
                                   NULL, &measure->containers);
        if (r < 0)
                return fault(r, "Docker", NULL);
        r = new_program(measure, SHORT_PROGRAM, &measure->short_program);
        if (r >= 0)
                r = new_program(measure, STANDING_PROGRAM, &measure->standing_program);
        if (r >= 0)
                r = ask_docker(measure);
        if (r < 0)
                return r;
        r = containers_sweep(measure->containers, on_swept, &swept);
        if (r < 0)
                return fault(r, "Docker", NULL);
        r = await(measure, &swept, REMOVAL_USEC);
        return r < 0 ? r : await_removal(measure);
}

int measure_new(Config *config, const ConfigRuntime *runtime, Measure **ret_measure) {
        CLEANUP(measure_freep) Measure *measure = calloc(1, sizeof(*measure));
        int r;

        if (!measure)
                return fault(-ENOMEM, "no start", NULL);
        measure->config = config;
        measure->runtime = runtime;
        r = set_up(measure);
        if (r < 0)
                return r;
        *ret_measure = TAKE_PTR(measure);
        return 0;
}

Measure *measure_free(Measure *measure) {
        if (!measure)
                return NULL;
        request_free(measure->short_program);
        request_free(measure->standing_program);
        containers_free(measure->containers);
        docker_free(measure->docker);
        (void) sd_event_unref(measure->event);
        free(measure->docker_version);
        free(measure->host_kernel);
        free(measure->image_id);
        free(measure);
        return NULL;
}

const char *measure_docker_version(const Measure *measure) {
        return measure->docker_version;
}

const char *measure_host_kernel(const Measure *measure) {
        return measure->host_kernel;
}
