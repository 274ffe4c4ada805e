/* SPDX-License-Identifier: Apache-2.0 */

#include "health-options.h"
#include "agent-status.h"
#include "pages.h"
#include "version.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define DEADLINE_S_MAX 3600U

static void print_help(void) {
        (void) fputs("Usage: tee-health [OPTION]...\n"
                     "Looks whether tee-agent, and all that it stands on, is as it should be: what is wrong, and what "
                     "helps.\n"
                     "Changes nothing, unless it is told to. What it may not look at, it skips and says so; root sees "
                     "all.\n"
                     "\n"
                     "  -o, --only ID|GROUP    only this check, or this group of checks; may be repeated\n"
                     "  -p, --probe[=MODE]     also run programs in sandboxes: what they may not do is tried.\n"
                     "                         MODE: agent, direct (without it), or auto (the agent if it is there)\n"
                     "  -f, --fix              then mend what can be mended safely; asks before each command\n"
                     "  -y, --yes              --fix does not ask\n"
                     "  -e, --explain ID       what a check looks at, why, and what to do\n"
                     "  -l, --list             the checks, without running them\n"
                     "  -j, --json             the report as JSON\n"
                     "  -c, --config FILE      the agent's configuration (" CONFIG_PATH ")\n"
                     "  -s, --socket PATH      the agent's socket ($TEE_SOCKET, else " AGENT_SOCKET ")\n"
                     "  -t, --timeout SECONDS  longest time for one check (10; 60 for those of --probe)\n"
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

static int wrong_page(const char *id) {
        const char *near[PAGES_NEAR_MAX];
        size_t size = pages_near(id, near);

        (void) fprintf(stderr, "tee-health: there is no check '%s'. Did you mean", id);
        for (size_t i = 0; i < size; i++)
                (void) fprintf(stderr, "%s %s", i == 0 ? "" : i + 1 < size ? "," : " or", near[i]);
        (void) fputs("? 'tee-health --list' shows the checks.\n", stderr);
        return -EINVAL;
}

static int take_explain(HealthOptions *options, const char *id) {
        if (!page_text(id))
                return wrong_page(id);
        options->explain = id;
        return 0;
}

static int take_probe(HealthOptions *options, const char *mode) {
        static const char *const modes[] = {[PROBE_AUTO] = "auto", [PROBE_AGENT] = "agent", [PROBE_DIRECT] = "direct"};

        options->probe = true;
        for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
                if (!mode || strcmp(mode, modes[i]) == 0) {
                        options->inspection.places.probe_mode = (ProbeMode) i;
                        return 0;
                }
        return wrong("--probe is agent, direct or auto, not", mode);
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
        case 'p':
                return take_probe(options, value);
        case 'f':
                options->fix = true;
                return 0;
        case 'y':
                options->yes = true;
                return 0;
        case 'e':
                return take_explain(options, value);
        case 'l':
                options->list = true;
                return 0;
        case 'j':
                options->json = true;
                return 0;
        case 'c':
                return take_path(&options->inspection.places.config_path, "--config is a file, not", value);
        case 's':
                return take_path(&options->inspection.places.agent_socket, "--socket is the path of a socket, not",
                                 value);
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

/* --probe beside --only: all of the group, unless some of it are named. */
static int add_probe(HealthOptions *options) {
        static const char group[] = "probe";

        for (size_t i = 0; i < options->only_size; i++)
                if (strncmp(options->only[i], group, strlen(group)) == 0)
                        return 0;
        return take_only(options, group);
}

static int check_together(HealthOptions *options) {
        if (options->list && options->json)
                return wrong("--list does not go together with", "--json");
        if (options->list && options->fix)
                return wrong("--list does not go together with", "--fix");
        if (options->yes && !options->fix)
                return wrong("there is nothing to say yes to without", "--fix");
        if (options->fix && options->json && !options->yes)
                return wrong("with --json nobody can be asked: --fix wants", "--yes");
        return options->probe && options->only_size > 0 ? add_probe(options) : 0;
}

int health_options_parse(HealthOptions *ret, int argc, char *argv[]) {
        static const struct option names[] = {
                {"only", required_argument, NULL, 'o'},
                {"probe", optional_argument, NULL, 'p'},
                {"fix", no_argument, NULL, 'f'},
                {"yes", no_argument, NULL, 'y'},
                {"explain", required_argument, NULL, 'e'},
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
                .inspection.places = {.config_path = CONFIG_PATH,
                                      .agent_socket = socket && socket[0] ? socket : AGENT_SOCKET},
        };
        while (r >= 0 && !ret->done && (option = getopt_long(argc, argv, "o:p::fye:ljc:s:t:hV", names, NULL)) >= 0)
                r = take_option(ret, option, optarg);
        if (r < 0 || ret->done)
                return r;
        if (argv[optind])
                return wrong("unexpected argument", argv[optind]);
        return check_together(ret);
}
