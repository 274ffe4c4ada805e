/* SPDX-License-Identifier: Apache-2.0 */

/* QUEUED until admission gives it a place, SETUP until its sandbox has proven itself, RUNNING from the moment the
 * program is on its way, STOPPING once a limit or a cancellation has asked the guest to kill it, ENDED. The dividing
 * line is the sending of the program: what fails before it is a refusal, which a client may simply repeat; what happens
 * after it is a result, with an outcome that says whose doing it was. Each outcome is decided in one function,
 * outcome_of_exit() or outcome_of_failure(), from what was seen. */

#include "execution.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <systemd/sd-id128.h>

/* How long a guest may take to answer STOP with its report, before the result does without one. */
#define STOP_GRACE_USEC (2 * USEC_PER_SEC)

typedef enum ExecutionState {
        EXECUTION_QUEUED,
        EXECUTION_SETUP,
        EXECUTION_RUNNING,
        EXECUTION_STOPPING,
        EXECUTION_ENDED,
} ExecutionState;

struct Execution {
        ExecutionState state;
        sd_event *event;
        char id[SD_ID128_STRING_MAX];
        Request *request;
        Sandbox *sandbox;
        Retired *retired;
        sd_event_source *timer;
        uint64_t open_files;
        bool keep_output;
        Outcome stop_outcome; /* of STOPPING: OUTCOME_WALL_LIMIT or OUTCOME_CANCELLED */
        char *stop_cause;
        uint64_t arrived_usec, start_usec, run_usec; /* moments */
        Result result;
        ExecutionHandlers handlers;
        void *userdata;
};

int execution_new(sd_event *event, Request *request, bool keep_output, uint64_t arrived_usec,
                  const ExecutionHandlers *handlers, void *userdata, Execution **ret_execution) {
        Execution *execution = calloc(1, sizeof(*execution));
        sd_id128_t id;
        size_t limit = request->limits[CONFIG_LIMIT_OUTPUT_KB] * 1024;
        int r = sd_id128_randomize(&id);

        if (!execution || r < 0) {
                free(execution);
                return r < 0 ? r : -ENOMEM;
        }
        *execution = (Execution){
                .state = EXECUTION_QUEUED,
                .event = sd_event_ref(event),
                .request = request,
                .keep_output = keep_output,
                .arrived_usec = arrived_usec,
                .handlers = *handlers,
                .userdata = userdata,
        };
        (void) sd_id128_to_string(id, execution->id);
        execution->result.id = execution->id;
        execution->result.labels = request->labels;
        execution->result.output.data = BUFFER_INIT(limit);
        execution->result.error_output.data = BUFFER_INIT(limit);
        *ret_execution = execution;
        return 0;
}

Execution *execution_free(Execution *execution) {
        if (!execution)
                return NULL;
        (void) sd_event_source_disable_unref(execution->timer);
        sandbox_free(execution->sandbox);
        request_free(execution->request);
        result_deinit(&execution->result);
        free(execution->stop_cause);
        (void) sd_event_unref(execution->event);
        free(execution);
        return NULL;
}

const char *execution_id(const Execution *execution) {
        return execution->id;
}

const Request *execution_request(const Execution *execution) {
        return execution->request;
}

static bool program_was_sent(const Execution *execution) {
        return execution->state == EXECUTION_RUNNING || execution->state == EXECUTION_STOPPING;
}

const Result *execution_result(Execution *execution) {
        if (program_was_sent(execution))
                execution->result.run_usec = now_usec() - execution->run_usec;
        return &execution->result;
}

bool execution_is_started(const Execution *execution) {
        return execution->state != EXECUTION_QUEUED;
}

static uint64_t limit(const Execution *execution, ConfigLimitName name) {
        return execution->request->limits[name];
}

/* ---- its end ---- */

static void end_refused(Execution *execution, const Refusal *refusal, SandboxFailure failure) {
        execution->state = EXECUTION_ENDED;
        execution->timer = sd_event_source_disable_unref(execution->timer);
        execution->sandbox = sandbox_free(execution->sandbox);
        execution->handlers.refused(execution, refusal, failure, execution->userdata);
}

static void end_with_result(Execution *execution, Outcome outcome, char *cause, char *evidence) {
        Result *result = &execution->result;
        uint64_t now = now_usec();

        execution->state = EXECUTION_ENDED;
        execution->timer = sd_event_source_disable_unref(execution->timer);
        execution->sandbox = sandbox_free(execution->sandbox);
        result->outcome = outcome;
        result->cause = cause;
        result->evidence = evidence;
        result->total_usec = now - execution->arrived_usec;
        if (result->run_usec == 0)
                result->run_usec = now - execution->run_usec;
        execution->handlers.ended(execution, result, execution->userdata);
}

static char *limit_cause(const Execution *execution, ConfigLimitName name, const char *what) {
        return text_format("limits.%s = %llu: %s", config_limit_name(name), (unsigned long long) limit(execution, name),
                           what);
}

/* RLIMIT_CPU tells by SIGXCPU, and kills a second later whoever ignores it. A program can raise either signal itself,
 * so the time must have been used, too; a tenth less is what the clocks of the two may differ. */
static bool is_cpu_limit(const Execution *execution, const FrameExit *report) {
        uint64_t limit_usec = limit(execution, CONFIG_LIMIT_CPU_MS) * USEC_PER_MSEC;

        return report->kind == FRAME_EXIT_SIGNALED && (report->value == SIGXCPU || report->value == SIGKILL) &&
               report->cpu_usec >= limit_usec - limit_usec / 10;
}

static Outcome outcome_of_exit(const Execution *execution, const FrameExit *report, char **ret_cause) {
        if (report->flags & FRAME_EXIT_FLAG_OUTPUT_LIMIT) {
                *ret_cause = limit_cause(execution, CONFIG_LIMIT_OUTPUT_KB, "the program printed more");
                return OUTCOME_OUTPUT_LIMIT;
        }
        if ((report->flags & FRAME_EXIT_FLAG_STOPPED) && execution->state != EXECUTION_STOPPING) {
                *ret_cause = strdup("the sandbox broke the guest protocol: stopped without a STOP");
                return OUTCOME_SANDBOX_CRASH;
        }
        if (report->flags & FRAME_EXIT_FLAG_STOPPED) {
                *ret_cause = execution->stop_cause ? strdup(execution->stop_cause) : NULL;
                return execution->stop_outcome;
        }
        if (is_cpu_limit(execution, report)) {
                *ret_cause = limit_cause(execution, CONFIG_LIMIT_CPU_MS, "the program used more CPU time");
                return OUTCOME_CPU_LIMIT;
        }
        if (report->kind == FRAME_EXIT_SIGNALED && report->value == SIGXFSZ) {
                *ret_cause = limit_cause(execution, CONFIG_LIMIT_DISK_MB, "SIGXFSZ, which tells of a larger file");
                return OUTCOME_DISK_LIMIT;
        }
        if (report->kind == FRAME_EXIT_SIGNALED)
                return OUTCOME_SIGNAL;
        return report->value == 0 ? OUTCOME_OK : OUTCOME_ERROR;
}

static char *exit_evidence(const Execution *execution, const FrameExit *report) {
        char name[16];

        return text_format("guest's report: %s %s%u, CPU time %.1f ms, run time %.1f ms, output %llu bytes%s",
                           report->kind == FRAME_EXIT_SIGNALED ? signal_name((int) report->value, name, sizeof(name))
                                                               : "exit code",
                           report->kind == FRAME_EXIT_SIGNALED ? "signal " : "", report->value,
                           (double) report->cpu_usec / 1000.0, (double) report->run_usec / 1000.0,
                           (unsigned long long) (report->stdout_bytes + report->stderr_bytes),
                           execution->state == EXECUTION_STOPPING ? ", stopped by the agent" : "");
}

static bool outcome_is_limit(Outcome outcome) {
        return outcome >= OUTCOME_WALL_LIMIT && outcome <= OUTCOME_DISK_LIMIT;
}

/* A sandbox is no witness of time: it cannot have run for longer than since it got its program, nor on more processors
 * than it may have processes. (gVisor counts tasks that wait for one, too.) */
static void take_times(Execution *execution, const FrameExit *report) {
        Result *result = &execution->result;
        uint64_t elapsed_usec = now_usec() - execution->run_usec, most_usec;

        if (__builtin_mul_overflow(elapsed_usec, limit(execution, CONFIG_LIMIT_PROCESSES) + 1, &most_usec))
                most_usec = UINT64_MAX;
        result->run_usec = report->run_usec < elapsed_usec ? report->run_usec : elapsed_usec;
        result->cpu_usec = report->cpu_usec < most_usec ? report->cpu_usec : most_usec;
}

static void on_exited(const FrameExit *report, void *userdata) {
        Execution *execution = userdata;
        Result *result = &execution->result;
        char *cause = NULL;
        Outcome outcome = outcome_of_exit(execution, report, &cause);

        if (outcome == OUTCOME_OK || outcome == OUTCOME_ERROR) {
                result->has_exit_code = true;
                result->exit_code = report->value;
        } else if (report->kind == FRAME_EXIT_SIGNALED) {
                result->signal = (int) report->value;
        }
        result->has_usage = true;
        result->memory_peak_bytes = report->memory_peak_bytes;
        take_times(execution, report);
        result->output.bytes = report->stdout_bytes;
        result->error_output.bytes = report->stderr_bytes;
        retired_add(execution->retired, TAKE_PTR(execution->sandbox));
        end_with_result(execution, outcome, cause, outcome_is_limit(outcome) ? exit_evidence(execution, report) : NULL);
}

/* What a sandbox's failure means once the program has been sent. */
static Outcome outcome_of_failure(const Execution *execution, const SandboxError *error, char **ret_cause) {
        if (error->failure == SANDBOX_E_FAULT && error->fault_reason == FRAME_FAULT_FILES &&
            (error->fault_errno == ENOSPC || error->fault_errno == EDQUOT || error->fault_errno == EFBIG)) {
                *ret_cause = limit_cause(execution, CONFIG_LIMIT_DISK_MB, "the request's files do not fit");
                return OUTCOME_DISK_LIMIT;
        }
        if (error->failure == SANDBOX_E_FAULT) {
                *ret_cause = strdup("the guest could not run the program");
                return OUTCOME_INTERNAL_ERROR;
        }
        if (error->failure == SANDBOX_E_MEMORY) {
                *ret_cause = limit_cause(execution, CONFIG_LIMIT_MEMORY_MB, "the sandbox used all of it");
                return OUTCOME_MEMORY_LIMIT;
        }
        if (error->failure == SANDBOX_E_DIED && error->oom_killed) {
                *ret_cause = limit_cause(execution, CONFIG_LIMIT_MEMORY_MB, "the kernel killed the sandbox");
                return OUTCOME_MEMORY_LIMIT;
        }
        if (execution->state == EXECUTION_STOPPING) {
                *ret_cause = execution->stop_cause ? strdup(execution->stop_cause) : NULL;
                return execution->stop_outcome;
        }
        if (error->failure == SANDBOX_E_LOST) {
                *ret_cause = strdup("Docker lost the connection to the sandbox while the program ran");
                return OUTCOME_INTERNAL_ERROR;
        }
        *ret_cause = strdup(error->failure == SANDBOX_E_PROTOCOL ? "the sandbox broke the guest protocol"
                                                                 : "the sandbox ended without a report");
        return OUTCOME_SANDBOX_CRASH;
}

static void refuse_after_failure(Execution *execution, const SandboxError *error) {
        static const char look_at_docker[] = "journalctl -u docker";
        Refusal refusal = {0};

        switch (error->failure) {
        case SANDBOX_E_NOT_GVISOR:
                refusal_set(&refusal, 503, "not_gvisor", NULL,
                            "check what the OCI runtime is: docker info, /etc/docker/daemon.json",
                            "the sandbox's kernel is not gVisor: %s", error->message);
                break;
        case SANDBOX_E_GUEST_VERSION:
                refusal_set(&refusal, 503, "guest_version_mismatch", "runtime",
                            "tee-install --refresh-runtimes --force", "%s", error->message);
                break;
        default:
                refusal_set(&refusal, 503, "sandbox_failed", NULL, look_at_docker, "no sandbox could be had: %s",
                            error->message);
        }
        end_refused(execution, &refusal, error->failure);
        refusal_deinit(&refusal);
}

static void on_failed(const SandboxError *error, void *userdata) {
        Execution *execution = userdata;
        char *cause = NULL;
        Outcome outcome;

        if (!program_was_sent(execution)) {
                refuse_after_failure(execution, error);
                return;
        }
        outcome = outcome_of_failure(execution, error, &cause);
        end_with_result(execution, outcome, cause, error->message ? strdup(error->message) : NULL);
}

/* ---- its run ---- */

/* The guest had its time to report. */
static int on_grace_over(sd_event_source *source, uint64_t usec, void *userdata) {
        Execution *execution = userdata;

        (void) source;
        (void) usec;
        end_with_result(execution, execution->stop_outcome,
                        execution->stop_cause ? strdup(execution->stop_cause) : NULL,
                        strdup("the guest did not answer STOP in time; the sandbox was destroyed"));
        return 0;
}

static int arm(Execution *execution, uint64_t usec, sd_event_time_handler_t handler) {
        execution->timer = sd_event_source_disable_unref(execution->timer);
        return sd_event_add_time_relative(execution->event, &execution->timer, CLOCK_MONOTONIC, usec, 1, handler,
                                          execution);
}

/* The program is killed once it has run for so long. Takes cause. */
static void stop(Execution *execution, uint64_t run_usec, Outcome outcome, char *cause) {
        execution->state = EXECUTION_STOPPING;
        execution->stop_outcome = outcome;
        execution->stop_cause = cause;
        if (sandbox_stop(execution->sandbox, run_usec) < 0 || arm(execution, STOP_GRACE_USEC, on_grace_over) < 0)
                end_with_result(execution, outcome, cause ? strdup(cause) : NULL,
                                strdup("the guest could not be reached; the sandbox was destroyed"));
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata) {
        Execution *execution = userdata;

        (void) source;
        (void) usec;
        if (!sandbox_is_alive(execution->sandbox))
                return 0; /* it died before, and why is being asked */
        stop(execution, limit(execution, CONFIG_LIMIT_WALL_MS) * USEC_PER_MSEC, OUTCOME_WALL_LIMIT,
             limit_cause(execution, CONFIG_LIMIT_WALL_MS, "the program was still running"));
        return 0;
}

static void on_output(FrameType stream, const uint8_t *data, size_t size, void *userdata) {
        Execution *execution = userdata;
        Result *result = &execution->result;
        ResultOutput *output = stream == FRAME_STDOUT ? &result->output : &result->error_output;
        uint64_t total = result->output.passed_on + result->error_output.passed_on + size;

        /* The guest keeps to the bound; one that does not is no longer ours. */
        if (total > limit(execution, CONFIG_LIMIT_OUTPUT_KB) * 1024 ||
            (execution->keep_output && buffer_append(&output->data, data, size) < 0)) {
                end_with_result(execution, OUTCOME_SANDBOX_CRASH,
                                strdup("the sandbox sent more output than its guest may"), NULL);
                return;
        }
        output->passed_on += size;
        output->bytes += size;
        execution->handlers.output(execution, stream, data, size, execution->userdata);
}

static void on_ready(const Evidence *evidence, void *userdata) {
        Execution *execution = userdata;
        Refusal refusal = {0};
        int r;

        execution->result.kernel = text_format("%s %s", evidence->release, evidence->version);
        r = arm(execution, limit(execution, CONFIG_LIMIT_WALL_MS) * USEC_PER_MSEC, on_deadline);
        execution->run_usec = now_usec(); /* the guest may have begun before the next line has ended */
        if (r >= 0)
                r = sandbox_run(execution->sandbox, execution->request, execution->open_files);
        if (r < 0) {
                refusal_set(&refusal, 503, "sandbox_failed", NULL, "send it again", "the program could not be sent: %s",
                            strerror(-r));
                end_refused(execution, &refusal, SANDBOX_E_DOCKER);
                refusal_deinit(&refusal);
                return;
        }
        execution->state = EXECUTION_RUNNING;
        execution->result.setup_usec = execution->run_usec - execution->start_usec;
        execution->handlers.started(execution, &execution->result, execution->userdata);
}

void execution_start(Execution *execution, const ExecutionStart *start) {
        static const SandboxHandlers handlers = {
                .ready = on_ready,
                .output = on_output,
                .exited = on_exited,
                .failed = on_failed,
        };
        TemplateInput input = {
                .config = start->config,
                .runtime = start->runtime,
                .image_id = start->image_id,
                .instance = containers_instance(start->context->containers),
                .boot_id = start->boot_id,
                .execution_id = execution->id,
                .memory_mb = limit(execution, CONFIG_LIMIT_MEMORY_MB),
                .disk_mb = limit(execution, CONFIG_LIMIT_DISK_MB),
        };
        int r;

        execution->state = EXECUTION_SETUP;
        execution->start_usec = now_usec();
        execution->open_files = start->config->sandbox_open_files;
        execution->retired = start->retired;
        execution->result.queue_usec = execution->start_usec - execution->arrived_usec;
        execution->result.gvisor = start->config->gvisor_enabled;
        execution->result.oci_runtime = strdup(config_oci_runtime(start->config));
        if (start->ready) {
                execution->sandbox = start->ready;
                execution->result.warm = true;
                sandbox_adopt(execution->sandbox, &handlers, execution);
                on_ready(sandbox_evidence(execution->sandbox), execution);
                return;
        }
        r = sandbox_new(start->context, &input, &handlers, execution, &execution->sandbox);
        if (r < 0)
                on_failed(&(SandboxError){.failure = SANDBOX_E_DOCKER, .message = strerror(-r)}, execution);
}

void execution_refuse(Execution *execution, const Refusal *refusal) {
        end_refused(execution, refusal, 0);
}

void execution_cancel(Execution *execution, const char *why) {
        Refusal refusal = {0};

        if (execution->state == EXECUTION_STOPPING) {
                (void) sandbox_stop(execution->sandbox, 0); /* at once, then; who is deaf has its grace */
        } else if (execution->state == EXECUTION_RUNNING && sandbox_is_alive(execution->sandbox)) {
                stop(execution, 0, OUTCOME_CANCELLED, strdup(why));
        } else if (!program_was_sent(execution)) {
                refusal_set(&refusal, 503, "shutting_down", NULL, NULL, "%s", why);
                end_refused(execution, &refusal, 0);
                refusal_deinit(&refusal);
        }
}
