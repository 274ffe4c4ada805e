/* SPDX-License-Identifier: Apache-2.0 */

/* The parts of the guest that are pure: what the program is started with, whose name it runs under, and what is said
 * of a fault. The rest needs a sandbox of its own (tests/integration). */

#include "command.h"
#include "fault.h"
#include "identity.h"
#include "unit.h"

#include <errno.h>
#include <stdio.h>

static const char *const runtime[] = {"/usr/bin/deno", "run", NULL};
static const char *const nothing[] = {NULL};

static int add_argument(Command *command, const char *text) {
        return command_add_argument(command, (const uint8_t *) text, strlen(text));
}

static int add_variable(Command *command, const char *text) {
        return command_add_variable(command, (const uint8_t *) text, strlen(text));
}

/* The command is too large for a stack; calloc leaves it untouched, as it lies in the guest. */
static Command *command_new(const char *const argv[], const char *const environment[]) {
        Command *command = calloc(1, sizeof(*command));

        assert_non_null(command);
        assert_int_equal(command_init(command, argv, environment), 0);
        return command;
}

static void assert_strings(const char *const *strings, const char *const *expected) {
        for (; *expected; strings++, expected++) {
                assert_non_null(*strings);
                assert_string_equal(*strings, *expected);
        }
        assert_null(*strings);
}

TEST(arguments_follow_the_runtimes_command_in_order) {
        CLEANUP_FREE Command *command = command_new(runtime, nothing);

        assert_int_equal(add_argument(command, "main.ts"), 0);
        assert_int_equal(add_argument(command, ""), 0);
        assert_int_equal(add_argument(command, "-x"), 0);
        assert_strings(command->argv, (const char *const[]){"/usr/bin/deno", "run", "main.ts", "", "-x", NULL});
}

TEST(an_adapter_is_told_what_was_added_but_the_entry) {
        /* HOME stands before A: the guest's own environment has it. */
        static const char expected[] = "\0\0\0\2\0\0\0\1a\0\0\0\0\0\0\0\2\0\0\0\6HOME=/\0\0\0\3A=1";
        CLEANUP_FREE Command *command = command_new(runtime, nothing);
        uint8_t bytes[64];

        assert_null(command_entry(command));
        assert_int_equal(add_argument(command, "/work/main.ts"), 0);
        assert_int_equal(add_argument(command, "a"), 0);
        assert_int_equal(add_argument(command, ""), 0);
        assert_int_equal(add_variable(command, "A=0"), 0);
        assert_int_equal(add_variable(command, "A=1"), 0);
        assert_int_equal(add_variable(command, "HOME=/"), 0);
        assert_string_equal(command_entry(command), "/work/main.ts");
        assert_int_equal(command_encode_added(command, bytes, sizeof(bytes)), sizeof(expected) - 1);
        assert_memory_equal(bytes, expected, sizeof(expected) - 1);
        for (size_t size = 0; size < sizeof(expected) - 1; size++)
                assert_int_equal(command_encode_added(command, bytes, size), 0);
}

TEST(arguments_that_were_added_can_be_taken_back) {
        CLEANUP_FREE Command *command = command_new(runtime, nothing);

        assert_null(command_last(command));
        assert_int_equal(add_argument(command, "--preload=x"), 0);
        assert_int_equal(add_argument(command, "/work/main.ts"), 0);
        assert_string_equal(command_last(command), "/work/main.ts");
        command_drop_arguments(command);
        assert_null(command_last(command));
        assert_strings(command->argv, runtime);
        assert_int_equal(add_argument(command, "b"), 0);
        assert_strings(command->argv, (const char *const[]){"/usr/bin/deno", "run", "b", NULL});
}

TEST(environment_of_the_guest_stays_with_the_guest) {
        const char *const image[] = {"PATH=/image", "HOSTNAME=box",     "TEE_UID=65532", "HOME=/root",
                                     "LANG=de_DE",  "DENO_DIR=/tmp/.d", "TEE_UID2=x",    NULL};
        CLEANUP_FREE Command *command = command_new(runtime, image);

        assert_strings(command->env,
                       (const char *const[]){"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/work", "TMPDIR=/tmp",
                                             "LANG=de_DE", "DENO_DIR=/tmp/.d", "TEE_UID2=x", NULL});
}

TEST(later_variable_replaces_one_of_the_same_name_only) {
        const char *const image[] = {"AB=image", NULL};
        CLEANUP_FREE Command *command = command_new(runtime, image);

        assert_int_equal(add_variable(command, "A=1"), 0);
        assert_int_equal(add_variable(command, "AB=2=3"), 0);
        assert_int_equal(add_variable(command, "ABC="), 0);
        assert_int_equal(add_variable(command, "A=4"), 0);
        assert_int_equal(add_variable(command, "PATH=/mine"), 0);
        assert_strings(command->env, (const char *const[]){"PATH=/mine", "HOME=/work", "TMPDIR=/tmp", "LANG=C.UTF-8",
                                                           "AB=2=3", "A=4", "ABC=", NULL});
}

TEST(text_that_execve_would_read_otherwise_is_refused) {
        CLEANUP_FREE Command *command = command_new(runtime, nothing);
        const uint8_t nul[] = {'A', '=', '\0', 'b'};

        assert_int_equal(command_add_argument(command, nul, sizeof(nul)), -EBADMSG);
        assert_int_equal(command_add_variable(command, nul, sizeof(nul)), -EBADMSG);
        assert_int_equal(add_variable(command, "NAME"), -EBADMSG);
        assert_int_equal(add_variable(command, "=value"), -EBADMSG);
        assert_int_equal(add_variable(command, ""), -EBADMSG);
        assert_int_equal(command->n_argv, 2);
        assert_int_equal(command->n_env, 4);
}

TEST(number_of_arguments_and_variables_is_bounded) {
        CLEANUP_FREE Command *command = command_new(runtime, nothing);
        char text[32];

        for (size_t i = 0; i < COMMAND_ADDED_MAX; i++) {
                (void) snprintf(text, sizeof(text), "NAME%zu=", i);
                assert_int_equal(add_argument(command, text), 0);
                assert_int_equal(add_variable(command, text), 0);
        }
        assert_int_equal(add_argument(command, "x"), -E2BIG);
        assert_int_equal(add_variable(command, "X="), -E2BIG);
        assert_null(command->argv[command->n_argv]);
        assert_null(command->env[command->n_env]);
}

TEST(size_of_arguments_and_variables_together_is_bounded) {
        CLEANUP_FREE Command *command = command_new(runtime, nothing);
        static uint8_t text[65536];
        size_t n = 0;

        memset(text, '=', sizeof(text));
        text[0] = 'A';
        while (command_add_argument(command, text, sizeof(text)) == 0)
                n++;
        assert_int_equal(n, COMMAND_STRINGS_MAX / (sizeof(text) + 1));
        assert_int_equal(command_add_variable(command, text, sizeof(text)), -E2BIG);
        assert_int_equal(add_argument(command, "short enough"), 0);
        assert_true(command->strings_size <= sizeof(command->strings));
}

TEST(runtime_without_a_command_or_with_too_long_a_one_is_refused) {
        static const char *many[COMMAND_BASE_MAX + 2];
        CLEANUP_FREE Command *command = calloc(1, sizeof(*command));

        assert_non_null(command);
        assert_int_equal(command_init(command, nothing, nothing), -ENOENT);
        for (size_t i = 0; i <= COMMAND_BASE_MAX; i++)
                many[i] = "X=y";
        assert_int_equal(command_init(command, many, nothing), -E2BIG);
}

TEST(program_never_runs_as_root) {
        const char *const refused[] = {"", "0", "000", "-1", "+1", " 1", "1 ", "0x10", "root", "65532\n", "4294967296"};
        Identity identity = {0};

        assert_int_equal(identity_parse("65532", &identity), 0);
        assert_int_equal(identity.uid, 65532);
        assert_int_equal(identity.gid, 65532);
        assert_int_equal(identity_parse(NULL, &identity), -EINVAL);
        for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
                assert_case(identity_parse(refused[i], &identity) == -EINVAL, "\"%s\"", refused[i]);
}

static void assert_fault(const Fault *fault, FrameFaultReason reason, int error, const char *message) {
        uint8_t payload[FAULT_PAYLOAD_MAX];
        FrameFault decoded = {0};

        assert_int_equal(frame_fault_decode(payload, fault_encode(fault, payload), &decoded), 0);
        assert_int_equal(decoded.reason, reason);
        assert_int_equal(decoded.error_number, error);
        assert_int_equal(decoded.message_size, strlen(message));
        assert_memory_equal(decoded.message, message, decoded.message_size);
}

TEST(first_fault_is_the_one_that_is_told) {
        Fault fault = {0};

        assert_int_equal(fault_set(&fault, FRAME_FAULT_FILES, ENOSPC, "%s", "main.ts"), -ENOSPC);
        assert_int_equal(fault_set(&fault, FRAME_FAULT_PROTOCOL, 0, "later"), -EPROTO);
        assert_fault(&fault, FRAME_FAULT_FILES, ENOSPC, "main.ts: No space left on device");
}

TEST(fault_is_one_printable_line_of_bounded_length) {
        Fault fault = {0}, large = {0};
        char name[2000];

        (void) fault_set(&fault, FRAME_FAULT_PROTOCOL, 0, "%s", "a\nb\x1b[2J\xc3\xa9");
        assert_fault(&fault, FRAME_FAULT_PROTOCOL, 0, "a?b?[2J??");

        memset(name, 'n', sizeof(name));
        name[sizeof(name) - 1] = '\0';
        (void) fault_set(&large, FRAME_FAULT_START, ENOENT, "%s", name);
        assert_contains(large.message, "nnn: No such file or directory");
        assert_true(strlen(large.message) < FAULT_MESSAGE_MAX);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(arguments_follow_the_runtimes_command_in_order),
                cmocka_unit_test(an_adapter_is_told_what_was_added_but_the_entry),
                cmocka_unit_test(arguments_that_were_added_can_be_taken_back),
                cmocka_unit_test(environment_of_the_guest_stays_with_the_guest),
                cmocka_unit_test(later_variable_replaces_one_of_the_same_name_only),
                cmocka_unit_test(text_that_execve_would_read_otherwise_is_refused),
                cmocka_unit_test(number_of_arguments_and_variables_is_bounded),
                cmocka_unit_test(size_of_arguments_and_variables_together_is_bounded),
                cmocka_unit_test(runtime_without_a_command_or_with_too_long_a_one_is_refused),
                cmocka_unit_test(program_never_runs_as_root),
                cmocka_unit_test(first_fault_is_the_one_that_is_told),
                cmocka_unit_test(fault_is_one_printable_line_of_bounded_length),
        };

        return RUN_TESTS(tests);
}
