/* SPDX-License-Identifier: Apache-2.0 */

/* The command line of tee-run: units, options in their forms, where the options end, and what is said of a wrong one.
 */

#include "arguments.h"
#include "unit.h"
#include "version.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>

typedef struct Fixture {
        const char *argv[24];
        Arguments arguments;
        int result;
        char *said; /* on stderr */
        size_t said_size;
} Fixture;

#define PARSE(fixture, ...) parse((fixture), (const char *const[]){"tee-run", __VA_ARGS__, NULL})

static void parse(Fixture *fixture, const char *const argv[]) {
        FILE *real = stderr;
        int argc = 0;

        *fixture = (Fixture){0};
        for (; argv[argc]; argc++)
                fixture->argv[argc] = argv[argc];
        assert_true((size_t) argc < ARRAY_SIZE(fixture->argv));
        stderr = open_memstream(&fixture->said, &fixture->said_size);
        assert_non_null(stderr);
        optind = 0; /* getopt begins anew */
        fixture->result = arguments_parse(&fixture->arguments, argc, (char **) (uintptr_t) fixture->argv);
        (void) fclose(stderr);
        stderr = real;
}

static void fixture_deinit(Fixture *fixture) {
        arguments_deinit(&fixture->arguments);
        free(fixture->said);
}

static void assert_taken(const Fixture *fixture) {
        assert_case(fixture->result == 0, "refused: %s", fixture->said);
        assert_string_equal(fixture->said, "");
}

/* Refused, with what is wrong and where help is. */
static void assert_wrong(Fixture *fixture, const char *what) {
        assert_int_equal(fixture->result, -EINVAL);
        assert_contains(fixture->said, what);
        assert_contains(fixture->said, "Try 'tee-run --help'.\n");
        fixture_deinit(fixture);
}

/* ---- units ---- */

TEST(a_duration_is_read_in_each_of_its_units) {
        static const struct {
                const char *text;
                uint64_t ms;
        } table[] = {{"500ms", 500}, {"1ms", 1},      {"5s", 5000},   {"5", 5000},
                     {"2m", 120000}, {"1h", 3600000}, {"007s", 7000}, {"18446744073709551615ms", UINT64_MAX}};

        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                uint64_t ms = 0;

                assert_case(arguments_parse_duration(table[i].text, &ms) == 0 && ms == table[i].ms, "%s: %llu ms",
                            table[i].text, (unsigned long long) ms);
        }
}

TEST(a_duration_that_is_none_is_refused) {
        static const char *const table[] = {"",
                                            "soon",
                                            "ms",
                                            "-1",
                                            "-1s",
                                            "+5s",
                                            " 5s",
                                            "5 s",
                                            "5s ",
                                            "1.5s",
                                            "0",
                                            "0ms",
                                            "5S",
                                            "5ss",
                                            "5d",
                                            "0x10s",
                                            "1e3s",
                                            "5sm",
                                            "5\n",
                                            "٥s",
                                            "inf",
                                            "18446744073709551616ms",
                                            "18446744073709551615s",
                                            "5124095576030432h"};

        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                uint64_t ms;

                assert_case(arguments_parse_duration(table[i], &ms) == -EINVAL, "taken: '%s'", table[i]);
        }
}

TEST(a_size_is_rounded_up_to_mebibytes) {
        static const struct {
                const char *text;
                uint64_t mb;
        } table[] = {{"128M", 128},
                     {"128m", 128},
                     {"1G", 1024},
                     {"1g", 1024},
                     {"65536K", 64},
                     {"1k", 1},
                     {"1025K", 2},
                     {"1", 1},
                     {"1048576", 1},
                     {"1048577", 2},
                     {"16777215G", 17179868160U},
                     {"18446744073709551615", 17592186044416U}};

        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                uint64_t mb = 0;

                assert_case(arguments_parse_size(table[i].text, &mb) == 0 && mb == table[i].mb, "%s: %llu MiB",
                            table[i].text, (unsigned long long) mb);
        }
}

TEST(a_size_that_is_none_is_refused) {
        static const char *const table[] = {"",
                                            "lots",
                                            "M",
                                            "128MB",
                                            "128MiB",
                                            "128 M",
                                            "-1M",
                                            "1.5G",
                                            "0",
                                            "0M",
                                            "1T",
                                            "1Mm",
                                            " 1M",
                                            "1M ",
                                            "0x1M",
                                            "18446744073709551616",
                                            "17179869184G"};

        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                uint64_t mb;

                assert_case(arguments_parse_size(table[i], &mb) == -EINVAL, "taken: '%s'", table[i]);
        }
}

/* ---- options ---- */

TEST(what_is_left_out_has_its_default) {
        Fixture fixture;

        assert_int_equal(unsetenv("TEE_SOCKET"), 0);
        PARSE(&fixture, "a.ts");
        assert_taken(&fixture);
        assert_string_equal(fixture.arguments.socket, "/run/tee/agent.sock");
        assert_string_equal(fixture.arguments.runtime, "deno");
        assert_string_equal(fixture.arguments.file, "a.ts");
        assert_null(fixture.arguments.stdin_file);
        assert_null(fixture.arguments.args[0]);
        assert_int_equal(fixture.arguments.env_size, 0);
        assert_int_equal(fixture.arguments.wall_ms, 0);
        assert_int_equal(fixture.arguments.memory_mb, 0);
        assert_false(fixture.arguments.json);
        assert_false(fixture.arguments.done);
        fixture_deinit(&fixture);
}

static void assert_all_options(const Fixture *fixture) {
        const Arguments *arguments = &fixture->arguments;

        assert_taken(fixture);
        assert_string_equal(arguments->runtime, "sh");
        assert_int_equal(arguments->wall_ms, 2500);
        assert_int_equal(arguments->memory_mb, 64);
        assert_int_equal(arguments->env_size, 2);
        assert_string_equal(arguments->env[0], "A=1");
        assert_string_equal(arguments->env[1], "B=x=y z");
        assert_string_equal(arguments->stdin_file, "data");
        assert_true(arguments->json);
        assert_string_equal(arguments->socket, "/s");
        assert_string_equal(arguments->file, "a.sh");
}

TEST(every_option_has_a_long_and_a_short_form) {
        Fixture fixture;

        PARSE(&fixture, "--runtime", "sh", "--timeout", "2500ms", "--memory", "64M", "--env", "A=1", "--env", "B=x=y z",
              "--stdin", "data", "--json", "--socket", "/s", "a.sh");
        assert_all_options(&fixture);
        fixture_deinit(&fixture);
        PARSE(&fixture, "--runtime=sh", "--timeout=2500ms", "--memory=64M", "--env=A=1", "--env=B=x=y z",
              "--stdin=data", "--json", "--socket=/s", "a.sh");
        assert_all_options(&fixture);
        fixture_deinit(&fixture);
        PARSE(&fixture, "-r", "sh", "-t2500ms", "-m", "64M", "-eA=1", "-e", "B=x=y z", "-idata", "-js/s", "a.sh");
        assert_all_options(&fixture);
        fixture_deinit(&fixture);
}

TEST(the_last_of_an_option_that_is_given_twice_counts) {
        Fixture fixture;

        PARSE(&fixture, "-t", "1s", "-r", "sh", "-t", "2s", "a.sh");
        assert_taken(&fixture);
        assert_int_equal(fixture.arguments.wall_ms, 2000);
        fixture_deinit(&fixture);
}

TEST(the_socket_of_the_environment_gives_way_to_the_option_and_counts_for_nothing_when_it_is_empty) {
        Fixture fixture;

        assert_int_equal(setenv("TEE_SOCKET", "/environment", 1), 0);
        PARSE(&fixture, "a.ts");
        assert_string_equal(fixture.arguments.socket, "/environment");
        fixture_deinit(&fixture);
        PARSE(&fixture, "-s", "/option", "a.ts");
        assert_string_equal(fixture.arguments.socket, "/option");
        fixture_deinit(&fixture);
        assert_int_equal(setenv("TEE_SOCKET", "", 1), 0);
        PARSE(&fixture, "a.ts");
        assert_string_equal(fixture.arguments.socket, "/run/tee/agent.sock");
        fixture_deinit(&fixture);
        assert_int_equal(unsetenv("TEE_SOCKET"), 0);
}

TEST(a_wrong_option_is_told_with_its_value) {
        Fixture fixture;

        PARSE(&fixture, "--timeout", "soon", "a.ts");
        assert_wrong(&fixture, "tee-run: --timeout needs a time such as 500ms or 5s, not 'soon'\n");
        PARSE(&fixture, "-m", "128MB", "a.ts");
        assert_wrong(&fixture, "tee-run: --memory needs a size such as 128M or 1G, not '128MB'\n");
        PARSE(&fixture, "--env", "NOVALUE", "a.ts");
        assert_wrong(&fixture, "tee-run: --env needs NAME=VALUE, not 'NOVALUE'\n");
        PARSE(&fixture, "--env", "=x", "a.ts");
        assert_wrong(&fixture, "not '=x'\n");
        PARSE(&fixture, "--timout", "5s", "a.ts");
        assert_wrong(&fixture, "--timout");
        PARSE(&fixture, "-x", "a.ts");
        assert_wrong(&fixture, "'x'");
        PARSE(&fixture, "--timeout");
        assert_wrong(&fixture, "requires an argument");
        PARSE(&fixture, "--json=1", "a.ts");
        assert_wrong(&fixture, "doesn't allow an argument");
}

/* ---- operands ---- */

static void assert_args(Fixture *fixture, const char *file, const char *const *args) {
        size_t n = 0;

        assert_taken(fixture);
        assert_string_equal(fixture->arguments.file, file);
        for (; args[n] && fixture->arguments.args[n]; n++)
                assert_string_equal(fixture->arguments.args[n], args[n]);
        assert_ptr_equal(args[n], fixture->arguments.args[n]); /* both at their ends */
        fixture_deinit(fixture);
}

TEST(what_follows_the_file_is_the_programs) {
        Fixture fixture;

        PARSE(&fixture, "a.ts", "--timeout", "x", "-j", "");
        assert_false(fixture.arguments.json);
        assert_args(&fixture, "a.ts", (const char *const[]){"--timeout", "x", "-j", "", NULL});
}

TEST(two_dashes_behind_the_file_are_dropped_once) {
        Fixture fixture;

        PARSE(&fixture, "a.ts", "--", "a", "--", "b");
        assert_args(&fixture, "a.ts", (const char *const[]){"a", "--", "b", NULL});
        PARSE(&fixture, "a.ts", "--", "--");
        assert_args(&fixture, "a.ts", (const char *const[]){"--", NULL});
        PARSE(&fixture, "a.ts", "--");
        assert_args(&fixture, "a.ts", (const char *const[]){NULL});
        PARSE(&fixture, "a.ts", "a", "--");
        assert_args(&fixture, "a.ts", (const char *const[]){"a", "--", NULL});
}

TEST(two_dashes_before_the_file_end_the_options) {
        Fixture fixture;

        PARSE(&fixture, "-j", "--", "-strange-name.ts", "x");
        assert_true(fixture.arguments.json);
        assert_args(&fixture, "-strange-name.ts", (const char *const[]){"x", NULL});
}

TEST(a_missing_file_is_told) {
        Fixture fixture;

        PARSE(&fixture, "-j");
        assert_wrong(&fixture, "tee-run: which program? FILE is missing\n");
        PARSE(&fixture, "-j", "--");
        assert_wrong(&fixture, "FILE is missing");
}

TEST(stdin_cannot_be_the_program_and_its_input) {
        Fixture fixture;

        PARSE(&fixture, "-i", "-", "-");
        assert_int_equal(fixture.result, -EINVAL);
        assert_contains(fixture.said, "cannot both be tee-run's own stdin");
        fixture_deinit(&fixture);
        PARSE(&fixture, "-i", "data", "-", "x");
        assert_args(&fixture, "-", (const char *const[]){"x", NULL});
        PARSE(&fixture, "-i", "-", "a.ts");
        assert_args(&fixture, "a.ts", (const char *const[]){NULL});
}

/* ---- answered at once ---- */

/* What is printed on stdout meanwhile, malloc'ed. */
static char *stdout_of(Fixture *fixture, const char *option) {
        FILE *real = stdout;
        char *text = NULL;
        size_t size = 0;

        stdout = open_memstream(&text, &size);
        assert_non_null(stdout);
        PARSE(fixture, option, "--timeout", "soon");
        (void) fclose(stdout);
        stdout = real;
        return text;
}

TEST(help_and_version_are_answered_and_nothing_behind_them_is_looked_at) {
        static const char *const options[] = {"--help", "-h", "--version", "-V"};

        for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
                Fixture fixture;
                CLEANUP_FREE char *text = stdout_of(&fixture, options[i]);

                assert_taken(&fixture);
                assert_true(fixture.arguments.done);
                assert_contains(text, i < 2 ? "Usage: tee-run [OPTION]... FILE|- [--] [ARGUMENT]...\n"
                                            : "tee-run " TEE_VERSION "\n");
                fixture_deinit(&fixture);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_duration_is_read_in_each_of_its_units),
                cmocka_unit_test(a_duration_that_is_none_is_refused),
                cmocka_unit_test(a_size_is_rounded_up_to_mebibytes),
                cmocka_unit_test(a_size_that_is_none_is_refused),
                cmocka_unit_test(what_is_left_out_has_its_default),
                cmocka_unit_test(every_option_has_a_long_and_a_short_form),
                cmocka_unit_test(the_last_of_an_option_that_is_given_twice_counts),
                cmocka_unit_test(
                        the_socket_of_the_environment_gives_way_to_the_option_and_counts_for_nothing_when_it_is_empty),
                cmocka_unit_test(a_wrong_option_is_told_with_its_value),
                cmocka_unit_test(what_follows_the_file_is_the_programs),
                cmocka_unit_test(two_dashes_behind_the_file_are_dropped_once),
                cmocka_unit_test(two_dashes_before_the_file_end_the_options),
                cmocka_unit_test(a_missing_file_is_told),
                cmocka_unit_test(stdin_cannot_be_the_program_and_its_input),
                cmocka_unit_test(help_and_version_are_answered_and_nothing_behind_them_is_looked_at),
        };

        return RUN_TESTS(tests);
}
