/* SPDX-License-Identifier: Apache-2.0 */

#include "groups.h"

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

static const Check checks[] = {
        {
                .id = "docker.reachable",
                .title = "Docker answers on its socket",
                .look = look_at_docker,
                .needs = "config.valid",
                .vital = true,
        },
};

const CheckGroup group_docker = CHECK_GROUP("docker", checks);
