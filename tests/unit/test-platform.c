/* SPDX-License-Identifier: Apache-2.0 */

/* What runsc says of its platforms, in the words of several versions. */

#include "platform.h"
#include "unit.h"

#define OLD                                                                                          \
        "  -pcap-log string\n    \tlocation of PCAP log file.\n  -platform string\n    \tspecifies " \
        "which platform to use: ptrace (default), kvm. (default \"ptrace\")\n"                       \
        "  -platform_device_path string\n    \tpath to a file (e.g. /dev/kvm: for systrap).\n"
#define NEW                                                                                                      \
        "\n  -platform string\n    \tspecifies which platform to use: systrap (default), ptrace, kvm. (default " \
        "\"systrap\")\n"

static void expect(const char *flags, const char *wanted, const char *fallback, bool has) {
        char found[16];
        bool found_has;

        platform_parse(flags, wanted, found, &found_has);
        assert_string_equal(found, fallback);
        assert_case(found_has == has, "%s", wanted ? wanted : "(default)");
}

TEST(platforms_are_those_that_the_flag_lists) {
        expect(OLD, NULL, "ptrace", true);
        expect(OLD, "kvm", "ptrace", true);
        expect(OLD, "ptrace", "ptrace", true);
        expect(OLD, "systrap", "ptrace", false);
        expect(NEW, NULL, "systrap", true);
        expect(NEW, "ptrace", "systrap", true);
        expect(NEW, "kvm", "systrap", true);
        expect(NEW, "kv", "systrap", false);
        expect(NEW, "default", "systrap", false);
        expect(NEW, "", "systrap", false);
}

TEST(words_that_tell_nothing_are_no_platform) {
        expect("", NULL, "", false);
        expect("\n  -platform string\n", "kvm", "", false);
        expect("\n  -platform string\n    \twhich: \n", "kvm", "", false);
        expect("\n  -platform string: a-name-that-is-too-long-for-one (default)", NULL, "", false);
}

static void expect_verdict(const char *flags, const char *wanted, Verdict verdict, const char *seen) {
        Finding finding = {0};

        platform_judge(flags, wanted, "register it anew", &finding);
        assert_case(finding.verdict == verdict, "%s: %s", verdict_name(finding.verdict), finding.seen);
        assert_contains(finding.seen, seen);
        finding_deinit(&finding);
}

TEST(a_platform_that_is_going_away_is_a_warning_where_there_is_a_better_one) {
        expect_verdict(NEW, "ptrace", VERDICT_WARN, "no longer supported");
        expect_verdict(OLD, NULL, VERDICT_PASS, "ptrace, its default");
        expect_verdict(NEW, "none", VERDICT_FAIL, "no platform 'none'");
        expect_verdict("", NULL, VERDICT_SKIP, "does not tell");
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(platforms_are_those_that_the_flag_lists),
                cmocka_unit_test(words_that_tell_nothing_are_no_platform),
                cmocka_unit_test(a_platform_that_is_going_away_is_a_warning_where_there_is_a_better_one),
        };

        return RUN_TESTS(tests);
}
