/* SPDX-License-Identifier: Apache-2.0 */

/* The two reports, for people and for machines. */

#include "document.h"
#include "table.h"
#include "unit.h"
#include "version.h"

#define OFF "\033[0m"

static const Check alpha = {.id = "a.alpha", .title = "alpha is there"},
                   beta = {.id = "b.beta_long", .title = "beta is"};
static const CheckGroup group_a = {.name = "a", .checks = &alpha, .size = 1},
                        group_b = {.name = "b", .checks = &beta, .size = 1};
static const CheckPlace places[] = {{&group_a, &alpha}, {&group_b, &beta}};
static const HostFacts host = {.name = (char[]){"host"},
                               .system = (char[]){"Debian"},
                               .kernel = (char[]){"6.1"},
                               .machine = (char[]){"x86_64"}};

static Inspected inspected(size_t place, Verdict verdict, const char *seen, const char *remedy) {
        return (Inspected){
                .place = places[place],
                .finding = {.verdict = verdict,
                            .seen = (char *) (uintptr_t) seen,
                            .remedy = (char *) (uintptr_t) remedy},
                .duration_usec = 1500,
        };
}

typedef struct Fixture {
        Table table;
        char *text;
        size_t size;
} Fixture;

static void fixture_init(Fixture *fixture, bool terminal, bool colour) {
        FILE *out = open_memstream(&fixture->text, &fixture->size);

        assert_non_null(out);
        table_init(&fixture->table, out, places, ARRAY_SIZE(places));
        assert_false(fixture->table.terminal);
        fixture->table.terminal = terminal;
        fixture->table.colour = colour;
        fixture->table.columns = 50;
}

static void expect(Fixture *fixture, const char *text) {
        (void) fclose(fixture->table.out);
        assert_string_equal(fixture->text, text);
        free(fixture->text);
}

/* ---- for people ---- */

TEST(in_a_pipe_a_row_is_a_line_and_its_remedy_another) {
        Inspected pass = inspected(0, VERDICT_PASS, "it is there, and all of it, whatever the width of a terminal",
                                   NULL),
                  fail = inspected(1, VERDICT_FAIL, "it is not there", "make it");
        Fixture fixture;

        fixture_init(&fixture, false, false);
        table_head(&fixture.table, &host);
        table_running(&fixture.table, &alpha);
        table_row(&fixture.table, &pass);
        table_running(&fixture.table, &beta);
        table_row(&fixture.table, &fail);
        expect(&fixture, "tee-health " TEE_VERSION " on host: Debian, Linux 6.1, x86_64\n\n"
                         "pass  a.alpha      it is there, and all of it, whatever the width of a terminal\n"
                         "fail  b.beta_long  it is not there\n"
                         "                -> make it\n");
}

TEST(on_a_terminal_long_words_go_on_below_and_colours_tell_the_verdict) {
        Inspected warn = inspected(0, VERDICT_WARN, "1234567890 1234567890 \303\2441234567 9 12", "do this"),
                  skip = inspected(1, VERDICT_SKIP, "/a/path/that/is/longer/than/the/line", "root");
        Fixture fixture;

        fixture_init(&fixture, true, true);
        table_running(&fixture.table, &alpha);
        table_row(&fixture.table, &warn);
        table_row(&fixture.table, &skip);
        expect(&fixture, "\033[2m....  a.alpha" OFF "\r\033[K\033[33mwarn" OFF "  a.alpha      "
                         "1234567890 1234567890 \303\2441234567\n                   9 12\n"
                         "                -> do this\n"
                         "\r\033[K\033[36mskip" OFF "  b.beta_long  /a/path/that/is/longer/than/the/line\n"
                         "                -> \033[2mroot\n" OFF);
}

TEST(no_color_leaves_a_terminal_its_wrapping) {
        Inspected pass = inspected(0, VERDICT_PASS, "1234567890 1234567890 1234567890", NULL);
        Fixture fixture;

        fixture_init(&fixture, true, false);
        table_row(&fixture.table, &pass);
        expect(&fixture, "\r\033[Kpass  a.alpha      1234567890 1234567890\n                   1234567890\n");
}

TEST(the_last_line_counts) {
        Tally tally = {0};
        Fixture fixture;

        tally_add(&tally, &alpha, VERDICT_PASS);
        tally_add(&tally, &alpha, VERDICT_PASS);
        tally_add(&tally, &beta, VERDICT_WARN);
        fixture_init(&fixture, false, false);
        table_foot(&fixture.table, &tally);
        expect(&fixture, "\n3 checks: 2 pass, 1 warn, 0 fail, 0 skip; there are warnings\n");
        fixture_init(&fixture, true, true);
        table_foot(&fixture.table, &tally);
        expect(&fixture,
               "\n3 checks: \033[32m2 pass" OFF ", \033[33m1 warn" OFF ", 0 fail, 0 skip; there are warnings\n");
}

TEST(a_list_has_ids_and_titles) {
        Fixture fixture;

        fixture_init(&fixture, false, false);
        table_list(&fixture.table, places, ARRAY_SIZE(places));
        expect(&fixture, "a.alpha      alpha is there\nb.beta_long  beta is\n");
}

/* ---- for machines ---- */

TEST(the_document_has_every_field) {
        Inspected all[] = {inspected(0, VERDICT_PASS, "it is", NULL),
                           inspected(1, VERDICT_FAIL, "it is not", "make it")};
        CLEANUP_JSON_TEXT char *text = NULL;
        CLEANUP_FREE char *wanted = NULL;
        Tally tally = {0};

        for (size_t i = 0; i < ARRAY_SIZE(all); i++)
                tally_add(&tally, all[i].place.check, all[i].finding.verdict);

        CLEANUP_JSON cJSON *document = document_new(&host, all, ARRAY_SIZE(all), &tally);
        text = cJSON_PrintUnformatted(document);
        wanted = text_format(
                "{\"version\":\"%s\",\"host\":{\"name\":\"host\",\"system\":\"Debian\",\"kernel\":\"6.1\","
                "\"machine\":\"x86_64\",\"user_id\":%u},\"checks\":["
                "{\"id\":\"a.alpha\",\"group\":\"a\",\"title\":\"alpha is there\",\"verdict\":\"pass\","
                "\"seen\":\"it "
                "is\",\"remedy\":null,\"fixes\":[],\"repairs\":[],\"verdict_before\":null,\"duration_ms\":1.5},"
                "{\"id\":\"b.beta_long\",\"group\":\"b\",\"title\":\"beta is\",\"verdict\":\"fail\","
                "\"seen\":\"it is not\",\"remedy\":\"make "
                "it\",\"fixes\":[],\"repairs\":[],\"verdict_before\":null,\"duration_ms\":1.5}],"
                "\"counts\":{\"pass\":1,\"skip\":0,\"warn\":0,\"fail\":1},\"exit_status\":2}",
                TEE_VERSION, (unsigned) geteuid());
        assert_string_equal(text, wanted);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(in_a_pipe_a_row_is_a_line_and_its_remedy_another),
                cmocka_unit_test(on_a_terminal_long_words_go_on_below_and_colours_tell_the_verdict),
                cmocka_unit_test(no_color_leaves_a_terminal_its_wrapping),
                cmocka_unit_test(the_last_line_counts),
                cmocka_unit_test(a_list_has_ids_and_titles),
                cmocka_unit_test(the_document_has_every_field),
        };

        return RUN_TESTS(tests);
}
