/* SPDX-License-Identifier: Apache-2.0 */

/* The test vectors of FIPS 180. */

#include "digest.h"
#include "unit.h"

#define MILLION ((size_t) 1000000)

TEST(sha1_is_that_of_the_standard) {
        static const struct {
                const char *data, *text;
        } cases[] = {
                {"", "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
                {"abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
                {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                 "84983e441c3bd26ebaae4aa1f95129e5e54670f1"},
        };
        char text[DIGEST_SHA1_TEXT];

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                assert_int_equal(digest_sha1(cases[i].data, strlen(cases[i].data), text), 0);
                assert_string_equal(text, cases[i].text);
        }
}

static void expect_sha256(const void *data, size_t size, size_t piece, const char *wanted) {
        CLEANUP(digest_freep) Digest *digest = NULL;
        char text[DIGEST_SHA256_TEXT];

        assert_int_equal(digest_new(&digest), 0);
        for (size_t at = 0; at < size; at += piece)
                assert_int_equal(digest_add(digest, (const char *) data + at, size - at < piece ? size - at : piece),
                                 0);
        digest_text(digest, text);
        assert_string_equal(text, wanted);
}

TEST(sha256_is_that_of_the_standard_in_whatever_pieces) {
        static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
        CLEANUP_FREE char *million = malloc(MILLION);

        expect_sha256("", 0, 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        expect_sha256("abc", 3, 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        for (size_t piece = 1; piece <= strlen(two_blocks); piece++)
                expect_sha256(two_blocks, strlen(two_blocks), piece,
                              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
        assert_non_null(million);
        memset(million, 'a', MILLION);
        expect_sha256(million, MILLION, 65536, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(a_digest_that_was_not_finished_can_be_freed) {
        Digest *digest = NULL;

        assert_null(digest_free(NULL));
        assert_int_equal(digest_new(&digest), 0);
        assert_int_equal(digest_add(digest, "abc", 3), 0);
        assert_null(digest_free(digest));
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(sha1_is_that_of_the_standard),
                cmocka_unit_test(sha256_is_that_of_the_standard_in_whatever_pieces),
                cmocka_unit_test(a_digest_that_was_not_finished_can_be_freed),
        };

        return RUN_TESTS(tests);
}
