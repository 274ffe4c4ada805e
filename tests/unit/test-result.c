/* SPDX-License-Identifier: Apache-2.0 */

/* The result as clients see it (docs/openapi.yaml, schema Result): every field is there, and null where nothing is
 * known. */

#include "result.h"
#include "unit.h"

#include <signal.h>

static void assert_json(const Result *result, bool with_output, const char *expected) {
        cJSON *json = result_to_json(result, with_output);
        CLEANUP_JSON_TEXT char *text = json ? cJSON_PrintUnformatted(json) : NULL;

        assert_non_null(text);
        assert_string_equal(text, expected);
        cJSON_Delete(json);
}

static ResultOutput output_of(const void *data, size_t size, uint64_t bytes) {
        ResultOutput output = {.data = BUFFER_INIT(1024), .bytes = bytes, .passed_on = size};

        assert_int_equal(buffer_append(&output.data, data, size), 0);
        return output;
}

/* What a result of this outcome says in a field, as JSON. Owned by the caller. */
static char *field(const Result *result, const char *name) {
        cJSON *json = result_to_json(result, true);
        char *text;

        assert_non_null(json);
        text = cJSON_PrintUnformatted(json_get(json, name));
        cJSON_Delete(json);
        assert_case(text, "there is no %s", name);
        return text;
}

static void assert_field(const Result *result, const char *name, const char *expected) {
        CLEANUP_JSON_TEXT char *text = field(result, name);

        assert_string_equal(text, expected);
}

TEST(a_result_has_every_field) {
        cJSON *labels = cJSON_CreateObject();
        Result result = {
                .id = "0123",
                .outcome = OUTCOME_OK,
                .has_exit_code = true,
                .output = output_of("hello\n", 6, 6),
                .error_output = output_of("", 0, 0),
                .queue_usec = 100,
                .setup_usec = 412345,
                .run_usec = 8300,
                .total_usec = 420745,
                .has_usage = true,
                .cpu_usec = 11000,
                .memory_peak_bytes = 23068672,
                .gvisor = true,
                .oci_runtime = strdup("runsc"),
                .kernel = strdup("4.4.0 #1 SMP"),
                .labels = labels,
        };

        assert_int_equal(json_add(labels, "a", cJSON_CreateString("b")), 0);
        assert_json(
                &result, true,
                "{\"id\":\"0123\",\"status\":\"ok\",\"exit_code\":0,\"signal\":null,"
                "\"stdout\":\"hello\\n\",\"stdout_bytes\":6,\"stdout_truncated\":false,"
                "\"stderr\":\"\",\"stderr_bytes\":0,\"stderr_truncated\":false,"
                "\"timing\":{\"queue_ms\":0.1,\"setup_ms\":412.345,\"run_ms\":8.3,\"total_ms\":420.745},"
                "\"usage\":{\"cpu_ms\":11,\"memory_peak_bytes\":23068672},"
                "\"sandbox\":{\"gvisor\":true,\"oci_runtime\":\"runsc\",\"kernel\":\"4.4.0 #1 SMP\",\"warm\":false},"
                "\"labels\":{\"a\":\"b\"},\"cause\":null,\"evidence\":null}");
        result_deinit(&result);
        cJSON_Delete(labels);
}

TEST(what_is_unknown_is_null_and_never_left_out) {
        Result result = {.id = "x", .outcome = OUTCOME_INTERNAL_ERROR};

        assert_json(&result, true,
                    "{\"id\":\"x\",\"status\":\"internal_error\",\"exit_code\":null,\"signal\":null,"
                    "\"stdout\":\"\",\"stdout_bytes\":0,\"stdout_truncated\":false,"
                    "\"stderr\":\"\",\"stderr_bytes\":0,\"stderr_truncated\":false,"
                    "\"timing\":{\"queue_ms\":0,\"setup_ms\":0,\"run_ms\":0,\"total_ms\":0},\"usage\":null,"
                    "\"sandbox\":{\"gvisor\":false,\"oci_runtime\":null,\"kernel\":null,\"warm\":false},"
                    "\"labels\":{},\"cause\":null,\"evidence\":null}");
        result_deinit(&result);
}

TEST(a_result_at_the_end_of_a_stream_repeats_no_output) {
        Result result = {.id = "x", .output = output_of("hello", 5, 9), .error_output = output_of("e", 1, 1)};
        cJSON *json = result_to_json(&result, false);

        assert_true(cJSON_IsNull(json_get(json, "stdout")));
        assert_true(cJSON_IsNull(json_get(json, "stderr")));
        assert_string_equal(json_get(json, "stdout_bytes")->valuestring, "9"); /* raw, for printing */
        assert_true(cJSON_IsTrue(json_get(json, "stdout_truncated")));
        assert_true(cJSON_IsFalse(json_get(json, "stderr_truncated")));
        cJSON_Delete(json);
        result_deinit(&result);
}

TEST(binary_output_is_base64_and_each_stream_for_itself) {
        Result result = {.id = "x", .output = output_of("\xff\0", 2, 2), .error_output = output_of("text", 4, 4)};

        assert_field(&result, "stdout", "{\"base64\":\"/wA=\"}");
        assert_field(&result, "stderr", "\"text\"");
        result_deinit(&result);
}

TEST(output_that_was_cut_says_so_with_what_was_written) {
        Result result = {.id = "x", .output = output_of("abc", 3, 4), .error_output = output_of("abc", 3, 3)};

        assert_field(&result, "stdout", "\"abc\"");
        assert_field(&result, "stdout_bytes", "4");
        assert_field(&result, "stdout_truncated", "true");
        assert_field(&result, "stderr_bytes", "3");
        assert_field(&result, "stderr_truncated", "false");
        result_deinit(&result);
}

TEST(figures_beyond_32_bits_are_exact) {
        Result result = {
                .id = "x",
                .output = output_of("", 0, UINT64_C(1099511627777)),
                .has_usage = true,
                .memory_peak_bytes = UINT64_C(1099511627776),
                .cpu_usec = UINT64_C(86400000001),
        };

        assert_field(&result, "stdout_bytes", "1099511627777");
        assert_field(&result, "usage", "{\"cpu_ms\":86400000.001,\"memory_peak_bytes\":1099511627776}");
        result_deinit(&result);
}

TEST(an_exit_code_and_a_signal_stand_where_they_are_known) {
        Result exited = {.id = "x", .outcome = OUTCOME_ERROR, .has_exit_code = true, .exit_code = 255};
        Result killed = {.id = "x", .outcome = OUTCOME_SIGNAL, .signal = SIGSEGV};

        assert_field(&exited, "exit_code", "255");
        assert_field(&exited, "signal", "null");
        assert_field(&killed, "exit_code", "null");
        assert_field(&killed, "signal", "\"SIGSEGV\"");
}

TEST(cause_and_evidence_are_given_as_they_are) {
        Result result = {
                .id = "x",
                .outcome = OUTCOME_WALL_LIMIT,
                .cause = strdup("wall_ms 10"),
                .evidence = strdup("\"q\"\n"),
        };

        assert_field(&result, "status", "\"wall_limit\"");
        assert_field(&result, "cause", "\"wall_ms 10\"");
        assert_field(&result, "evidence", "\"\\\"q\\\"\\n\"");
        result_deinit(&result);
}

TEST(outcomes_have_the_words_of_the_api) {
        static const char *const names[] = {
                "ok",           "error",         "signal",     "wall_limit", "cpu_limit",     "memory_limit",
                "output_limit", "process_limit", "disk_limit", "cancelled",  "sandbox_crash", "internal_error",
        };

        assert_int_equal(OUTCOME_INTERNAL_ERROR + 1, ARRAY_SIZE(names));
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                assert_string_equal(outcome_name((Outcome) i), names[i]);
}

TEST(every_signal_has_a_name) {
        char name[16];

        assert_string_equal(signal_name(SIGKILL, name, sizeof(name)), "SIGKILL");
        assert_string_equal(signal_name(SIGSYS, name, sizeof(name)), "SIGSYS");
        assert_string_equal(signal_name(34, name, sizeof(name)), "SIG34");
        for (int i = 1; i <= 64; i++)
                assert_true(strncmp(signal_name(i, name, sizeof(name)), "SIG", 3) == 0);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_result_has_every_field),
                cmocka_unit_test(what_is_unknown_is_null_and_never_left_out),
                cmocka_unit_test(a_result_at_the_end_of_a_stream_repeats_no_output),
                cmocka_unit_test(binary_output_is_base64_and_each_stream_for_itself),
                cmocka_unit_test(output_that_was_cut_says_so_with_what_was_written),
                cmocka_unit_test(figures_beyond_32_bits_are_exact),
                cmocka_unit_test(an_exit_code_and_a_signal_stand_where_they_are_known),
                cmocka_unit_test(cause_and_evidence_are_given_as_they_are),
                cmocka_unit_test(outcomes_have_the_words_of_the_api),
                cmocka_unit_test(every_signal_has_a_name),
        };

        return RUN_TESTS(tests);
}
