/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base.h"

/* The command line of tee-run. Strings point into argv, but for env. */
typedef struct Arguments {
        const char *socket;
        const char *runtime;
        const char *file;       /* "-" for the program from stdin */
        const char *stdin_file; /* NULL: the program's stdin is empty */
        char **args;            /* of the program, ended by NULL */
        const char **env;       /* "K=V" */
        size_t env_size;
        uint64_t wall_ms;   /* 0: the agent's default */
        uint64_t memory_mb; /* 0: the agent's default */
        bool json;
        bool done; /* --help or --version has been answered */
} Arguments;

/* Prints what is wrong on stderr and returns -EINVAL, or -ENOMEM. */
int arguments_parse(Arguments *ret, int argc, char *argv[]);

void arguments_deinit(Arguments *arguments);

/* "500ms", "5s", "2m", "1h"; a bare number is seconds. At least 1 ms. Returns 0 or -EINVAL. */
int arguments_parse_duration(const char *text, uint64_t *ret_ms);

/* "128M", "1G", "65536K"; a bare number is bytes. Rounded up to MiB, at least 1. Returns 0 or -EINVAL. */
int arguments_parse_size(const char *text, uint64_t *ret_mb);
