/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What every unit test includes: cmocka with what its header asks for, and the words that the tests share. */

#include "base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* A test; its name says what would be broken if it failed. */
#define TEST(name) static void name(__attribute__((unused)) void **state)

#define RUN_TESTS(tests) cmocka_run_group_tests((tests), NULL, NULL)

#define assert_contains(text, part)                                               \
        do {                                                                      \
                const char *text_ = (text), *part_ = (part);                      \
                assert_non_null(text_);                                           \
                if (!strstr(text_, part_))                                        \
                        fail_msg("\"%s\" does not contain \"%s\"", text_, part_); \
        } while (false)

/* Names the case of a table that failed. */
#define assert_case(condition, ...)            \
        do {                                   \
                if (!(condition))              \
                        fail_msg(__VA_ARGS__); \
        } while (false)
