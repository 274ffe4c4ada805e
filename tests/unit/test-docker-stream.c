/* SPDX-License-Identifier: Apache-2.0 */

/* Docker's stream frames: the result depends on the bytes and never on how they were cut. */

#include "buffer.h"
#include "docker-stream.h"
#include "unit.h"

#include <errno.h>

/* What the handler saw: the bytes of each stream, and whether a piece was ever empty. */
typedef struct Seen {
        Buffer streams[3];
        size_t pieces;
        size_t stop_at; /* the piece at which to return stop_with */
        int stop_with;
} Seen;

static void seen_init(Seen *seen) {
        *seen = (Seen){0};
        for (size_t i = 0; i < ARRAY_SIZE(seen->streams); i++)
                seen->streams[i] = BUFFER_INIT(1024);
}

static void seen_deinit(Seen *seen) {
        for (size_t i = 0; i < ARRAY_SIZE(seen->streams); i++)
                buffer_deinit(&seen->streams[i]);
}

static int on_piece(DockerStreamId id, const uint8_t *data, size_t size, void *userdata) {
        Seen *seen = userdata;

        assert_in_range(id, 0, 2);
        assert_true(size > 0);
        assert_int_equal(buffer_append(&seen->streams[id], data, size), 0);
        return ++seen->pieces == seen->stop_at ? seen->stop_with : 0;
}

static void assert_seen(const Seen *seen, DockerStreamId id, const char *expected) {
        assert_int_equal(seen->streams[id].size, strlen(expected));
        if (expected[0] != '\0')
                assert_memory_equal(seen->streams[id].data, expected, strlen(expected));
}

static const char valid[] = "\1\0\0\0\0\0\0\5hello"
                            "\2\0\0\0\0\0\0\3err"
                            "\1\0\0\0\0\0\0\0"
                            "\0\0\0\0\0\0\0\2in"
                            "\2\0\0\0\0\0\0\1!"
                            "\1\0\0\0\0\0\0\7, world";

static void assert_valid(const Seen *seen) {
        assert_seen(seen, DOCKER_STREAM_STDOUT, "hello, world");
        assert_seen(seen, DOCKER_STREAM_STDERR, "err!");
        assert_seen(seen, DOCKER_STREAM_STDIN, "in");
}

TEST(streams_are_told_apart) {
        DockerStream stream = {0};
        Seen seen;

        seen_init(&seen);
        assert_int_equal(docker_stream_feed(&stream, valid, sizeof(valid) - 1, on_piece, &seen), 0);
        assert_valid(&seen);
        assert_int_equal(seen.pieces, 5);
        assert_int_equal(stream.header_have, 0);
        seen_deinit(&seen);
}

TEST(every_two_cuts_give_the_same_result) {
        const size_t size = sizeof(valid) - 1;

        for (size_t first = 0; first <= size; first++)
                for (size_t second = first; second <= size; second++) {
                        DockerStream stream = {0};
                        Seen seen;

                        seen_init(&seen);
                        assert_int_equal(docker_stream_feed(&stream, valid, first, on_piece, &seen), 0);
                        assert_int_equal(docker_stream_feed(&stream, valid + first, second - first, on_piece, &seen),
                                         0);
                        assert_int_equal(docker_stream_feed(&stream, valid + second, size - second, on_piece, &seen),
                                         0);
                        assert_valid(&seen);
                        seen_deinit(&seen);
                }
}

TEST(single_bytes_give_the_same_result) {
        DockerStream stream = {0};
        Seen seen;

        seen_init(&seen);
        for (size_t i = 0; i < sizeof(valid) - 1; i++)
                assert_int_equal(docker_stream_feed(&stream, valid + i, 1, on_piece, &seen), 0);
        assert_valid(&seen);
        assert_int_equal(seen.pieces, 18);
        seen_deinit(&seen);
}

TEST(a_frame_is_passed_on_before_it_is_whole) {
        DockerStream stream = {0};
        Seen seen;

        seen_init(&seen);
        assert_int_equal(docker_stream_feed(&stream,
                                            "\1\0\0\0\xff\xff\xff\xff"
                                            "abc",
                                            11, on_piece, &seen),
                         0);
        assert_seen(&seen, DOCKER_STREAM_STDOUT, "abc");
        assert_int_equal(stream.left, UINT32_MAX - 3);
        seen_deinit(&seen);
}

TEST(a_header_that_is_not_dockers_is_refused_at_every_cut) {
        static const char *const headers[] = {
                "\3\0\0\0\0\0\0\1", "\xff\0\0\0\0\0\0\1", "\1\1\0\0\0\0\0\1", "\1\0\1\0\0\0\0\1",
                "\1\0\0\1\0\0\0\1", "HTTP/1.1",           "{\"messag",        "\1\0\0\xff\0\0\0\0",
        };

        for (size_t i = 0; i < ARRAY_SIZE(headers); i++)
                for (size_t cut = 0; cut < 8; cut++) {
                        DockerStream stream = {0};
                        Seen seen;

                        seen_init(&seen);
                        assert_int_equal(docker_stream_feed(&stream, headers[i], cut, on_piece, &seen), 0);
                        assert_case(docker_stream_feed(&stream, headers[i] + cut, 8 - cut, on_piece, &seen) == -EBADMSG,
                                    "header %zu is taken", i);
                        assert_int_equal(seen.pieces, 0);
                        seen_deinit(&seen);
                }
}

TEST(a_bad_header_behind_good_frames_is_refused_after_them) {
        static const char text[] = "\1\0\0\0\0\0\0\2ok\1\2\0\0\0\0\0\2no";
        DockerStream stream = {0};
        Seen seen;

        seen_init(&seen);
        assert_int_equal(docker_stream_feed(&stream, text, sizeof(text) - 1, on_piece, &seen), -EBADMSG);
        assert_seen(&seen, DOCKER_STREAM_STDOUT, "ok");
        seen_deinit(&seen);
}

TEST(empty_frames_in_a_row_pass) {
        static const uint8_t zero[8 * 3] = {1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1};
        DockerStream stream = {0};
        Seen seen;

        seen_init(&seen);
        assert_int_equal(docker_stream_feed(&stream, zero, sizeof(zero), on_piece, &seen), 0);
        assert_int_equal(seen.pieces, 0);
        assert_int_equal(stream.header_have, 0);
        assert_int_equal(docker_stream_feed(&stream, "", 0, on_piece, &seen), 0);
        seen_deinit(&seen);
}

TEST(the_handlers_verdict_ends_the_feed_at_once) {
        for (size_t stop_at = 1; stop_at <= 5; stop_at++) {
                DockerStream stream = {0};
                Seen seen;

                seen_init(&seen);
                seen.stop_at = stop_at;
                seen.stop_with = -ESHUTDOWN;
                assert_int_equal(docker_stream_feed(&stream, valid, sizeof(valid) - 1, on_piece, &seen), -ESHUTDOWN);
                assert_int_equal(seen.pieces, stop_at);
                seen_deinit(&seen);
        }
}

static int free_the_stream(DockerStreamId id, const uint8_t *data, size_t size, void *userdata) {
        DockerStream **stream = userdata;

        (void) id;
        (void) data;
        (void) size;
        free(*stream);
        *stream = NULL;
        return -ESHUTDOWN;
}

TEST(a_handler_that_ends_the_feed_may_free_the_parser) {
        DockerStream *stream = calloc(1, sizeof(*stream));

        assert_non_null(stream);
        assert_int_equal(docker_stream_feed(stream, valid, sizeof(valid) - 1, free_the_stream, &stream), -ESHUTDOWN);
        assert_null(stream);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(streams_are_told_apart),
                cmocka_unit_test(every_two_cuts_give_the_same_result),
                cmocka_unit_test(single_bytes_give_the_same_result),
                cmocka_unit_test(a_frame_is_passed_on_before_it_is_whole),
                cmocka_unit_test(a_header_that_is_not_dockers_is_refused_at_every_cut),
                cmocka_unit_test(a_bad_header_behind_good_frames_is_refused_after_them),
                cmocka_unit_test(empty_frames_in_a_row_pass),
                cmocka_unit_test(the_handlers_verdict_ends_the_feed_at_once),
                cmocka_unit_test(a_handler_that_ends_the_feed_may_free_the_parser),
        };

        return RUN_TESTS(tests);
}
