/* SPDX-License-Identifier: Apache-2.0 */

/* Is this a host that can be worked on? Everything that a later step would stumble over and that can be known before
 * anything is written is asked here. */

#include "agent-status.h"
#include "file.h"
#include "install.h"
#include "os-release.h"
#include "units.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <systemd/sd-daemon.h>

#define FREE_BYTES_MIN (UINT64_C(300) << 20) /* runsc with gvisor-bin, apt's copy of it, and its index */
#define AGENT_MS UINT64_C(120000)
#define OS_RELEASE_MAX ((size_t) 16 * 1024)

static int fault(Install *install, int error, const char *remedy, const char *message) {
        return trouble_set(&install->trouble, error, remedy, "%s", message);
}

static int look_at_distribution(Install *install) {
        Buffer text = BUFFER_INIT(OS_RELEASE_MAX);
        bool is_debian = false;
        int r = file_read("/etc/os-release", &text);

        if (r >= 0 && text.size > 0) {
                is_debian = os_release_is_debian((const char *) text.data);
                install->host.name = os_release_value((const char *) text.data, "PRETTY_NAME");
        }
        buffer_deinit(&text);
        if (!install->host.name)
                install->host.name = strdup("an unknown Linux");
        if (!install->host.name)
                return -ENOMEM;
        if (install->options->source == SOURCE_NONE && !install->options->with_docker)
                return 0;
        if (!is_debian)
                return trouble_set(&install->trouble, -EOPNOTSUPP,
                                   "install runsc by other means, then: tee-install --with-gvisor --source none",
                                   "%s is neither Debian nor Ubuntu", install->host.name);
        if (access("/usr/bin/apt-get", X_OK) < 0)
                return fault(install, -ENOENT, "tee-install --with-gvisor --source none", "there is no apt-get here");
        return 0;
}

static int look_at_machine(Install *install) {
        struct utsname name;

        if (uname(&name) < 0)
                return -errno;
        if (strcmp(name.machine, "x86_64") == 0)
                install->host.architecture = "amd64";
        else if (strcmp(name.machine, "aarch64") == 0)
                install->host.architecture = "arm64";
        else
                return trouble_set(&install->trouble, -EOPNOTSUPP, NULL,
                                   "gVisor is there for x86_64 and aarch64, this machine is %s", name.machine);
        return 0;
}

static int look_at_space(Install *install, uint64_t *ret_free) {
        static const char *const folders[] = {"/usr", "/var", "/etc"};
        char have[SCREEN_SIZE_MAX], need[SCREEN_SIZE_MAX];

        *ret_free = UINT64_MAX;
        for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
                struct statvfs fs;
                uint64_t bytes;

                if (statvfs(folders[i], &fs) < 0)
                        return trouble_errno(&install->trouble, -errno, folders[i]);
                bytes = (uint64_t) fs.f_bavail * fs.f_frsize;
                if (bytes < *ret_free && i < 2)
                        *ret_free = bytes;
                if (bytes < FREE_BYTES_MIN && i < 2 && install->options->source != SOURCE_NONE)
                        return trouble_set(&install->trouble, -ENOSPC, "make room there",
                                           "%s has %s free, %s are needed", folders[i], screen_size(bytes, have),
                                           screen_size(FREE_BYTES_MIN, need));
        }
        return 0;
}

/* ---- Docker ---- */

static int look_at_docker(Install *install) {
        CLEANUP_FREE char *message = NULL;
        int r = engine_ping(&install->engine, &message);

        if (r == -EINTR)
                return r;
        install->host.docker = r >= 0;
        if (r >= 0) {
                install_note(install, "Docker answers on %s, API %s", docker_socket_path(install->engine.docker),
                             docker_api_version(install->engine.docker));
                return 0;
        }
        if (access("/usr/sbin/dockerd", X_OK) >= 0 || access("/usr/bin/dockerd", X_OK) >= 0)
                return trouble_set(&install->trouble, r, "systemctl start docker; systemctl status docker",
                                   "Docker is installed and does not answer: %s", message);
        if (install->options->with_docker)
                return 0;
        return trouble_set(
                &install->trouble, r,
                "tee-install --with-gvisor --with-docker, which installs docker.io; or Docker's own packages",
                "there is no Docker here (%s)", message);
}

/* ---- the agent ---- */

/* That it cannot be connected to is the caller's to explain. */
static int ask_agent(Install *install, cJSON **ret_status) {
        Trouble trouble = {0};
        int r = agent_status_get(&install->loop, AGENT_SOCKET, AGENT_MS, &trouble, ret_status);

        if (r < 0 && r != -EINTR && r != -ECONNREFUSED)
                r = trouble_set(&install->trouble, r, NULL, "%s", trouble.message ? trouble.message : strerror(-r));
        trouble_deinit(&trouble);
        return r;
}

/* What is taken away at --uninstall is what it stands on. An agent that is not there runs nothing. */
static int look_at_agent(Install *install) {
        CLEANUP_FREE char *state = unit_state("tee-agent.service");
        CLEANUP_JSON cJSON *status = NULL;
        int64_t running;
        int r;

        if (!install->options->uninstall || !state || strcmp(state, "inactive") == 0 || strcmp(state, "failed") == 0)
                return 0;
        r = ask_agent(install, &status);
        if (r == -ECONNREFUSED || (r >= 0 && strcmp(state, "active") != 0))
                return trouble_set(&install->trouble, -EBUSY, "wait until it has: systemctl status tee-agent",
                                   "tee-agent is %s, and may still have programs that run", state);
        running = json_get_integer(json_get_object(status, "executions"), "running", -1);
        if (r >= 0 && running < 0)
                r = trouble_set(&install->trouble, -EBADMSG, NULL, "tee-agent does not say what it is doing");
        if (r >= 0 && running > 0)
                r = trouble_set(&install->trouble, -EBUSY, "systemctl stop tee-agent.socket tee-agent.service",
                                "tee-agent has %lld executions running", (long long) running);
        return r;
}

/* Docker may have gone, and the disk be full. */
static int look_before_uninstall(Install *install) {
        int r = look_at_agent(install);

        if (r < 0)
                return r;
        r = engine_ping(&install->engine, NULL);
        if (r == -EINTR)
                return r;
        install->host.docker = r >= 0;
        install_note(install, r >= 0 ? "Docker answers" : "Docker does not answer: it is not told of anything");
        return 0;
}

static int preflight_look(Install *install, StepState *ret_state) {
        char text[SCREEN_SIZE_MAX];
        uint64_t bytes_free;
        int r;

        *ret_state = STEP_DONE;
        if (geteuid() != 0)
                return fault(install, -EPERM, "sudo tee-install …", "only root may do this");
        install->host.systemd = sd_booted() > 0;
        if (install->options->uninstall)
                return look_before_uninstall(install);
        r = look_at_machine(install);
        if (r >= 0)
                r = look_at_distribution(install);
        if (r >= 0)
                r = look_at_space(install, &bytes_free);
        if (r < 0)
                return r;
        install_note(install, "%s, %s, %s free", install->host.name, install->host.architecture,
                     screen_size(bytes_free, text));
        return look_at_docker(install);
}

const Step step_preflight = {.name = "preflight", .exit_status = 10, .look = preflight_look};
