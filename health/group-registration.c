/* SPDX-License-Identifier: Apache-2.0 */

/* Docker's file and the running Docker may tell different stories, and the next restart would change what sandboxes run
 * on. The first check looks at the file alone, the second holds one against the other. */

#include "executable.h"
#include "file.h"
#include "groups.h"
#include "program-access.h"
#include "registration.h"
#include "runtime-arguments.h"

#include <errno.h>
#include <string.h>

#define REMEDY_RELOAD "systemctl reload docker"

/* Reads the file's registration. Returns false when the finding has told why there is none to be looked at. */
static bool read_file(Context *context, const Config *config, cJSON **ret_runtime, Finding *finding) {
        const char *path = config->docker_daemon_json;
        CLEANUP_FREE char *reason = NULL,
                          *no_file = text_format("%s; where OCI runtimes are registered by dockerd's options, set "
                                                 "docker.daemon_json = \"\" in tee.conf",
                                                 context_install(context, false));
        int r = registration_read(path, config->oci_runtime, ret_runtime, &reason);

        if (r == -EINVAL)
                finding_fail(finding, "mend the file: Docker does not start with it", "%s: %s", path,
                             reason ? reason : strerror(ENOMEM));
        else if (!path[0])
                finding_skip(finding, NULL, "docker.daemon_json is empty in %s: it is not to be looked at",
                             config->path);
        else if (r == -EACCES || r == -EPERM)
                finding_skip(finding, "run it as root", "%s: %s", path, strerror(-r));
        else if (r == -ENOENT)
                finding_warn(finding, no_file, "there is no %s", path);
        else if (r < 0)
                finding_fail(finding, "make it a file that can be read", "%s: %s", path, strerror(-r));
        return r >= 0;
}

/* ---- the file ---- */

/* A name without a slash is looked for where Docker would. */
static void look_at_path(Context *context, const char *name, const char *path, Finding *finding) {
        CLEANUP_FREE char *found = NULL;
        int r = executable_find(path, NULL, NULL, &context->trouble, &found);

        if (r == -EACCES)
                finding_skip(finding, "run it as root", "%s",
                             context->trouble.message ? context->trouble.message : path);
        else if (r < 0)
                finding_fail(finding, context_install(context, true),
                             "the OCI runtime %s is registered with a program that is not there: %s", name,
                             context->trouble.message ? context->trouble.message : path);
        else
                finding_pass(finding, "%s is %s", name, found);
}

static bool are_words(const cJSON *arguments) {
        const cJSON *word;

        cJSON_ArrayForEach(word, arguments) {
                if (!cJSON_IsString(word))
                        return false;
        }
        return !arguments || cJSON_IsNull(arguments) || cJSON_IsArray(arguments);
}

static void look_at_file(Context *context, Finding *finding) {
        const Config *config = context_gvisor(context, finding);
        CLEANUP_JSON cJSON *runtime = NULL;
        const char *path;

        if (!config || !read_file(context, config, &runtime, finding))
                return;
        path = registration_path(runtime);
        if (!path) {
                finding_fail(finding, context_install(context, false), "%s has no OCI runtime '%s'",
                             config->docker_daemon_json, config->oci_runtime);
                return;
        }
        if (path[0])
                look_at_path(context, config->oci_runtime, path, finding);
        else
                finding_skip(finding, NULL, "%s is a shim of containerd's (%s), whose arguments are not in %s",
                             config->oci_runtime, json_get_string(runtime, "runtimeType"), config->docker_daemon_json);
        if (!are_words(json_get(runtime, "runtimeArgs")))
                finding_fail(finding, "mend the file: Docker does not start with it",
                             "%s: runtimeArgs of %s is no list of words", config->docker_daemon_json,
                             config->oci_runtime);
        runtime_arguments_judge(runtime, context_install(context, true), finding);
}

/* ---- the running Docker ---- */

static void compare(Context *context, const Config *config, const cJSON *runtime, const cJSON *in_file,
                    Finding *finding) {
        const char *path = registration_path(runtime), *file_path = registration_path(in_file),
                   *name = config->oci_runtime;

        if (!file_path)
                finding_fail(finding, context_install(context, false),
                             "the running Docker has the OCI runtime %s, and %s does not: its next restart loses it",
                             name, config->docker_daemon_json);
        else if (strcmp(path, file_path) != 0)
                finding_fail(finding, REMEDY_RELOAD,
                             "the running Docker has the OCI runtime %s as '%s', and %s as '%s'", name, path,
                             config->docker_daemon_json, file_path);
        else if (!registration_same_arguments(runtime, in_file))
                finding_warn(finding, REMEDY_RELOAD, "the arguments of %s are others in %s than in the running Docker",
                             name, config->docker_daemon_json);
        else
                finding_pass(finding, "Docker has %s, as its file says", name);
}

/* Nothing speaks against what Docker would read: neither its arguments nor who may change its program. */
static bool is_harmless(Context *context, const cJSON *runtime) {
        CLEANUP_FREE char *path = NULL;
        Finding finding = {0};
        bool is;

        runtime_arguments_judge(runtime, NULL, &finding);
        is = executable_find(registration_path(runtime), NULL, NULL, &context->trouble, &path) >= 0 &&
             program_access_judge(path, &finding) && finding.verdict <= VERDICT_PASS;
        finding_deinit(&finding);
        return is;
}

static void look_at_missing(Context *context, const Config *config, Finding *finding) {
        CLEANUP_JSON cJSON *runtime = NULL;
        CLEANUP_FREE char *reason = NULL;
        int r = registration_read(config->docker_daemon_json, config->oci_runtime, &runtime, &reason);

        if (r >= 0 && registration_path(runtime)) {
                finding_fail(finding, REMEDY_RELOAD,
                             "the OCI runtime %s is in %s, but the running Docker has not read it", config->oci_runtime,
                             config->docker_daemon_json);
                if (is_harmless(context, runtime))
                        finding_fix(finding, "systemctl", "reload", "docker");
        } else {
                finding_fail(finding, context_install(context, false),
                             "the running Docker knows no OCI runtime '%s' (unknown or invalid runtime name: %s)",
                             config->oci_runtime, config->oci_runtime);
        }
}

static void look_at_running(Context *context, Finding *finding) {
        const Config *config = context_gvisor(context, finding);
        const cJSON *info = config ? context_info(context, VERDICT_SKIP, finding) : NULL, *runtime;
        CLEANUP_JSON cJSON *in_file = NULL;
        CLEANUP_FREE char *reason = NULL;
        int r;

        if (!info)
                return;
        runtime = registration_from_info(info, config->oci_runtime);
        if (!registration_path(runtime)) {
                look_at_missing(context, config, finding);
                return;
        }
        r = registration_read(config->docker_daemon_json, config->oci_runtime, &in_file, &reason);
        if (r >= 0)
                compare(context, config, runtime, in_file, finding);
        else if (r == -ENOENT)
                finding_pass(finding, "Docker has %s; there is no file to compare with", config->oci_runtime);
        else if (r == -EACCES || r == -EPERM)
                finding_skip(finding, "run it as root", "Docker has %s; whether its file agrees cannot be seen: %s: %s",
                             config->oci_runtime, config->docker_daemon_json, strerror(-r));
        else
                finding_fail(finding, "mend the file: Docker does not start with it", "%s: %s",
                             config->docker_daemon_json, reason ? reason : strerror(-r));
        runtime_arguments_judge(runtime, context_install(context, true), finding);
}

/* ---- the default ---- */

#define REMEDY_DEFAULT_OUT "take default-runtime out of it, then: systemctl reload docker"

/* What the file says of it: NULL for nothing. ret_document holds it. */
static const char *default_in_file(const char *path, cJSON **ret_document, int *ret_error) {
        CLEANUP_BUFFER Buffer text = BUFFER_INIT((size_t) 1024 * 1024);
        JsonError error;

        *ret_error = path[0] ? file_read(path, &text) : 0;
        *ret_document = *ret_error >= 0 && text.size > 0 ? json_parse(text.data, text.size, &error) : NULL;
        return json_get_string(*ret_document, "default-runtime");
}

static void look_at_default(Context *context, Finding *finding) {
        const Config *config = context_config(context, finding);
        const cJSON *info = config ? context_info(context, VERDICT_SKIP, finding) : NULL;
        const char *running = json_get_string(info, "DefaultRuntime"), *in_file;
        CLEANUP_JSON cJSON *document = NULL;
        int r;

        if (!info)
                return;
        in_file = default_in_file(config->docker_daemon_json, &document, &r);
        if (r == -EACCES || r == -EPERM)
                finding_skip(finding, "run it as root", "%s: %s", config->docker_daemon_json, strerror(-r));
        else if (!running || !registration_from_info(info, running))
                finding_fail(finding, REMEDY_RELOAD, "Docker's default OCI runtime is '%s', which it does not have",
                             running ? running : "");
        else if (in_file && !registration_from_info(info, in_file) &&
                 !json_get(json_get_object(document, "runtimes"), in_file))
                finding_fail(
                        finding, REMEDY_DEFAULT_OUT,
                        "%s makes '%s' the default OCI runtime, which is registered nowhere: Docker does not start "
                        "with it",
                        config->docker_daemon_json, in_file);
        else if (in_file && strcmp(in_file, running) != 0)
                finding_warn(finding, REMEDY_RELOAD,
                             "Docker's default OCI runtime is %s, and will be %s at its next restart, as %s says",
                             running, in_file, config->docker_daemon_json);
        else
                finding_pass(finding, "%s, for containers that ask for none; sandboxes ask for %s", running,
                             config_oci_runtime(config));
}

static const Check checks[] = {
        {
                .id = "registration.daemon_json",
                .title = "the OCI runtime is in daemon.json, without arguments that are dangerous",
                .look = look_at_file,
                .needs = "config.valid",
        },
        {
                .id = "registration.running",
                .title = "the running Docker has the OCI runtime, as its file says",
                .look = look_at_running,
                .needs = "docker.reachable",
                .vital = true,
        },
        {
                .id = "registration.default",
                .title = "Docker has the OCI runtime that it takes by default, as its file says",
                .look = look_at_default,
                .needs = "docker.reachable",
        },
};

const CheckGroup group_registration = CHECK_GROUP("registration", checks);
