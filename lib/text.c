/* SPDX-License-Identifier: Apache-2.0 */

/* UTF-8 and base64, the two forms in which bytes cross the API. None of the libraries that the project stands on
 * exports either. Both are pure and strict: one byte sequence has one reading. */

#include "text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Length of the sequence that a lead byte opens, with the range of its second byte (Unicode, table 3-7); 0: invalid. */
static size_t utf8_lead(uint8_t lead, uint8_t *ret_low, uint8_t *ret_high) {
        *ret_low = 0x80;
        *ret_high = 0xbf;
        if (lead < 0x80)
                return 1;
        if (lead < 0xc2)
                return 0;
        if (lead < 0xe0)
                return 2;
        if (lead < 0xf0) {
                if (lead == 0xe0)
                        *ret_low = 0xa0;
                if (lead == 0xed)
                        *ret_high = 0x9f;
                return 3;
        }
        if (lead > 0xf4)
                return 0;
        if (lead == 0xf0)
                *ret_low = 0x90;
        if (lead == 0xf4)
                *ret_high = 0x8f;
        return 4;
}

/* Bytes of the sequence at the start of data that are right so far; *ret_length is its full length, 0 if invalid. */
static size_t utf8_sequence(const uint8_t *data, size_t size, size_t *ret_length) {
        uint8_t low, high;
        size_t length = utf8_lead(data[0], &low, &high), i = 1;

        for (; i < length && i < size; i++) {
                if (data[i] < low || data[i] > high) {
                        *ret_length = 0;
                        return 0;
                }
                low = 0x80;
                high = 0xbf;
        }
        *ret_length = length;
        return length == 0 ? 0 : i;
}

size_t utf8_valid_prefix(const void *data, size_t size) {
        const uint8_t *p = data;
        size_t done = 0;

        while (done < size) {
                size_t length, seen = utf8_sequence(p + done, size - done, &length);

                if (length == 0 || seen < length)
                        break;
                done += length;
        }
        return done;
}

bool utf8_is_valid(const void *data, size_t size) {
        return utf8_valid_prefix(data, size) == size;
}

size_t utf8_incomplete_tail(const void *data, size_t size) {
        const uint8_t *p = data;

        for (size_t n = 1; n <= 3 && n <= size; n++) {
                uint8_t byte = p[size - n];
                size_t length, seen;

                if ((byte & 0xc0) == 0x80)
                        continue;
                seen = utf8_sequence(p + size - n, n, &length);
                return length > seen ? n : 0;
        }
        return 0;
}

bool text_is_plain(const void *data, size_t size) {
        return size == 0 || (!memchr(data, 0, size) && utf8_is_valid(data, size));
}

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int base64_append(Buffer *buffer, const void *data, size_t size) {
        const uint8_t *p = data;

        for (size_t i = 0; i < size; i += 3) {
                size_t n = size - i < 3 ? size - i : 3;
                uint32_t bits = (uint32_t) p[i] << 16;
                char quad[4];
                int r;

                if (n > 1)
                        bits |= (uint32_t) p[i + 1] << 8;
                if (n > 2)
                        bits |= p[i + 2];
                quad[0] = base64_digits[bits >> 18];
                quad[1] = base64_digits[bits >> 12 & 63];
                quad[2] = n > 1 ? base64_digits[bits >> 6 & 63] : '=';
                quad[3] = n > 2 ? base64_digits[bits & 63] : '=';
                r = buffer_append(buffer, quad, sizeof(quad));
                if (r < 0)
                        return r;
        }
        return 0;
}

static int base64_value(char c) {
        const char *p = c == '\0' ? NULL : strchr(base64_digits, c);

        return p ? (int) (p - base64_digits) : -1;
}

int base64_decode(Buffer *buffer, const char *text, size_t size) {
        if (size % 4 != 0)
                return -EINVAL;

        for (size_t i = 0; i < size; i += 4) {
                size_t padding = 0;
                uint32_t bits = 0;
                uint8_t bytes[3];
                int r;

                if (i + 4 == size && text[i + 3] == '=')
                        padding = text[i + 2] == '=' ? 2 : 1;
                for (size_t k = 0; k < 4; k++) {
                        int value = k >= 4 - padding ? 0 : base64_value(text[i + k]);

                        if (value < 0)
                                return -EINVAL;
                        bits = bits << 6 | (uint32_t) value;
                }
                if ((bits & ((1U << (8 * padding)) - 1)) != 0)
                        return -EINVAL;
                bytes[0] = (uint8_t) (bits >> 16);
                bytes[1] = (uint8_t) (bits >> 8);
                bytes[2] = (uint8_t) bits;
                r = buffer_append(buffer, bytes, 3 - padding);
                if (r < 0)
                        return r;
        }
        return 0;
}

void text_clean(char *text) {
        size_t left = text ? strlen(text) : 0;

        for (char *p = text; left > 0;) {
                size_t valid = utf8_valid_prefix(p, left);

                for (size_t i = 0; i < valid; i++)
                        if ((unsigned char) p[i] < 0x20 || p[i] == 0x7f)
                                p[i] = '?';
                p += valid;
                left -= valid;
                if (left > 0) {
                        *p++ = '?';
                        left--;
                }
        }
}

char *text_percent_encode(const char *text) {
        static const char digits[] = "0123456789ABCDEF";
        char *encoded = malloc(3 * strlen(text) + 1), *p = encoded;

        if (!encoded)
                return NULL;
        for (; *text; text++) {
                unsigned char byte = (unsigned char) *text;

                if ((byte < 0x80 && isalnum(byte)) || strchr("-._~", byte)) {
                        *p++ = (char) byte;
                        continue;
                }
                *p++ = '%';
                *p++ = digits[byte >> 4];
                *p++ = digits[byte & 0xf];
        }
        *p = '\0';
        return encoded;
}

char *text_format_list(const char *format, va_list arguments) {
        char *text;

        return vasprintf(&text, format, arguments) < 0 ? NULL : text; /* it leaves text undefined then */
}

char *text_format(const char *format, ...) {
        va_list arguments;
        char *text;

        va_start(arguments, format);
        text = text_format_list(format, arguments);
        va_end(arguments);
        return text;
}
