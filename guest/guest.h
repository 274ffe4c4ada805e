/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The conversation with the agent, from READY to EXIT or FAULT. */

#include <stdbool.h>
#include <stdint.h>

#include "channel.h"
#include "command.h"
#include "fault.h"
#include "files.h"
#include "frame.h"
#include "identity.h"
#include "program.h"
#include "warm.h"

typedef enum GuestState {
        GUEST_COLLECTING, /* takes what the program needs, until RUN */
        GUEST_WARMING,    /* the runtime is started, to wait for a program; then COLLECTING again */
        GUEST_RUNNING,
        GUEST_DRAINING, /* the program has ended or is being killed; its pipes hold what it printed last */
        GUEST_FAULTING, /* the same, but FAULT is to be said */
        GUEST_DONE,     /* all is said; the agent hangs up */
} GuestState;

typedef struct Guest {
        GuestState state;
        Identity identity;
        Fault fault;
        bool has_limits;
        FrameLimits limits;
        uint64_t output_left; /* bytes that may still be passed on */
        FrameExit report;
        bool is_to_stop;    /* STOP has come */
        uint64_t stop_usec; /* how long the program may run until then */
        Program program;
        Warm warm;
        Files files;
        int signal_fd;
        Channel channel;
        Command command;
} Guest;

/* Runs one conversation. guest is zeroed memory; argv is the runtime's command, environment the image's with TEE_UID in
 * it. Returns the exit status of PID 1: 0, or 1 after a fault. */
int guest_run(Guest *guest, const char *const argv[], const char *const environment[]);
