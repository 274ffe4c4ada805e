/* SPDX-License-Identifier: Apache-2.0 */

/* Which of runsc's flags take away from what a sandbox promises, however they are spelled. */

#include "runtime-arguments.h"
#include "unit.h"

#include <sys/stat.h>

static void expect(const char *arguments, Verdict verdict, const char *seen) {
        CLEANUP_FREE char *text = text_format("{\"path\":\"/p\",\"runtimeArgs\":%s}", arguments);
        CLEANUP_JSON cJSON *runtime = cJSON_Parse(text);
        Finding finding = {0};

        assert_non_null(runtime);
        runtime_arguments_judge(runtime, "register it anew", &finding);
        assert_case(finding.verdict == verdict, "%s: %s (%s)", arguments, verdict_name(finding.verdict),
                    finding.seen ? finding.seen : "");
        if (seen)
                assert_contains(finding.seen, seen);
        if (verdict != VERDICT_NONE)
                assert_non_null(finding.remedy);
        finding_deinit(&finding);
}

TEST(arguments_that_do_no_harm_are_let_be) {
        expect("[]", VERDICT_NONE, NULL);
        expect("null", VERDICT_NONE, NULL);
        expect("\"--debug\"", VERDICT_NONE, NULL);
        expect("[7, null, {}]", VERDICT_NONE, NULL);
        expect("[\"--network=none\", \"--platform=systrap\", \"--overlay2=none\"]", VERDICT_NONE, NULL);
        expect("[\"--network-raw=host\", \"--debugger\", \"---debug\", \"debug\"]", VERDICT_NONE, NULL);
        expect("[\"--debug=false\", \"-strace=0\", \"--ignore-cgroups=F\", \"--host-uds=none\"]", VERDICT_NONE, NULL);
}

TEST(the_hosts_network_is_a_failure) {
        expect("[\"--network=host\"]", VERDICT_FAIL, "--network=host");
        expect("[\"-network=host\"]", VERDICT_FAIL, "--network=host");
        expect("[\"--network\", \"host\"]", VERDICT_FAIL, "--network=host");
}

TEST(the_last_of_two_counts) {
        expect("[\"--network=host\", \"--network=none\"]", VERDICT_NONE, NULL);
        expect("[\"--network=none\", \"--network=host\"]", VERDICT_FAIL, "host");
        expect("[\"--debug\", \"--debug=false\"]", VERDICT_NONE, NULL);
}

TEST(what_the_shell_would_read_otherwise_is_a_failure) {
        expect("[\"--network=none --network=host\"]", VERDICT_FAIL, "--network=none --network=host");
        expect("[\"--debug=false\\t--ignore-cgroups\"]", VERDICT_FAIL, "another word");
        expect("[\"--network=none\", \"$(id)\"]", VERDICT_FAIL, "$(id)");
        expect("[\"--root=/run/a;reboot\"]", VERDICT_FAIL, "another command");
}

TEST(flags_of_gvisors_own_tests_are_failures) {
        expect("[\"--TESTONLY-unsafe-nonroot\"]", VERDICT_FAIL, "TESTONLY-unsafe-nonroot");
        expect("[\"-testonly-x=1\"]", VERDICT_FAIL, "testonly-x");
}

TEST(limits_that_are_not_in_force_are_a_failure) {
        expect("[\"--ignore-cgroups\"]", VERDICT_FAIL, "ignore-cgroups");
        expect("[\"--ignore-cgroups=true\"]", VERDICT_FAIL, "ignore-cgroups");
}

TEST(what_logs_or_opens_a_way_out_is_a_warning) {
        expect("[\"--debug\"]", VERDICT_WARN, "--debug");
        expect("[\"--strace=true\"]", VERDICT_WARN, "--strace");
        expect("[\"--log-packets\"]", VERDICT_WARN, "--log-packets");
        expect("[\"--host-uds=open\"]", VERDICT_WARN, "--host-uds=open");
        expect("[\"--allow-flag-override\"]", VERDICT_WARN, "annotations");
}

TEST(a_log_that_all_can_read_is_a_failure) {
        char folder[] = "/tmp/tee-test-XXXXXX";

        assert_non_null(mkdtemp(folder)); /* with mode 0700 */

        CLEANUP_FREE char *closed = text_format("[\"--debug\", \"--debug-log=%s/\"]", folder);
        CLEANUP_FREE char *below = text_format("[\"--debug\", \"--debug-log=%s/%%ID%%/a/log\"]", folder);
        CLEANUP_FREE char *only_a_path = text_format("[\"--debug-log=%s/\"]", folder);

        expect(closed, VERDICT_WARN, "--debug");
        expect(below, VERDICT_WARN, "--debug");
        assert_int_equal(chmod(folder, 0755), 0);
        expect(closed, VERDICT_FAIL, folder);
        expect(below, VERDICT_FAIL, folder);
        expect(only_a_path, VERDICT_NONE, NULL);
        assert_int_equal(rmdir(folder), 0);
        expect("[\"--debug\", \"--debug-log=relative\"]", VERDICT_WARN, "--debug");
        expect("[\"--debug\", \"--debug-log=/no-such-file\"]", VERDICT_FAIL, "/no-such-file");
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(arguments_that_do_no_harm_are_let_be),
                cmocka_unit_test(the_hosts_network_is_a_failure),
                cmocka_unit_test(the_last_of_two_counts),
                cmocka_unit_test(what_the_shell_would_read_otherwise_is_a_failure),
                cmocka_unit_test(flags_of_gvisors_own_tests_are_failures),
                cmocka_unit_test(limits_that_are_not_in_force_are_a_failure),
                cmocka_unit_test(what_logs_or_opens_a_way_out_is_a_warning),
                cmocka_unit_test(a_log_that_all_can_read_is_a_failure),
        };

        return RUN_TESTS(tests);
}
