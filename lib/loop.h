/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base.h"

#include <systemd/sd-event.h>

/* Programs that do one thing after another wait in here where they have to, so that Ctrl-C is heard. */
typedef struct Loop {
        sd_event *event;
        bool interrupted; /* by SIGINT, SIGTERM, SIGHUP or SIGQUIT; stays so until loop_pardon() */
        int signal;       /* the last of them; 0 for none */
        bool deaf;        /* what is taken back is not to be interrupted */
} Loop;

/* Blocks these signals and SIGCHLD for the process, and ignores SIGPIPE: who watches may go, the work is done all the
 * same. Returns 0 or a negative errno. */
int loop_init(Loop *loop);
void loop_deinit(Loop *loop);

/* Runs until *done. Returns 0, -EINTR when the process was told to end, -ETIMEDOUT. */
int loop_await(Loop *loop, const bool *done, uint64_t most_usec);

/* Lets some time go by. Returns 0 or -EINTR. */
int loop_sleep(Loop *loop, uint64_t usec);

/* What is taken back after an interruption has to wait, too. */
void loop_pardon(Loop *loop);

/* The same, and from now on nothing interrupts. */
void loop_turn_deaf(Loop *loop);
