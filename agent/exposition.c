/* SPDX-License-Identifier: Apache-2.0 */

/* What is written here is read by a parser that throws the whole scrape away for one bad line. So the form is in one
 * place: HELP and TYPE before the first sample of a family, label values escaped, times in seconds, buckets cumulative
 * and ended by +Inf. Counting is only adding to an integer; all the rest is done when somebody asks. */

#include "exposition.h"
#include "text.h"

#include <errno.h>
#include <string.h>

/* A warm program answers within 10 ms, one that waits for its sandbox within a second; the last are wall limits. */
static const struct {
        uint64_t usec;
        const char *seconds;
} bounds[HISTOGRAM_BOUNDS] = {
        {1000, "0.001"},  {2500, "0.0025"}, {5000, "0.005"},  {10000, "0.01"},    {25000, "0.025"},   {50000, "0.05"},
        {100000, "0.1"},  {250000, "0.25"}, {500000, "0.5"},  {1000000, "1"},     {2500000, "2.5"},   {5000000, "5"},
        {10000000, "10"}, {30000000, "30"}, {60000000, "60"}, {120000000, "120"}, {300000000, "300"},
};

uint64_t saturating_add(uint64_t a, uint64_t b) {
        return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

void histogram_observe(Histogram *histogram, uint64_t usec) {
        size_t i = 0;

        while (i < HISTOGRAM_BOUNDS && usec > bounds[i].usec)
                i++;
        histogram->buckets[i]++;
        histogram->sum_usec = saturating_add(histogram->sum_usec, usec);
}

void exposition_deinit(Exposition *exposition) {
        buffer_deinit(&exposition->text);
}

static void note(Exposition *exposition, int r) {
        if (r < 0 && exposition->error == 0)
                exposition->error = r;
}

static void put(Exposition *exposition, const char *text) {
        if (exposition->error == 0)
                note(exposition, buffer_append_text(&exposition->text, text));
}

/* Escapes \, newlines and, if it stands within quotes, those. */
static void put_escaped(Exposition *exposition, const char *text, bool quoted) {
        const char *special = quoted ? "\\\n\"" : "\\\n";

        while (*text && exposition->error == 0) {
                size_t n = strcspn(text, special);

                note(exposition, buffer_append(&exposition->text, text, n));
                text += n;
                if (*text)
                        put(exposition, *text == '\n' ? "\\n" : *text == '"' ? "\\\"" : "\\\\");
                text += *text ? 1 : 0;
        }
}

/* The format is UTF-8; other bytes become '?'. */
static void put_value(Exposition *exposition, const char *value) {
        CLEANUP_FREE char *clean = NULL;

        if (utf8_is_valid(value, strlen(value))) {
                put_escaped(exposition, value, true);
                return;
        }
        clean = strdup(value);
        if (!clean)
                note(exposition, -ENOMEM);
        text_clean(clean);
        put_escaped(exposition, clean ? clean : "", true);
}

static void put_label(Exposition *exposition, const char *name, const char *value, bool first) {
        put(exposition, first ? "{" : ",");
        put(exposition, name);
        put(exposition, "=\"");
        put_value(exposition, value);
        put(exposition, "\"");
}

/* The part of a sample before its value. le: the bound of a bucket, or NULL. */
static void put_series(Exposition *exposition, const char *suffix, const ExpositionLabel *labels, const char *le) {
        bool first = true;

        put(exposition, exposition->family);
        put(exposition, suffix);
        for (; labels && labels->name; labels++, first = false)
                put_label(exposition, labels->name, labels->value, first);
        if (le)
                put_label(exposition, "le", le, first);
        put(exposition, first && !le ? " " : "} ");
}

static void put_number(Exposition *exposition, uint64_t value) {
        if (exposition->error == 0)
                note(exposition, buffer_append_format(&exposition->text, "%llu\n", (unsigned long long) value));
}

static void put_seconds(Exposition *exposition, uint64_t usec) {
        if (exposition->error == 0)
                note(exposition, buffer_append_format(&exposition->text, "%llu.%06llu\n",
                                                      (unsigned long long) (usec / USEC_PER_SEC),
                                                      (unsigned long long) (usec % USEC_PER_SEC)));
}

void exposition_family(Exposition *exposition, const char *name, const char *type, const char *help) {
        exposition->family = name;
        put(exposition, "# HELP ");
        put(exposition, name);
        put(exposition, " ");
        put_escaped(exposition, help, false);
        put(exposition, "\n# TYPE ");
        put(exposition, name);
        put(exposition, " ");
        put(exposition, type);
        put(exposition, "\n");
}

void exposition_number(Exposition *exposition, const ExpositionLabel *labels, uint64_t value) {
        put_series(exposition, "", labels, NULL);
        put_number(exposition, value);
}

void exposition_seconds(Exposition *exposition, const ExpositionLabel *labels, uint64_t usec) {
        put_series(exposition, "", labels, NULL);
        put_seconds(exposition, usec);
}

void exposition_histogram(Exposition *exposition, const ExpositionLabel *labels, const Histogram *histogram) {
        uint64_t count = 0;

        for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++) {
                count = saturating_add(count, histogram->buckets[i]);
                put_series(exposition, "_bucket", labels, i < HISTOGRAM_BOUNDS ? bounds[i].seconds : "+Inf");
                put_number(exposition, count);
        }
        put_series(exposition, "_sum", labels, NULL);
        put_seconds(exposition, histogram->sum_usec);
        put_series(exposition, "_count", labels, NULL);
        put_number(exposition, count);
}

void exposition_gauge(Exposition *exposition, const char *name, const char *help, uint64_t value) {
        exposition_family(exposition, name, "gauge", help);
        exposition_number(exposition, NULL, value);
}

void exposition_counter(Exposition *exposition, const char *name, const char *help, uint64_t value) {
        exposition_family(exposition, name, "counter", help);
        exposition_number(exposition, NULL, value);
}

char *exposition_take(Exposition *exposition) {
        char *text = exposition->error == 0 ? (char *) TAKE_PTR(exposition->text.data) : NULL;

        buffer_deinit(&exposition->text);
        return text;
}
