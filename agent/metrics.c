/* SPDX-License-Identifier: Apache-2.0 */

/* A fixed table: as many series as there are runtimes in the configuration and names in closed lists, all there from
 * the start, so that the first crash is an increase from 0 and not a series that appears. Nothing that a client sends
 * can add one, and to count allocates nothing. A name that is in no list is "other". */

#include "metrics.h"

#include <errno.h>
#include <string.h>
#include <time.h>

/* A configuration has 64 at the most; each reload may bring others. */
#define RUNTIMES_MAX 128U
#define OTHER "other"
#define OTHER_RUNTIME "_other" /* which no runtime can be called */

/* docs/openapi.yaml, schema Refusal, but for "checking", which only /healthz says. */
static const char *const codes[] = {
        "invalid_json",
        "invalid_utf8",
        "invalid_field",
        "missing_field",
        "unknown_field",
        "duplicate_field",
        "conflicting_fields",
        "out_of_range",
        "unknown_runtime",
        "invalid_path",
        "too_many",
        "invalid_query",
        "body_too_large",
        "unsupported_media_type",
        "not_found",
        "method_not_allowed",
        "request_timeout",
        "queue_full",
        "queue_timeout",
        "out_of_memory",
        "shutting_down",
        "docker_unreachable",
        "docker_error",
        "oci_runtime_missing",
        "registration_mismatch",
        "not_gvisor",
        "probe_failed",
        "image_missing",
        "guest_version_mismatch",
        "sandbox_failed",
        OTHER,
};

typedef struct Series {
        char *runtime; /* NULL: of those that have no place here */
        uint64_t ended[OUTCOME_COUNT_];
        uint64_t warm;
        uint64_t cpu_usec;
        Histogram queue, setup, run, total;
} Series;

struct Metrics {
        Series *series; /* of the runtimes, and of the others last */
        size_t series_size;
        uint64_t refused[ARRAY_SIZE(codes)];
        uint64_t begun_without_gvisor;
        uint64_t not_gvisor;
        uint64_t started_usec; /* Unix time */
};

/* The last one stands for all that is not found. */
static Series *find_series(const Metrics *metrics, const char *runtime) {
        size_t i = 0;

        while (i < metrics->series_size - 1 && strcmp(metrics->series[i].runtime, runtime) != 0)
                i++;
        return &metrics->series[i];
}

static int add_runtime(Metrics *metrics, const char *runtime) {
        size_t size = metrics->series_size;
        Series *series;
        char *name;

        if (find_series(metrics, runtime)->runtime || size > RUNTIMES_MAX)
                return 0;
        series = reallocarray(metrics->series, size + 1, sizeof(*series));
        if (!series)
                return -ENOMEM;
        metrics->series = series;
        name = strdup(runtime);
        if (!name)
                return -ENOMEM;
        series[size] = series[size - 1];
        series[size - 1] = (Series){.runtime = name};
        metrics->series_size++;
        return 0;
}

int metrics_set_config(Metrics *metrics, const Config *config) {
        int r = 0;

        for (size_t i = 0; i < config->runtimes_size && r >= 0; i++)
                r = add_runtime(metrics, config->runtimes[i].name);
        return r;
}

static uint64_t unix_usec(void) {
        struct timespec now;

        (void) clock_gettime(CLOCK_REALTIME, &now);
        return (uint64_t) now.tv_sec * USEC_PER_SEC + (uint64_t) now.tv_nsec / 1000;
}

int metrics_new(const Config *config, Metrics **ret_metrics) {
        CLEANUP(metrics_freep) Metrics *metrics = calloc(1, sizeof(*metrics));
        int r;

        if (!metrics)
                return -ENOMEM;
        metrics->series = calloc(1, sizeof(*metrics->series));
        if (!metrics->series)
                return -ENOMEM;
        metrics->series_size = 1;
        metrics->started_usec = unix_usec();
        r = metrics_set_config(metrics, config);
        if (r < 0)
                return r;
        *ret_metrics = TAKE_PTR(metrics);
        return 0;
}

Metrics *metrics_free(Metrics *metrics) {
        if (!metrics)
                return NULL;
        for (size_t i = 0; i < metrics->series_size; i++)
                free(metrics->series[i].runtime);
        free(metrics->series);
        free(metrics);
        return NULL;
}

/* ---- counting ---- */

void metrics_execution_ended(Metrics *metrics, const char *runtime, const Result *result) {
        Series *series = find_series(metrics, runtime);

        series->ended[result->outcome]++;
        series->warm += result->warm;
        series->cpu_usec = saturating_add(series->cpu_usec, result->cpu_usec);
        histogram_observe(&series->queue, result->queue_usec);
        histogram_observe(&series->setup, result->setup_usec);
        histogram_observe(&series->run, result->run_usec);
        histogram_observe(&series->total, result->total_usec);
}

void metrics_begun_without_gvisor(Metrics *metrics) {
        metrics->begun_without_gvisor++;
}

void metrics_not_gvisor(Metrics *metrics) {
        metrics->not_gvisor++;
}

void metrics_client_left(Metrics *metrics, const char *runtime) {
        find_series(metrics, runtime)->ended[OUTCOME_CANCELLED]++;
}

void metrics_refused(Metrics *metrics, const Refusal *refusal) {
        size_t i = 0;

        while (i < ARRAY_SIZE(codes) - 1 && strcmp(codes[i], refusal->code) != 0)
                i++;
        metrics->refused[i]++;
}

static uint64_t series_executions(const Series *series) {
        uint64_t count = 0;

        for (size_t i = 0; i < OUTCOME_COUNT_; i++)
                count += series->ended[i];
        return count;
}

uint64_t metrics_executions(const Metrics *metrics) {
        uint64_t count = 0;

        for (size_t i = 0; i < metrics->series_size; i++)
                count += series_executions(&metrics->series[i]);
        return count;
}

uint64_t metrics_refusals(const Metrics *metrics) {
        uint64_t count = 0;

        for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
                count += metrics->refused[i];
        return count;
}

uint64_t metrics_started_usec(const Metrics *metrics) {
        return metrics->started_usec;
}

/* ---- telling ---- */

static const char *label_of(const Series *series) {
        return series->runtime ? series->runtime : OTHER_RUNTIME;
}

/* How many series are shown: that of the others only if there were any. */
static size_t shown(const Metrics *metrics) {
        size_t others = metrics->series_size - 1;

        return series_executions(&metrics->series[others]) > 0 ? metrics->series_size : others;
}

static void write_outcomes(const Metrics *metrics, Exposition *exposition) {
        exposition_family(exposition, "tee_executions_total", "counter", "Executions that ended, by their outcome.");
        for (size_t i = 0; i < shown(metrics); i++)
                for (size_t j = 0; j < OUTCOME_COUNT_; j++)
                        exposition_number(exposition,
                                          LABELS({"runtime", label_of(&metrics->series[i])},
                                                 {"outcome", outcome_name((Outcome) j)}),
                                          metrics->series[i].ended[j]);
}

static void write_warm(const Metrics *metrics, Exposition *exposition) {
        exposition_family(exposition, "tee_warm_executions_total", "counter",
                          "Executions that ended and whose sandbox had stood ready.");
        for (size_t i = 0; i < shown(metrics); i++)
                exposition_number(exposition, LABELS({"runtime", label_of(&metrics->series[i])}),
                                  metrics->series[i].warm);
}

static void write_cpu(const Metrics *metrics, Exposition *exposition) {
        exposition_family(exposition, "tee_execution_cpu_seconds_total", "counter",
                          "CPU time that programs used, of those whose guests reported their end.");
        for (size_t i = 0; i < shown(metrics); i++)
                exposition_seconds(exposition, LABELS({"runtime", label_of(&metrics->series[i])}),
                                   metrics->series[i].cpu_usec);
}

static void write_refusals(const Metrics *metrics, Exposition *exposition) {
        exposition_family(exposition, "tee_refusals_total", "counter",
                          "Requests that became no execution, by the code of their refusal.");
        for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
                exposition_number(exposition, LABELS({"code", codes[i]}), metrics->refused[i]);
}

static void write_times(const Metrics *metrics, Exposition *exposition) {
        static const struct {
                const char *name, *help;
                size_t offset;
        } times[] = {
                {"tee_execution_queue_seconds", "Time that an execution waited for a place and for the gate.",
                 offsetof(Series, queue)},
                {"tee_execution_setup_seconds", "Time from then until its program was sent to a proven sandbox.",
                 offsetof(Series, setup)},
                {"tee_execution_run_seconds", "Time that its program ran.", offsetof(Series, run)},
                {"tee_execution_duration_seconds",
                 "Time from the whole request to the result. Executions whose client left have none of these times.",
                 offsetof(Series, total)},
        };

        for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
                exposition_family(exposition, times[i].name, "histogram", times[i].help);
                for (size_t j = 0; j < shown(metrics); j++) {
                        const Series *series = &metrics->series[j];

                        exposition_histogram(exposition, LABELS({"runtime", label_of(series)}),
                                             (const Histogram *) ((const char *) series + times[i].offset));
                }
        }
}

void metrics_write(const Metrics *metrics, Exposition *exposition) {
        write_outcomes(metrics, exposition);
        write_warm(metrics, exposition);
        write_cpu(metrics, exposition);
        write_times(metrics, exposition);
        exposition_counter(exposition, "tee_executions_begun_without_gvisor_total",
                           "Executions that were begun while gVisor was disabled.", metrics->begun_without_gvisor);
        exposition_counter(exposition, "tee_sandboxes_not_gvisor_total",
                           "Sandboxes that could not prove that their kernel is gVisor, and got no program.",
                           metrics->not_gvisor);
        write_refusals(metrics, exposition);
}
