/* SPDX-License-Identifier: Apache-2.0 */

/* What a process leaves running behind it (a daemon that a package's script starts) may hold its pipes open, so its end
 * is told by its own exit, and what is in the pipes by then is read to the last byte that is there. */

#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#define PIECE_BYTES 4096
#define LINE_MAX_BYTES ((size_t) 8 * 1024)
#define KILL_USEC (10 * USEC_PER_SEC)

typedef struct Pipe {
        int fd;
        Buffer line;
        Buffer *output; /* NULL: only lines are wanted */
        ProcessLine on_line;
        void *userdata;
        sd_event_source *source;
} Pipe;

typedef struct Running {
        pid_t pid;
        bool ended;
        siginfo_t end;
        Pipe text, status;
        sd_event_source *child;
} Running;

/* ---- what it prints ---- */

static int keep_output(Buffer *output, const char *data, size_t size) {
        if (output->size + size > output->limit)
                buffer_consume(output, output->size + size - output->limit);
        return buffer_append(output, data, size);
}

static void end_line(Pipe *pipe) {
        if (pipe->line.size > 0 && pipe->on_line)
                pipe->on_line((const char *) pipe->line.data, pipe->userdata);
        buffer_clear(&pipe->line);
}

/* A line beyond the bound is given in pieces. */
static int take_bytes(Pipe *pipe, const char *data, size_t size) {
        int r = pipe->output ? keep_output(pipe->output, data, size) : 0;

        for (size_t i = 0; r >= 0 && i < size; i++) {
                if (data[i] == '\n' || data[i] == '\r' || pipe->line.size == LINE_MAX_BYTES)
                        end_line(pipe);
                if (data[i] != '\n' && data[i] != '\r')
                        r = buffer_append(&pipe->line, data + i, 1);
        }
        return r;
}

/* Reads once, at most so much, of what is there now. */
static int pipe_read(Pipe *pipe, size_t most) {
        char data[PIECE_BYTES];
        ssize_t n = read(pipe->fd, data, most < sizeof(data) ? most : sizeof(data));

        if (n > 0)
                return take_bytes(pipe, data, (size_t) n);
        if (n == 0) {
                pipe->source = sd_event_source_disable_unref(pipe->source);
                pipe->fd = close_fd(pipe->fd);
        }
        return 0;
}

/* One piece at a time: who prints without end does not keep the loop from its other sources. */
static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        (void) source;
        (void) fd;
        (void) revents;
        return pipe_read(userdata, PIECE_BYTES);
}

/* What was in the pipe when the process had ended; who still holds it may go on to write. */
static int pipe_drain(Pipe *pipe) {
        int left = 0, r = 0;

        if (pipe->fd < 0 || ioctl(pipe->fd, FIONREAD, &left) < 0)
                return 0;
        for (; r >= 0 && left > 0 && pipe->fd >= 0; left -= PIECE_BYTES)
                r = pipe_read(pipe, (size_t) left);
        return r;
}

static int pipe_open(Pipe *pipe, Loop *loop, int *ret_write_fd) {
        int fds[2], r;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        pipe->fd = fds[0];
        *ret_write_fd = fds[1];
        if (fcntl(pipe->fd, F_SETFL, O_NONBLOCK) < 0)
                return -errno;
        r = sd_event_add_io(loop->event, &pipe->source, pipe->fd, EPOLLIN, on_readable, pipe);
        return r < 0 ? r : sd_event_source_set_exit_on_failure(pipe->source, true);
}

static void pipe_close(Pipe *pipe) {
        end_line(pipe);
        (void) sd_event_source_disable_unref(pipe->source);
        (void) close_fd(pipe->fd);
        buffer_deinit(&pipe->line);
}

/* ---- its life ---- */

static int on_child(sd_event_source *source, const siginfo_t *info, void *userdata) {
        Running *running = userdata;

        (void) source;
        running->end = *info;
        running->ended = true;
        return 0;
}

static bool has_name_of(const char *const *added, const char *entry) {
        size_t n = strcspn(entry, "=");

        for (; added && *added; added++)
                if (strncmp(*added, entry, n) == 0 && (*added)[n] == '=')
                        return true;
        return false;
}

/* A name has to be there once: of two, getenv(3) finds the first, and a shell the last. */
static char **environment_with(const char *const *added) {
        size_t n = 0, k = 0;
        char **all;

        for (; environ[n]; n++)
                ;
        for (; added && added[k]; k++)
                ;
        all = calloc(n + k + 1, sizeof(*all));
        if (!all)
                return NULL;
        for (size_t i = 0; i < k; i++)
                all[i] = (char *) (uintptr_t) added[i];
        for (size_t i = 0; i < n; i++)
                if (!has_name_of(added, environ[i]))
                        all[k++] = environ[i];
        return all;
}

/* fd is always above PROCESS_STATUS_FD, or dup2() onto itself would leave it close-on-exec. */
static int raise_fd(int *fd) {
        int raised = fcntl(*fd, F_DUPFD_CLOEXEC, PROCESS_STATUS_FD + 1);

        if (raised < 0)
                return -errno;
        (void) close(*fd);
        *fd = raised;
        return 0;
}

static int spawn(const Process *process, int text_fd, int status_fd, pid_t *ret_pid) {
        CLEANUP_FREE char **environment = environment_with(process->added);
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t none, pipe;
        int r;

        if (!environment || posix_spawn_file_actions_init(&actions) != 0)
                return -ENOMEM;
        if (posix_spawnattr_init(&attributes) != 0) {
                (void) posix_spawn_file_actions_destroy(&actions);
                return -ENOMEM;
        }
        (void) sigemptyset(&none);
        (void) sigemptyset(&pipe);
        (void) sigaddset(&pipe, SIGPIPE); /* which this program ignores */
        r = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        if (r == 0)
                r = posix_spawn_file_actions_adddup2(&actions, text_fd, STDOUT_FILENO);
        if (r == 0)
                r = posix_spawn_file_actions_adddup2(&actions, text_fd, STDERR_FILENO);
        if (r == 0 && status_fd >= 0)
                r = posix_spawn_file_actions_adddup2(&actions, status_fd, PROCESS_STATUS_FD);
        if (r == 0) /* what this program was started with, a service that a package starts would hold on to */
                r = posix_spawn_file_actions_addclosefrom_np(&actions, PROCESS_STATUS_FD + (status_fd >= 0));
        if (r == 0)
                r = posix_spawnattr_setsigmask(&attributes, &none);
        if (r == 0)
                r = posix_spawnattr_setsigdefault(&attributes, &pipe);
        if (r == 0)
                r = posix_spawnattr_setflags(&attributes,
                                             POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
        if (r == 0)
                r = posix_spawnp(ret_pid, process->argv[0], &actions, &attributes,
                                 (char *const *) (uintptr_t) process->argv, environment);
        (void) posix_spawnattr_destroy(&attributes);
        (void) posix_spawn_file_actions_destroy(&actions);
        return -r;
}

static int start(Running *running, Loop *loop, const Process *process) {
        CLEANUP_FD int text_fd = -1, status_fd = -1;
        int r = pipe_open(&running->text, loop, &text_fd);

        if (r >= 0)
                r = raise_fd(&text_fd);
        if (r >= 0 && process->status)
                r = pipe_open(&running->status, loop, &status_fd);
        if (r >= 0 && process->status)
                r = raise_fd(&status_fd);
        if (r >= 0)
                r = spawn(process, text_fd, status_fd, &running->pid);
        if (r < 0)
                return r;
        r = sd_event_add_child(loop->event, &running->child, running->pid, WEXITED, on_child, running);
        if (r < 0) { /* nobody would ever collect it */
                (void) kill(-running->pid, SIGKILL);
                (void) waitpid(running->pid, NULL, 0);
        }
        return r;
}

/* Further interruptions are remembered, and change nothing. */
static int await_in_any_case(Running *running, Loop *loop, uint64_t most_usec) {
        bool interrupted = loop->interrupted;
        int r;

        do {
                loop_pardon(loop);
                r = loop_await(loop, &running->ended, most_usec);
                interrupted |= loop->interrupted;
        } while (r == -EINTR);
        loop->interrupted = interrupted;
        return r;
}

/* Returns 0, -EINTR or -ETIMEDOUT; in each case the process has ended. Another errno: it may run on. */
static int await_end(Running *running, Loop *loop, uint64_t most_usec) {
        int r = loop_await(loop, &running->ended, most_usec), ended = r;

        if (r == -EINTR) {
                (void) kill(running->pid, SIGINT);
                ended = await_in_any_case(running, loop, most_usec);
        }
        if (ended == -ETIMEDOUT) {
                (void) kill(-running->pid, SIGKILL);
                ended = await_in_any_case(running, loop, KILL_USEC);
        }
        return ended < 0 ? ended : r;
}

static int exit_status(const siginfo_t *end) {
        return end->si_code == CLD_EXITED ? end->si_status : -EPROTO;
}

int process_run(Loop *loop, const Process *process, Buffer *output) {
        Running running = {
                .text = {.fd = -1,
                         .line = BUFFER_INIT(LINE_MAX_BYTES),
                         .output = output,
                         .on_line = process->line,
                         .userdata = process->userdata},
                .status = {.fd = -1,
                           .line = BUFFER_INIT(LINE_MAX_BYTES),
                           .on_line = process->status,
                           .userdata = process->userdata},
        };
        int r = loop->interrupted ? -EINTR : start(&running, loop, process);

        if (r >= 0) {
                r = await_end(&running, loop, process->most_usec > 0 ? process->most_usec : UINT64_MAX / 2);
                if (running.ended) {
                        int text = pipe_drain(&running.text), status = pipe_drain(&running.status);

                        if (r == 0)
                                r = text < 0 ? text : status < 0 ? status : exit_status(&running.end);
                }
        }
        (void) sd_event_source_disable_unref(running.child);
        pipe_close(&running.text);
        pipe_close(&running.status);
        return r;
}
