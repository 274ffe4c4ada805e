/* SPDX-License-Identifier: Apache-2.0 */

#include "report.h"
#include "json.h"
#include "version.h"

#include <errno.h>
#include <string.h>

#define CELL_MAX 64
#define COLUMNS 5 /* metric, without, with, difference, warm */

static const struct {
        const char *key, *title, *unit;
        int decimals;
} metrics[REPORT_METRICS] = {
        [REPORT_SETUP] = {"setup_ms", "Setup time", "ms", 0},
        [REPORT_RUN] = {"run_ms", "Execution time", "ms", 1},
        [REPORT_MEMORY] = {"memory_mb", "Memory", "MB", 1},
        [REPORT_CPU] = {"cpu_ms", "CPU time", "ms", 0},
};

static const struct {
        const char *key, *title;
} ways[REPORT_WAYS] = {
        [REPORT_WITHOUT] = {"without_gvisor", "Without gVisor"},
        [REPORT_WITH] = {"with_gvisor", "With gVisor"},
        [REPORT_WARM] = {"warm", "With gVisor, warm"},
};

static int compare(const void *a, const void *b) {
        double x = *(const double *) a, y = *(const double *) b;

        return (x > y) - (x < y);
}

double report_quantile(const double *values, size_t size, unsigned percent) {
        double sorted[REPORT_RUNS_MAX];
        size_t rank = (size * percent + 99) / 100;

        memcpy(sorted, values, size * sizeof(*values));
        qsort(sorted, size, sizeof(*sorted), compare);
        return sorted[rank > 0 ? rank - 1 : 0];
}

static double quantile(const Report *report, ReportMetric metric, ReportWay way, unsigned percent) {
        return report_quantile(report->samples[metric][way], report->runs, percent);
}

static unsigned ways_of(const Report *report) {
        return report->has_warm ? REPORT_WAYS : REPORT_WARM;
}

/* ---- table ---- */

static void cell_value(const Report *report, ReportMetric metric, ReportWay way, char cell[static CELL_MAX]) {
        int decimals = metrics[metric].decimals;
        double p50 = quantile(report, metric, way, 50), p99 = quantile(report, metric, way, 99);

        (void) snprintf(cell, CELL_MAX, "%.*f %s (%.*f)%s", decimals, p50, metrics[metric].unit, decimals, p99,
                        way == REPORT_WARM && metric == REPORT_SETUP ? " ahead" : "");
}

static void cell_difference(const Report *report, ReportMetric metric, char cell[static CELL_MAX]) {
        double without = quantile(report, metric, REPORT_WITHOUT, 50), with = quantile(report, metric, REPORT_WITH, 50);
        int n = snprintf(cell, CELL_MAX, "%+.*f %s", metrics[metric].decimals, with - without, metrics[metric].unit);

        if (without > 0 && n > 0 && n < CELL_MAX)
                (void) snprintf(cell + n, (size_t) (CELL_MAX - n), " (%+.0f%%)", (with - without) / without * 100);
}

void report_print_table(const Report *report, FILE *out) {
        char cells[REPORT_METRICS + 1][COLUMNS][CELL_MAX] = {{"Metric", "", "", "Difference", ""}};
        unsigned columns = report->has_warm ? COLUMNS : COLUMNS - 1;
        int widths[COLUMNS] = {0};

        for (unsigned way = 0; way < ways_of(report); way++)
                (void) snprintf(cells[0][way == REPORT_WARM ? 4 : way + 1], CELL_MAX, "%s", ways[way].title);
        for (unsigned metric = 0; metric < REPORT_METRICS; metric++) {
                (void) snprintf(cells[metric + 1][0], CELL_MAX, "%s", metrics[metric].title);
                for (unsigned way = 0; way < ways_of(report); way++)
                        cell_value(report, metric, way, cells[metric + 1][way == REPORT_WARM ? 4 : way + 1]);
                cell_difference(report, metric, cells[metric + 1][3]);
        }
        for (unsigned row = 0; row <= REPORT_METRICS; row++)
                for (unsigned column = 0; column < columns; column++)
                        if (widths[column] < (int) strlen(cells[row][column]))
                                widths[column] = (int) strlen(cells[row][column]);
        for (unsigned row = 0; row <= REPORT_METRICS; row++) {
                for (unsigned column = 0; column < columns; column++)
                        (void) fprintf(out, "| %-*s ", widths[column], cells[row][column]);
                (void) fputs("|\n", out);
                for (unsigned column = 0; row == 0 && column < columns; column++)
                        (void) fprintf(out, "|%.*s", widths[column] + 2,
                                       "----------------------------------------------------------------");
                if (row == 0)
                        (void) fputs("|\n", out);
        }
        (void) fprintf(out, "\n%u runs each, in turn: p50 (p99). Runtime %s; without gVisor: %s, with: %s.\n",
                       report->runs, report->runtime, report->oci_runtimes[REPORT_WITHOUT],
                       report->oci_runtimes[REPORT_WITH]);
        if (report->has_warm)
                (void) fputs("A warm sandbox is set up ahead of its request, which does not wait for that.\n", out);
        (void) fprintf(out, "tee-bench " TEE_VERSION ", Docker %s, kernel %s\n", report->docker_version,
                       report->host_kernel);
}

/* ---- JSON ---- */

static cJSON *json_of(const Report *report, ReportMetric metric, ReportWay way) {
        cJSON *object = cJSON_CreateObject();

        if (object && (json_add(object, "p50", cJSON_CreateNumber(quantile(report, metric, way, 50))) < 0 ||
                       json_add(object, "p99", cJSON_CreateNumber(quantile(report, metric, way, 99))) < 0 ||
                       json_add(object, "values",
                                cJSON_CreateDoubleArray(report->samples[metric][way], (int) report->runs)) < 0)) {
                cJSON_Delete(object);
                return NULL;
        }
        return object;
}

static int add_metric(cJSON *document, const Report *report, ReportMetric metric) {
        cJSON *object = cJSON_AddObjectToObject(document, metrics[metric].key);
        double difference = quantile(report, metric, REPORT_WITH, 50) - quantile(report, metric, REPORT_WITHOUT, 50);

        if (!object)
                return -ENOMEM;
        for (unsigned way = 0; way < ways_of(report); way++)
                if (json_add(object, ways[way].key, json_of(report, metric, way)) < 0)
                        return -ENOMEM;
        return json_add(object, "difference_p50", cJSON_CreateNumber(difference));
}

int report_print_json(const Report *report, FILE *out) {
        CLEANUP_JSON cJSON *document = cJSON_CreateObject();
        CLEANUP_JSON_TEXT char *text = NULL;

        if (!document || json_add(document, "tee_bench", cJSON_CreateString(TEE_VERSION)) < 0 ||
            json_add(document, "runtime", cJSON_CreateString(report->runtime)) < 0 ||
            json_add(document, "oci_runtime_without_gvisor", cJSON_CreateString(report->oci_runtimes[REPORT_WITHOUT])) <
                    0 ||
            json_add(document, "oci_runtime_with_gvisor", cJSON_CreateString(report->oci_runtimes[REPORT_WITH])) < 0 ||
            json_add(document, "docker", cJSON_CreateString(report->docker_version)) < 0 ||
            json_add(document, "kernel", cJSON_CreateString(report->host_kernel)) < 0 ||
            json_add(document, "runs", cJSON_CreateNumber(report->runs)) < 0)
                return -ENOMEM;
        for (unsigned metric = 0; metric < REPORT_METRICS; metric++)
                if (add_metric(document, report, metric) < 0)
                        return -ENOMEM;
        text = cJSON_Print(document);
        if (!text)
                return -ENOMEM;
        (void) fprintf(out, "%s\n", text);
        return 0;
}

/* ---- SVG ---- */

#define BAR_LEFT 190
#define BAR_WIDTH 400.0
#define BAR_HEIGHT 16
#define GROUP_GAP 22
#define HEAD 56

static void print_bar(const Report *report, ReportMetric metric, ReportWay way, double scale, int y, FILE *out) {
        double p50 = quantile(report, metric, way, 50), p99 = quantile(report, metric, way, 99);
        bool ahead = way == REPORT_WARM && metric == REPORT_SETUP;
        char cell[CELL_MAX];

        cell_value(report, metric, way, cell);
        (void) fprintf(out,
                       "<text class=\"name\" x=\"%d\" y=\"%d\">%s</text>"
                       "<rect class=\"%s%s\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"2\"/>"
                       "<path class=\"tail\" d=\"M%.1f %d H%.1f\"/>"
                       "<text class=\"value\" x=\"%.1f\" y=\"%d\">%s</text>\n",
                       BAR_LEFT - 8, y + 12, ways[way].title, ways[way].key, ahead ? " ahead" : "", BAR_LEFT, y,
                       p50 * scale, BAR_HEIGHT - 2, BAR_LEFT + p50 * scale, y + BAR_HEIGHT / 2 - 1,
                       BAR_LEFT + p99 * scale, BAR_LEFT + p99 * scale + 6, y + 12, cell);
}

/* Each metric has a scale of its own. */
static void print_group(const Report *report, ReportMetric metric, int *y, FILE *out) {
        double most = 0;

        for (unsigned way = 0; way < ways_of(report); way++) {
                double p99 = quantile(report, metric, way, 99);
                most = p99 > most ? p99 : most;
        }
        (void) fprintf(out, "<text class=\"metric\" x=\"12\" y=\"%d\">%s</text>\n", *y, metrics[metric].title);
        *y += 8;
        for (unsigned way = 0; way < ways_of(report); way++) {
                print_bar(report, metric, way, most > 0 ? BAR_WIDTH / most : 0, *y, out);
                *y += BAR_HEIGHT;
        }
        *y += GROUP_GAP;
}

void report_print_svg(const Report *report, FILE *out) {
        int y = HEAD, group = 8 + (int) ways_of(report) * BAR_HEIGHT + GROUP_GAP;
        int height = HEAD + REPORT_METRICS * group + 12;

        (void) fprintf(out,
                       "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 760 %d\" role=\"img\" "
                       "font-family=\"system-ui, sans-serif\" font-size=\"12\">\n"
                       "<title>What gVisor costs on this host</title>\n"
                       "<style>\n"
                       "  svg { background: #fff; }\n"
                       "  text { fill: #222; } .title { font-size: 15px; font-weight: 600; } "
                       ".metric { font-weight: 600; }\n"
                       "  .name { text-anchor: end; } .value, .note { fill: #666; }\n"
                       "  .without_gvisor { fill: #9aa5b1; } .with_gvisor { fill: #2b6cb0; } .warm { fill: #dd6b20; } "
                       ".ahead { fill-opacity: 0.35; }\n"
                       "  .tail { stroke: #888; }\n"
                       "  @media (prefers-color-scheme: dark) {\n"
                       "    svg { background: #16191d; } text { fill: #e6e6e6; } .value, .note { fill: #a0a8b0; }\n"
                       "  }\n"
                       "</style>\n"
                       "<text class=\"title\" x=\"12\" y=\"22\">What gVisor costs on this host</text>\n",
                       height);
        for (unsigned metric = 0; metric < REPORT_METRICS; metric++)
                print_group(report, metric, &y, out);
        (void) fprintf(out,
                       "<text class=\"note\" x=\"12\" y=\"%d\">p50 (p99) of %u runs each, in turn; a line reaches to "
                       "p99. Runtime %s.</text>\n"
                       "</svg>\n",
                       height - 10, report->runs, report->runtime);
}
