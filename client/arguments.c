/* SPDX-License-Identifier: Apache-2.0 */

/* The command line, in the habits of timeout(1) and docker-run(1). Options end at the first operand, so that what
 * follows FILE is the program's; a "--" between them is allowed and dropped. */

#include "arguments.h"
#include "agent-status.h"
#include "version.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

static void print_help(void) {
        (void) fputs("Usage: tee-run [OPTION]... FILE|- [--] [ARGUMENT]...\n"
                     "Runs a program in a sandbox of its own and ends with its exit code.\n"
                     "\n"
                     "  -r, --runtime NAME     deno unless given\n"
                     "  -t, --timeout TIME     longest run time: 500ms, 5s, 2m\n"
                     "  -m, --memory SIZE      memory of the sandbox: 128M, 1G\n"
                     "  -e, --env NAME=VALUE   an environment variable of the program; may be repeated\n"
                     "  -i, --stdin FILE       what the program reads from its stdin; - is tee-run's own\n"
                     "  -j, --json             print the whole result as JSON when the program has ended\n"
                     "  -s, --socket PATH      the agent's socket ($TEE_SOCKET, else " AGENT_SOCKET ")\n"
                     "  -h, --help             show this help\n"
                     "  -V, --version          show the version\n"
                     "\n"
                     "Exit status: the program's own; 128+N when signal N ended it; 124 wall limit, 137 memory limit, "
                     "152 CPU\n"
                     "limit, 153 disk limit, 141 output limit, 130 cancelled; 125 when it was refused or could not be "
                     "run.\n",
                     stdout);
}

static int wrong(const char *what, const char *value) {
        (void) fprintf(stderr, "tee-run: %s '%s'\nTry 'tee-run --help'.\n", what, value);
        return -EINVAL;
}

/* Reads a number that is followed by one of units; returns false when it is none, or too large. */
typedef struct Unit {
        const char *name;
        uint64_t factor;
} Unit;

static bool parse_with_unit(const char *text, const Unit *units, size_t units_size, uint64_t *ret) {
        char *end;
        unsigned long long number;

        if (text[0] < '0' || text[0] > '9')
                return false;
        errno = 0;
        number = strtoull(text, &end, 10);
        if (errno != 0)
                return false;
        for (size_t i = 0; i < units_size; i++)
                if (strcmp(units[i].name, end) == 0)
                        return !__builtin_mul_overflow((uint64_t) number, units[i].factor, ret) && *ret > 0;
        return false;
}

int arguments_parse_duration(const char *text, uint64_t *ret_ms) {
        static const Unit units[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};

        return parse_with_unit(text, units, ARRAY_SIZE(units), ret_ms) ? 0 : -EINVAL;
}

int arguments_parse_size(const char *text, uint64_t *ret_mb) {
        static const Unit units[] = {
                {"", 1},
                {"K", UINT64_C(1) << 10},
                {"k", UINT64_C(1) << 10},
                {"M", UINT64_C(1) << 20},
                {"m", UINT64_C(1) << 20},
                {"G", UINT64_C(1) << 30},
                {"g", UINT64_C(1) << 30},
        };
        uint64_t bytes, mib = UINT64_C(1) << 20;

        if (!parse_with_unit(text, units, ARRAY_SIZE(units), &bytes))
                return -EINVAL;
        *ret_mb = bytes / mib + (bytes % mib != 0);
        return 0;
}

static int add_env(Arguments *arguments, const char *pair) {
        if (!strchr(pair, '=') || pair[0] == '=')
                return wrong("--env needs NAME=VALUE, not", pair);
        arguments->env[arguments->env_size++] = pair;
        return 0;
}

static int take_option(Arguments *arguments, int option, const char *value) {
        switch (option) {
        case 'r':
                arguments->runtime = value;
                return 0;
        case 't':
                if (arguments_parse_duration(value, &arguments->wall_ms) < 0)
                        return wrong("--timeout needs a time such as 500ms or 5s, not", value);
                return 0;
        case 'm':
                if (arguments_parse_size(value, &arguments->memory_mb) < 0)
                        return wrong("--memory needs a size such as 128M or 1G, not", value);
                return 0;
        case 'e':
                return add_env(arguments, value);
        case 'i':
                arguments->stdin_file = value;
                return 0;
        case 'j':
                arguments->json = true;
                return 0;
        case 's':
                arguments->socket = value;
                return 0;
        case 'h':
                print_help();
                arguments->done = true;
                return 0;
        case 'V':
                (void) puts("tee-run " TEE_VERSION);
                arguments->done = true;
                return 0;
        default:
                (void) fputs("Try 'tee-run --help'.\n", stderr);
                return -EINVAL;
        }
}

static int take_operands(Arguments *arguments, char *argv[]) {
        if (!argv[optind]) {
                (void) fputs("tee-run: which program? FILE is missing\nTry 'tee-run --help'.\n", stderr);
                return -EINVAL;
        }
        arguments->file = argv[optind];
        arguments->args = argv + optind + 1;
        if (arguments->args[0] && strcmp(arguments->args[0], "--") == 0)
                arguments->args++;
        if (strcmp(arguments->file, "-") == 0 && arguments->stdin_file && strcmp(arguments->stdin_file, "-") == 0) {
                (void) fputs("tee-run: the program and its stdin cannot both be tee-run's own stdin\n", stderr);
                return -EINVAL;
        }
        return 0;
}

int arguments_parse(Arguments *ret, int argc, char *argv[]) {
        static const struct option options[] = {
                {"runtime", required_argument, NULL, 'r'}, {"timeout", required_argument, NULL, 't'},
                {"memory", required_argument, NULL, 'm'},  {"env", required_argument, NULL, 'e'},
                {"stdin", required_argument, NULL, 'i'},   {"json", no_argument, NULL, 'j'},
                {"socket", required_argument, NULL, 's'},  {"help", no_argument, NULL, 'h'},
                {"version", no_argument, NULL, 'V'},       {0},
        };
        const char *socket = getenv("TEE_SOCKET");
        int option, r;

        *ret = (Arguments){
                .socket = socket && socket[0] ? socket : AGENT_SOCKET,
                .runtime = "deno",
                .env = calloc((size_t) argc, sizeof(*ret->env)),
        };
        if (!ret->env)
                return -ENOMEM;
        while ((option = getopt_long(argc, argv, "+r:t:m:e:i:js:hV", options, NULL)) >= 0) {
                r = take_option(ret, option, optarg);
                if (r < 0 || ret->done)
                        return r;
        }
        return take_operands(ret, argv);
}

void arguments_deinit(Arguments *arguments) {
        free(arguments->env);
}
