/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "buffer.h"

#define OPENPGP_FINGERPRINT_SIZE 41U /* 40 hexadecimal digits and NUL */

/* Reads one OpenPGP public key (RFC 4880; version 4), armoured or binary: one primary key, and behind it nothing but
 * what belongs to a key. Pure. The binary form goes to binary. Returns 0, -EINVAL when it is none, with *ret_reason, a
 * static sentence, or as buffer_append(). */
int openpgp_key_read(const void *data, size_t size, Buffer *binary, char ret_fingerprint[OPENPGP_FINGERPRINT_SIZE],
                     const char **ret_reason);

/* Is the key of this fingerprint among those of a binary keyring, as far as that can be read? *ret_keys: of how many.
 */
bool openpgp_keyring_has(const void *data, size_t size, const char *wanted, size_t *ret_keys);
