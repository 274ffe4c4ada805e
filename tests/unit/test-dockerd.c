/* SPDX-License-Identifier: Apache-2.0 */

#include "dockerd.h"
#include "unit.h"

/* Words between NULs, as /proc has them. */
#define WORDS(text) make_words(text, sizeof(text))

static Buffer make_words(const char *text, size_t size) {
        Buffer words = BUFFER_INIT(4096);

        assert_int_equal(buffer_append(&words, text, size), 0);
        return words;
}

static void expect_conflict(Buffer words, const char *config, bool may_add, const char *key) {
        JsonError error;
        CLEANUP_JSON cJSON *json = json_parse(config, strlen(config), &error);
        const char *found;

        assert_non_null(json);
        found = dockerd_conflict(&words, json, may_add);
        if (key) {
                assert_non_null(found);
                assert_string_equal(found, key);
        } else {
                assert_null(found);
        }
        buffer_deinit(&words);
}

TEST(a_key_that_a_flag_sets_too_collides) {
        expect_conflict(WORDS("/usr/sbin/dockerd\0-H\0fd://\0--bridge=none"), "{\"bridge\":\"none\"}", false, "bridge");
        expect_conflict(WORDS("dockerd\0--bridge\0none"), "{\"debug\":true,\"bridge\":\"x\"}", false, "bridge");
        expect_conflict(WORDS("dockerd\0-b\0none"), "{\"bridge\":\"x\"}", false, "bridge");
        expect_conflict(WORDS("dockerd\0-D"), "{\"debug\":true}", false, "debug");
}

TEST(a_list_s_flag_is_in_the_singular) {
        expect_conflict(WORDS("dockerd\0-H\0fd://"), "{\"hosts\":[]}", false, "hosts");
        expect_conflict(WORDS("dockerd\0--host=fd://"), "{\"hosts\":[]}", false, "hosts");
        expect_conflict(WORDS("dockerd\0--insecure-registry=x"), "{\"insecure-registries\":[]}", false,
                        "insecure-registries");
        expect_conflict(WORDS("dockerd\0--registry-mirror\0x"), "{\"registry-mirrors\":[]}", false, "registry-mirrors");
        expect_conflict(WORDS("dockerd\0--log-opt=a=b"), "{\"log-opts\":{}}", false, "log-opts");
        expect_conflict(WORDS("dockerd\0--dns=1.1.1.1"), "{\"dns\":[]}", false, "dns");
}

TEST(what_only_looks_alike_does_not) {
        expect_conflict(WORDS("dockerd\0--log-level=info"), "{\"log-driver\":\"x\",\"log-opts\":{}}", false, NULL);
        expect_conflict(WORDS("dockerd\0--dns-opt=x"), "{\"dns\":[],\"dns-search\":[]}", false, NULL);
        expect_conflict(WORDS("dockerd\0--ip=1.2.3.4"), "{\"ipv6\":false,\"ip-forward\":true,\"iptables\":false}",
                        false, NULL);
        expect_conflict(WORDS("dockerd\0none\0-\0--\0--="), "{\"none\":1,\"\":2}", true, NULL);
        expect_conflict(WORDS("dockerd"), "{}", true, NULL);
        expect_conflict(BUFFER_INIT(16), "{\"bridge\":\"none\"}", true, NULL);
}

TEST(runtimes_collide_when_they_would_be_added) {
        expect_conflict(WORDS("dockerd\0--add-runtime\0a=/a"), "{}", false, NULL);
        expect_conflict(WORDS("dockerd\0--add-runtime\0a=/a"), "{}", true, "runtimes");
        expect_conflict(WORDS("dockerd\0--add-runtime=a=/a"), "{\"runtimes\":{}}", false, "runtimes");
}

TEST(a_runtime_of_the_command_line_is_found_by_its_name) {
        Buffer words = WORDS("dockerd\0--add-runtime\0runsc=/usr/bin/runsc\0--add-runtime=crun=/c\0--add-runtime");

        assert_true(dockerd_adds_runtime(&words, "runsc"));
        assert_true(dockerd_adds_runtime(&words, "crun"));
        assert_false(dockerd_adds_runtime(&words, "run"));
        assert_false(dockerd_adds_runtime(&words, "runsc2"));
        buffer_deinit(&words);
}

TEST(the_last_file_that_is_named_counts) {
        Buffer words = WORDS("dockerd\0--config-file=/a\0--config-file\0/b"), none = WORDS("dockerd\0--config-file");

        assert_string_equal(dockerd_config_file(&words), "/b");
        assert_null(dockerd_config_file(&none));
        buffer_deinit(&words);
        buffer_deinit(&none);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_key_that_a_flag_sets_too_collides),
                cmocka_unit_test(a_list_s_flag_is_in_the_singular),
                cmocka_unit_test(what_only_looks_alike_does_not),
                cmocka_unit_test(runtimes_collide_when_they_would_be_added),
                cmocka_unit_test(a_runtime_of_the_command_line_is_found_by_its_name),
                cmocka_unit_test(the_last_file_that_is_named_counts),
        };

        return RUN_TESTS(tests);
}
