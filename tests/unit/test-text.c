/* SPDX-License-Identifier: Apache-2.0 */

/* UTF-8 against the Unicode standard's table 3-7 (RFC 3629, section 4), byte by byte, and base64 against RFC 4648. */

#include "text.h"
#include "unit.h"

#include <errno.h>
#include <stdio.h>

/* ---- UTF-8 ---- */

/* Table 3-7 once more, written as the ranges that it prints, not as the code that is tested writes it. */
static const struct {
        uint8_t first_low, first_high, second_low, second_high;
        size_t length;
} table_3_7[] = {
        {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
};

/* Length of the character that two bytes begin, or 0 when they begin none. */
static size_t expected_length(uint8_t first, uint8_t second) {
        for (size_t i = 0; i < ARRAY_SIZE(table_3_7); i++)
                if (first >= table_3_7[i].first_low && first <= table_3_7[i].first_high)
                        return table_3_7[i].length == 1 ||
                                               (second >= table_3_7[i].second_low && second <= table_3_7[i].second_high)
                                       ? table_3_7[i].length
                                       : 0;
        return 0;
}

TEST(first_and_second_bytes_are_those_of_table_3_7) {
        for (unsigned first = 0; first < 256; first++)
                for (unsigned second = 0; second < 256; second++) {
                        const uint8_t text[4] = {(uint8_t) first, (uint8_t) second, 0x80, 0xbf};
                        size_t length = expected_length(text[0], text[1]);

                        if (length == 0)
                                assert_case(utf8_valid_prefix(text, 4) == 0, "%02x %02x is taken", first, second);
                        else
                                assert_case(utf8_is_valid(text, length), "%02x %02x is refused", first, second);
                }
}

TEST(third_and_fourth_bytes_are_continuations) {
        for (unsigned byte = 0; byte < 256; byte++) {
                const uint8_t third[] = {0xe2, 0x82, (uint8_t) byte}, fourth[] = {0xf0, 0x9f, 0x98, (uint8_t) byte};
                const uint8_t inner[] = {0xf0, 0x9f, (uint8_t) byte, 0x80};
                bool right = byte >= 0x80 && byte <= 0xbf;

                assert_case(utf8_is_valid(third, sizeof(third)) == right, "e2 82 %02x", byte);
                assert_case(utf8_is_valid(fourth, sizeof(fourth)) == right, "f0 9f 98 %02x", byte);
                assert_case(utf8_is_valid(inner, sizeof(inner)) == right, "f0 9f %02x 80", byte);
        }
}

static size_t encode(uint32_t c, uint8_t ret[4]) {
        if (c < 0x80) {
                ret[0] = (uint8_t) c;
                return 1;
        }
        if (c < 0x800) {
                ret[0] = (uint8_t) (0xc0 | c >> 6);
                ret[1] = (uint8_t) (0x80 | (c & 0x3f));
                return 2;
        }
        if (c < 0x10000) {
                ret[0] = (uint8_t) (0xe0 | c >> 12);
                ret[1] = (uint8_t) (0x80 | (c >> 6 & 0x3f));
                ret[2] = (uint8_t) (0x80 | (c & 0x3f));
                return 3;
        }
        ret[0] = (uint8_t) (0xf0 | c >> 18);
        ret[1] = (uint8_t) (0x80 | (c >> 12 & 0x3f));
        ret[2] = (uint8_t) (0x80 | (c >> 6 & 0x3f));
        ret[3] = (uint8_t) (0x80 | (c & 0x3f));
        return 4;
}

TEST(every_code_point_but_surrogates_is_taken) {
        for (uint32_t c = 0; c < 0x120000; c++) {
                bool right = c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
                uint8_t text[4];

                assert_case(utf8_is_valid(text, encode(c, text)) == right, "U+%04X", c);
        }
}

TEST(invalid_sequences_are_refused) {
        static const struct {
                const char *why, *text;
        } cases[] = {
                {"continuation without a start", "\x80"},
                {"continuation without a start, last", "\xbf"},
                {"overlong NUL", "\xc0\x80"},
                {"overlong '/', two bytes", "\xc0\xaf"},
                {"overlong DEL", "\xc1\xbf"},
                {"overlong '/', three bytes", "\xe0\x80\xaf"},
                {"overlong U+07FF", "\xe0\x9f\xbf"},
                {"overlong '/', four bytes", "\xf0\x80\x80\xaf"},
                {"overlong U+FFFF", "\xf0\x8f\xbf\xbf"},
                {"first surrogate", "\xed\xa0\x80"},
                {"last surrogate", "\xed\xbf\xbf"},
                {"a surrogate pair (CESU-8)", "\xed\xa0\xbd\xed\xb8\x80"},
                {"U+110000", "\xf4\x90\x80\x80"},
                {"five bytes", "\xf8\x88\x80\x80\x80"},
                {"six bytes", "\xfc\x84\x80\x80\x80\x80"},
                {"fe", "\xfe"},
                {"ff", "\xff"},
                {"two starts", "\xc3\xc3\xa9"},
                {"a start, then ASCII", "\xe2\x82z"},
                {"Latin-1", "caf\xe9"},
                {"cut after one of two", "\xc3"},
                {"cut after one of three", "\xe2"},
                {"cut after two of three", "\xe2\x82"},
                {"cut after three of four", "\xf0\x9f\x98"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                assert_case(!utf8_is_valid(cases[i].text, strlen(cases[i].text)), "taken: %s", cases[i].why);
}

TEST(the_valid_prefix_ends_before_the_first_wrong_character) {
        assert_int_equal(utf8_valid_prefix("", 0), 0);
        assert_int_equal(utf8_valid_prefix("a\xc3\xa9\xff z", 6), 3);
        assert_int_equal(utf8_valid_prefix("\xe2\x82\xac\xe2\x82", 5), 3);
        assert_int_equal(utf8_valid_prefix("ab\xed\xa0\x80", 5), 2);
        assert_true(utf8_is_valid("a\0b", 3));
}

TEST(an_incomplete_tail_is_found_at_every_cut) {
        static const char text[] = "z\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80y";
        size_t start = 0;

        for (size_t cut = 0; cut < sizeof(text); cut++) {
                if (((uint8_t) text[cut] & 0xc0) != 0x80)
                        start = cut;
                assert_case(utf8_incomplete_tail(text, cut) == cut - start, "cut at %zu: %zu", cut,
                            utf8_incomplete_tail(text, cut));
        }
}

TEST(a_tail_that_can_not_become_a_character_is_not_waited_for) {
        static const char *const wrong[] = {
                "\x80", "a\x80\x80",    "\xc0",         "\xff",     "\xe0\x80",         "\xed\xa0", "\xf4\x90\x80",
                "\xf5", "\x80\x80\x80", "\xc3\xa9\x80", "\xf0\x8f", "\xe2\x82\xac\x80", "\xe0\xff", "\x80\x80\x80\x80"};

        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
                assert_case(utf8_incomplete_tail(wrong[i], strlen(wrong[i])) == 0, "case %zu", i);
}

TEST(text_with_nul_or_wrong_bytes_is_not_plain) {
        assert_true(text_is_plain(NULL, 0));
        assert_true(text_is_plain("\x01\x1b[0m\n\xe2\x82\xac", 9));
        assert_false(text_is_plain("a\0b", 3));
        assert_false(text_is_plain("\0", 1));
        assert_false(text_is_plain("\xff", 1));
        assert_false(text_is_plain("\xe2\x82", 2));
}

/* ---- base64 ---- */

TEST(base64_is_that_of_rfc_4648) {
        static const struct {
                const char *plain, *encoded;
        } vectors[] = {
                {"", ""},
                {"f", "Zg=="},
                {"fo", "Zm8="},
                {"foo", "Zm9v"},
                {"foob", "Zm9vYg=="},
                {"fooba", "Zm9vYmE="},
                {"foobar", "Zm9vYmFy"},
                {"\xfb\xff\xfe", "+//+"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
                Buffer encoded = BUFFER_INIT(64), decoded = BUFFER_INIT(64);

                assert_int_equal(base64_append(&encoded, vectors[i].plain, strlen(vectors[i].plain)), 0);
                assert_int_equal(encoded.size, strlen(vectors[i].encoded));
                if (encoded.size > 0)
                        assert_string_equal((char *) encoded.data, vectors[i].encoded);
                assert_int_equal(base64_decode(&decoded, vectors[i].encoded, strlen(vectors[i].encoded)), 0);
                assert_int_equal(decoded.size, strlen(vectors[i].plain));
                if (decoded.size > 0)
                        assert_string_equal((char *) decoded.data, vectors[i].plain);
                buffer_deinit(&encoded);
                buffer_deinit(&decoded);
        }
}

TEST(bytes_of_every_length_survive_the_round_trip) {
        uint8_t bytes[300];

        for (size_t i = 0; i < sizeof(bytes); i++)
                bytes[i] = (uint8_t) (i * 167 + 13);
        for (size_t size = 0; size <= sizeof(bytes); size++) {
                Buffer encoded = BUFFER_INIT((sizeof(bytes) + 2) / 3 * 4), decoded = BUFFER_INIT(sizeof(bytes));

                assert_int_equal(base64_append(&encoded, bytes, size), 0);
                assert_int_equal(encoded.size, (size + 2) / 3 * 4);
                assert_int_equal(base64_decode(&decoded, (char *) encoded.data, encoded.size), 0);
                assert_int_equal(decoded.size, size);
                if (size > 0)
                        assert_memory_equal(decoded.data, bytes, size);
                buffer_deinit(&encoded);
                buffer_deinit(&decoded);
        }
}

TEST(base64_that_has_another_reading_is_refused) {
        static const char *const wrong[] = {
                "Z",        "Zg",       "Zg=",  "Zg===",   "=",      "====",       "Z===",  "Zm9v=",    "Zm9vZg",
                "Zg==Zg==", "Zm8=Zm9v", "Z=g=", "=Zg=",    "Zm9v\n", "Zm9v\nZg==", " Zg==", "Zg== ",    "Z g=",
                "Zm9-",     "Zm9_",     "Zm9*", "Zm9\xc3", "Zh==",   "Zm9=",       "Z/==",  "Zm8=====", "Zm\0v",
        };

        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
                /* The one with a NUL in it is as long as a quad. */
                size_t size = i == ARRAY_SIZE(wrong) - 1 ? 4 : strlen(wrong[i]);
                Buffer decoded = BUFFER_INIT(64);

                assert_case(base64_decode(&decoded, wrong[i], size) == -EINVAL, "taken: %s", wrong[i]);
                buffer_deinit(&decoded);
        }
}

TEST(every_byte_that_is_no_digit_is_refused) {
        static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

        for (unsigned byte = 0; byte < 256; byte++) {
                const char text[4] = {'A', (char) byte, 'A', 'A'};
                bool right = byte != 0 && strchr(digits, (int) byte);
                Buffer decoded = BUFFER_INIT(8);

                assert_case(base64_decode(&decoded, text, 4) == (right ? 0 : -EINVAL), "byte %02x", byte);
                buffer_deinit(&decoded);
        }
}

TEST(base64_keeps_to_the_bound) {
        Buffer buffer = BUFFER_INIT(7);

        assert_int_equal(base64_append(&buffer, "abcd", 4), -EFBIG);
        buffer_deinit(&buffer);
        buffer = BUFFER_INIT(2);
        assert_int_equal(base64_decode(&buffer, "Zm9v", 4), -EFBIG);
        assert_int_equal(base64_decode(&buffer, "Zm8=", 4), 0);
        buffer_deinit(&buffer);
}

TEST(cleaned_text_is_plain_and_keeps_its_length) {
        static const struct {
                const char *text, *clean;
        } cases[] = {
                {"", ""},
                {"a \xe2\x82\xac~", "a \xe2\x82\xac~"},
                {"a\nb\tc\x1b[2J\x7f", "a?b?c?[2J?"},
                {"\xff\xe2\x82", "???"},
                {"\xe2\x82z\xc3\xa9\xc3", "??z\xc3\xa9?"},
                {"\xed\xa0\x80\x80", "????"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                CLEANUP_FREE char *text = text_format("%s", cases[i].text);

                text_clean(text);
                assert_string_equal(text, cases[i].clean);
        }
        text_clean(NULL);
}

TEST(text_format_copies) {
        CLEANUP_FREE char *text = text_format("%s-%d", "a", 7);

        assert_string_equal(text, "a-7");
}

TEST(what_a_url_does_not_take_is_encoded) {
        static const struct {
                const char *text, *encoded;
        } cases[] = {
                {"", ""},
                {"aZ09-._~", "aZ09-._~"},
                {"a b/c?d=e&f%+#", "a%20b%2Fc%3Fd%3De%26f%25%2B%23"},
                {"\xc3\x9c\x01\x7f", "%C3%9C%01%7F"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                CLEANUP_FREE char *encoded = text_percent_encode(cases[i].text);

                assert_string_equal(encoded, cases[i].encoded);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(first_and_second_bytes_are_those_of_table_3_7),
                cmocka_unit_test(third_and_fourth_bytes_are_continuations),
                cmocka_unit_test(every_code_point_but_surrogates_is_taken),
                cmocka_unit_test(invalid_sequences_are_refused),
                cmocka_unit_test(the_valid_prefix_ends_before_the_first_wrong_character),
                cmocka_unit_test(an_incomplete_tail_is_found_at_every_cut),
                cmocka_unit_test(a_tail_that_can_not_become_a_character_is_not_waited_for),
                cmocka_unit_test(text_with_nul_or_wrong_bytes_is_not_plain),
                cmocka_unit_test(base64_is_that_of_rfc_4648),
                cmocka_unit_test(bytes_of_every_length_survive_the_round_trip),
                cmocka_unit_test(base64_that_has_another_reading_is_refused),
                cmocka_unit_test(every_byte_that_is_no_digit_is_refused),
                cmocka_unit_test(base64_keeps_to_the_bound),
                cmocka_unit_test(cleaned_text_is_plain_and_keeps_its_length),
                cmocka_unit_test(text_format_copies),
                cmocka_unit_test(what_a_url_does_not_take_is_encoded),
        };

        return RUN_TESTS(tests);
}
