/* SPDX-License-Identifier: Apache-2.0 */

#include "daemon-edit.h"
#include "executable.h"
#include "groups.h"
#include "host-facts.h"
#include "package.h"
#include "runc-faults.h"
#include "template.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

/* ---- reachable ---- */

static void look_at_docker(Context *context, Finding *finding) {
        const cJSON *info = context_info(context, VERDICT_FAIL, finding);
        const char *version = json_get_string(info, "ServerVersion");

        if (!info)
                return;
        if (version)
                finding_pass(finding, "Docker %s on %s, API %s", version, docker_socket_path(context->engine.docker),
                             docker_api_version(context->engine.docker));
        else
                finding_fail(finding, "check docker.socket in tee.conf", "what answers on %s is not Docker",
                             docker_socket_path(context->engine.docker));
}

/* ---- its version ---- */

/* The oldest one that the tests run with. */
#define VERSION_MAJOR 20
#define VERSION_MINOR 10

static void look_at_version(Context *context, Finding *finding) {
        const cJSON *info = context_info(context, VERDICT_SKIP, finding);
        const char *version = json_get_string(info, "ServerVersion");
        unsigned major, minor;

        if (!info)
                return;
        if (!version || sscanf(version, "%4u.%4u", &major, &minor) != 2)
                finding_skip(finding, NULL, "Docker's version '%s' cannot be read", version ? version : "");
        else if (major < VERSION_MAJOR || (major == VERSION_MAJOR && minor < VERSION_MINOR))
                finding_warn(finding, "apt-get update && apt-get install -y docker.io",
                             "Docker is of version %s; tee-agent is tested with 20.10 and later", version);
        else
                finding_pass(finding, "%s, spoken to in version %s of its API", version,
                             docker_api_version(context->engine.docker));
}

/* ---- where it runs ---- */

static void look_at_host(Context *context, Finding *finding) {
        const cJSON *info = context_gvisor(context, finding) ? context_info(context, VERDICT_SKIP, finding) : NULL;
        const char *system = json_get_string(info, "OperatingSystem"), *kernel = json_get_string(info, "KernelVersion");
        CLEANUP(host_facts_deinit) HostFacts host = {0};

        if (!info)
                return;
        if ((system && strcmp(system, "Docker Desktop") == 0) || (kernel && host_facts_is_desktop(kernel)))
                finding_fail(
                        finding, HOST_FACTS_REMEDY_DESKTOP,
                        "this Docker is Docker Desktop, in a machine of its own (kernel %s): gVisor requires Linux "
                        "kernel features and cannot run on macOS or Windows",
                        kernel ? kernel : "unknown");
        else if (!kernel || host_facts_read(&host) < 0)
                finding_skip(finding, NULL, "Docker does not tell on which kernel it runs");
        else if (strcmp(kernel, host.kernel) != 0)
                finding_warn(
                        finding, "run tee-health where Docker runs",
                        "Docker runs on the kernel %s, and this host has %s: what was seen of the host is not about "
                        "the one that sandboxes run on",
                        kernel, host.kernel);
        else
                finding_pass(finding, "on this host: %s, Linux %s", system ? system : "?", kernel);
}

/* ---- who may reach it ---- */

static void judge_socket(const char *path, const struct stat *st, Finding *finding) {
        CLEANUP_FREE char *chmod = text_format("chmod 0660 %s", path), *chown = text_format("chown root %s", path);
        const struct group *group = getgrgid(st->st_gid);

        if (st->st_mode & 02)
                finding_fail(
                        finding, chmod,
                        "%s has the mode %04o: everybody on this host is as good as root; where it comes back, see "
                        "SocketMode= of docker.socket",
                        path, st->st_mode & 0777U);
        if (st->st_uid != 0)
                finding_fail(finding, chown, "%s belongs to the user %u, who is as good as root by that", path,
                             st->st_uid);
        finding_pass(finding, "%s, mode %04o, for root and the group %s, whose members are as good as root", path,
                     st->st_mode & 0777U, group ? group->gr_name : "without a name");
}

static void look_at_socket(Context *context, Finding *finding) {
        const Config *config = context_config(context, finding);
        struct stat st;

        if (!config)
                return;
        if (stat(config->docker_socket, &st) < 0)
                finding_skip(finding, errno == EACCES ? "run it as root" : NULL, "%s: %s", config->docker_socket,
                             strerror(errno));
        else
                judge_socket(config->docker_socket, &st, finding);
}

/* Docker itself warns of each address that needs no certificate. */
static void look_at_network_api(Context *context, Finding *finding) {
        static const char remedy[] =
                "take that -H or \"hosts\" entry out of dockerd's options, then: systemctl restart docker";
        const cJSON *info = context_info(context, VERDICT_SKIP, finding), *warning;

        if (!info)
                return;
        cJSON_ArrayForEach(warning, json_get(info, "Warnings")) {
                const char *text = cJSON_GetStringValue(warning),
                           *at = text ? strstr(text, "API is accessible on ") : NULL;

                if (at)
                        finding_fail(finding, remedy, "Docker's %.*s: whoever gets there is root on this host",
                                     (int) strcspn(at, "\n"), at);
        }
        finding_pass(finding, "Docker warns of no address on which its API stands open");
}

/* ---- what a restart of it does ---- */

/* Sandboxes that run, or a negative errno. */
static int64_t count_sandboxes(Context *context) {
        EngineAnswer answer = {0};
        DockerCall *call = NULL;
        const cJSON *container;
        int64_t count = 0;
        int r = docker_container_list(context->engine.docker, "label", TEMPLATE_LABEL_INSTANCE, engine_on_done, &answer,
                                      &call);

        r = engine_await(&context->engine, r, &call, &answer, context_left_ms(context) * USEC_PER_MSEC);
        cJSON_ArrayForEach(container, answer.json) {
                const char *state = json_get_string(container, "State");

                count += state && strcmp(state, "running") == 0;
        }
        engine_answer_deinit(&answer);
        return r < 0 ? r : count;
}

/* Sandboxes end with Docker in any case: their programs are held through it. */
static void judge_containers(Context *context, const Config *config, int64_t running, Finding *finding) {
        int64_t sandboxes = count_sandboxes(context);
        CLEANUP_FREE char *remedy = NULL;

        if (sandboxes < 0) {
                finding_skip(finding, "journalctl -n 20 -u docker", "Docker does not tell of its containers: %s",
                             strerror((int) -sandboxes));
        } else if (running <= sandboxes) {
                finding_pass(finding, "off, and no container runs but sandboxes, which end with Docker in any case");
        } else {
                remedy = daemon_edit_live_restore(config->docker_daemon_json);
                finding_warn(finding,
                             remedy ? remedy
                                    : "put \"live-restore\": true into daemon.json, then: systemctl reload docker",
                             "off: a restart of Docker, as its update is, ends %lld containers that are no sandboxes",
                             (long long) (running - sandboxes));
        }
}

static void look_at_live_restore(Context *context, Finding *finding) {
        const Config *config = context_config(context, finding);
        const cJSON *info = context_info(context, VERDICT_SKIP, finding),
                    *enabled = json_get(info, "LiveRestoreEnabled");
        const char *swarm = json_get_string(json_get_object(info, "Swarm"), "LocalNodeState");

        if (!config || !info)
                return;
        if (cJSON_IsTrue(enabled))
                finding_pass(finding, "on: containers outlive a restart of Docker, but for sandboxes");
        else if (swarm && strcmp(swarm, "active") == 0)
                finding_pass(finding, "off, as Docker wants it on a node of a swarm");
        else if (!cJSON_IsFalse(enabled))
                finding_skip(finding, NULL, "Docker does not tell whether it is on");
        else
                judge_containers(context, config, json_get_integer(info, "ContainersRunning", 0), finding);
}

/* ---- its disk ---- */

#define MIB ((uint64_t) 1024 * 1024)
#define DISK_LEAST (256 * MIB) /* with less, no container can be counted on */
#define DISK_LITTLE (2048 * MIB)
#define INODES_LEAST 1000U

static void look_at_disk(Context *context, Finding *finding) {
        const cJSON *info = context_info(context, VERDICT_SKIP, finding);
        const char *folder = json_get_string(info, "DockerRootDir");
        CLEANUP_FREE char *remedy = NULL;
        struct statvfs fs;
        uint64_t free_bytes;

        if (!info)
                return;
        if (!folder || statvfs(folder, &fs) < 0) {
                finding_skip(finding, folder && errno == EACCES ? "run it as root" : NULL, "Docker's folder %s: %s",
                             folder ? folder : "", folder ? strerror(errno) : "not told");
                return;
        }
        remedy = text_format(
                "see what takes it: docker system df, du -xhd1 %s; unused images go with: docker image prune", folder);
        if (__builtin_mul_overflow((uint64_t) fs.f_bavail, (uint64_t) fs.f_frsize, &free_bytes))
                free_bytes = UINT64_MAX;
        if (free_bytes < DISK_LEAST)
                finding_fail(finding, remedy, "%s has %llu MB left", folder, (unsigned long long) (free_bytes / MIB));
        else if (free_bytes < DISK_LITTLE)
                finding_warn(finding, remedy, "%s has %llu MB left", folder, (unsigned long long) (free_bytes / MIB));
        if (fs.f_files > 0 && fs.f_favail < INODES_LEAST)
                finding_fail(finding, remedy, "%s has room for %llu more files", folder,
                             (unsigned long long) fs.f_favail);
        finding_pass(finding, "%s has %llu MB left", folder, (unsigned long long) (free_bytes / MIB));
}

/* ---- runc ---- */

/* "runc version 1.1.5+ds1" */
static int runc_version(Context *context, const char *path, char **ret_version) {
        static const char prefix[] = "runc version ";
        Executable program = {.name = path, .path = path, .most_usec = context_left_ms(context) * USEC_PER_MSEC};
        CLEANUP_FREE char *line = NULL;
        int r = executable_version(&context->loop, &program, "--version", &context->trouble, &line);

        if (r < 0)
                return r;
        if (strncmp(line, prefix, strlen(prefix)) != 0)
                return trouble_set(&context->trouble, -ENOEXEC, NULL, "%s says '%.100s'", path, line);
        *ret_version = strdup(line + strlen(prefix));
        return *ret_version ? 0 : -ENOMEM;
}

static void judge_runc(const Config *config, const char *version, const Package *package, const char *changelog,
                       Finding *finding) {
        CLEANUP_FREE char *faults = runc_faults(version, changelog);
        CLEANUP_FREE char *remedy =
                package->name ? text_format("apt-get update && apt-get install -y --only-upgrade %s", package->name)
                              : strdup("install a newer runc");

        if (!faults)
                finding_skip(finding, NULL, "runc's version '%s' cannot be read", version);
        else if (faults[0])
                finding_add(finding, config->gvisor_enabled ? VERDICT_WARN : VERDICT_FAIL, remedy, "runc %s has %s: %s",
                            package->version ? package->version : version, faults,
                            config->gvisor_enabled ? "no sandbox runs on it, but other containers do"
                                                   : "and programs run on it, since gVisor is disabled");
        else
                finding_pass(finding, "%s, without a vulnerability that is known here",
                             package->version ? package->version : version);
}

static void look_at_runc(Context *context, Finding *finding) {
        const Config *config = context_config(context, finding);
        CLEANUP_FREE char *path = NULL, *version = NULL, *changelog = NULL;
        CLEANUP(package_deinit) Package package = {0};
        int r;

        if (!config)
                return;
        r = executable_find("runc", NULL, NULL, &context->trouble, &path);
        if (r >= 0)
                r = runc_version(context, path, &version);
        if (r < 0) {
                finding_skip(finding, NULL, "%s", context->trouble.message ? context->trouble.message : strerror(-r));
                return;
        }
        r = package_of(context, path, &package);
        if (r >= 0 && package.name)
                r = package_changelog(context, &package, &changelog);
        if (r < 0 && r != -ENOENT)
                finding_skip(finding, NULL, "dpkg cannot be asked of %s: %s", path, strerror(-r));
        else
                judge_runc(config, version, &package, changelog ? changelog : "", finding);
}

static const Check checks[] = {
        {
                .id = "docker.reachable",
                .title = "Docker answers on its socket",
                .look = look_at_docker,
                .needs = "config.valid",
                .vital = true,
        },
        {
                .id = "docker.version",
                .title = "Docker is of a version that tee-agent is tested with",
                .look = look_at_version,
                .needs = "docker.reachable",
        },
        {
                .id = "docker.host",
                .title = "Docker runs on this host, and not in Docker Desktop's machine",
                .look = look_at_host,
                .needs = "docker.reachable",
        },
        {
                .id = "docker.socket",
                .title = "Docker's socket is for root and its group alone",
                .look = look_at_socket,
                .needs = "config.valid",
        },
        {
                .id = "docker.network_api",
                .title = "Docker's API stands open on no network address",
                .look = look_at_network_api,
                .needs = "docker.reachable",
        },
        {
                .id = "docker.live_restore",
                .title = "a restart of Docker ends no containers but sandboxes",
                .look = look_at_live_restore,
                .needs = "docker.reachable",
        },
        {
                .id = "docker.disk",
                .title = "Docker's folder has room",
                .look = look_at_disk,
                .needs = "docker.reachable",
        },
        {
                .id = "docker.runc",
                .title = "runc has no known vulnerability, though no sandbox runs on it",
                .look = look_at_runc,
                .needs = "config.valid",
        },
};

const CheckGroup group_docker = CHECK_GROUP("docker", checks);
