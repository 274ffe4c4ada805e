/* SPDX-License-Identifier: Apache-2.0 */

/* tee-health: is all that tee-agent stands on as it should be? The checks are rows of tables (group-*.c), each run in a
 * process of its own (inspection.c); two reports show what they found. */

#include "document.h"
#include "health-options.h"
#include "table.h"

#include <errno.h>
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

/* Everything in turn. table is NULL where no people read it. */
static Tally inspect(const Inspection *inspection, Inspected *inspected, size_t size, const Table *table) {
        Tally tally = {0};

        for (size_t i = 0; i < size; i++) {
                if (table)
                        table_running(table, inspected[i].place.check);
                inspection_next(inspection, inspected, i);
                tally_add(&tally, inspected[i].place.check, inspected[i].finding.verdict);
                if (table)
                        table_row(table, &inspected[i]);
        }
        return tally;
}

static HealthStatus run(const HealthOptions *options, const Table *table, const CheckPlace *places, size_t size) {
        static Inspected inspected[CHECKS_MAX];
        CLEANUP(host_facts_deinit) HostFacts host = {0};
        Tally tally;
        int r = host_facts_read(&host);

        if (r >= 0)
                r = complete_path();
        if (r < 0) {
                (void) fprintf(stderr, "tee-health: %s\n", strerror(-r));
                return HEALTH_UNKNOWN;
        }
        for (size_t i = 0; i < size; i++)
                inspected[i].place = places[i];
        if (!options->json)
                table_head(table, &host);
        tally = inspect(&options->inspection, inspected, size, options->json ? NULL : table);
        if (options->json)
                r = print_json(&host, inspected, size, &tally);
        else
                table_foot(table, &tally);
        for (size_t i = 0; i < size; i++)
                finding_deinit(&inspected[i].finding);
        return r < 0 ? HEALTH_UNKNOWN : tally_status(&tally);
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
        size = checks_select(options.only, options.only_size, places);
        table_init(&table, stdout, places, size);
        if (options.list)
                table_list(&table, places, size);
        else
                status = run(&options, &table, places, size);
        if (fflush(stdout) == 0 && !ferror(stdout))
                return (int) status;
        (void) fputs("tee-health: the report could not be written to stdout\n", stderr);
        return HEALTH_UNKNOWN;
}
