/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base.h"

#include <systemd/sd-event.h>

/* The installer does one thing after another; where it has to wait, it waits in here, so that Ctrl-C is heard. */
typedef struct Loop {
        sd_event *event;
        bool interrupted; /* by SIGINT or SIGTERM; stays so until loop_pardon() */
} Loop;

/* Blocks SIGINT, SIGTERM and SIGCHLD for the process. Returns 0 or a negative errno. */
int loop_init(Loop *loop);
void loop_deinit(Loop *loop);

/* Runs until *done. Returns 0, -EINTR when the process was told to end, -ETIMEDOUT. */
int loop_await(Loop *loop, const bool *done, uint64_t most_usec);

/* Lets some time go by. Returns 0 or -EINTR. */
int loop_sleep(Loop *loop, uint64_t usec);

/* What is taken back after an interruption has to wait, too. */
void loop_pardon(Loop *loop);
