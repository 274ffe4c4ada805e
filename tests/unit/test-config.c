/* SPDX-License-Identifier: Apache-2.0 */

/* tee.conf: what it documents is what is built in, and whatever is wrong in it is refused with file, line and setting,
 * never ignored or understood as something else. */

#include "buffer.h"
#include "config.h"
#include "text.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

static Config *parse(const char *text) {
        CLEANUP_FREE char *message = NULL;
        Config *config = NULL;
        int r = config_parse(text, strlen(text), "F", &config, &message);

        assert_case(r == 0, "refused: %s", message ? message : "");
        assert_null(message);
        assert_non_null(config);
        return config;
}

/* The whole message, after "F:". */
static void assert_refused(const char *text, const char *expected) {
        CLEANUP_FREE char *message = NULL;
        Config *config = NULL;
        int r = config_parse(text, strlen(text), "F", &config, &message);

        config_free(config);
        assert_case(r == -EINVAL, "%d for: %s", r, text);
        assert_non_null(message);
        assert_case(strncmp(message, "F:", 2) == 0 && strcmp(message + 2, expected) == 0, "%s, for: %s", message, text);
        assert_null(config);
}

/* The same by its beginning, where the rest is libconfig's. */
static void assert_refused_at(const char *text, const char *expected) {
        CLEANUP_FREE char *message = NULL;
        Config *config = NULL;

        assert_int_equal(config_parse(text, strlen(text), "F", &config, &message), -EINVAL);
        assert_non_null(message);
        assert_case(strncmp(message, expected, strlen(expected)) == 0, "%s, for: %s", message, text);
}

/* ---- defaults ---- */

static void assert_same_words(const ConfigWords *a, const ConfigWords *b) {
        assert_int_equal(a->size, b->size);
        for (size_t i = 0; i < a->size; i++)
                assert_string_equal(a->items[i], b->items[i]);
        assert_null(a->items[a->size]);
        assert_null(b->items[b->size]);
}

static void assert_same_runtime(const ConfigRuntime *a, const ConfigRuntime *b) {
        assert_string_equal(a->name, b->name);
        assert_string_equal(a->image, b->image);
        assert_string_equal(a->entry, b->entry);
        assert_same_words(&a->command, &b->command);
        assert_same_words(&a->warm_arguments, &b->warm_arguments);
        assert_memory_equal(&a->pool, &b->pool, sizeof(a->pool));
}

static void assert_same(const Config *a, const Config *b) {
        assert_string_equal(a->instance, b->instance);
        assert_int_equal(a->max_running, b->max_running);
        assert_int_equal(a->pool_memory_mb, b->pool_memory_mb);
        assert_int_equal(a->queue_length, b->queue_length);
        assert_int_equal(a->queue_ms, b->queue_ms);
        assert_int_equal(a->drain_ms, b->drain_ms);
        assert_int_equal(a->max_connections, b->max_connections);
        assert_int_equal(a->body_kb, b->body_kb);
        assert_int_equal(a->answers_mb, b->answers_mb);
        assert_int_equal(a->request_ms, b->request_ms);
        assert_string_equal(a->docker_socket, b->docker_socket);
        assert_string_equal(a->docker_daemon_json, b->docker_daemon_json);
        assert_int_equal(a->docker_call_ms, b->docker_call_ms);
        assert_true(a->gvisor_enabled == b->gvisor_enabled);
        assert_string_equal(a->oci_runtime, b->oci_runtime);
        assert_string_equal(a->disabled_oci_runtime, b->disabled_oci_runtime);
        assert_true(a->sandbox_cpus == b->sandbox_cpus);
        assert_int_equal(a->sandbox_uid, b->sandbox_uid);
        assert_int_equal(a->sandbox_pids, b->sandbox_pids);
        assert_int_equal(a->sandbox_open_files, b->sandbox_open_files);
        assert_int_equal(a->sandbox_boot_ms, b->sandbox_boot_ms);
        for (int i = 0; i < CONFIG_LIMIT_COUNT_; i++) {
                assert_int_equal(a->limits[i].fallback, b->limits[i].fallback);
                assert_int_equal(a->limits[i].max, b->limits[i].max);
        }
        assert_int_equal(a->runtimes_size, b->runtimes_size);
        for (size_t i = 0; i < a->runtimes_size; i++)
                assert_same_runtime(&a->runtimes[i], &b->runtimes[i]);
}

TEST(the_documented_file_is_what_is_built_in) {
        CLEANUP_FREE char *message = NULL;
        Config *documented = NULL, *built_in = parse("");

        assert_int_equal(config_load("conf/tee.conf", &documented, &message), 0);
        assert_string_equal(documented->path, "conf/tee.conf");
        assert_same(documented, built_in);
        config_free(documented);
        config_free(built_in);
}

TEST(a_setting_that_is_left_out_has_its_default) {
        Config *built_in = parse(""), *comment = parse("# nothing\n/* at\nall */ // here"),
               *empty = parse(
                       "agent = {}; http = {}; docker = {}; gvisor = {}; sandbox = {}; limits = { wall_ms = {}; };");

        assert_same(comment, built_in);
        assert_same(empty, built_in);
        config_free(empty);
        config_free(comment);
        config_free(built_in);
}

/* ---- integers ---- */

static const struct IntegerCase {
        const char *name;
        size_t offset;
        uint64_t min, max;
} integers[] = {
        {"agent.max_running", offsetof(Config, max_running), 1, 1024},
        {"agent.queue_length", offsetof(Config, queue_length), 0, 65536},
        {"agent.queue_ms", offsetof(Config, queue_ms), 1, 600000},
        {"agent.drain_ms", offsetof(Config, drain_ms), 1, 600000},
        {"http.max_connections", offsetof(Config, max_connections), 1, 65536},
        {"http.body_kb", offsetof(Config, body_kb), 1, 65536},
        {"http.answers_mb", offsetof(Config, answers_mb), 1, 16384},
        {"http.request_ms", offsetof(Config, request_ms), 100, 600000},
        {"docker.call_ms", offsetof(Config, docker_call_ms), 100, 600000},
        {"sandbox.uid", offsetof(Config, sandbox_uid), 1, 65534},
        {"sandbox.pids", offsetof(Config, sandbox_pids), 128, 65536},
        {"sandbox.open_files", offsetof(Config, sandbox_open_files), 32, 1048576},
        {"sandbox.boot_ms", offsetof(Config, sandbox_boot_ms), 100, 600000},
        {"limits.wall_ms.default", offsetof(Config, limits[CONFIG_LIMIT_WALL_MS].fallback), 1, 86400000},
        {"limits.wall_ms.max", offsetof(Config, limits[CONFIG_LIMIT_WALL_MS].max), 1, 86400000},
        {"limits.cpu_ms.default", offsetof(Config, limits[CONFIG_LIMIT_CPU_MS].fallback), 1, 86400000},
        {"limits.cpu_ms.max", offsetof(Config, limits[CONFIG_LIMIT_CPU_MS].max), 1, 86400000},
        {"limits.memory_mb.default", offsetof(Config, limits[CONFIG_LIMIT_MEMORY_MB].fallback), 32, 1048576},
        {"limits.memory_mb.max", offsetof(Config, limits[CONFIG_LIMIT_MEMORY_MB].max), 32, 1048576},
        {"limits.processes.default", offsetof(Config, limits[CONFIG_LIMIT_PROCESSES].fallback), 1, 32768},
        {"limits.processes.max", offsetof(Config, limits[CONFIG_LIMIT_PROCESSES].max), 1, 32768},
        {"limits.output_kb.default", offsetof(Config, limits[CONFIG_LIMIT_OUTPUT_KB].fallback), 1, 262144},
        {"limits.output_kb.max", offsetof(Config, limits[CONFIG_LIMIT_OUTPUT_KB].max), 1, 262144},
        {"limits.disk_mb.default", offsetof(Config, limits[CONFIG_LIMIT_DISK_MB].fallback), 1, 1048576},
        {"limits.disk_mb.max", offsetof(Config, limits[CONFIG_LIMIT_DISK_MB].max), 1, 1048576},
};

/* "a.b" as libconfig's text; a limit comes with its other half, so that default and max fit. Owned by the caller. */
static char *integer_text(const struct IntegerCase *integer, const char *value) {
        char name[64], *inner, *last;

        (void) snprintf(name, sizeof(name), "%s", integer->name);
        inner = strchr(name, '.');
        *inner++ = '\0';
        last = strchr(inner, '.');
        if (!last)
                return text_format("%s = { %s = %s; };", name, inner, value);
        *last++ = '\0';
        if (strcmp(last, "default") == 0)
                return text_format("%s = { %s = { default = %s; max = %llu; }; };", name, inner, value,
                                   (unsigned long long) integer->max);
        return text_format("%s = { %s = { max = %s; default = %llu; }; };", name, inner, value,
                           (unsigned long long) integer->min);
}

TEST(both_ends_of_every_range_are_taken) {
        for (size_t i = 0; i < ARRAY_SIZE(integers); i++) {
                const uint64_t ends[] = {integers[i].min, integers[i].max};

                for (size_t k = 0; k < ARRAY_SIZE(ends); k++) {
                        CLEANUP_FREE char *value = text_format("%llu", (unsigned long long) ends[k]);
                        CLEANUP_FREE char *text = integer_text(&integers[i], value);
                        Config *config = parse(text);

                        assert_case(*(uint64_t *) ((uint8_t *) config + integers[i].offset) == ends[k], "%s", text);
                        config_free(config);
                }
        }
}

TEST(one_beyond_either_end_of_every_range_is_refused_by_name) {
        for (size_t i = 0; i < ARRAY_SIZE(integers); i++) {
                const long long beyond[] = {(long long) integers[i].min - 1, (long long) integers[i].max + 1, -1};

                for (size_t k = 0; k < ARRAY_SIZE(beyond); k++) {
                        CLEANUP_FREE char *value = text_format("%lld", beyond[k]);
                        CLEANUP_FREE char *text = integer_text(&integers[i], value);
                        CLEANUP_FREE char *expected = text_format(
                                "1: %s: %lld is out of range; it must be from %llu to %llu", integers[i].name,
                                beyond[k], (unsigned long long) integers[i].min, (unsigned long long) integers[i].max);

                        assert_refused(text, expected);
                }
        }
}

/* libconfig 1.5 cuts integers to 32 bits without a word. */
TEST(an_integer_that_wraps_into_the_range_is_refused) {
        static const char *const values[] = {
                "2147483648",  "4294967304",  "4294967296008",        "99999999999999999999",
                "4294967304L", "0x100000008", "0x10000000000000008L", "18446744073709551624",
                "-4294967288", "+4294967304", "0X100000008",          "18446744073709551624L",
        };

        for (size_t i = 0; i < ARRAY_SIZE(integers); i++)
                for (size_t k = 0; k < ARRAY_SIZE(values); k++) {
                        CLEANUP_FREE char *text = integer_text(&integers[i], values[k]);
                        CLEANUP_FREE char *expected = text_format("F:1: %s: ", integers[i].name);

                        assert_refused_at(text, expected);
                }
        assert_refused("agent = {\n  max_running =\n  4294967304; };",
                       "3: agent.max_running: 4294967304 is out of range");
        assert_refused("a = 1;\nrunning = 4294967304;", "2: running: 4294967304 is out of range");
}

/* 14 for libconfig 1.7, 16 for 1.5. */
TEST(an_integer_with_two_readings_is_refused) {
        assert_refused("agent = {\n max_running = 016; };", "2: agent.max_running: 016 must not begin with 0");
        assert_refused("agent = { queue_length = 00; };", "1: agent.queue_length: 00 must not begin with 0");
        assert_refused("agent = { queue_length = -08L; };", "1: agent.queue_length: 08 must not begin with 0");
        config_free(parse("agent = { queue_length = 0; }; sandbox = { cpus = 00.5; };"));
}

TEST(digits_in_strings_comments_and_names_are_no_integers) {
        config_free(parse(
                "# 4294967304\n// 4294967304\n/* 4294967304\n 4294967304 */ agent = { instance = \"4294967304\"; };"
                "runtimes = { r4294967304 = { image = \"i:4294967304\"; entry = \"\\x41 4294967304\"; "
                "command = [ \"4294967304\", \"\\\" 4294967304\" ]; }; };"));
}

TEST(every_integer_refuses_other_types) {
        static const char *const values[] = {"\"8\"", "8.0", "8.5", "1e1", "true", "[8]", "(8)", "{ a = 8; }"};

        for (size_t i = 0; i < ARRAY_SIZE(integers); i++)
                for (size_t k = 0; k < ARRAY_SIZE(values); k++) {
                        CLEANUP_FREE char *text = integer_text(&integers[i], values[k]);
                        CLEANUP_FREE char *expected = text_format("1: %s: must be an integer", integers[i].name);

                        assert_refused(text, expected);
                }
}

TEST(other_ways_to_write_an_integer_mean_the_same) {
        static const char *const values[] = {"16", "16L", "0x10", "+16"};

        for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
                CLEANUP_FREE char *text = text_format("agent : { max_running : %s }", values[i]);
                Config *config = parse(text);

                assert_case(config->max_running == 16, "%s is %llu", values[i],
                            (unsigned long long) config->max_running);
                config_free(config);
        }
}

TEST(a_default_above_its_max_is_refused) {
        assert_refused("limits = {\n  wall_ms = {\n    default = 20;\n    max = 10; }; };",
                       "3: limits.wall_ms.default: is above its max");
        assert_refused("limits = {\n\n cpu_ms = { default = 300001; }; };",
                       "3: limits.cpu_ms.default: is above its max");
        assert_refused("limits = {\n  memory_mb = {\n    max = 128; }; };",
                       "3: limits.memory_mb.max: is below its default, which is not set here");
        config_free(parse("limits = { wall_ms = { default = 10; max = 10; }; };"));
}

/* ---- other values ---- */

TEST(cpus_are_a_number_in_range) {
        static const char *const refused[] = {"0.09", "256.1", "0", "-1.0", "257", "0.0", "1e400", "-1e400", "1e-400"};
        static const char *const mistyped[] = {"\"1\"", "true", "[1.0]", "1L"};
        static const struct {
                const char *text;
                double value;
        } taken[] = {{"0.1", 0.1}, {"256", 256}, {"256.0", 256}, {"2", 2}, {"1.5", 1.5}};

        for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
                CLEANUP_FREE char *text = text_format("sandbox = { cpus = %s; };", refused[i]);
                assert_refused(text, "1: sandbox.cpus: is out of range; it must be from 0.1 to 256");
        }
        for (size_t i = 0; i < ARRAY_SIZE(mistyped); i++) {
                CLEANUP_FREE char *text = text_format("sandbox = { cpus = %s; };", mistyped[i]);
                assert_refused(text, "1: sandbox.cpus: must be a number");
        }
        for (size_t i = 0; i < ARRAY_SIZE(taken); i++) {
                CLEANUP_FREE char *text = text_format("sandbox = { cpus = %s; };", taken[i].text);
                Config *config = parse(text);

                assert_true(config->sandbox_cpus == taken[i].value);
                config_free(config);
        }
}

TEST(gvisor_is_disabled_by_false_and_nothing_else) {
        Config *disabled = parse("gvisor = { enabled = false; };"), *enabled = parse("gvisor = { enabled = true; };");

        assert_false(disabled->gvisor_enabled);
        assert_true(enabled->gvisor_enabled);
        config_free(disabled);
        config_free(enabled);
        assert_refused("gvisor = { enabled = 0; };", "1: gvisor.enabled: must be true or false");
        assert_refused("gvisor = { enabled = \"false\"; };", "1: gvisor.enabled: must be true or false");
}

TEST(names_are_safe_for_containers_and_labels) {
        static const char *const names[] = {"agent.instance", "gvisor.oci_runtime", "gvisor.disabled_oci_runtime"};
        static const char *const wrong[] = {"", ".a", "-a", "_a", "a b", "a/b", "a=b", "a\\nb", "\xc3\xa9", "a\\\"b"};
        char longest[130];

        memset(longest, 'a', sizeof(longest) - 1);
        longest[129] = '\0';
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                const char *dot = strchr(names[i], '.');
                CLEANUP_FREE char *expected =
                        text_format("1: %s: must be a name of at most 128 letters, digits, '_', '.' and '-'", names[i]);

                for (size_t k = 0; k < ARRAY_SIZE(wrong); k++) {
                        CLEANUP_FREE char *text = text_format("%.*s = { %s = \"%s\"; };", (int) (dot - names[i]),
                                                              names[i], dot + 1, wrong[k]);
                        assert_refused(text, expected);
                }
                CLEANUP_FREE char *too_long =
                        text_format("%.*s = { %s = \"%s\"; };", (int) (dot - names[i]), names[i], dot + 1, longest);
                CLEANUP_FREE char *right =
                        text_format("%.*s = { %s = \"%s\"; };", (int) (dot - names[i]), names[i], dot + 1, longest + 1);
                assert_refused(too_long, expected);
                config_free(parse(right));
        }
        assert_refused("agent = { instance = 5; };", "1: agent.instance: must be a string");
        assert_refused("gvisor = { oci_runtime = true; };", "1: gvisor.oci_runtime: must be a string");
}

TEST(paths_are_absolute_and_fit_a_socket) {
        CLEANUP_FREE char *fits = text_format("docker = { socket = \"/%0106d\"; };", 0);
        CLEANUP_FREE char *too_long = text_format("docker = { socket = \"/%0107d\"; };", 0);
        Config *config = parse(fits);

        assert_int_equal(strlen(config->docker_socket), 107);
        config_free(config);
        assert_refused(too_long, "1: docker.socket: is too long for a unix socket (107 bytes)");
        assert_refused("docker = { socket = \"run/docker.sock\"; };", "1: docker.socket: must be an absolute path");
        assert_refused("docker = { socket = \"\"; };", "1: docker.socket: must be an absolute path");
        assert_refused("docker = { daemon_json = \"x\"; };",
                       "1: docker.daemon_json: must be an absolute path, or empty");
        config = parse("docker = { daemon_json = \"\"; };");
        assert_string_equal(config->docker_daemon_json, "");
        config_free(config);
}

/* ---- names ---- */

TEST(an_unknown_setting_is_refused_by_name_and_line) {
        static const struct {
                const char *text, *expected;
        } cases[] = {
                {"agents = {};", "1: agents: there is no such setting"},
                {"\n\nmax_running = 5;", "3: max_running: there is no such setting"},
                {"agent = {\n  maxrunning = 5;\n};", "2: agent.maxrunning: there is no such setting"},
                {"agent = { Max_running = 5; };", "1: agent.Max_running: there is no such setting"},
                {"limits = {\n wall = { max = 5; }; };", "2: limits.wall: there is no such setting"},
                {"limits = { wall_ms = {\n\n min = 5; }; };", "3: limits.wall_ms.min: there is no such setting"},
                {"sandbox = { cpu = 1.0; };", "1: sandbox.cpu: there is no such setting"},
                {"gvisor = { enable = true; };", "1: gvisor.enable: there is no such setting"},
                {"agent = { runtimes = {}; };", "1: agent.runtimes: there is no such setting"},
                {"agent = { limits = {}; };", "1: agent.limits: there is no such setting"},
                {"a = 1;", "1: a: there is no such setting"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                assert_refused(cases[i].text, cases[i].expected);
}

TEST(a_group_must_be_a_group) {
        static const char *const groups[] = {"agent", "http", "docker", "gvisor", "sandbox", "limits"};

        for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
                CLEANUP_FREE char *scalar = text_format("\n%s = 5;", groups[i]);
                CLEANUP_FREE char *list = text_format("%s = ( { } );", groups[i]);
                CLEANUP_FREE char *first = text_format("2: %s: must be a group { … }", groups[i]);
                CLEANUP_FREE char *second = text_format("1: %s: must be a group { … }", groups[i]);

                assert_refused(scalar, first);
                assert_refused(list, second);
        }
        assert_refused("limits = { wall_ms = 5; };", "1: limits.wall_ms: must be a group { … }");
}

TEST(a_setting_that_stands_twice_is_refused) {
        assert_refused("agent = {\n max_running = 1;\n max_running = 2; };", "3: agent.max_running: stands twice");
        assert_refused("agent = {};\nagent = {};", "2: agent: stands twice");
        assert_refused("runtimes = {\n a = {};\n a = {}; };", "3: runtimes.a: stands twice");
        assert_refused_at("agent = {}; http = {}; agent = {};", "F:1: ");
}

/* ---- runtimes ---- */

#define RIGHT_RUNTIME "image = \"i\"; entry = \"main.py\"; command = [ \"/bin/python3\" ];"

TEST(runtimes_are_read_in_their_order) {
        Config *config = parse("runtimes = { py_3 = { " RIGHT_RUNTIME " };"
                               "sh = { image = \"host:5000/a/b@sha256:0f\"; entry = \"dir/run.sh\"; "
                               "command = ( \"/bin/sh\", \"-e\" ); }; };");

        assert_int_equal(config->runtimes_size, 2);
        assert_string_equal(config->runtimes[0].name, "py_3");
        assert_string_equal(config->runtimes[0].entry, "main.py");
        assert_int_equal(config->runtimes[0].command.size, 1);
        assert_string_equal(config->runtimes[1].image, "host:5000/a/b@sha256:0f");
        assert_string_equal(config->runtimes[1].command.items[1], "-e");
        assert_null(config->runtimes[1].command.items[2]);
        assert_ptr_equal(config_runtime(config, "sh"), &config->runtimes[1]);
        assert_null(config_runtime(config, "deno"));
        assert_null(config_runtime(config, "SH"));
        assert_null(config_runtime(config, ""));
        config_free(config);
}

TEST(a_runtime_that_is_incomplete_or_wrong_is_refused) {
        static const struct {
                const char *runtime, *expected;
        } cases[] = {
                {"", "2: runtimes.r: image is missing"},
                {"image = \"i\"; command = [ \"/c\" ];", "2: runtimes.r: entry is missing"},
                {"image = \"i\"; entry = \"e\";", "2: runtimes.r: command is missing"},
                {"entry = \"e\"; command = [ \"/c\" ];", "2: runtimes.r: image is missing"},
                {"image = 5;", "2: runtimes.r.image: must be the name of an image"},
                {"image = \"\";", "2: runtimes.r.image: must be the name of an image"},
                {"image = \"a b\";", "2: runtimes.r.image: must be the name of an image"},
                {"image = \"a?b\";", "2: runtimes.r.image: must be the name of an image"},
                {"image = \"/a\";", "2: runtimes.r.image: must be the name of an image"},
                {"entry = \"../e\";", "2: runtimes.r.entry: must be a relative path without '..'"},
                {"entry = \"/e\";", "2: runtimes.r.entry: must be a relative path without '..'"},
                {"entry = \"\";", "2: runtimes.r.entry: must be a relative path without '..'"},
                {"entry = 1;", "2: runtimes.r.entry: must be a relative path without '..'"},
                {"command = \"/c\";", "2: runtimes.r.command: must be an array of 1 to 128 strings"},
                {"command = [ ];", "2: runtimes.r.command: must be an array of 1 to 128 strings"},
                {"command = { };", "2: runtimes.r.command: must be an array of 1 to 128 strings"},
                {"command = [ 1 ];", "2: runtimes.r.command: must be an array of strings that are not empty"},
                {"command = ( \"/c\", 1 );", "2: runtimes.r.command: must be an array of strings that are not empty"},
                {"command = [ \"/c\", \"\" ];",
                 "2: runtimes.r.command: must be an array of strings that are not empty"},
                {"warm_arguments = \"-w\";", "2: runtimes.r.warm_arguments: must be an array of 1 to 128 strings"},
                {"pool = 2;", "2: runtimes.r.pool: must be a group { … }"},
                {"pool = { cold = 1; };", "2: runtimes.r.pool.cold: there is no such setting"},
                {"pool = { warm = -1; };", "2: runtimes.r.pool.warm: -1 is out of range; it must be from 0 to 256"},
                {"pool = { warm = 257; };", "2: runtimes.r.pool.warm: 257 is out of range; it must be from 0 to 256"},
                {"pool = { creating = 0; };",
                 "2: runtimes.r.pool.creating: 0 is out of range; it must be from 1 to 64"},
                {"pool = { warm = 4; max = 3; };", "2: runtimes.r.pool: warm is above max"},
                {"pool = { max = 1; };", "2: runtimes.r.pool: warm is above max"},
                {"mount = \"/\";", "2: runtimes.r.mount: there is no such setting"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                CLEANUP_FREE char *text = text_format("runtimes = {\n r = { %s }; };", cases[i].runtime);

                assert_refused(text, cases[i].expected);
        }
        assert_refused("runtimes = {\n r = 5; };", "2: runtimes.r: must be a group { … }");
        assert_refused("runtimes = { };", "1: runtimes: must be a group of 1 to 64 runtimes");
        assert_refused("runtimes = 5;", "1: runtimes: must be a group of 1 to 64 runtimes");
        assert_refused("runtimes = ( { } );", "1: runtimes: must be a group of 1 to 64 runtimes");
}

TEST(a_pool_has_defaults_once_it_is_named_and_is_empty_otherwise) {
        Config *config =
                parse("runtimes = { a = { " RIGHT_RUNTIME " }; b = { " RIGHT_RUNTIME " pool = { warm = 3; }; };"
                      "c = { " RIGHT_RUNTIME " warm_arguments = [ \"-w\", \"x\" ]; pool = { }; }; };");

        assert_int_equal(config->runtimes[0].pool.warm, 0);
        assert_int_equal(config->runtimes[0].warm_arguments.size, 0);
        assert_int_equal(config->runtimes[1].pool.warm, 3);
        assert_int_equal(config->runtimes[1].pool.max, 10);
        assert_int_equal(config->runtimes[2].pool.warm, 2);
        assert_int_equal(config->runtimes[2].warm_arguments.size, 2);
        assert_string_equal(config->runtimes[2].warm_arguments.items[1], "x");
        assert_int_equal(config_runtime_index(config, &config->runtimes[2]), 2);
        config_free(config);
}

TEST(what_stands_ready_must_fit_its_memory_and_that_the_host) {
#define WARM(n) "runtimes = { r = { " RIGHT_RUNTIME " pool = { warm = " #n "; max = 1000; }; }; };"
        config_free(parse("pool = { memory_mb = 64; };" WARM(2)));
        config_free(parse("pool = { memory_mb = 0; };" WARM(0)));
        assert_refused(
                "\npool = { memory_mb = 63; };" WARM(2),
                "2: pool.memory_mb: 63 is too little for all sandboxes that are to stand ready (32 MB each: 64)");
        assert_refused("\n" WARM(33),
                       "2: runtimes.r.pool.warm: 33 brings the sandboxes that are to stand ready to 1056 MB "
                       "(32 each), above pool.memory_mb, which is 1024 unless set");
        assert_refused_at("pool = { memory_mb = 16777216; };",
                          "F:1: pool.memory_mb: 16777216 is more than this host has");
}

TEST(the_number_of_runtimes_and_words_is_bounded) {
        Buffer text = BUFFER_INIT(65536);

        assert_int_equal(
                buffer_append_text(&text, "runtimes = { r = { image = \"i\"; entry = \"e\"; command = [ \"/c\""), 0);
        for (int i = 1; i < 128; i++)
                assert_int_equal(buffer_append_text(&text, ", \"w\""), 0);
        size_t enough = text.size;
        assert_int_equal(buffer_append_text(&text, " ]; }; };"), 0);
        config_free(parse((char *) text.data));
        text.size = enough;
        assert_int_equal(buffer_append_text(&text, ", \"w\" ]; }; };"), 0);
        assert_refused((char *) text.data, "1: runtimes.r.command: must be an array of 1 to 128 strings");

        buffer_clear(&text);
        assert_int_equal(buffer_append_text(&text, "runtimes = {"), 0);
        for (int i = 0; i < 64; i++)
                assert_int_equal(buffer_append_format(&text, "r%d = { " RIGHT_RUNTIME " };", i), 0);
        enough = text.size;
        assert_int_equal(buffer_append_text(&text, "};"), 0);
        config_free(parse((char *) text.data));
        text.size = enough;
        assert_int_equal(buffer_append_text(&text, "s = {}; };"), 0);
        assert_refused((char *) text.data, "1: runtimes: must be a group of 1 to 64 runtimes");
        buffer_deinit(&text);
}

/* ---- the text ---- */

TEST(a_syntax_error_is_refused_at_its_line) {
        assert_refused("agent = {\n  max_running = ;\n};", "2: syntax error");
        assert_refused("agent = {\n", "2: syntax error");
        assert_refused("agent = }", "1: syntax error");
        assert_refused("agent = {}; = 5;", "1: syntax error");
        assert_refused("agent { }", "1: syntax error");
        assert_refused("\x01", "1: syntax error");
        assert_refused("{}", "1: syntax error");
}

TEST(a_comment_or_string_without_an_end_does_not_hide_the_rest) {
        assert_refused("agent = {};\n/* limits\n\nlimits = {};", "2: a comment that begins here has no end");
        assert_refused("/*/", "1: a comment that begins here has no end");
        assert_refused("agent = {};\n\n\"limits = {\n};", "3: a string that begins here has no end");
        assert_refused("agent = { instance = \"a\\\"; };", "1: a string that begins here has no end");
        assert_refused("\"\\", "1: a string that begins here has no end");
}

TEST(a_last_line_needs_no_end) {
        config_free(parse("agent = {}; # so"));
        config_free(parse("agent = {}; // so"));
        config_free(parse("#"));
}

TEST(include_is_refused_and_not_followed) {
        assert_refused("@include \"conf/tee.conf\"", "1: @include is not supported");
        assert_refused("agent = {\n \t@include \"/etc/passwd\"\n};", "2: @include is not supported");
        assert_refused("/* a\n b */\n@include_dir \"x\"", "3: @include is not supported");
        config_free(parse("# @include \"x\"\n/*\n@include \"x\"\n*/"));
}

TEST(a_nul_in_the_file_does_not_end_it) {
        static const char text[] = "agent = {};\0 nonsense";
        CLEANUP_FREE char *message = NULL;
        Config *config = NULL;

        assert_int_equal(config_parse(text, sizeof(text) - 1, "F", &config, &message), -EINVAL);
        assert_string_equal(message, "F:1: contains a NUL byte");
        assert_null(config);
}

TEST(a_text_need_not_end_in_nul) {
        CLEANUP_FREE char *message = NULL, *text = malloc(9);
        Config *config = NULL;

        assert_non_null(text);
        memcpy(text, "agent={};", 9);
        assert_int_equal(config_parse(text, 9, "F", &config, &message), 0);
        config_free(config);
}

/* ---- files ---- */

static void assert_cannot_be_read(const char *path, int error, const char *why) {
        CLEANUP_FREE char *message = NULL;
        CLEANUP_FREE char *expected = text_format("%s:0: cannot be read: %s", path, why);
        Config *config = NULL;

        assert_int_equal(config_load(path, &config, &message), error);
        assert_string_equal(message, expected);
        assert_null(config);
}

TEST(a_file_that_cannot_be_read_is_told_with_the_reason) {
        assert_cannot_be_read("/nonexistent/tee.conf", -ENOENT, "No such file or directory");
        assert_cannot_be_read("/", -EISDIR, "Is a directory");
        assert_cannot_be_read("/dev/zero", -EFBIG, "File too large");
}

TEST(errors_in_a_file_name_it) {
        char path[] = "/tmp/test-config-XXXXXX";
        CLEANUP_FREE char *message = NULL, *expected = NULL;
        Config *config = NULL;
        int fd = mkstemp(path);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, "agent = {\n  wrong = 1;\n};", 24), 24);
        expected = text_format("%s:2: agent.wrong: there is no such setting", path);
        assert_int_equal(config_load(path, &config, &message), -EINVAL);
        assert_string_equal(message, expected);

        free(message);
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(config_load(path, &config, &message), 0);
        assert_string_equal(config->path, path);
        config_free(config);
        close_fd(fd);
        assert_int_equal(unlink(path), 0);
}

/* ---- DISABLE_GVISOR ---- */

TEST(disable_gvisor_takes_yes_and_no_and_refuses_the_rest) {
        static const char *const yes[] = {"true", "TRUE", "True", "1", "yes", "YES"};
        static const char *const no[] = {"false", "FALSE", "0", "no", "No", ""};
        static const char *const wrong[] = {"on", "off", "2", " true", "true ", "y", "disable", "ja", "-1", "00"};

        for (size_t i = 0; i < ARRAY_SIZE(yes) + ARRAY_SIZE(no) + 1; i++) {
                bool disables = i < ARRAY_SIZE(yes), unset = i == ARRAY_SIZE(yes) + ARRAY_SIZE(no);
                const char *value = disables ? yes[i] : unset ? NULL : no[i - ARRAY_SIZE(yes)];
                CLEANUP_FREE char *message = NULL;
                Config *config = parse("");

                assert_int_equal(config_apply_disable_gvisor(config, value, &message), 0);
                assert_null(message);
                assert_case(config->gvisor_enabled == !disables, "%s", value ? value : "unset");
                assert_string_equal(config_oci_runtime(config), disables ? "runc" : "runsc");
                config_free(config);
        }
        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
                CLEANUP_FREE char *message = NULL;
                Config *config = parse("");

                assert_int_equal(config_apply_disable_gvisor(config, wrong[i], &message), -EINVAL);
                assert_contains(message, "DISABLE_GVISOR: ");
                assert_contains(message, wrong[i]);
                assert_true(config->gvisor_enabled);
                config_free(config);
        }
}

TEST(disable_gvisor_never_enables) {
        CLEANUP_FREE char *message = NULL;
        Config *config = parse("gvisor = { enabled = false; disabled_oci_runtime = \"crun\"; };");

        assert_int_equal(config_apply_disable_gvisor(config, "false", &message), 0);
        assert_false(config->gvisor_enabled);
        assert_string_equal(config_oci_runtime(config), "crun");
        config_free(config);
}

TEST(limits_have_the_names_and_floors_of_the_api) {
        static const char *const names[] = {"wall_ms", "cpu_ms", "memory_mb", "processes", "output_kb", "disk_mb"};

        assert_int_equal(CONFIG_LIMIT_COUNT_, ARRAY_SIZE(names));
        for (int i = 0; i < CONFIG_LIMIT_COUNT_; i++) {
                assert_string_equal(config_limit_name((ConfigLimitName) i), names[i]);
                assert_int_equal(config_limit_min((ConfigLimitName) i), i == CONFIG_LIMIT_MEMORY_MB ? 32 : 1);
        }
}

TEST(freeing_nothing_is_allowed) {
        assert_null(config_free(NULL));
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_documented_file_is_what_is_built_in),
                cmocka_unit_test(a_setting_that_is_left_out_has_its_default),
                cmocka_unit_test(both_ends_of_every_range_are_taken),
                cmocka_unit_test(one_beyond_either_end_of_every_range_is_refused_by_name),
                cmocka_unit_test(an_integer_that_wraps_into_the_range_is_refused),
                cmocka_unit_test(an_integer_with_two_readings_is_refused),
                cmocka_unit_test(digits_in_strings_comments_and_names_are_no_integers),
                cmocka_unit_test(every_integer_refuses_other_types),
                cmocka_unit_test(other_ways_to_write_an_integer_mean_the_same),
                cmocka_unit_test(a_default_above_its_max_is_refused),
                cmocka_unit_test(cpus_are_a_number_in_range),
                cmocka_unit_test(gvisor_is_disabled_by_false_and_nothing_else),
                cmocka_unit_test(names_are_safe_for_containers_and_labels),
                cmocka_unit_test(paths_are_absolute_and_fit_a_socket),
                cmocka_unit_test(an_unknown_setting_is_refused_by_name_and_line),
                cmocka_unit_test(a_group_must_be_a_group),
                cmocka_unit_test(a_setting_that_stands_twice_is_refused),
                cmocka_unit_test(runtimes_are_read_in_their_order),
                cmocka_unit_test(a_runtime_that_is_incomplete_or_wrong_is_refused),
                cmocka_unit_test(a_pool_has_defaults_once_it_is_named_and_is_empty_otherwise),
                cmocka_unit_test(what_stands_ready_must_fit_its_memory_and_that_the_host),
                cmocka_unit_test(the_number_of_runtimes_and_words_is_bounded),
                cmocka_unit_test(a_syntax_error_is_refused_at_its_line),
                cmocka_unit_test(a_comment_or_string_without_an_end_does_not_hide_the_rest),
                cmocka_unit_test(a_last_line_needs_no_end),
                cmocka_unit_test(include_is_refused_and_not_followed),
                cmocka_unit_test(a_nul_in_the_file_does_not_end_it),
                cmocka_unit_test(a_text_need_not_end_in_nul),
                cmocka_unit_test(a_file_that_cannot_be_read_is_told_with_the_reason),
                cmocka_unit_test(errors_in_a_file_name_it),
                cmocka_unit_test(disable_gvisor_takes_yes_and_no_and_refuses_the_rest),
                cmocka_unit_test(disable_gvisor_never_enables),
                cmocka_unit_test(limits_have_the_names_and_floors_of_the_api),
                cmocka_unit_test(freeing_nothing_is_allowed),
        };

        return RUN_TESTS(tests);
}
