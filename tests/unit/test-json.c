/* SPDX-License-Identifier: Apache-2.0 */

/* What json.c adds to cJSON: nothing that has two readings passes, and every error is at the place where it is. */

#include "json.h"
#include "unit.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

static cJSON *parse(const char *text) {
        JsonError error;
        cJSON *document = json_parse(text, strlen(text), &error);

        assert_case(document, "refused: %s", text);
        return document;
}

static void assert_fault(const void *text, size_t size, JsonFault fault, unsigned line, unsigned column) {
        JsonError error = {0};
        cJSON *document = json_parse(text, size, &error);

        assert_case(!document, "taken: %.60s", (const char *) text);
        assert_case(error.fault == fault, "%.60s: fault %d instead of %d", (const char *) text, (int) error.fault,
                    (int) fault);
        assert_case(error.line == line && error.column == column, "%.60s: at %u:%u instead of %u:%u",
                    (const char *) text, error.line, error.column, line, column);
}

/* ---- json_parse ---- */

TEST(valid_documents_are_taken) {
        static const char *const texts[] = {
                "{}",
                "[]",
                "null",
                "true",
                "false",
                "0",
                "-0",
                "-1.5e+3",
                "1E400",
                "10",
                "0.10",
                "\"\"",
                " {} ",
                "\t\r\n[1 ,\t2\r\n]\n",
                "{\"a\":{\"b\":[{}]}}",
                "\"\\u00e9\\ud83d\\ude00\\\\\\\"\\/\\b\\f\\n\\r\\t\"",
                "\"\xe2\x82\xac\x7f\"",
                "[0,0.5,-0.5,1e1,1e-1,12E+2]",
                "\xef\xbb\xbf{}",
        };

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                cJSON_Delete(parse(texts[i]));
}

TEST(a_text_that_is_no_json_is_refused) {
        static const char *const texts[] = {
                "",         " ",         "{",         "}",           "[",           "]",           "{]",
                "[1,]",     "[,1]",      "[1 2]",     "{\"a\"}",     "{\"a\":}",    "{\"a\":1,}",  "{a:1}",
                "{'a':1}",  "{1:1}",     "nul",       "nulll",       "True",        "NaN",         "nan",
                "Infinity", "-Infinity", "-",         "+1",          ".5",          "\"",          "\"a",
                "\"\\",     "\"\\x41\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\u0041\"",
                "// c\n{}", "{} // c",   "{}{}",      "{},",         "[1]]",        "1 2",         "undefined",
                "\\u0041",
        };

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                JsonError error;
                cJSON *document = json_parse(texts[i], strlen(texts[i]), &error);

                assert_case(!document, "taken: %s", texts[i]);
                assert_int_equal(error.fault, JSON_SYNTAX);
        }
}

TEST(what_cjson_takes_beyond_rfc_8259_is_refused_where_it_stands) {
        static const struct {
                const char *text;
                unsigned column;
        } cases[] = {
                {"01", 1},         {"-01", 1},        {"[1,00]", 4},   {"{\"a\":1.}", 6}, {"1.e5", 1},
                {"-.5", 1},        {"[\"a\tb\"]", 4}, {"\"\x1f\"", 2}, {"[1,\x01 2]", 4}, {"\x0b{}", 1},
                {"[1,\x0c 2]", 4}, {"007", 1},        {"-00.5", 1},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                assert_fault(cases[i].text, strlen(cases[i].text), JSON_SYNTAX, 1, cases[i].column);
        assert_fault("\"a\nb\"", 5, JSON_SYNTAX, 1, 3);
}

TEST(digits_within_strings_and_keys_are_no_numbers) {
        cJSON_Delete(parse("{\"01\":\"1. -.5 \\\" 007\",\"\\\\\":\"01\"}"));
}

TEST(a_text_that_is_not_utf8_is_refused_at_its_first_wrong_byte) {
        assert_fault("{\"a\":\"\xff\"}", 9, JSON_NOT_UTF8, 1, 7);
        assert_fault("{\n\"\xed\xa0\x80\"}", 7, JSON_NOT_UTF8, 2, 2);
        assert_fault("\"\xc3", 2, JSON_NOT_UTF8, 1, 2);
        assert_fault("\xff", 1, JSON_NOT_UTF8, 1, 1);
        assert_fault("not json \xc0\x80", 11, JSON_NOT_UTF8, 1, 10);
}

TEST(an_escaped_nul_is_refused_and_not_cut) {
        assert_fault("\"\\u0000\"", 8, JSON_NUL, 1, 2);
        assert_fault("{\"a\":\n\"bc\\u0000d\"}", 18, JSON_NUL, 2, 4);
        assert_fault("{\"a\\u0000b\":1}", 14, JSON_NUL, 1, 4);
        assert_fault("\"\\\\\\u0000\"", 10, JSON_NUL, 1, 4);
}

TEST(a_raw_nul_is_refused) {
        assert_fault("\"a\0b\"", 5, JSON_NUL, 1, 3);
        assert_fault("{\"a\0\":1}", 8, JSON_NUL, 1, 4);
        assert_fault("[1,\0 2]", 7, JSON_NUL, 1, 4);
        assert_fault("\0{}", 3, JSON_NUL, 1, 1);
        assert_fault("{}\0", 3, JSON_SYNTAX, 1, 3);
}

TEST(an_escape_without_four_digits_is_no_way_round_that) {
        assert_fault("\"\\uzzzz\"", 8, JSON_SYNTAX, 1, 2);
        assert_fault("\"ab\\u00g0cd\"", 12, JSON_SYNTAX, 1, 4);
        assert_fault("\"\\u 000\"", 8, JSON_SYNTAX, 1, 2);
}

TEST(an_escaped_backslash_before_u0000_is_text) {
        cJSON *document = parse("\"\\\\u0000 \\\\\\\\u0000\"");

        assert_string_equal(cJSON_GetStringValue(document), "\\u0000 \\\\u0000");
        cJSON_Delete(document);
}

/* An array in an array, depth times. Owned by the caller. */
static char *nested(size_t depth) {
        char *text = malloc(2 * depth + 1);

        assert_non_null(text);
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        text[2 * depth] = '\0';
        return text;
}

TEST(nesting_is_bounded) {
        CLEANUP_FREE char *deep = nested(10000), *shallow = nested(1000), *deepest = nested(1001);

        assert_fault(deep, 20000, JSON_SYNTAX, 1, 1001);
        assert_fault(deepest, 2002, JSON_SYNTAX, 1, 1001);
        cJSON_Delete(parse(shallow));
}

TEST(what_follows_the_document_is_refused_where_it_begins) {
        assert_fault("{} {}", 5, JSON_SYNTAX, 1, 4);
        assert_fault("{}\n\n  x", 7, JSON_SYNTAX, 3, 3);
        assert_fault("{}\x0b", 3, JSON_SYNTAX, 1, 3);
        assert_fault("1-2", 3, JSON_SYNTAX, 1, 2);
}

TEST(errors_tell_line_and_column) {
        assert_fault("{\n  \"a\": 1,\n  \"b\": x\n}", 23, JSON_SYNTAX, 3, 8);
        assert_fault("", 0, JSON_SYNTAX, 1, 1);
        assert_fault("?", 1, JSON_SYNTAX, 1, 1);
}

TEST(a_document_need_not_end_in_nul) {
        const char text[] = {'{', '"', 'a', '"', ':', '1', '2'};
        CLEANUP_FREE char *copy = malloc(3);
        JsonError error;
        cJSON *document;

        assert_fault(text, sizeof(text), JSON_SYNTAX, 1, 7);
        /* On the heap, where sanitizers see a read beyond its end. */
        assert_non_null(copy);
        memcpy(copy, "123", 3);
        document = json_parse(copy, 3, &error);
        assert_non_null(document);
        assert_int_equal(document->valuedouble, 123);
        cJSON_Delete(document);
}

TEST(every_cut_of_a_document_is_refused) {
        static const char text[] = "{\"a\":[1,-2.5e3,\"\\u00e9\\\\\",null,true,{\"b\":{}}],\"c\":\"\xe2\x82\xac\"}";

        for (size_t size = 0; size < sizeof(text) - 1; size++) {
                CLEANUP_FREE char *copy = malloc(size + 1);
                JsonError error;

                assert_non_null(copy);
                memcpy(copy, text, size);
                assert_case(!json_parse(copy, size, &error), "taken: %.*s", (int) size, text);
        }
        cJSON_Delete(parse(text));
}

TEST(every_fault_has_a_sentence) {
        for (JsonFault fault = JSON_OK; fault <= JSON_NO_MEMORY; fault++)
                assert_true(strlen(json_fault_text(fault)) > 4);
}

/* ---- getters ---- */

TEST(duplicate_keys_are_found_wherever_they_stand) {
        static const struct {
                const char *text, *key;
        } cases[] = {
                {"{}", NULL},
                {"[1,1]", NULL},
                {"\"aa\"", NULL},
                {"{\"a\":1}", NULL},
                {"{\"a\":1,\"A\":2,\"b\":3}", NULL},
                {"{\"a\":{\"x\":1},\"b\":{\"x\":2}}", NULL},
                {"{\"a\":1,\"a\":1}", "a"},
                {"{\"a\":1,\"b\":2,\"c\":3,\"a\":4}", "a"},
                {"{\"\":1,\"b\":2,\"\":3}", ""},
                {"{\"\\u0061\":1,\"a\":2}", "a"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cJSON *document = parse(cases[i].text);
                bool out_of_memory = true;
                const char *key = json_duplicate_key(document, &out_of_memory);

                assert_false(out_of_memory);
                if (cases[i].key)
                        assert_case(key && strcmp(key, cases[i].key) == 0, "%s", cases[i].text);
                else
                        assert_case(!key, "%s", cases[i].text);
                cJSON_Delete(document);
        }
}

TEST(integers_are_whole_and_exact) {
        static const struct {
                const char *text;
                bool right;
                int64_t value;
        } cases[] = {
                {"0", true, 0},
                {"-0", true, 0},
                {"-1", true, -1},
                {"1e3", true, 1000},
                {"1.0", true, 1},
                {"25e-1", false, 0},
                {"0.5", false, 0},
                {"-1.5", false, 0},
                {"2147483648", true, INT64_C(2147483648)},
                {"9007199254740990", true, INT64_C(9007199254740990)},
                {"9007199254740991", true, INT64_C(9007199254740991)},
                {"-9007199254740991", true, INT64_C(-9007199254740991)},
                {"9007199254740992", false, 0}, /* 2^53: what 2^53 + 1 is read as */
                {"9007199254740993", false, 0},
                {"-9007199254740992", false, 0},
                {"9223372036854775808", false, 0},
                {"1e400", false, 0},
                {"-1e400", false, 0},
                {"\"1\"", false, 0},
                {"true", false, 0},
                {"null", false, 0},
                {"[1]", false, 0},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cJSON *document = parse(cases[i].text);
                int64_t value = 0;

                assert_case(json_is_integer(document, &value) == cases[i].right, "%s", cases[i].text);
                assert_case(value == cases[i].value, "%s", cases[i].text);
                cJSON_Delete(document);
        }
}

TEST(what_is_no_number_at_all_is_no_integer) {
        cJSON *nan_item = cJSON_CreateNumber(NAN), *infinite = cJSON_CreateNumber(INFINITY);
        int64_t value;

        assert_false(json_is_integer(NULL, &value));
        assert_false(json_is_integer(nan_item, &value));
        assert_false(json_is_integer(infinite, &value));
        cJSON_Delete(nan_item);
        cJSON_Delete(infinite);
}

TEST(getters_answer_null_for_what_is_missing_or_of_another_type) {
        cJSON *document = parse("{\"s\":\"x\",\"n\":7,\"f\":7.5,\"o\":{\"i\":1},\"a\":[1],\"z\":null}");

        assert_string_equal(json_get_string(document, "s"), "x");
        assert_null(json_get_string(document, "S"));
        assert_null(json_get_string(document, "n"));
        assert_null(json_get_string(document, "missing"));
        assert_null(json_get_string(NULL, "s"));
        assert_int_equal(json_get_integer(document, "n", -1), 7);
        assert_int_equal(json_get_integer(document, "f", -1), -1);
        assert_int_equal(json_get_integer(document, "s", -1), -1);
        assert_int_equal(json_get_integer(NULL, "n", -1), -1);
        assert_int_equal(json_get_integer(json_get_object(document, "o"), "i", -1), 1);
        assert_null(json_get_object(document, "a"));
        assert_null(json_get_object(document, "z"));
        assert_null(json_get_object(document, "s"));
        assert_null(json_get_object(NULL, "o"));
        assert_true(cJSON_IsNull(json_get(document, "z")));
        assert_null(json_get(json_get(document, "a"), "s"));
        assert_null(json_get(json_get(document, "s"), "s"));
        cJSON_Delete(document);
}

/* ---- makers ---- */

static void assert_text_json(const void *data, size_t size, const char *expected) {
        cJSON *value = json_new_text(data, size);
        CLEANUP_JSON_TEXT char *printed = cJSON_PrintUnformatted(value);

        assert_non_null(value);
        assert_string_equal(printed, expected);
        cJSON_Delete(value);
}

TEST(plain_text_becomes_a_string) {
        assert_text_json("", 0, "\"\"");
        assert_text_json(NULL, 0, "\"\"");
        assert_text_json("a\n\"b\" \xe2\x82\xac", 9, "\"a\\n\\\"b\\\" \xe2\x82\xac\"");
        assert_text_json("\x1b[0m", 4, "\"\\u001b[0m\"");
        assert_text_json("\\\"\n\t", 4, "\"\\\\\\\"\\n\\t\"");
}

TEST(what_no_string_can_carry_becomes_base64) {
        assert_text_json("\xff\xfe", 2, "{\"base64\":\"//4=\"}");
        assert_text_json("a\0b", 3, "{\"base64\":\"YQBi\"}");
        assert_text_json("\xe2\x82", 2, "{\"base64\":\"4oI=\"}");
}

/* Of a text that is 10,000 times one byte: is it a string, and how long is it in JSON? */
static size_t printed_size(char byte, bool *ret_is_string) {
        char text[10000];
        cJSON *value;
        CLEANUP_JSON_TEXT char *printed = NULL;

        memset(text, byte, sizeof(text));
        value = json_new_text(text, sizeof(text));
        assert_non_null(value);
        *ret_is_string = cJSON_IsString(value);
        printed = cJSON_PrintUnformatted(value);
        assert_non_null(printed);
        cJSON_Delete(value);
        return strlen(printed);
}

TEST(text_that_escapes_would_more_than_double_becomes_base64) {
        bool is_string;

        for (unsigned byte = 0; byte < 128; byte++) {
                assert_in_range(printed_size((char) byte, &is_string), 10000, 20100);
                assert_case(is_string == (byte >= 0x20 || (byte > 0 && strchr("\b\f\n\r\t", (int) byte))), "byte %u",
                            byte);
        }
}

TEST(adding_nothing_is_a_failure_and_changes_nothing) {
        cJSON *object = cJSON_CreateObject();

        assert_int_equal(json_add(object, "a", NULL), -ENOMEM);
        assert_null(object->child);
        assert_int_equal(json_add(object, "a", cJSON_CreateTrue()), 0);
        assert_true(cJSON_IsTrue(json_get(object, "a")));
        assert_int_equal(json_add(NULL, "a", cJSON_CreateTrue()), -ENOMEM);
        cJSON_Delete(object);
}

TEST(milliseconds_keep_their_microseconds) {
        static const struct {
                uint64_t usec;
                const char *text;
        } cases[] = {
                {0, "0"}, {1, "0.001"}, {1500, "1.5"}, {8300, "8.3"}, {86400000000, "86400000"}, {1234567, "1234.567"}};

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cJSON *value = json_new_msec(cases[i].usec);
                CLEANUP_JSON_TEXT char *printed = cJSON_PrintUnformatted(value);

                assert_string_equal(printed, cases[i].text);
                cJSON_Delete(value);
        }
}

TEST(a_missing_string_is_null) {
        cJSON *missing = json_new_string_or_null(NULL), *empty = json_new_string_or_null("");

        assert_true(cJSON_IsNull(missing));
        assert_string_equal(cJSON_GetStringValue(empty), "");
        cJSON_Delete(missing);
        cJSON_Delete(empty);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(valid_documents_are_taken),
                cmocka_unit_test(a_text_that_is_no_json_is_refused),
                cmocka_unit_test(what_cjson_takes_beyond_rfc_8259_is_refused_where_it_stands),
                cmocka_unit_test(digits_within_strings_and_keys_are_no_numbers),
                cmocka_unit_test(a_text_that_is_not_utf8_is_refused_at_its_first_wrong_byte),
                cmocka_unit_test(an_escaped_nul_is_refused_and_not_cut),
                cmocka_unit_test(a_raw_nul_is_refused),
                cmocka_unit_test(an_escape_without_four_digits_is_no_way_round_that),
                cmocka_unit_test(an_escaped_backslash_before_u0000_is_text),
                cmocka_unit_test(nesting_is_bounded),
                cmocka_unit_test(what_follows_the_document_is_refused_where_it_begins),
                cmocka_unit_test(errors_tell_line_and_column),
                cmocka_unit_test(a_document_need_not_end_in_nul),
                cmocka_unit_test(every_cut_of_a_document_is_refused),
                cmocka_unit_test(every_fault_has_a_sentence),
                cmocka_unit_test(duplicate_keys_are_found_wherever_they_stand),
                cmocka_unit_test(integers_are_whole_and_exact),
                cmocka_unit_test(what_is_no_number_at_all_is_no_integer),
                cmocka_unit_test(getters_answer_null_for_what_is_missing_or_of_another_type),
                cmocka_unit_test(plain_text_becomes_a_string),
                cmocka_unit_test(what_no_string_can_carry_becomes_base64),
                cmocka_unit_test(text_that_escapes_would_more_than_double_becomes_base64),
                cmocka_unit_test(adding_nothing_is_a_failure_and_changes_nothing),
                cmocka_unit_test(milliseconds_keep_their_microseconds),
                cmocka_unit_test(a_missing_string_is_null),
        };

        return RUN_TESTS(tests);
}
