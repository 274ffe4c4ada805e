/* SPDX-License-Identifier: Apache-2.0 */

/* What a host's checks come to, as an exit status that a monitoring system acts on. */

#include "groups.h"
#include "tally.h"
#include "unit.h"

#include <stdio.h>

static const Check vital = {.id = "a.vital", .vital = true}, other = {.id = "a.other"};

/* One letter a check: p, s, w, f, n(one); in upper case for a vital one. */
static HealthStatus status_of(const char *letters) {
        Tally tally = {0};

        for (; *letters; letters++) {
                char letter = (char) (*letters | 0x20);
                Verdict verdict = letter == 'p'   ? VERDICT_PASS
                                  : letter == 's' ? VERDICT_SKIP
                                  : letter == 'w' ? VERDICT_WARN
                                  : letter == 'f' ? VERDICT_FAIL
                                                  : VERDICT_NONE;

                tally_add(&tally, letter == *letters ? &other : &vital, verdict);
        }
        return tally_status(&tally);
}

TEST(the_worst_verdict_is_the_status) {
        assert_int_equal(status_of("pP"), HEALTH_OK);
        assert_int_equal(status_of("pwP"), HEALTH_WARNING);
        assert_int_equal(status_of("wFp"), HEALTH_CRITICAL);
        assert_int_equal(status_of("fw"), HEALTH_CRITICAL);
}

TEST(a_skip_beside_what_matters_is_no_fault) {
        assert_int_equal(status_of("spP"), HEALTH_OK);
        assert_int_equal(status_of("pPS"), HEALTH_OK);
        assert_int_equal(status_of("sp"), HEALTH_OK);
}

TEST(what_could_not_be_looked_at_is_not_well) {
        assert_int_equal(status_of("sss"), HEALTH_UNKNOWN);
        assert_int_equal(status_of("ppSS"), HEALTH_UNKNOWN);
        assert_int_equal(status_of("S"), HEALTH_UNKNOWN);
        assert_int_equal(status_of(""), HEALTH_UNKNOWN);
        assert_int_equal(status_of("pPn"), HEALTH_UNKNOWN);
}

TEST(what_was_seen_counts_more_than_what_was_not) {
        assert_int_equal(status_of("SSw"), HEALTH_WARNING);
        assert_int_equal(status_of("SSf"), HEALTH_CRITICAL);
}

TEST(the_numbers_are_those_of_monitoring_plugins) {
        assert_int_equal(HEALTH_OK, 0);
        assert_int_equal(HEALTH_WARNING, 1);
        assert_int_equal(HEALTH_CRITICAL, 2);
        assert_int_equal(HEALTH_UNKNOWN, 3);
}

/* ---- the table of checks ---- */

static bool is_in(const CheckPlace *places, size_t size, const char *id) {
        for (size_t i = 0; i < size; i++)
                if (strcmp(places[i].check->id, id) == 0)
                        return true;
        return false;
}

TEST(each_check_has_an_id_of_its_own_below_its_group) {
        CheckPlace places[CHECKS_MAX];
        size_t size = checks_select(&(CheckChoice){.on_demand = true}, places);

        assert_true(size >= 12);
        for (size_t i = 0; i < size; i++) {
                const Check *check = places[i].check;
                size_t n = strlen(places[i].group->name);

                assert_false(is_in(places, i, check->id));
                assert_memory_equal(check->id, places[i].group->name, n);
                assert_int_equal(check->id[n], '.');
                assert_int_equal(strspn(check->id, "abcdefghijklmnopqrstuvwxyz0123456789_."), strlen(check->id));
                assert_non_null(check->look);
                assert_int_not_equal(check->title[strlen(check->title) - 1], '.');
        }
}

TEST(what_a_check_needs_comes_before_it) {
        CheckPlace places[CHECKS_MAX];
        size_t size = checks_select(&(CheckChoice){.on_demand = true}, places);

        for (size_t i = 0; i < size; i++)
                if (places[i].check->needs)
                        assert_true(is_in(places, i, places[i].check->needs));
}

TEST(checks_are_picked_by_id_and_by_group_once_and_in_their_order) {
        static const char *const words[] = {"agent.gate", "host", "host.cgroups"}, *const none[] = {"gate"};
        CheckPlace places[CHECKS_MAX];

        size_t size = checks_select(&(CheckChoice){.words = words, .words_size = 3}, places);

        assert_int_equal(size, group_host.size + 1);
        assert_string_equal(places[0].check->id, "host.linux_and_architecture");
        assert_string_equal(places[1].check->id, "host.cgroups");
        assert_string_equal(places[size - 1].check->id, "agent.gate");
        assert_string_equal(places[size - 1].group->name, "agent");
        assert_int_equal(checks_select(&(CheckChoice){.words = none, .words_size = 1}, places), 0);
        assert_true(checks_select(&(CheckChoice){0}, places) <
                    checks_select(&(CheckChoice){.on_demand = true}, places));
        assert_true(checks_have("host"));
        assert_true(checks_have("probe"));
        assert_false(checks_have("host."));
        assert_false(checks_have(""));
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_worst_verdict_is_the_status),
                cmocka_unit_test(a_skip_beside_what_matters_is_no_fault),
                cmocka_unit_test(what_could_not_be_looked_at_is_not_well),
                cmocka_unit_test(what_was_seen_counts_more_than_what_was_not),
                cmocka_unit_test(the_numbers_are_those_of_monitoring_plugins),
                cmocka_unit_test(each_check_has_an_id_of_its_own_below_its_group),
                cmocka_unit_test(what_a_check_needs_comes_before_it),
                cmocka_unit_test(checks_are_picked_by_id_and_by_group_once_and_in_their_order),
        };

        return RUN_TESTS(tests);
}
