/* SPDX-License-Identifier: Apache-2.0 */

/* The two witnesses of an OCI runtime's registration, /info and daemon.json, and what happens when they disagree. */

#include "registration.h"
#include "unit.h"

#include <errno.h>

/* ---- /info ---- */

static void assert_info(const char *info, const char *expected_path) {
        JsonError error;
        cJSON *document = json_parse(info, strlen(info), &error);
        const char *path = registration_in_info(document, "runsc");

        assert_non_null(document);
        if (expected_path)
                assert_case(path && strcmp(path, expected_path) == 0, "%s, in %s", path ? path : "nothing", info);
        else
                assert_case(!path, "%s, in %s", path, info);
        cJSON_Delete(document);
}

TEST(a_registered_runtime_is_found_with_its_path) {
        assert_info("{\"Runtimes\":{\"runc\":{\"path\":\"runc\"},\"runsc\":{\"path\":\"/usr/bin/runsc\","
                    "\"runtimeArgs\":[\"--network=none\"]}}}",
                    "/usr/bin/runsc");
        assert_info("{\"Runtimes\":{\"runsc\":{\"path\":\"\"}}}", "");
}

TEST(a_registration_by_type_has_no_path) {
        assert_info("{\"Runtimes\":{\"runsc\":{\"runtimeType\":\"io.containerd.runsc.v1\"}}}", "");
        assert_info("{\"Runtimes\":{\"runsc\":{\"path\":\"/p\",\"runtimeType\":\"io.containerd.runsc.v1\"}}}", "/p");
}

TEST(what_is_not_registered_is_not_found) {
        static const char *const infos[] = {
                "{}",
                "[]",
                "null",
                "{\"Runtimes\":null}",
                "{\"Runtimes\":[]}",
                "{\"Runtimes\":{}}",
                "{\"Runtimes\":{\"runc\":{\"path\":\"runc\"}}}",
                "{\"Runtimes\":{\"RunSC\":{\"path\":\"/p\"}}}",
                "{\"runtimes\":{\"runsc\":{\"path\":\"/p\"}}}",
                "{\"Runtimes\":{\"runsc\":null}}",
                "{\"Runtimes\":{\"runsc\":\"/p\"}}",
                "{\"Runtimes\":{\"runsc\":{}}}",
                "{\"Runtimes\":{\"runsc\":{\"path\":7}}}",
                "{\"Runtimes\":{\"runsc\":{\"runtimeType\":7}}}",
        };

        for (size_t i = 0; i < ARRAY_SIZE(infos); i++)
                assert_info(infos[i], NULL);
        assert_null(registration_in_info(NULL, "runsc"));
}

/* ---- daemon.json ---- */

static void assert_disagrees(const char *text, const char *info_path, const char *expected_reason) {
        CLEANUP_FREE char *reason = NULL;

        assert_case(registration_check(text, strlen(text), "runsc", info_path, &reason) == -EINVAL, "agrees: %s", text);
        assert_non_null(reason);
        assert_string_equal(reason, expected_reason);
}

static void assert_agrees(const char *text, const char *info_path) {
        char *reason = NULL;

        assert_case(registration_check(text, strlen(text), "runsc", info_path, &reason) == 0, "%s",
                    reason ? reason : "");
        assert_null(reason);
}

TEST(a_file_that_says_the_same_agrees) {
        assert_agrees("{\"runtimes\":{\"runsc\":{\"path\":\"/usr/bin/runsc\",\"runtimeArgs\":[]}},\"debug\":true}\n",
                      "/usr/bin/runsc");
        assert_agrees("{\"runtimes\":{\"runsc\":{\"runtimeType\":\"io.containerd.runsc.v1\"}}}", "");
}

TEST(a_file_without_the_runtime_disagrees) {
        static const char reason[] = "the running Docker has the OCI runtime 'runsc', the file does not";

        assert_disagrees("{}", "/p", reason);
        assert_disagrees("[1, 1]", "/p", reason);
        assert_disagrees("{\"runtimes\":{}}", "/p", reason);
        assert_disagrees("{\"runtimes\":\"runsc\"}", "/p", reason);
        assert_disagrees("{\"runtimes\":{\"runc\":{\"path\":\"/p\"}}}", "/p", reason);
        assert_disagrees("{\"Runtimes\":{\"runsc\":{\"path\":\"/p\"}}}", "/p", reason);
        assert_disagrees("{\"runtimes\":{\"runsc\":{\"path\":null}}}", "/p", reason);
}

TEST(a_file_with_another_path_disagrees) {
        assert_disagrees(
                "{\"runtimes\":{\"runsc\":{\"path\":\"/usr/bin/runc\"}}}", "/usr/bin/runsc",
                "the path of 'runsc' is '/usr/bin/runc' in the file and '/usr/bin/runsc' in the running Docker");
        assert_disagrees("{\"runtimes\":{\"runsc\":{\"path\":\"/p\"}}}", "",
                         "the path of 'runsc' is '/p' in the file and '' in the running Docker");
        assert_disagrees("{\"runtimes\":{\"runsc\":{\"runtimeType\":\"t\"}}}", "/p",
                         "the path of 'runsc' is '' in the file and '/p' in the running Docker");
}

TEST(a_key_that_stands_twice_is_not_taken_from_its_first_place) {
        assert_disagrees("{\"runtimes\":{\"runsc\":{\"path\":\"/p\"},\"runsc\":{\"path\":\"/usr/bin/runc\"}}}", "/p",
                         "'runsc' stands twice");
        assert_disagrees("{\"runtimes\":{\"runsc\":{\"path\":\"/p\"}},\"runtimes\":{}}", "/p",
                         "'runtimes' stands twice");
        assert_disagrees("{\"runtimes\":{\"runsc\":{\"path\":\"/p\",\"path\":\"/q\"}}}", "/p", "'path' stands twice");
}

TEST(a_file_that_docker_could_not_read_disagrees_with_its_place) {
        assert_disagrees("", "/p", "line 1, column 1: not valid JSON (wrong, cut off, or nested deeper than 1,000)");
        assert_disagrees("{\n  \"runtimes\": x\n}", "/p",
                         "line 2, column 15: not valid JSON (wrong, cut off, or nested deeper than 1,000)");
        assert_disagrees("{\"a\":\"\xff\"}", "/p", "line 1, column 7: not valid UTF-8");
}

/* ---- the registration itself ---- */

static cJSON *parsed(const char *text) {
        CLEANUP_FREE char *reason = NULL;
        cJSON *runtime = NULL;

        assert_int_equal(registration_parse(text, strlen(text), "runsc", &runtime, &reason), 0);
        assert_null(reason);
        return runtime;
}

TEST(a_registration_is_read_from_the_file_with_its_path) {
        CLEANUP_JSON cJSON *runtime = parsed("{\"runtimes\":{\"runsc\":{\"path\":\"/p\",\"runtimeArgs\":[\"-a\"]}}}");

        assert_string_equal(registration_path(runtime), "/p");
        assert_null(parsed("{\"runtimes\":{\"other\":{\"path\":\"/p\"}}}"));
        assert_null(registration_path(NULL));
}

TEST(a_file_that_is_not_there_has_no_registration_to_read) {
        char *reason = NULL;
        cJSON *runtime = NULL;

        assert_int_equal(registration_read("", "runsc", &runtime, &reason), -ENOENT);
        assert_int_equal(registration_read("/nonexistent/daemon.json", "runsc", &runtime, &reason), -ENOENT);
        assert_null(reason);
}

TEST(arguments_are_the_same_in_the_same_order_only) {
        static const struct {
                const char *a, *b;
                bool same;
        } cases[] = {
                {"{}", "{\"runtimeArgs\":[]}", true},
                {"{\"runtimeArgs\":null}", "{}", true},
                {"{\"runtimeArgs\":[\"-a\",\"-b\"]}", "{\"runtimeArgs\":[\"-a\",\"-b\"]}", true},
                {"{\"runtimeArgs\":[\"-a\",\"-b\"]}", "{\"runtimeArgs\":[\"-b\",\"-a\"]}", false},
                {"{\"runtimeArgs\":[\"-a\"]}", "{}", false},
                {"{\"runtimeArgs\":[\"-a\"]}", "{\"runtimeArgs\":[\"-A\"]}", false},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                CLEANUP_JSON cJSON *a = cJSON_Parse(cases[i].a), *b = cJSON_Parse(cases[i].b);

                assert_case(registration_same_arguments(a, b) == cases[i].same, "%s, %s", cases[i].a, cases[i].b);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_registered_runtime_is_found_with_its_path),
                cmocka_unit_test(a_registration_by_type_has_no_path),
                cmocka_unit_test(what_is_not_registered_is_not_found),
                cmocka_unit_test(a_file_that_says_the_same_agrees),
                cmocka_unit_test(a_file_without_the_runtime_disagrees),
                cmocka_unit_test(a_file_with_another_path_disagrees),
                cmocka_unit_test(a_key_that_stands_twice_is_not_taken_from_its_first_place),
                cmocka_unit_test(a_file_that_docker_could_not_read_disagrees_with_its_place),
                cmocka_unit_test(a_registration_is_read_from_the_file_with_its_path),
                cmocka_unit_test(a_file_that_is_not_there_has_no_registration_to_read),
                cmocka_unit_test(arguments_are_the_same_in_the_same_order_only),
        };

        return RUN_TESTS(tests);
}
