/* SPDX-License-Identifier: Apache-2.0 */

#include "table.h"
#include "version.h"

#include <string.h>
#include <sys/ioctl.h>

#define COLUMNS 80
#define VERDICT_WIDTH 6 /* with what is before and behind it */
#define ROOM_MIN 20

#define COLOUR_OFF "\033[0m"
#define COLOUR_BOLD "\033[1m"
#define COLOUR_FAINT "\033[2m"

static const char *const colours[VERDICT_COUNT_] = {
        [VERDICT_NONE] = "\033[35m", [VERDICT_PASS] = "\033[32m",   [VERDICT_SKIP] = "\033[36m",
        [VERDICT_WARN] = "\033[33m", [VERDICT_FAIL] = "\033[1;31m",
};

static size_t columns_of(FILE *out) {
        struct winsize size;

        if (ioctl(fileno(out), TIOCGWINSZ, &size) < 0 || size.ws_col < COLUMNS / 2)
                return COLUMNS;
        return size.ws_col;
}

void table_init(Table *table, FILE *out, const CheckPlace *places, size_t size) {
        const char *term = getenv("TERM"), *no_colour = getenv("NO_COLOR");

        *table = (Table){.out = out, .columns = columns_of(out)};
        table->terminal = isatty(fileno(out)) && term && strcmp(term, "dumb") != 0;
        table->colour = table->terminal && !(no_colour && no_colour[0]);
        for (size_t i = 0; i < size; i++)
                if (strlen(places[i].check->id) > table->id_width)
                        table->id_width = strlen(places[i].check->id);
}

static const char *colour(const Table *table, const char *text) {
        return table->colour ? text : "";
}

/* How many characters of text fit into room, at a word's end where there is one. */
static size_t fitting(const char *text, size_t room) {
        size_t size = 0, at = 0, word = 0;

        for (; text[at] && size < room; size++) {
                at++;
                while ((text[at] & 0xc0) == 0x80) /* the rest of a character */
                        at++;
                if (text[at] == ' ' || text[at] == '\0')
                        word = at;
        }
        if (!text[at])
                return at;
        return word > 0 ? word : at + strcspn(text + at, " "); /* one long word is not broken: it may be copied */
}

/* Text that begins at a column, and goes on below it. */
static void print_wrapped(const Table *table, const char *text, size_t column) {
        size_t room = table->columns > column + ROOM_MIN ? table->columns - column : ROOM_MIN;

        if (!table->terminal) {
                (void) fprintf(table->out, "%s\n", text);
                return;
        }
        for (;;) {
                size_t n = fitting(text, room);

                (void) fprintf(table->out, "%.*s\n", (int) n, text);
                text += n + strspn(text + n, " ");
                if (!*text)
                        return;
                (void) fprintf(table->out, "%*s", (int) column, "");
        }
}

void table_head(const Table *table, const HostFacts *host) {
        (void) fprintf(table->out, "tee-health %s on %s: %s, Linux %s, %s\n\n", TEE_VERSION, host->name, host->system,
                       host->kernel, host->machine);
}

void table_running(const Table *table, const Check *check) {
        if (!table->terminal)
                return;
        (void) fprintf(table->out, "%s....  %s%s", colour(table, COLOUR_FAINT), check->id, colour(table, COLOUR_OFF));
        (void) fflush(table->out);
}

void table_clear(const Table *table) {
        if (table->terminal)
                (void) fputs("\r\033[K", table->out);
}

void table_row(const Table *table, const Inspected *inspected) {
        static const char arrow[] = "-> ";
        const Finding *finding = &inspected->finding;
        size_t column = VERDICT_WIDTH + table->id_width + 2;
        bool is_wrong = finding->verdict >= VERDICT_WARN;
        const char *name = verdict_name(finding->verdict);

        table_clear(table);
        (void) fprintf(table->out, "%s%s%s  %-*s  ", colour(table, colours[finding->verdict]), name,
                       colour(table, COLOUR_OFF), (int) table->id_width, inspected->place.check->id);
        print_wrapped(table, finding->seen ? finding->seen : "(no words)", column);
        if (!finding->remedy)
                return;
        (void) fprintf(table->out, "%*s%s", (int) (column - strlen(arrow)), "", arrow);
        if (!is_wrong)
                (void) fputs(colour(table, COLOUR_FAINT), table->out);
        print_wrapped(table, finding->remedy, column);
        if (!is_wrong)
                (void) fputs(colour(table, COLOUR_OFF), table->out);
}

static const char *words_of(HealthStatus status) {
        switch (status) {
        case HEALTH_OK:
                return "all is well";
        case HEALTH_WARNING:
                return "there are warnings";
        case HEALTH_CRITICAL:
                return "something is broken";
        default:
                return "it could not be told";
        }
}

void table_foot(const Table *table, const Tally *tally) {
        static const Verdict order[] = {VERDICT_PASS, VERDICT_WARN, VERDICT_FAIL, VERDICT_SKIP};

        (void) fprintf(table->out, "\n%zu checks:", tally->total);
        for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
                size_t count = tally->counts[order[i]];

                (void) fprintf(table->out, "%s %s%zu %s%s", i > 0 ? "," : "",
                               count > 0 ? colour(table, colours[order[i]]) : "", count, verdict_name(order[i]),
                               count > 0 ? colour(table, COLOUR_OFF) : "");
        }
        (void) fprintf(table->out, "; %s\n", words_of(tally_status(tally)));
}

void table_hint(const Table *table, const Inspected *inspected, size_t size) {
        size_t n = 0;

        for (size_t i = 0; i < size; i++)
                n += inspected[i].finding.fixes_size > 0;
        if (n > 0)
                (void) fprintf(table->out, "%zu of these can be mended by: tee-health --fix\n", n);
}

void table_page(const Table *table, const char *text) {
        size_t title = strcspn(text, "\n");

        (void) fprintf(table->out, "%s%.*s%s%s", colour(table, COLOUR_BOLD), (int) title, text,
                       colour(table, COLOUR_OFF), text + title);
}

void table_list(const Table *table, const CheckPlace *places, size_t size) {
        for (size_t i = 0; i < size; i++)
                (void) fprintf(table->out, "%-*s  %s\n", (int) table->id_width, places[i].check->id,
                               places[i].check->title);
}
