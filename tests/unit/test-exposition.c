/* SPDX-License-Identifier: Apache-2.0 */

/* The text format byte by byte: one bad line, and Prometheus throws the whole scrape away. */

#include "exposition.h"
#include "unit.h"

#include <errno.h>
#include <stdio.h>

static void assert_text(Exposition *exposition, const char *expected) {
        CLEANUP_FREE char *text = exposition_take(exposition);

        assert_non_null(text);
        assert_string_equal(text, expected);
}

TEST(help_and_type_stand_before_the_samples) {
        Exposition exposition = EXPOSITION_INIT(4096);

        exposition_gauge(&exposition, "a", "What it is.", 7);
        exposition_counter(&exposition, "b_total", "Another.", UINT64_MAX);
        assert_text(&exposition, "# HELP a What it is.\n# TYPE a gauge\na 7\n"
                                 "# HELP b_total Another.\n# TYPE b_total counter\nb_total 18446744073709551615\n");
}

TEST(labels_are_escaped_and_no_value_can_break_out_of_its_quotes) {
        static const struct {
                const char *value, *written;
        } cases[] = {
                {"plain", "plain"},
                {"", ""},
                {"a\"b", "a\\\"b"},
                {"a\\b", "a\\\\b"},
                {"a\nb", "a\\nb"},
                {"\"} 1\nforged 1", "\\\"} 1\\nforged 1"},
                {"\\", "\\\\"},
                {"gr\xc3\xbc\xc3\x9f"
                 "e",
                 "gr\xc3\xbc\xc3\x9f"
                 "e"},
                {"bad\xff", "bad?"},
                {"bad\xff\"\n", "bad?\\\"?"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                Exposition exposition = EXPOSITION_INIT(4096);
                CLEANUP_FREE char *text = NULL;
                char expected[256];

                (void) snprintf(expected, sizeof(expected), "} 1\nx{v=\"%s\",w=\"z\"} 2\n", cases[i].written);
                exposition.family = "x";
                exposition_number(&exposition, LABELS({"v", "first"}), 1);
                exposition_number(&exposition, LABELS({"v", cases[i].value}, {"w", "z"}), 2);
                text = exposition_take(&exposition);
                assert_contains(text, expected);
        }
}

TEST(help_is_escaped) {
        Exposition exposition = EXPOSITION_INIT(4096);

        exposition_family(&exposition, "a", "gauge", "one\ntwo \\ \"three\"");
        assert_text(&exposition, "# HELP a one\\ntwo \\\\ \"three\"\n# TYPE a gauge\n");
}

TEST(times_are_in_seconds_to_the_microsecond) {
        Exposition exposition = EXPOSITION_INIT(4096);

        exposition.family = "t_seconds";
        exposition_seconds(&exposition, NULL, 0);
        exposition_seconds(&exposition, NULL, 1);
        exposition_seconds(&exposition, NULL, 12 * USEC_PER_SEC + 500000);
        exposition_seconds(&exposition, NULL, UINT64_C(1767225600123456));
        assert_text(&exposition, "t_seconds 0.000000\nt_seconds 0.000001\nt_seconds 12.500000\n"
                                 "t_seconds 1767225600.123456\n");
}

TEST(buckets_are_cumulative_and_end_with_the_count) {
        Exposition exposition = EXPOSITION_INIT(4096);
        Histogram histogram = {0};

        histogram_observe(&histogram, 0);
        histogram_observe(&histogram, 1000);
        histogram_observe(&histogram, 1001);
        histogram_observe(&histogram, 60 * USEC_PER_SEC);
        histogram_observe(&histogram, 60 * USEC_PER_SEC + 1);
        histogram_observe(&histogram, 300 * USEC_PER_SEC + 1);
        exposition.family = "h_seconds";
        exposition_histogram(&exposition, LABELS({"runtime", "deno"}), &histogram);
        assert_text(&exposition, "h_seconds_bucket{runtime=\"deno\",le=\"0.001\"} 2\n"
                                 "h_seconds_bucket{runtime=\"deno\",le=\"0.0025\"} 3\n"
                                 "h_seconds_bucket{runtime=\"deno\",le=\"0.005\"} 3\n"
                                 "h_seconds_bucket{runtime=\"deno\",le=\"0.01\"} 3\n"
                                 "h_seconds_bucket{runtime=\"deno\",le=\"0.025\"} 3\n"
                                 "h_seconds_bucket{runtime=\"deno\",le=\"0.05\"} 3\n"
                                 "h_seconds_bucket{runtime=\"deno\",le=\"0.1\"} 3\n"
                                 "h_seconds_bucket{runtime=\"deno\",le=\"0.25\"} 3\n"
                                 "h_seconds_bucket{runtime=\"deno\",le=\"0.5\"} 3\n"
                                 "h_seconds_bucket{runtime=\"deno\",le=\"1\"} 3\n"
                                 "h_seconds_bucket{runtime=\"deno\",le=\"2.5\"} 3\n"
                                 "h_seconds_bucket{runtime=\"deno\",le=\"5\"} 3\n"
                                 "h_seconds_bucket{runtime=\"deno\",le=\"10\"} 3\n"
                                 "h_seconds_bucket{runtime=\"deno\",le=\"30\"} 3\n"
                                 "h_seconds_bucket{runtime=\"deno\",le=\"60\"} 4\n"
                                 "h_seconds_bucket{runtime=\"deno\",le=\"120\"} 5\n"
                                 "h_seconds_bucket{runtime=\"deno\",le=\"300\"} 5\n"
                                 "h_seconds_bucket{runtime=\"deno\",le=\"+Inf\"} 6\n"
                                 "h_seconds_sum{runtime=\"deno\"} 420.002003\n"
                                 "h_seconds_count{runtime=\"deno\"} 6\n");
}

TEST(a_histogram_without_labels_has_those_of_its_buckets_alone) {
        Exposition exposition = EXPOSITION_INIT(4096);
        Histogram histogram = {0};
        CLEANUP_FREE char *text = NULL;

        exposition.family = "h";
        exposition_histogram(&exposition, NULL, &histogram);
        text = exposition_take(&exposition);
        assert_contains(text, "h_bucket{le=\"+Inf\"} 0\nh_sum 0.000000\nh_count 0\n");
}

TEST(the_longest_times_are_counted) {
        Exposition exposition = EXPOSITION_INIT(4096);
        Histogram histogram = {0};
        CLEANUP_FREE char *text = NULL;

        histogram_observe(&histogram, UINT64_MAX);
        histogram_observe(&histogram, UINT64_MAX); /* the sum stays, as a counter has to */
        exposition.family = "h";
        exposition_histogram(&exposition, NULL, &histogram);
        text = exposition_take(&exposition);
        assert_contains(text,
                        "h_bucket{le=\"300\"} 0\nh_bucket{le=\"+Inf\"} 2\nh_sum 18446744073709.551615\nh_count 2\n");
}

TEST(what_does_not_fit_gives_no_text_instead_of_a_part) {
        for (size_t limit = 0; limit < 40; limit++) {
                Exposition exposition = EXPOSITION_INIT(limit);

                exposition_gauge(&exposition, "name", "Some help.", 1);
                exposition_number(&exposition, LABELS({"a", "b"}), 1);
                assert_int_equal(exposition.error, -EFBIG);
                assert_null(exposition_take(&exposition));
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(help_and_type_stand_before_the_samples),
                cmocka_unit_test(labels_are_escaped_and_no_value_can_break_out_of_its_quotes),
                cmocka_unit_test(help_is_escaped),
                cmocka_unit_test(times_are_in_seconds_to_the_microsecond),
                cmocka_unit_test(buckets_are_cumulative_and_end_with_the_count),
                cmocka_unit_test(a_histogram_without_labels_has_those_of_its_buckets_alone),
                cmocka_unit_test(the_longest_times_are_counted),
                cmocka_unit_test(what_does_not_fit_gives_no_text_instead_of_a_part),
        };

        return RUN_TESTS(tests);
}
