/* SPDX-License-Identifier: Apache-2.0 */

/* All of GET /metrics: how things stand now, asked of the parts as the status is, and what has been counted. Whatever
 * is a label here comes from the configuration or from a closed list. */

#include "scrape.h"
#include "objection.h"
#include "process-metrics.h"
#include "version.h"

#include <string.h>

#define TEXT_MAX ((size_t) 4 * 1024 * 1024)

static void write_build(Exposition *exposition) {
        exposition_family(exposition, "tee_build_info", "gauge", "Always 1; its label tells the version.");
        exposition_number(exposition, LABELS({"version", TEE_VERSION}), 1);
}

static void write_gate(const Gate *gate, Exposition *exposition) {
        GateVerdict verdict = gate_verdict(gate);
        const char *code;

        exposition_family(exposition, "tee_gate_state", "gauge", "1 for the state that the gate is in.");
        for (size_t i = 0; i < GATE_STATE_COUNT_; i++)
                exposition_number(exposition, LABELS({"state", gate_state_name((GateState) i)}),
                                  verdict.state == (GateState) i);

        exposition_family(exposition, "tee_gate_shut", "gauge",
                          "1 for the reason why the gate is shut; 0 everywhere when it is not.");
        for (size_t i = 0; (code = objection_code(i)); i++)
                exposition_number(exposition, LABELS({"code", code}),
                                  verdict.state == GATE_SHUT && strcmp(verdict.code, code) == 0);
}

static void write_runtimes(const StatusInput *input, Exposition *exposition) {
        const Config *config = input->config;

        exposition_family(exposition, "tee_runtime_available", "gauge",
                          "1 when the image of the runtime is there, with a guest of this version.");
        for (size_t i = 0; i < config->runtimes_size; i++)
                exposition_number(exposition, LABELS({"runtime", config->runtimes[i].name}),
                                  gate_runtime(input->gate, i).state == GATE_OPEN);
}

static void write_pool(const StatusInput *input, Exposition *exposition) {
        const Config *config = input->config;

        exposition_family(exposition, "tee_pool_sandboxes", "gauge",
                          "Sandboxes that stand ready, or are being made for that.");
        for (size_t i = 0; i < config->runtimes_size; i++) {
                PoolCounts counts = pool_counts(input->pool, i);
                const char *runtime = config->runtimes[i].name;

                exposition_number(exposition, LABELS({"runtime", runtime}, {"state", "ready"}), counts.ready);
                exposition_number(exposition, LABELS({"runtime", runtime}, {"state", "creating"}), counts.creating);
        }
        exposition_family(exposition, "tee_pool_sandboxes_wanted", "gauge",
                          "Sandboxes that are to stand ready: pool.warm in tee.conf.");
        for (size_t i = 0; i < config->runtimes_size; i++)
                exposition_number(exposition, LABELS({"runtime", config->runtimes[i].name}),
                                  config->runtimes[i].pool.warm);
        exposition_family(exposition, "tee_pool_failures", "gauge",
                          "Sandboxes for the pool that have failed in a row; 0 once one stands ready.");
        for (size_t i = 0; i < config->runtimes_size; i++)
                exposition_number(exposition, LABELS({"runtime", config->runtimes[i].name}),
                                  pool_counts(input->pool, i).failures);
}

static void write_load(const StatusInput *input, Exposition *exposition) {
        exposition_gauge(exposition, "tee_executions_running", "Executions that have a sandbox or get one made.",
                         input->running);
        exposition_gauge(exposition, "tee_executions_running_max",
                         "How many may run at once: agent.max_running in tee.conf.", input->config->max_running);
        exposition_gauge(exposition, "tee_executions_queued", "Executions that wait for a place or for the gate.",
                         input->queued);
        exposition_gauge(exposition, "tee_executions_queued_max", "How many may wait: agent.queue_length in tee.conf.",
                         input->config->queue_length);
}

static void write_docker(const StatusInput *input, Exposition *exposition) {
        ContainersTotals totals = containers_totals(input->containers);
        DockerErrors errors = docker_errors(input->docker);

        exposition_gauge(exposition, "tee_sandboxes",
                         "Sandboxes that exist or may exist: being created, in use, or being removed.",
                         containers_count(input->containers));
        exposition_gauge(exposition, "tee_sandboxes_not_removed",
                         "Those of them that are there still although Docker was asked in vain to remove them.",
                         containers_not_removed(input->containers));
        exposition_counter(exposition, "tee_sandboxes_created_total",
                           "Sandboxes that Docker made, or may have made, also those that try the gate.",
                           totals.created);
        exposition_counter(exposition, "tee_sandboxes_destroyed_total", "Those of them that are gone.",
                           totals.destroyed);
        exposition_family(exposition, "tee_docker_errors_total", "counter",
                          "Calls of Docker's API where nobody could be reached (unreachable), without a usable answer "
                          "(unanswered), or with a status of 4xx (refused) or 5xx (failed).");
        exposition_number(exposition, LABELS({"kind", "unreachable"}), errors.unreachable);
        exposition_number(exposition, LABELS({"kind", "unanswered"}), errors.unanswered);
        exposition_number(exposition, LABELS({"kind", "refused"}), errors.refused);
        exposition_number(exposition, LABELS({"kind", "failed"}), errors.failed);
}

char *scrape(const StatusInput *input) {
        __attribute__((cleanup(exposition_deinit))) Exposition exposition = EXPOSITION_INIT(TEXT_MAX);

        write_build(&exposition);
        write_gate(input->gate, &exposition);
        exposition_gauge(&exposition, "tee_gvisor_enabled", "0 while programs run without gVisor.",
                         input->config->gvisor_enabled);
        write_runtimes(input, &exposition);
        write_pool(input, &exposition);
        write_load(input, &exposition);
        write_docker(input, &exposition);
        metrics_write(input->metrics, &exposition);
        process_metrics_write(&exposition, metrics_started_usec(input->metrics));
        return exposition_take(&exposition);
}
