/* SPDX-License-Identifier: Apache-2.0 */

/* tee-bench: what gVisor costs on this host. The ways take turns, so that their ratios hold on a noisy host, too. The
 * first turn is not counted: it fills the host's caches. */

#include "measure.h"
#include "version.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#define DEFAULT_RUNS 10
#define EXIT_INTERRUPTED 130

typedef struct Options {
        const char *config;
        const char *runtime;
        const char *svg; /* NULL: no chart */
        unsigned runs;
        bool json;
        bool done; /* --help or --version has been answered */
} Options;

static void print_help(void) {
        (void) fputs("Usage: tee-bench [OPTION]...\n"
                     "Measures what gVisor costs on this host: sandboxes with gVisor, without, and with gVisor from\n"
                     "the warm pool, in turn. Takes some ten seconds a run. Needs the right to use Docker.\n"
                     "\n"
                     "  -n, --runs N        how many of each, 1 to 1000 (10)\n"
                     "  -r, --runtime NAME  deno unless given; a runtime for TypeScript\n"
                     "  -j, --json          print the figures as JSON\n"
                     "      --svg FILE      draw them, too\n"
                     "  -c, --config FILE   read FILE instead of " CONFIG_PATH "\n"
                     "  -h, --help          show this help\n"
                     "  -V, --version       show the version\n"
                     "\n"
                     "Exit status: 0 measured, 1 not, 64 wrong use, 78 wrong configuration, 130 interrupted.\n",
                     stdout);
}

static int wrong(const char *what, const char *value) {
        (void) fprintf(stderr, "tee-bench: %s '%s'\nTry 'tee-bench --help'.\n", what, value);
        return -EINVAL;
}

static int parse_runs(Options *options, const char *text) {
        char *end;
        unsigned long runs;

        errno = 0;
        runs = strtoul(text, &end, 10);
        if (text[0] < '0' || text[0] > '9' || errno != 0 || *end != '\0' || runs < 1 || runs > REPORT_RUNS_MAX)
                return wrong("--runs needs a number from 1 to 1000, not", text);
        options->runs = (unsigned) runs;
        return 0;
}

static int take_option(Options *options, int option) {
        switch (option) {
        case 'n':
                return parse_runs(options, optarg);
        case 'r':
                options->runtime = optarg;
                return 0;
        case 'j':
                options->json = true;
                return 0;
        case 's':
                options->svg = optarg;
                return 0;
        case 'c':
                options->config = optarg;
                return 0;
        case 'h':
                print_help();
                options->done = true;
                return 0;
        case 'V':
                (void) puts("tee-bench " TEE_VERSION);
                options->done = true;
                return 0;
        default:
                (void) fputs("Try 'tee-bench --help'.\n", stderr);
                return -EINVAL;
        }
}

static int parse_options(Options *options, int argc, char *argv[]) {
        static const struct option names[] = {
                {"runs", required_argument, NULL, 'n'},   {"runtime", required_argument, NULL, 'r'},
                {"json", no_argument, NULL, 'j'},         {"svg", required_argument, NULL, 's'},
                {"config", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'},
                {"version", no_argument, NULL, 'V'},      {0},
        };
        int option, r = 0;

        *options = (Options){.config = CONFIG_PATH, .runtime = "deno", .runs = DEFAULT_RUNS};
        while (r >= 0 && !options->done && (option = getopt_long(argc, argv, "n:r:jc:hV", names, NULL)) >= 0)
                r = take_option(options, option);
        return r >= 0 && !options->done && argv[optind] ? wrong("unexpected argument", argv[optind]) : r;
}

/* ---- the turns ---- */

static void print_progress(unsigned run, unsigned runs) {
        if (!isatty(STDERR_FILENO))
                return;
        if (run == 0)
                (void) fprintf(stderr, "\rtee-bench: warming up ");
        else if (run <= runs)
                (void) fprintf(stderr, "\rtee-bench: run %u of %u   ", run, runs);
        else
                (void) fprintf(stderr, "\r\033[K");
}

static int measure_all(Measure *measure, Report *report) {
        for (unsigned run = 0; run <= report->runs; run++) {
                print_progress(run, report->runs);
                for (unsigned way = 0; way < (report->has_warm ? REPORT_WAYS : REPORT_WARM); way++) {
                        double values[REPORT_METRICS];
                        int r = measure_sandbox(measure, way, values);

                        if (r < 0)
                                return r;
                        for (unsigned metric = 0; run > 0 && metric < REPORT_METRICS; metric++)
                                report->samples[metric][way][run - 1] = values[metric];
                }
        }
        print_progress(report->runs + 1, report->runs);
        return 0;
}

static int close_written(FILE *out, const char *name) {
        bool failed = ferror(out);

        if (fclose(out) == 0 && !failed)
                return 0;
        (void) fprintf(stderr, "tee-bench: %s could not be written\n", name);
        return -EIO;
}

static int print_report(const Report *report, bool json, FILE *chart, const char *chart_name) {
        int r = 0;

        if (json)
                r = report_print_json(report, stdout);
        else
                report_print_table(report, stdout);
        if (r < 0)
                (void) fputs("tee-bench: out of memory\n", stderr);
        if (chart) {
                int closed;

                report_print_svg(report, chart);
                closed = close_written(chart, chart_name);
                r = r < 0 ? r : closed;
        }
        return r;
}

static int bench(const Options *options, Config *config, const ConfigRuntime *runtime, FILE *chart) {
        CLEANUP(measure_freep) Measure *measure = NULL;
        CLEANUP_FREE Report *report = calloc(1, sizeof(*report));
        int r = report ? measure_new(config, runtime, &measure) : -ENOMEM;

        if (r >= 0) {
                report->runtime = runtime->name;
                report->oci_runtimes[REPORT_WITHOUT] = config->disabled_oci_runtime;
                report->oci_runtimes[REPORT_WITH] = report->oci_runtimes[REPORT_WARM] = config->oci_runtime;
                report->docker_version = measure_docker_version(measure);
                report->host_kernel = measure_host_kernel(measure);
                report->runs = options->runs;
                report->has_warm = runtime->warm_arguments.size > 0;
                r = measure_all(measure, report);
        }
        if (r >= 0)
                return print_report(report, options->json, chart, options->svg);
        if (chart) {
                (void) fclose(chart);
                (void) unlink(options->svg);
        }
        return r;
}

int main(int argc, char *argv[]) {
        CLEANUP(config_freep) Config *config = NULL;
        CLEANUP_FREE char *message = NULL;
        const ConfigRuntime *runtime;
        Options options;
        FILE *chart = NULL;
        sigset_t signals;
        int r;

        if (parse_options(&options, argc, argv) < 0)
                return EX_USAGE;
        if (options.done)
                return EXIT_SUCCESS;
        r = config_load(options.config, &config, &message);
        if (r < 0) {
                (void) fprintf(stderr, "tee-bench: %s\n", message ? message : strerror(-r));
                return EX_CONFIG;
        }
        runtime = config_runtime(config, options.runtime);
        if (!runtime) {
                (void) fprintf(stderr, "tee-bench: %s has no runtime '%s'\n", options.config, options.runtime);
                return EX_USAGE;
        }
        if (options.svg) {
                chart = fopen(options.svg, "we"); /* before a minute has been spent */
                if (!chart) {
                        (void) fprintf(stderr, "tee-bench: %s: %s\n", options.svg, strerror(errno));
                        return EXIT_FAILURE;
                }
        }
        (void) sigemptyset(&signals);
        (void) sigaddset(&signals, SIGINT);
        (void) sigaddset(&signals, SIGTERM);
        (void) sigprocmask(SIG_BLOCK, &signals, NULL);
        r = bench(&options, config, runtime, chart);
        if (r == -EINTR)
                return EXIT_INTERRUPTED;
        return r < 0 || fflush(stdout) != 0 || ferror(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}
