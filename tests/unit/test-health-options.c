/* SPDX-License-Identifier: Apache-2.0 */

/* The command line of tee-health: what is taken, and what is said of a wrong one. */

#include "health-options.h"
#include "unit.h"
#include "version.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>

typedef struct Fixture {
        HealthOptions options;
        int result;
        char *said, *printed; /* on stderr, on stdout */
        size_t said_size, printed_size;
} Fixture;

#define PARSE(fixture, ...) parse((fixture), (const char *const[]){"tee-health", ##__VA_ARGS__, NULL})

static void parse(Fixture *fixture, const char *const argv[]) {
        FILE *real_out = stdout, *real_err = stderr;
        int argc = 0;

        *fixture = (Fixture){0};
        while (argv[argc])
                argc++;
        stderr = open_memstream(&fixture->said, &fixture->said_size);
        stdout = open_memstream(&fixture->printed, &fixture->printed_size);
        assert_true(stderr && stdout);
        optind = 0; /* getopt begins anew */
        fixture->result = health_options_parse(&fixture->options, argc, (char **) (uintptr_t) argv);
        (void) fclose(stderr);
        (void) fclose(stdout);
        stderr = real_err;
        stdout = real_out;
}

static void assert_taken(Fixture *fixture) {
        assert_case(fixture->result == 0, "refused: %s", fixture->said);
        assert_string_equal(fixture->said, "");
        free(fixture->said);
        free(fixture->printed);
}

static void assert_wrong(Fixture *fixture, const char *what) {
        assert_int_equal(fixture->result, -EINVAL);
        assert_contains(fixture->said, what);
        assert_contains(fixture->said, "tee-health");
        assert_string_equal(fixture->printed, "");
        free(fixture->said);
        free(fixture->printed);
}

TEST(without_options_all_is_looked_at_where_it_usually_is) {
        Fixture fixture;

        PARSE(&fixture);
        assert_taken(&fixture);
        assert_string_equal(fixture.options.inspection.places.config_path, "/etc/tee/tee.conf");
        assert_string_equal(fixture.options.inspection.places.agent_socket, "/run/tee/agent.sock");
        assert_int_equal(fixture.options.inspection.deadline_ms, 0);
        assert_int_equal(fixture.options.only_size, 0);
        assert_false(fixture.options.json || fixture.options.list || fixture.options.done);
}

TEST(each_option_is_taken) {
        Fixture fixture;

        PARSE(&fixture, "--only", "agent", "-o", "host.cgroups", "--json", "--config", "c", "--socket", "s",
              "--timeout", "3");
        assert_taken(&fixture);
        assert_string_equal(fixture.options.inspection.places.config_path, "c");
        assert_string_equal(fixture.options.inspection.places.agent_socket, "s");
        assert_int_equal(fixture.options.inspection.deadline_ms, 3000);
        assert_int_equal(fixture.options.only_size, 2);
        assert_string_equal(fixture.options.only[0], "agent");
        assert_string_equal(fixture.options.only[1], "host.cgroups");
        assert_true(fixture.options.json);
        PARSE(&fixture, "--probe=direct", "--fix", "--yes", "--json");
        assert_taken(&fixture);
        assert_int_equal(fixture.options.inspection.places.probe_mode, PROBE_DIRECT);
        assert_true(fixture.options.probe && fixture.options.fix && fixture.options.yes);
        PARSE(&fixture, "-p", "--only", "agent");
        assert_taken(&fixture);
        assert_int_equal(fixture.options.inspection.places.probe_mode, PROBE_AUTO);
        assert_string_equal(fixture.options.only[1], "probe");
        PARSE(&fixture, "--list", "--only=docker");
        assert_taken(&fixture);
        assert_true(fixture.options.list);
}

TEST(the_agents_socket_is_taken_from_the_environment_as_tee_run_does) {
        Fixture fixture;

        assert_int_equal(setenv("TEE_SOCKET", "/e", true), 0);
        PARSE(&fixture);
        assert_taken(&fixture);
        assert_string_equal(fixture.options.inspection.places.agent_socket, "/e");
        PARSE(&fixture, "-s", "/o");
        assert_taken(&fixture);
        assert_string_equal(fixture.options.inspection.places.agent_socket, "/o");
        assert_int_equal(setenv("TEE_SOCKET", "", true), 0);
        PARSE(&fixture);
        assert_taken(&fixture);
        assert_string_equal(fixture.options.inspection.places.agent_socket, "/run/tee/agent.sock");
}

TEST(a_mistyped_check_is_refused_with_what_there_is) {
        static const char *const words[] = {"agnet", "agent.", "agent.gat", "AGENT", ""};
        Fixture fixture;

        for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
                PARSE(&fixture, "--only", words[i]);
                assert_contains(fixture.said, "config, host, runsc, docker");
                assert_wrong(&fixture, "no check and no group");
        }
}

TEST(a_mistyped_page_is_refused_with_the_nearest) {
        static const struct {
                const char *word, *meant;
        } cases[] = {{"agent.gat", "agent.gate"}, {"gate", "agent.gate"}, {"prob.memory", "probe.memory"}, {"", "?"}};
        Fixture fixture;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                PARSE(&fixture, "--explain", cases[i].word);
                assert_contains(fixture.said, cases[i].meant);
                assert_wrong(&fixture, "there is no check");
        }
        PARSE(&fixture, "--explain", "agent.gate");
        assert_string_equal(fixture.options.explain, "agent.gate");
        assert_taken(&fixture);
}

TEST(a_timeout_that_is_no_time_is_refused) {
        static const char *const words[] = {"0", "", "-1", "+1", " 1", "1s", "3601", "99999999999999999999"};
        Fixture fixture;

        for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
                PARSE(&fixture, "--timeout", words[i]);
                assert_wrong(&fixture, "--timeout is a number of seconds");
        }
}

TEST(other_wrong_use_is_refused) {
        Fixture fixture;

        PARSE(&fixture, "--jsn");
        assert_wrong(&fixture, "--help");
        PARSE(&fixture, "--only");
        assert_wrong(&fixture, "--help");
        PARSE(&fixture, "agent");
        assert_wrong(&fixture, "unexpected argument 'agent'");
        PARSE(&fixture, "--list", "--json");
        assert_wrong(&fixture, "--list does not go together with '--json'");
        PARSE(&fixture, "--list", "--fix");
        assert_wrong(&fixture, "--list does not go together with '--fix'");
        PARSE(&fixture, "--yes");
        assert_wrong(&fixture, "without '--fix'");
        PARSE(&fixture, "--fix", "--json");
        assert_wrong(&fixture, "--fix wants '--yes'");
        PARSE(&fixture, "--probe=agnet");
        assert_wrong(&fixture, "--probe is agent, direct or auto, not 'agnet'");
        PARSE(&fixture, "--config", "");
        assert_wrong(&fixture, "--config");
        PARSE(&fixture, "--socket", "");
        assert_wrong(&fixture, "--socket");
}

TEST(more_than_can_be_kept_of_only_is_refused) {
        const char *argv[2 * HEALTH_ONLY_MAX + 4] = {"tee-health"};
        Fixture fixture;

        for (size_t i = 1; i + 1 < ARRAY_SIZE(argv) - 1; i += 2) {
                argv[i] = "--only";
                argv[i + 1] = "host";
        }
        parse(&fixture, argv);
        assert_wrong(&fixture, "too many of --only");
}

TEST(help_and_version_are_answered) {
        Fixture fixture;

        PARSE(&fixture, "--help", "--nonsense");
        assert_true(fixture.options.done);
        assert_contains(fixture.printed, "Usage: tee-health");
        assert_taken(&fixture);
        PARSE(&fixture, "-V");
        assert_true(fixture.options.done);
        assert_string_equal(fixture.printed, "tee-health " TEE_VERSION "\n");
        assert_taken(&fixture);
}

static int without_socket(void **state) {
        (void) state;
        return unsetenv("TEE_SOCKET");
}

#define WITH_ENVIRONMENT(name) cmocka_unit_test_setup_teardown(name, without_socket, without_socket)

int main(void) {
        static const struct CMUnitTest tests[] = {
                WITH_ENVIRONMENT(without_options_all_is_looked_at_where_it_usually_is),
                WITH_ENVIRONMENT(each_option_is_taken),
                WITH_ENVIRONMENT(the_agents_socket_is_taken_from_the_environment_as_tee_run_does),
                WITH_ENVIRONMENT(a_mistyped_check_is_refused_with_what_there_is),
                WITH_ENVIRONMENT(a_mistyped_page_is_refused_with_the_nearest),
                WITH_ENVIRONMENT(a_timeout_that_is_no_time_is_refused),
                WITH_ENVIRONMENT(other_wrong_use_is_refused),
                WITH_ENVIRONMENT(more_than_can_be_kept_of_only_is_refused),
                WITH_ENVIRONMENT(help_and_version_are_answered),
        };

        return RUN_TESTS(tests);
}
