/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The user's program: one process to start with, and everything that it starts. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "command.h"
#include "fault.h"
#include "frame.h"
#include "identity.h"

#define PROGRAM_STACK_SIZE 65536U

typedef struct Program {
        pid_t pid; /* 0: not started */
        bool ended;
        bool lingers;                    /* its processes may still be there: program_ended() */
        size_t stdout_left, stderr_left; /* of one that lingers: what it had printed and is still in the pipes */
        int wait_status;
        uint64_t start_usec;
        uint64_t end_usec;
        uint64_t cpu_usec;          /* of all that was collected since start_usec */
        uint64_t cpu_before_usec;   /* of it, used before start_usec: a runtime's while it waited for its program */
        uint64_t memory_peak_bytes; /* the largest of one process */
        int stdout_fd; /* the guest's ends of the pipes, which do not block; whoever closes one sets it to -1 */
        int stderr_fd;
        _Alignas(16) char child_stack[PROGRAM_STACK_SIZE]; /* until execve */
} Program;

/* Starts command under identity and limits, in the current folder, reading stdin_fd. Returns 0 once the command runs.
 * Otherwise a negative errno, with the fault set. */
int program_start(Program *program, const Command *command, const FrameLimits *limits, const Identity *identity,
                  int stdin_fd, Fault *fault);

/* The runtime that was started before is given its program now: limits are those of the program, and the time counts
 * from here. Returns 0, or a negative errno; the runtime has to be ended then. */
int program_give(Program *program, const FrameLimits *limits, const Identity *identity);

/* The program has ended with this exit code, though its processes have not: what it used and how much it has printed is
 * read now. They are to be killed. Returns 0 or a negative errno. */
int program_ended(Program *program, uint8_t code);

/* Forgets what has been ended by program_end(), so that another can be started. Its pipes are closed. */
void program_forget(Program *program);

/* Collects whatever has ended; sets ended, once the first process has. */
void program_reap(Program *program);

/* How long the program has run so far. */
uint64_t program_run_usec(const Program *program);

/* Kills all processes but the guest. They end some time later. Returns 0, also if there are none, or a negative errno.
 */
int program_kill(void);

/* Kills all processes but the guest, and returns when there are none left. Returns 0 or a negative errno. */
int program_end(Program *program);

/* Fills in how an ended program ended and what it used. Bytes and flags are the caller's. */
void program_report(const Program *program, FrameExit *report);
