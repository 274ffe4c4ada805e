/* SPDX-License-Identifier: Apache-2.0 */

/* What the agent says of itself: the same facts as JSON for programs and as one line for systemctl status. */

#include "status.h"
#include "json.h"
#include "version.h"

static int add_verdict(cJSON *object, const GateVerdict *verdict) {
        if (json_add(object, "code", json_new_string_or_null(verdict->code)) < 0 ||
            json_add(object, "reason", json_new_string_or_null(verdict->reason)) < 0)
                return -1;
        return json_add(object, "remedy", json_new_string_or_null(verdict->remedy));
}

static int add_gate(cJSON *status, const Gate *gate) {
        cJSON *object = cJSON_AddObjectToObject(status, "gate");
        GateVerdict verdict = gate_verdict(gate);

        if (!object || json_add(object, "state", cJSON_CreateString(gate_state_name(verdict.state))) < 0)
                return -1;
        return add_verdict(object, &verdict);
}

static int add_gvisor(cJSON *status, const StatusInput *input) {
        cJSON *object = cJSON_AddObjectToObject(status, "gvisor");

        if (!object || json_add(object, "enabled", cJSON_CreateBool(input->config->gvisor_enabled)) < 0 ||
            json_add(object, "oci_runtime", cJSON_CreateString(config_oci_runtime(input->config))) < 0)
                return -1;
        return json_add(object, "kernel", json_new_string_or_null(gate_kernel(input->gate)));
}

static int add_docker(cJSON *status, const StatusInput *input) {
        cJSON *object = cJSON_AddObjectToObject(status, "docker");

        if (!object || json_add(object, "version", json_new_string_or_null(gate_docker_version(input->gate))) < 0)
                return -1;
        return json_add(object, "api_version", json_new_string_or_null(docker_api_version(input->docker)));
}

static int add_number(cJSON *object, const char *key, uint64_t value) {
        return json_add(object, key, json_new_integer(value));
}

static int add_pool(cJSON *runtime, const StatusInput *input, size_t index) {
        cJSON *object = cJSON_AddObjectToObject(runtime, "pool");
        PoolCounts counts = pool_counts(input->pool, index);

        if (!object || add_number(object, "warm", input->config->runtimes[index].pool.warm) < 0 ||
            add_number(object, "ready", counts.ready) < 0 || add_number(object, "creating", counts.creating) < 0)
                return -1;
        return add_number(object, "failures", counts.failures);
}

static int add_runtimes(cJSON *status, const StatusInput *input) {
        cJSON *runtimes = cJSON_AddObjectToObject(status, "runtimes");

        if (!runtimes)
                return -1;
        for (size_t i = 0; i < input->config->runtimes_size; i++) {
                const ConfigRuntime *runtime = &input->config->runtimes[i];
                cJSON *object = cJSON_AddObjectToObject(runtimes, runtime->name);
                GateVerdict verdict = gate_runtime(input->gate, i);

                if (!object || json_add(object, "image", cJSON_CreateString(runtime->image)) < 0 ||
                    json_add(object, "available", cJSON_CreateBool(verdict.state == GATE_OPEN)) < 0 ||
                    add_verdict(object, &verdict) < 0 || add_pool(object, input, i) < 0)
                        return -1;
        }
        return 0;
}

static int add_executions(cJSON *status, const StatusInput *input) {
        cJSON *object = cJSON_AddObjectToObject(status, "executions");

        if (!object || add_number(object, "running", input->running) < 0 ||
            add_number(object, "queued", input->queued) < 0 ||
            add_number(object, "max_running", input->config->max_running) < 0 ||
            add_number(object, "queue_length", input->config->queue_length) < 0 ||
            add_number(object, "ended", metrics_executions(input->metrics)) < 0)
                return -1;
        return add_number(object, "refused", metrics_refusals(input->metrics));
}

char *status_to_json(const StatusInput *input) {
        CLEANUP_JSON cJSON *status = cJSON_CreateObject();

        if (!status || json_add(status, "version", cJSON_CreateString(TEE_VERSION)) < 0 ||
            add_gate(status, input->gate) < 0 || add_gvisor(status, input) < 0 || add_docker(status, input) < 0 ||
            add_runtimes(status, input) < 0 || add_executions(status, input) < 0)
                return NULL;
        return cJSON_PrintUnformatted(status);
}

char *status_health_to_json(const StatusInput *input) {
        CLEANUP_JSON cJSON *health = cJSON_CreateObject();
        cJSON *failing;

        if (!health || json_add(health, "gate", cJSON_CreateString("open")) < 0 ||
            json_add(health, "gvisor", cJSON_CreateBool(input->config->gvisor_enabled)) < 0)
                return NULL;
        failing = cJSON_AddArrayToObject(health, "failing_pools");
        if (!failing)
                return NULL;
        for (size_t i = 0; i < input->config->runtimes_size; i++) {
                cJSON *name;

                if (pool_counts(input->pool, i).failures == 0)
                        continue;
                name = cJSON_CreateString(input->config->runtimes[i].name);
                if (!cJSON_AddItemToArray(failing, name)) {
                        cJSON_Delete(name);
                        return NULL;
                }
        }
        return cJSON_PrintUnformatted(health);
}

/* What is most wanted comes first: the line of a shut gate is longer than many a terminal. */
char *status_line(const StatusInput *input) {
        GateVerdict verdict = gate_verdict(input->gate);
        bool shut = verdict.state == GATE_SHUT;
        size_t warm = 0;

        for (size_t i = 0; i < input->config->runtimes_size; i++)
                warm += pool_counts(input->pool, i).ready;
        return text_format("Gate %s%s%s%s, %s, %zu warm, %zu running, %zu queued%s%s%s%s",
                           gate_state_name(verdict.state), shut ? " (" : "", shut ? verdict.code : "", shut ? ")" : "",
                           input->config->gvisor_enabled ? "gVisor" : "gVisor is DISABLED", warm, input->running,
                           input->queued, shut ? ": " : "", shut && verdict.reason ? verdict.reason : "",
                           shut && verdict.remedy ? ". Remedy: " : "", shut && verdict.remedy ? verdict.remedy : "");
}
