/* SPDX-License-Identifier: Apache-2.0 */

/* The proof: a sandbox is made as the agent makes them, and its kernel judged as the gate judges it, with lib/sandbox.
 * Its image holds tee-guest alone, so that no runtime has to be there yet, and goes with it. */

#include "engine-images.h"
#include "install.h"
#include "parts.h"
#include "sandbox.h"
#include "tar.h"
#include "version.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-id128.h>

#define INSTANCE "tee-install"
#define IMAGE "tee-install-probe:" TEE_VERSION
#define IMPORT_USEC (120 * USEC_PER_SEC)
#define BOOT_USEC (90 * USEC_PER_SEC)
#define REMOVAL_USEC (60 * USEC_PER_SEC)
#define MEMORY_MB 128U
#define DISK_MB 1U

typedef struct Probe {
        Install *install;
        Config *config;
        Containers *containers;
        Sandbox *sandbox;
        char *image_id, *host_release;
        char boot_id[SD_ID128_STRING_MAX];
        bool done, swept;
        int error; /* trouble is set */
        uint64_t made_usec;
        char kernel[2 * EVIDENCE_VALUE_MAX + 2];
        double boot_ms;
} Probe;

static int fault(Probe *probe, int error, const char *remedy, const char *message) {
        return trouble_set(&probe->install->trouble, error, remedy, "%s", message);
}

/* ---- the image ---- */

static int make_tree(Tar *tar, const char *guest) {
        static const char *const folders[] = {"/dev", "/etc", "/proc", "/sys", "/work"};
        int r = tar_add_folder(tar, "/tee", 0700);

        for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(folders); i++)
                r = tar_add_folder(tar, folders[i], 0755);
        if (r >= 0)
                r = tar_add_folder(tar, "/tmp", 01777);
        return r < 0 ? r : tar_add_file(tar, "/tee/tee-guest", 0500, guest);
}

static int import(Probe *probe) {
        static const char *const changes[] = {"LABEL " TEE_IMAGE_LABEL_GUEST "=" TEE_VERSION, NULL};
        static const DockerImage image = {.name = IMAGE, .message = "tee-install: to prove gVisor", .changes = changes};
        Install *install = probe->install;
        CLEANUP(parts_deinit) Parts parts = {0};
        CLEANUP(tar_freep) Tar *tar = NULL;
        int r = parts_init(&parts, &install->loop, install->options->guest, &install->trouble);

        if (r < 0)
                return r;
        r = tar_new(&tar);
        if (r >= 0)
                r = make_tree(tar, parts.guest);
        if (r < 0)
                return trouble_errno(&install->trouble, r, parts.guest);
        return engine_import(&install->engine, &install->screen, &image, tar, &probe->image_id);
}

/* ---- the sandbox ---- */

static void finish(Probe *probe, int error) {
        probe->done = true;
        probe->error = error;
}

static void on_ready(const Evidence *evidence, void *userdata) {
        Probe *probe = userdata;

        (void) snprintf(probe->kernel, sizeof(probe->kernel), "%s %s", evidence->release, evidence->version);
        probe->boot_ms = (double) (now_usec() - probe->made_usec) / 1000.0;
        finish(probe, 0);
}

/* Why, and what would help, for the ways of failing that are known. */
static void on_failed(const SandboxError *error, void *userdata) {
        Probe *probe = userdata;
        const char *message = error->message ? error->message : "it gives no reason",
                   *remedy = "journalctl -u docker -n 20";

        if (error->failure == SANDBOX_E_NOT_GVISOR)
                remedy = "is it runsc that is registered? Look at its path in daemon.json; --force registers it anew";
        else if (strstr(message, "root network namespace"))
                remedy = "this runsc needs --network=none on this kernel: leave --runtime-arg out, or take a newer "
                         "runsc "
                         "(--source gvisor)";
        else if (strstr(message, "ermission denied") || strstr(message, "not permitted"))
                remedy = "may Docker run it? ls -l /usr/bin/runsc; then systemctl restart docker";
        else if (error->failure == SANDBOX_E_BOOT_TIMEOUT)
                remedy = "try another platform of gVisor's: --force --platform systrap";
        finish(probe, fault(probe, -EPROTO, remedy, message));
}

static void on_output(FrameType stream, const uint8_t *data, size_t size, void *userdata) {
        (void) stream;
        (void) data;
        (void) size;
        (void) userdata; /* there is no program whose output it could be */
}

static void on_exited(const FrameExit *report, void *userdata) {
        Probe *probe = userdata;

        (void) report;
        if (!probe->done)
                finish(probe, fault(probe, -EPROTO, NULL, "the sandbox ended before it had proven itself"));
}

static int boot(Probe *probe) {
        static const SandboxHandlers handlers = {
                .ready = on_ready,
                .output = on_output,
                .exited = on_exited,
                .failed = on_failed,
        };
        Install *install = probe->install;
        SandboxContext context = {
                .event = install->loop.event,
                .docker = install->engine.docker,
                .containers = probe->containers,
                .host_release = probe->host_release,
        };
        char name[SD_ID128_STRING_MAX];
        sd_id128_t id;
        int r = sd_id128_randomize(&id);

        if (r < 0)
                return r;
        TemplateInput input = {
                .config = probe->config,
                .runtime = &probe->config->runtimes[0],
                .image_id = probe->image_id,
                .instance = INSTANCE,
                .boot_id = probe->boot_id,
                .execution_id = sd_id128_to_string(id, name),
                .memory_mb = MEMORY_MB,
                .disk_mb = DISK_MB,
        };
        probe->made_usec = now_usec();
        screen_progress(&install->screen, "verify", -1, "booting a sandbox");
        r = sandbox_new(&context, &input, &handlers, probe, &probe->sandbox);
        if (r >= 0)
                r = loop_await(&install->loop, &probe->done, BOOT_USEC);
        screen_clear(&install->screen);
        return r < 0 ? r : probe->error;
}

/* ---- the whole ---- */

static void on_changed(void *userdata) {
        (void) userdata; /* await_removal() looks after each turn of the loop */
}

static void on_swept(int error, const char *message, size_t found, void *userdata) {
        Probe *probe = userdata;

        (void) found;
        probe->swept = true;
        if (error < 0)
                probe->error =
                        fault(probe, error, NULL, message ? message : "what a killed run left cannot be removed");
}

static int make_config(Probe *probe) {
        const Options *options = probe->install->options;
        CLEANUP_FREE char *text = text_format("gvisor = { oci_runtime = \"%s\"; };\n"
                                              "runtimes = { probe = { image = \"" IMAGE "\"; entry = \"main\"; "
                                              "command = [ \"/bin/true\" ]; }; };\n",
                                              options->runtime_name);
        CLEANUP_FREE char *message = NULL;
        int r = text ? config_parse(text, strlen(text), "tee-install", &probe->config, &message) : -ENOMEM;

        return r < 0 ? trouble_set(&probe->install->trouble, r, NULL, "%s", message ? message : strerror(-r)) : 0;
}

static int set_up(Probe *probe) {
        Install *install = probe->install;
        CLEANUP_JSON cJSON *info = NULL;
        const char *release;
        sd_id128_t id;
        int r = make_config(probe);

        if (r >= 0)
                r = sd_id128_randomize(&id);
        if (r < 0)
                return r;
        (void) sd_id128_to_string(id, probe->boot_id);
        r = engine_info(&install->engine, &info);
        if (r < 0)
                return r;
        release = json_get_string(info, "KernelVersion");
        probe->host_release = release ? strdup(release) : NULL;
        r = containers_new(install->loop.event, install->engine.docker, INSTANCE, probe->boot_id, on_changed, probe,
                           &probe->containers);
        if (r >= 0)
                r = containers_sweep(probe->containers, on_swept, probe);
        if (r >= 0)
                r = loop_await(&install->loop, &probe->swept, REMOVAL_USEC);
        return r < 0 ? r : probe->error;
}

/* Also after an interruption: nothing of it is to stay. */
static int clear_away(Probe *probe) {
        Install *install = probe->install;
        bool interrupted = install->loop.interrupted;
        uint64_t until = now_usec() + REMOVAL_USEC;
        CLEANUP_FREE char *kept = NULL;
        int r = 0;

        loop_pardon(&install->loop);
        probe->sandbox = sandbox_free(probe->sandbox);
        while (probe->containers && containers_count(probe->containers) > 0 && now_usec() < until && r >= 0)
                r = sd_event_run(install->loop.event, USEC_PER_SEC);
        if (probe->image_id)
                r = engine_image_remove(&install->engine, IMAGE, &kept);
        install->loop.interrupted |= interrupted;
        containers_free(probe->containers);
        config_free(probe->config);
        free(probe->image_id);
        free(probe->host_release);
        return r < 0 ? r : kept ? fault(probe, -EBUSY, "docker image rm " IMAGE, kept) : 0;
}

static int verify_look(Install *install, StepState *ret_state) {
        CLEANUP(parts_deinit) Parts parts = {0};
        int r = parts_init(&parts, &install->loop, install->options->guest, &install->trouble);

        if (r < 0)
                return r;
        *ret_state = STEP_CHECK;
        install_note(install, "boot a sandbox with the OCI runtime %s, and read its kernel",
                     install->options->runtime_name);
        return 0;
}

static int verify_apply(Install *install) {
        Probe probe = {.install = install};
        int r = set_up(&probe), cleared;

        if (r >= 0)
                r = import(&probe);
        if (r >= 0)
                r = boot(&probe);
        cleared = clear_away(&probe);
        if (r < 0 || cleared < 0)
                return r < 0 ? r : cleared;
        install_note(install, "a sandbox booted in %.0f ms, and its kernel is gVisor: %s", probe.boot_ms, probe.kernel);
        return 0;
}

const Step step_verify = {.name = "verify", .exit_status = 17, .look = verify_look, .apply = verify_apply};
