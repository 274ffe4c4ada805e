/* SPDX-License-Identifier: Apache-2.0 */

/* A refusal has one shape, whatever it is about. */

#include "json.h"
#include "refusal.h"
#include "unit.h"

#include <errno.h>

static void assert_json(Refusal *refusal, const char *expected) {
        CLEANUP_JSON_TEXT char *json = refusal_to_json(refusal);

        assert_non_null(json);
        assert_string_equal(json, expected);
        refusal_deinit(refusal);
}

TEST(a_refusal_has_all_four_fields) {
        Refusal refusal = {0};

        assert_int_equal(
                refusal_set(&refusal, 400, "out_of_range", "limits.wall_ms", "ask for less", "%d is too much", 7),
                -EINVAL);
        assert_int_equal(refusal.status, 400);
        assert_json(&refusal, "{\"error\":{\"code\":\"out_of_range\",\"message\":\"7 is too much\","
                              "\"field\":\"limits.wall_ms\",\"remedy\":\"ask for less\"}}");
}

TEST(what_is_unknown_is_null) {
        Refusal refusal = {0};

        refusal_set(&refusal, 503, "queue_timeout", NULL, NULL, "%s", "");
        assert_json(&refusal,
                    "{\"error\":{\"code\":\"queue_timeout\",\"message\":\"\",\"field\":null,\"remedy\":null}}");
}

TEST(words_are_copied_cleaned_and_escaped) {
        char field[] = "files[\"a\n\"]", remedy[] = "r";
        Refusal refusal = {0};

        refusal_set(&refusal, 400, "invalid_path", field, remedy, "%s", "\"\\\x1b\xff");
        memset(field, 'x', strlen(field));
        memset(remedy, 'x', strlen(remedy));
        assert_json(&refusal, "{\"error\":{\"code\":\"invalid_path\",\"message\":\"\\\"\\\\??\","
                              "\"field\":\"files[\\\"a\\n\\\"]\",\"remedy\":\"r\"}}");
}

TEST(a_field_that_is_no_text_can_still_be_told) {
        Refusal refusal = {0};

        refusal_set(&refusal, 404, "not_found", "a\n\xff", NULL, "m");
        assert_json(&refusal,
                    "{\"error\":{\"code\":\"not_found\",\"message\":\"m\",\"field\":\"a??\",\"remedy\":null}}");
}

TEST(only_load_and_host_refusals_may_be_tried_again) {
        static const unsigned statuses[] = {400, 403, 404, 405, 408, 409, 413, 415, 429, 503};

        for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
                assert_true(refusal_is_for_now(&(Refusal){.status = statuses[i]}) ==
                            (statuses[i] == 429 || statuses[i] == 503));
}

TEST(a_refusal_can_be_freed_empty_and_twice) {
        Refusal refusal = {0};

        refusal_deinit(&refusal);
        refusal_set(&refusal, 400, "too_many", "args", NULL, "m");
        refusal_deinit(&refusal);
        assert_null(refusal.code);
        assert_null(refusal.message);
        refusal_deinit(&refusal);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_refusal_has_all_four_fields),
                cmocka_unit_test(what_is_unknown_is_null),
                cmocka_unit_test(words_are_copied_cleaned_and_escaped),
                cmocka_unit_test(a_field_that_is_no_text_can_still_be_told),
                cmocka_unit_test(only_load_and_host_refusals_may_be_tried_again),
                cmocka_unit_test(a_refusal_can_be_freed_empty_and_twice),
        };

        return RUN_TESTS(tests);
}
