/* SPDX-License-Identifier: Apache-2.0 */

/* What the guest is told of a request: its frames are decoded again and must give the same program, in the order that
 * the protocol wants, and never more bytes than were announced. */

#include "frame.h"
#include "request.h"
#include "unit.h"

#include <errno.h>

static Request *parse_with(const char *configuration, const char *body) {
        CLEANUP_FREE char *message = NULL;
        Config *config = NULL;
        Request *request = NULL;
        Refusal refusal = {0};

        assert_int_equal(config_parse(configuration, strlen(configuration), "F", &config, &message), 0);
        assert_int_equal(request_parse(body, strlen(body), config, &request, &refusal), 0);
        config_free(config);
        return request;
}

static Request *parse(const char *body) {
        return parse_with("", body);
}

/* The program as frames tell it, in a form that can be compared. */
typedef struct Told {
        Buffer texts; /* one line an ARG, ENV and FILE */
        Buffer files; /* the bytes of all DATA, in order */
        Buffer input;
        FrameLimits limits;
        size_t frames;
        size_t limits_frames;
        size_t runs;
        bool after_file; /* DATA may come */
} Told;

static int on_frame(uint8_t type, const uint8_t *payload, size_t size, void *userdata) {
        Told *told = userdata;

        told->frames++;
        assert_int_equal(told->runs, 0); /* nothing comes after it */
        told->after_file = type == FRAME_FILE || (type == FRAME_DATA && told->after_file);
        switch (type) {
        case FRAME_ARG:
        case FRAME_ENV:
        case FRAME_FILE:
                assert_null(size > 0 ? memchr(payload, 0, size) : NULL);
                return buffer_append_format(&told->texts, "%s %.*s\n",
                                            type == FRAME_ARG   ? "ARG"
                                            : type == FRAME_ENV ? "ENV"
                                                                : "FILE",
                                            (int) size, (const char *) payload);
        case FRAME_DATA:
                assert_true(told->after_file);
                assert_true(size > 0);
                return buffer_append(&told->files, payload, size);
        case FRAME_STDIN:
                assert_true(size > 0);
                return buffer_append(&told->input, payload, size);
        case FRAME_LIMITS:
                told->limits_frames++;
                return frame_limits_decode(payload, size, &told->limits);
        case FRAME_RUN:
                assert_int_equal(size, 0);
                told->runs++;
                return 0;
        default:
                fail_msg("frame of type %u", type);
                return -EBADMSG;
        }
}

static void told_init(Told *told, const Request *request) {
        const size_t max = request_encoded_max(request);
        FrameReader *reader = malloc(sizeof(*reader));
        Buffer frames = BUFFER_INIT(max);

        assert_non_null(reader);
        *told = (Told){.texts = BUFFER_INIT(SIZE_MAX / 2),
                       .files = BUFFER_INIT(SIZE_MAX / 2),
                       .input = BUFFER_INIT(SIZE_MAX / 2)};
        assert_int_equal(request_encode(request, 1024, &frames), 0);
        assert_in_range(frames.size, 1, max);
        frame_reader_init(reader);
        assert_int_equal(frame_reader_feed(reader, frames.data, frames.size, on_frame, told), 0);
        assert_true(frame_reader_at_boundary(reader));
        assert_int_equal(told->limits_frames, 1);
        assert_int_equal(told->runs, 1);
        buffer_deinit(&frames);
        free(reader);
}

static void told_deinit(Told *told) {
        buffer_deinit(&told->texts);
        buffer_deinit(&told->files);
        buffer_deinit(&told->input);
}

TEST(the_guest_is_told_the_whole_program) {
        Request *request = parse(
                "{\"runtime\":\"deno\",\"files\":{\"z\":\"last\",\"a/b\":\"first\",\"empty\":\"\"},\"entry\":\"z\","
                "\"args\":[\"one\",\"\"],\"env\":{\"A\":\"b=c\",\"E\":\"\"},\"stdin\":\"in\",\"labels\":{\"l\":\"m\"},"
                "\"limits\":{\"wall_ms\":5,\"cpu_ms\":6,\"memory_mb\":33,\"processes\":7,\"output_kb\":8,\"disk_mb\":9}"
                "}");
        Told told;

        told_init(&told, request);
        assert_string_equal((char *) told.texts.data, "ARG /work/z\nARG one\nARG \nENV A=b=c\nENV E=\n"
                                                      "FILE a/b\nFILE empty\nFILE z\n");
        assert_int_equal(told.files.size, 9);
        assert_memory_equal(told.files.data, "firstlast", 9);
        assert_int_equal(told.input.size, 2);
        assert_memory_equal(told.input.data, "in", 2);
        assert_int_equal(told.limits.cpu_ms, 6);
        assert_int_equal(told.limits.output_bytes, 8 * 1024);
        assert_int_equal(told.limits.file_bytes, 9 * 1024 * 1024);
        assert_int_equal(told.limits.processes, 7);
        assert_int_equal(told.limits.open_files, 1024);
        told_deinit(&told);
        request_free(request);
}

TEST(the_shortest_program_is_told_in_few_frames) {
        Request *request = parse("{\"runtime\":\"deno\",\"code\":\"\"}");
        Told told;

        told_init(&told, request);
        assert_string_equal((char *) told.texts.data, "ARG /work/main.ts\nFILE main.ts\n");
        assert_int_equal(told.frames, 4);
        assert_int_equal(told.files.size, 0);
        told_deinit(&told);
        request_free(request);
}

TEST(long_contents_are_cut_into_frames_and_none_of_it_is_lost) {
        static const size_t sizes[] = {1,
                                       FRAME_PAYLOAD_MAX - 1,
                                       FRAME_PAYLOAD_MAX,
                                       FRAME_PAYLOAD_MAX + 1,
                                       2 * (size_t) FRAME_PAYLOAD_MAX,
                                       3 * (size_t) FRAME_PAYLOAD_MAX + 5};

        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
                CLEANUP_FREE char *body = text_format("{\"runtime\":\"deno\",\"code\":\"%0*d\",\"stdin\":\"%0*d\"}",
                                                      (int) sizes[i], 7, (int) sizes[i], 8);
                Request *request = parse(body);
                Told told;

                told_init(&told, request);
                assert_int_equal(told.files.size, sizes[i]);
                assert_int_equal(told.files.data[sizes[i] - 1], '7');
                assert_int_equal(told.input.size, sizes[i]);
                assert_int_equal(told.input.data[sizes[i] - 1], '8');
                assert_int_equal(told.frames, 4 + 2 * ((sizes[i] - 1) / FRAME_PAYLOAD_MAX + 1));
                told_deinit(&told);
                request_free(request);
        }
}

TEST(the_largest_limits_survive_the_wire) {
        static const char text[] = "limits = { cpu_ms = { max = 86400000; }; processes = { max = 32768; };"
                                   "output_kb = { max = 262144; }; disk_mb = { max = 1048576; }; };";
        static const char body[] =
                "{\"runtime\":\"deno\",\"code\":\"\",\"limits\":{\"cpu_ms\":86400000,\"processes\":32768,"
                "\"output_kb\":262144,\"disk_mb\":1048576}}";
        Request *request = parse_with(text, body);
        Told told;

        told_init(&told, request);
        assert_int_equal(told.limits.cpu_ms, 86400000);
        assert_int_equal(told.limits.processes, 32768);
        assert_true(told.limits.output_bytes == UINT64_C(262144) * 1024);
        assert_true(told.limits.file_bytes == UINT64_C(1048576) * 1024 * 1024);
        told_deinit(&told);
        request_free(request);
}

TEST(a_buffer_that_is_too_small_is_told) {
        Request *request =
                parse("{\"runtime\":\"deno\",\"code\":\"x\",\"args\":[\"a\"],\"env\":{\"A\":\"\"},\"stdin\":\"s\"}");
        Buffer frames = BUFFER_INIT(request_encoded_max(request));
        size_t needed;

        assert_int_equal(request_encode(request, 1024, &frames), 0);
        needed = frames.size;
        buffer_deinit(&frames);
        for (size_t limit = 0; limit < needed; limit++) {
                frames = BUFFER_INIT(limit);
                assert_int_equal(request_encode(request, 1024, &frames), -EFBIG);
                buffer_deinit(&frames);
        }
        request_free(request);
}

static int on_warm_up_frame(uint8_t type, const uint8_t *payload, size_t size, void *userdata) {
        Buffer *told = userdata;

        if (type == FRAME_LIMITS)
                return 0;
        return buffer_append_format(told, "%u %.*s\n", type, (int) size, (const char *) payload);
}

TEST(a_runtime_that_is_to_wait_is_told_its_arguments_and_its_entry) {
        char first[] = "--preload=/a.js", second[] = "-x";
        char *items[] = {first, second, NULL};
        const ConfigWords arguments = {.items = items, .size = 2};
        const FrameLimits limits = {.cpu_ms = 1, .processes = 2, .open_files = 3};
        Buffer frames = BUFFER_INIT(4096), told = BUFFER_INIT(4096);
        FrameReader *reader = malloc(sizeof(*reader));

        assert_non_null(reader);
        assert_int_equal(request_encode_warm_up(&arguments, "main.ts", &limits, &frames), 0);
        frame_reader_init(reader);
        assert_int_equal(frame_reader_feed(reader, frames.data, frames.size, on_warm_up_frame, &told), 0);
        assert_true(frame_reader_at_boundary(reader));
        assert_string_equal((char *) told.data, "1 --preload=/a.js\n1 -x\n1 /work/main.ts\n9 \n");
        free(reader);
        buffer_deinit(&frames);
        buffer_deinit(&told);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_guest_is_told_the_whole_program),
                cmocka_unit_test(the_shortest_program_is_told_in_few_frames),
                cmocka_unit_test(long_contents_are_cut_into_frames_and_none_of_it_is_lost),
                cmocka_unit_test(the_largest_limits_survive_the_wire),
                cmocka_unit_test(a_runtime_that_is_to_wait_is_told_its_arguments_and_its_entry),
                cmocka_unit_test(a_buffer_that_is_too_small_is_told),
        };

        return RUN_TESTS(tests);
}
