/* SPDX-License-Identifier: Apache-2.0 */

/* The one growable buffer. Whatever a peer can make longer is kept in one of these, and so has a bound that its owner
 * chose. Growth doubles, so that appending n bytes in small pieces costs O(n). */

#include "buffer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void buffer_deinit(Buffer *buffer) {
        free(buffer->data);
        *buffer = BUFFER_INIT(buffer->limit);
}

static int reserve(Buffer *buffer, size_t more) {
        size_t needed, wanted;
        uint8_t *data;

        if (!size_add(buffer->size, more, &needed) || needed > buffer->limit)
                return -EFBIG;
        if (!size_add(needed, 1, &needed))
                return -EFBIG;
        if (needed <= buffer->allocated)
                return 0;

        wanted = buffer->allocated > SIZE_MAX / 2 ? needed : buffer->allocated * 2;
        if (wanted < needed)
                wanted = needed;
        if (wanted < 64)
                wanted = 64;

        data = realloc(buffer->data, wanted);
        if (!data)
                return -ENOMEM;
        buffer->data = data;
        buffer->allocated = wanted;
        return 0;
}

int buffer_append(Buffer *buffer, const void *data, size_t size) {
        int r = reserve(buffer, size);

        if (r < 0)
                return r;
        if (size > 0)
                memcpy(buffer->data + buffer->size, data, size);
        buffer->size += size;
        buffer->data[buffer->size] = '\0';
        return 0;
}

int buffer_append_text(Buffer *buffer, const char *text) {
        return buffer_append(buffer, text, strlen(text));
}

int buffer_append_format(Buffer *buffer, const char *format, ...) {
        CLEANUP_FREE char *text = NULL;
        va_list arguments;
        int n;

        va_start(arguments, format);
        n = vasprintf(&text, format, arguments);
        va_end(arguments);
        if (n < 0) {
                text = NULL;
                return -ENOMEM;
        }
        return buffer_append(buffer, text, (size_t) n);
}

void buffer_consume(Buffer *buffer, size_t size) {
        buffer->size -= size;
        if (buffer->size > 0)
                memmove(buffer->data, buffer->data + size, buffer->size);
        if (buffer->data)
                buffer->data[buffer->size] = '\0';
}

void buffer_clear(Buffer *buffer) {
        buffer_consume(buffer, buffer->size);
}
