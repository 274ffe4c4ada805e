/* SPDX-License-Identifier: Apache-2.0 */

/* The guest protocol's frames, byte for byte as docs/PROTOCOL.md has them: agent and guest are built from this one
 * file, so a mistake in it would not show between the two. */

#include "frame.h"
#include "unit.h"

#include <errno.h>

/* What the handler saw. */
typedef struct Seen {
        size_t frames;
        size_t sizes[8];
        uint8_t types[8];
        uint8_t bytes[64]; /* the payloads, one after the other, as far as they go in */
        size_t size;
        size_t stop_at; /* the frame at which to return stop_with */
        int stop_with;
} Seen;

static int on_frame(uint8_t type, const uint8_t *payload, size_t size, void *userdata) {
        Seen *seen = userdata;

        assert_true(seen->frames < ARRAY_SIZE(seen->types));
        seen->types[seen->frames] = type;
        seen->sizes[seen->frames] = size;
        if (size <= sizeof(seen->bytes) - seen->size) {
                memcpy(seen->bytes + seen->size, payload, size);
                seen->size += size;
        }
        return ++seen->frames == seen->stop_at ? seen->stop_with : 0;
}

static const char valid[] = "\x01\0\0\0\0\0\0\7main.ts"
                            "\x07\0\0\0\0\0\0\0"
                            "\x82\0\0\0\0\0\0\5hello"
                            "\x08\0\0\0\0\0\0\0";
#define VALID_SIZE (sizeof(valid) - 1)

static void assert_valid(const Seen *seen) {
        const uint8_t types[] = {FRAME_ARG, FRAME_RUN, FRAME_STDOUT, FRAME_STOP};
        const size_t sizes[] = {7, 0, 5, 0};

        assert_int_equal(seen->frames, ARRAY_SIZE(types));
        assert_memory_equal(seen->types, types, sizeof(types));
        assert_memory_equal(seen->sizes, sizes, sizeof(sizes));
        assert_int_equal(seen->size, 12);
        assert_memory_equal(seen->bytes, "main.tshello", 12);
}

/* Too large for the stack of a test. */
static FrameReader reader;

TEST(frames_are_the_same_however_the_bytes_are_cut) {
        for (size_t first = 0; first <= VALID_SIZE; first++)
                for (size_t step = 1; step <= VALID_SIZE; step++) {
                        Seen seen = {0};

                        frame_reader_init(&reader);
                        assert_int_equal(frame_reader_feed(&reader, valid, first, on_frame, &seen), 0);
                        for (size_t at = first; at < VALID_SIZE; at += step) {
                                size_t n = VALID_SIZE - at < step ? VALID_SIZE - at : step;

                                assert_int_equal(frame_reader_feed(&reader, valid + at, n, on_frame, &seen), 0);
                        }
                        assert_valid(&seen);
                        assert_true(frame_reader_at_boundary(&reader));
                }
}

TEST(stream_that_ends_inside_a_frame_is_told_from_one_that_ends_between_two) {
        for (size_t n = 0; n <= VALID_SIZE; n++) {
                bool is_boundary = n == 0 || n == 15 || n == 23 || n == 36 || n == 44;
                Seen seen = {0};

                frame_reader_init(&reader);
                assert_int_equal(frame_reader_feed(&reader, valid, n, on_frame, &seen), 0);
                assert_case(frame_reader_at_boundary(&reader) == is_boundary, "after %zu bytes", n);
        }
}

TEST(largest_payload_passes_and_one_byte_more_does_not) {
        static uint8_t frame[FRAME_HEADER_SIZE + FRAME_PAYLOAD_MAX];
        const uint8_t too_long[] = {FRAME_DATA, 0, 0, 0, 0, 1, 0, 1};
        Seen seen = {0};

        frame_header_encode(frame, FRAME_DATA, FRAME_PAYLOAD_MAX);
        frame_reader_init(&reader);
        assert_int_equal(frame_reader_feed(&reader, frame, sizeof(frame), on_frame, &seen), 0);
        assert_int_equal(seen.frames, 1);
        assert_int_equal(seen.sizes[0], FRAME_PAYLOAD_MAX);

        assert_int_equal(frame_reader_feed(&reader, too_long, sizeof(too_long), on_frame, &seen), -EBADMSG);
        assert_int_equal(seen.frames, 1);
}

TEST(header_that_breaks_the_protocol_is_refused) {
        const uint8_t headers[][FRAME_HEADER_SIZE] = {
                {FRAME_ARG, 1, 0, 0, 0, 0, 0, 0},        {FRAME_ARG, 0, 1, 0, 0, 0, 0, 0},
                {FRAME_ARG, 0, 0, 1, 0, 0, 0, 0},        {FRAME_ARG, 0, 0, 0x80, 0, 0, 0, 0},
                {FRAME_ARG, 0, 0, 0, 1, 0, 0, 0},        {FRAME_ARG, 0, 0, 0, 0x80, 0, 0, 0},
                {0xff, 0, 0, 0, 0xff, 0xff, 0xff, 0xff},
        };

        for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
                Seen seen = {0};

                frame_reader_init(&reader);
                assert_int_equal(frame_reader_feed(&reader, headers[i], 7, on_frame, &seen), 0);
                assert_int_equal(frame_reader_feed(&reader, headers[i] + 7, 1, on_frame, &seen), -EBADMSG);
                assert_int_equal(seen.frames, 0);
        }
}

TEST(length_that_was_refused_is_not_believed_later) {
        static const uint8_t bytes[FRAME_PAYLOAD_MAX] = {0};
        const uint8_t header[] = {FRAME_DATA, 0, 0, 0, 0xff, 0xff, 0xff, 0xff};
        Seen seen = {0};

        frame_reader_init(&reader);
        assert_int_equal(frame_reader_feed(&reader, header, sizeof(header), on_frame, &seen), -EBADMSG);
        for (int i = 0; i < 3; i++)
                assert_int_equal(frame_reader_feed(&reader, bytes, sizeof(bytes), on_frame, &seen), -EBADMSG);
        assert_int_equal(seen.frames, 0);
}

TEST(handler_ends_the_feed_with_a_negative_return_only) {
        Seen refusing = {.stop_at = 2, .stop_with = -ENOSPC}, content = {.stop_at = 2, .stop_with = 1};

        frame_reader_init(&reader);
        assert_int_equal(frame_reader_feed(&reader, valid, VALID_SIZE, on_frame, &refusing), -ENOSPC);
        assert_int_equal(refusing.frames, 2);

        frame_reader_init(&reader);
        assert_int_equal(frame_reader_feed(&reader, valid, VALID_SIZE, on_frame, &content), 0);
        assert_valid(&content);
}

static int free_the_reader(uint8_t type, const uint8_t *payload, size_t size, void *userdata) {
        FrameReader **owned = userdata;

        (void) type;
        (void) payload;
        (void) size;
        free(*owned);
        *owned = NULL;
        return -ESHUTDOWN;
}

TEST(handler_that_ends_the_feed_may_free_the_reader) {
        FrameReader *owned = malloc(sizeof(*owned));

        assert_non_null(owned);
        frame_reader_init(owned);
        assert_int_equal(frame_reader_feed(owned, valid, VALID_SIZE, free_the_reader, &owned), -ESHUTDOWN);
        assert_null(owned);
}

TEST(header_is_laid_out_as_documented) {
        uint8_t header[FRAME_HEADER_SIZE];

        memset(header, 0xee, sizeof(header));
        frame_header_encode(header, FRAME_EXIT, 0xabcd);
        assert_memory_equal(header, "\x84\0\0\0\0\0\xab\xcd", FRAME_HEADER_SIZE);
}

TEST(integers_are_big_endian) {
        uint8_t bytes[4];

        frame_u32_encode(bytes, 0x89abcdefU);
        assert_memory_equal(bytes, "\x89\xab\xcd\xef", 4);
        assert_int_equal(frame_u32_decode(bytes), 0x89abcdefU);
}

TEST(limits_are_laid_out_as_documented) {
        const FrameLimits limits = {
                .cpu_ms = 0x0102030405060708U,
                .output_bytes = 0x1112131415161718U,
                .file_bytes = 0x2122232425262728U,
                .processes = 0x31323334U,
                .open_files = 0x41424344U,
        };
        const char expected[] = "\x01\x02\x03\x04\x05\x06\x07\x08\x11\x12\x13\x14\x15\x16\x17\x18"
                                "\x21\x22\x23\x24\x25\x26\x27\x28\x31\x32\x33\x34\x41\x42\x43\x44";
        uint8_t payload[FRAME_LIMITS_SIZE];
        FrameLimits decoded = {0};

        frame_limits_encode(payload, &limits);
        assert_memory_equal(payload, expected, sizeof(payload));
        assert_int_equal(frame_limits_decode(payload, sizeof(payload), &decoded), 0);
        assert_memory_equal(&decoded, &limits, sizeof(limits));
}

TEST(limits_of_another_size_are_refused) {
        const uint8_t payload[FRAME_LIMITS_SIZE + 1] = {0};
        FrameLimits limits;

        assert_int_equal(frame_limits_decode(payload, 0, &limits), -EBADMSG);
        assert_int_equal(frame_limits_decode(payload, FRAME_LIMITS_SIZE - 1, &limits), -EBADMSG);
        assert_int_equal(frame_limits_decode(payload, FRAME_LIMITS_SIZE + 1, &limits), -EBADMSG);
}

TEST(exit_is_laid_out_as_documented) {
        const FrameExit report = {
                .kind = FRAME_EXIT_SIGNALED,
                .value = 9,
                .run_usec = 0x0102030405060708U,
                .cpu_usec = 0x1112131415161718U,
                .memory_peak_bytes = 0x2122232425262728U,
                .stdout_bytes = 0x3132333435363738U,
                .stderr_bytes = 0x4142434445464748U,
                .flags = FRAME_EXIT_FLAG_OUTPUT_LIMIT | FRAME_EXIT_FLAG_STOPPED,
        };
        const char expected[] = "\0\0\0\x01\0\0\0\x09\x01\x02\x03\x04\x05\x06\x07\x08"
                                "\x11\x12\x13\x14\x15\x16\x17\x18\x21\x22\x23\x24\x25\x26\x27\x28"
                                "\x31\x32\x33\x34\x35\x36\x37\x38\x41\x42\x43\x44\x45\x46\x47\x48\0\0\0\x03";
        uint8_t payload[FRAME_EXIT_SIZE];
        FrameExit decoded;

        memset(&decoded, 0, sizeof(decoded));
        frame_exit_encode(payload, &report);
        assert_memory_equal(payload, expected, sizeof(payload));
        assert_int_equal(frame_exit_decode(payload, sizeof(payload), &decoded), 0);
        assert_int_equal(decoded.kind, report.kind);
        assert_int_equal(decoded.value, report.value);
        assert_true(decoded.run_usec == report.run_usec);
        assert_true(decoded.cpu_usec == report.cpu_usec);
        assert_true(decoded.memory_peak_bytes == report.memory_peak_bytes);
        assert_true(decoded.stdout_bytes == report.stdout_bytes);
        assert_true(decoded.stderr_bytes == report.stderr_bytes);
        assert_int_equal(decoded.flags, report.flags);
}

TEST(exit_that_no_program_can_have_is_refused) {
        const struct {
                uint32_t kind, value, flags;
                int expected;
        } cases[] = {
                {0, 0, 0, 0},
                {0, 255, 0, 0},
                {1, 1, 0, 0},
                {1, 64, 3, 0},
                {0, 256, 0, -EBADMSG},
                {1, 0, 0, -EBADMSG},
                {1, 65, 0, -EBADMSG},
                {2, 0, 0, -EBADMSG},
                {0, 0, 4, -EBADMSG},
                {0, 0, 1U << 31, -EBADMSG},
                {UINT32_MAX, 0, 0, -EBADMSG},
        };
        uint8_t payload[FRAME_EXIT_SIZE] = {0};
        FrameExit report;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                frame_u32_encode(payload, cases[i].kind);
                frame_u32_encode(payload + 4, cases[i].value);
                frame_u32_encode(payload + 48, cases[i].flags);
                assert_case(frame_exit_decode(payload, sizeof(payload), &report) == cases[i].expected,
                            "kind %u value %u flags %u", cases[i].kind, cases[i].value, cases[i].flags);
        }
        assert_int_equal(frame_exit_decode(payload, sizeof(payload) - 1, &report), -EBADMSG);
        assert_int_equal(frame_exit_decode(payload, 0, &report), -EBADMSG);
}

TEST(fault_gives_reason_errno_and_message) {
        const uint8_t payload[] = "\0\0\0\2\0\0\0\x1c"
                                  "main.ts: No space left on device";
        const uint8_t unknown[] = "\0\0\0\5\0\0\0\0", none[] = "\0\0\0\0\0\0\0\0";
        FrameFault fault = {0};

        assert_int_equal(frame_fault_decode(payload, sizeof(payload) - 1, &fault), 0);
        assert_int_equal(fault.reason, FRAME_FAULT_FILES);
        assert_int_equal(fault.error_number, ENOSPC);
        assert_int_equal(fault.message_size, sizeof(payload) - 1 - FRAME_FAULT_HEADER_SIZE);
        assert_ptr_equal(fault.message, payload + FRAME_FAULT_HEADER_SIZE);

        assert_int_equal(frame_fault_decode(payload, FRAME_FAULT_HEADER_SIZE, &fault), 0);
        assert_int_equal(fault.message_size, 0);
        assert_int_equal(frame_fault_decode(payload, FRAME_FAULT_HEADER_SIZE - 1, &fault), -EBADMSG);
        assert_int_equal(frame_fault_decode(unknown, FRAME_FAULT_HEADER_SIZE, &fault), -EBADMSG);
        assert_int_equal(frame_fault_decode(none, FRAME_FAULT_HEADER_SIZE, &fault), -EBADMSG);
}

#define PATH_CASE(text, safe) \
        { (text), sizeof(text) - 1, (safe) }

TEST(path_out_of_the_work_folder_is_refused) {
        const struct {
                const char *path;
                size_t size;
                bool is_safe;
        } cases[] = {
                PATH_CASE("main.ts", true),    PATH_CASE("a/b/c.ts", true), PATH_CASE(".hidden", true),
                PATH_CASE("...", true),        PATH_CASE("..a/b..", true),  PATH_CASE("a b/\xc3\xa9", true),
                PATH_CASE("", false),          PATH_CASE("/", false),       PATH_CASE("/etc/passwd", false),
                PATH_CASE(".", false),         PATH_CASE("..", false),      PATH_CASE("../x", false),
                PATH_CASE("a/..", false),      PATH_CASE("a/../b", false),  PATH_CASE("a/./b", false),
                PATH_CASE("a/", false),        PATH_CASE("a//b", false),    PATH_CASE("a\0b", false),
                PATH_CASE("a/..\0", false),    PATH_CASE("a\nb", false),    PATH_CASE("a\x7f", false),
                PATH_CASE("a/\x1b[2J", false),
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                assert_case(frame_path_is_safe(cases[i].path, cases[i].size) == cases[i].is_safe, "\"%s\" (%zu)",
                            cases[i].path, cases[i].size);
}

TEST(path_is_bounded_by_component_and_in_all) {
        char path[1026];

        memset(path, 'a', sizeof(path));
        assert_true(frame_path_is_safe(path, 255));
        assert_false(frame_path_is_safe(path, 256));

        for (size_t i = 1; i < sizeof(path); i += 2)
                path[i] = '/';
        assert_true(frame_path_is_safe(path, 1023));
        path[1023] = 'a';
        assert_true(frame_path_is_safe(path, 1024));
        path[1024] = 'a';
        assert_false(frame_path_is_safe(path, 1025));
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(frames_are_the_same_however_the_bytes_are_cut),
                cmocka_unit_test(stream_that_ends_inside_a_frame_is_told_from_one_that_ends_between_two),
                cmocka_unit_test(largest_payload_passes_and_one_byte_more_does_not),
                cmocka_unit_test(header_that_breaks_the_protocol_is_refused),
                cmocka_unit_test(length_that_was_refused_is_not_believed_later),
                cmocka_unit_test(handler_ends_the_feed_with_a_negative_return_only),
                cmocka_unit_test(handler_that_ends_the_feed_may_free_the_reader),
                cmocka_unit_test(header_is_laid_out_as_documented),
                cmocka_unit_test(integers_are_big_endian),
                cmocka_unit_test(limits_are_laid_out_as_documented),
                cmocka_unit_test(limits_of_another_size_are_refused),
                cmocka_unit_test(exit_is_laid_out_as_documented),
                cmocka_unit_test(exit_that_no_program_can_have_is_refused),
                cmocka_unit_test(fault_gives_reason_errno_and_message),
                cmocka_unit_test(path_out_of_the_work_folder_is_refused),
                cmocka_unit_test(path_is_bounded_by_component_and_in_all),
        };

        return RUN_TESTS(tests);
}
