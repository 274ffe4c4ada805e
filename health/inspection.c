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
 * A finding fits into the pipe, so a child that is done never waits for its reader, and its end is all that has to be
 * waited for. */

#include "inspection.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define REMEDY_FAULT "a fault of tee-health's own: please report it"

/* ---- the child ---- */

static int send_finding(int fd, const Finding *finding) {
        CLEANUP_BUFFER Buffer bytes = BUFFER_INIT(FINDING_BYTES_MAX);
        int r = finding_encode(finding, &bytes);

        if (r < 0)
                return r;
        return write(fd, bytes.data, bytes.size) == (ssize_t) bytes.size ? 0 : -EIO;
}

/* It must not outlive its parent: SIGTERM is heard by a check that waits in the loop, and takes what that has started
 * with it; the alarm is for one that waits elsewhere. What a library prints on stdout must not get into a report. */
static _Noreturn void run_child(const Inspection *inspection, const Check *check, pid_t parent, int fd) {
        Context context;
        Finding finding = {0};
        int r;

        (void) prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent)
                _exit(EXIT_FAILURE);
        (void) alarm((unsigned) (inspection->deadline_ms / 1000) + 2);
        (void) dup2(STDERR_FILENO, STDOUT_FILENO);
        r = context_init(&context, inspection->config_path, inspection->agent_socket, inspection->deadline_ms);
        if (r >= 0)
                check->look(&context, &finding);
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

static int start(const Inspection *inspection, const Check *check, Child *ret_child) {
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
                run_child(inspection, check, parent, write_fd);
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

/* Returns false when it still runs at its deadline. */
static bool await_end(const Child *child, uint64_t deadline_ms) {
        uint64_t until = now_usec() + deadline_ms * USEC_PER_MSEC;

        for (;;) {
                struct pollfd fd = {.fd = child->pidfd, .events = POLLIN};
                uint64_t now = now_usec();
                int wait_ms = now < until ? (int) ((until - now + USEC_PER_MSEC - 1) / USEC_PER_MSEC) : 0;
                int n = poll(&fd, 1, wait_ms);

                if (n > 0)
                        return true;
                if (n == 0 || errno != EINTR)
                        return false;
        }
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

/* What it says only counts when it has come to its end. */
static void judge_end(const Child *child, int status, Finding *finding) {
        if (WIFSIGNALED(status))
                finding_fail(finding, REMEDY_FAULT, "the check was ended by SIG%s", sigabbrev_np(WTERMSIG(status)));
        else if (WEXITSTATUS(status) != EXIT_SUCCESS || receive_finding(child, finding) < 0)
                finding_fail(finding, REMEDY_FAULT, "the check ended without a verdict (exit status %d)",
                             WEXITSTATUS(status));
}

void inspection_run(const Inspection *inspection, const Check *check, Finding *ret_finding) {
        Child child = {.pidfd = -1, .pipe_fd = -1};
        bool ended;
        int r = start(inspection, check, &child), status = 0;

        *ret_finding = (Finding){0};
        if (r < 0) {
                finding_skip(ret_finding, NULL, "the check could not be begun: %s", strerror(-r));
                return;
        }
        ended = await_end(&child, inspection->deadline_ms);
        if (!ended)
                (void) kill(child.pid, SIGKILL);
        while (waitpid(child.pid, &status, 0) < 0 && errno == EINTR)
                ;
        if (ended)
                judge_end(&child, status, ret_finding);
        else
                finding_fail(ret_finding, "see what hangs; more time is given with --timeout SECONDS",
                             "the check had no verdict after %llu.%llu s and was ended",
                             (unsigned long long) inspection->deadline_ms / 1000,
                             (unsigned long long) inspection->deadline_ms % 1000 / 100);
        (void) close_fd(child.pidfd);
        (void) close_fd(child.pipe_fd);
}

/* ---- in turn ---- */

static const Inspected *find(const Inspected *inspected, size_t size, const char *id) {
        for (size_t i = 0; id && i < size; i++)
                if (strcmp(inspected[i].place.check->id, id) == 0)
                        return &inspected[i];
        return NULL;
}

void inspection_next(const Inspection *inspection, Inspected *inspected, size_t index) {
        Inspected *one = &inspected[index];
        const Check *check = one->place.check;
        const Inspected *needed = find(inspected, index, check->needs);
        uint64_t begun = now_usec();

        one->finding = (Finding){0};
        if (needed && needed->finding.verdict == VERDICT_FAIL)
                finding_skip(&one->finding, NULL, "%s has failed", check->needs);
        else if (needed && needed->finding.verdict == VERDICT_SKIP)
                finding_skip(&one->finding, NULL, "%s was skipped", check->needs);
        else
                inspection_run(inspection, check, &one->finding);
        one->duration_usec = now_usec() - begun;
}
