/* SPDX-License-Identifier: Apache-2.0 */

/* The arithmetic and the forms of tee-bench's report. */

#include "json.h"
#include "report.h"
#include "unit.h"

TEST(quantiles_are_by_nearest_rank) {
        static const double values[] = {5, 1, 4, 2, 3};

        assert_true(report_quantile(values, 5, 50) == 3);
        assert_true(report_quantile(values, 5, 99) == 5);
        assert_true(report_quantile(values, 4, 50) == 2);
        assert_true(report_quantile(values, 1, 50) == 5);
        assert_true(report_quantile(values, 5, 0) == 1);
}

TEST(one_of_a_hundred_is_beyond_p99) {
        double values[100];

        for (unsigned i = 0; i < 100; i++)
                values[i] = i < 99 ? 1 : 1000;
        assert_true(report_quantile(values, 100, 99) == 1);
        assert_true(report_quantile(values, 100, 100) == 1000);
}

static Report *new_report(bool has_warm) {
        Report *report = calloc(1, sizeof(*report));

        assert_non_null(report);
        report->runtime = "deno";
        report->oci_runtimes[REPORT_WITHOUT] = "runc";
        report->oci_runtimes[REPORT_WITH] = report->oci_runtimes[REPORT_WARM] = "runsc";
        report->docker_version = "20.10.24";
        report->host_kernel = "6.1.0";
        report->runs = 2;
        report->has_warm = has_warm;
        for (unsigned metric = 0; metric < REPORT_METRICS; metric++)
                for (unsigned way = 0; way < REPORT_WAYS; way++)
                        for (unsigned run = 0; run < report->runs; run++)
                                report->samples[metric][way][run] = (metric + 1) * 10 * (way + 1) + run * 2;
        return report;
}

/* What a printer prints, owned by the caller. */
static char *printed(const Report *report, void (*print)(const Report *, FILE *)) {
        char *text = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&text, &size);

        assert_non_null(out);
        print(report, out);
        assert_int_equal(fclose(out), 0);
        return text;
}

static void print_json(const Report *report, FILE *out) {
        assert_int_equal(report_print_json(report, out), 0);
}

TEST(table_has_the_guides_columns) {
        Report *report = new_report(true);
        char *text = printed(report, report_print_table);

        assert_contains(text,
                        "| Metric         | Without gVisor | With gVisor    | Difference       | With gVisor, warm");
        assert_contains(text,
                        "| Setup time     | 10 ms (12)     | 20 ms (22)     | +10 ms (+100%)   | 30 ms (32) ahead");
        assert_contains(text, "| Execution time | 20.0 ms (22.0) | 40.0 ms (42.0) | +20.0 ms (+100%) | 60.0 ms (62.0)");
        assert_contains(text, "2 runs each");
        free(text);
        report->has_warm = false;
        text = printed(report, report_print_table);
        assert_null(strstr(text, "warm"));
        free(text);
        free(report);
}

TEST(a_difference_from_nothing_has_no_percentage) {
        Report *report = new_report(false);
        char *text;

        report->samples[REPORT_CPU][REPORT_WITHOUT][0] = report->samples[REPORT_CPU][REPORT_WITHOUT][1] = 0;
        text = printed(report, report_print_table);
        assert_contains(text, "| +80 ms ");
        assert_null(strstr(text, "inf"));
        free(text);
        free(report);
}

TEST(json_has_every_figure_and_every_value) {
        Report *report = new_report(true);
        char *text = printed(report, print_json);
        JsonError error;
        CLEANUP_JSON cJSON *document = json_parse(text, strlen(text), &error);
        const cJSON *setup = json_get_object(document, "setup_ms"), *warm = json_get_object(setup, "warm");

        assert_non_null(document);
        assert_int_equal(json_get_integer(document, "runs", 0), 2);
        assert_string_equal(json_get_string(document, "oci_runtime_without_gvisor"), "runc");
        assert_int_equal(json_get_integer(warm, "p50", 0), 30);
        assert_int_equal(json_get_integer(warm, "p99", 0), 32);
        assert_int_equal(cJSON_GetArraySize(json_get(warm, "values")), 2);
        assert_int_equal(json_get_integer(setup, "difference_p50", 0), 10);
        assert_non_null(json_get_object(json_get_object(document, "cpu_ms"), "with_gvisor"));
        free(text);
        free(report);
}

TEST(chart_draws_each_figure_once) {
        Report *report = new_report(true);
        char *text = printed(report, report_print_svg);
        unsigned bars = 0;

        for (const char *at = text; (at = strstr(at, "<rect ")); at++)
                bars++;
        assert_int_equal(bars, REPORT_METRICS * REPORT_WAYS);
        assert_contains(text, "60.0 ms (62.0)");
        assert_contains(text, "</svg>\n");
        assert_null(strstr(text, "nan"));
        free(text);
        free(report);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(quantiles_are_by_nearest_rank),
                cmocka_unit_test(one_of_a_hundred_is_beyond_p99),
                cmocka_unit_test(table_has_the_guides_columns),
                cmocka_unit_test(a_difference_from_nothing_has_no_percentage),
                cmocka_unit_test(json_has_every_figure_and_every_value),
                cmocka_unit_test(chart_draws_each_figure_once),
        };

        return RUN_TESTS(tests);
}
