/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the program is started with: argument vector and environment. */

#include <stddef.h>
#include <stdint.h>

#define COMMAND_ADDED_MAX 512U          /* ARG frames, and as many ENV frames */
#define COMMAND_BASE_MAX 512U           /* the runtime's own arguments, and its own environment */
#define COMMAND_STRINGS_MAX (2U << 20U) /* more than execve would take */
#define COMMAND_PATH "/usr/local/bin:/usr/bin:/bin"

typedef struct Command {
        const char *argv[COMMAND_BASE_MAX + COMMAND_ADDED_MAX + 1];
        const char *env[COMMAND_BASE_MAX + COMMAND_ADDED_MAX + 1];
        size_t n_argv;
        size_t n_env;
        size_t n_arguments; /* of them, added */
        size_t n_variables;
        size_t strings_size;
        char strings[COMMAND_STRINGS_MAX];
} Command;

/* Begins with the runtime's command and the image's environment; both must outlive command, which is zeroed memory.
 * Returns 0, -ENOENT without a command, or -E2BIG. */
int command_init(Command *command, const char *const argv[], const char *const environment[]);

/* Append an argument, and NAME=VALUE, which replaces a variable of the same name. Return 0, -EBADMSG for a text that is
 * none (NUL, no name), or -E2BIG. */
int command_add_argument(Command *command, const uint8_t *text, size_t size);
int command_add_variable(Command *command, const uint8_t *text, size_t size);

/* Takes back every argument that was added. Only while no variable was. */
void command_drop_arguments(Command *command);

/* The argument that was added first, or NULL. */
const char *command_entry(const Command *command);

/* The last argument, or NULL for none. */
const char *command_last(const Command *command);

/* What was added but the entry: number of arguments, each with its size, then the same for variables; numbers are 4
 * bytes, big-endian. Returns the size of it all, or 0 when it does not fit. */
size_t command_encode_added(const Command *command, uint8_t *ret_bytes, size_t size);
