/* SPDX-License-Identifier: Apache-2.0 */

/* Archives: what the system's tar(1) reads from ours, what we read from its, and that the same tree always makes the
 * same bytes. */

#include "tar.h"
#include "text.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARCHIVE_MAX ((size_t) 1024 * 1024)

typedef struct Fixture {
        char folder[32];
        Tar *tar;
        Buffer archive;
        Buffer output;
} Fixture;

static void fixture_init(Fixture *fixture) {
        *fixture = (Fixture){.folder = "/tmp/test-tar-XXXXXX",
                             .archive = BUFFER_INIT(ARCHIVE_MAX),
                             .output = BUFFER_INIT(ARCHIVE_MAX)};
        assert_non_null(mkdtemp(fixture->folder));
        assert_int_equal(tar_new(&fixture->tar), 0);
}

static void run(Fixture *fixture, const char *command);

static void fixture_deinit(Fixture *fixture) {
        CLEANUP_FREE char *command = text_format("rm -r %s", fixture->folder);

        run(fixture, command);
        tar_free(fixture->tar);
        buffer_deinit(&fixture->archive);
        buffer_deinit(&fixture->output);
}

static char *path_of(const Fixture *fixture, const char *name) {
        char *path = text_format("%s/%s", fixture->folder, name);

        assert_non_null(path);
        return path;
}

static void write_file(const Fixture *fixture, const char *name, const void *data, size_t size) {
        CLEANUP_FREE char *path = path_of(fixture, name);
        FILE *file = fopen(path, "we");

        assert_non_null(file);
        assert_int_equal(fwrite(data, 1, size, file), size);
        assert_int_equal(fclose(file), 0);
}

/* What a command printed; it has to succeed. */
static void run(Fixture *fixture, const char *command) {
        FILE *pipe = popen(command, "re"); /* NOLINT(cert-env33-c): the test's own words */
        char block[4096];
        size_t n;

        assert_non_null(pipe);
        buffer_clear(&fixture->output);
        assert_int_equal(buffer_append_text(&fixture->output, ""), 0);
        while ((n = fread(block, 1, sizeof(block), pipe)) > 0)
                assert_int_equal(buffer_append(&fixture->output, block, n), 0);
        assert_case(pclose(pipe) == 0, "%s failed", command);
}

static const char *output(const Fixture *fixture) {
        return fixture->output.size > 0 ? (const char *) fixture->output.data : "";
}

/* The archive in pieces of this size. */
static void read_archive(Fixture *fixture, size_t piece) {
        uint8_t block[8192];
        ssize_t n;

        tar_rewind(fixture->tar);
        buffer_clear(&fixture->archive);
        while ((n = tar_read(block, piece, fixture->tar)) > 0) {
                assert_true((size_t) n <= piece);
                assert_int_equal(buffer_append(&fixture->archive, block, (size_t) n), 0);
        }
        assert_int_equal(n, 0);
        assert_int_equal(tar_read(block, piece, fixture->tar), 0);
        assert_int_equal(fixture->archive.size, tar_size(fixture->tar));
}

/* tar(1) on the archive, which is read to a file first. */
static void run_tar(Fixture *fixture, const char *arguments) {
        CLEANUP_FREE char *command = text_format("TZ=UTC LC_ALL=C tar %s -f %s/a.tar", arguments, fixture->folder);

        read_archive(fixture, sizeof(uint8_t[8192]));
        write_file(fixture, "a.tar", fixture->archive.data, fixture->archive.size);
        run(fixture, command);
}

static char *repeated(char c, size_t n) {
        char *text = calloc(n + 1, 1);

        assert_non_null(text);
        memset(text, c, n);
        return text;
}

/* ---- written ---- */

TEST(tar_reads_what_was_written) {
        CLEANUP_FREE char *source = NULL;
        Fixture fixture;

        fixture_init(&fixture);
        write_file(&fixture, "source", "hello\n", 6);
        source = path_of(&fixture, "source");
        assert_int_equal(tar_add_file(fixture.tar, "/usr/bin/program", 0755, source), 0);
        assert_int_equal(tar_add_bytes(fixture.tar, "/etc/passwd", 0644, "root", 4), 0);
        assert_int_equal(tar_add_bytes(fixture.tar, "/empty", 0400, "", 0), 0);
        assert_int_equal(tar_add_folder(fixture.tar, "/tmp", 01777), 0);
        assert_int_equal(tar_add_folder(fixture.tar, "/tee", 0700), 0);
        assert_int_equal(tar_add_link(fixture.tar, "/bin/sh", "busybox"), 0);
        assert_int_equal(tar_entries(fixture.tar), 10);
        run_tar(&fixture, "-tv --numeric-owner --full-time");
        assert_string_equal(output(&fixture), "drwxr-xr-x 0/0               0 1970-01-01 00:00:00 bin/\n"
                                              "lrwxrwxrwx 0/0               0 1970-01-01 00:00:00 bin/sh -> busybox\n"
                                              "-r-------- 0/0               0 1970-01-01 00:00:00 empty\n"
                                              "drwxr-xr-x 0/0               0 1970-01-01 00:00:00 etc/\n"
                                              "-rw-r--r-- 0/0               4 1970-01-01 00:00:00 etc/passwd\n"
                                              "drwx------ 0/0               0 1970-01-01 00:00:00 tee/\n"
                                              "drwxrwxrwt 0/0               0 1970-01-01 00:00:00 tmp/\n"
                                              "drwxr-xr-x 0/0               0 1970-01-01 00:00:00 usr/\n"
                                              "drwxr-xr-x 0/0               0 1970-01-01 00:00:00 usr/bin/\n"
                                              "-rwxr-xr-x 0/0               6 1970-01-01 00:00:00 usr/bin/program\n");
        run_tar(&fixture, "-xO usr/bin/program etc/passwd");
        assert_string_equal(output(&fixture), "roothello\n");
        fixture_deinit(&fixture);
}

TEST(content_of_any_length_comes_whole_in_pieces_of_any_size) {
        static const size_t sizes[] = {0, 1, 511, 512, 513, 1024, 20000};
        CLEANUP_FREE char *text = repeated('x', 20000);
        Buffer first = BUFFER_INIT(ARCHIVE_MAX);
        Fixture fixture;

        fixture_init(&fixture);
        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
                CLEANUP_FREE char *name = text_format("/f%zu", sizes[i]), *source = path_of(&fixture, name + 1);

                write_file(&fixture, name + 1, text, sizes[i]);
                assert_int_equal(tar_add_file(fixture.tar, name, 0644, source), 0);
                assert_int_equal(unlink(source), 0); /* it stays open */
        }
        run_tar(&fixture, "-t");
        assert_string_equal(output(&fixture), "f0\nf1\nf1024\nf20000\nf511\nf512\nf513\n");
        run_tar(&fixture, "-xO");
        assert_int_equal(fixture.output.size, 0 + 1 + 511 + 512 + 513 + 1024 + 20000);
        assert_int_equal(strspn(output(&fixture), "x"), fixture.output.size);
        assert_int_equal(buffer_append(&first, fixture.archive.data, fixture.archive.size), 0);
        for (size_t piece = 1; piece < 1030; piece += 37) {
                read_archive(&fixture, piece);
                assert_int_equal(fixture.archive.size, first.size);
                assert_memory_equal(fixture.archive.data, first.data, first.size);
        }
        buffer_deinit(&first);
        fixture_deinit(&fixture);
}

TEST(the_same_tree_makes_the_same_bytes_in_whatever_order_it_was_made) {
        static const char *const paths[] = {"/b", "/a/c", "/a-b", "/a/b/c", "/z"};
        Buffer first = BUFFER_INIT(ARCHIVE_MAX);

        for (size_t shift = 0; shift < ARRAY_SIZE(paths); shift++) {
                Fixture fixture;

                fixture_init(&fixture);
                for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
                        const char *path = paths[(i + shift) % ARRAY_SIZE(paths)];

                        assert_int_equal(tar_add_bytes(fixture.tar, path, 0644, path, strlen(path)), 0);
                }
                read_archive(&fixture, 512);
                if (shift == 0)
                        assert_int_equal(buffer_append(&first, fixture.archive.data, fixture.archive.size), 0);
                assert_int_equal(fixture.archive.size, first.size);
                assert_memory_equal(fixture.archive.data, first.data, first.size);
                fixture_deinit(&fixture);
        }
        buffer_deinit(&first);
}

static void assert_long_name(size_t folder, size_t file, int expected) {
        CLEANUP_FREE char *a = repeated('a', folder), *b = repeated('b', file);
        CLEANUP_FREE char *path = folder > 0 ? text_format("/%s/%s", a, b) : text_format("/%s", b);
        CLEANUP_FREE char *listing = folder > 0 ? text_format("%s/\n%s/%s\n", a, a, b) : text_format("%s\n", b);
        Fixture fixture;
        int r;

        fixture_init(&fixture);
        r = tar_add_bytes(fixture.tar, path, 0644, "", 0);
        assert_case(r == expected, "%zu/%zu: %d", folder, file, r);
        if (r == 0) {
                run_tar(&fixture, "-t");
                assert_string_equal(output(&fixture), listing);
        }
        fixture_deinit(&fixture);
}

TEST(a_long_name_is_written_right_or_refused) {
        assert_long_name(0, 99, 0);
        assert_long_name(0, 100, 0);
        assert_long_name(0, 101, -ENAMETOOLONG);
        assert_long_name(50, 49, 0);
        assert_long_name(50, 50, 0);
        assert_long_name(99, 100, 0);
        assert_long_name(98, 2, 0);
        assert_long_name(99, 101, -ENAMETOOLONG);
        /* of a folder the slash at its end counts */
        assert_long_name(100, 5, -ENAMETOOLONG);
}

TEST(a_name_of_255_bytes_fits_where_a_slash_stands_right) {
        CLEANUP_FREE char *a = repeated('a', 77), *b = repeated('b', 77), *c = repeated('c', 100);
        CLEANUP_FREE char *path = text_format("/%s/%s/%s", a, b, c), *listing = text_format("%s\n", path + 1);
        Fixture fixture;

        fixture_init(&fixture);
        assert_int_equal(tar_add_bytes(fixture.tar, path, 0644, "x", 1), 0);
        run_tar(&fixture, "-t");
        assert_contains(output(&fixture), listing);
        fixture_deinit(&fixture);
}

TEST(a_target_of_more_than_100_bytes_is_refused) {
        CLEANUP_FREE char *fits = repeated('t', 100), *not = repeated('t', 101);
        Fixture fixture;

        fixture_init(&fixture);
        assert_int_equal(tar_add_link(fixture.tar, "/a", fits), 0);
        assert_int_equal(tar_add_link(fixture.tar, "/b", not ), -ENAMETOOLONG);
        run_tar(&fixture, "-tv");
        assert_contains(output(&fixture), fits);
        fixture_deinit(&fixture);
}

TEST(a_file_of_8_gigabytes_is_refused) {
        TarEntry entry = {.type = TAR_FILE, .name = "a", .mode = 0644, .size = UINT64_C(1) << 33};
        Buffer header = BUFFER_INIT(4096);

        assert_int_equal(tar_append_header(&header, &entry), -EFBIG);
        assert_int_equal(header.size, 0);
        entry.size--;
        assert_int_equal(tar_append_header(&header, &entry), 0);
        assert_int_equal(header.size, TAR_BLOCK);
        buffer_deinit(&header);
}

TEST(what_is_no_path_or_there_already_is_refused) {
        static const char *const paths[] = {"", "a", "/", "//a", "/a//b", "/a/", "/.", "/a/..", "/../a", "/a/./b"};
        Fixture fixture;

        fixture_init(&fixture);
        for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
                assert_case(tar_add_bytes(fixture.tar, paths[i], 0644, "", 0) == -EINVAL, "%s", paths[i]);
        assert_int_equal(tar_add_bytes(fixture.tar, "/a/b", 0644, "", 0), 0);
        assert_int_equal(tar_add_bytes(fixture.tar, "/a/b", 0644, "", 0), -EEXIST);
        assert_int_equal(tar_add_link(fixture.tar, "/a", "b"), -EEXIST);
        assert_int_equal(tar_add_bytes(fixture.tar, "/a/b/c", 0644, "", 0), -ENOTDIR);
        assert_int_equal(tar_add_folder(fixture.tar, "/a/b", 0755), -EEXIST);
        assert_int_equal(tar_entries(fixture.tar), 2);
        assert_int_equal(tar_add_file(fixture.tar, "/c", 0644, "/does-not-exist"), -ENOENT);
        assert_int_equal(tar_add_file(fixture.tar, "/c", 0644, "/tmp"), -EISDIR);
        read_archive(&fixture, 512);
        assert_int_equal(tar_add_bytes(fixture.tar, "/d", 0644, "", 0), -EBUSY);
        fixture_deinit(&fixture);
}

TEST(a_file_that_becomes_shorter_is_an_error_and_no_zeros) {
        CLEANUP_FREE char *source = NULL;
        uint8_t block[4096];
        Fixture fixture;
        ssize_t n;

        fixture_init(&fixture);
        write_file(&fixture, "source", "hello", 5);
        source = path_of(&fixture, "source");
        assert_int_equal(tar_add_file(fixture.tar, "/a", 0644, source), 0);
        assert_int_equal(truncate(source, 2), 0);
        while ((n = tar_read(block, sizeof(block), fixture.tar)) > 0)
                ;
        assert_int_equal(n, -ESTALE);
        fixture_deinit(&fixture);
}

/* ---- read ---- */

static int take(const void *data, size_t size, void *userdata) {
        return buffer_append(userdata, data, size);
}

/* Feeds the reader in pieces. */
static int feed(TarReader *reader, const Buffer *archive, size_t piece) {
        for (size_t at = 0; at < archive->size; at += piece) {
                size_t n = archive->size - at < piece ? archive->size - at : piece;
                int r = tar_reader_feed(reader, archive->data + at, n);

                if (r < 0)
                        return r;
        }
        return 0;
}

/* The archive that tar(1) makes so, in fixture.output. */
static void make_archive(Fixture *fixture, const char *arguments) {
        CLEANUP_FREE char *command = text_format("tar -c -C %s %s", fixture->folder, arguments);

        run(fixture, command);
}

TEST(the_file_is_found_whatever_stands_before_it) {
        static const char *const ways[] = {"--format=ustar d link file", "--format=pax d link file",
                                           "--format=gnu d link file",
                                           "--format=pax --pax-option=comment=hello d link file"};
        CLEANUP_FREE char *text = repeated('y', 3000), *link = NULL, *folder = NULL;
        Fixture fixture;

        fixture_init(&fixture);
        folder = path_of(&fixture, "d");
        link = path_of(&fixture, "link");
        assert_int_equal(mkdir(folder, 0700), 0);
        assert_int_equal(symlink("file", link), 0);
        write_file(&fixture, "file", text, strlen(text));
        for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
                for (size_t piece = 1; piece < 20000; piece = piece * 3 + 1) {
                        Buffer content = BUFFER_INIT(ARCHIVE_MAX);
                        TarReader reader = {.take = take, .userdata = &content};

                        make_archive(&fixture, ways[i]);
                        assert_int_equal(feed(&reader, &fixture.output, piece), 0);
                        assert_true(reader.found && reader.whole);
                        assert_int_equal(reader.size, 3000);
                        assert_string_equal((char *) content.data, text);
                        buffer_deinit(&content);
                }
        fixture_deinit(&fixture);
}

TEST(our_own_archive_can_be_read) {
        Buffer content = BUFFER_INIT(100);
        TarReader reader = {.take = take, .userdata = &content};
        Fixture fixture;

        fixture_init(&fixture);
        assert_int_equal(tar_add_bytes(fixture.tar, "/a/b", 0644, "hello", 5), 0);
        read_archive(&fixture, 100);
        assert_int_equal(feed(&reader, &fixture.archive, 7), 0);
        assert_true(reader.whole);
        assert_string_equal((char *) content.data, "hello");
        buffer_deinit(&content);
        fixture_deinit(&fixture);
}

TEST(an_archive_without_a_file_or_that_is_cut_off_is_not_whole) {
        Buffer content = BUFFER_INIT(ARCHIVE_MAX);
        CLEANUP_FREE char *folder = NULL, *text = repeated('y', 700);
        Fixture fixture;

        fixture_init(&fixture);
        folder = path_of(&fixture, "d");
        assert_int_equal(mkdir(folder, 0700), 0);
        make_archive(&fixture, "d");
        {
                TarReader reader = {.take = take, .userdata = &content};

                assert_int_equal(feed(&reader, &fixture.output, 512), 0);
                assert_false(reader.found || reader.whole);
        }
        write_file(&fixture, "file", text, 700);
        make_archive(&fixture, "--format=ustar file");
        for (size_t size = 0; size < 512 + 700; size += 11) {
                TarReader reader = {.take = take, .userdata = &content};
                Buffer part = {.data = fixture.output.data, .size = size};

                assert_int_equal(feed(&reader, &part, 512), 0);
                assert_int_equal(reader.found, size >= 512);
                assert_false(reader.whole);
        }
        buffer_deinit(&content);
        fixture_deinit(&fixture);
}

TEST(what_is_no_archive_is_told) {
        CLEANUP_FREE char *text = repeated('y', 1024);
        Buffer content = BUFFER_INIT(ARCHIVE_MAX);
        TarReader reader = {.take = take, .userdata = &content};

        assert_int_equal(tar_reader_feed(&reader, text, 1024), -EBADMSG);
        assert_int_equal(content.size, 0);
        buffer_deinit(&content);
}

TEST(one_wrong_bit_in_a_header_is_found) {
        Fixture fixture;

        fixture_init(&fixture);
        assert_int_equal(tar_add_bytes(fixture.tar, "/a", 0644, "hello", 5), 0);
        read_archive(&fixture, 512);
        for (size_t i = 0; i < TAR_BLOCK; i += 5) {
                Buffer content = BUFFER_INIT(100);
                TarReader reader = {.take = take, .userdata = &content};

                if (i == 155) /* behind the sum's digits stands nothing */
                        continue;
                fixture.archive.data[i] ^= 4;
                assert_case(feed(&reader, &fixture.archive, 512) == -EBADMSG, "byte %zu", i);
                fixture.archive.data[i] ^= 4;
                buffer_deinit(&content);
        }
        fixture_deinit(&fixture);
}

TEST(a_taker_that_fails_ends_the_reading) {
        Buffer content = BUFFER_INIT(3);
        TarReader reader = {.take = take, .userdata = &content};
        Fixture fixture;

        fixture_init(&fixture);
        assert_int_equal(tar_add_bytes(fixture.tar, "/a", 0644, "hello", 5), 0);
        read_archive(&fixture, 512);
        assert_int_equal(feed(&reader, &fixture.archive, 512), -EFBIG);
        assert_false(reader.whole);
        buffer_deinit(&content);
        fixture_deinit(&fixture);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(tar_reads_what_was_written),
                cmocka_unit_test(content_of_any_length_comes_whole_in_pieces_of_any_size),
                cmocka_unit_test(the_same_tree_makes_the_same_bytes_in_whatever_order_it_was_made),
                cmocka_unit_test(a_long_name_is_written_right_or_refused),
                cmocka_unit_test(a_name_of_255_bytes_fits_where_a_slash_stands_right),
                cmocka_unit_test(a_target_of_more_than_100_bytes_is_refused),
                cmocka_unit_test(a_file_of_8_gigabytes_is_refused),
                cmocka_unit_test(what_is_no_path_or_there_already_is_refused),
                cmocka_unit_test(a_file_that_becomes_shorter_is_an_error_and_no_zeros),
                cmocka_unit_test(the_file_is_found_whatever_stands_before_it),
                cmocka_unit_test(our_own_archive_can_be_read),
                cmocka_unit_test(an_archive_without_a_file_or_that_is_cut_off_is_not_whole),
                cmocka_unit_test(what_is_no_archive_is_told),
                cmocka_unit_test(one_wrong_bit_in_a_header_is_found),
                cmocka_unit_test(a_taker_that_fails_ends_the_reading),
        };

        return RUN_TESTS(tests);
}
