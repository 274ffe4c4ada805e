/* SPDX-License-Identifier: Apache-2.0 */

#include "buffer.h"
#include "screen.h"
#include "unit.h"

#include <stdio.h>

#define REDRAW "\r\033[K" /* the line is drawn anew */
#define CLEAR "\r\033[J"  /* it is taken away */

typedef struct Fixture {
        Screen screen;
        FILE *real_out, *real_err;
        char *printed, *said; /* on stdout, on stderr */
        size_t printed_size, said_size;
} Fixture;

static void fixture_init(Fixture *fixture, bool json) {
        *fixture = (Fixture){.real_out = stdout, .real_err = stderr};
        stdout = open_memstream(&fixture->printed, &fixture->printed_size);
        stderr = open_memstream(&fixture->said, &fixture->said_size);
        assert_true(stdout && stderr);
        screen_init(&fixture->screen, json);
}

static void expect(Fixture *fixture, const char *printed, const char *said) {
        (void) fclose(stdout);
        (void) fclose(stderr);
        stdout = fixture->real_out;
        stderr = fixture->real_err;
        assert_string_equal(fixture->printed, printed);
        assert_string_equal(fixture->said, said);
        free(fixture->printed);
        free(fixture->said);
}

TEST(a_size_has_two_or_three_digits_and_a_unit) {
        static const struct {
                uint64_t bytes;
                const char *text;
        } cases[] = {
                {0, "0.0 kB"},
                {1, "0.0 kB"},
                {50, "0.1 kB"},
                {1000, "1.0 kB"},
                {9949, "9.9 kB"},
                {9999, "10 kB"},
                {12345, "12 kB"},
                {999499, "999 kB"},
                {999500, "1.0 MB"},
                {1000000, "1.0 MB"},
                {9960000, "10 MB"},
                {UINT64_C(300) << 20, "315 MB"},
                {UINT64_C(999999999), "1.0 GB"},
                {UINT64_C(1500000000000), "1.5 TB"},
                {UINT64_MAX, "18446744 TB"},
        };
        char text[SCREEN_SIZE_MAX];

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                assert_ptr_equal(screen_size(cases[i].bytes, text), text);
                assert_string_equal(text, cases[i].text);
        }
}

TEST(without_a_terminal_only_what_has_happened_is_printed) {
        Fixture fixture;

        fixture_init(&fixture, false);
        screen_say(&fixture.screen, "plan of %d", 2);
        screen_progress(&fixture.screen, "runsc", 50, "half");
        screen_line(&fixture.screen, "keyring", "is %s", "there");
        screen_line(&fixture.screen, NULL, "a second line");
        screen_clear(&fixture.screen);
        expect(&fixture, "plan of 2\n  keyring    is there\n             a second line\n", "");
}

TEST(beside_json_people_read_stderr) {
        Fixture fixture;

        fixture_init(&fixture, true);
        screen_say(&fixture.screen, "text");
        screen_line(&fixture.screen, "label", "text");
        expect(&fixture, "", "text\n  label      text\n");
}

TEST(progress_is_drawn_over_itself_and_gives_way_to_a_line) {
        Fixture fixture;

        fixture_init(&fixture, false);
        fixture.screen.terminal = true;
        screen_progress(&fixture.screen, "runsc", 0, "%s", "begin");
        screen_progress(&fixture.screen, "runsc", 55, "more");
        screen_progress(&fixture.screen, "runsc", 100, "end");
        screen_progress(&fixture.screen, "runsc", -1, "no bar");
        screen_progress(&fixture.screen, "runsc", 101, "nor here");
        screen_line(&fixture.screen, "runsc", "done");
        screen_line(&fixture.screen, "docker", "done");
        expect(&fixture,
               REDRAW "  runsc      [....................]   0 % begin" REDRAW
                      "  runsc      [###########.........]  55 % more" REDRAW
                      "  runsc      [####################] 100 % end" REDRAW "  runsc      no bar" REDRAW
                      "  runsc      nor here" CLEAR "  runsc      done\n  docker     done\n",
               "");
}

/* A character that is cut in two would be none: of 66 bytes that have room, the last would be half of one. */
TEST(progress_stays_on_its_line) {
        CLEANUP_BUFFER Buffer text = BUFFER_INIT(256), wanted = BUFFER_INIT(256);
        Fixture fixture;

        assert_int_equal(buffer_append_text(&text, "\xff\nx"), 0);
        for (int i = 0; i < 40; i++)
                assert_int_equal(buffer_append_text(&text, "\303\244"), 0);
        assert_int_equal(buffer_append_text(&wanted, REDRAW "  runsc      ??x"), 0);
        assert_int_equal(buffer_append(&wanted, text.data + 3, (size_t) 2 * 31), 0);
        assert_int_equal(buffer_append_text(&wanted, CLEAR), 0);
        fixture_init(&fixture, false);
        fixture.screen.terminal = true;
        screen_progress(&fixture.screen, "runsc", -1, "%s", (const char *) text.data);
        screen_clear(&fixture.screen);
        screen_clear(&fixture.screen); /* there is nothing more to take away */
        expect(&fixture, (const char *) wanted.data, "");
}

TEST(a_block_of_lines_is_drawn_over_itself_and_gives_way_to_a_line) {
        Fixture fixture;

        fixture_init(&fixture, false);
        fixture.screen.terminal = true;
        for (int i = 0; i < 2; i++) {
                screen_block(&fixture.screen);
                screen_progress(&fixture.screen, "image", -1, "whole");
                screen_below(&fixture.screen);
                screen_progress(&fixture.screen, "layer", -1, "part");
        }
        screen_line(&fixture.screen, "image", "done");
        screen_line(&fixture.screen, "runsc", "done");
        expect(&fixture,
               REDRAW "  image      whole\n" REDRAW "  layer      part"
                      "\033[1A" CLEAR REDRAW "  image      whole\n" REDRAW "  layer      part"
                      "\033[1A" CLEAR "  image      done\n  runsc      done\n",
               "");
}

TEST(without_a_terminal_a_block_is_not_drawn) {
        Fixture fixture;

        fixture_init(&fixture, false);
        screen_block(&fixture.screen);
        screen_progress(&fixture.screen, "image", 1, "whole");
        screen_below(&fixture.screen);
        screen_progress(&fixture.screen, "layer", 1, "part");
        screen_clear(&fixture.screen);
        expect(&fixture, "", "");
}

TEST(on_a_terminal_a_long_line_goes_on_below_itself) {
        Fixture fixture;

        fixture_init(&fixture, false);
        fixture.screen.terminal = true;
        screen_line(&fixture.screen, "label", "%s",
                    "1234567890 1234567890 1234567890 1234567890 1234567890 1234567890 1 34567890 1234567890");
        screen_line(&fixture.screen, "label", "%s",
                    "a-word-that-is-longer-than-the-line-and-has-no-place-where-it-could-be-broken-in-two end");
        expect(&fixture,
               "  label      1234567890 1234567890 1234567890 1234567890 1234567890 1234567890 1\n"
               "             34567890 1234567890\n"
               "  label      a-word-that-is-longer-than-the-line-and-has-no-place-where-it-could-be-broken-in-two\n"
               "             end\n",
               "");
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_size_has_two_or_three_digits_and_a_unit),
                cmocka_unit_test(without_a_terminal_only_what_has_happened_is_printed),
                cmocka_unit_test(beside_json_people_read_stderr),
                cmocka_unit_test(progress_is_drawn_over_itself_and_gives_way_to_a_line),
                cmocka_unit_test(progress_stays_on_its_line),
                cmocka_unit_test(a_block_of_lines_is_drawn_over_itself_and_gives_way_to_a_line),
                cmocka_unit_test(without_a_terminal_a_block_is_not_drawn),
                cmocka_unit_test(on_a_terminal_a_long_line_goes_on_below_itself),
        };

        return RUN_TESTS(tests);
}
