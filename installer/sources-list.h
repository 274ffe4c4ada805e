/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "buffer.h"

/* apt's lists of sources (sources.list(5)), as far as finding one repository in them goes. Pure. */

/* Appends the text without the one-line entries of the repository at url: each of its lines becomes a comment. Writes
 * how many there were, and whether active entries of others are left. Returns 0 or as buffer_append(). */
int sources_list_without(const char *text, size_t size, const char *url, Buffer *out, size_t *ret_found,
                         bool *ret_others);

/* The same question for a deb822 file: does a stanza that is enabled name the repository, and is there anything else: a
 * stanza of another repository, one that is disabled, or another address beside ours? */
void sources_stanzas_look(const char *text, size_t size, const char *url, bool *ret_found, bool *ret_others);
