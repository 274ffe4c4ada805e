/* SPDX-License-Identifier: Apache-2.0 */

#include "daemon-json.h"
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const network_none[] = {"--network=none", NULL};
static const DaemonRuntime runsc = {.name = "runsc", .path = "/usr/bin/runsc", .arguments = network_none};

#define MULTI                                         \
        "    \"runtimes\": {\n"                       \
        "        \"runsc\": {\n"                      \
        "            \"path\": \"/usr/bin/runsc\",\n" \
        "            \"runtimeArgs\": [\n"            \
        "                \"--network=none\"\n"        \
        "            ]\n"                             \
        "        }\n"                                 \
        "    }\n"

static void expect_put(const char *before, const char *after) {
        Buffer out = BUFFER_INIT(1 << 20);
        CLEANUP_FREE char *reason = NULL, *present = NULL;
        DaemonState state;

        assert_int_equal(daemon_json_put(before, strlen(before), &runsc, &out, &reason), 0);
        assert_string_equal((const char *) out.data, after);
        assert_int_equal(daemon_json_look(out.data, out.size, &runsc, &state, &present, &reason), 0);
        assert_int_equal(state, DAEMON_SAME);
        buffer_deinit(&out);
}

static void expect_drop(const char *before, bool drop_empty, const char *after) {
        Buffer out = BUFFER_INIT(1 << 20);
        CLEANUP_FREE char *reason = NULL;

        assert_int_equal(daemon_json_drop(before, strlen(before), "runsc", drop_empty, &out, &reason), 0);
        assert_string_equal(out.data ? (const char *) out.data : "", after);
        buffer_deinit(&out);
}

static void expect_refused(const char *text, const char *words) {
        Buffer out = BUFFER_INIT(1 << 20);
        CLEANUP_FREE char *reason = NULL, *present = NULL;
        DaemonState state;

        assert_int_equal(daemon_json_look(text, strlen(text), &runsc, &state, &present, &reason), -EINVAL);
        assert_non_null(strstr(reason, words));
        free(TAKE_PTR(reason));
        assert_int_equal(daemon_json_put(text, strlen(text), &runsc, &out, &reason), -EINVAL);
        assert_int_equal(out.size, 0);
        free(TAKE_PTR(reason));
        assert_int_equal(daemon_json_drop(text, strlen(text), "runsc", true, &out, &reason), -EINVAL);
        assert_int_equal(out.size, 0);
        buffer_deinit(&out);
}

TEST(a_file_without_keys_gets_the_registration_alone) {
        expect_put("", "{\n" MULTI "}\n");
        expect_put(" \n", "{\n" MULTI "}\n");
        expect_put("{}", "{\n" MULTI "}");
        expect_put("{ }\n", "{\n" MULTI "}\n"); /* what stood between the braces was white space */
}

TEST(other_keys_stay_byte_for_byte) {
        expect_put("\n{\n    \"log-level\": \"\\u0069nfo\",\n    \"max\" : 1e3,\n    \"a\": [ 1,2 ,{ } ]\n}\n\n",
                   "\n{\n    \"log-level\": \"\\u0069nfo\",\n    \"max\" : 1e3,\n    \"a\": [ 1,2 ,{ } ],\n" MULTI
                   "}\n\n");
}

TEST(the_author_s_indentation_is_kept) {
        expect_put("{\n\t\"debug\": true\n}\n",
                   "{\n\t\"debug\": true,\n\t\"runtimes\": {\n\t\t\"runsc\": {\n\t\t\t\"path\": \"/usr/bin/runsc\",\n"
                   "\t\t\t\"runtimeArgs\": [\n\t\t\t\t\"--network=none\"\n\t\t\t]\n\t\t}\n\t}\n}\n");
        expect_put(
                "{\r\n  \"debug\":true\r\n}",
                "{\r\n  \"debug\":true,\r\n  \"runtimes\":{\r\n    \"runsc\":{\r\n      "
                "\"path\":\"/usr/bin/runsc\",\r\n      \"runtimeArgs\":[\r\n        \"--network=none\"\r\n      ]\r\n"
                "    }\r\n  }\r\n}");
        expect_put("{\"debug\":true}",
                   "{\"debug\":true,\"runtimes\":{\"runsc\":{\"path\":\"/usr/bin/runsc\",\"runtimeArgs\":[\"--network="
                   "none\"]}}}");
        expect_put("{\"debug\": true}",
                   "{\"debug\": true, \"runtimes\": {\"runsc\": {\"path\": \"/usr/bin/runsc\", \"runtimeArgs\": "
                   "[\"--network=none\"]}}}");
}

TEST(other_oci_runtimes_stay) {
        expect_put("{\n  \"runtimes\": {\n    \"crun\": { \"path\": \"crun\" }\n  },\n  \"debug\": true\n}",
                   "{\n  \"runtimes\": {\n    \"crun\": { \"path\": \"crun\" },\n    \"runsc\": {\n      \"path\": "
                   "\"/usr/bin/runsc\",\n      \"runtimeArgs\": [\n        \"--network=none\"\n      ]\n    }\n  },\n"
                   "  \"debug\": true\n}");
        expect_put("{\n  \"runtimes\": {\"crun\": {\"path\": \"crun\"}},\n  \"debug\": true\n}",
                   "{\n  \"runtimes\": {\"crun\": {\"path\": \"crun\"}, \"runsc\": {\"path\": \"/usr/bin/runsc\", "
                   "\"runtimeArgs\": [\"--network=none\"]}},\n  \"debug\": true\n}");
        expect_put("{\n    \"runtimes\": {}\n}\n", "{\n" MULTI "}\n");
}

TEST(one_that_differs_is_replaced_in_its_place) {
        expect_put(
                "{\n    \"runtimes\": {\n        \"runsc\": {\"path\": \"/usr/local/bin/runsc\", \"x\": [\"}\"]}\n    "
                "}\n}\n",
                "{\n" MULTI "}\n");
        expect_put("{\n    \"r\\u0075ntimes\": {\n        \"runsc\": 1\n    }\n}\n",
                   "{\n    \"r\\u0075ntimes\": {\n        \"runsc\": {\n            \"path\": \"/usr/bin/runsc\",\n"
                   "            \"runtimeArgs\": [\n                \"--network=none\"\n            ]\n        }\n    "
                   "}\n}\n");
}

/* In whatever form somebody else has written it. */
TEST(one_that_is_there_is_left_as_it_is_written) {
        static const char *const texts[] = {
                "{\"runtimes\":{\"runsc\":{\"runtimeArgs\":[ \"--network=none\" ],\"path\":\"/usr/bin/runsc\"}}}\n",
                "{\n  \"runtimes\": {\"runsc\": {\"path\": \"/usr/bin/runsc\",\n\n\"runtimeArgs\": "
                "[\"\\u002d-network=none\"]}}}",
        };

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                expect_put(texts[i], texts[i]);
}

TEST(a_byte_order_mark_stays) {
        expect_put("\xef\xbb\xbf{\"a\":1}", "\xef\xbb\xbf{\"a\":1,\"runtimes\":{\"runsc\":{\"path\":\"/usr/bin/"
                                            "runsc\",\"runtimeArgs\":[\"--network=none\"]}}}");
        expect_drop("\xef\xbb\xbf{\"runtimes\":{\"runsc\":1},\"a\":1}", true, "\xef\xbb\xbf{\"a\":1}");
        expect_put("\xef\xbb\xbf\n", "{\n" MULTI "}\n");
}

TEST(it_is_seen_what_is_there) {
        static const struct {
                const char *text;
                DaemonState state;
        } cases[] = {
                {"", DAEMON_MISSING},
                {"{\"runtimes\":{}}", DAEMON_MISSING},
                {"{\"x\":{\"runsc\":{\"path\":\"/usr/bin/runsc\",\"runtimeArgs\":[\"--network=none\"]}}}",
                 DAEMON_MISSING},
                {"{\"runtimes\":{\"runsc\":{\"runtimeArgs\":[\"--network=none\"],\"path\":\"/usr/bin/runsc\"}}}",
                 DAEMON_SAME},
                {"{\"runtimes\":{\"runsc\":{\"path\":\"/usr/bin/runsc\"}}}", DAEMON_DIFFERS},
                {"{\"runtimes\":{\"runsc\":{\"path\":\"/usr/bin/runsc\",\"runtimeArgs\":[]}}}", DAEMON_DIFFERS},
                {"{\"runtimes\":{\"runsc\":{\"path\":\"/usr/bin/runsc\",\"runtimeArgs\":[\"--network=none\",\"-d\"]}}}",
                 DAEMON_DIFFERS},
                {"{\"runtimes\":{\"runsc\":7}}", DAEMON_DIFFERS},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                CLEANUP_FREE char *present = NULL, *reason = NULL;
                DaemonState seen;

                assert_int_equal(
                        daemon_json_look(cases[i].text, strlen(cases[i].text), &runsc, &seen, &present, &reason), 0);
                assert_int_equal(seen, cases[i].state);
                assert_int_equal(present != NULL, seen != DAEMON_MISSING);
        }
}

TEST(no_arguments_and_an_empty_list_are_the_same) {
        static const char *const none[] = {NULL};
        static const DaemonRuntime plain = {.name = "runsc", .path = "/usr/bin/runsc", .arguments = none};
        static const char text[] = "{\"runtimes\":{\"runsc\":{\"path\":\"/usr/bin/runsc\",\"runtimeArgs\":[]}}}";
        CLEANUP_FREE char *present = NULL, *reason = NULL;
        DaemonState seen;

        assert_int_equal(daemon_json_look(text, strlen(text), &plain, &seen, &present, &reason), 0);
        assert_int_equal(seen, DAEMON_SAME);
}

TEST(what_cannot_be_worked_on_is_refused_and_says_where) {
        expect_refused("{\n  \"debug\": true,\n}", "line 3, column 1");
        expect_refused("[]", "no object");
        expect_refused("{\"runtimes\": []}", "'runtimes' is no object");
        expect_refused("{\"runtimes\": {}, \"runtimes\": {}}", "'runtimes' twice");
        expect_refused("{\"runtimes\": {\"a\": {}, \"a\": {}}}", "'a' twice in 'runtimes'");
        expect_refused("{\"debug\": true} // why", "line 1, column 17");
        expect_refused("{\"log-opts\": {\"a\": 1, \"b\": 2, \"a\": 3}}", "'a' twice in 'log-opts'");
        expect_refused("{\"x\": [[{\"a\": 1, \"\\u0061\": 2}]]}", "'a' twice:");
        expect_refused("{\"max\": 1e999}", "too large: 'max'");
        expect_refused("{\"max\": [-1e999]}", "too large");
        expect_refused("{\"a\": \"\\u0000\"}", "NUL");
        expect_refused("\xff\xfe{", "line 1, column 1: not valid UTF-8"); /* UTF-16 */
}

TEST(a_registration_is_taken_out_and_the_rest_stays) {
        expect_drop("{\n" MULTI "}\n", true, "{}\n");
        expect_drop("{\n" MULTI "}\n", false, "{\n    \"runtimes\": {}\n}\n");
        expect_drop("{\n  \"debug\" : true,\n  \"runtimes\": {\n    \"runsc\": {}\n  }\n}\n", true,
                    "{\n  \"debug\" : true\n}\n");
        expect_drop("{\n  \"runtimes\": {\n    \"runsc\": {},\n    \"crun\": {}\n  },\n  \"debug\": true\n}\n", true,
                    "{\n  \"runtimes\": {\n    \"crun\": {}\n  },\n  \"debug\": true\n}\n");
        expect_drop("{\"a\":1,\"runtimes\":{\"crun\":{},\"runsc\":{}},\"b\":2}", true,
                    "{\"a\":1,\"runtimes\":{\"crun\":{}},\"b\":2}");
        expect_drop("{\"a\":1,\"runtimes\":{},\"b\":2}", true, "{\"a\":1,\"b\":2}");
        expect_drop("{\"a\":1}", true, "{\"a\":1}");
        expect_drop("", true, "");
}

/* Copied to every line, it would pass the bound of what a registration may add. */
TEST(a_first_key_far_to_the_right_is_no_indentation) {
        enum {
                WIDEST = 8192
        };
        char text[WIDEST + 32];

        for (size_t n = 8; n <= WIDEST; n *= 4) {
                Buffer out = BUFFER_INIT(1 << 20);
                CLEANUP_FREE char *reason = NULL;

                (void) snprintf(text, sizeof(text), "{\n%*s\"a\": 1\n}", (int) n, "");
                assert_int_equal(daemon_json_put(text, strlen(text), &runsc, &out, &reason), 0);
                assert_true(out.size < n + 1024);
                buffer_deinit(&out);
        }
}

TEST(a_file_without_keys_is_seen_to_be_one) {
        static const struct {
                const char *text;
                bool is_empty;
        } cases[] = {{"", true},     {" \n", true},   {"{}", true},      {"{ \n}\n", true},
                     {"{", false},   {"[]", false},   {"null", false},   {"{\"a\":null}", false},
                     {"{}x", false}, {"{}{}", false}, {"{\"a\":", false}};

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                assert_case(daemon_json_is_empty(cases[i].text, strlen(cases[i].text)) == cases[i].is_empty, "%s",
                            cases[i].text);
}

TEST(a_registration_is_told_in_one_line) {
        static const char *const none[] = {NULL};
        static const DaemonRuntime plain = {.name = "runsc", .path = "/opt/\"runsc\"", .arguments = none};
        CLEANUP_FREE char *with = daemon_runtime_text(&runsc), *without = daemon_runtime_text(&plain);

        assert_string_equal(with, "{\"path\":\"/usr/bin/runsc\",\"runtimeArgs\":[\"--network=none\"]}");
        assert_string_equal(without, "{\"path\":\"/opt/\\\"runsc\\\"\"}");
}

TEST(put_and_drop_give_the_old_text_back) {
        static const char *const texts[] = {
                "{\n  \"debug\": true\n}\n",
                "{\"a\":1}",
                "{\n  \"runtimes\": {\n    \"crun\": {}\n  }\n}",
                "{\n\t\"x\": [1, 2, {\"runtimes\": {\"runsc\": 1}}]\n}\n",
        };

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                Buffer put = BUFFER_INIT(1 << 20);
                CLEANUP_FREE char *reason = NULL;

                assert_int_equal(daemon_json_put(texts[i], strlen(texts[i]), &runsc, &put, &reason), 0);
                expect_drop((const char *) put.data, true, texts[i]);
                buffer_deinit(&put);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_file_without_keys_gets_the_registration_alone),
                cmocka_unit_test(other_keys_stay_byte_for_byte),
                cmocka_unit_test(the_author_s_indentation_is_kept),
                cmocka_unit_test(other_oci_runtimes_stay),
                cmocka_unit_test(one_that_differs_is_replaced_in_its_place),
                cmocka_unit_test(one_that_is_there_is_left_as_it_is_written),
                cmocka_unit_test(a_byte_order_mark_stays),
                cmocka_unit_test(it_is_seen_what_is_there),
                cmocka_unit_test(no_arguments_and_an_empty_list_are_the_same),
                cmocka_unit_test(what_cannot_be_worked_on_is_refused_and_says_where),
                cmocka_unit_test(a_registration_is_taken_out_and_the_rest_stays),
                cmocka_unit_test(a_first_key_far_to_the_right_is_no_indentation),
                cmocka_unit_test(a_file_without_keys_is_seen_to_be_one),
                cmocka_unit_test(a_registration_is_told_in_one_line),
                cmocka_unit_test(put_and_drop_give_the_old_text_back),
        };

        return RUN_TESTS(tests);
}
