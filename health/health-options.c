/* SPDX-License-Identifier: Apache-2.0 */

#include "health-options.h"
#include "agent-status.h"
#include "version.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define DEFAULT_CONFIG "/etc/tee/tee.conf"
#define DEFAULT_DEADLINE_MS UINT64_C(10000)
#define DEADLINE_S_MAX 3600U

static void print_help(void) {
        (void) fputs("Usage: tee-health [OPTION]...\n"
                     "Looks whether tee-agent, and all that it stands on, is as it should be: what is wrong, and what "
                     "helps.\n"
                     "Changes nothing. What it may not look at, it skips and says so; root sees all.\n"
                     "\n"
                     "  -o, --only ID|GROUP    only this check, or this group of checks; may be repeated\n"
                     "  -l, --list             the checks, without running them\n"
                     "  -j, --json             the report as JSON\n"
                     "  -c, --config FILE      the agent's configuration (" DEFAULT_CONFIG ")\n"
                     "  -s, --socket PATH      the agent's socket ($TEE_SOCKET, else " AGENT_SOCKET ")\n"
                     "  -t, --timeout SECONDS  longest time for one check (10)\n"
                     "  -h, --help             show this help\n"
                     "  -V, --version          show the version\n"
                     "\n"
                     "$NO_COLOR is heeded.\n"
                     "Exit status: 0 all is well, 1 a warning, 2 a failure, 3 it could not be told (no check that\n"
                     "matters could look), or wrong use. So have monitoring plugins it.\n",
                     stdout);
}

static int wrong(const char *what, const char *value) {
        (void) fprintf(stderr, "tee-health: %s '%s'\nTry 'tee-health --help'.\n", what, value);
        return -EINVAL;
}

static int wrong_check(const char *word) {
        (void) fprintf(stderr, "tee-health: there is no check and no group '%s'. The groups are", word);
        for (size_t g = 0; check_groups[g]; g++)
                (void) fprintf(stderr, "%s %s", g > 0 ? "," : "", check_groups[g]->name);
        (void) fputs("; 'tee-health --list' shows the checks.\n", stderr);
        return -EINVAL;
}

static int take_only(HealthOptions *options, const char *word) {
        if (!checks_have(word))
                return wrong_check(word);
        if (options->only_size == HEALTH_ONLY_MAX)
                return wrong("too many of --only: no place for", word);
        options->only[options->only_size++] = word;
        return 0;
}

static int take_timeout(HealthOptions *options, const char *text) {
        char *end;
        unsigned long seconds;

        errno = 0;
        seconds = strtoul(text, &end, 10);
        if (text[0] < '0' || text[0] > '9' || *end || errno != 0 || seconds < 1 || seconds > DEADLINE_S_MAX)
                return wrong("--timeout is a number of seconds from 1 to 3600, not", text);
        options->inspection.deadline_ms = seconds * 1000;
        return 0;
}

static int take_path(const char **ret, const char *what, const char *path) {
        if (!path[0])
                return wrong(what, path);
        *ret = path;
        return 0;
}

static int take_option(HealthOptions *options, int option, const char *value) {
        switch (option) {
        case 'o':
                return take_only(options, value);
        case 'l':
                options->list = true;
                return 0;
        case 'j':
                options->json = true;
                return 0;
        case 'c':
                return take_path(&options->inspection.config_path, "--config is a file, not", value);
        case 's':
                return take_path(&options->inspection.agent_socket, "--socket is the path of a socket, not", value);
        case 't':
                return take_timeout(options, value);
        case 'h':
                print_help();
                options->done = true;
                return 0;
        case 'V':
                (void) puts("tee-health " TEE_VERSION);
                options->done = true;
                return 0;
        default: /* getopt has said what is wrong */
                (void) fputs("Try 'tee-health --help'.\n", stderr);
                return -EINVAL;
        }
}

int health_options_parse(HealthOptions *ret, int argc, char *argv[]) {
        static const struct option names[] = {
                {"only", required_argument, NULL, 'o'},
                {"list", no_argument, NULL, 'l'},
                {"json", no_argument, NULL, 'j'},
                {"config", required_argument, NULL, 'c'},
                {"socket", required_argument, NULL, 's'},
                {"timeout", required_argument, NULL, 't'},
                {"help", no_argument, NULL, 'h'},
                {"version", no_argument, NULL, 'V'},
                {0},
        };
        const char *socket = getenv("TEE_SOCKET");
        int option, r = 0;

        *ret = (HealthOptions){
                .inspection = {.config_path = DEFAULT_CONFIG,
                               .agent_socket = socket && socket[0] ? socket : AGENT_SOCKET,
                               .deadline_ms = DEFAULT_DEADLINE_MS},
        };
        while (r >= 0 && !ret->done && (option = getopt_long(argc, argv, "o:ljc:s:t:hV", names, NULL)) >= 0)
                r = take_option(ret, option, optarg);
        if (r < 0 || ret->done)
                return r;
        if (argv[optind])
                return wrong("unexpected argument", argv[optind]);
        if (ret->list && ret->json)
                return wrong("--list does not go together with", "--json");
        return 0;
}
