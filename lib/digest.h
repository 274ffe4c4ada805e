/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base.h"

/* The only glue to GnuTLS, which libmicrohttpd and libcurl bring anyway. Text in lower-case hexadecimal digits. */

#define DIGEST_SHA1_TEXT 41U
#define DIGEST_SHA256_TEXT 65U

/* Returns 0 or -EIO. */
int digest_sha1(const void *data, size_t size, char ret_text[DIGEST_SHA1_TEXT]);

/* A digest that takes its bytes piece by piece. */
typedef struct Digest Digest;

/* SHA-256. Returns 0, -ENOMEM or -EIO. */
int digest_new(Digest **ret_digest);
Digest *digest_free(Digest *digest);

DEFINE_CLEANUP(Digest *, digest_free)

/* Returns 0 or -EIO. */
int digest_add(Digest *digest, const void *data, size_t size);

/* Once, at the end; nothing may be added then. */
void digest_text(Digest *digest, char ret_text[DIGEST_SHA256_TEXT]);
