/* SPDX-License-Identifier: Apache-2.0 */

/* gVisor's program: is it one, and is all of it there? */

#include "runsc.h"
#include "text.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

typedef struct Fixture {
        char folder[64];
        char *runsc, *parts;
        Trouble trouble;
} Fixture;

static void fixture_init(Fixture *fixture) {
        *fixture = (Fixture){.folder = "/tmp/tee-test-XXXXXX"};
        assert_non_null(mkdtemp(fixture->folder));
        fixture->runsc = text_format("%s/runsc", fixture->folder);
        fixture->parts = text_format("%s/gvisor-bin", fixture->folder);
        assert_true(fixture->runsc && fixture->parts);
}

static void fixture_deinit(Fixture *fixture) {
        (void) rmdir(fixture->parts);
        assert_int_equal(rmdir(fixture->folder), 0);
        free(fixture->runsc);
        free(fixture->parts);
        trouble_deinit(&fixture->trouble);
}

TEST(a_release_of_one_program_needs_no_folder) {
        static const char *const versions[] = {"0.0~20221219.0", "0.0~20240729.0", "release-20260630.0", "",
                                               "release-1.0"};
        Fixture fixture;

        fixture_init(&fixture);
        for (size_t i = 0; i < ARRAY_SIZE(versions); i++)
                assert_int_equal(runsc_check_parts(fixture.runsc, versions[i], &fixture.trouble), 0);
        fixture_deinit(&fixture);
}

TEST(a_release_of_several_programs_needs_all_of_it) {
        CLEANUP_FREE char *file = NULL;
        Fixture fixture;

        fixture_init(&fixture);
        assert_int_equal(runsc_check_parts(fixture.runsc, "release-20260701.0", &fixture.trouble), -ENOENT);
        assert_contains(fixture.trouble.message, fixture.parts);
        assert_non_null(fixture.trouble.remedy);
        assert_int_equal(mkdir(fixture.parts, 0700), 0);
        assert_int_equal(runsc_check_parts(fixture.runsc, "release-20261231.1", &fixture.trouble), -ENOENT);
        file = text_format("%s/sentry", fixture.parts);
        assert_non_null(file);
        assert_true(close(creat(file, 0600)) == 0);
        assert_int_equal(runsc_check_parts(fixture.runsc, "release-20261231.1", &fixture.trouble), 0);
        assert_int_equal(unlink(file), 0);
        fixture_deinit(&fixture);
}

TEST(another_program_is_no_runsc) {
        CLEANUP_FREE char *version = NULL;
        Trouble trouble = {0};
        Loop loop;

        assert_int_equal(loop_init(&loop), 0);
        assert_int_equal(runsc_version(&loop, "/bin/cat", 0, &trouble, &version), -ENOEXEC);
        assert_contains(trouble.message, "/bin/cat is no runsc");
        assert_null(version);
        trouble_deinit(&trouble);
        loop_deinit(&loop);
}

TEST(the_date_of_a_release_is_found_in_every_form_of_version) {
        assert_int_equal(runsc_release("release-20240807.0"), 20240807);
        assert_int_equal(runsc_release("0.0~20221219.0"), 20221219);
        assert_int_equal(runsc_release("20251208.0"), 20251208);
        assert_int_equal(runsc_release("release-20260701.0-12-gabcdef"), 20260701);
        assert_int_equal(runsc_release("VERSION_MISSING"), 0);
        assert_int_equal(runsc_release("1234567890.0"), 0);
        assert_int_equal(runsc_release(""), 0);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_release_of_one_program_needs_no_folder),
                cmocka_unit_test(a_release_of_several_programs_needs_all_of_it),
                cmocka_unit_test(another_program_is_no_runsc),
                cmocka_unit_test(the_date_of_a_release_is_found_in_every_form_of_version),
        };

        return RUN_TESTS(tests);
}
