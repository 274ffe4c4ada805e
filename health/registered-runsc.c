/* SPDX-License-Identifier: Apache-2.0 */

#include "registered-runsc.h"
#include "executable.h"
#include "program-access.h"
#include "registration.h"
#include "runsc.h"

#include <errno.h>
#include <string.h>

void registered_runsc_deinit(RegisteredRunsc *runsc) {
        free(runsc->path);
        cJSON_Delete(runsc->runtime);
        *runsc = (RegisteredRunsc){0};
}

static bool has_path(const cJSON *runtime) {
        const char *path = registration_path(runtime);

        return path && path[0];
}

/* Several checks ask, and a Docker that hangs must leave time for the program in each, and for the rest of them. */
static cJSON *ask_docker(Context *context, const Config *config) {
        uint64_t until_usec = context->until_usec;
        const cJSON *runtime;
        Finding none = {0};

        context->until_usec = now_usec() + context_left_ms(context) * USEC_PER_MSEC / 8;
        runtime = registration_from_info(context_info(context, VERDICT_SKIP, &none), config->oci_runtime);
        context->until_usec = until_usec;
        finding_deinit(&none);
        trouble_deinit(&context->trouble); /* that Docker did not answer is somebody else's affair */
        return has_path(runtime) ? cJSON_Duplicate(runtime, true) : NULL;
}

int registered_runsc_find(Context *context, const Config *config, RegisteredRunsc *runsc) {
        CLEANUP_FREE char *reason = NULL;
        int r;

        *runsc = (RegisteredRunsc){.witness = config->docker_daemon_json};
        r = registration_read(config->docker_daemon_json, config->oci_runtime, &runsc->runtime, &reason);
        if (r < 0)
                runsc->runtime = NULL;
        if (!has_path(runsc->runtime)) {
                cJSON_Delete(runsc->runtime);
                runsc->witness = "Docker";
                runsc->runtime = ask_docker(context, config);
        }
        if (!runsc->runtime && (r == -EACCES || r == -EPERM)) /* the one on $PATH may be another */
                return trouble_set(&context->trouble, -EACCES, NULL, "%s: %s", config->docker_daemon_json,
                                   strerror(-r));
        if (!runsc->runtime)
                runsc->witness = "$PATH";
        return executable_find(runsc->runtime ? registration_path(runsc->runtime) : "runsc", NULL, NULL,
                               &context->trouble, &runsc->path);
}

bool registered_runsc_see(Context *context, RegisteredRunsc *runsc, char **ret_version, Finding *finding) {
        const Config *config = context_gvisor(context, finding);
        Trouble *trouble = &context->trouble;
        Finding access = {0};
        int r;

        if (!config)
                return false;
        r = registered_runsc_find(context, config, runsc);
        if (r >= 0 && !program_access_judge(runsc->path, &access)) {
                finding_skip(finding, "tee-health --only runsc.program", "%s is not run: %s", runsc->path,
                             access.seen ? access.seen : "");
                finding_deinit(&access);
                return false;
        }
        finding_deinit(&access);
        if (r >= 0)
                r = runsc_version(&context->loop, runsc->path, context_left_ms(context) * USEC_PER_MSEC, trouble,
                                  ret_version);
        if (r < 0)
                finding_skip(finding, r == -EACCES ? "run it as root" : "tee-health --only runsc.program", "%s",
                             trouble->message ? trouble->message : strerror(-r));
        return r >= 0;
}
