/* SPDX-License-Identifier: Apache-2.0 */

#include "digest.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <stdio.h>

#define SHA1_SIZE 20U
#define SHA256_SIZE 32U

struct Digest {
        gnutls_hash_hd_t hash;
};

static void to_text(const uint8_t *bytes, size_t size, char *ret_text) {
        for (size_t i = 0; i < size; i++)
                (void) snprintf(ret_text + 2 * i, 3, "%02x", bytes[i]);
}

int digest_sha1(const void *data, size_t size, char ret_text[DIGEST_SHA1_TEXT]) {
        uint8_t bytes[SHA1_SIZE];

        if (gnutls_hash_fast(GNUTLS_DIG_SHA1, data, size, bytes) < 0)
                return -EIO;
        to_text(bytes, sizeof(bytes), ret_text);
        return 0;
}

int digest_new(Digest **ret_digest) {
        CLEANUP_FREE Digest *digest = calloc(1, sizeof(*digest));

        if (!digest)
                return -ENOMEM;
        if (gnutls_hash_init(&digest->hash, GNUTLS_DIG_SHA256) < 0)
                return -EIO;
        *ret_digest = TAKE_PTR(digest);
        return 0;
}

Digest *digest_free(Digest *digest) {
        if (!digest)
                return NULL;
        if (digest->hash)
                gnutls_hash_deinit(digest->hash, NULL);
        free(digest);
        return NULL;
}

int digest_add(Digest *digest, const void *data, size_t size) {
        return gnutls_hash(digest->hash, data, size) < 0 ? -EIO : 0;
}

void digest_text(Digest *digest, char ret_text[DIGEST_SHA256_TEXT]) {
        uint8_t bytes[SHA256_SIZE];

        gnutls_hash_deinit(digest->hash, bytes);
        digest->hash = NULL;
        to_text(bytes, sizeof(bytes), ret_text);
}
