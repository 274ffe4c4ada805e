/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "buffer.h"

/* Bytes of data that are valid UTF-8 (RFC 3629: no surrogates, no overlong forms, at most U+10FFFF) from the start. */
size_t utf8_valid_prefix(const void *data, size_t size);

/* True when all of data is valid UTF-8. */
bool utf8_is_valid(const void *data, size_t size);

/* Length, 0 to 3, of a character at the end of data that has begun validly and is not yet complete. */
size_t utf8_incomplete_tail(const void *data, size_t size);

/* Text that a JSON string made by cJSON can carry: valid UTF-8 without NUL. */
bool text_is_plain(const void *data, size_t size);

/* Appends the base64 form (RFC 4648, with padding). Returns as buffer_append. */
int base64_append(Buffer *buffer, const void *data, size_t size);

/* Appends the bytes that text stands for. Strict: padding required, no white space, no bits left over.
 * Returns 0, -EINVAL, or as buffer_append; on failure some of them may stand in the buffer. */
int base64_decode(Buffer *buffer, const char *text, size_t size);

/* Makes text fit to be shown: what is no UTF-8 and control characters become '?', byte by byte. NULL is taken. */
void text_clean(char *text);

/* malloc'ed copy for use within a URL: all but letters, digits and -._~ percent-encoded (RFC 3986). NULL on ENOMEM. */
char *text_percent_encode(const char *text);

/* malloc'ed copy of format's text, or NULL. */
char *text_format(const char *format, ...) PRINTF_LIKE(1, 2);
char *text_format_list(const char *format, va_list arguments) PRINTF_LIKE(1, 0);
