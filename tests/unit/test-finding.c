/* SPDX-License-Identifier: Apache-2.0 */

/* What several observations come to, and a finding's way from one process to another. */

#include "finding.h"
#include "unit.h"

#include <errno.h>

static void expect(Finding *finding, Verdict verdict, const char *seen, const char *remedy) {
        assert_int_equal(finding->verdict, verdict);
        assert_string_equal(finding->seen, seen);
        if (remedy)
                assert_string_equal(finding->remedy, remedy);
        else
                assert_null(finding->remedy);
        finding_deinit(finding);
}

TEST(what_weighs_more_takes_the_place_of_what_weighs_less) {
        Finding finding = {0};

        finding_pass(&finding, "a is %d", 1);
        finding_skip(&finding, "root", "b");
        finding_warn(&finding, NULL, "c");
        finding_fail(&finding, "mend d", "d");
        finding_pass(&finding, "e");
        finding_warn(&finding, "mend f", "f");
        expect(&finding, VERDICT_FAIL, "d", "mend d");
}

TEST(what_weighs_the_same_is_said_together) {
        Finding finding = {0};

        finding_warn(&finding, "mend it", "a");
        finding_warn(&finding, "mend it", "b");
        finding_warn(&finding, NULL, "c");
        finding_warn(&finding, "mend d", "d");
        expect(&finding, VERDICT_WARN, "a; b; c; d", "mend it; mend d");
}

TEST(a_remedy_that_is_the_beginning_of_another_is_said_too) {
        Finding finding = {0};

        finding_fail(&finding, "make deno_all", "a");
        finding_fail(&finding, "make deno", "b");
        finding_fail(&finding, "make deno_all", "c");
        finding_fail(&finding, "make deno", "d");
        expect(&finding, VERDICT_FAIL, "a; b; c; d", "make deno_all; make deno");
}

TEST(a_peers_words_are_cleaned) {
        Finding finding = {0};

        finding_fail(&finding, "\033[2J", "a\nb\xff\x1b[31m");
        expect(&finding, VERDICT_FAIL, "a?b??[31m", "?[2J");
}

TEST(words_are_bounded_at_a_characters_end) {
        char text[FINDING_TEXT_MAX + 2] = "x";
        Finding finding = {0};

        for (size_t i = 1; i + 1 < sizeof(text); i += 2)
                memcpy(text + i, "\303\244", 2);
        text[sizeof(text) - 1] = '\0';
        finding_fail(&finding, text, "%s", text);
        assert_int_equal(strlen(finding.seen), FINDING_TEXT_MAX - 1);
        finding_fail(&finding, NULL, "more");
        assert_true(strlen(finding.seen) <= FINDING_TEXT_MAX);
        finding_deinit(&finding);
}

/* ---- fixes ---- */

static void expect_fixes(Finding *finding, const char *expected) {
        CLEANUP_BUFFER Buffer text = BUFFER_INIT(1024);

        assert_int_equal(buffer_append_text(&text, ""), 0);
        for (size_t i = 0; i < finding->fixes_size; i++) {
                CLEANUP_FREE char *one = fix_text(&finding->fixes[i]);

                assert_non_null(one);
                assert_int_equal(buffer_append_format(&text, "%s%s", i > 0 ? "\n" : "", one), 0);
        }
        assert_string_equal(text.data ? (const char *) text.data : "", expected);
        finding_deinit(finding);
}

TEST(fixes_belong_to_what_was_observed) {
        Finding finding = {0};

        finding_warn(&finding, NULL, "a");
        finding_fix(&finding, "mend", "a");
        finding_fail(&finding, NULL, "b");
        finding_fix(&finding, "mend", "b");
        finding_fix(&finding, "mend", "b");
        finding_warn(&finding, NULL, "c");
        finding_fix(&finding, "mend", "c");
        finding_fail(&finding, NULL, "d");
        finding_fix(&finding, "mend", "d");
        expect_fixes(&finding, "mend b\nmend d");
}

TEST(a_fix_is_shown_as_a_shell_would_take_it) {
        Finding finding = {0};

        finding_fail(&finding, NULL, "a");
        finding_fix(&finding, "chmod", "0755", "/a b/$c");
        finding_fix(&finding, "chmod", "it's", "ä");
        expect_fixes(&finding, "chmod 0755 '/a b/$c'\nchmod 'it'\\''s' '\303\244'");
}

TEST(what_could_not_be_shown_as_it_is_is_no_fix) {
        static char text[FIX_TEXT_MAX + 1];
        Finding finding = {0};

        memset(text, 'x', FIX_TEXT_MAX);
        finding_fail(&finding, NULL, "a");
        finding_fix(&finding, "a", "b\nc");
        finding_fix(&finding, "a", "\033[2J");
        finding_fix(&finding, "a", "\377");
        finding_fix(&finding, "a", "");
        finding_fix(&finding, text);
        finding_fix(&finding, "1", "2", "3", "4", "5", "6", "7", "8", "9");
        finding_add_fix(&finding, (const char *const[]){NULL});
        expect_fixes(&finding, "");
}

/* ---- bytes ---- */

static void expect_same(const Finding *finding) {
        CLEANUP_BUFFER Buffer bytes = BUFFER_INIT(FINDING_BYTES_MAX);
        Finding decoded = {0};

        assert_int_equal(finding_encode(finding, &bytes), 0);
        assert_int_equal(finding_decode(bytes.data, bytes.size, &decoded), 0);
        assert_int_equal(decoded.fixes_size, finding->fixes_size);
        for (size_t i = 0; i < finding->fixes_size; i++)
                assert_true(fix_equals(&decoded.fixes[i], &finding->fixes[i]));
        expect(&decoded, finding->verdict, finding->seen, finding->remedy);
}

TEST(a_finding_arrives_as_it_was_sent) {
        Finding finding = {.verdict = VERDICT_PASS, .seen = (char[]){"a"}};

        expect_same(&finding);
        finding.verdict = VERDICT_FAIL;
        finding.remedy = (char[]){"mend it"};
        expect_same(&finding);
        finding.seen = (char[]){""};
        expect_same(&finding);
}

TEST(the_largest_finding_arrives) {
        static char text[FINDING_TEXT_MAX + 1];
        Finding finding = {.verdict = VERDICT_WARN, .seen = text, .remedy = text};

        memset(text, 'x', FINDING_TEXT_MAX);
        text[FIX_TEXT_MAX - 3] = '\0';
        finding.heeded = true;
        for (char *c = text; c < text + FINDING_FIXES_MAX; c++) {
                *c = 'y';
                finding_fix(&finding, "z", text);
        }
        assert_int_equal(finding.fixes_size, FINDING_FIXES_MAX);
        text[FIX_TEXT_MAX - 3] = 'x';
        expect_same(&finding);
        for (size_t i = 0; i < finding.fixes_size; i++)
                fix_deinit(&finding.fixes[i]);
}

TEST(bytes_that_are_no_finding_are_refused) {
        static const struct {
                const char *bytes;
                size_t size;
        } cases[] = {
                {"", 0},           {"\1", 1},        {"\1a", 2},        {"\1a\0", 3},         {"\1a\0b", 4},
                {"\0a\0b\0", 5},   {"\5a\0b\0", 5},  {"\377a\0b\0", 5}, {"\1a\0b\0c\0", 7},   {"\1\0", 2},
                {"\1a\0b\0\0", 6}, {"\1abcdefg", 8}, {"\1a\0\0b\0", 6}, {"\1a\0\0\n\0\0", 7}, {"\1a\0\0b\0\0\0", 8},
        };
        Finding finding = {0};

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                assert_case(finding_decode(cases[i].bytes, cases[i].size, &finding) == -EBADMSG, "case %zu", i);
        assert_null(finding.seen);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_weighs_more_takes_the_place_of_what_weighs_less),
                cmocka_unit_test(what_weighs_the_same_is_said_together),
                cmocka_unit_test(a_remedy_that_is_the_beginning_of_another_is_said_too),
                cmocka_unit_test(a_peers_words_are_cleaned),
                cmocka_unit_test(words_are_bounded_at_a_characters_end),
                cmocka_unit_test(fixes_belong_to_what_was_observed),
                cmocka_unit_test(a_fix_is_shown_as_a_shell_would_take_it),
                cmocka_unit_test(what_could_not_be_shown_as_it_is_is_no_fix),
                cmocka_unit_test(a_finding_arrives_as_it_was_sent),
                cmocka_unit_test(the_largest_finding_arrives),
                cmocka_unit_test(bytes_that_are_no_finding_are_refused),
        };

        return RUN_TESTS(tests);
}
