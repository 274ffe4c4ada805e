/* SPDX-License-Identifier: Apache-2.0 */

/* A check asks for what it wants to look through and gets it, or a finding that says why not. So no check can forget
 * that Docker may be away, and all of them say it in the same words. */

#include "context.h"
#include "agent-status.h"
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/stat.h>

int context_init(Context *context, const Places *places, uint64_t deadline_ms) {
        *context = (Context){
                .places = *places,
                .until_usec = now_usec() + (deadline_ms - deadline_ms / 5) * USEC_PER_MSEC,
        };
        return loop_init(&context->loop);
}

void context_deinit(Context *context) {
        for (size_t i = 0; i < ARRAY_SIZE(context->install); i++)
                free(context->install[i]);
        cJSON_Delete(context->status);
        cJSON_Delete(context->info);
        engine_deinit(&context->engine);
        config_free(context->config);
        trouble_deinit(&context->trouble);
        loop_deinit(&context->loop);
}

uint64_t context_left_ms(const Context *context) {
        uint64_t now = now_usec();

        return context->until_usec >= now + USEC_PER_MSEC ? (context->until_usec - now) / USEC_PER_MSEC : 1;
}

int context_ask(Context *context, const char *const *argv, Buffer *output) {
        static const char *const added[] = {"LC_ALL=C", "LANGUAGE=", NULL};
        Process process = {.argv = argv, .added = added, .most_usec = context_left_ms(context) * USEC_PER_MSEC};

        return process_run(&context->loop, &process, output);
}

const Config *context_config(Context *context, Finding *finding) {
        CLEANUP_FREE char *message = NULL;

        if (!context->config && config_load(context->places.config_path, &context->config, &message) < 0)
                finding_skip(finding, "tee-health --only config", "the configuration cannot be used: %s",
                             message ? message : strerror(ENOMEM));
        return context->config;
}

const Config *context_gvisor(Context *context, Finding *finding) {
        const Config *config = context_config(context, finding);

        if (!config || config->gvisor_enabled)
                return config;
        finding_skip(finding, "set gvisor.enabled = true there", "%s says that there is to be no gVisor", config->path);
        return NULL;
}

const char *context_install(Context *context, bool force) {
        const char *name = context->config ? context->config->oci_runtime : "runsc";
        bool is_default = strcmp(name, "runsc") == 0;
        char **command = &context->install[force];

        if (!*command)
                *command = text_format("tee-install --with-gvisor%s%s%s", is_default ? "" : " --runtime-name ",
                                       is_default ? "" : name, force ? " --force" : "");
        return *command ? *command : "tee-install --with-gvisor";
}

/* What connect(2) would say of a socket's path. A library that connects tells less. */
static int may_connect(const char *path) {
        return faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) < 0 ? -errno : 0;
}

/* Whose members may connect, which the socket itself tells best. */
static char *remedy_of_access(const char *path) {
        struct stat st;
        const struct group *group = stat(path, &st) == 0 && st.st_gid != 0 ? getgrgid(st.st_gid) : NULL;

        return group ? text_format("run it as root, or as a member of the group %s", group->gr_name)
                     : strdup("run it as root");
}

static bool connects(const char *path, Verdict broken, const char *remedy, Finding *finding) {
        CLEANUP_FREE char *access_remedy = NULL;
        int r = may_connect(path);

        if (r == -EACCES || r == -EPERM) {
                access_remedy = remedy_of_access(path);
                finding_skip(finding, access_remedy, "this user may not connect to %s", path);
        } else if (r < 0) {
                finding_add(finding, broken, remedy, "%s: %s", path, strerror(-r));
        }
        return r >= 0;
}

const cJSON *context_info(Context *context, Verdict broken, Finding *finding) {
        static const char remedy[] = "systemctl start docker; systemctl status docker";
        const Config *config = context_config(context, finding);
        int r;

        if (!config || context->info)
                return context->info;
        if (!connects(config->docker_socket, broken, remedy, finding))
                return NULL;
        r = context->engine.docker ? 0
                                   : engine_init(&context->engine, &context->loop, &context->trouble,
                                                 config->docker_socket, context_left_ms(context));
        if (r >= 0)
                r = engine_info(&context->engine, &context->info);
        if (r < 0)
                finding_add(finding, broken, remedy, "%s",
                            context->trouble.message ? context->trouble.message : strerror(-r));
        return context->info;
}

#define LOOK_AT_AGENT "systemctl status tee-agent.socket tee-agent"

bool context_agent_connects(Context *context, Verdict broken, Finding *finding) {
        return connects(context->places.agent_socket, broken, LOOK_AT_AGENT, finding);
}

const cJSON *context_status(Context *context, Verdict broken, Finding *finding) {
        int r;

        if (context->status || !context_agent_connects(context, broken, finding))
                return context->status;
        r = agent_status_get(&context->loop, context->places.agent_socket, context_left_ms(context), &context->trouble,
                             &context->status);
        if (r < 0)
                finding_add(finding, broken, LOOK_AT_AGENT, "the agent does not answer: %s",
                            context->trouble.message ? context->trouble.message : strerror(-r));
        return context->status;
}
