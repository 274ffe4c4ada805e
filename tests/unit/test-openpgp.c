/* SPDX-License-Identifier: Apache-2.0 */

/* Keys as gpg(1) exports them, and what else may be in their place. The keys, which were made for this test, and their
 * fingerprints are gpg's: gpg --export, gpg --show-keys. */

#include "openpgp.h"
#include "text.h"
#include "unit.h"

#include <errno.h>
#include <stdio.h>

#define KEY_MAX ((size_t) 8 * 1024)

#define BEGIN "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"
#define END "-----END PGP PUBLIC KEY BLOCK-----\n"

/* Ed25519 with a user ID and a subkey for encryption */
#define ONE_FINGERPRINT "7DB557E8E2C313189732C4728B503E90DC650006"
#define ONE_PRIMARY_SIZE 51U /* of its primary key packet, behind a header of two bytes */
#define ONE_BODY                                                             \
        "mDMEZZIAgBYJKwYBBAHaRw8BAQdAMf/Ne06QN/bQUniRQANiZw5ZOs/2S8M0uDCh\n" \
        "OoscBCy0CFRlc3Qgb25liJAEExYIADgWIQR9tVfo4sMTGJcyxHKLUD6Q3GUABgUC\n" \
        "ZZIAgAIbAwULCQgHAgYVCgkICwIEFgIDAQIeAQIXgAAKCRCLUD6Q3GUABofnAP4q\n" \
        "LCvkD1hkG7MnyilcfAlDM/QmzmS8fmGVv0uu6JfV3AEAhFFNtyRm9tsl2oMa4t+o\n" \
        "n994t5xjB/FWzkVngVKlbQW4OARlkgCAEgorBgEEAZdVAQUBAQdA//T1ik0FqXXx\n" \
        "wUzxF1nAeZraASCiVyK60I+u4I2RQEEDAQgHiHgEGBYIACAWIQR9tVfo4sMTGJcy\n" \
        "xHKLUD6Q3GUABgUCZZIAgAIbDAAKCRCLUD6Q3GUABir3AP9WJY/V+oD03AHST21H\n" \
        "zCaOybLbYKlY/S0me2onek83BQEAvOghiyE93H5aGQnwa8DLUdQC63b0HRCVelPe\n" \
        "+qYxwQQ=\n"
#define ONE_SUM "=MZFl\n"

/* Ed25519 without a subkey */
#define TWO_FINGERPRINT "05EE3DAEFF81B6F433B4C1E565F629771E2A9D02"
static const char two[] =
        "mDMEZZIAgBYJKwYBBAHaRw8BAQdAC9YtU7f0z+zoqwayC3FR5pjM1ioUSr7bnIr+Xr+pA4a0CFRlc3QgdHdviJAEExYIADgWIQQF"
        "7j2u/4G29DO0weVl9il3HiqdAgUCZZIAgAIbAwULCQgHAgYVCgkICwIEFgIDAQIeAQIXgAAKCRBl9il3HiqdApz0AQDE6o9d6WOi"
        "JZVwTO7X0mF4QcmYpK0zTwT1jT+T8yPV7wEAx9OKvEUMgHkcs/y0GZWZCvrdHaeYnf1iqlCRLOs4Ngo=";

/* RSA */
#define THREE_FINGERPRINT "D4E10D2A7C8A19AAF675EA34371253F07F0483A2"
static const char three[] =
        "mI0EZZIAgAEEAPc7AGTK6zQxfHpwXdJgeA63RQK/SrdXFiU2yfSr9ccTqK6/fwwyujt0ryM//R99wI8kzUNoatpKApqYIe7p9eqH"
        "BnQRzOl1AmcJxyXAND48OeJ8ClSuy74ueDj4m7zvLGUtGrNkOdiNo3aYNoX9OEzEVKKLyFMm1EE1H2Fvl9oTABEBAAG0ClRlc3Qg"
        "dGhyZWWIzgQTAQoAOBYhBNThDSp8ihmq9nXqNDcSU/B/BIOiBQJlkgCAAhsDBQsJCAcCBhUKCQgLAgQWAgMBAh4BAheAAAoJEDcS"
        "U/B/BIOie/oEAK/M7QRt27MCFwlqqY9BPz2LEgqh3UntRPYRhB8tkADM1RuBi5c/ezkc101I9OexX58Y9r9uU0Y9aRHRxVLdDmJc"
        "t56s+CjTqs/vLNVcGEbvIM1itJT2QPO3BQbcaXSTAxYQIQmS5Sv3P8gXU3sa35W9yo8DsZ7+A0U7FvV6Bv0w";

/* Its secret half for two */
static const char secret[] =
        "lFgEZZIAgBYJKwYBBAHaRw8BAQdAC9YtU7f0z+zoqwayC3FR5pjM1ioUSr7bnIr+Xr+pA4YAAP9b5RCk3Z8FV2LT/J0P+FAEX+9D"
        "OpSsND98+OGacUugYxEgtAhUZXN0IHR3b4iQBBMWCAA4FiEEBe49rv+BtvQztMHlZfYpdx4qnQIFAmWSAIACGwMFCwkIBwIGFQoJ"
        "CAsCBBYCAwECHgECF4AACgkQZfYpdx4qnQKc9AEAxOqPXeljoiWVcEzu19JheEHJmKStM08E9Y0/k/Mj1e8BAMfTirxFDIB5HLP8"
        "tBmVmQr63R2nmJ39YqpQkSzrODYK";

/* ---- what is read ---- */

static void decode(Buffer *binary, const char *base64) {
        assert_int_equal(base64_decode(binary, base64, strlen(base64)), 0);
}

/* The binary form of key one, as a second reader of base64 sees it. */
static void decode_one(Buffer *binary) {
        char text[] = ONE_BODY, *to = text;

        for (const char *from = text; *from; from++)
                if (*from != '\n')
                        *to++ = *from;
        *to = '\0';
        decode(binary, text);
}

/* Reads from memory that ends where the key does. */
static int read_key(const void *data, size_t size, Buffer *binary, char *ret_fingerprint, const char **ret_reason) {
        CLEANUP_FREE void *exact = malloc(size > 0 ? size : 1);

        assert_non_null(exact);
        memcpy(exact, data, size);
        return openpgp_key_read(exact, size, binary, ret_fingerprint, ret_reason);
}

static void expect_key(const void *data, size_t size, const Buffer *wanted, const char *wanted_fingerprint) {
        CLEANUP_BUFFER Buffer binary = BUFFER_INIT(KEY_MAX);
        char fingerprint[OPENPGP_FINGERPRINT_SIZE];
        const char *reason = NULL;
        int r = read_key(data, size, &binary, fingerprint, &reason);

        assert_case(r == 0, "%d, %s: %.*s", r, reason ? reason : "no reason", (int) size, (const char *) data);
        assert_string_equal(fingerprint, wanted_fingerprint);
        assert_int_equal(binary.size, wanted->size);
        assert_memory_equal(binary.data, wanted->data, wanted->size);
}

static void expect_refused(const void *data, size_t size, const char *words) {
        CLEANUP_BUFFER Buffer binary = BUFFER_INIT(KEY_MAX);
        char fingerprint[OPENPGP_FINGERPRINT_SIZE];
        const char *reason = NULL;

        assert_int_equal(read_key(data, size, &binary, fingerprint, &reason), -EINVAL);
        assert_contains(reason, words);
}

static void expect_text_refused(const char *text, const char *words) {
        expect_refused(text, strlen(text), words);
}

/* ---- armour ---- */

TEST(an_armoured_key_has_gpg_s_fingerprint_and_bytes) {
        static const char *const texts[] = {
                BEGIN "\n" ONE_BODY ONE_SUM END,
                BEGIN "\n" ONE_BODY END, /* no check sum: RFC 9580 */
                BEGIN "Version: GnuPG v2\nComment: a: b\n\n" ONE_BODY ONE_SUM END,
                "\n \t\n" BEGIN "\n" ONE_BODY ONE_SUM END "\n\n \n",
                BEGIN " \t\n" ONE_BODY "\n" ONE_SUM "-----END PGP PUBLIC KEY BLOCK-----", /* no newline at the end */
        };
        CLEANUP_BUFFER Buffer one = BUFFER_INIT(KEY_MAX);

        decode_one(&one);
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                expect_key(texts[i], strlen(texts[i]), &one, ONE_FINGERPRINT);
}

TEST(an_armoured_key_may_have_lines_of_windows) {
        static const char text[] = BEGIN "Version: 1\n\n" ONE_BODY ONE_SUM END;
        CLEANUP_BUFFER Buffer windows = BUFFER_INIT(KEY_MAX), one = BUFFER_INIT(KEY_MAX);

        for (const char *p = text; *p; p++)
                assert_int_equal(buffer_append(&windows, *p == '\n' ? "\r\n" : p, *p == '\n' ? 2 : 1), 0);
        decode_one(&one);
        expect_key(windows.data, windows.size, &one, ONE_FINGERPRINT);
}

TEST(an_armour_that_is_damaged_is_refused_with_the_reason) {
        static const struct {
                const char *text, *words;
        } cases[] = {
                {BEGIN "\n" ONE_BODY "=AAAA\n" END, "check sum is wrong"},
                {BEGIN "\n" ONE_BODY "=!!!!\n" END, "check sum is wrong"},
                {BEGIN "\n" ONE_BODY "====\n" END, "no base64"},
                {BEGIN "\n" ONE_BODY "=MZF\n" END, "no base64"},
                {BEGIN "\n" ONE_BODY ONE_SUM ONE_SUM END, "behind its check sum"},
                {BEGIN "\n" ONE_BODY ONE_SUM "x\n" END, "behind its check sum"},
                {BEGIN "\n" ONE_BODY ONE_SUM, "cut off"},
                {BEGIN "\n" ONE_BODY, "cut off"},
                {BEGIN "\n", "cut off"},
                {BEGIN, "cut off"},
                {"-----BEGIN PGP PUBLIC KEY BLOCK-----", "cut off"},
                {BEGIN "\n" ONE_BODY ONE_SUM "-----END PGP PUBLIC KEY BLOCK----\n", "behind its check sum"},
                {BEGIN ONE_BODY ONE_SUM END, "no empty line"},
                {BEGIN END, "no empty line"},
                {BEGIN "\n" END, "it is empty"},
                {BEGIN "\n=twTO\n" END, "it is empty"}, /* the check sum of nothing */
                {BEGIN "\n" ONE_BODY ONE_SUM END BEGIN "\n" ONE_BODY ONE_SUM END, "behind the key"},
                {BEGIN "\n" ONE_BODY ONE_SUM END "<html>\n", "behind the key"},
                {BEGIN "\n&&&&\n" END, "no base64"},
                {BEGIN "\nAAA\n" END, "no base64"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                expect_text_refused(cases[i].text, cases[i].words);
}

/* ---- binary ---- */

TEST(a_binary_key_has_gpg_s_fingerprint_and_bytes) {
        CLEANUP_BUFFER Buffer first = BUFFER_INIT(KEY_MAX), second = BUFFER_INIT(KEY_MAX), third = BUFFER_INIT(KEY_MAX);

        decode_one(&first);
        decode(&second, two);
        decode(&third, three);
        expect_key(first.data, first.size, &first, ONE_FINGERPRINT);
        expect_key(second.data, second.size, &second, TWO_FINGERPRINT);
        expect_key(third.data, third.size, &third, THREE_FINGERPRINT);
}

/* Key one, whose first packet's header is written in another form. */
static void with_header(Buffer *ret, const void *header, size_t header_size) {
        CLEANUP_BUFFER Buffer one = BUFFER_INIT(KEY_MAX);

        decode_one(&one);
        assert_int_equal(one.data[1], ONE_PRIMARY_SIZE);
        assert_int_equal(buffer_append(ret, header, header_size), 0);
        assert_int_equal(buffer_append(ret, one.data + 2, one.size - 2), 0);
}

TEST(the_fingerprint_does_not_depend_on_the_form_of_a_header) {
        static const struct {
                uint8_t bytes[6];
                size_t size;
        } headers[] = {
                {{0xc6, ONE_PRIMARY_SIZE}, 2},                /* new form, one octet */
                {{0xc6, 0xff, 0, 0, 0, ONE_PRIMARY_SIZE}, 6}, /* five octets */
                {{0x99, 0, ONE_PRIMARY_SIZE}, 3},             /* old form, two octets */
                {{0x9a, 0, 0, 0, ONE_PRIMARY_SIZE}, 5},       /* four octets */
        };

        for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
                CLEANUP_BUFFER Buffer key = BUFFER_INIT(KEY_MAX);

                with_header(&key, headers[i].bytes, headers[i].size);
                expect_key(key.data, key.size, &key, ONE_FINGERPRINT);
        }
}

/* A packet of the tag at the end of key one, its length in the new form's two octets. */
TEST(packets_of_a_key_may_follow_and_others_may_not) {
        for (unsigned tag = 0; tag < 64; tag++) {
                static const uint8_t body[200];
                const uint8_t header[] = {(uint8_t) (0xc0U | tag), 0xc0, sizeof(body) - 192};
                bool allowed = tag == 2 || tag == 13 || tag == 14 || tag == 17;
                CLEANUP_BUFFER Buffer key = BUFFER_INIT(KEY_MAX);

                decode_one(&key);
                assert_int_equal(buffer_append(&key, header, sizeof(header)), 0);
                assert_int_equal(buffer_append(&key, body, sizeof(body)), 0);
                if (allowed)
                        expect_key(key.data, key.size, &key, ONE_FINGERPRINT);
                else
                        expect_refused(key.data, key.size, tag == 6 ? "more than one key" : "no part of a public key");
        }
}

TEST(a_second_primary_key_is_refused) {
        CLEANUP_BUFFER Buffer both = BUFFER_INIT(KEY_MAX), armoured = BUFFER_INIT(KEY_MAX);

        decode_one(&both);
        decode(&both, two);
        expect_refused(both.data, both.size, "more than one key");
        assert_int_equal(buffer_append_text(&armoured, BEGIN "\n"), 0);
        assert_int_equal(base64_append(&armoured, both.data, both.size), 0);
        assert_int_equal(buffer_append_text(&armoured, "\n" END), 0);
        expect_refused(armoured.data, armoured.size, "more than one key");
}

TEST(a_secret_key_is_refused_as_such) {
        static const char armoured[] = "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlFgE\n";
        CLEANUP_BUFFER Buffer binary = BUFFER_INIT(KEY_MAX);

        decode(&binary, secret);
        expect_refused(binary.data, binary.size, "secret key");
        expect_text_refused(armoured, "secret key");
}

TEST(a_key_of_another_version_is_refused) {
        for (unsigned version = 0; version < 256; version++) {
                CLEANUP_BUFFER Buffer key = BUFFER_INIT(KEY_MAX);

                decode_one(&key);
                key.data[2] = (uint8_t) version;
                if (version != 4)
                        expect_refused(key.data, key.size, "only version 4");
        }
}

/* At every length but at the ends of its packets. */
TEST(a_key_that_is_cut_off_is_refused) {
        static const size_t packets[] = {53, 63, 209, 267};
        CLEANUP_BUFFER Buffer key = BUFFER_INIT(KEY_MAX);

        decode_one(&key);
        for (size_t size = 1; size < key.size; size++) {
                bool whole = false;

                for (size_t i = 0; i < ARRAY_SIZE(packets); i++)
                        whole |= size == packets[i];
                if (whole)
                        continue;
                expect_refused(key.data, size, size < 53 ? "does not begin with a public key" : "cut off or damaged");
        }
}

TEST(something_behind_a_binary_key_is_refused) {
        static const char *const tails[] = {"\n", "<html>", "\x80", "\xc6"};

        for (size_t i = 0; i < ARRAY_SIZE(tails); i++) {
                CLEANUP_BUFFER Buffer key = BUFFER_INIT(KEY_MAX);

                decode_one(&key);
                assert_int_equal(buffer_append_text(&key, tails[i]), 0);
                expect_refused(key.data, key.size, "cut off or damaged");
        }
}

TEST(lengths_that_no_key_has_are_refused) {
        static const struct {
                uint8_t bytes[6];
                size_t size;
        } headers[] = {
                {{0xc6, 0xe0}, 2},                         /* partial lengths: only data packets may have them */
                {{0xc6, 0xe5}, 2},                         /* of 32 bytes */
                {{0xc6, 0xfe}, 2},                         /* of 2^30 */
                {{0x9b}, 1},                               /* indeterminate: to the end of the file */
                {{0xc6, 0xff, 0xff, 0xff, 0xff, 0xff}, 6}, /* longer than there is */
                {{0x9a, 0xff, 0xff, 0xff, 0xff}, 5},       /* the same in the old form */
                {{0xc6, 0xff, 0x80, 0, 0, ONE_PRIMARY_SIZE}, 6},
        };

        for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
                CLEANUP_BUFFER Buffer key = BUFFER_INIT(KEY_MAX);

                with_header(&key, headers[i].bytes, headers[i].size);
                expect_refused(key.data, key.size, "does not begin with a public key");
        }
}

TEST(a_primary_key_without_a_key_in_it_is_refused) {
        static const uint8_t empty[] = {0xc6, 0}, tiny[] = {0xc6, 5, 4, 0, 0, 0, 0};
        uint8_t large[6 + 65536] = {0xc6, 0xff, 0, 1, 0, 0, 4};

        expect_refused(empty, sizeof(empty), "only version 4");
        expect_refused(tiny, sizeof(tiny), "only version 4");
        CLEANUP_BUFFER Buffer binary = BUFFER_INIT(sizeof(large));
        char fingerprint[OPENPGP_FINGERPRINT_SIZE];
        const char *reason = NULL;

        assert_int_equal(openpgp_key_read(large, sizeof(large), &binary, fingerprint, &reason), -EINVAL);
        assert_contains(reason, "not known here");
}

/* ---- what is none ---- */

TEST(what_is_no_key_is_said_to_be_none) {
        expect_text_refused("", "it is empty");
        expect_text_refused("<!DOCTYPE html>\n<html><body>Sign in to the network</body></html>\n",
                            "no OpenPGP key at all");
        expect_text_refused("\n", "no OpenPGP key at all");
        expect_text_refused("Not Found", "no OpenPGP key at all");
        expect_text_refused("x" BEGIN "\n" ONE_BODY ONE_SUM END, "no OpenPGP key at all");
        expect_text_refused("<pre>\n" BEGIN "\n" ONE_BODY ONE_SUM END, "no OpenPGP key at all");
        expect_text_refused("-----BEGIN PGP SIGNATURE-----\n\nAAAA\n", "no OpenPGP key at all");
        expect_refused("\x1f\x8b\x08", 3, "no OpenPGP key at all"); /* gzip */
        expect_refused("\xef\xbb\xbf" BEGIN, 3 + strlen(BEGIN), "does not begin with a public key");
        expect_refused("\0\0\0", 3, "no OpenPGP key at all");
}

TEST(a_key_that_passes_the_bound_is_a_failure) {
        static const char text[] = BEGIN "\n" ONE_BODY ONE_SUM END;
        CLEANUP_BUFFER Buffer binary = BUFFER_INIT(100);
        char fingerprint[OPENPGP_FINGERPRINT_SIZE];
        const char *reason = NULL;

        assert_int_equal(openpgp_key_read(text, strlen(text), &binary, fingerprint, &reason), -EFBIG);
}

/* ---- keyrings ---- */

TEST(a_key_is_found_among_others_of_a_keyring) {
        CLEANUP_BUFFER Buffer ring = BUFFER_INIT(KEY_MAX);
        size_t keys;

        assert_int_equal(base64_decode(&ring, two, strlen(two)), 0);
        assert_true(openpgp_keyring_has(ring.data, ring.size, TWO_FINGERPRINT, &keys));
        assert_int_equal(keys, 1);
        assert_int_equal(base64_decode(&ring, three, strlen(three)), 0);
        assert_true(openpgp_keyring_has(ring.data, ring.size, TWO_FINGERPRINT, &keys));
        assert_true(openpgp_keyring_has(ring.data, ring.size, THREE_FINGERPRINT, &keys));
        assert_int_equal(keys, 2);
        assert_false(openpgp_keyring_has(ring.data, ring.size, ONE_FINGERPRINT, &keys));
}

TEST(what_cannot_be_read_of_a_keyring_holds_no_key) {
        CLEANUP_BUFFER Buffer ring = BUFFER_INIT(KEY_MAX);
        size_t keys;

        assert_int_equal(base64_decode(&ring, two, strlen(two)), 0);
        for (size_t size = 0; size < ring.size; size++)
                (void) openpgp_keyring_has(ring.data, size, THREE_FINGERPRINT, &keys);
        assert_false(openpgp_keyring_has(ring.data, 20, TWO_FINGERPRINT, &keys));
        assert_int_equal(keys, 0);
        assert_false(openpgp_keyring_has("", 0, TWO_FINGERPRINT, &keys));
        assert_false(openpgp_keyring_has("\0\0\0\1KBXf", 8, TWO_FINGERPRINT, &keys));
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_armoured_key_has_gpg_s_fingerprint_and_bytes),
                cmocka_unit_test(an_armoured_key_may_have_lines_of_windows),
                cmocka_unit_test(an_armour_that_is_damaged_is_refused_with_the_reason),
                cmocka_unit_test(a_binary_key_has_gpg_s_fingerprint_and_bytes),
                cmocka_unit_test(the_fingerprint_does_not_depend_on_the_form_of_a_header),
                cmocka_unit_test(packets_of_a_key_may_follow_and_others_may_not),
                cmocka_unit_test(a_second_primary_key_is_refused),
                cmocka_unit_test(a_secret_key_is_refused_as_such),
                cmocka_unit_test(a_key_of_another_version_is_refused),
                cmocka_unit_test(a_key_that_is_cut_off_is_refused),
                cmocka_unit_test(something_behind_a_binary_key_is_refused),
                cmocka_unit_test(lengths_that_no_key_has_are_refused),
                cmocka_unit_test(a_primary_key_without_a_key_in_it_is_refused),
                cmocka_unit_test(what_is_no_key_is_said_to_be_none),
                cmocka_unit_test(a_key_that_passes_the_bound_is_a_failure),
                cmocka_unit_test(a_key_is_found_among_others_of_a_keyring),
                cmocka_unit_test(what_cannot_be_read_of_a_keyring_holds_no_key),
        };

        return RUN_TESTS(tests);
}
