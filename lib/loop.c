/* SPDX-License-Identifier: Apache-2.0 */

#include "loop.h"

#include <errno.h>
#include <signal.h>

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata) {
        Loop *loop = userdata;

        (void) source;
        if (loop->deaf)
                return 0;
        loop->interrupted = true;
        loop->signal = (int) info->ssi_signo;
        return 0;
}

int loop_init(Loop *loop) {
        static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
        sigset_t signals;
        int r;

        *loop = (Loop){0};
        (void) sigemptyset(&signals);
        (void) sigaddset(&signals, SIGCHLD);
        for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
                (void) sigaddset(&signals, ends[i]);
        if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
                return -errno;
        r = sd_event_new(&loop->event);
        for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(ends); i++)
                r = sd_event_add_signal(loop->event, NULL, ends[i], on_signal, loop);
        return r < 0 ? r : 0;
}

void loop_deinit(Loop *loop) {
        loop->event = sd_event_unref(loop->event);
}

int loop_await(Loop *loop, const bool *done, uint64_t most_usec) {
        uint64_t until = now_usec() + most_usec;

        while (!*done) {
                uint64_t now = now_usec();
                int r;

                if (loop->interrupted)
                        return -EINTR;
                if (now >= until)
                        return -ETIMEDOUT;
                r = sd_event_run(loop->event, until - now);
                if (r < 0)
                        return r;
        }
        return 0;
}

int loop_sleep(Loop *loop, uint64_t usec) {
        const bool never = false;
        int r = loop_await(loop, &never, usec);

        return r == -ETIMEDOUT ? 0 : r;
}

void loop_pardon(Loop *loop) {
        loop->interrupted = false;
}

void loop_turn_deaf(Loop *loop) {
        loop->interrupted = false;
        loop->deaf = true;
}
