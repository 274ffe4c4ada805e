/* SPDX-License-Identifier: Apache-2.0 */

/* A health checker is used when something is broken, so it must not hang or die of what is broken. Each check runs in a
 * child process, which sends its finding through a pipe and is killed at its deadline. One loop for all checks would
 * bound only those waits that are made in the loop; files on a dead network disk, a name service that is gone and a
 * crash in a parser of somebody else's bytes would take the whole run with them. And a check can be written as straight
 * code that waits where it has to.
 *
 * The checks run one after another, from cheap to dear: what hangs is then the check that is being shown, and the host
 * is not asked many things at once. What it costs is a fork each, about a millisecond, and that what one check has
 * asked of Docker or the agent is asked again by the next. A check that could tell nothing because of an earlier one's
 * failure is not run at all, so that a dead Docker costs one deadline and not one for each.
 *
 * What a check makes outside of its process does not go with that: it takes it down itself, also when it is
 * interrupted; for one that was killed or has crashed another process does it (tidy).
 *
 * A finding fits into the pipe, so a child that is done never waits for its reader, and its end is all that has to be
 * waited for. */

#include "inspection.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define FAREWELL_USEC (20 * USEC_PER_SEC) /* of a check that is interrupted: it takes down what it has made */
#define TIDY_MS UINT64_C(20000)

#define REMEDY_FAULT "a fault of tee-health's own: please report it"

/* ---- the child ---- */

static int send_finding(int fd, const Finding *finding) {
        CLEANUP_BUFFER Buffer bytes = BUFFER_INIT(FINDING_BYTES_MAX);
        int r = finding_encode(finding, &bytes);

        if (r < 0)
                return r;
        return write(fd, bytes.data, bytes.size) == (ssize_t) bytes.size ? 0 : -EIO;
}

typedef void (*Look)(Context *context, Finding *finding);

/* It must not outlive its parent: SIGTERM is heard by a check that waits in the loop, and takes what that has started
 * with it; the alarm is for one that waits elsewhere. What a library prints on stdout must not get into a report. */
static _Noreturn void run_child(const Places *places, Look look, uint64_t deadline_ms, pid_t parent, int fd) {
        Context context;
        Finding finding = {0};
        int r;

        (void) prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent)
                _exit(EXIT_FAILURE);
        (void) alarm((unsigned) (deadline_ms / 1000) + 2);
        (void) dup2(STDERR_FILENO, STDOUT_FILENO);
        r = context_init(&context, places, deadline_ms);
        if (r >= 0)
                look(&context, &finding);
        else
                finding_skip(&finding, NULL, "the check could not be begun: %s", strerror(-r));
        context_deinit(&context);
        r = send_finding(fd, &finding);
        finding_deinit(&finding);
        _exit(r < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

/* ---- the parent ---- */

typedef struct Child {
        pid_t pid;
        int pidfd, pipe_fd;
} Child;

static int start(const Places *places, Look look, uint64_t deadline_ms, Child *ret_child) {
        CLEANUP_FD int read_fd = -1, write_fd = -1;
        pid_t parent = getpid(), pid;
        int fds[2], pidfd;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        read_fd = fds[0];
        write_fd = fds[1];
        (void) fflush(NULL); /* or the child would have it, too */
        pid = fork();
        if (pid < 0)
                return -errno;
        if (pid == 0)
                run_child(places, look, deadline_ms, parent, write_fd);
        pidfd = pidfd_open(pid, 0);
        if (pidfd < 0) {
                int r = -errno;

                (void) kill(pid, SIGKILL);
                (void) waitpid(pid, NULL, 0);
                return r;
        }
        *ret_child = (Child){.pid = pid, .pidfd = pidfd, .pipe_fd = take_fd(&read_fd)};
        return 0;
}

static int on_end(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        bool *ended = userdata;

        (void) source;
        (void) fd;
        (void) events;
        *ended = true;
        return 0;
}

/* Returns 0 when it has ended, -ETIMEDOUT when it still runs at its deadline. One that is interrupted ends in its own
 * way, and quickly: -EINTR then, however it has ended. */
static int await_end(Loop *loop, const Child *child, uint64_t deadline_ms) {
        CLEANUP(sd_event_source_unrefp) sd_event_source *source = NULL;
        bool ended = false;
        int r = sd_event_add_io(loop->event, &source, child->pidfd, EPOLLIN, on_end, &ended);

        if (r >= 0)
                r = sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        if (r >= 0)
                r = loop_await(loop, &ended, deadline_ms * USEC_PER_MSEC);
        if (r != -EINTR)
                return r;
        (void) kill(child->pid, SIGTERM);
        loop_pardon(loop);
        (void) loop_await(loop, &ended, FAREWELL_USEC);
        loop->interrupted = true;
        if (!ended)
                (void) kill(child->pid, SIGKILL);
        return -EINTR;
}

/* All that is in the pipe; there is no writer any more, or one that will not be waited for. */
static int receive_finding(const Child *child, Finding *ret_finding) {
        uint8_t bytes[FINDING_BYTES_MAX + 1];
        ssize_t n;

        if (fcntl(child->pipe_fd, F_SETFL, O_NONBLOCK) < 0)
                return -errno;
        n = read(child->pipe_fd, bytes, sizeof(bytes));
        return n < 0 ? -errno : finding_decode(bytes, (size_t) n, ret_finding);
}

/* What it says only counts when it has come to its end. Returns whether it has. */
static bool judge_end(const Child *child, int status, Finding *finding) {
        if (WIFSIGNALED(status))
                finding_fail(finding, REMEDY_FAULT, "the check was ended by SIG%s", sigabbrev_np(WTERMSIG(status)));
        else if (WEXITSTATUS(status) != EXIT_SUCCESS || receive_finding(child, finding) < 0)
                finding_fail(finding, REMEDY_FAULT, "the check ended without a verdict (exit status %d)",
                             WEXITSTATUS(status));
        else
                return true;
        return false;
}

/* Returns 0 when it has come to its end, else a negative errno; there is a finding in either case. */
static int run(const Inspection *inspection, Look look, uint64_t deadline_ms, Finding *finding) {
        Child child = {.pidfd = -1, .pipe_fd = -1};
        int r = start(&inspection->places, look, deadline_ms, &child), status = 0;

        if (r < 0) {
                finding_skip(finding, NULL, "the check could not be begun: %s", strerror(-r));
                return 0; /* it has left nothing behind */
        }
        r = await_end(inspection->loop, &child, deadline_ms);
        if (r < 0 && r != -EINTR)
                (void) kill(child.pid, SIGKILL);
        while (waitpid(child.pid, &status, 0) < 0 && errno == EINTR)
                ;
        if (r >= 0 || r == -EINTR)
                r = judge_end(&child, status, finding) ? r : r == -EINTR ? -EINTR : -EPROTO;
        else
                finding_fail(finding, "see what hangs; more time is given with --timeout SECONDS",
                             "the check had no verdict after %llu.%llu s and was ended",
                             (unsigned long long) deadline_ms / 1000, (unsigned long long) deadline_ms % 1000 / 100);
        (void) close_fd(child.pidfd);
        (void) close_fd(child.pipe_fd);
        return r;
}

static void tidy(const Inspection *inspection, const Check *check, Finding *finding) {
        Finding left = {0};
        bool interrupted = inspection->loop->interrupted;

        loop_pardon(inspection->loop);
        (void) run(inspection, check->tidy, TIDY_MS, &left);
        inspection->loop->interrupted |= interrupted;
        if (left.verdict >= VERDICT_WARN)
                finding_add(finding, finding->verdict, left.remedy, "%s", left.seen ? left.seen : "");
        finding_deinit(&left);
}

int inspection_run(const Inspection *inspection, const Check *check, Finding *ret_finding) {
        uint64_t deadline_ms = inspection->deadline_ms;
        int r;

        if (deadline_ms == 0)
                deadline_ms = check->deadline_ms > 0 ? check->deadline_ms : CHECK_DEADLINE_MS;
        *ret_finding = (Finding){0};
        r = run(inspection, check->look, deadline_ms, ret_finding);
        if (r < 0 && check->tidy)
                tidy(inspection, check, ret_finding);
        return inspection->loop->interrupted ? -EINTR : 0;
}

/* ---- in turn ---- */

void inspected_deinit(Inspected *inspected) {
        finding_deinit(&inspected->finding);
        for (size_t i = 0; i < inspected->repaired_size; i++) {
                fix_deinit(&inspected->repaired[i].fix);
                free(inspected->repaired[i].output);
        }
        *inspected = (Inspected){0};
}

static const Inspected *find(const Inspected *inspected, size_t size, const char *id) {
        for (size_t i = 0; id && i < size; i++)
                if (strcmp(inspected[i].place.check->id, id) == 0)
                        return &inspected[i];
        return NULL;
}

int inspection_next(const Inspection *inspection, Inspected *inspected, size_t index) {
        Inspected *one = &inspected[index];
        const Check *check = one->place.check;
        const Inspected *needed = find(inspected, index, check->needs);
        uint64_t begun = now_usec();
        int r = 0;

        one->finding = (Finding){0};
        if (needed && needed->finding.verdict == VERDICT_FAIL)
                finding_skip(&one->finding, NULL, "%s has failed", check->needs);
        else if (needed && needed->finding.verdict == VERDICT_SKIP)
                finding_skip(&one->finding, NULL, "%s was skipped", check->needs);
        else
                r = inspection_run(inspection, check, &one->finding);
        one->duration_usec = now_usec() - begun;
        return r;
}
