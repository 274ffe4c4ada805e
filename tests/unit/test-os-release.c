/* SPDX-License-Identifier: Apache-2.0 */

#include "os-release.h"
#include "unit.h"

static const char debian[] = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"
                             "NAME=\"Debian GNU/Linux\"\n"
                             "VERSION_ID=\"12\"\n"
                             "ID=debian\n"
                             "HOME_URL=\"https://www.debian.org/\"\n";

static void expect_found(const char *text, const char *name, const char *wanted) {
        CLEANUP_FREE char *value = os_release_value(text, name);

        assert_case(!value == !wanted, "%s is %s", name, value ? value : "not there");
        if (wanted)
                assert_string_equal(value, wanted);
}

TEST(a_value_is_found_by_its_whole_name) {
        expect_found(debian, "PRETTY_NAME", "Debian GNU/Linux 12 (bookworm)");
        expect_found(debian, "NAME", "Debian GNU/Linux");
        expect_found(debian, "ID", "debian");
        expect_found(debian, "VERSION", NULL);
        expect_found(debian, "ID_LIKE", NULL);
        expect_found("", "ID", NULL);
        expect_found("ID", "ID", NULL);
        expect_found("#ID=x\nXID=y\n", "ID", NULL);
        expect_found("\n\nID=x", "ID", "x");
        expect_found("ID=", "ID", "");
        expect_found("ID=a\nID=b\n", "ID", "b");
        expect_found("ID=a\r\n", "ID", "a");
}

TEST(quotes_are_taken_off) {
        expect_found("A='x y'", "A", "x y");
        expect_found("A=\"x y\"", "A", "x y");
        expect_found("A=\"\"\nB=''", "A", "");
        expect_found("A=\"\"\nB=''", "B", "");
        expect_found("A=\"a \\\"b\\\" \\$c \\\\ \\`d\"", "A", "a \"b\" $c \\ `d");
        expect_found("A='a\\b'", "A", "a\\b");
        expect_found("A=\"it's\"", "A", "it's");
        expect_found("A=\"not closed", "A", "not closed");
        expect_found("A=\"", "A", "");
        expect_found("A=\"x\\", "A", "x\\");
}

TEST(debian_and_what_is_like_it_is_known) {
        static const struct {
                const char *text;
                bool is_debian;
        } cases[] = {
                {debian, true},
                {"ID=ubuntu\nID_LIKE=debian\n", true},
                {"ID=ubuntu\n", true},
                {"ID=\"debian\"\n", true},
                {"ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", true},
                {"ID=x\nID_LIKE=debian", true},
                {"ID=x\nID_LIKE=\"debianoid\"\n", false},
                {"ID=x\nID_LIKE=\"notdebian debianoid x-debian\"\n", false},
                {"ID=fedora\nNAME=debian\n", false},
                {"ID=x\nID_LIKE=\"\"\n", false},
                {"", false},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                assert_case(os_release_is_debian(cases[i].text) == cases[i].is_debian, "%s", cases[i].text);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_value_is_found_by_its_whole_name),
                cmocka_unit_test(quotes_are_taken_off),
                cmocka_unit_test(debian_and_what_is_like_it_is_known),
        };

        return RUN_TESTS(tests);
}
