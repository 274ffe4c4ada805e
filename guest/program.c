/* SPDX-License-Identifier: Apache-2.0 */

/* The guest is PID 1 of the sandbox, so every process in it but the guest belongs to the program, whatever it forked,
 * orphaned or moved to a session of its own; kill(-1) reaches them all, and they all end up as the guest's children.
 * When wait4 knows no child any more, nothing is left that could run, write or fork. Until then it is killed again each
 * time that one has been collected: a kernel may miss a process that is born while the signal goes round.
 *
 * The child shares the guest's memory until its execve, as in posix_spawn(3), because a second address space is dear
 * under gVisor: it would double the time from RUN to the program's first instruction. The guest stands still meanwhile,
 * and reads afterwards how far the child came, so it is known for certain whether the command ever ran. No other
 * process of the program's user exists at that time. */

#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef struct Pipes {
        int out[2];
        int err[2];
} Pipes;

typedef struct Child {
        const Command *command;
        const FrameLimits *limits;
        const Identity *identity;
        int stdin_fd, stdout_fd, stderr_fd;

        /* Written by the child: what it was at, and the errno that it failed with. */
        const char *step;
        FrameFaultReason reason;
        int error;
} Child;

static uint64_t monotonic_usec(void) {
        struct timespec now;

        (void) clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail with this clock */
        return (uint64_t) now.tv_sec * 1000000U + (uint64_t) now.tv_nsec / 1000U;
}

static void fd_close(int *fd) {
        if (*fd >= 0)
                close(*fd);
        *fd = -1;
}

static void pipes_close(Pipes *pipes) {
        for (int i = 0; i < 2; i++) {
                fd_close(&pipes->out[i]);
                fd_close(&pipes->err[i]);
        }
}

static int pipes_open(Pipes *pipes) {
        *pipes = (Pipes){{-1, -1}, {-1, -1}};
        if (pipe2(pipes->out, O_CLOEXEC) < 0 || pipe2(pipes->err, O_CLOEXEC) < 0 ||
            fcntl(pipes->out[0], F_SETFL, O_NONBLOCK) < 0 || fcntl(pipes->err[0], F_SETFL, O_NONBLOCK) < 0)
                return -errno;
        return 0;
}

/* The pipes are made under the program's identity, so that it may open /dev/stdout by its name. */
static int pipes_make(Pipes *pipes, const Identity *identity) {
        int r, error;

        error = identity_borrow(identity);
        if (error < 0)
                return error;
        error = pipes_open(pipes);
        r = identity_return();
        if (error == 0)
                error = r;
        if (error < 0)
                pipes_close(pipes);
        return error;
}

/* Never above what the sandbox was created with: the guest has no right to raise that. */
static int limit_set(int resource, rlim_t soft, rlim_t hard) {
        struct rlimit limit;

        if (getrlimit((__rlimit_resource_t) resource, &limit) < 0)
                return -errno;
        if (hard < limit.rlim_max)
                limit.rlim_max = hard;
        limit.rlim_cur = soft < limit.rlim_max ? soft : limit.rlim_max;
        return setrlimit((__rlimit_resource_t) resource, &limit) < 0 ? -errno : 0;
}

static rlim_t cpu_seconds(uint64_t usec) {
        return usec / 1000000U + (usec % 1000000U != 0);
}

/* CPU time ends with SIGXCPU, and a second later, for a program that catches that, with SIGKILL. RLIMIT_AS is left
 * alone: V8 reserves far more than it uses. */
static int limits_set(const FrameLimits *limits) {
        rlim_t cpu_s = cpu_seconds(limits->cpu_ms * 1000U);
        const struct {
                int resource;
                rlim_t soft, hard;
        } table[] = {
                {RLIMIT_CPU, cpu_s, cpu_s + 1},
                {RLIMIT_FSIZE, limits->file_bytes, limits->file_bytes},
                {RLIMIT_NPROC, limits->processes, limits->processes},
                {RLIMIT_NOFILE, limits->open_files, limits->open_files},
                {RLIMIT_CORE, 0, 0},
        };

        for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
                int r = limit_set(table[i].resource, table[i].soft, table[i].hard);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int stdio_set(const Child *child) {
        if (dup2(child->stdin_fd, STDIN_FILENO) < 0 || dup2(child->stdout_fd, STDOUT_FILENO) < 0 ||
            dup2(child->stderr_fd, STDERR_FILENO) < 0)
                return -errno;
        return 0;
}

/* The guest blocks all signals; their dispositions it has reset before (guest.c). */
static int signals_unblock(void) {
        sigset_t none;

        (void) sigemptyset(&none);
        return sigprocmask(SIG_SETMASK, &none, NULL) < 0 ? -errno : 0;
}

/* Becomes the program, or returns a negative errno. */
static int child_become(Child *child) {
        const Command *command = child->command;
        int r;

        child->step = "session";
        if (setsid() < 0)
                return -errno;
        child->step = "stdio";
        r = stdio_set(child);
        if (r < 0)
                return r;
        child->step = "limits";
        r = limits_set(child->limits);
        if (r < 0)
                return r;
        child->step = "identity";
        r = identity_drop(child->identity);
        if (r < 0)
                return r;
        child->step = "signals";
        r = signals_unblock();
        if (r < 0)
                return r;

        child->step = "exec";
        child->reason = FRAME_FAULT_START;
        execvpe(command->argv[0], (char *const *) command->argv, (char *const *) command->env);
        return -errno;
}

static int child_main(void *userdata) {
        Child *child = userdata;

        child->error = -child_become(child);
        _exit(127);
}

/* Returns once the child has become the program or given up. */
static int child_start(Program *program, Child *child, Fault *fault) {
        pid_t pid;

        if (setenv("PATH", COMMAND_PATH, 1) < 0) /* the guest's own: execvpe looks there */
                return fault_set(fault, FRAME_FAULT_GUEST, errno, "PATH");

        program->start_usec = monotonic_usec();
        pid = clone(child_main, program->child_stack + sizeof(program->child_stack), CLONE_VM | CLONE_VFORK | SIGCHLD,
                    child);
        if (pid < 0)
                return fault_set(fault, FRAME_FAULT_GUEST, errno, "a process for the program");
        program->pid = pid;

        /* The child's giving up root may have changed this for the shared memory (fs.suid_dumpable). */
        if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                return fault_set(fault, FRAME_FAULT_GUEST, errno, "PR_SET_DUMPABLE");
        if (child->error > 0)
                return fault_set(fault, child->reason, child->error, "%s %.200s", child->step, child->command->argv[0]);
        return 0;
}

int program_start(Program *program, const Command *command, const FrameLimits *limits, const Identity *identity,
                  int stdin_fd, Fault *fault) {
        Child child = {
                .command = command,
                .limits = limits,
                .identity = identity,
                .stdin_fd = stdin_fd,
                .reason = FRAME_FAULT_GUEST,
        };
        Pipes pipes;
        int r;

        r = pipes_make(&pipes, identity);
        if (r < 0)
                return fault_set(fault, FRAME_FAULT_GUEST, -r, "pipes");

        child.stdout_fd = pipes.out[1];
        child.stderr_fd = pipes.err[1];
        r = child_start(program, &child, fault);
        if (r == 0) {
                program->stdout_fd = pipes.out[0];
                program->stderr_fd = pipes.err[0];
                pipes.out[0] = pipes.err[0] = -1;
        }
        pipes_close(&pipes);
        return r;
}

static uint64_t timeval_usec(struct timeval time) {
        return (uint64_t) time.tv_sec * 1000000U + (uint64_t) time.tv_usec;
}

/* CPU time of the first process up to now, or 0 when that cannot be told. */
static uint64_t cpu_usec_now(const Program *program) {
        struct timespec time;
        clockid_t clock;

        if (clock_getcpuclockid(program->pid, &clock) != 0 || clock_gettime(clock, &time) < 0)
                return 0;
        return (uint64_t) time.tv_sec * 1000000U + (uint64_t) time.tv_nsec / 1000U;
}

/* A process may set the limits of others only if its real user is theirs. */
static int limits_give(const Program *program, const FrameLimits *limits) {
        rlim_t cpu_s = cpu_seconds(program->cpu_before_usec + limits->cpu_ms * 1000U);
        const struct rlimit cpu = {cpu_s, cpu_s + 1}, processes = {limits->processes, limits->processes};

        if (prlimit(program->pid, RLIMIT_CPU, &cpu, NULL) < 0 ||
            prlimit(program->pid, RLIMIT_NPROC, &processes, NULL) < 0)
                return -errno;
        return 0;
}

int program_give(Program *program, const FrameLimits *limits, const Identity *identity) {
        int r, error;

        program->cpu_before_usec = cpu_usec_now(program);
        error = identity_borrow_wholly(identity);
        if (error == 0)
                error = limits_give(program, limits);
        r = identity_return();
        program->start_usec = monotonic_usec();
        return error < 0 ? error : r;
}

/* Resident set of the first process in bytes, or 0 when that cannot be told. */
static uint64_t resident_bytes_now(const Program *program) {
        char text[128];
        const char *second;
        ssize_t n = -1;
        int fd;

        (void) snprintf(text, sizeof(text), "/proc/%d/statm", (int) program->pid);
        fd = open(text, O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
                n = read(fd, text, sizeof(text) - 1);
                close(fd);
        }
        if (n <= 0)
                return 0;
        text[n] = '\0';
        second = strchr(text, ' ');
        return second ? (uint64_t) strtoul(second + 1, NULL, 10) * (uint64_t) sysconf(_SC_PAGESIZE) : 0;
}

static int bytes_in(int fd, size_t *ret_bytes) {
        int bytes = 0;

        if (fd >= 0 && ioctl(fd, FIONREAD, &bytes) < 0)
                return -errno;
        *ret_bytes = (size_t) bytes;
        return 0;
}

int program_ended(Program *program, uint8_t code) {
        int r = bytes_in(program->stdout_fd, &program->stdout_left);

        if (r >= 0)
                r = bytes_in(program->stderr_fd, &program->stderr_left);
        if (r < 0)
                return r;
        program->ended = program->lingers = true;
        program->wait_status = W_EXITCODE(code, 0);
        program->end_usec = monotonic_usec();
        program->cpu_usec += cpu_usec_now(program);
        program->memory_peak_bytes = resident_bytes_now(program);
        return 0;
}

void program_forget(Program *program) {
        fd_close(&program->stdout_fd);
        fd_close(&program->stderr_fd);
        program->pid = 0;
        program->ended = program->lingers = false;
        program->cpu_usec = program->cpu_before_usec = program->memory_peak_bytes = 0;
}

/* Returns the pid of a child that was collected, 0 when none has ended yet, or a negative errno. */
static pid_t child_collect(Program *program, int options) {
        struct rusage usage;
        uint64_t peak;
        int status;
        pid_t pid;

        do /* __WALL: a program may make children that tell their end by no signal, or by another one */
                pid = wait4(-1, &status, __WALL | options, &usage);
        while (pid < 0 && errno == EINTR);

        if (pid > 0) {
                peak = (uint64_t) usage.ru_maxrss * 1024U;
                program->cpu_usec += timeval_usec(usage.ru_utime) + timeval_usec(usage.ru_stime);
                if (peak > program->memory_peak_bytes)
                        program->memory_peak_bytes = peak;
        }
        if (pid > 0 && pid == program->pid && !program->ended) {
                program->ended = true;
                program->wait_status = status;
                program->end_usec = monotonic_usec();
        }
        return pid < 0 ? -errno : pid;
}

void program_reap(Program *program) {
        while (child_collect(program, WNOHANG) > 0)
                ;
}

uint64_t program_run_usec(const Program *program) {
        return monotonic_usec() - program->start_usec;
}

int program_kill(void) {
        return kill(-1, SIGKILL) < 0 && errno != ESRCH ? -errno : 0;
}

int program_end(Program *program) {
        pid_t r;

        do {
                r = program_kill();
                if (r < 0)
                        return r;
                r = child_collect(program, 0);
        } while (r >= 0);
        return r == -ECHILD ? 0 : r;
}

void program_report(const Program *program, FrameExit *report) {
        int status = program->wait_status;

        report->kind = WIFSIGNALED(status) ? FRAME_EXIT_SIGNALED : FRAME_EXIT_EXITED;
        report->value = (uint32_t) (WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        report->run_usec = program->end_usec - program->start_usec;
        report->cpu_usec =
                program->cpu_usec > program->cpu_before_usec ? program->cpu_usec - program->cpu_before_usec : 0;
        report->memory_peak_bytes = program->memory_peak_bytes;
}
