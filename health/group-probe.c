/* SPDX-License-Identifier: Apache-2.0 */

/* What a sandbox promises is tried by programs that break it if they can. Each prints its steps, so that one which
 * never got to trying is told from one that was stopped: only the latter passes. */

#include "groups.h"
#include "probe.h"
#include "template.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DEADLINE_MS UINT64_C(60000)
#define MEMORY_MB UINT64_C(128)
#define PROCESSES UINT64_C(32)
#define PROCESSES_MEMORY_MB UINT64_C(512)
#define DISK_MB UINT64_C(4)
#define ODD_MEMORY_MB UINT64_C(96) /* no default, so that no sandbox stands ready for it */
#define GONE_USEC (20 * USEC_PER_SEC)
#define PAUSE_USEC (USEC_PER_SEC / 10)

#define REMEDY_REPORT "never run programs that nobody has reviewed on this host until this is understood"

static const char *way(const ProbeResult *result) {
        return result->direct ? "without the agent" : "through the agent";
}

/* Returns whether the program was run. */
static bool try(Context *context, const ProbeRequest *request, ProbeResult *result, Finding *finding) {
        if (!probe_run(context, request, result, finding))
                return false;
        if (!result->refusal)
                return true;
        finding_fail(finding, result->remedy ? result->remedy : "journalctl -u tee-agent -n 30", "%s", result->refusal);
        return false;
}

static bool is_status(const ProbeResult *result, const char *status) {
        return strcmp(result->status, status) == 0;
}

static void tell_end(const ProbeResult *result, Finding *finding) {
        finding_fail(finding, "tee-run a program of your own; journalctl -u tee-agent -n 30",
                     "the program that was to try it ended with %s %s%s%s%s%.80s", result->status, way(result),
                     result->cause ? ": " : "", result->cause ? result->cause : "",
                     result->output && result->output[0] ? ", having printed " : "",
                     result->output ? result->output : "");
}

/* ---- what it is ---- */

static void look_at_sandbox(Context *context, Finding *finding) {
        static const ProbeRequest request = {.program = PROBE_HELLO};
        CLEANUP(probe_result_deinit) ProbeResult result = {0};

        if (!try(context, &request, &result, finding))
                return;
        if (result.gvisor && result.kernel && result.warm)
                finding_pass(finding, "%s, one that had stood ready: the guest found the kernel %s", way(&result),
                             result.kernel);
        else if (result.gvisor && result.kernel)
                finding_pass(finding, "%s, ready after %.0f ms: the guest found the kernel %s", way(&result),
                             result.setup_ms, result.kernel);
        else
                finding_warn(finding, "tee-health --only agent.mode --only agent.environment",
                             "gVisor is DISABLED: %s, the kernel is the host's own%s%s", way(&result),
                             result.kernel ? ", " : "", result.kernel ? result.kernel : "");
}

static void look_at_program(Context *context, Finding *finding) {
        static const ProbeRequest request = {.program = PROBE_HELLO};
        CLEANUP(probe_result_deinit) ProbeResult result = {0};

        if (!try(context, &request, &result, finding))
                return;
        if (is_status(&result, "ok") && result.output && strcmp(result.output, "tee-health\n") == 0)
                finding_pass(finding, "a program ran %s, and printed what it was to", way(&result));
        else
                tell_end(&result, finding);
}

static void look_at_user(Context *context, Finding *finding) {
        static const ProbeRequest request = {.program = PROBE_USER};
        CLEANUP(probe_result_deinit) ProbeResult result = {0};
        unsigned uid;

        if (!try(context, &request, &result, finding))
                return;
        if (!is_status(&result, "ok") || !result.output || sscanf(result.output, "%u", &uid) != 1)
                tell_end(&result, finding);
        else if (uid == 0)
                finding_fail(finding, REMEDY_REPORT, "a program run %s is root in its sandbox", way(&result));
        else
                finding_pass(finding, "a program run %s is user %u", way(&result), uid);
}

/* ---- where it gets ---- */

/* The first line of output without its end, and where the rest begins. */
static char *take_line(const char *output, const char **ret_rest) {
        size_t size = strcspn(output, "\n");

        *ret_rest = output + size + (output[size] == '\n');
        return strndup(output, size);
}

/* It has to name lo: a program that saw no interface has not looked. */
static bool is_loopback_alone(const char *interfaces) {
        CLEANUP_FREE char *words = strdup(interfaces);
        char *place, *word = words ? strtok_r(words, " \n", &place) : NULL;
        bool is_seen = false;

        for (; word; word = strtok_r(NULL, " \n", &place)) {
                if (strcmp(word, "lo") != 0)
                        return false;
                is_seen = true;
        }
        return is_seen;
}

static void look_at_network(Context *context, Finding *finding) {
        static const ProbeRequest request = {.program = PROBE_NETWORK};
        CLEANUP(probe_result_deinit) ProbeResult result = {0};
        CLEANUP_FREE char *said = NULL;
        const char *interfaces;

        if (!try(context, &request, &result, finding))
                return;
        said = take_line(result.output ? result.output : "", &interfaces);
        if (!is_status(&result, "ok") || !said || !said[0])
                tell_end(&result, finding);
        else if (strcmp(said, "connected") == 0 || strcmp(said, "timeout") == 0)
                finding_fail(finding, REMEDY_REPORT "; tee-health --only registration",
                             "a program run %s found a way out: a connection to 192.0.2.1 was not refused at once (%s)",
                             way(&result), said);
        else if (strcmp(said, "NotCapable") == 0)
                finding_skip(finding, "sudo tee-health --only probe.network --probe=direct",
                             "the runtime refused a program run %s (NotCapable), so the sandbox was not tried; "
                             "--probe=direct tries it",
                             way(&result));
        else if (!is_loopback_alone(interfaces))
                finding_fail(finding, REMEDY_REPORT "; tee-health --only registration",
                             "a program run %s does not see a loopback alone: %s", way(&result),
                             interfaces[strspn(interfaces, " \n")] ? interfaces : "no interface at all");
        else
                finding_pass(finding, "a connection out of a program run %s fails: %s; it sees lo alone", way(&result),
                             said);
}

/* ---- how much it gets ---- */

/* The last number that it printed; 0 for none. */
static unsigned long last_step(const char *output) {
        unsigned long step = 0;

        for (const char *line = output; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
                if (*line >= '0' && *line <= '9')
                        step = strtoul(line, NULL, 10);
        return step;
}

/* A bound that a program is to run into, and the status of one that did. What it then does is the program's: most end
 * with an error. */
typedef struct Bound {
        const char *what, *status;
        uint64_t limit;
        uint64_t over;  /* steps that it may get beyond the limit */
        uint64_t under; /* so many before it an error may be its doing: the runtime itself takes the rest */
} Bound;

/* An error far from the limit has some other cause. */
static bool is_bounded(const ProbeResult *result, const Bound *bound, unsigned long step) {
        bool is_near = step + bound->under >= bound->limit;

        return is_status(result, bound->status) || (is_status(result, "error") && is_near);
}

static void judge_bound(const ProbeResult *result, const Bound *bound, Finding *finding) {
        unsigned long step = last_step(result->output);

        if ((result->output && strstr(result->output, "unbounded")) || step > bound->limit + bound->over)
                finding_fail(finding, REMEDY_REPORT,
                             "a program run %s that may have %llu %s got %lu, and was not stopped at its limit (%s)",
                             way(result), (unsigned long long) bound->limit, bound->what, step, result->status);
        else if (step == 0 || !is_bounded(result, bound, step))
                tell_end(result, finding);
        else
                finding_pass(finding, "a program run %s that may have %llu %s got %lu and no more (%s)", way(result),
                             (unsigned long long) bound->limit, bound->what, step, result->status);
}

static void look_at_bound(Context *context, const ProbeRequest *request, const Bound *bound, Finding *finding) {
        CLEANUP(probe_result_deinit) ProbeResult result = {0};

        if (try(context, request, &result, finding))
                judge_bound(&result, bound, finding);
}

/* A language's own heap takes its share, and the kernel's counting lags behind. */
static void look_at_memory(Context *context, Finding *finding) {
        static const ProbeRequest request = {
                .program = PROBE_MEMORY, .memory_mb = MEMORY_MB, .disk_mb = 1, .argument = MEMORY_MB};
        static const Bound bound = {"MB of memory", "memory_limit", MEMORY_MB, MEMORY_MB / 8, MEMORY_MB / 2};

        look_at_bound(context, &request, &bound, finding);
}

/* The runtime's own threads count, too. */
static void look_at_processes(Context *context, Finding *finding) {
        static const ProbeRequest request = {.program = PROBE_PROCESSES,
                                             .processes = PROCESSES,
                                             .memory_mb = PROCESSES_MEMORY_MB,
                                             .argument = PROCESSES};
        static const Bound bound = {"processes", "process_limit", PROCESSES, 0, PROCESSES / 2};

        look_at_bound(context, &request, &bound, finding);
}

static void look_at_disk(Context *context, Finding *finding) {
        static const ProbeRequest request = {.program = PROBE_DISK, .disk_mb = DISK_MB, .argument = DISK_MB};
        static const Bound bound = {"MB of disk", "disk_limit", DISK_MB, 0, 1};

        look_at_bound(context, &request, &bound, finding);
}

/* ---- what stays ---- */

/* Returns how many containers carry the label, or a negative errno. */
static int count_containers(Context *context, const char *label) {
        EngineAnswer answer = {0};
        DockerCall *call = NULL;
        int r = docker_container_list(context->engine.docker, "label", label, engine_on_done, &answer, &call);

        r = engine_await(&context->engine, r, &call, &answer, context_left_ms(context) * USEC_PER_MSEC);
        if (r >= 0)
                r = cJSON_IsArray(answer.json) ? cJSON_GetArraySize(answer.json) : -EBADMSG;
        engine_answer_deinit(&answer);
        return r;
}

static int await_none(Context *context, const char *label) {
        uint64_t until_usec = now_usec() + GONE_USEC;

        for (;;) {
                int n = count_containers(context, label);

                if (n <= 0 || now_usec() > until_usec || loop_sleep(&context->loop, PAUSE_USEC) < 0)
                        return n;
        }
}

static void look_at_remains(Context *context, Finding *finding) {
        static const ProbeRequest request = {.program = PROBE_HELLO, .memory_mb = ODD_MEMORY_MB};
        CLEANUP(probe_result_deinit) ProbeResult result = {0};
        CLEANUP_FREE char *label = NULL, *remedy = NULL;
        int n;

        if (!context_info(context, VERDICT_SKIP, finding) || !try(context, &request, &result, finding))
                return;
        if (!result.id || result.warm) { /* the label of a sandbox that had stood ready is not its execution's */
                finding_skip(finding, "docker ps --all --filter label=tee.instance",
                             "the sandbox of a program run %s cannot be told from others: %s", way(&result),
                             result.id ? "it had stood ready" : "the execution has no id");
                return;
        }
        label = text_format(TEMPLATE_LABEL_EXECUTION "=%s", result.id);
        remedy = text_format("docker ps --all --filter label=%s; journalctl -u tee-agent -u docker -n 30", label);
        n = label ? await_none(context, label) : -ENOMEM;
        if (n < 0)
                finding_skip(finding, "journalctl -n 20 -u docker", "Docker does not tell of its containers: %s",
                             strerror(-n));
        else if (n > 0)
                finding_fail(finding, remedy, "the sandbox of a program run %s is still there after its end",
                             way(&result));
        else
                finding_pass(finding, "the sandbox of a program run %s is gone", way(&result));
}

/* Of a check that was killed. Through the agent nothing stays: it has noticed. */
static void take_down(Context *context, Finding *finding) {
        int r;

        if (context->places.probe_mode == PROBE_AGENT || !context_info(context, VERDICT_SKIP, finding))
                return;
        r = probe_direct_tidy(context);
        if (r < 0)
                finding_fail(finding, "docker ps --all --filter label=tee.instance=tee-health",
                             "what it had made could not be taken down: %s",
                             context->trouble.message ? context->trouble.message : strerror(-r));
        else
                finding_pass(finding, "what it had made was taken down");
}

#define PROBE_CHECK(name, words, function, other)                                                        \
        {                                                                                                \
                .id = (name), .title = (words), .look = (function), .needs = (other), .tidy = take_down, \
                .deadline_ms = DEADLINE_MS                                                               \
        }

static const Check checks[] = {
        PROBE_CHECK("probe.sandbox", "a sandbox boots, and its kernel proves to be gVisor", look_at_sandbox,
                    "config.valid"),
        PROBE_CHECK("probe.program", "a program runs in it", look_at_program, "probe.sandbox"),
        PROBE_CHECK("probe.user", "a program is not root in it", look_at_user, "probe.program"),
        PROBE_CHECK("probe.network", "a program cannot get out of it", look_at_network, "probe.program"),
        PROBE_CHECK("probe.memory", "a program that fills its memory is stopped", look_at_memory, "probe.program"),
        PROBE_CHECK("probe.processes", "a program that starts processes is stopped", look_at_processes,
                    "probe.program"),
        PROBE_CHECK("probe.disk", "a program that fills its disk is stopped", look_at_disk, "probe.program"),
        PROBE_CHECK("probe.taken_down", "a sandbox is gone when its program has ended", look_at_remains,
                    "probe.program"),
};

const CheckGroup group_probe = CHECK_GROUP("probe", checks, .on_demand = true);
