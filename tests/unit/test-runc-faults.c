/* SPDX-License-Identifier: Apache-2.0 */

/* Which vulnerabilities a runc has: neither a wolf cried nor one overlooked. */

#include "runc-faults.h"
#include "unit.h"

static void expect(const char *version, const char *changelog, const char *faults) {
        CLEANUP_FREE char *found = runc_faults(version, changelog);

        assert_case(found && strcmp(found, faults) == 0, "%s: '%s'", version, found ? found : "NULL");
}

#define OF_2026 "CVE-2026-41579, CVE-2026-119101"
#define OF_2025 "CVE-2025-31133, CVE-2025-52565, CVE-2025-52881"

TEST(each_branch_is_mended_from_its_own_version_on) {
        expect("1.1.11", "", "CVE-2024-21626, CVE-2024-45310, " OF_2025 ", " OF_2026);
        expect("1.1.12", "", "CVE-2024-45310, " OF_2025 ", " OF_2026);
        expect("1.1.14", "", OF_2025 ", " OF_2026);
        expect("1.2.7", "", OF_2025 ", " OF_2026);
        expect("1.2.8", "", OF_2026);
        expect("1.3.2", "", OF_2025 ", " OF_2026);
        expect("1.3.3", "", OF_2026);
        expect("1.3.6", "", "CVE-2026-119101");
        expect("1.3.7", "", "");
        expect("1.4.2", "", OF_2026);
        expect("1.4.3", "", "CVE-2026-119101");
        expect("1.4.4", "", "");
        expect("1.5.2", "", "CVE-2026-119101");
        expect("1.5.3", "", "");
        expect("1.6.0", "", "");
        expect("1.10.0", "", "");
        expect("2.0.0", "", "");
}

TEST(a_candidate_comes_before_its_release) {
        expect("1.4.0-rc.2", "", OF_2025 ", " OF_2026);
        expect("1.4.0-rc.3", "", OF_2026);
        expect("1.4.0~rc3", "", OF_2026);
        expect("1.5.0-rc.2", "", OF_2026);
        expect("1.5.0-rc.3", "", "CVE-2026-119101");
        expect("1.6.0-rc.1", "", "CVE-2026-119101");
        expect("1.6.0-rc.2", "", "");
        expect("1.2.0-rc.2", "", "CVE-2024-45310, " OF_2025 ", " OF_2026);
}

TEST(the_first_versions_have_all_of_them) {
        CLEANUP_FREE char *first = runc_faults("1.0.0-rc6", ""), *later = runc_faults("1.0.0-rc10", ""),
                          *last = runc_faults("1.0.0-rc95", "");

        assert_contains(first, "CVE-2019-5736");
        assert_contains(later, "CVE-2021-30465");
        assert_contains(first, "CVE-2019-16884, CVE-2019-19921");
        assert_null(strstr(later, "CVE-2019-"));
        assert_null(strstr(last, "CVE-2021-30465"));
}

TEST(what_a_distribution_has_mended_is_not_held_against_it) {
        expect("1.1.5+ds1", "  * CVE-2024-21626: several container breakouts\n",
               "CVE-2024-45310, " OF_2025 ", " OF_2026);
        expect("1.1.15+ds1", "(CVE-2025-31133). (CVE-2025-52565), CVE-2026-41579", "CVE-2025-52881, CVE-2026-119101");
        expect("1.3.4", "CVE-2026-415790", OF_2026);
}

TEST(what_is_no_version_is_told_from_one_without_faults) {
        static const char *const none[] = {"", "unknown", "1", "1.2", "v1.2.3", "-1.2.3.", "..."};

        for (size_t i = 0; i < ARRAY_SIZE(none); i++)
                assert_null(runc_faults(none[i], ""));
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_branch_is_mended_from_its_own_version_on),
                cmocka_unit_test(a_candidate_comes_before_its_release),
                cmocka_unit_test(the_first_versions_have_all_of_them),
                cmocka_unit_test(what_a_distribution_has_mended_is_not_held_against_it),
                cmocka_unit_test(what_is_no_version_is_told_from_one_without_faults),
        };

        return RUN_TESTS(tests);
}
