/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "buffer.h"
#include "loop.h"

/* One line of what a process prints, without its end; belongs to the caller of the callback. */
typedef void (*ProcessLine)(const char *line, void *userdata);

typedef struct Process {
        const char *const *argv;  /* ended by NULL; the program is looked for on $PATH */
        const char *const *added; /* "NAME=value" for its environment, ended by NULL; NULL for none */
        ProcessLine line;         /* of stdout and stderr together; NULL for none */
        ProcessLine status;       /* of file descriptor PROCESS_STATUS_FD; NULL: it has none */
        void *userdata;
        uint64_t most_usec; /* 0 for no limit */
} Process;

#define PROCESS_STATUS_FD 3

/* A good bound for what a process prints. */
#define PROCESS_OUTPUT_MAX ((size_t) 64 * 1024)

/* Runs it to its end, with an empty stdin, in a process group of its own, so that the terminal's Ctrl-C reaches this
 * program alone. An interruption is handed on to the process as SIGINT, once, and its end is awaited all the same: apt
 * and dpkg know best where they can stop. Returns its exit status (0 to 255), -EINTR when interrupted, -ETIMEDOUT (it
 * has been killed), -EPROTO when a signal ended it, or another negative errno: -ENOENT where there is no such program.
 * output, which may be NULL, gets stdout and stderr together, and when that passes its limit, at least 4 KiB, the last
 * of it. */
int process_run(Loop *loop, const Process *process, Buffer *output);
