/* SPDX-License-Identifier: Apache-2.0 */

/* Both vectors begin with what the runtime's image brings and grow by what the request adds. The room is fixed and lies
 * untouched until it is used. What the guest itself was told by its environment, and what Docker adds on its own, stays
 * behind; the rest of the image's environment is how a runtime is configured. */

#include "command.h"

#include "frame.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static const char *const base_environment[] = {("PATH=" COMMAND_PATH), "HOME=/work", "TMPDIR=/tmp", "LANG=C.UTF-8"};
static const char *const kept_back[] = {"TEE_UID", "PATH", "HOME", "HOSTNAME"};

#define N_ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

/* Does the variable have the name, which ends at '=' or NUL? */
static bool name_is(const char *variable, const char *name) {
        size_t n = strcspn(name, "=");

        return strncmp(variable, name, n) == 0 && variable[n] == '=';
}

static bool is_kept_back(const char *variable) {
        for (size_t i = 0; i < N_ELEMENTS(kept_back); i++)
                if (name_is(variable, kept_back[i]))
                        return true;
        return false;
}

/* There is always room: each adder bounds what it adds. */
static void variable_set(Command *command, const char *variable) {
        size_t i = 0;

        while (i < command->n_env && !name_is(command->env[i], variable))
                i++;
        command->env[i] = variable;
        if (i == command->n_env)
                command->n_env++;
}

int command_init(Command *command, const char *const argv[], const char *const environment[]) {
        if (!argv[0])
                return -ENOENT;
        for (; *argv; argv++) {
                if (command->n_argv >= COMMAND_BASE_MAX)
                        return -E2BIG;
                command->argv[command->n_argv++] = *argv;
        }

        for (size_t i = 0; i < N_ELEMENTS(base_environment); i++)
                variable_set(command, base_environment[i]);
        for (; *environment; environment++) {
                if (command->n_env >= COMMAND_BASE_MAX)
                        return -E2BIG;
                if (!is_kept_back(*environment))
                        variable_set(command, *environment);
        }
        return 0;
}

/* Copies a text of a frame. Returns 0, -EBADMSG if there is a NUL in it, or -E2BIG. */
static int string_keep(Command *command, const uint8_t *text, size_t size, const char **ret_string) {
        char *string = command->strings + command->strings_size;

        if (memchr(text, '\0', size))
                return -EBADMSG;
        if (size >= sizeof(command->strings) - command->strings_size)
                return -E2BIG;
        memcpy(string, text, size);
        string[size] = '\0';
        command->strings_size += size + 1;
        *ret_string = string;
        return 0;
}

int command_add_argument(Command *command, const uint8_t *text, size_t size) {
        const char *string;
        int r;

        if (command->n_arguments >= COMMAND_ADDED_MAX)
                return -E2BIG;
        r = string_keep(command, text, size, &string);
        if (r < 0)
                return r;
        command->argv[command->n_argv++] = string;
        command->n_arguments++;
        return 0;
}

int command_add_variable(Command *command, const uint8_t *text, size_t size) {
        const char *string;
        int r;

        if (size == 0 || text[0] == '=' || !memchr(text, '=', size))
                return -EBADMSG;
        if (command->n_variables >= COMMAND_ADDED_MAX)
                return -E2BIG;
        r = string_keep(command, text, size, &string);
        if (r < 0)
                return r;
        variable_set(command, string);
        command->n_variables++;
        return 0;
}

void command_drop_arguments(Command *command) {
        while (command->n_arguments > 0) {
                command->argv[--command->n_argv] = NULL;
                command->n_arguments--;
        }
        command->strings_size = 0;
}

const char *command_entry(const Command *command) {
        return command->n_arguments > 0 ? command->argv[command->n_argv - command->n_arguments] : NULL;
}

const char *command_last(const Command *command) {
        return command->n_arguments > 0 ? command->argv[command->n_argv - 1] : NULL;
}

/* Where the next byte goes; NULL once there was no room. */
static uint8_t *number_encode(uint8_t *at, const uint8_t *end, size_t number) {
        if (!at || end - at < 4)
                return NULL;
        frame_u32_encode(at, (uint32_t) number);
        return at + 4;
}

static uint8_t *string_encode(uint8_t *at, const uint8_t *end, const char *string) {
        size_t n = strlen(string);

        at = number_encode(at, end, n);
        if (!at || (size_t) (end - at) < n)
                return NULL;
        memcpy(at, string, n);
        return at + n;
}

static bool is_added(const Command *command, const char *string) {
        return string >= command->strings && string < command->strings + command->strings_size;
}

size_t command_encode_added(const Command *command, uint8_t *ret_bytes, size_t size) {
        const uint8_t *end = ret_bytes + size;
        uint8_t *at = ret_bytes;
        size_t n = 0;

        at = number_encode(at, end, command->n_arguments > 0 ? command->n_arguments - 1 : 0);
        for (size_t i = 1; i < command->n_arguments; i++)
                at = string_encode(at, end, command->argv[command->n_argv - command->n_arguments + i]);
        for (size_t i = 0; i < command->n_env; i++)
                n += is_added(command, command->env[i]);
        at = number_encode(at, end, n);
        for (size_t i = 0; i < command->n_env; i++)
                if (is_added(command, command->env[i]))
                        at = string_encode(at, end, command->env[i]);
        return at ? (size_t) (at - ret_bytes) : 0;
}
