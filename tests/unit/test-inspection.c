/* SPDX-License-Identifier: Apache-2.0 */

/* Checks that hang, crash and lie: what is said of them, and that the run goes on. */

#include "inspection.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#define DEADLINE_MS UINT64_C(300)

static void look_well(Context *context, Finding *finding) {
        finding_pass(finding, "config %s, agent %s", context->places.config_path, context->places.agent_socket);
}

static void look_and_fail(Context *context, Finding *finding) {
        (void) context;
        finding_fail(finding, "mend it", "broken");
}

static void look_and_skip(Context *context, Finding *finding) {
        (void) context;
        finding_skip(finding, "run it as root", "not allowed");
}

static void look_for_ever(Context *context, Finding *finding) {
        finding_pass(finding, "not yet");
        (void) loop_sleep(&context->loop, 600 * USEC_PER_SEC);
}

static void look_deafly(Context *context, Finding *finding) {
        (void) context;
        finding_pass(finding, "not yet");
        for (;;)
                (void) pause();
}

static void look_and_crash(Context *context, Finding *finding) {
        (void) context;
        finding_pass(finding, "fine");
        (void) signal(SIGSEGV, SIG_DFL);
        (void) raise(SIGSEGV);
}

static void look_and_leave(Context *context, Finding *finding) {
        (void) context;
        finding_pass(finding, "fine");
        _exit(0);
}

static void look_at_nothing(Context *context, Finding *finding) {
        (void) context;
        (void) finding;
}

static void look_and_talk(Context *context, Finding *finding) {
        (void) context;
        (void) puts("said by a library");
        (void) fflush(stdout);
        finding_pass(finding, "fine");
}

static Loop loop;
static const Inspection inspection = {
        .loop = &loop, .places = {.config_path = "c", .agent_socket = "s"}, .deadline_ms = DEADLINE_MS};

static void expect(void (*look)(Context *, Finding *), Verdict verdict, const char *seen) {
        Check check = {.id = "test.it", .title = "it is so", .look = look};
        Finding finding;

        assert_int_equal(inspection_run(&inspection, &check, &finding), 0);
        assert_case(finding.verdict == verdict, "%s: %s", verdict_name(finding.verdict), finding.seen);
        assert_contains(finding.seen, seen);
        finding_deinit(&finding);
}

TEST(a_finding_comes_from_the_check_with_what_it_was_given) {
        expect(look_well, VERDICT_PASS, "config c, agent s");
        expect(look_and_fail, VERDICT_FAIL, "broken");
        expect(look_and_skip, VERDICT_SKIP, "not allowed");
}

TEST(a_check_that_hangs_is_ended_at_its_deadline) {
        uint64_t begun = now_usec();

        expect(look_for_ever, VERDICT_FAIL, "no verdict after 0.3 s");
        expect(look_deafly, VERDICT_FAIL, "no verdict after 0.3 s");
        assert_true(now_usec() - begun >= 2 * DEADLINE_MS * USEC_PER_MSEC);
        assert_true(now_usec() - begun < 20 * USEC_PER_SEC);
}

TEST(a_check_that_crashes_has_not_passed) {
        expect(look_and_crash, VERDICT_FAIL, "ended by SIGSEGV");
}

TEST(a_check_without_a_verdict_has_not_passed) {
        expect(look_and_leave, VERDICT_FAIL, "without a verdict");
        expect(look_at_nothing, VERDICT_FAIL, "without a verdict");
}

TEST(what_a_check_prints_does_not_get_into_the_report) {
        int out = dup(STDOUT_FILENO), fds[2];
        char text[64];

        assert_true(out >= 0);
        assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
        (void) fflush(stdout);
        assert_true(dup2(fds[1], STDOUT_FILENO) >= 0);
        expect(look_and_talk, VERDICT_PASS, "fine");
        assert_true(dup2(out, STDOUT_FILENO) >= 0);
        assert_true(read(fds[0], text, sizeof(text)) < 0);
        (void) close(out);
        (void) close(fds[0]);
        (void) close(fds[1]);
}

TEST(no_descriptor_and_no_child_is_left) {
        int before = dup(STDIN_FILENO), after;

        (void) close(before);
        expect(look_well, VERDICT_PASS, "config");
        expect(look_deafly, VERDICT_FAIL, "no verdict");
        after = dup(STDIN_FILENO);
        (void) close(after);
        assert_int_equal(before, after);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
        assert_int_equal(errno, ECHILD);
}

/* ---- in turn ---- */

static const Check good = {.id = "a.good", .look = look_well}, bad = {.id = "a.bad", .look = look_and_fail},
                   unseen = {.id = "a.unseen", .look = look_and_skip},
                   on_good = {.id = "b.on_good", .look = look_well, .needs = "a.good"},
                   on_bad = {.id = "b.on_bad", .look = look_well, .needs = "a.bad"},
                   on_unseen = {.id = "b.on_unseen", .look = look_well, .needs = "a.unseen"},
                   on_on_bad = {.id = "c.on_on_bad", .look = look_well, .needs = "b.on_bad"},
                   on_other = {.id = "c.on_other", .look = look_well, .needs = "z.not_selected"};

TEST(a_check_whose_ground_is_missing_is_skipped_with_its_name) {
        static const struct {
                const Check *check;
                Verdict verdict;
                const char *seen;
        } cases[] = {
                {&good, VERDICT_PASS, "config"},
                {&bad, VERDICT_FAIL, "broken"},
                {&unseen, VERDICT_SKIP, "not allowed"},
                {&on_good, VERDICT_PASS, "config"},
                {&on_bad, VERDICT_SKIP, "a.bad has failed"},
                {&on_unseen, VERDICT_SKIP, "a.unseen was skipped"},
                {&on_on_bad, VERDICT_SKIP, "b.on_bad was skipped"},
                {&on_other, VERDICT_PASS, "config"},
        };
        Inspected inspected[ARRAY_SIZE(cases)] = {0};

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                inspected[i].place.check = cases[i].check;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                assert_int_equal(inspection_next(&inspection, inspected, i), 0);
                assert_case(inspected[i].finding.verdict == cases[i].verdict, "case %zu: %s", i,
                            inspected[i].finding.seen);
                assert_contains(inspected[i].finding.seen, cases[i].seen);
        }
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                inspected_deinit(&inspected[i]);
}

/* ---- what a check makes ---- */

static void make_and_wait(Context *context, Finding *finding) {
        (void) kill(getppid(), SIGTERM);
        (void) loop_sleep(&context->loop, 600 * USEC_PER_SEC);
        finding_pass(finding, "taken down");
}

static void take_away(Context *context, Finding *finding) {
        (void) context;
        finding_fail(finding, "rmdir", "seen by tidy");
}

TEST(what_a_killed_check_has_made_is_taken_away) {
        Check check = {.id = "test.it", .look = look_deafly, .tidy = take_away};
        Finding finding;

        assert_int_equal(inspection_run(&inspection, &check, &finding), 0);
        assert_contains(finding.seen, "no verdict after 0.3 s");
        assert_contains(finding.seen, "seen by tidy");
        finding_deinit(&finding);
}

TEST(an_interrupted_check_comes_to_its_end_first) {
        Check check = {.id = "test.it", .look = make_and_wait, .deadline_ms = 60000};
        Inspection patient = {.loop = &loop, .places = inspection.places};
        Finding finding;

        assert_int_equal(inspection_run(&patient, &check, &finding), -EINTR);
        assert_contains(finding.seen, "taken down");
        finding_deinit(&finding);
        assert_true(loop.interrupted);
        loop_pardon(&loop);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_finding_comes_from_the_check_with_what_it_was_given),
                cmocka_unit_test(a_check_that_hangs_is_ended_at_its_deadline),
                cmocka_unit_test(a_check_that_crashes_has_not_passed),
                cmocka_unit_test(a_check_without_a_verdict_has_not_passed),
                cmocka_unit_test(what_a_check_prints_does_not_get_into_the_report),
                cmocka_unit_test(no_descriptor_and_no_child_is_left),
                cmocka_unit_test(a_check_whose_ground_is_missing_is_skipped_with_its_name),
                cmocka_unit_test(what_a_killed_check_has_made_is_taken_away),
                cmocka_unit_test(an_interrupted_check_comes_to_its_end_first),
        };

        if (loop_init(&loop) < 0)
                return EXIT_FAILURE;
        return RUN_TESTS(tests);
}
