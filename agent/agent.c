/* SPDX-License-Identifier: Apache-2.0 */

/* What comes in by HTTP becomes a job; admission decides when, the gate whether, and the sandbox how. Whatever may let
 * a waiting job go on (a place, a verdict) only wakes the pump, one deferred event source, so that no callback of one
 * part ever runs inside another. A place is a container that may exist: an execution that has ended holds its place
 * until Docker has destroyed its sandbox, and so the number of sandboxes on the host is bounded, not just the number of
 * programs. */

#include "agent.h"
#include "admission.h"
#include "banner.h"
#include "gate.h"
#include "job.h"
#include "journal.h"
#include "log.h"
#include "message-ids.h"
#include "metrics.h"
#include "notifier.h"
#include "pool.h"
#include "retired.h"
#include "scrape.h"
#include "status.h"

#include <errno.h>
#include <string.h>
#include <systemd/sd-id128.h>

/* After the last answer: for clients to take it and for Docker to destroy the last sandboxes. */
#define FAREWELL_USEC (5 * USEC_PER_SEC)

struct Agent {
        sd_event *event;
        Config *config;
        char *disable_gvisor;
        char boot_id[SD_ID128_STRING_MAX];

        Notifier *notifier;
        Http *http;
        Docker *docker;
        Containers *containers;
        Gate *gate;
        Pool *pool;
        Retired *retired;
        Admission *admission;
        Journal *journal;
        Metrics *metrics;
        Job *jobs;

        sd_event_source *pump, *turn_over;
        sd_event_source *drain_timer;
        bool draining, farewell;
};

static void wake_pump(Agent *agent) {
        int r = sd_event_source_set_enabled(agent->pump, SD_EVENT_ONESHOT);

        if (r < 0)
                log_line(LOG_ERR, "The pump cannot be woken: %s", strerror(-r));
}

static StatusInput status_input(const Agent *agent) {
        size_t queued = admission_queued(agent->admission), running = 0;

        for (const Job *job = agent->jobs; job; job = job_next(job))
                running++;
        return (StatusInput){
                .config = agent->config,
                .docker = agent->docker,
                .containers = agent->containers,
                .gate = agent->gate,
                .pool = agent->pool,
                .metrics = agent->metrics,
                .running = running - queued,
                .queued = queued,
        };
}

/* Sandboxes that stand ready hold no place: they have one each of their own, which they keep when they are taken. */
static size_t free_places(const Agent *agent) {
        size_t count = containers_count(agent->containers), pooled = pool_size(agent->pool);

        count = count > pooled ? count - pooled : 0;
        return count < agent->config->max_running ? agent->config->max_running - count : 0;
}

static void notify_status(Agent *agent) {
        StatusInput input = status_input(agent);

        CLEANUP_FREE char *line = status_line(&input);

        notifier_set_status(agent->notifier,
                            text_format("%s%s", agent->draining ? "Stopping. " : "", line ? line : ""));
}

/* ---- sandboxes that stand ready ---- */

static void on_failure(Agent *agent, SandboxFailure failure) {
        if (failure == SANDBOX_E_NOT_GVISOR) {
                log_message(LOG_ERR, MESSAGE_GATE_NOT_GVISOR,
                            "A sandbox has not proven that its kernel is gVisor; nothing runs until the gate is proven "
                            "anew");
                gate_distrust(agent->gate); /* nothing may pass until that is understood */
        } else if (failure != 0) {
                gate_check(agent->gate);
        }
}

static void on_pool_changed(void *userdata) {
        wake_pump(userdata);
}

static void on_pool_failed(SandboxFailure failure, void *userdata) {
        on_failure(userdata, failure);
        wake_pump(userdata);
}

/* Executions of a runtime that have a sandbox, or wait for theirs to be made. */
static size_t in_use(const Agent *agent, const ConfigRuntime *runtime) {
        size_t count = 0;

        for (const Job *job = agent->jobs; job; job = job_next(job)) {
                const Execution *execution = job_execution(job);

                if (execution_is_started(execution) &&
                    strcmp(execution_request(execution)->runtime, runtime->name) == 0)
                        count++;
        }
        return count;
}

/* What stands ready was made under a verdict that must still hold when it is taken. */
static void fill_pool(Agent *agent) {
        const Config *config = agent->config;

        if (agent->draining || gate_verdict(agent->gate).state != GATE_OPEN) {
                pool_clear(agent->pool);
                return;
        }
        for (size_t i = 0; i < config->runtimes_size; i++) {
                SandboxContext context = gate_sandbox_context(agent->gate);
                Refusal refusal = {0};
                const char *image_id;

                if (config->runtimes[i].pool.warm == 0)
                        continue;
                image_id = gate_admit(agent->gate, config->runtimes[i].name, &refusal);
                if (refusal.code)
                        pool_clear_runtime(agent->pool, i);
                refusal_deinit(&refusal);
                if (image_id)
                        pool_fill(agent->pool, i, &context, image_id, in_use(agent, &config->runtimes[i]));
        }
}

/* ---- jobs ---- */

static void job_finish(Agent *agent, Job *job) {
        admission_remove(agent->admission, job_execution(job));
        job_unlink(&agent->jobs, job);
        job_free(job);
        wake_pump(agent);
}

static void on_job_ended(Job *job, const Result *result, const Refusal *refusal, SandboxFailure failure,
                         void *userdata) {
        Agent *agent = userdata;
        const char *runtime = execution_request(job_execution(job))->runtime;

        if (result) {
                metrics_execution_ended(agent->metrics, runtime, result);
                journal_execution_ended(runtime, job_uid(job), result);
        } else {
                metrics_refused(agent->metrics, refusal);
                (failure != 0 ? journal_sandbox_failed : journal_refused)(
                        agent->journal, execution_id(job_execution(job)), runtime, job_uid(job), refusal);
        }
        on_failure(agent, failure);
        job_finish(agent, job);
}

/* No program is begun while clients leave more than this of their answers lying: what those that run can add to it is
 * bounded by their own limits. */
static size_t answers_bound(const Agent *agent) {
        return (size_t) agent->config->answers_mb * 1024 * 1024;
}

/* Of its client. */
static uid_t uid_of(const Agent *agent, const Execution *execution) {
        const Job *job = agent->jobs;

        while (job && job_execution(job) != execution)
                job = job_next(job);
        return job ? job_uid(job) : (uid_t) -1;
}

/* Starts or refuses an execution, or leaves it waiting. Returns false when those behind it have to wait, too: not for
 * one whose image may be there by now, which only the next check of the gate can tell. */
static bool pump_one(Execution *execution, void *userdata) {
        Agent *agent = userdata;
        const Request *request = execution_request(execution);
        SandboxContext context = gate_sandbox_context(agent->gate);
        const ConfigRuntime *runtime;
        Refusal refusal = {0};
        const char *image_id = gate_admit(agent->gate, request->runtime, &refusal);

        if (!image_id && !refusal.code)
                return gate_verdict(agent->gate).state == GATE_OPEN;
        if (!image_id) {
                admission_remove(agent->admission, execution);
                execution_refuse(execution, &refusal);
                refusal_deinit(&refusal);
                return true;
        }
        if (free_places(agent) == 0 || http_waiting_bytes(agent->http) > answers_bound(agent))
                return false;

        runtime = config_runtime(agent->config, request->runtime);
        admission_remove(agent->admission, execution);
        if (!agent->config->gvisor_enabled) {
                metrics_begun_without_gvisor(agent->metrics);
                journal_begun_without_gvisor(execution_id(execution), runtime->name, uid_of(agent, execution));
        }
        execution_start(execution, &(ExecutionStart){
                                           .context = &context,
                                           .config = agent->config,
                                           .runtime = runtime,
                                           .image_id = image_id,
                                           .boot_id = agent->boot_id,
                                           .retired = agent->retired,
                                           .ready = pool_take(agent->pool, config_runtime_index(agent->config, runtime),
                                                              image_id, request),
                                   });
        return true;
}

/* Does any program run, or get its sandbox? */
static bool is_busy(const Agent *agent) {
        for (const Job *job = agent->jobs; job; job = job_next(job))
                if (execution_is_started(job_execution(job)))
                        return true;
        return false;
}

static int on_pump(sd_event_source *source, void *userdata) {
        Agent *agent = userdata;

        (void) source;
        admission_offer(agent->admission, pump_one, agent);
        if (admission_queued(agent->admission) > 0 || !is_busy(agent))
                retired_clear(agent->retired);
        fill_pool(agent);
        notify_status(agent);
        return 0;
}

static int on_farewell_over(sd_event_source *source, uint64_t usec, void *userdata) {
        Agent *agent = userdata;

        (void) source;
        (void) usec;
        log_message(LOG_WARNING, MESSAGE_SANDBOX_NOT_REMOVED,
                    "Stopping with %zu sandboxes that Docker has not removed yet; the next start will",
                    containers_count(agent->containers));
        return sd_event_exit(agent->event, 0);
}

static int arm_drain(Agent *agent, uint64_t usec, sd_event_time_handler_t handler) {
        agent->drain_timer = sd_event_source_disable_unref(agent->drain_timer);
        return sd_event_add_time_relative(agent->event, &agent->drain_timer, CLOCK_MONOTONIC, usec, 0, handler, agent);
}

/* Runs after everything else in a turn of the loop, so that nothing has to remember to ask whether all is done. */
static int on_turn_over(sd_event_source *source, void *userdata) {
        Agent *agent = userdata;

        (void) source;
        if (agent->jobs || http_busy(agent->http) > 0)
                return 0;
        if (containers_count(agent->containers) == 0)
                return sd_event_exit(agent->event, 0);
        if (agent->farewell)
                return 0;
        agent->farewell = true;
        return arm_drain(agent, FAREWELL_USEC, on_farewell_over);
}

static void on_changed(void *userdata) {
        wake_pump(userdata);
}

/* ---- routes ---- */

static void refuse(Agent *agent, HttpExchange *exchange, const char *runtime, Refusal *refusal) {
        metrics_refused(agent->metrics, refusal);
        journal_refused(agent->journal, NULL, runtime, http_exchange_uid(exchange), refusal);
        http_exchange_refuse(exchange, refusal);
        refusal_deinit(refusal);
}

static int parse_query(const HttpExchange *exchange, bool *ret_streaming, Refusal *ret_refusal) {
        const char *unknown = http_exchange_unknown_query(exchange, "stream");
        const char *stream = http_exchange_query(exchange, "stream");

        if (unknown)
                return refusal_set(ret_refusal, 400, "invalid_query", unknown, NULL,
                                   "there is no such parameter, or it stands twice");
        if (stream && strcmp(stream, "0") != 0 && strcmp(stream, "1") != 0)
                return refusal_set(ret_refusal, 400, "invalid_query", "stream", NULL, "must be 0 or 1");
        *ret_streaming = stream && strcmp(stream, "1") == 0;
        return 0;
}

static int set_out_of_memory(Refusal *ret_refusal) {
        return refusal_set(ret_refusal, 503, "out_of_memory", NULL, NULL, "the agent has no memory for this now");
}

/* Nobody waits longer for a sandbox than for the program. */
static uint64_t longest_wait_ms(const Config *config, const Request *request) {
        uint64_t wall_ms = request->limits[CONFIG_LIMIT_WALL_MS];

        return wall_ms < config->queue_ms ? wall_ms : config->queue_ms;
}

/* Everything that can refuse a request before it becomes an execution, from the request itself to the queue.
 * *ret_runtime is the one that it asks for, once that is known to be one; it belongs to the configuration. */
static int admit(Agent *agent, HttpExchange *exchange, const char **ret_runtime, Refusal *ret_refusal) {
        CLEANUP(request_freep) Request *request = NULL;
        const Buffer *body = http_exchange_body(exchange);
        const ConfigRuntime *runtime;
        bool streaming = false;
        uint64_t wait_ms;
        Job *job;
        int r;

        r = parse_query(exchange, &streaming, ret_refusal);
        if (r < 0)
                return r;
        r = request_parse(body->data, body->size, agent->config, &request, ret_refusal);
        if (r == -ENOMEM)
                return set_out_of_memory(ret_refusal);
        if (r < 0)
                return r;
        runtime = config_runtime(agent->config, request->runtime);
        *ret_runtime = runtime ? runtime->name : NULL;
        if (agent->draining)
                return refusal_set(ret_refusal, 503, "shutting_down", NULL, NULL, "the agent is stopping");
        gate_knock(agent->gate);
        if (gate_verdict(agent->gate).state == GATE_SHUT && !gate_admit(agent->gate, request->runtime, ret_refusal) &&
            ret_refusal->code)
                return -EINVAL;

        wait_ms = longest_wait_ms(agent->config, request);
        if (job_new(agent->event, exchange, request, streaming, on_job_ended, agent, &job) < 0)
                return set_out_of_memory(ret_refusal);
        request = NULL;
        r = admission_add(agent->admission, job_execution(job), agent->config->queue_length + free_places(agent),
                          wait_ms, ret_refusal);
        if (r < 0) {
                job_free(job);
                return r == -ENOMEM ? set_out_of_memory(ret_refusal) : r;
        }
        job_link(&agent->jobs, job);
        wake_pump(agent);
        return 0;
}

static void handle_execute(HttpExchange *exchange, void *userdata) {
        const char *runtime = NULL;
        Refusal refusal = {0};

        if (admit(userdata, exchange, &runtime, &refusal) < 0)
                refuse(userdata, exchange, runtime, &refusal);
}

static void handle_status(HttpExchange *exchange, void *userdata) {
        StatusInput input = status_input(userdata);

        http_exchange_answer(exchange, 200, status_to_json(&input));
}

static void handle_metrics(HttpExchange *exchange, void *userdata) {
        StatusInput input = status_input(userdata);

        http_exchange_answer_text(exchange, EXPOSITION_CONTENT_TYPE, scrape(&input));
}

static void handle_health(HttpExchange *exchange, void *userdata) {
        Agent *agent = userdata;
        GateVerdict verdict = gate_verdict(agent->gate);
        Refusal refusal = {0};

        if (verdict.state == GATE_OPEN && !agent->draining) {
                StatusInput input = status_input(agent);

                http_exchange_answer(exchange, 200, status_health_to_json(&input));
                return;
        }
        if (agent->draining)
                refusal_set(&refusal, 503, "shutting_down", NULL, NULL, "the agent is stopping");
        else if (verdict.state == GATE_SHUT)
                refusal_set(&refusal, 503, verdict.code, NULL, verdict.remedy, "%s",
                            verdict.reason ? verdict.reason : "");
        else
                refusal_set(&refusal, 503, "checking", NULL, NULL, "the gate has no verdict yet");
        http_exchange_refuse(exchange, &refusal);
        refusal_deinit(&refusal);
}

static void on_gone(HttpExchange *exchange, void *userdata) {
        Agent *agent = userdata;
        Job *job = http_exchange_userdata(exchange);
        Execution *execution;
        const char *runtime;

        if (!job)
                return;
        execution = job_execution(job);
        runtime = execution_request(execution)->runtime;
        metrics_client_left(agent->metrics, runtime);
        journal_client_left(agent->journal, runtime, job_uid(job), execution_is_started(execution),
                            execution_result(execution));
        job_finish(agent, job);
}

static void on_drained(HttpExchange *exchange, void *userdata) {
        Job *job = http_exchange_userdata(exchange);

        (void) userdata;
        if (job)
                job_flush(job);
}

/* Somebody may have waited for the room that an answer took. */
static void on_settled(void *userdata) {
        Agent *agent = userdata;

        if (admission_queued(agent->admission) > 0)
                wake_pump(agent);
}

static void on_http_refused(const Refusal *refusal, uid_t client, void *userdata) {
        Agent *agent = userdata;

        metrics_refused(agent->metrics, refusal);
        journal_refused(agent->journal, NULL, NULL, client, refusal);
}

static const HttpRoute routes[] = {
        {.method = "POST", .path = "/v1/executions", .takes_body = true, .handle = handle_execute},
        {.method = "GET", .path = "/v1/status", .handle = handle_status},
        {.method = "GET", .path = "/healthz", .handle = handle_health},
        {.method = "GET", .path = "/metrics", .handle = handle_metrics},
};

/* ---- reload ---- */

/* Settings that are used once, at start. Returns the name of one that differs, or NULL. */
static const char *needs_restart(const Config *old, const Config *new) {
        if (strcmp(old->docker_socket, new->docker_socket) != 0)
                return "docker.socket";
        if (strcmp(old->instance, new->instance) != 0)
                return "agent.instance";
        if (old->docker_call_ms != new->docker_call_ms)
                return "docker.call_ms";
        return old->max_connections != new->max_connections ? "http.max_connections" : NULL;
}

static int load_config(const Agent *agent, Config **ret_config, char **ret_message) {
        CLEANUP(config_freep) Config *config = NULL;
        int r = config_load(agent->config->path, &config, ret_message);

        if (r >= 0)
                r = config_apply_disable_gvisor(config, agent->disable_gvisor, ret_message);
        if (r >= 0)
                *ret_config = TAKE_PTR(config);
        return r;
}

static void apply_config(Agent *agent, Config *config) {
        const char *restart = needs_restart(agent->config, config);
        bool was_enabled = agent->config->gvisor_enabled;
        int r = metrics_set_config(agent->metrics, config);

        if (r >= 0)
                r = pool_set_config(agent->pool, config);
        if (r >= 0)
                r = gate_set_config(agent->gate, config);
        if (r < 0) {
                log_message(LOG_ERR, MESSAGE_CONFIGURATION_REFUSED, "The configuration stays as it was: %s",
                            strerror(-r));
                (void) pool_set_config(agent->pool, agent->config); /* an empty pool, if that fails, too */
                config_free(config);
                return;
        }
        config_free(agent->config);
        agent->config = config;
        http_set_limits(agent->http, config->body_kb * 1024, config->request_ms * USEC_PER_MSEC);
        log_line(LOG_INFO, "Read the configuration anew from %s", config->path);
        if (restart)
                log_line(LOG_WARNING, "%s has changed, which needs a restart", restart);
        if (was_enabled && !config->gvisor_enabled)
                log_message(LOG_WARNING, MESSAGE_GVISOR_DISABLED, "%s", banner_gvisor_disabled);
}

void agent_reload(Agent *agent) {
        CLEANUP_FREE char *message = NULL;
        CLEANUP_FREE char *reloading = text_format("RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long) now_usec());
        Config *config = NULL;

        if (agent->draining)
                return;
        if (reloading)
                notifier_send(agent->notifier, reloading);
        if (load_config(agent, &config, &message) < 0)
                log_message(LOG_ERR, MESSAGE_CONFIGURATION_REFUSED, "The configuration stays as it was: %s",
                            message ? message : "out of memory");
        else
                apply_config(agent, config);
        notifier_send(agent->notifier, "READY=1");
}

/* ---- drain ---- */

static void cancel_jobs(Agent *agent) {
        for (Job *job = agent->jobs, *next; job; job = next) {
                next = job_next(job);
                execution_cancel(job_execution(job), "the agent is stopping");
        }
}

static int on_drain_over(sd_event_source *source, uint64_t usec, void *userdata) {
        Agent *agent = userdata;

        (void) source;
        (void) usec;
        cancel_jobs(agent);
        agent->farewell = true;
        return arm_drain(agent, FAREWELL_USEC, on_farewell_over);
}

static void refuse_queued(Agent *agent) {
        Execution *execution;

        while ((execution = admission_first(agent->admission))) {
                admission_remove(agent->admission, execution);
                execution_cancel(execution, "the agent is stopping");
        }
}

/* The service manager kills what takes longer to stop than its unit says, unless it is told. */
static void tell_stopping(Agent *agent) {
        uint64_t usec = agent->config->drain_ms * USEC_PER_MSEC + 2 * FAREWELL_USEC;
        CLEANUP_FREE char *stopping = text_format("STOPPING=1\nEXTEND_TIMEOUT_USEC=%llu", (unsigned long long) usec);

        notifier_send(agent->notifier, stopping ? stopping : "STOPPING=1");
}

void agent_drain(Agent *agent) {
        int r;

        if (!agent->draining) {
                agent->draining = true;
                tell_stopping(agent);
                http_drain(agent->http);
                gate_stop(agent->gate);
                refuse_queued(agent);
                r = sd_event_source_set_enabled(agent->turn_over, SD_EVENT_ON);
                if (r >= 0)
                        r = arm_drain(agent, agent->config->drain_ms * USEC_PER_MSEC, on_drain_over);
        } else {
                r = arm_drain(agent, 0, on_drain_over);
        }
        if (r < 0)
                (void) sd_event_exit(agent->event, r);
        wake_pump(agent);
}

/* ---- the whole ---- */

static int make_sources(Agent *agent) {
        int r = sd_event_add_defer(agent->event, &agent->pump, on_pump, agent);

        if (r >= 0)
                r = sd_event_add_post(agent->event, &agent->turn_over, on_turn_over, agent);
        if (r >= 0)
                r = sd_event_source_set_enabled(agent->turn_over, SD_EVENT_OFF);
        if (r < 0)
                return r;
        r = sd_event_source_set_exit_on_failure(agent->pump, true);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(agent->pump, "agent-pump");
        (void) sd_event_source_set_description(agent->turn_over, "agent-turn-over");
        return 0;
}

static int make_parts(Agent *agent, const Config *config, int listen_fd) {
        HttpOptions options = {
                .routes = routes,
                .routes_size = ARRAY_SIZE(routes),
                .max_connections = (unsigned) config->max_connections,
                .body_limit = config->body_kb * 1024,
                .request_usec = config->request_ms * USEC_PER_MSEC,
                .drained = on_drained,
                .gone = on_gone,
                .settled = on_settled,
                .refused = on_http_refused,
                .userdata = agent,
        };
        static const PoolHandlers pool_handlers = {.changed = on_pool_changed, .failed = on_pool_failed};
        int r = notifier_new(agent->event, &agent->notifier);

        if (r >= 0)
                r = docker_new(agent->event, config->docker_socket, config->docker_call_ms, &agent->docker);
        if (r >= 0)
                r = containers_new(agent->event, agent->docker, config->instance, agent->boot_id, on_changed, agent,
                                   &agent->containers);
        if (r >= 0)
                r = gate_new(agent->event, agent->docker, agent->containers, config, agent->boot_id, on_changed, agent,
                             &agent->gate);
        if (r >= 0)
                r = pool_new(agent->event, config, agent->boot_id, &pool_handlers, agent, &agent->pool);
        if (r >= 0)
                r = retired_new(agent->event, &agent->retired);
        if (r >= 0)
                r = admission_new(agent->event, &agent->admission);
        if (r >= 0)
                r = journal_new(agent->event, &agent->journal);
        if (r >= 0)
                r = metrics_new(config, &agent->metrics);
        return r < 0 ? r : http_new(agent->event, listen_fd, &options, &agent->http);
}

int agent_new(sd_event *event, Config *config, const char *disable_gvisor, int listen_fd, Agent **ret_agent) {
        CLEANUP(agent_freep) Agent *agent = calloc(1, sizeof(*agent));
        sd_id128_t boot_id;
        int r;

        if (!agent)
                return -ENOMEM;
        agent->event = sd_event_ref(event);
        agent->disable_gvisor = disable_gvisor ? strdup(disable_gvisor) : NULL;
        if (disable_gvisor && !agent->disable_gvisor)
                return -ENOMEM;
        r = sd_id128_randomize(&boot_id);
        if (r < 0)
                return r;
        (void) sd_id128_to_string(boot_id, agent->boot_id);
        r = make_sources(agent);
        if (r >= 0)
                r = make_parts(agent, config, listen_fd);
        if (r < 0)
                return r;
        agent->config = config;
        if (!config->gvisor_enabled)
                log_message(LOG_WARNING, MESSAGE_GVISOR_DISABLED, "%s", banner_gvisor_disabled);
        gate_check(agent->gate);
        *ret_agent = TAKE_PTR(agent);
        return 0;
}

/* Clients first, then executions with their sandboxes, then what those stood on. */
Agent *agent_free(Agent *agent) {
        if (!agent)
                return NULL;
        http_free(agent->http);
        while (agent->jobs) {
                Job *job = agent->jobs;

                job_unlink(&agent->jobs, job);
                job_free(job);
        }
        admission_free(agent->admission);
        journal_free(agent->journal);
        metrics_free(agent->metrics);
        retired_free(agent->retired);
        pool_free(agent->pool);
        gate_free(agent->gate);
        containers_free(agent->containers);
        docker_free(agent->docker);
        notifier_free(agent->notifier);
        (void) sd_event_source_disable_unref(agent->pump);
        (void) sd_event_source_disable_unref(agent->turn_over);
        (void) sd_event_source_disable_unref(agent->drain_timer);
        (void) sd_event_unref(agent->event);
        config_free(agent->config);
        free(agent->disable_gvisor);
        free(agent);
        return NULL;
}
