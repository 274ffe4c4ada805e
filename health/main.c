/* SPDX-License-Identifier: Apache-2.0 */

/* tee-health: is all that tee-agent stands on as it should be? The checks are rows of tables (group-*.c), each run in a
 * process of its own (inspection.c); two reports show what they found, and repair.c mends what it may. */

#include "document.h"
#include "health-options.h"
#include "pages.h"
#include "repair.h"
#include "table.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

/* Where programs of a system are, which a user's $PATH may be short of and a daemon's has. */
#define DAEMON_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static int complete_path(void) {
        const char *path = getenv("PATH");
        CLEANUP_FREE char *all = text_format("%s%s" DAEMON_PATH, path ? path : "", path && path[0] ? ":" : "");

        return all && setenv("PATH", all, true) == 0 ? 0 : -ENOMEM;
}

static int print_json(const HostFacts *host, const Inspected *inspected, size_t size, const Tally *tally) {
        CLEANUP_JSON cJSON *document = document_new(host, inspected, size, tally);
        CLEANUP_JSON_TEXT char *text = document ? cJSON_Print(document) : NULL;

        return text ? puts(text) : -ENOMEM;
}

/* Everything in turn. table is NULL where no people read it. Returns 0 or -EINTR. */
static int inspect(const Inspection *inspection, Inspected *inspected, size_t size, const Table *table) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < size; i++) {
                if (table)
                        table_running(table, inspected[i].place.check);
                r = inspection_next(inspection, inspected, i);
                if (table && r >= 0)
                        table_row(table, &inspected[i]);
        }
        return r;
}

static Tally count(const Inspected *inspected, size_t size) {
        Tally tally = {0};

        for (size_t i = 0; i < size; i++)
                tally_add(&tally, inspected[i].place.check, inspected[i].finding.verdict);
        return tally;
}

static int inspect_and_mend(const HealthOptions *options, const Inspection *inspection, Inspected *inspected,
                            size_t size, const Table *table) {
        Repairer repairer = {.inspection = inspection, .table = table, .yes = options->yes};
        int r = inspect(inspection, inspected, size, table);

        return r < 0 || !options->fix ? r : repair(&repairer, inspected, size);
}

static HealthStatus report(const HealthOptions *options, const HostFacts *host, Inspected *inspected, size_t size,
                           const Table *table) {
        Tally tally = count(inspected, size);

        if (!options->json)
                table_foot(table, &tally);
        else if (print_json(host, inspected, size, &tally) < 0)
                return HEALTH_UNKNOWN;
        if (!options->json && !options->fix)
                table_hint(table, inspected, size);
        return tally_status(&tally);
}

/* All is taken down. Whoever waits for this program is to see what has ended it, so that a shell's loop ends, too. */
static void end_by(int number) {
        sigset_t signals;

        (void) fflush(NULL);
        (void) sigemptyset(&signals);
        (void) sigaddset(&signals, number);
        (void) signal(number, SIG_DFL);
        (void) raise(number);
        (void) sigprocmask(SIG_UNBLOCK, &signals, NULL);
}

static HealthStatus run(const HealthOptions *options, const Table *table, const CheckPlace *places, size_t size) {
        static Inspected inspected[CHECKS_MAX];
        CLEANUP(host_facts_deinit) HostFacts host = {0};
        CLEANUP(loop_deinit) Loop loop = {0};
        Inspection inspection = options->inspection;
        HealthStatus status = HEALTH_UNKNOWN;
        int r = host_facts_read(&host);

        inspection.loop = &loop;
        if (r >= 0)
                r = complete_path();
        if (r >= 0)
                r = loop_init(&loop);
        for (size_t i = 0; i < size; i++)
                inspected[i].place = places[i];
        if (r >= 0 && !options->json)
                table_head(table, &host);
        if (r >= 0)
                r = inspect_and_mend(options, &inspection, inspected, size, options->json ? NULL : table);
        if (r >= 0)
                status = report(options, &host, inspected, size, table);
        else if (r == -EINTR)
                table_clear(table);
        if (r < 0)
                (void) fprintf(stderr, "tee-health: %s\n", r == -EINTR ? "interrupted" : strerror(-r));
        for (size_t i = 0; i < size; i++)
                inspected_deinit(&inspected[i]);
        if (r == -EINTR && loop.signal != 0)
                end_by(loop.signal);
        return status;
}

int main(int argc, char *argv[]) {
        CheckPlace places[CHECKS_MAX];
        HealthOptions options;
        HealthStatus status = HEALTH_OK;
        Table table;
        size_t size;

        if (health_options_parse(&options, argc, argv) < 0)
                return HEALTH_UNKNOWN;
        if (options.done)
                return HEALTH_OK;
        size = checks_select(&(CheckChoice){.words = options.only,
                                            .words_size = options.only_size,
                                            .on_demand = options.probe || options.list},
                             places);
        table_init(&table, stdout, places, size);
        if (options.explain)
                table_page(&table, page_text(options.explain));
        else if (options.list)
                table_list(&table, places, size);
        else
                status = run(&options, &table, places, size);
        if (fflush(stdout) == 0 && !ferror(stdout))
                return (int) status;
        (void) fputs("tee-health: the report could not be written to stdout\n", stderr);
        return HEALTH_UNKNOWN;
}
