/* SPDX-License-Identifier: Apache-2.0 */

/* Whatever comes instead of a key: one that is taken has a fingerprint, its binary form is taken as the same key, and
 * so is that form armoured anew; one that is refused is refused with a reason. */

#include "openpgp.h"
#include "text.h"

#include <errno.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)          \
        do {                      \
                if (!(condition)) \
                        abort();  \
        } while (0)

static void same_again(const void *data, size_t size, const Buffer *binary, const char *fingerprint) {
        Buffer again = BUFFER_INIT(binary->size);
        char fingerprint_again[OPENPGP_FINGERPRINT_SIZE];
        const char *reason = NULL;

        CHECK(openpgp_key_read(data, size, &again, fingerprint_again, &reason) == 0);
        CHECK(strcmp(fingerprint_again, fingerprint) == 0);
        CHECK(again.size == binary->size && memcmp(again.data, binary->data, again.size) == 0);
        buffer_deinit(&again);
}

static void armoured_again(const Buffer *binary, const char *fingerprint) {
        Buffer text = BUFFER_INIT(2 * binary->size + 256);

        CHECK(buffer_append_text(&text, "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n") == 0);
        CHECK(base64_append(&text, binary->data, binary->size) == 0);
        CHECK(buffer_append_text(&text, "\n-----END PGP PUBLIC KEY BLOCK-----\n") == 0);
        same_again(text.data, text.size, binary, fingerprint);
        buffer_deinit(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        char fingerprint[OPENPGP_FINGERPRINT_SIZE];
        Buffer binary = BUFFER_INIT(size);
        const char *reason = NULL;
        size_t keys;
        int r = openpgp_key_read(data, size, &binary, fingerprint, &reason);

        CHECK(r == 0 || r == -EINVAL);
        if (r == 0) {
                CHECK(strlen(fingerprint) == OPENPGP_FINGERPRINT_SIZE - 1);
                CHECK(strspn(fingerprint, "0123456789ABCDEF") == OPENPGP_FINGERPRINT_SIZE - 1);
                CHECK(binary.size >= 8 && (binary.data[0] & 0x80U));
                same_again(binary.data, binary.size, &binary, fingerprint);
                armoured_again(&binary, fingerprint);
                CHECK(openpgp_keyring_has(binary.data, binary.size, fingerprint, &keys) && keys == 1);
        } else {
                CHECK(reason && reason[0]);
                (void) openpgp_keyring_has(data, size, "", &keys);
        }
        buffer_deinit(&binary);
        return 0;
}
