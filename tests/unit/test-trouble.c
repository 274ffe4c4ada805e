/* SPDX-License-Identifier: Apache-2.0 */

#include "trouble.h"
#include "unit.h"

#include <errno.h>

TEST(the_first_trouble_stays) {
        Trouble trouble = {0};

        assert_int_equal(trouble_set(&trouble, -EIO, "do this", "%s has %d faults", "it", 2), -EIO);
        assert_int_equal(trouble_set(&trouble, -EPERM, "do that", "what follows"), -EPERM);
        assert_string_equal(trouble.message, "it has 2 faults");
        assert_string_equal(trouble.remedy, "do this");
        trouble_deinit(&trouble);
        assert_null(trouble.message);
        assert_null(trouble.remedy);
        trouble_deinit(&trouble);
}

/* Not even the remedy is the second one's. */
TEST(a_trouble_without_a_remedy_gets_none_later) {
        Trouble trouble = {0};

        assert_int_equal(trouble_set(&trouble, -EIO, NULL, "first"), -EIO);
        assert_int_equal(trouble_set(&trouble, -EIO, "do that", "second"), -EIO);
        assert_string_equal(trouble.message, "first");
        assert_null(trouble.remedy);
        trouble_deinit(&trouble);
}

TEST(after_deinit_another_trouble_is_the_first) {
        Trouble trouble = {0};

        assert_int_equal(trouble_set(&trouble, -EIO, "do this", "first"), -EIO);
        trouble_deinit(&trouble);
        assert_int_equal(trouble_set(&trouble, -ENOENT, NULL, "second"), -ENOENT);
        assert_string_equal(trouble.message, "second");
        trouble_deinit(&trouble);
}

/* Programs are cited, and what they say may be anything. */
TEST(a_message_is_fit_to_be_shown) {
        Trouble trouble = {0};

        assert_int_equal(trouble_set(&trouble, -EIO, NULL, "%s", "one\ntwo\033[2J\xff\303\244"), -EIO);
        assert_string_equal(trouble.message, "one?two?[2J?\303\244");
        trouble_deinit(&trouble);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_first_trouble_stays),
                cmocka_unit_test(a_trouble_without_a_remedy_gets_none_later),
                cmocka_unit_test(after_deinit_another_trouble_is_the_first),
                cmocka_unit_test(a_message_is_fit_to_be_shown),
        };

        return RUN_TESTS(tests);
}
