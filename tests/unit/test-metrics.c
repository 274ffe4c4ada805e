/* SPDX-License-Identifier: Apache-2.0 */

/* What is counted, and that no name from elsewhere can add a series. */

#include "metrics.h"
#include "unit.h"

#include <stdio.h>

#define MORE_RUNTIMES 200U

typedef struct Fixture {
        ConfigRuntime runtimes[2];
        Config config;
        Metrics *metrics;
} Fixture;

static void fixture_init(Fixture *fixture) {
        static char deno[] = "deno", python[] = "python";

        *fixture = (Fixture){.runtimes = {{.name = deno}, {.name = python}}};
        fixture->config = (Config){.runtimes = fixture->runtimes, .runtimes_size = 2};
        assert_int_equal(metrics_new(&fixture->config, &fixture->metrics), 0);
}

static char *written(const Metrics *metrics) {
        Exposition exposition = EXPOSITION_INIT((size_t) 4 * 1024 * 1024);
        char *text;

        metrics_write(metrics, &exposition);
        text = exposition_take(&exposition);
        assert_non_null(text);
        return text;
}

static void assert_written(const Metrics *metrics, const char *line) {
        CLEANUP_FREE char *text = written(metrics);

        assert_contains(text, line);
}

static void assert_not_written(const Metrics *metrics, const char *part) {
        CLEANUP_FREE char *text = written(metrics);

        assert_case(!strstr(text, part), "\"%s\" is in %s", part, text);
}

static size_t lines_written(const Metrics *metrics) {
        CLEANUP_FREE char *text = written(metrics);
        size_t count = 0;

        for (const char *p = text; (p = strchr(p, '\n')); p++)
                count++;
        return count;
}

static void end(Metrics *metrics, const char *runtime, Outcome outcome) {
        Result result = {.outcome = outcome, .gvisor = true, .warm = true, .cpu_usec = 1500000};

        result.queue_usec = 100;
        result.setup_usec = 2000;
        result.run_usec = 30000;
        result.total_usec = 32100;
        metrics_execution_ended(metrics, runtime, &result);
}

static void refuse(Metrics *metrics, const char *code) {
        metrics_refused(metrics, &(Refusal){.status = 400, .code = code});
}

TEST(every_runtime_outcome_and_code_is_there_from_the_start) {
        Fixture fixture;

        fixture_init(&fixture);
        assert_written(fixture.metrics, "\ntee_executions_total{runtime=\"deno\",outcome=\"ok\"} 0\n");
        assert_written(fixture.metrics, "\ntee_executions_total{runtime=\"python\",outcome=\"internal_error\"} 0\n");
        assert_written(fixture.metrics, "\ntee_refusals_total{code=\"queue_full\"} 0\n");
        assert_written(fixture.metrics, "\ntee_execution_duration_seconds_count{runtime=\"python\"} 0\n");
        assert_not_written(fixture.metrics, "_other");
        assert_int_equal(metrics_executions(fixture.metrics), 0);
        assert_int_equal(metrics_refusals(fixture.metrics), 0);
        metrics_free(fixture.metrics);
}

TEST(an_execution_counts_once_with_its_times) {
        Fixture fixture;

        fixture_init(&fixture);
        end(fixture.metrics, "deno", OUTCOME_OK);
        end(fixture.metrics, "deno", OUTCOME_WALL_LIMIT);
        assert_written(fixture.metrics, "\ntee_executions_total{runtime=\"deno\",outcome=\"ok\"} 1\n");
        assert_written(fixture.metrics, "\ntee_executions_total{runtime=\"deno\",outcome=\"wall_limit\"} 1\n");
        assert_written(fixture.metrics, "\ntee_executions_total{runtime=\"python\",outcome=\"ok\"} 0\n");
        assert_written(fixture.metrics, "\ntee_warm_executions_total{runtime=\"deno\"} 2\n");
        assert_written(fixture.metrics, "\ntee_execution_cpu_seconds_total{runtime=\"deno\"} 3.000000\n");
        assert_written(fixture.metrics, "\ntee_execution_queue_seconds_sum{runtime=\"deno\"} 0.000200\n");
        assert_written(fixture.metrics, "\ntee_execution_setup_seconds_sum{runtime=\"deno\"} 0.004000\n");
        assert_written(fixture.metrics, "\ntee_execution_run_seconds_sum{runtime=\"deno\"} 0.060000\n");
        assert_written(fixture.metrics, "\ntee_execution_duration_seconds_sum{runtime=\"deno\"} 0.064200\n");
        assert_written(fixture.metrics, "\ntee_execution_duration_seconds_bucket{runtime=\"deno\",le=\"0.05\"} 2\n");
        assert_int_equal(metrics_executions(fixture.metrics), 2);
        metrics_free(fixture.metrics);
}

TEST(a_client_that_left_counts_as_cancelled_and_has_no_times) {
        Fixture fixture;

        fixture_init(&fixture);
        metrics_client_left(fixture.metrics, "python");
        assert_written(fixture.metrics, "\ntee_executions_total{runtime=\"python\",outcome=\"cancelled\"} 1\n");
        assert_written(fixture.metrics, "\ntee_execution_duration_seconds_count{runtime=\"python\"} 0\n");
        assert_int_equal(metrics_executions(fixture.metrics), 1);
        metrics_free(fixture.metrics);
}

TEST(what_is_begun_without_gvisor_counts_even_if_its_client_leaves) {
        Fixture fixture;

        fixture_init(&fixture);
        metrics_begun_without_gvisor(fixture.metrics);
        metrics_client_left(fixture.metrics, "deno");
        assert_written(fixture.metrics, "\ntee_executions_begun_without_gvisor_total 1\n");
        metrics_free(fixture.metrics);
}

TEST(sandboxes_that_are_not_gvisor_count) {
        Fixture fixture;

        fixture_init(&fixture);
        assert_written(fixture.metrics, "\ntee_sandboxes_not_gvisor_total 0\n");
        metrics_not_gvisor(fixture.metrics);
        assert_written(fixture.metrics, "\ntee_sandboxes_not_gvisor_total 1\n");
        assert_int_equal(metrics_executions(fixture.metrics), 0);
        metrics_free(fixture.metrics);
}

TEST(times_that_nobody_can_have_used_do_not_take_a_counter_back) {
        Result result = {.cpu_usec = UINT64_MAX, .queue_usec = UINT64_MAX, .total_usec = UINT64_MAX};
        Fixture fixture;

        fixture_init(&fixture);
        for (size_t i = 0; i < 2; i++) {
                metrics_execution_ended(fixture.metrics, "deno", &result);
                assert_written(fixture.metrics,
                               "\ntee_execution_cpu_seconds_total{runtime=\"deno\"} 18446744073709.551615\n");
                assert_written(fixture.metrics,
                               "\ntee_execution_duration_seconds_sum{runtime=\"deno\"} 18446744073709.551615\n");
        }
        metrics_free(fixture.metrics);
}

TEST(names_that_nobody_knows_add_no_series) {
        Fixture fixture;
        char name[64];
        size_t lines;

        fixture_init(&fixture);
        end(fixture.metrics, "unknown", OUTCOME_OK); /* the one that stands for all of them */
        lines = lines_written(fixture.metrics);
        for (size_t i = 0; i < 1000; i++) {
                (void) snprintf(name, sizeof(name), "\"} 1\nforged_%zu{a=\"", i);
                end(fixture.metrics, name, OUTCOME_ERROR);
                metrics_client_left(fixture.metrics, name);
                refuse(fixture.metrics, name);
        }
        assert_int_equal(lines_written(fixture.metrics), lines);
        assert_not_written(fixture.metrics, "forged");
        assert_written(fixture.metrics, "\ntee_executions_total{runtime=\"_other\",outcome=\"error\"} 1000\n");
        assert_written(fixture.metrics, "\ntee_refusals_total{code=\"other\"} 1000\n");
        assert_int_equal(metrics_executions(fixture.metrics), 2001);
        assert_int_equal(metrics_refusals(fixture.metrics), 1000);
        metrics_free(fixture.metrics);
}

TEST(a_reload_adds_runtimes_and_takes_nothing_back) {
        static char ruby[] = "ruby";
        ConfigRuntime runtime = {.name = ruby};
        Config config = {.runtimes = &runtime, .runtimes_size = 1};
        Fixture fixture;

        fixture_init(&fixture);
        end(fixture.metrics, "deno", OUTCOME_OK);
        assert_int_equal(metrics_set_config(fixture.metrics, &config), 0);
        end(fixture.metrics, "ruby", OUTCOME_OK);
        end(fixture.metrics, "deno", OUTCOME_OK); /* it was running when the configuration was read */
        assert_int_equal(metrics_set_config(fixture.metrics, &fixture.config), 0);
        assert_written(fixture.metrics, "\ntee_executions_total{runtime=\"deno\",outcome=\"ok\"} 2\n");
        assert_written(fixture.metrics, "\ntee_executions_total{runtime=\"ruby\",outcome=\"ok\"} 1\n");
        assert_int_equal(metrics_executions(fixture.metrics), 3);
        metrics_free(fixture.metrics);
}

TEST(reloads_without_end_add_no_series_without_end) {
        Fixture fixture;
        size_t lines = 0;

        fixture_init(&fixture);
        for (size_t i = 0; i < MORE_RUNTIMES; i++) {
                char name[16];
                ConfigRuntime runtime = {.name = name};
                Config config = {.runtimes = &runtime, .runtimes_size = 1};

                (void) snprintf(name, sizeof(name), "r%zu", i);
                assert_int_equal(metrics_set_config(fixture.metrics, &config), 0);
                end(fixture.metrics, name, OUTCOME_OK);
                if (i == MORE_RUNTIMES / 2 + MORE_RUNTIMES / 4)
                        lines = lines_written(fixture.metrics);
        }
        assert_int_equal(lines_written(fixture.metrics), lines);
        assert_int_equal(metrics_executions(fixture.metrics), MORE_RUNTIMES);
        assert_written(fixture.metrics, "{runtime=\"_other\",outcome=\"ok\"} ");
        metrics_free(fixture.metrics);
}

TEST(a_runtime_called_other_is_not_the_others) {
        static char other[] = "other";
        ConfigRuntime runtime = {.name = other};
        Config config = {.runtimes = &runtime, .runtimes_size = 1};
        Metrics *metrics;

        assert_int_equal(metrics_new(&config, &metrics), 0);
        end(metrics, "other", OUTCOME_OK);
        end(metrics, "unknown", OUTCOME_OK);
        assert_written(metrics, "{runtime=\"other\",outcome=\"ok\"} 1\n");
        assert_written(metrics, "{runtime=\"_other\",outcome=\"ok\"} 1\n");
        metrics_free(metrics);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_runtime_outcome_and_code_is_there_from_the_start),
                cmocka_unit_test(an_execution_counts_once_with_its_times),
                cmocka_unit_test(a_client_that_left_counts_as_cancelled_and_has_no_times),
                cmocka_unit_test(what_is_begun_without_gvisor_counts_even_if_its_client_leaves),
                cmocka_unit_test(sandboxes_that_are_not_gvisor_count),
                cmocka_unit_test(times_that_nobody_can_have_used_do_not_take_a_counter_back),
                cmocka_unit_test(names_that_nobody_knows_add_no_series),
                cmocka_unit_test(a_reload_adds_runtimes_and_takes_nothing_back),
                cmocka_unit_test(reloads_without_end_add_no_series_without_end),
                cmocka_unit_test(a_runtime_called_other_is_not_the_others),
        };

        return RUN_TESTS(tests);
}
