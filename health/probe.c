/* SPDX-License-Identifier: Apache-2.0 */

#include "probe.h"

#include <errno.h>
#include <string.h>

#define WALL_MS UINT64_C(20000)

void probe_result_deinit(ProbeResult *result) {
        free(result->refusal);
        free(result->remedy);
        free(result->status);
        free(result->cause);
        free(result->output);
        free(result->kernel);
        free(result->id);
        *result = (ProbeResult){0};
}

/* ---- by whom ---- */

static bool is_direct(Context *context) {
        Finding finding = {0};
        bool is_there =
                context->places.probe_mode != PROBE_DIRECT && context_status(context, VERDICT_WARN, &finding) != NULL;
        bool is_refused = finding.verdict == VERDICT_SKIP; /* there, and not for this user */

        finding_deinit(&finding);
        trouble_deinit(&context->trouble);
        return context->places.probe_mode == PROBE_DIRECT ||
               (context->places.probe_mode == PROBE_AUTO && !is_there && !is_refused);
}

/* Without Docker no sandbox can be made, without the agent none be asked for. */
static bool is_possible(Context *context, bool direct, Finding *finding) {
        return direct ? context_info(context, VERDICT_SKIP, finding) != NULL
                      : context_agent_connects(context, VERDICT_SKIP, finding);
}

/* ---- with what ---- */

static bool is_available(Context *context, const ConfigRuntime *runtime) {
        const cJSON *all = json_get_object(context->status, "runtimes");

        return !all || cJSON_IsTrue(json_get(json_get_object(all, runtime->name), "available"));
}

/* The first whose language is known and that can be used, else the first whose language is known. */
static const ConfigRuntime *choose_runtime(Context *context, const Config *config, Finding *finding) {
        const ConfigRuntime *first = NULL;

        for (size_t i = 0; i < config->runtimes_size; i++) {
                const ConfigRuntime *runtime = &config->runtimes[i];

                if (!probe_source(runtime->entry, PROBE_HELLO))
                        continue;
                if (is_available(context, runtime))
                        return runtime;
                first = first ? first : runtime;
        }
        if (!first)
                finding_skip(finding, "configure a runtime whose entry ends with .ts, .js, .py or .sh",
                             "none of the runtimes in %s is for a language that the probe has programs in",
                             config->path);
        return first;
}

static int add_limit(cJSON *limits, const Config *config, ConfigLimitName name, uint64_t value) {
        uint64_t max = config->limits[name].max;

        if (value == 0)
                return 0;
        return json_add(limits, config_limit_name(name), json_new_integer(value < max ? value : max));
}

static char *make_body(const Config *config, const ConfigRuntime *runtime, const ProbeRequest *request) {
        CLEANUP_JSON cJSON *body = cJSON_CreateObject();
        CLEANUP_FREE char *argument = text_format("%llu", (unsigned long long) request->argument);
        cJSON *limits = cJSON_AddObjectToObject(body, "limits");

        if (!limits || !argument || json_add(body, "runtime", cJSON_CreateString(runtime->name)) < 0 ||
            json_add(body, "code", cJSON_CreateString(probe_source(runtime->entry, request->program))) < 0 ||
            json_add(body, "args", cJSON_CreateStringArray((const char *const[]){argument}, 1)) < 0 ||
            add_limit(limits, config, CONFIG_LIMIT_WALL_MS, WALL_MS) < 0 ||
            add_limit(limits, config, CONFIG_LIMIT_MEMORY_MB, request->memory_mb) < 0 ||
            add_limit(limits, config, CONFIG_LIMIT_PROCESSES, request->processes) < 0 ||
            add_limit(limits, config, CONFIG_LIMIT_DISK_MB, request->disk_mb) < 0)
                return NULL;
        return cJSON_PrintUnformatted(body);
}

bool probe_run(Context *context, const ProbeRequest *request, ProbeResult *ret_result, Finding *finding) {
        const Config *config = context_config(context, finding);
        CLEANUP_JSON_TEXT char *body = NULL;
        const ConfigRuntime *runtime;
        bool direct;
        int r;

        if (!config)
                return false;
        direct = is_direct(context);
        if (!is_possible(context, direct, finding))
                return false;
        runtime = choose_runtime(context, config, finding);
        if (!runtime)
                return false;
        *ret_result = (ProbeResult){0};
        body = make_body(config, runtime, request);
        if (!body)
                r = -ENOMEM;
        else
                r = direct ? probe_direct_run(context, runtime, body, ret_result)
                           : probe_agent_run(context, body, ret_result);
        if (r >= 0 && (ret_result->refusal || ret_result->status))
                return true;
        finding_fail(finding,
                     context->trouble.remedy ? context->trouble.remedy : "journalctl -u tee-agent -u docker -n 30",
                     "%s", context->trouble.message ? context->trouble.message : strerror(r < 0 ? -r : EBADMSG));
        probe_result_deinit(ret_result);
        return false;
}
