/* SPDX-License-Identifier: Apache-2.0 */

#include "probe.h"

#include <errno.h>
#include <string.h>
#include <systemd/sd-id128.h>

#define MEMORY_MB 128U
#define DISK_MB 1U

struct Probe {
        Sandbox *sandbox;
        ProbeDone done;
        void *userdata;
};

/* The last that it does: the probe may be gone afterwards. */
static void object(Probe *probe, const char *code, const char *reason, const char *remedy) {
        CLEANUP(objection_deinit) Objection objection = {0};

        objection_set(&objection, code, reason, remedy);
        probe->done(&objection, NULL, probe->userdata);
}

static void on_ready(const Evidence *evidence, void *userdata) {
        CLEANUP_FREE char *kernel = text_format("%s %s", evidence->release, evidence->version);
        Probe *probe = userdata;

        if (kernel)
                probe->done(&(Objection){0}, kernel, probe->userdata);
        else
                object(probe, "probe_failed", strerror(ENOMEM), LOOK_AT_DOCKER);
}

static void on_failed(const SandboxError *error, void *userdata) {
        CLEANUP_FREE char *reason = text_format("the probe sandbox: %s", error->message ? error->message : "");

        switch (error->failure) {
        case SANDBOX_E_NOT_GVISOR:
                object(userdata, "not_gvisor", reason,
                       "check what the OCI runtime is: docker info, /etc/docker/daemon.json");
                break;
        case SANDBOX_E_GUEST_VERSION:
                object(userdata, "guest_version_mismatch", reason, "tee-install --refresh-runtimes --force");
                break;
        default:
                object(userdata, "probe_failed", reason, LOOK_AT_DOCKER);
        }
}

/* A guest that reports output or an exit to a probe, which has no program, breaks the protocol before this is called.
 */
static void on_output(FrameType stream, const uint8_t *data, size_t size, void *userdata) {
        (void) stream;
        (void) data;
        (void) size;
        (void) userdata;
}

static void on_exited(const FrameExit *report, void *userdata) {
        (void) report;
        object(userdata, "probe_failed", "the probe sandbox ended", LOOK_AT_DOCKER);
}

static int make(Probe *probe, const ProbeInput *input) {
        static const SandboxHandlers handlers = {
                .ready = on_ready,
                .output = on_output,
                .exited = on_exited,
                .failed = on_failed,
        };
        char name[SD_ID128_STRING_MAX];
        sd_id128_t id;
        int r = sd_id128_randomize(&id);

        if (r < 0)
                return r;

        TemplateInput template = {
                .config = input->config,
                .runtime = input->runtime,
                .image_id = input->image_id,
                .instance = containers_instance(input->context.containers),
                .boot_id = input->boot_id,
                .execution_id = sd_id128_to_string(id, name),
                .memory_mb = MEMORY_MB,
                .disk_mb = DISK_MB,
        };

        return sandbox_new(&input->context, &template, &handlers, probe, &probe->sandbox);
}

int probe_new(const ProbeInput *input, ProbeDone done, void *userdata, Probe **ret_probe) {
        Probe *probe = calloc(1, sizeof(*probe));
        int r;

        if (!probe)
                return -ENOMEM;
        *probe = (Probe){.done = done, .userdata = userdata};
        r = make(probe, input);
        if (r < 0)
                probe_free(probe);
        else
                *ret_probe = probe;
        return r;
}

Probe *probe_free(Probe *probe) {
        if (probe)
                (void) sandbox_free(probe->sandbox);
        free(probe);
        return NULL;
}
