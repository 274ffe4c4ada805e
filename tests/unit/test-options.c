/* SPDX-License-Identifier: Apache-2.0 */

/* The command line of tee-install: what is taken, what goes together, and what is said of a wrong one. */

#include "options.h"
#include "unit.h"
#include "version.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>

typedef struct Fixture {
        const char *argv[40];
        Options options;
        int result;
        char *said, *printed; /* on stderr, on stdout */
        size_t said_size, printed_size;
} Fixture;

#define PARSE(fixture, ...) parse((fixture), (const char *const[]){"tee-install", __VA_ARGS__, NULL})

static void parse(Fixture *fixture, const char *const argv[]) {
        FILE *real_out = stdout, *real_err = stderr;
        int argc = 0;

        *fixture = (Fixture){0};
        for (; argv[argc]; argc++)
                fixture->argv[argc] = argv[argc];
        assert_true((size_t) argc < ARRAY_SIZE(fixture->argv));
        stderr = open_memstream(&fixture->said, &fixture->said_size);
        stdout = open_memstream(&fixture->printed, &fixture->printed_size);
        assert_true(stderr && stdout);
        optind = 0; /* getopt begins anew */
        fixture->result = options_parse(&fixture->options, argc, (char **) (uintptr_t) fixture->argv);
        (void) fclose(stderr);
        (void) fclose(stdout);
        stderr = real_err;
        stdout = real_out;
}

static void fixture_deinit(Fixture *fixture) {
        free(fixture->said);
        free(fixture->printed);
}

static void assert_taken(const Fixture *fixture) {
        assert_case(fixture->result == 0, "refused: %s", fixture->said);
        assert_string_equal(fixture->said, "");
}

/* Refused, with what is wrong and where help is. */
static void assert_wrong(Fixture *fixture, const char *what) {
        assert_int_equal(fixture->result, -EINVAL);
        assert_contains(fixture->said, what);
        assert_contains(fixture->said, "tee-install: ");
        assert_contains(fixture->said, "Try 'tee-install --help'.\n");
        assert_string_equal(fixture->printed, "");
        fixture_deinit(fixture);
}

static void expect_arguments(const Options *options, const char *const *wanted) {
        size_t n = 0;

        for (; wanted[n]; n++) {
                assert_non_null(options->arguments[n]);
                assert_string_equal(options->arguments[n], wanted[n]);
        }
        assert_null(options->arguments[n]);
        assert_int_equal(options->arguments_size, n);
}

#define EXPECT_ARGUMENTS(options, ...) expect_arguments((options), (const char *const[]){__VA_ARGS__, NULL})

static int without_docker_host(void **state) {
        (void) state;
        return unsetenv("DOCKER_HOST");
}

#define WITH_ENVIRONMENT(name) cmocka_unit_test_setup_teardown(name, without_docker_host, without_docker_host)

/* ---- what is taken ---- */

TEST(what_is_not_said_has_its_default) {
        Fixture fixture;

        PARSE(&fixture, "--with-gvisor");
        assert_taken(&fixture);
        assert_true(fixture.options.with_gvisor);
        assert_false(fixture.options.uninstall || fixture.options.list_runtimes || fixture.options.done ||
                     fixture.options.dry_run || fixture.options.yes || fixture.options.force ||
                     fixture.options.keep_going || fixture.options.json || fixture.options.purge ||
                     fixture.options.with_docker);
        assert_null(fixture.options.with_runtime);
        assert_null(fixture.options.remove_runtime);
        assert_int_equal(fixture.options.wait_ms, 120000);
        assert_int_equal(fixture.options.source, SOURCE_GVISOR);
        assert_int_equal(fixture.options.docker, DOCKER_RELOAD);
        assert_string_equal(fixture.options.channel, "release");
        assert_string_equal(fixture.options.mirror, "https://storage.googleapis.com/gvisor/releases");
        assert_string_equal(fixture.options.key_url, "https://gvisor.dev/archive.key");
        assert_int_equal(strlen(fixture.options.key_fingerprint), 40);
        assert_string_equal(fixture.options.runtime_name, "runsc");
        assert_null(fixture.options.docker_config);
        assert_string_equal(fixture.options.docker_socket, "/run/docker.sock");
        EXPECT_ARGUMENTS(&fixture.options, "--network=none");
        fixture_deinit(&fixture);
}

TEST(every_option_arrives_where_it_belongs) {
        Fixture fixture;
        const Options *options = &fixture.options;

        PARSE(&fixture, "--with-gvisor", "--with-runtime", "deno", "--with-docker", "-n", "-y", "--force",
              "--keep-going", "--json", "--wait=7", "--channel", "20260831", "--runsc-version", "1:2.3~rc1-4+b1",
              "--mirror", "HTTP://mirror.example:8080/gvisor/", "--key-url", "https://mirror.example/k?a=b",
              "--key-file", "key", "--key-fingerprint", "0123456789abcdefABCDEF0123456789abcdef01", "--runtime-name",
              "runsc-2.x_y", "--docker", "restart", "--docker-config", "/d", "--docker-socket", "/s");
        assert_taken(&fixture);
        assert_true(options->with_gvisor && options->with_docker && options->dry_run && options->yes &&
                    options->force && options->keep_going && options->json);
        assert_string_equal(options->with_runtime, "deno");
        assert_int_equal(options->wait_ms, 7000);
        assert_string_equal(options->channel, "20260831");
        assert_string_equal(options->version, "1:2.3~rc1-4+b1");
        assert_string_equal(options->mirror, "HTTP://mirror.example:8080/gvisor/");
        assert_string_equal(options->key_url, "https://mirror.example/k?a=b");
        assert_string_equal(options->key_file, "key");
        assert_string_equal(options->key_fingerprint, "0123456789abcdefABCDEF0123456789abcdef01");
        assert_string_equal(options->runtime_name, "runsc-2.x_y");
        assert_int_equal(options->docker, DOCKER_RESTART);
        assert_string_equal(options->docker_config, "/d");
        assert_string_equal(options->docker_socket, "/s");
        fixture_deinit(&fixture);

        PARSE(&fixture, "--with-runtime=python", "--image", "example.org/library/python:3.13@sha256:0", "--tag",
              "a/b:c", "--deno", "d", "--busybox", "b", "--guest", "g", "--dry-run", "--yes");
        assert_taken(&fixture);
        assert_true(options->dry_run && options->yes);
        assert_string_equal(options->with_runtime, "python");
        assert_string_equal(options->base_image, "example.org/library/python:3.13@sha256:0");
        assert_string_equal(options->image, "a/b:c");
        assert_string_equal(options->deno, "d");
        assert_string_equal(options->busybox, "b");
        assert_string_equal(options->guest, "g");
        fixture_deinit(&fixture);

        PARSE(&fixture, "--with-gvisor", "--source=none", "--runsc", "/opt/runsc", "--docker=leave", "--wait=0");
        assert_taken(&fixture);
        assert_int_equal(options->source, SOURCE_NONE);
        assert_string_equal(options->runsc, "/opt/runsc");
        assert_int_equal(options->docker, DOCKER_LEAVE);
        assert_int_equal(options->wait_ms, 0);
        fixture_deinit(&fixture);

        PARSE(&fixture, "--with-gvisor", "--source=debian", "--docker=reload", "--wait=86400");
        assert_taken(&fixture);
        assert_int_equal(options->source, SOURCE_DEBIAN);
        assert_int_equal(options->docker, DOCKER_RELOAD);
        assert_int_equal(options->wait_ms, 86400000);
        fixture_deinit(&fixture);

        PARSE(&fixture, "--with-gvisor", "--offline", "folder");
        assert_taken(&fixture);
        assert_string_equal(options->offline, "folder");
        fixture_deinit(&fixture);

        PARSE(&fixture, "--uninstall", "--purge");
        assert_taken(&fixture);
        assert_true(options->uninstall && options->purge);
        fixture_deinit(&fixture);

        PARSE(&fixture, "--remove-runtime", "deno");
        assert_taken(&fixture);
        assert_string_equal(options->remove_runtime, "deno");
        fixture_deinit(&fixture);

        PARSE(&fixture, "--list-runtimes");
        assert_taken(&fixture);
        assert_true(options->list_runtimes);
        fixture_deinit(&fixture);
}

TEST(of_an_option_that_is_given_twice_the_last_counts) {
        Fixture fixture;

        PARSE(&fixture, "--with-gvisor", "--channel", "nightly", "--wait", "1", "--channel", "release", "--wait", "2");
        assert_taken(&fixture);
        assert_string_equal(fixture.options.channel, "release");
        assert_int_equal(fixture.options.wait_ms, 2000);
        fixture_deinit(&fixture);
}

TEST(the_oci_runtime_s_arguments_are_complete) {
        Fixture fixture;

        PARSE(&fixture, "--with-gvisor", "--runtime-arg", "--network=host",
              "--runtime-arg=--debug-log=/var/log/r/%ID%");
        assert_taken(&fixture);
        EXPECT_ARGUMENTS(&fixture.options, "--network=host", "--debug-log=/var/log/r/%ID%");
        fixture_deinit(&fixture);

        PARSE(&fixture, "--with-gvisor", "--platform", "systrap");
        assert_taken(&fixture);
        EXPECT_ARGUMENTS(&fixture.options, "--network=none", "--platform=systrap");
        fixture_deinit(&fixture);

        PARSE(&fixture, "--platform=kvm", "--with-gvisor", "--runtime-arg=1", "--runtime-arg=2", "--runtime-arg=3",
              "--runtime-arg=4", "--runtime-arg=5", "--runtime-arg=6", "--runtime-arg=7", "--runtime-arg=8");
        assert_taken(&fixture);
        EXPECT_ARGUMENTS(&fixture.options, "1", "2", "3", "4", "5", "6", "7", "8", "--platform=kvm");
        fixture_deinit(&fixture);
}

TEST(help_and_version_are_answered_and_nothing_else_is_looked_at) {
        static const char *const help[] = {"--help", "-h"}, *const version[] = {"--version", "-V"};
        Fixture fixture;

        for (size_t i = 0; i < 2; i++) {
                PARSE(&fixture, help[i], "--wait", "wrong");
                assert_taken(&fixture);
                assert_true(fixture.options.done);
                assert_contains(fixture.printed, "Usage: tee-install");
                fixture_deinit(&fixture);

                PARSE(&fixture, "--with-gvisor", version[i], "surplus");
                assert_taken(&fixture);
                assert_true(fixture.options.done);
                assert_string_equal(fixture.printed, "tee-install " TEE_VERSION "\n");
                fixture_deinit(&fixture);
        }
}

/* Whoever adds an option has to tell people of it. */
TEST(help_names_every_option) {
        static const char *const options[] = {
                "--with-gvisor",
                "--with-runtime",
                "--list-runtimes",
                "--remove-runtime",
                "--uninstall",
                "--purge",
                "--dry-run",
                "--yes",
                "--force",
                "--keep-going",
                "--json",
                "--wait",
                "--source",
                "--channel",
                "--runsc-version",
                "--mirror",
                "--key-url",
                "--key-file",
                "--key-fingerprint",
                "--offline",
                "--runsc ",
                "--with-docker",
                "--runtime-name",
                "--runtime-arg",
                "--platform",
                "--docker ",
                "--docker-config",
                "--docker-socket",
                "--deno",
                "--busybox",
                "--image",
                "--tag",
                "--guest",
                "--help",
                "--version",
        };
        Fixture fixture;

        PARSE(&fixture, "--help");
        for (size_t i = 0; i < ARRAY_SIZE(options); i++)
                assert_contains(fixture.printed, options[i]);
        fixture_deinit(&fixture);
}

/* ---- what is wrong ---- */

TEST(a_wrong_value_is_named_with_its_option) {
        static const struct {
                const char *option, *value;
        } cases[] = {
                {"--wait", ""},
                {"--wait", "86401"},
                {"--wait", "-1"},
                {"--wait", "1s"},
                {"--wait", " 1"},
                {"--wait", "100000"},
                {"--wait", "99999999999999999999"},
                {"--source", "ubuntu"},
                {"--source", ""},
                {"--source", "Gvisor"},
                {"--channel", "2026083"},
                {"--channel", "202608311"},
                {"--channel", "2026083x"},
                {"--channel", "stable"},
                {"--channel", ""},
                {"--runsc-version", ""},
                {"--runsc-version", "1 2"},
                {"--runsc-version", "1/2"},
                {"--mirror", ""},
                {"--mirror", "ftp://x"},
                {"--mirror", "storage.googleapis.com"},
                {"--mirror", "https://x/ deb"},
                {"--mirror", "https://x/\nTrusted: yes"},
                {"--mirror", "https://x/\""},
                {"--key-url", "file:///key"},
                {"--key-url", "https://x/\tk"},
                {"--key-fingerprint", ""},
                {"--key-fingerprint", "6F1DF85E3A71C24918E727D56FC6D554E32BD94"},
                {"--key-fingerprint", "6F1DF85E3A71C24918E727D56FC6D554E32BD9433"},
                {"--key-fingerprint", "6F1DF85E3A71C24918E727D56FC6D554E32BD94G"},
                {"--key-fingerprint", "6F1D F85E 3A71 C249 18E7 27D5 6FC6 D554 "},
                {"--runtime-name", ""},
                {"--runtime-name", "runc"},
                {"--runtime-name", "io.containerd.runsc.v1"},
                {"--runtime-name", "a/b"},
                {"--runtime-name", "a b"},
                {"--runtime-arg", ""},
                {"--runtime-arg", "--x=$(id)"},
                {"--runtime-arg", "a b"},
                {"--runtime-arg", "a;b"},
                {"--runtime-arg", "a\nb"},
                {"--platform", ""},
                {"--platform", "KVM"},
                {"--platform", "--kvm"},
                {"--platform", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
                {"--docker", "stop"},
                {"--docker", ""},
                {"--docker-config", "daemon.json"},
                {"--docker-config", ""},
                {"--docker-socket", "unix:///run/docker.sock"},
                {"--runsc", "runsc"},
                {"--with-runtime", ""},
                {"--with-runtime", "Deno"},
                {"--with-runtime", "a/b"},
                {"--remove-runtime", "a b"},
                {"--image", ""},
                {"--image", "a b"},
                {"--tag", "a\nb"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                char quoted[128];
                Fixture fixture;

                (void) snprintf(quoted, sizeof(quoted), "'%s'", cases[i].value);
                PARSE(&fixture, "--with-gvisor", cases[i].option, cases[i].value);
                assert_case(fixture.result == -EINVAL, "%s %s is taken", cases[i].option, cases[i].value);
                assert_contains(fixture.said, cases[i].option);
                assert_wrong(&fixture, quoted);
        }
}

TEST(an_option_that_is_none_is_refused) {
        Fixture fixture;

        PARSE(&fixture, "--with-gvisor", "--nonsense");
        assert_wrong(&fixture, "nonsense");
        PARSE(&fixture, "--with-gvisor", "-x");
        assert_wrong(&fixture, "x");
        PARSE(&fixture, "--with-gvisor", "--with");
        assert_wrong(&fixture, "ambiguous");
        PARSE(&fixture, "--with-gvisor", "--json=yes");
        assert_wrong(&fixture, "json");
        PARSE(&fixture, "--with-gvisor", "--wait");
        assert_wrong(&fixture, "wait");
}

TEST(an_argument_without_an_option_is_refused) {
        Fixture fixture;

        PARSE(&fixture, "--with-gvisor", "deno");
        assert_wrong(&fixture, "unexpected argument 'deno'");
        PARSE(&fixture, "--with-gvisor", "--", "--json");
        assert_wrong(&fixture, "unexpected argument '--json'");
}

TEST(a_ninth_argument_of_the_oci_runtime_has_no_place) {
        Fixture fixture;

        PARSE(&fixture, "--with-gvisor", "--runtime-arg=1", "--runtime-arg=2", "--runtime-arg=3", "--runtime-arg=4",
              "--runtime-arg=5", "--runtime-arg=6", "--runtime-arg=7", "--runtime-arg=8", "--runtime-arg=9");
        assert_wrong(&fixture, "no place for '9'");
}

TEST(what_does_not_go_together_is_refused) {
        static const struct {
                const char *arguments[6], *words;
        } cases[] = {
                {{"--json"}, "nothing to do"},
                {{"--with-docker"}, "nothing to do"},
                {{"--purge"}, "nothing to do"},
                {{"--with-gvisor", "--uninstall"}, "do not go together"},
                {{"--with-runtime", "deno", "--remove-runtime", "deno"}, "do not go together"},
                {{"--list-runtimes", "--with-gvisor"}, "do not go together"},
                {{"--list-runtimes", "--uninstall"}, "do not go together"},
                {{"--uninstall", "--remove-runtime", "deno"}, "do not go together"},
                {{"--with-gvisor", "--purge"}, "--purge belongs to --uninstall"},
                {{"--refresh-runtimes", "--list-runtimes"}, "do not go together"},
                {{"--refresh-runtimes", "--image", "x"}, "--refresh-runtimes takes an image's program"},
                {{"--refresh-runtimes", "--adapter", "node"}, "--refresh-runtimes takes an image's program"},
                {{"--with-runtime", "deno", "--config", "x"}, "--config belongs to --refresh-runtimes"},
                {{"--with-gvisor", "--offline", "x", "--source=debian"}, "--offline and --source"},
                {{"--with-gvisor", "--offline", "x", "--source=none"}, "--offline and --source"},
                {{"--with-gvisor", "--source=none", "--runsc-version=1"}, "--runsc-version needs a package"},
                {{"--with-gvisor", "--runsc=/usr/local/bin/runsc"}, "--runsc goes with --source none"},
                {{"--with-gvisor", "--runsc=/r", "--source=debian"}, "--runsc goes with --source none"},
        };
        Fixture fixture;

        parse(&fixture, (const char *const[]){"tee-install", NULL});
        assert_wrong(&fixture, "nothing to do");
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                const char *argv[8] = {"tee-install"};

                memcpy(argv + 1, cases[i].arguments, sizeof(cases[i].arguments));
                parse(&fixture, argv);
                assert_wrong(&fixture, cases[i].words);
        }
}

/* ---- $DOCKER_HOST ---- */

TEST(docker_host_names_the_socket) {
        Fixture fixture;

        assert_int_equal(setenv("DOCKER_HOST", "unix:///run/user/1/docker.sock", 1), 0);
        PARSE(&fixture, "--with-gvisor");
        assert_taken(&fixture);
        assert_string_equal(fixture.options.docker_socket, "/run/user/1/docker.sock");
        fixture_deinit(&fixture);

        PARSE(&fixture, "--with-gvisor", "--docker-socket=/s");
        assert_taken(&fixture);
        assert_string_equal(fixture.options.docker_socket, "/s");
        fixture_deinit(&fixture);

        assert_int_equal(setenv("DOCKER_HOST", "", 1), 0);
        PARSE(&fixture, "--with-gvisor");
        assert_taken(&fixture);
        assert_string_equal(fixture.options.docker_socket, "/run/docker.sock");
        fixture_deinit(&fixture);
}

TEST(docker_host_of_another_host_is_refused) {
        static const char *const hosts[] = {"tcp://10.0.0.1:2375", "ssh://host", "/run/docker.sock",
                                            "unix://docker.sock"};
        Fixture fixture;

        for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
                assert_int_equal(setenv("DOCKER_HOST", hosts[i], 1), 0);
                PARSE(&fixture, "--with-gvisor");
                assert_contains(fixture.said, hosts[i]);
                assert_wrong(&fixture, "$DOCKER_HOST");
                PARSE(&fixture, "--with-gvisor", "--docker-socket=/s"); /* which says it better */
                assert_taken(&fixture);
                fixture_deinit(&fixture);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                WITH_ENVIRONMENT(what_is_not_said_has_its_default),
                WITH_ENVIRONMENT(every_option_arrives_where_it_belongs),
                WITH_ENVIRONMENT(of_an_option_that_is_given_twice_the_last_counts),
                WITH_ENVIRONMENT(the_oci_runtime_s_arguments_are_complete),
                WITH_ENVIRONMENT(help_and_version_are_answered_and_nothing_else_is_looked_at),
                WITH_ENVIRONMENT(help_names_every_option),
                WITH_ENVIRONMENT(a_wrong_value_is_named_with_its_option),
                WITH_ENVIRONMENT(an_option_that_is_none_is_refused),
                WITH_ENVIRONMENT(an_argument_without_an_option_is_refused),
                WITH_ENVIRONMENT(a_ninth_argument_of_the_oci_runtime_has_no_place),
                WITH_ENVIRONMENT(what_does_not_go_together_is_refused),
                WITH_ENVIRONMENT(docker_host_names_the_socket),
                WITH_ENVIRONMENT(docker_host_of_another_host_is_refused),
        };

        return RUN_TESTS(tests);
}
