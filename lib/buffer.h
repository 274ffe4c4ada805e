/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base.h"

#include <stdarg.h>

/* Bytes that grow, up to a bound. Embedded; zero-initialised plus a limit is a valid empty buffer. The content is
 * always followed by a NUL byte that does not count, once something has been appended. */
typedef struct Buffer {
        uint8_t *data;
        size_t size;
        size_t allocated;
        size_t limit; /* largest size; appending beyond it fails with -EFBIG */
} Buffer;

#define BUFFER_INIT(max) ((Buffer){.limit = (max)})

void buffer_deinit(Buffer *buffer);

#define CLEANUP_BUFFER CLEANUP(buffer_deinit)

/* All or nothing. Returns 0, -EFBIG when the bound would be passed, -ENOMEM. */
int buffer_append(Buffer *buffer, const void *data, size_t size);
int buffer_append_text(Buffer *buffer, const char *text);
int buffer_append_format(Buffer *buffer, const char *format, ...) PRINTF_LIKE(2, 3);

/* Removes bytes from the front. size must not exceed buffer->size. */
void buffer_consume(Buffer *buffer, size_t size);

/* Forgets the content and keeps the memory. */
void buffer_clear(Buffer *buffer);
