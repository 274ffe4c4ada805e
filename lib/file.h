/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "buffer.h"

/* Appends all of a regular file to the buffer, whose bound is the file's, too. Does not wait for a FIFO, and leaves the
 * file's times alone where it may. Returns 0, -EFBIG, -EISDIR for what is no regular file, or another negative errno.
 */
int file_read(const char *path, Buffer *buffer);
