/* SPDX-License-Identifier: Apache-2.0 */

/* Programs that go into images: found or not, of this machine or not, what ldd(1) says of them, and what they say. */

#include "executable.h"
#include "text.h"
#include "unit.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- what ldd says ---- */

static int take_library(const char *path, void *userdata) {
        return buffer_append_format(userdata, "%s\n", path);
}

TEST(libraries_are_taken_at_the_paths_where_the_loader_finds_them) {
        static const char said[] = "\tlinux-vdso.so.1 (0x00007f9b82de2000)\n"
                                   "\tlibdl.so.2 => /lib/x86_64-linux-gnu/libdl.so.2 (0x00007f9b7cffb000)\n"
                                   "\tlibm.so.6 => /opt/a b/libm.so.6 (0x00007f9b7cef1000)\n"
                                   "\t/lib64/ld-linux-x86-64.so.2 (0x00007f9b82de4000)\n";
        Buffer seen = BUFFER_INIT(4096);
        char *missing = NULL;

        assert_int_equal(executable_parse_libraries(said, take_library, &seen, &missing), 0);
        assert_string_equal((char *) seen.data,
                            "/lib/x86_64-linux-gnu/libdl.so.2\n/opt/a b/libm.so.6\n/lib64/ld-linux-x86-64.so.2\n");
        assert_null(missing);
        buffer_deinit(&seen);
}

TEST(a_library_that_is_missing_is_named) {
        static const char said[] = "\tliba.so.1 => /lib/liba.so.1 (0x1)\n\tlibb.so.2 => not found\n";
        Buffer seen = BUFFER_INIT(4096);
        CLEANUP_FREE char *missing = NULL;

        assert_int_equal(executable_parse_libraries(said, take_library, &seen, &missing), -ENOENT);
        assert_string_equal(missing, "libb.so.2");
        buffer_deinit(&seen);
}

TEST(what_takes_the_libraries_may_end_it) {
        Buffer seen = BUFFER_INIT(3);
        char *missing = NULL;

        assert_int_equal(executable_parse_libraries("\t/lib/a.so (0x1)\n", take_library, &seen, &missing), -EFBIG);
        assert_int_equal(executable_parse_libraries("", take_library, &seen, &missing), 0);
        assert_int_equal(executable_parse_libraries("\tstatically linked\n", take_library, &seen, &missing), 0);
        assert_int_equal(seen.size, 0);
        buffer_deinit(&seen);
}

/* ---- what they are ---- */

typedef struct Fixture {
        char path[32];
        Trouble trouble;
        Loop loop;
} Fixture;

/* A file of these bytes. */
static void fixture_init(Fixture *fixture, const void *data, size_t size, mode_t mode) {
        int fd;

        *fixture = (Fixture){.path = "/tmp/test-exec-XXXXXX"};
        fd = mkstemp(fixture->path);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, data, size), size);
        assert_int_equal(fchmod(fd, mode), 0);
        close_fd(fd);
        assert_int_equal(loop_init(&fixture->loop), 0);
}

static void fixture_deinit(Fixture *fixture) {
        assert_int_equal(unlink(fixture->path), 0);
        trouble_deinit(&fixture->trouble);
        loop_deinit(&fixture->loop);
}

static Elf64_Ehdr own_header(void) {
        FILE *file = fopen("/proc/self/exe", "re");
        Elf64_Ehdr header;

        assert_non_null(file);
        assert_int_equal(fread(&header, sizeof(header), 1, file), 1);
        assert_int_equal(fclose(file), 0);
        return header;
}

TEST(a_program_of_this_machine_is_taken) {
        Executable program = {.name = "self", .path = "/proc/self/exe"};
        bool is_dynamic = false;
        Trouble trouble = {0};

        assert_int_equal(executable_check(&program, &is_dynamic, &trouble), 0);
        assert_true(is_dynamic);
        assert_null(trouble.message);
}

TEST(a_program_for_another_machine_is_told_as_that) {
        Elf64_Ehdr header = own_header();
        Fixture fixture;

        header.e_machine = header.e_machine == EM_S390 ? EM_RISCV : EM_S390;
        fixture_init(&fixture, &header, sizeof(header), 0755);

        Executable program = {.name = "the program", .path = fixture.path};

        assert_int_equal(executable_check(&program, NULL, &fixture.trouble), -ENOEXEC);
        assert_contains(fixture.trouble.message, "the program is a program for s390, and this machine is ");
        fixture_deinit(&fixture);
}

TEST(one_of_the_other_byte_order_is_too) {
        Elf64_Ehdr header = own_header();
        Fixture fixture;

        header.e_ident[EI_DATA] = header.e_ident[EI_DATA] == ELFDATA2LSB ? ELFDATA2MSB : ELFDATA2LSB;
        fixture_init(&fixture, &header, sizeof(header), 0755);

        Executable program = {.name = "p", .path = fixture.path};

        assert_int_equal(executable_check(&program, NULL, &fixture.trouble), -ENOEXEC);
        assert_contains(fixture.trouble.message, "p is a program for another machine");
        fixture_deinit(&fixture);
}

TEST(what_is_no_program_is_told) {
        static const char *const contents[] = {"", "#!/bin/sh\necho 'deno 2.9.5'\n",
                                               "\x7f"
                                               "ELF"};

        for (size_t i = 0; i < ARRAY_SIZE(contents); i++) {
                Fixture fixture;

                fixture_init(&fixture, contents[i], strlen(contents[i]), 0755);

                Executable program = {.name = "p", .path = fixture.path};

                assert_int_equal(executable_check(&program, NULL, &fixture.trouble), -ENOEXEC);
                assert_contains(fixture.trouble.message, "p is no program");
                fixture_deinit(&fixture);
        }
}

TEST(what_cannot_be_read_is_told) {
        Executable program = {.name = "p", .path = "/does/not/exist"};
        Trouble trouble = {0};

        assert_int_equal(executable_check(&program, NULL, &trouble), -ENOENT);
        assert_contains(trouble.message, "p cannot be read: No such file");
        trouble_deinit(&trouble);
}

/* ---- where they are ---- */

static void assert_not_found(const char *given, int expected, const char *message) {
        char *path = NULL;
        Trouble trouble = {0};

        assert_int_equal(executable_find("tee-no-such-program", given, "--deno", &trouble, &path), expected);
        assert_string_equal(trouble.message, message);
        assert_string_equal(trouble.remedy, "give its path with --deno PATH");
        assert_null(path);
        trouble_deinit(&trouble);
}

TEST(a_program_is_found_on_the_path_or_where_it_was_told) {
        CLEANUP_FREE char *by_name = NULL, *by_path = NULL;
        Trouble trouble = {0};

        assert_int_equal(executable_find("sh", NULL, "--deno", &trouble, &by_name), 0);
        assert_contains(by_name, "/sh");
        assert_int_equal(executable_find("tee-no-such-program", by_name, "--deno", &trouble, &by_path), 0);
        assert_string_equal(by_path, by_name);
        assert_not_found(NULL, -ENOENT, "there is no program 'tee-no-such-program' on $PATH");
        assert_not_found("/no/such", -ENOENT, "there is no program '/no/such'");
        assert_not_found("/tmp", -ENOEXEC, "/tmp: is not a file");
}

/* ---- what they say ---- */

static int run_version(Fixture *fixture, const char *path, const char *argument, char **ret_line) {
        Executable program = {.name = "p", .path = path};

        return executable_version(&fixture->loop, &program, argument, &fixture->trouble, ret_line);
}

TEST(the_first_line_is_the_version) {
        static const char script[] = "#!/bin/sh\necho \"one $1\"\necho two\n";
        CLEANUP_FREE char *line = NULL;
        Fixture fixture;

        fixture_init(&fixture, script, strlen(script), 0755);
        assert_int_equal(run_version(&fixture, fixture.path, "--version", &line), 0);
        assert_string_equal(line, "one --version");
        fixture_deinit(&fixture);
}

TEST(a_program_that_does_not_run_is_told_with_what_it_said) {
        static const char script[] = "#!/bin/sh\necho 'GLIBC_9.9 not found' >&2\nexit 7\n";
        char *line = NULL;
        Fixture fixture;

        fixture_init(&fixture, script, strlen(script), 0755);
        assert_int_equal(run_version(&fixture, fixture.path, NULL, &line), -ENOEXEC);
        assert_string_equal(fixture.trouble.message, "p does not run on this machine (status 7): GLIBC_9.9 not found");
        assert_null(line);
        fixture_deinit(&fixture);
}

TEST(a_program_that_may_not_be_run_is_told_as_that) {
        char *line = NULL;
        Fixture fixture;

        fixture_init(&fixture, "x", 1, 0644);
        assert_int_equal(run_version(&fixture, fixture.path, NULL, &line), -EACCES);
        assert_contains(fixture.trouble.message, "p may not be run");
        fixture_deinit(&fixture);
}

TEST(lines_are_given_one_by_one) {
        static const char script[] = "#!/bin/sh\nprintf 'a\\n\\nb\\nc'\n";
        Buffer seen = BUFFER_INIT(100);
        Fixture fixture;

        fixture_init(&fixture, script, strlen(script), 0755);

        Executable program = {.name = "p", .path = fixture.path};

        assert_int_equal(executable_lines(&fixture.loop, &program, NULL, take_library, &seen, &fixture.trouble), 0);
        assert_string_equal((char *) seen.data, "a\nb\nc\n");
        buffer_deinit(&seen);
        fixture_deinit(&fixture);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(libraries_are_taken_at_the_paths_where_the_loader_finds_them),
                cmocka_unit_test(a_library_that_is_missing_is_named),
                cmocka_unit_test(what_takes_the_libraries_may_end_it),
                cmocka_unit_test(a_program_of_this_machine_is_taken),
                cmocka_unit_test(a_program_for_another_machine_is_told_as_that),
                cmocka_unit_test(one_of_the_other_byte_order_is_too),
                cmocka_unit_test(what_is_no_program_is_told),
                cmocka_unit_test(what_cannot_be_read_is_told),
                cmocka_unit_test(a_program_is_found_on_the_path_or_where_it_was_told),
                cmocka_unit_test(the_first_line_is_the_version),
                cmocka_unit_test(a_program_that_does_not_run_is_told_with_what_it_said),
                cmocka_unit_test(a_program_that_may_not_be_run_is_told_as_that),
                cmocka_unit_test(lines_are_given_one_by_one),
        };

        return RUN_TESTS(tests);
}
