/* SPDX-License-Identifier: Apache-2.0 */

/* apt's lists of sources: which entries are the repository's, and that everything else stays byte for byte. */

#include "sources-list.h"
#include "unit.h"

#include <errno.h>
#include <stdio.h>

#define URL "https://storage.googleapis.com/gvisor/releases"

static void expect_without(const char *before, size_t found, bool others, const char *after) {
        CLEANUP_BUFFER Buffer out = BUFFER_INIT(1 << 16);
        CLEANUP_FREE char *exact = malloc(strlen(before) + 1);
        bool seen_others = !others;
        size_t seen = found + 1;

        assert_non_null(exact);
        memcpy(exact, before, strlen(before));
        exact[strlen(before)] = ' '; /* no NUL ends it */
        assert_int_equal(sources_list_without(exact, strlen(before), URL, &out, &seen, &seen_others), 0);
        assert_case(seen == found, "%zu entries in: %s", seen, before);
        assert_case(seen_others == others, "others are %d in: %s", seen_others, before);
        assert_string_equal(out.data ? (const char *) out.data : "", after);
}

static void expect_stanzas(const char *text, bool found, bool others) {
        CLEANUP_FREE char *exact = malloc(strlen(text) + 1);
        bool seen_found = !found, seen_others = !others;

        assert_non_null(exact);
        memcpy(exact, text, strlen(text));
        exact[strlen(text)] = ' '; /* no NUL ends it */
        sources_stanzas_look(exact, strlen(text), URL, &seen_found, &seen_others);
        assert_case(seen_found == found, "found is %d in: %s", seen_found, text);
        assert_case(seen_others == others, "others are %d in: %s", seen_others, text);
}

/* ---- one line an entry ---- */

TEST(an_entry_becomes_a_comment_in_whatever_form_it_is_written) {
        static const char *const lines[] = {
                "deb " URL " release main",
                "deb-src " URL " release main",
                "  \tdeb\t" URL "/  release main",
                "deb " URL "/// release main # a comment",
                "deb [arch=amd64] " URL " release main",
                "deb [arch=amd64]" URL " release main",
                "deb [ arch=amd64 signed-by=/usr/share/keyrings/gvisor-archive-keyring.gpg ] " URL " release main",
                "deb [ ] " URL " release main",
                "deb HTTPS://Storage.GoogleAPIs.com/gvisor/releases release main",
                "deb " URL,
                "deb " URL " release main\r",
        };

        for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
                char before[256], after[256];

                (void) snprintf(before, sizeof(before), "%s\n", lines[i]);
                (void) snprintf(after, sizeof(after), "# %s\n", lines[i]);
                expect_without(before, 1, false, after);
                expect_without(lines[i], 1, false,
                               (after[strlen(after) - 1] = '\0', after)); /* no newline at its end */
        }
}

TEST(what_is_another_repository_or_none_stays_as_it_is) {
        static const struct {
                const char *line;
                bool other;
        } cases[] = {
                {"deb http://mirror.example/debian bookworm main", true},
                {"deb " URL "x release main", true},
                {"deb " URL "/nightly release main", true},
                {"deb https://storage.googleapis.com/gvisor/release release main", true},
                {"deb http://storage.googleapis.com/gvisor/releases release main", true},
                {"deb [signed-by=" URL "] http://mirror.example/debian bookworm main", true},
                {"deb http://mirror.example/debian bookworm main # " URL, true},
                {"deb [arch=amd64 " URL " release main", false}, /* the bracket is not closed: no address at all */
                {"# deb " URL " release main", false},
                {"#deb " URL " release main", false},
                {"debs " URL " release main", false},
                {"rpm " URL " release main", false},
                {"", false},
                {"  \t\r", false},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                char text[256];

                expect_without(cases[i].line, 0, cases[i].other, cases[i].line);
                (void) snprintf(text, sizeof(text), "%s\n\n", cases[i].line);
                expect_without(text, 0, cases[i].other, text);
        }
}

TEST(the_lines_around_an_entry_stay_byte_for_byte) {
        expect_without("# main\r\n\r\ndeb  http://mirror.example/debian  bookworm\tmain \r\ndeb [arch=amd64] " URL
                       " release main\r\n\tdeb-src " URL "/ release main\r\n# the end",
                       2, true,
                       "# main\r\n\r\ndeb  http://mirror.example/debian  bookworm\tmain \r\n# deb [arch=amd64] " URL
                       " release main\r\n# \tdeb-src " URL "/ release main\r\n# the end");
        expect_without("\n\n\n", 0, false, "\n\n\n");
}

TEST(an_address_with_slashes_at_its_end_is_the_same) {
        static const char text[] = "deb " URL " release main\n";
        CLEANUP_BUFFER Buffer out = BUFFER_INIT(1 << 16);
        size_t found = 0;
        bool others = true;

        assert_int_equal(sources_list_without(text, strlen(text), URL "//", &out, &found, &others), 0);
        assert_int_equal(found, 1);
        assert_false(others);
}

TEST(a_list_that_passes_the_bound_is_a_failure) {
        static const char text[] = "deb " URL " release main\n";
        CLEANUP_BUFFER Buffer out = BUFFER_INIT(sizeof(text));
        size_t found;
        bool others;

        assert_int_equal(sources_list_without(text, strlen(text), URL, &out, &found, &others), -EFBIG);
}

/* ---- deb822 ---- */

TEST(a_stanza_is_found_by_its_addresses) {
        expect_stanzas("Types: deb\nURIs: " URL "\nSuites: release\nComponents: main\n", true, false);
        expect_stanzas("types: deb\nuris:\t" URL "/\nsuites: release", true, false);
        expect_stanzas("Types: deb\r\nURIs: " URL "\r\nSuites: release\r\n", true, false);
        expect_stanzas("# gVisor\n\n\n# and more\nTypes: deb\n#URIs: http://other\nURIs:" URL "\n\n \n", true, false);
        expect_stanzas("URIs: " URL, true, false);
}

TEST(an_address_on_a_folded_line_is_seen) {
        expect_stanzas("Types: deb\nURIs:\n " URL "\nSuites: release\n", true, false);
        expect_stanzas("Types: deb\nURIs: \n# a comment between\n\t" URL "\nSuites: release\n", true, false);
        expect_stanzas("Types: deb\r\nURIs:\r\n " URL "\r\nSuites: release\r\n", true, false);
}

TEST(an_address_elsewhere_is_none) {
        expect_stanzas("Types: deb\nURIs: http://mirror.example/debian\nX-Note: " URL "\n", false, true);
        expect_stanzas("Types: deb\nURIs: http://mirror.example/debian\nDescription: none\n " URL "\n", false, true);
        expect_stanzas("Types: deb\nURIs: " URL "x\n", false, true);
        expect_stanzas("#URIs: " URL "\n", false, false);
        expect_stanzas("X-URIs: " URL "\n", false, true);
}

TEST(another_stanza_is_another_wherever_it_stands) {
        static const char ours[] = "Types: deb\nURIs: " URL "\n", other[] = "Types: deb\nURIs: http://other/\n";
        char text[512];

        (void) snprintf(text, sizeof(text), "%s\n%s", ours, other);
        expect_stanzas(text, true, true);
        (void) snprintf(text, sizeof(text), "%s \t\n%s", other, ours);
        expect_stanzas(text, true, true);
        (void) snprintf(text, sizeof(text), "%s\r\n%s", ours, ours);
        expect_stanzas(text, true, false);
        expect_stanzas(other, false, true);
}

/* Who takes the file for ours alone would take the other repository away with it. */
TEST(another_address_in_our_stanza_counts_as_another_repository) {
        expect_stanzas("Types: deb\nURIs: " URL " http://other/\n", true, true);
        expect_stanzas("Types: deb\nURIs: http://other/\n " URL "\n", true, true);
        expect_stanzas("Types: deb\nURIs: " URL " " URL "/\n", true, false);
}

/* Nothing of it is fetched twice, and it is somebody's note. */
TEST(a_stanza_that_is_disabled_is_left_alone) {
        expect_stanzas("Types: deb\nURIs: " URL "\nEnabled: no\n", false, true);
        expect_stanzas("Enabled: FALSE\nTypes: deb\nURIs: " URL "\n", false, true);
        expect_stanzas("enabled:\toff\r\nURIs: " URL "\r\n", false, true);
        expect_stanzas("Enabled: yes\nTypes: deb\nURIs: " URL "\n", true, false);
        expect_stanzas("Enabled: no\nURIs: " URL "\n\nTypes: deb\nURIs: " URL "\n", true, true);
}

TEST(an_empty_file_has_nothing) {
        expect_stanzas("", false, false);
        expect_stanzas("\n \n\t\r\n   ", false, false);
        expect_without("", 0, false, "");
}

/* ---- entries ---- */

typedef struct Expected {
        size_t found;
        bool is_trusted;
        const char *suite, *signed_by; /* NULL for none */
} Expected;

static void expect_entry(const char *text, bool is_deb822, const Expected *expected) {
        SourcesEntry entry = {0};
        size_t found = 0;

        assert_int_equal(sources_find(text, strlen(text), is_deb822, URL, &entry, &found), 0);
        assert_case(found == expected->found, "%s: %zu", text, found);
        assert_int_equal(entry.is_trusted, expected->is_trusted);
        assert_int_equal(entry.is_one_line, found > 0 && !is_deb822);
        assert_case(!entry.suite == !expected->suite, "%s: suite", text);
        if (entry.suite)
                assert_string_equal(entry.suite, expected->suite);
        assert_case(!entry.signed_by == !expected->signed_by, "%s: signed_by", text);
        if (entry.signed_by)
                assert_string_equal(entry.signed_by, expected->signed_by);
        sources_entry_deinit(&entry);
}

TEST(an_entry_of_one_line_tells_its_suite_and_key) {
        expect_entry("deb " URL " release main\n", false, &(Expected){1, false, "release", NULL});
        expect_entry("deb [signed-by=/k.gpg] " URL " release main", false, &(Expected){1, false, "release", "/k.gpg"});
        expect_entry("deb [ arch=amd64 signed-by=/k.gpg trusted=yes ] " URL "/ nightly main\n", false,
                     &(Expected){1, true, "nightly", "/k.gpg"});
        expect_entry("deb [trusted=no] " URL " release main\n", false, &(Expected){1, false, "release", NULL});
        expect_entry("deb [trusted=yes " URL " release main\n", false, &(Expected){0});
        expect_entry("deb " URL, false, &(Expected){1, false, NULL, NULL});
}

TEST(an_entry_that_brings_no_packages_is_none) {
        expect_entry("# deb " URL " release main\ndeb-src " URL " release main\ndeb\ndeb http://other/ x y\n", false,
                     &(Expected){0});
        expect_entry("Types: deb-src\nURIs: " URL "\nSuites: release\n", true, &(Expected){0});
        expect_entry("Types: deb\nURIs: " URL "\nSuites: release\nEnabled: no\n", true, &(Expected){0});
        expect_entry("", true, &(Expected){0});
}

TEST(a_stanza_tells_its_suite_and_key) {
        expect_entry("Types: deb deb-src\nURIs: " URL "\nSuites: release\nSigned-By: /k.gpg\n", true,
                     &(Expected){1, false, "release", "/k.gpg"});
        expect_entry("# a note\ntypes: deb\nuris:\n " URL "\nsuites: 20251208 x\ntrusted: yes\n", true,
                     &(Expected){1, true, "20251208", NULL});
        expect_entry("Types: deb\nURIs: " URL
                     "\nSuites: release\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n",
                     true, &(Expected){1, false, "release", "-----BEGIN"});
}

TEST(the_first_of_several_entries_is_told_and_all_are_counted) {
        expect_entry("deb [signed-by=/a] " URL " one main\ndeb [signed-by=/b] " URL " two main\n", false,
                     &(Expected){2, false, "one", "/a"});
        expect_entry("Types: deb\nURIs: " URL "\nSuites: one\n\nTypes: deb\nURIs: " URL "\nSuites: two\n", true,
                     &(Expected){2, false, "one", NULL});
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_entry_becomes_a_comment_in_whatever_form_it_is_written),
                cmocka_unit_test(what_is_another_repository_or_none_stays_as_it_is),
                cmocka_unit_test(the_lines_around_an_entry_stay_byte_for_byte),
                cmocka_unit_test(an_address_with_slashes_at_its_end_is_the_same),
                cmocka_unit_test(a_list_that_passes_the_bound_is_a_failure),
                cmocka_unit_test(a_stanza_is_found_by_its_addresses),
                cmocka_unit_test(an_address_on_a_folded_line_is_seen),
                cmocka_unit_test(an_address_elsewhere_is_none),
                cmocka_unit_test(another_stanza_is_another_wherever_it_stands),
                cmocka_unit_test(another_address_in_our_stanza_counts_as_another_repository),
                cmocka_unit_test(a_stanza_that_is_disabled_is_left_alone),
                cmocka_unit_test(an_empty_file_has_nothing),
                cmocka_unit_test(an_entry_of_one_line_tells_its_suite_and_key),
                cmocka_unit_test(an_entry_that_brings_no_packages_is_none),
                cmocka_unit_test(a_stanza_tells_its_suite_and_key),
                cmocka_unit_test(the_first_of_several_entries_is_told_and_all_are_counted),
        };

        return RUN_TESTS(tests);
}
