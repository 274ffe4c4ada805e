/* SPDX-License-Identifier: Apache-2.0 */

/* Real programs, run to their end: what they print, how they end, and what they must not be able to do: to hold this
 * program up, or what it has open. */

#include "process.h"
#include "text.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define OUTPUT_MAX ((size_t) 64 * 1024)
#define LINES_MAX 8U

typedef struct Fixture {
        Loop loop;
        Buffer output;
        char *lines[LINES_MAX], *status[LINES_MAX];
        size_t lines_size, status_size; /* of all that came, also what had no room */
        char folder[32];
        char *go; /* a file that a line of the process makes */
} Fixture;

static int set_up(void **state) {
        Fixture *fixture = calloc(1, sizeof(*fixture));

        assert_non_null(fixture);
        *fixture = (Fixture){.output = BUFFER_INIT(OUTPUT_MAX), .folder = "build/test-process-XXXXXX"};
        assert_int_equal(loop_init(&fixture->loop), 0);
        /* What a process leaves behind is ours to collect. */
        assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
        assert_non_null(mkdtemp(fixture->folder));
        fixture->go = text_format("%s/go", fixture->folder);
        assert_non_null(fixture->go);
        *state = fixture;
        return 0;
}

static int tear_down(void **state) {
        Fixture *fixture = *state;
        CLEANUP_FREE char *ended = text_format("%s/ended", fixture->folder);

        for (size_t i = 0; i < LINES_MAX; i++) {
                free(fixture->lines[i]);
                free(fixture->status[i]);
        }
        (void) unlink(fixture->go);
        (void) unlink(ended);
        assert_int_equal(rmdir(fixture->folder), 0);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nothing is left */
        assert_int_equal(errno, ECHILD);
        loop_deinit(&fixture->loop);
        buffer_deinit(&fixture->output);
        free(fixture->go);
        free(fixture);
        return 0;
}

#define WITH_LOOP(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static void keep(char **lines, size_t *size, const char *line) {
        if (*size < LINES_MAX)
                assert_non_null(lines[*size] = strdup(line));
        (*size)++;
}

static void on_line(const char *line, void *userdata) {
        Fixture *fixture = userdata;

        keep(fixture->lines, &fixture->lines_size, line);
}

static void on_status(const char *line, void *userdata) {
        Fixture *fixture = userdata;

        keep(fixture->status, &fixture->status_size, line);
}

static const char *text_of(const Fixture *fixture) {
        return fixture->output.data ? (const char *) fixture->output.data : "";
}

/* Runs a script whose $1 is the folder; most_usec 0: as long as it takes. */
static int run_script(Fixture *fixture, const char *script, ProcessLine line, ProcessLine status, uint64_t most_usec) {
        const char *const argv[] = {"sh", "-c", script, "sh", fixture->folder, NULL};
        Process process = {.argv = argv, .line = line, .status = status, .userdata = fixture, .most_usec = most_usec};

        return process_run(&fixture->loop, &process, &fixture->output);
}

static int run(Fixture *fixture, const char *script) {
        return run_script(fixture, script, NULL, NULL, 0);
}

/* Ends a process that was left behind, whose number stands at the start of text. */
static void collect(const char *text, int wanted_signal) {
        pid_t pid = (pid_t) strtol(text, NULL, 10);
        int status;

        assert_true(pid > 1);
        (void) kill(pid, SIGTERM);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        if (wanted_signal)
                assert_int_equal(WTERMSIG(status), wanted_signal);
}

/* ---- how it ends ---- */

TEST(its_exit_status_is_told) {
        Fixture *fixture = *state;

        assert_int_equal(run(fixture, "exit 0"), 0);
        assert_int_equal(run(fixture, "exit 1"), 1);
        assert_int_equal(run(fixture, "exit 255"), 255);
}

TEST(its_end_by_a_signal_is_told) {
        Fixture *fixture = *state;

        assert_int_equal(run(fixture, "kill -KILL $$"), -EPROTO);
        assert_int_equal(run(fixture, "kill -TERM $$"), -EPROTO);
        assert_int_equal(run(fixture, "kill -INT $$"), -EPROTO);
        assert_false(fixture->loop.interrupted);
}

TEST(a_program_that_is_not_there_is_told) {
        static const char *const nowhere[] = {"tee-no-such-program", NULL}, *const path[] = {"/nowhere/program", NULL},
                                 *const text[] = {"/etc/passwd", NULL};
        Fixture *fixture = *state;
        Process process = {.argv = nowhere};

        assert_int_equal(process_run(&fixture->loop, &process, &fixture->output), -ENOENT);
        process.argv = path;
        assert_int_equal(process_run(&fixture->loop, &process, &fixture->output), -ENOENT);
        process.argv = text;
        assert_int_equal(process_run(&fixture->loop, &process, NULL), -EACCES);
        assert_int_equal(fixture->output.size, 0);
        assert_int_equal(run(fixture, "echo still"), 0); /* and the loop is as it was */
        assert_string_equal(text_of(fixture), "still\n");
}

/* ---- what it prints ---- */

TEST(what_it_prints_is_kept_byte_for_byte) {
        static const struct {
                const char *script, *output;
        } cases[] = {
                {"echo text", "text\n"},
                {"printf text", "text"},
                {"echo out; echo err >&2; printf end", "out\nerr\nend"},
                {"printf 'a\\r\\n\\n\\n'", "a\r\n\n\n"},
                {":", ""},
        };
        Fixture *fixture = *state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                buffer_clear(&fixture->output);
                assert_int_equal(run(fixture, cases[i].script), 0);
                assert_string_equal(text_of(fixture), cases[i].output);
        }
}

TEST(lines_come_one_by_one_also_the_last_without_an_end) {
        Fixture *fixture = *state;

        assert_int_equal(
                run_script(fixture, "printf 'one\\n 2 %%\\r3\\r\\n\\n'; echo four >&2; printf five", on_line, NULL, 0),
                0);
        assert_int_equal(fixture->lines_size, 5);
        assert_string_equal(fixture->lines[0], "one");
        assert_string_equal(fixture->lines[1], " 2 %");
        assert_string_equal(fixture->lines[2], "3");
        assert_string_equal(fixture->lines[3], "four");
        assert_string_equal(fixture->lines[4], "five");
        assert_int_equal(fixture->status_size, 0);
}

TEST(a_line_beyond_the_bound_comes_in_pieces) {
        Fixture *fixture = *state;
        size_t whole = 0;

        assert_int_equal(run_script(fixture, "head -c 20000 /dev/zero | tr '\\0' x; echo; echo end", on_line, NULL, 0),
                         0);
        assert_int_equal(fixture->lines_size, 4);
        for (size_t i = 0; i < 3; i++)
                whole += strspn(fixture->lines[i], "x");
        assert_int_equal(whole, 20000);
        assert_string_equal(fixture->lines[3], "end");
}

TEST(of_much_output_the_end_is_kept) {
        Fixture *fixture = *state;
        static const char end[] = "\n99999\n100000\n";

        fixture->output.limit = 4096;
        assert_int_equal(run_script(fixture, "seq 1 100000", on_line, NULL, 0), 0);
        assert_int_equal(fixture->output.size, 4096);
        assert_string_equal(text_of(fixture) + fixture->output.size - strlen(end), end);
        assert_int_equal(fixture->lines_size, 100000);
}

TEST(without_a_buffer_lines_alone_are_told) {
        static const char *const argv[] = {"echo", "one", NULL};
        Fixture *fixture = *state;
        Process process = {.argv = argv, .line = on_line, .userdata = fixture};

        assert_int_equal(process_run(&fixture->loop, &process, NULL), 0);
        assert_int_equal(fixture->lines_size, 1);
        assert_string_equal(fixture->lines[0], "one");
}

TEST(its_status_lines_are_apart_from_its_output) {
        Fixture *fixture = *state;

        assert_int_equal(
                run_script(fixture, "echo one >&3; echo text; printf 'two\\nthree' >&3", on_line, on_status, 0), 0);
        assert_string_equal(text_of(fixture), "text\n");
        assert_int_equal(fixture->lines_size, 1);
        assert_int_equal(fixture->status_size, 3);
        assert_string_equal(fixture->status[0], "one");
        assert_string_equal(fixture->status[1], "two");
        assert_string_equal(fixture->status[2], "three");
}

/* ---- what it is given ---- */

TEST(its_stdin_is_empty) {
        Fixture *fixture = *state;

        assert_int_equal(run(fixture, "wc -c"), 0);
        assert_int_equal(strtol(text_of(fixture), NULL, 10), 0);
}

static const char list_descriptors[] =
        "i=0; while [ $i -lt 300 ]; do [ -e /proc/$$/fd/$i ] && printf '%s ' $i; i=$((i+1)); done; :";

TEST(it_has_no_descriptor_but_its_own) {
        Fixture *fixture = *state;
        int inherited[2]; /* as if this program had been started with them; NOLINTBEGIN(android-cloexec-*) */

        inherited[0] = fcntl(STDERR_FILENO, F_DUPFD, 20);
        inherited[1] = fcntl(STDERR_FILENO, F_DUPFD, 200);
        assert_true(inherited[0] >= 0 && inherited[1] >= 0); /* NOLINTEND(android-cloexec-*) */
        assert_int_equal(run(fixture, list_descriptors), 0);
        assert_string_equal(text_of(fixture), "0 1 2 ");
        buffer_clear(&fixture->output);
        assert_int_equal(run_script(fixture, list_descriptors, NULL, on_status, 0), 0);
        assert_string_equal(text_of(fixture), "0 1 2 3 ");
        (void) close(inherited[0]);
        (void) close(inherited[1]);
}

static size_t count_descriptors(void) {
        size_t n = 0;

        for (int fd = 0; fd < 300; fd++)
                n += fcntl(fd, F_GETFD) >= 0;
        return n;
}

TEST(nothing_of_it_stays_open_here) {
        static const char *const nowhere[] = {"tee-no-such-program", NULL};
        Fixture *fixture = *state;
        Process process = {.argv = nowhere, .status = on_status};
        size_t before;

        assert_int_equal(run(fixture, ":"), 0);
        before = count_descriptors();
        for (size_t i = 0; i < 5; i++) {
                assert_int_equal(run_script(fixture, "echo x; echo y >&3", on_line, on_status, 0), 0);
                assert_int_equal(process_run(&fixture->loop, &process, NULL), -ENOENT);
        }
        assert_int_equal(count_descriptors(), before);
}

/* A shell takes the last of two variables of a name, and apt the first. */
TEST(a_variable_that_is_added_is_there_once) {
        static const char *const argv[] = {"sh", "-c", "env | grep ^TEE_TEST | sort; echo $TEE_TEST_A", NULL},
                                 *const added[] = {"TEE_TEST_A=new=value", "TEE_TEST_C=", NULL};
        Fixture *fixture = *state;
        Process process = {.argv = argv, .added = added};

        assert_int_equal(setenv("TEE_TEST_A", "old", 1), 0);
        assert_int_equal(setenv("TEE_TEST_AB", "kept", 1), 0);
        assert_int_equal(setenv("TEE_TEST_C", "old", 1), 0);
        assert_int_equal(process_run(&fixture->loop, &process, &fixture->output), 0);
        assert_string_equal(text_of(fixture), "TEE_TEST_A=new=value\nTEE_TEST_AB=kept\nTEE_TEST_C=\nnew=value\n");
        buffer_clear(&fixture->output);
        assert_int_equal(run(fixture, "env | grep ^TEE_TEST | sort"), 0); /* and this one's own is as it was */
        assert_string_equal(text_of(fixture), "TEE_TEST_A=old\nTEE_TEST_AB=kept\nTEE_TEST_C=old\n");
}

TEST(it_hears_signals_and_has_a_group_of_its_own) {
        Fixture *fixture = *state;

        assert_int_equal(
                run(fixture, "grep SigBlk /proc/self/status | tr -d 0; set -- $(cat /proc/$$/stat); [ $5 = $$ ]"), 0);
        assert_string_equal(text_of(fixture), "SigBlk:\t\n");
}

/* ---- what it leaves behind ---- */

TEST(a_service_that_it_starts_does_not_hold_this_up) {
        Fixture *fixture = *state;

        assert_int_equal(run(fixture, "echo first; sleep 1000 & echo $!; exit 3"), 3);
        assert_memory_equal(text_of(fixture), "first\n", 6);
        collect(text_of(fixture) + 6, SIGTERM);
}

TEST(a_service_that_prints_without_end_does_not_hold_this_up) {
        Fixture *fixture = *state;

        assert_int_equal(run_script(fixture, "yes & echo $! >&3; exit 4", on_line, on_status, 0), 4);
        assert_int_equal(fixture->status_size, 1);
        collect(fixture->status[0], 0);
}

/* ---- time and interruption ---- */

TEST(at_the_end_of_its_time_the_whole_group_is_killed) {
        Fixture *fixture = *state;

        assert_int_equal(
                run_script(fixture, "trap '' TERM INT; sleep 1000 & echo $!; wait", NULL, NULL, 2 * USEC_PER_SEC),
                -ETIMEDOUT);
        collect(text_of(fixture), SIGKILL);
}

TEST(one_that_prints_without_end_has_no_more_time) {
        Fixture *fixture = *state;

        fixture->output.limit = 4096;
        assert_int_equal(run_script(fixture, "exec yes", NULL, NULL, 2 * USEC_PER_SEC), -ETIMEDOUT);
        assert_int_equal(fixture->output.size, 4096);
}

TEST(after_an_interruption_nothing_is_started) {
        Fixture *fixture = *state;

        fixture->loop.interrupted = true;
        assert_int_equal(run(fixture, ": >$1/go"), -EINTR);
        assert_int_equal(access(fixture->go, F_OK), -1);
        assert_true(fixture->loop.interrupted);
        loop_pardon(&fixture->loop);
        assert_int_equal(run(fixture, ": >$1/go"), 0);
        assert_int_equal(access(fixture->go, F_OK), 0);
}

static bool has_ended_well(const Fixture *fixture) {
        CLEANUP_FREE char *ended = text_format("%s/ended", fixture->folder);

        return access(ended, F_OK) == 0;
}

/* The process makes the interruption, too, when it is ready to hear of it. */
TEST(an_interruption_is_handed_on_and_the_end_awaited) {
        Fixture *fixture = *state;

        assert_int_equal(run(fixture, "trap 'echo got; : >$1/ended; exit 7' INT; kill -INT $PPID; while :; do :; done"),
                         -EINTR);
        assert_true(fixture->loop.interrupted);
        assert_true(has_ended_well(fixture));
        assert_string_equal(text_of(fixture), "got\n");
}

TEST(sigterm_is_handed_on_as_an_interruption) {
        Fixture *fixture = *state;

        assert_int_equal(run(fixture, "trap ': >$1/ended; exit 7' INT; kill -TERM $PPID; while :; do :; done"), -EINTR);
        assert_true(fixture->loop.interrupted);
        assert_true(has_ended_well(fixture));
}

static void interrupt_again(const char *line, void *userdata) {
        const Fixture *fixture = userdata;
        CLEANUP_FD int fd = -1;

        if (strcmp(line, "got") != 0)
                return;
        assert_int_equal(raise(SIGINT), 0); /* heard by the loop, since it is blocked */
        fd = open(fixture->go, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
}

/* dpkg in the middle of its work must not die of an impatient hand. */
TEST(a_second_interruption_does_not_kill) {
        Fixture *fixture = *state;

        assert_int_equal(run_script(fixture,
                                    "trap 'echo got' INT; kill -INT $PPID; while [ ! -e $1/go ]; do :; done; i=0; "
                                    "while [ $i -lt 20000 ]; do i=$((i+1)); done; : >$1/ended",
                                    interrupt_again, NULL, 0),
                         -EINTR);
        assert_true(fixture->loop.interrupted);
        assert_true(has_ended_well(fixture));
        assert_string_equal(text_of(fixture), "got\n");
}

TEST(one_that_does_not_heed_an_interruption_is_killed_at_the_end_of_its_time) {
        Fixture *fixture = *state;

        assert_int_equal(run_script(fixture, "trap '' INT; sleep 1000 & echo $!; kill -INT $PPID; wait", NULL, NULL,
                                    2 * USEC_PER_SEC),
                         -EINTR);
        assert_true(fixture->loop.interrupted);
        collect(text_of(fixture), SIGKILL);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                WITH_LOOP(its_exit_status_is_told),
                WITH_LOOP(its_end_by_a_signal_is_told),
                WITH_LOOP(a_program_that_is_not_there_is_told),
                WITH_LOOP(what_it_prints_is_kept_byte_for_byte),
                WITH_LOOP(lines_come_one_by_one_also_the_last_without_an_end),
                WITH_LOOP(a_line_beyond_the_bound_comes_in_pieces),
                WITH_LOOP(of_much_output_the_end_is_kept),
                WITH_LOOP(without_a_buffer_lines_alone_are_told),
                WITH_LOOP(its_status_lines_are_apart_from_its_output),
                WITH_LOOP(its_stdin_is_empty),
                WITH_LOOP(it_has_no_descriptor_but_its_own),
                WITH_LOOP(nothing_of_it_stays_open_here),
                WITH_LOOP(a_variable_that_is_added_is_there_once),
                WITH_LOOP(it_hears_signals_and_has_a_group_of_its_own),
                WITH_LOOP(a_service_that_it_starts_does_not_hold_this_up),
                WITH_LOOP(a_service_that_prints_without_end_does_not_hold_this_up),
                WITH_LOOP(at_the_end_of_its_time_the_whole_group_is_killed),
                WITH_LOOP(one_that_prints_without_end_has_no_more_time),
                WITH_LOOP(after_an_interruption_nothing_is_started),
                WITH_LOOP(an_interruption_is_handed_on_and_the_end_awaited),
                WITH_LOOP(sigterm_is_handed_on_as_an_interruption),
                WITH_LOOP(a_second_interruption_does_not_kill),
                WITH_LOOP(one_that_does_not_heed_an_interruption_is_killed_at_the_end_of_its_time),
        };

        return RUN_TESTS(tests);
}
