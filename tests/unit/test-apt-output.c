/* SPDX-License-Identifier: Apache-2.0 */

/* What apt and dpkg print, as they have printed it, and as they must not. */

#include "apt-output.h"
#include "buffer.h"
#include "unit.h"

#include <stdio.h>

/* ---- progress ---- */

TEST(progress_is_read) {
        static const struct {
                const char *line;
                int percent;
                const char *words;
        } cases[] = {
                {"dlstatus:1:27.5:Retrieving file 1 of 2", 27, "Retrieving file 1 of 2"},
                {"pmstatus:runsc:60.0:Unpacking runsc (amd64)", 60, "Unpacking runsc (amd64)"},
                {"pmstatus:dpkg-exec:0.0:Running dpkg", 0, "Running dpkg"},
                {"pmstatus:runsc:100:Installed: runsc", 100, "Installed: runsc"},
                {"pmstatus:runsc:101:x", -1, "x"},
                {"pmstatus:runsc:-1:x", -1, "x"},
                {"pmstatus:runsc:1e99:x", -1, "x"},
                {"pmstatus:runsc:nan:x", -1, "x"},
                {"pmstatus:runsc::", 0, ""},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                const char *words = NULL;
                int percent = 7;

                assert_true(apt_output_progress(cases[i].line, &percent, &words));
                assert_int_equal(percent, cases[i].percent);
                assert_string_equal(words, cases[i].words);
        }
}

TEST(what_is_no_progress_is_passed_by) {
        static const char *const lines[] = {"",
                                            ":",
                                            "dlstatus",
                                            "dlstatus:1:27.5",
                                            "pmerror:runsc:60:failed",
                                            "pmconffile:/etc/x:60:'a' 'b'",
                                            "media-change: x:y:z:w",
                                            " dlstatus:1:2:x"};

        for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
                const char *words = "untouched";
                int percent = 7;

                assert_false(apt_output_progress(lines[i], &percent, &words));
                assert_int_equal(percent, 7);
                assert_string_equal(words, "untouched");
        }
}

/* ---- errors ---- */

static void expect_errors(const char *text, const char *wanted) {
        CLEANUP_FREE char *errors = apt_output_errors(text);

        assert_string_equal(errors, wanted);
}

TEST(errors_are_told_with_the_lines_that_explain_them) {
        expect_errors("Ign:1 http://127.0.0.1/gvisor release InRelease\n"
                      "Err:2 http://127.0.0.1/gvisor release Release\n"
                      "  404  Not Found [IP: 127.0.0.1 80]\n"
                      "Reading package lists...\n"
                      "  not of an error\n"
                      "E: The repository does not have a Release file.\n",
                      "Err:2 http://127.0.0.1/gvisor release Release; 404  Not Found [IP: 127.0.0.1 80]; "
                      "E: The repository does not have a Release file.");
        expect_errors("dpkg: error processing archive x.deb (--unpack):\n"
                      " no space left\n"
                      "dpkg-deb: error: paste subprocess was killed\n"
                      "W: a warning\n",
                      "dpkg: error processing archive x.deb (--unpack):; dpkg-deb: error: paste subprocess was killed");
        expect_errors("E: one\r\n  and more \r\nE: two", "E: one; and more; E: two");
}

TEST(without_errors_the_last_words_are_told) {
        expect_errors("Reading package lists...\nKilled\n \t\r\n\n", "Killed");
        expect_errors("  one line  ", "one line");
        expect_errors("", "it said nothing");
        expect_errors(" \n\n\t\n", "it said nothing");
        expect_errors("WE: x\nErr 2\n", "Err 2");
}

TEST(errors_are_bounded) {
        enum {
                LINES = 100,
                WIDTH = 40
        };
        char text[LINES * WIDTH + 1] = "", *to = text;
        CLEANUP_FREE char *errors = NULL;

        for (int i = 0; i < LINES; i++)
                to += sprintf(to, "E: %036d\n", i);
        errors = apt_output_errors(text);
        assert_non_null(errors);
        assert_true(strlen(errors) <= 2048);
        assert_memory_equal(errors, "E: 000000000000000000000000000000000000; E: 0000", 48);
}

TEST(an_error_that_is_too_long_alone_is_told_as_the_last_words) {
        CLEANUP_FREE char *text = malloc(4001);
        CLEANUP_FREE char *errors = NULL;

        assert_non_null(text);
        memset(text, 'x', 4000);
        memcpy(text, "E: ", 3);
        text[4000] = '\0';
        errors = apt_output_errors(text);
        assert_string_equal(errors, text);
}

/* ---- what is offered ---- */

#define URL "https://storage.googleapis.com/gvisor/releases"

static void expect_offer(const char *text, const char *url, const char *suite, const char *exact, const char *wanted) {
        const AptOffer offer = {.url = url, .suite = suite, .version = exact};
        CLEANUP_FREE char *version = NULL;

        assert_int_equal(apt_output_offer(text, &offer, &version), 0);
        assert_case(!version == !wanted, "offered: %s", version ? version : "none");
        if (wanted)
                assert_string_equal(version, wanted);
}

static const char madison[] =
        "     runsc | 20260831.0 | " URL " nightly/main amd64 Packages\n"
        "     runsc | 20260801.0 | " URL " release/main amd64 Packages\n"
        "     runsc | 20250707.0 | " URL " release/main amd64 Packages\n"
        "     runsc | 0.0~20221219.0-1 | http://mirror.example/debian bookworm/main amd64 Packages\n"
        "     runsc | 0.0~20221219.0-1 | http://mirror.example/debian bookworm/main Sources\n";

TEST(the_newest_of_our_repository_is_offered) {
        expect_offer(madison, URL, "release", NULL, "20260801.0");
        expect_offer(madison, URL "/", "release", NULL, "20260801.0");
        expect_offer(madison, URL, "nightly", NULL, "20260831.0");
        expect_offer(madison, "http://mirror.example/debian", "bookworm", NULL, "0.0~20221219.0-1");
}

TEST(a_version_that_is_wanted_is_offered_or_none) {
        expect_offer(madison, URL, "release", "20250707.0", "20250707.0");
        expect_offer(madison, URL, "release", "20250707", NULL);
        expect_offer(madison, URL, "release", "20250707.00", NULL);
        expect_offer(madison, URL, "release", "20260831.0", NULL);
}

TEST(another_repository_or_suite_offers_nothing) {
        expect_offer(madison, URL, "releas", NULL, NULL);
        expect_offer(madison, URL, "release/main", NULL, NULL);
        expect_offer(madison, URL "x", "release", NULL, NULL);
        expect_offer(madison, "https://storage.googleapis.com/gvisor", "release", NULL, NULL);
        expect_offer("", URL, "release", NULL, NULL);
        expect_offer("N: Unable to locate package runsc\n", URL, "release", NULL, NULL);
        expect_offer("runsc | 1 |\n| 1 | " URL " release/main\nrunsc |  | " URL " release/main\nrunsc | 1", URL,
                     "release", NULL, NULL);
}

TEST(the_form_of_the_columns_does_not_matter) {
        expect_offer("runsc|1|" URL "/ release/main amd64 Packages", URL, "release", NULL, "1");
        expect_offer("runsc | 1 | " URL " release/main | more\r\n", URL "//", "release", "1", "1");
}

/* ---- what has come ---- */

/* The names, each with a blank behind it; how many go to ret_size, which may be NULL. */
static char *added(const char *before, const char *now, size_t *ret_size) {
        CLEANUP_BUFFER Buffer text = BUFFER_INIT((size_t) 64 * 1024);
        char **names = NULL, *result;
        size_t n = 0;

        assert_int_equal(apt_output_added(before, now, &names), 0);
        for (; names && names[n]; n++) {
                assert_int_equal(buffer_append_format(&text, "%s ", names[n]), 0);
                free(names[n]);
        }
        free(names);
        if (ret_size)
                *ret_size = n;
        result = strdup(text.data ? (const char *) text.data : "");
        assert_non_null(result);
        return result;
}

static void expect_added(const char *before, const char *now, const char *wanted) {
        CLEANUP_FREE char *names = added(before, now, NULL);

        assert_string_equal(names, wanted);
}

TEST(what_has_come_is_told_by_name) {
        expect_added("a installed\nb installed\n", "a installed\naa installed\nb installed\nc:i386 half-installed\n",
                     "aa c:i386 ");
        expect_added("aa installed\n", "a installed\naa installed\n", "a "); /* a part of a line is no line */
        expect_added("a installed", "a installed\n", "");
        expect_added("a config-files\n", "a installed\n", "a ");
        expect_added("a installed\n", "\n \n", "");
        expect_added("", "", "");
        expect_added("", "a installed", "a ");
}

/* docker.io brings more than sixteen to a bare host. */
TEST(however_many_have_come_all_of_them_are_told) {
        enum {
                PACKAGES = 200
        };
        CLEANUP_BUFFER Buffer now = BUFFER_INIT((size_t) 64 * 1024);
        CLEANUP_FREE char *names = NULL;
        size_t n = 0;

        for (int i = 0; i < PACKAGES; i++)
                assert_int_equal(buffer_append_format(&now, "package-%d installed\n", i), 0);
        names = added("package-7 installed\n", (const char *) now.data, &n);
        assert_int_equal(n, PACKAGES - 1);
        assert_contains(names, " package-199 ");
}

/* ---- policy ---- */

static void expect_policy(const char *text, const char *installed, const char *candidate, bool is_offered) {
        AptPolicy policy;

        assert_int_equal(apt_output_policy(text, &policy), 0);
        assert_string_equal(policy.installed ? policy.installed : "-", installed);
        assert_string_equal(policy.candidate ? policy.candidate : "-", candidate);
        assert_int_equal(policy.is_offered, is_offered);
        apt_policy_deinit(&policy);
}

TEST(what_is_installed_and_what_could_be_is_told) {
        expect_policy(
                "runsc:\n  Installed: 20251208.0\n  Candidate: 20260105.0\n  Version table:\n     20260105.0 500\n"
                "        500 https://h/releases release/main amd64 Packages\n *** 20251208.0 100\n"
                "        100 /var/lib/dpkg/status\n",
                "20251208.0", "20260105.0", true);
        expect_policy("runsc:\n  Installed: (none)\n  Candidate: (none)\n  Version table:\n", "-", "-", false);
        expect_policy("runsc:\n  Installed: 1\n  Candidate: 1\n  Version table:\n *** 1 100\n"
                      "        100 /var/lib/dpkg/status\n",
                      "1", "1", false);
        expect_policy("N: Unable to locate package\n", "-", "-", false);
        expect_policy("Candidate:\nCandidate: 1\nCandidate: 2", "-", "2", false);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(progress_is_read),
                cmocka_unit_test(what_is_no_progress_is_passed_by),
                cmocka_unit_test(errors_are_told_with_the_lines_that_explain_them),
                cmocka_unit_test(without_errors_the_last_words_are_told),
                cmocka_unit_test(errors_are_bounded),
                cmocka_unit_test(an_error_that_is_too_long_alone_is_told_as_the_last_words),
                cmocka_unit_test(the_newest_of_our_repository_is_offered),
                cmocka_unit_test(a_version_that_is_wanted_is_offered_or_none),
                cmocka_unit_test(another_repository_or_suite_offers_nothing),
                cmocka_unit_test(the_form_of_the_columns_does_not_matter),
                cmocka_unit_test(what_has_come_is_told_by_name),
                cmocka_unit_test(however_many_have_come_all_of_them_are_told),
                cmocka_unit_test(what_is_installed_and_what_could_be_is_told),
        };

        return RUN_TESTS(tests);
}
