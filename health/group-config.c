/* SPDX-License-Identifier: Apache-2.0 */

#include "groups.h"

#include <errno.h>
#include <string.h>

static char *runtime_names(const Config *config) {
        char *names = strdup("");

        for (size_t i = 0; names && i < config->runtimes_size; i++) {
                char *more = text_format("%s%s%s", names, i > 0 ? ", " : "", config->runtimes[i].name);

                free(names);
                names = more;
        }
        return names;
}

static void look_at_validity(Context *context, Finding *finding) {
        CLEANUP_FREE char *message = NULL, *names = NULL;
        int r = config_load(context->places.config_path, &context->config, &message);
        const char *words = message ? message : strerror(-r);

        if (r == -EACCES || r == -EPERM) {
                finding_skip(finding, "run it as root", "%s", words);
        } else if (r == -ENOENT) {
                finding_fail(finding, "put one there: the one that comes with tee-agent has every setting", "%s",
                             words);
        } else if (r < 0) {
                finding_fail(finding, "mend that line; tee-agent does not start before (exit status 78)", "%s", words);
        } else {
                names = runtime_names(context->config);
                if (!context->config->gvisor_enabled)
                        finding_warn(finding, "take gvisor.enabled = false out of it: systemctl reload tee-agent",
                                     "%s has programs run without gVisor", context->places.config_path);
                finding_pass(finding, "%s, OCI runtime %s, runtimes: %s", context->places.config_path,
                             config_oci_runtime(context->config), names ? names : "?");
        }
}

static const Check checks[] = {
        {
                .id = "config.valid",
                .title = "tee.conf can be read and has no mistake",
                .look = look_at_validity,
        },
};

const CheckGroup group_config = CHECK_GROUP("config", checks);
