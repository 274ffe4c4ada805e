/* SPDX-License-Identifier: Apache-2.0 */

/* One loop over at most six descriptors: the channel both ways, SIGCHLD, the program's two pipes, the adapter. Nothing
 * in it blocks save the start of the program (until execve) and the collecting of what has been killed.
 *
 * COLLECTING → RUNNING → DRAINING → DONE is the way of every good conversation; a fault leads from anywhere to FAULTING
 * and DONE. From DRAINING on, what the agent still sends is read and thrown away: a STOP may cross an EXIT. In DONE the
 * guest stays until the agent hangs up, so that the container cannot be gone before the last frame was read; the agent
 * destroys it anyway. Whenever the agent hangs up, the guest kills all that runs and exits: PID 1's end is the
 * sandbox's.
 *
 * Signals are all blocked, SIGCHLD is read from a descriptor, so none can hurt the guest but SIGKILL from outside. */

#include "guest.h"

#include "kernel.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

typedef enum GuestWatch {
        WATCH_IN,
        WATCH_OUT,
        WATCH_SIGNAL,
        WATCH_STDOUT,
        WATCH_STDERR,
        WATCH_WARM,
        WATCH_COUNT,
} GuestWatch;

static int protocol_fault(Guest *guest, const char *what) {
        return fault_set(&guest->fault, FRAME_FAULT_PROTOCOL, 0, "%s", what);
}

static int signals_take(Guest *guest) {
        sigset_t all, child;

        (void) sigfillset(&all);
        (void) sigemptyset(&child);
        (void) sigaddset(&child, SIGCHLD);
        if (sigprocmask(SIG_SETMASK, &all, NULL) < 0)
                return -errno;
        guest->signal_fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
        return guest->signal_fd < 0 ? -errno : 0;
}

/* What was ignored when the guest was started would be ignored in the program, too. */
static int signals_reset(void) {
        const struct sigaction action = {.sa_handler = SIG_DFL};

        for (int signal = 1; signal < NSIG; signal++)
                if (signal != SIGKILL && signal != SIGSTOP && sigaction(signal, &action, NULL) < 0 && errno != EINVAL)
                        return -errno; /* EINVAL: one that libc keeps for itself */
        return 0;
}

static int guest_init(Guest *guest, const char *const argv[], const char *const environment[]) {
        int r;

        guest->program.stdout_fd = guest->program.stderr_fd = -1;
        guest->files.stdin_fd = guest->files.current_fd = guest->signal_fd = -1;
        warm_init(&guest->warm, &guest->identity);

        r = channel_init(&guest->channel);
        if (r < 0)
                return fault_set(&guest->fault, FRAME_FAULT_GUEST, -r, "channel");
        if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                return fault_set(&guest->fault, FRAME_FAULT_GUEST, errno, "PR_SET_DUMPABLE");
        r = signals_take(guest);
        if (r < 0)
                return fault_set(&guest->fault, FRAME_FAULT_GUEST, -r, "signals");
        r = identity_parse(getenv("TEE_UID"), &guest->identity);
        if (r < 0)
                return fault_set(&guest->fault, FRAME_FAULT_GUEST, -r, "TEE_UID");
        r = command_init(&guest->command, argv, environment);
        if (r < 0)
                return fault_set(&guest->fault, FRAME_FAULT_START, -r, "the runtime's command");
        (void) umask(022);
        r = files_init(&guest->files, &guest->identity);
        if (r < 0)
                return fault_set(&guest->fault, FRAME_FAULT_GUEST, -r, "the program's user, %s or stdin",
                                 FILES_WORK_FOLDER);
        return 0;
}

/* Says READY. The rest has its turn after it, because its many system calls, dear under gVisor, then cost nothing: the
 * agent judges meanwhile. */
static int guest_introduce(Guest *guest) {
        uint8_t *payload = channel_payload(&guest->channel);
        char evidence[KERNEL_EVIDENCE_MAX];
        size_t n = kernel_evidence(evidence);
        int r;

        frame_u32_encode(payload, FRAME_PROTOCOL_VERSION);
        memcpy(payload + 4, evidence, n);
        r = channel_send(&guest->channel, FRAME_READY, 4 + n);
        if (r != 0)
                return r;

        r = signals_reset();
        if (r < 0)
                return fault_set(&guest->fault, FRAME_FAULT_GUEST, -r, "signals");
        r = identity_bound();
        return r < 0 ? fault_set(&guest->fault, FRAME_FAULT_GUEST, -r, "the bounding set of capabilities") : 0;
}

/* Turns the errno of an adder into a fault. */
static int added(Guest *guest, FrameFaultReason reason, int r, const char *what) {
        if (r == -EBADMSG)
                return fault_set(&guest->fault, FRAME_FAULT_PROTOCOL, 0, "%s: malformed or out of place", what);
        return r < 0 ? fault_set(&guest->fault, reason, -r, "%s", what) : 0;
}

static int file_added(Guest *guest, const uint8_t *path, size_t size) {
        int r = files_create(&guest->files, path, size);

        if (r == -EBADMSG)
                return protocol_fault(guest, "FILE: a path that is not allowed");
        return r < 0 ? fault_set(&guest->fault, FRAME_FAULT_FILES, -r, "%.*s", size < 200 ? (int) size : 200,
                                 (const char *) path)
                     : 0;
}

static int limits_added(Guest *guest, const uint8_t *payload, size_t size) {
        if (frame_limits_decode(payload, size, &guest->limits) < 0)
                return protocol_fault(guest, "LIMITS: wrong size");
        guest->has_limits = true;
        return 0;
}

static int start(Guest *guest) {
        return program_start(&guest->program, &guest->command, &guest->limits, &guest->identity, guest->files.stdin_fd,
                             &guest->fault);
}

/* The runtime that waits will not do for this program. Nothing of the program has run. */
static int start_afresh(Guest *guest) {
        int r = program_end(&guest->program);

        if (r < 0)
                return fault_set(&guest->fault, FRAME_FAULT_GUEST, -r, "the end of what was warm");
        warm_close(&guest->warm);
        program_forget(&guest->program);
        return start(guest);
}

static int run(Guest *guest, size_t size) {
        int r;

        if (size != 0)
                return protocol_fault(guest, "RUN: not empty");
        if (!guest->has_limits)
                return protocol_fault(guest, "RUN without LIMITS");
        r = files_finish(&guest->files);
        if (r < 0)
                return fault_set(&guest->fault, FRAME_FAULT_FILES, -r, "stdin");

        guest->output_left = guest->limits.output_bytes;
        guest->state = GUEST_RUNNING;
        if (!warm_is_open(&guest->warm))
                return start(guest);
        if (program_give(&guest->program, &guest->limits, &guest->identity) < 0 ||
            !warm_wake(&guest->warm, &guest->command))
                return start_afresh(guest);
        return 0;
}

/* Starts the runtime before its program is known. The last of the arguments so far is the entry that it will start. */
static int warm_up(Guest *guest, size_t size) {
        const char *entry = command_last(&guest->command);
        int r;

        if (size != 0 || !entry || !guest->has_limits || warm_is_open(&guest->warm) || guest->command.n_variables > 0 ||
            guest->files.n_files > 0)
                return protocol_fault(guest, "WARM: out of place");
        r = warm_open(&guest->warm, entry);
        if (r < 0)
                return fault_set(&guest->fault, FRAME_FAULT_GUEST, -r, "the pipes of the warm-up");
        guest->state = GUEST_WARMING;
        return start(guest);
}

/* It must not have printed a thing: that would be taken for the program's. */
static int warmed(Guest *guest) {
        char text[200];
        ssize_t n = read(guest->program.stderr_fd, text, sizeof(text));
        int r;

        if (n <= 0)
                n = read(guest->program.stdout_fd, text, sizeof(text));
        if (n > 0)
                return fault_set(&guest->fault, FRAME_FAULT_START, 0, "the runtime's warm-up printed: %.*s", (int) n,
                                 text);
        r = warm_hide(&guest->warm);
        if (r < 0)
                return fault_set(&guest->fault, FRAME_FAULT_GUEST, -r, "the pipes of the warm-up");
        command_drop_arguments(&guest->command);
        guest->has_limits = false;
        guest->state = GUEST_COLLECTING;
        return channel_send(&guest->channel, FRAME_WARMED, 0);
}

static int warm_died(Guest *guest) {
        char text[200];
        ssize_t n = read(guest->program.stderr_fd, text, sizeof(text));

        return fault_set(&guest->fault, FRAME_FAULT_START, 0, "the runtime ended before it had a program: %.*s",
                         n > 0 ? (int) n : 0, text);
}

static int frame_collect(Guest *guest, uint8_t type, const uint8_t *payload, size_t size) {
        switch (type) {
        case FRAME_ARG:
                return added(guest, FRAME_FAULT_START, command_add_argument(&guest->command, payload, size), "ARG");
        case FRAME_ENV:
                return added(guest, FRAME_FAULT_START, command_add_variable(&guest->command, payload, size), "ENV");
        case FRAME_FILE:
                return file_added(guest, payload, size);
        case FRAME_DATA:
                return added(guest, FRAME_FAULT_FILES, files_append(&guest->files, payload, size), "DATA");
        case FRAME_STDIN:
                return added(guest, FRAME_FAULT_FILES, files_append_stdin(&guest->files, payload, size), "STDIN");
        case FRAME_LIMITS:
                return limits_added(guest, payload, size);
        case FRAME_RUN:
                return run(guest, size);
        case FRAME_WARM:
                return warm_up(guest, size);
        default:
                return protocol_fault(guest, "a frame that has no place before RUN");
        }
}

static int program_stop(Guest *guest, uint32_t flag) {
        int r = program_kill();

        guest->report.flags |= flag;
        return r < 0 ? fault_set(&guest->fault, FRAME_FAULT_GUEST, -r, "kill") : 0;
}

static int frame_handle(uint8_t type, const uint8_t *payload, size_t size, void *userdata) {
        Guest *guest = userdata;
        uint64_t run_usec;

        if (guest->state == GUEST_COLLECTING)
                return frame_collect(guest, type, payload, size);
        if (type != FRAME_STOP || size != FRAME_STOP_SIZE)
                return protocol_fault(guest, "a frame other than STOP after RUN");
        run_usec = frame_u64_decode(payload);
        if (!guest->is_to_stop || run_usec < guest->stop_usec)
                guest->stop_usec = run_usec;
        guest->is_to_stop = true;
        return 0;
}

/* What has just ended by itself was not stopped. */
static int stop_when_due(Guest *guest) {
        if (guest->state != GUEST_RUNNING || !guest->is_to_stop || guest->program.ended ||
            program_run_usec(&guest->program) < guest->stop_usec)
                return 0;
        guest->is_to_stop = false;
        return program_stop(guest, FRAME_EXIT_FLAG_STOPPED);
}

/* For poll(2): how long until then. */
static int stop_wait_ms(const Guest *guest) {
        uint64_t usec;

        if (guest->state != GUEST_RUNNING || !guest->is_to_stop)
                return -1;
        usec = program_run_usec(&guest->program);
        usec = usec < guest->stop_usec ? guest->stop_usec - usec : 0;
        return usec < UINT64_C(1000) * INT_MAX ? (int) ((usec + 999) / 1000) : INT_MAX;
}

/* What the program's own code can write there, too, harms nobody but itself: that it has ended, or that it wants to be
 * started again. */
static int warm_handle(Guest *guest) {
        uint8_t code;
        int r;

        switch (warm_read(&guest->warm, &code)) {
        case WARM_READY:
                return guest->state == GUEST_WARMING ? warmed(guest) : 0;
        case WARM_CANNOT:
                return guest->state == GUEST_RUNNING ? start_afresh(guest) : 0;
        case WARM_ENDED:
                if (guest->state != GUEST_RUNNING || guest->program.ended)
                        return 0;
                r = program_ended(&guest->program, code);
                return r < 0 ? fault_set(&guest->fault, FRAME_FAULT_GUEST, -r, "what the program has printed") : 0;
        default:
                return 0;
        }
}

static int frames_receive(Guest *guest) {
        bool is_over = guest->state >= GUEST_DRAINING;
        int r = channel_receive(&guest->channel, is_over ? NULL : frame_handle, guest);

        return r == -EBADMSG ? protocol_fault(guest, "a malformed frame header") : r;
}

/* Passes on once what one of the pipes holds; closes it at its end. Once nothing is alive, an empty pipe is at its end,
 * whoever may still hold it; of a program that lingers, the end is what it had printed at its own. */
static int output_pump(Guest *guest, int *fd, FrameType type, uint64_t *bytes, size_t *left) {
        size_t pass, most = guest->program.lingers && *left < FRAME_PAYLOAD_MAX ? *left : FRAME_PAYLOAD_MAX;
        ssize_t n;
        int r = 0;

        n = most > 0 ? read(*fd, channel_payload(&guest->channel), most) : 0;
        if (n < 0 && (errno == EINTR || (errno == EAGAIN && guest->state == GUEST_RUNNING)))
                return 0;
        if (n <= 0) {
                close(*fd);
                *fd = -1;
                return 0;
        }

        if (guest->program.lingers)
                *left -= (size_t) n;
        *bytes += (uint64_t) n;
        pass = (uint64_t) n < guest->output_left ? (size_t) n : (size_t) guest->output_left;
        guest->output_left -= pass;
        if (pass < (size_t) n && !(guest->report.flags & FRAME_EXIT_FLAG_OUTPUT_LIMIT))
                r = program_stop(guest, FRAME_EXIT_FLAG_OUTPUT_LIMIT);
        if (pass > 0 && r == 0)
                r = channel_send(&guest->channel, type, pass);
        return r;
}

static int stdout_pump(Guest *guest) {
        return output_pump(guest, &guest->program.stdout_fd, FRAME_STDOUT, &guest->report.stdout_bytes,
                           &guest->program.stdout_left);
}

static int stderr_pump(Guest *guest) {
        return output_pump(guest, &guest->program.stderr_fd, FRAME_STDERR, &guest->report.stderr_bytes,
                           &guest->program.stderr_left);
}

/* What lingers ends with the guest, when the agent hangs up: its end costs more than the program's run, and the agent
 * knows when nobody is kept from the processors by it. */
static int exit_send(Guest *guest) {
        program_report(&guest->program, &guest->report);
        frame_exit_encode(channel_payload(&guest->channel), &guest->report);
        guest->state = GUEST_DONE;
        return channel_send(&guest->channel, FRAME_EXIT, FRAME_EXIT_SIZE);
}

static int fault_send(Guest *guest) {
        guest->state = GUEST_DONE;
        return channel_send(&guest->channel, FRAME_FAULT,
                            fault_encode(&guest->fault, channel_payload(&guest->channel)));
}

/* Does what needs no event any more, as far as the agent takes it. */
static int guest_advance(Guest *guest) {
        int r = 0;

        if ((guest->state == GUEST_WARMING || guest->state == GUEST_COLLECTING) && guest->program.ended)
                return warm_died(guest);
        if (guest->state == GUEST_RUNNING && guest->program.ended) {
                r = guest->program.lingers ? 0 : program_end(&guest->program);
                if (r < 0)
                        return fault_set(&guest->fault, FRAME_FAULT_GUEST, -r, "the program's end");
                guest->state = GUEST_DRAINING;
        }

        r = stop_when_due(guest);
        while (r == 0 && channel_is_idle(&guest->channel)) {
                if (guest->state == GUEST_FAULTING)
                        r = fault_send(guest);
                else if (guest->state != GUEST_DRAINING)
                        break;
                else if (guest->program.stdout_fd >= 0)
                        r = stdout_pump(guest);
                else if (guest->program.stderr_fd >= 0)
                        r = stderr_pump(guest);
                else
                        r = exit_send(guest);
        }
        return r;
}

static int signal_handle(Guest *guest) {
        struct signalfd_siginfo info;
        ssize_t n = read(guest->signal_fd, &info, sizeof(info));

        if (n < 0 && errno != EAGAIN && errno != EINTR)
                return fault_set(&guest->fault, FRAME_FAULT_GUEST, errno, "signalfd");
        program_reap(&guest->program);
        return 0;
}

static int guest_poll(Guest *guest, struct pollfd fds[WATCH_COUNT]) {
        bool is_idle = channel_is_idle(&guest->channel), is_running = guest->state == GUEST_RUNNING;
        bool is_alive = is_running || guest->state == GUEST_WARMING || guest->state == GUEST_COLLECTING;

        fds[WATCH_IN] = (struct pollfd){STDIN_FILENO, POLLIN, 0};
        fds[WATCH_OUT] = (struct pollfd){is_idle ? -1 : STDOUT_FILENO, POLLOUT, 0};
        fds[WATCH_SIGNAL] = (struct pollfd){is_alive ? guest->signal_fd : -1, POLLIN, 0};
        fds[WATCH_STDOUT] = (struct pollfd){is_running && is_idle ? guest->program.stdout_fd : -1, POLLIN, 0};
        fds[WATCH_STDERR] = (struct pollfd){is_running && is_idle ? guest->program.stderr_fd : -1, POLLIN, 0};
        fds[WATCH_WARM] = (struct pollfd){is_alive && is_idle ? guest->warm.out_fd : -1, POLLIN, 0};
        if (poll(fds, WATCH_COUNT, stop_wait_ms(guest)) < 0) {
                for (int i = 0; i < WATCH_COUNT; i++)
                        fds[i].revents = 0;
                return errno == EINTR ? 0 : fault_set(&guest->fault, FRAME_FAULT_GUEST, errno, "poll");
        }
        return 0;
}

/* One turn of the loop. Returns 0, CHANNEL_E_GONE, or a negative errno. */
static int guest_turn(Guest *guest) {
        struct pollfd fds[WATCH_COUNT];
        int r = guest_poll(guest, fds);

        if (r == 0 && fds[WATCH_OUT].revents != 0)
                r = channel_flush(&guest->channel);
        if (r == 0 && fds[WATCH_SIGNAL].revents != 0)
                r = signal_handle(guest);
        if (r == 0 && fds[WATCH_WARM].revents != 0)
                r = warm_handle(guest);
        if (r == 0 && fds[WATCH_STDOUT].revents != 0 && channel_is_idle(&guest->channel))
                r = stdout_pump(guest);
        if (r == 0 && fds[WATCH_STDERR].revents != 0 && channel_is_idle(&guest->channel))
                r = stderr_pump(guest);
        if (r == 0 && fds[WATCH_IN].revents != 0)
                r = frames_receive(guest);
        return r == 0 ? guest_advance(guest) : r;
}

/* After an error: FAULT is said if anybody is there to hear it. Returns 0, or CHANNEL_E_GONE where that makes no sense.
 */
static int guest_fail(Guest *guest, int error) {
        int r;

        if (guest->state >= GUEST_FAULTING)
                return CHANNEL_E_GONE;
        (void) fault_set(&guest->fault, FRAME_FAULT_GUEST, -error, "channel");
        guest->state = GUEST_FAULTING;
        if (guest->program.pid > 0) {
                r = program_end(&guest->program);
                if (r < 0)
                        return CHANNEL_E_GONE;
        }
        r = guest_advance(guest);
        return r < 0 ? CHANNEL_E_GONE : r;
}

int guest_run(Guest *guest, const char *const argv[], const char *const environment[]) {
        int r = guest_init(guest, argv, environment);

        if (r == 0)
                r = guest_introduce(guest);
        for (;;) {
                if (r < 0)
                        r = guest_fail(guest, r);
                if (r == CHANNEL_E_GONE)
                        break;
                r = guest_turn(guest);
        }
        /* Whether it can be killed or not: the sandbox ends with PID 1. */
        (void) program_kill();
        return guest->fault.reason == 0 ? 0 : 1;
}
