/* SPDX-License-Identifier: Apache-2.0 */

/* The buffer's promises: a bound that holds for every way of appending, all or nothing, and bytes that stay what they
 * were. */

#include "buffer.h"
#include "unit.h"

#include <errno.h>

TEST(content_is_followed_by_a_nul) {
        Buffer buffer = BUFFER_INIT(64);

        assert_int_equal(buffer_append(&buffer, "ab", 2), 0);
        assert_int_equal(buffer_append_text(&buffer, "cd"), 0);
        assert_int_equal(buffer_append_format(&buffer, "%d", 42), 0);
        assert_int_equal(buffer.size, 6);
        assert_string_equal((char *) buffer.data, "abcd42");
        buffer_deinit(&buffer);
}

TEST(appending_nothing_still_makes_an_empty_text) {
        Buffer buffer = BUFFER_INIT(0);

        assert_int_equal(buffer_append(&buffer, NULL, 0), 0);
        assert_int_equal(buffer.size, 0);
        assert_string_equal((char *) buffer.data, "");
        buffer_deinit(&buffer);
}

TEST(bytes_with_nul_are_kept) {
        Buffer buffer = BUFFER_INIT(8);

        assert_int_equal(buffer_append(&buffer, "a\0b", 3), 0);
        assert_int_equal(buffer.size, 3);
        assert_memory_equal(buffer.data, "a\0b", 4);
        buffer_deinit(&buffer);
}

TEST(the_bound_is_the_last_size_that_fits) {
        Buffer buffer = BUFFER_INIT(4);

        assert_int_equal(buffer_append(&buffer, "abcd", 4), 0);
        assert_int_equal(buffer_append(&buffer, "", 0), 0);
        assert_int_equal(buffer_append(&buffer, "e", 1), -EFBIG);
        assert_string_equal((char *) buffer.data, "abcd");
        buffer_deinit(&buffer);
}

TEST(an_append_beyond_the_bound_changes_nothing) {
        Buffer buffer = BUFFER_INIT(4);

        assert_int_equal(buffer_append_text(&buffer, "ab"), 0);
        assert_int_equal(buffer_append(&buffer, "cde", 3), -EFBIG);
        assert_int_equal(buffer_append_text(&buffer, "cde"), -EFBIG);
        assert_int_equal(buffer_append_format(&buffer, "%s", "cde"), -EFBIG);
        assert_int_equal(buffer.size, 2);
        assert_string_equal((char *) buffer.data, "ab");
        buffer_deinit(&buffer);
}

TEST(a_size_that_overflows_is_beyond_every_bound) {
        Buffer buffer = BUFFER_INIT(SIZE_MAX);

        assert_int_equal(buffer_append_text(&buffer, "a"), 0);
        assert_int_equal(buffer_append(&buffer, "b", SIZE_MAX), -EFBIG);
        assert_int_equal(buffer_append(&buffer, "b", SIZE_MAX - 1), -EFBIG);
        assert_int_equal(buffer.size, 1);
        buffer_deinit(&buffer);
}

TEST(many_small_pieces_reallocate_seldom) {
        Buffer buffer = BUFFER_INIT(100000);
        size_t allocated = 0, times = 0;

        for (size_t i = 0; i < buffer.limit; i++) {
                assert_int_equal(buffer_append(&buffer, &(uint8_t){(uint8_t) i}, 1), 0);
                if (buffer.allocated != allocated)
                        times++;
                allocated = buffer.allocated;
        }
        assert_in_range(times, 1, 16);
        for (size_t i = 0; i < buffer.size; i++)
                assert_int_equal(buffer.data[i], (uint8_t) i);
        buffer_deinit(&buffer);
}

TEST(consuming_keeps_the_rest) {
        Buffer buffer = BUFFER_INIT(16);

        assert_int_equal(buffer_append_text(&buffer, "abcdef"), 0);
        buffer_consume(&buffer, 0);
        assert_string_equal((char *) buffer.data, "abcdef");
        buffer_consume(&buffer, 4);
        assert_int_equal(buffer.size, 2);
        assert_string_equal((char *) buffer.data, "ef");
        buffer_consume(&buffer, 2);
        assert_int_equal(buffer.size, 0);
        assert_string_equal((char *) buffer.data, "");
        buffer_deinit(&buffer);
}

TEST(what_was_consumed_gives_room_under_the_bound) {
        Buffer buffer = BUFFER_INIT(4);

        assert_int_equal(buffer_append_text(&buffer, "abcd"), 0);
        buffer_consume(&buffer, 2);
        assert_int_equal(buffer_append_text(&buffer, "ef"), 0);
        assert_string_equal((char *) buffer.data, "cdef");
        assert_int_equal(buffer_append_text(&buffer, "g"), -EFBIG);
        buffer_deinit(&buffer);
}

TEST(an_untouched_buffer_can_be_consumed_cleared_and_freed) {
        Buffer buffer = BUFFER_INIT(4);

        buffer_consume(&buffer, 0);
        buffer_clear(&buffer);
        assert_null(buffer.data);
        buffer_deinit(&buffer);
}

TEST(clearing_keeps_memory_and_bound) {
        Buffer buffer = BUFFER_INIT(4);
        const uint8_t *data;

        assert_int_equal(buffer_append_text(&buffer, "abcd"), 0);
        data = buffer.data;
        buffer_clear(&buffer);
        assert_int_equal(buffer.size, 0);
        assert_int_equal(buffer_append_text(&buffer, "efgh"), 0);
        assert_ptr_equal(buffer.data, data);
        assert_int_equal(buffer_append_text(&buffer, "i"), -EFBIG);
        buffer_deinit(&buffer);
}

TEST(a_freed_buffer_is_empty_and_usable_with_its_old_bound) {
        Buffer buffer = BUFFER_INIT(2);

        assert_int_equal(buffer_append_text(&buffer, "ab"), 0);
        buffer_deinit(&buffer);
        assert_int_equal(buffer.size, 0);
        assert_null(buffer.data);
        assert_int_equal(buffer_append_text(&buffer, "cde"), -EFBIG);
        assert_int_equal(buffer_append_text(&buffer, "cd"), 0);
        buffer_deinit(&buffer);
        buffer_deinit(&buffer);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(content_is_followed_by_a_nul),
                cmocka_unit_test(appending_nothing_still_makes_an_empty_text),
                cmocka_unit_test(bytes_with_nul_are_kept),
                cmocka_unit_test(the_bound_is_the_last_size_that_fits),
                cmocka_unit_test(an_append_beyond_the_bound_changes_nothing),
                cmocka_unit_test(a_size_that_overflows_is_beyond_every_bound),
                cmocka_unit_test(many_small_pieces_reallocate_seldom),
                cmocka_unit_test(consuming_keeps_the_rest),
                cmocka_unit_test(what_was_consumed_gives_room_under_the_bound),
                cmocka_unit_test(an_untouched_buffer_can_be_consumed_cleared_and_freed),
                cmocka_unit_test(clearing_keeps_memory_and_bound),
                cmocka_unit_test(a_freed_buffer_is_empty_and_usable_with_its_old_bound),
        };

        return RUN_TESTS(tests);
}
