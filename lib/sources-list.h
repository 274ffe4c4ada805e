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

/* An entry of a repository, of either form. */
typedef struct SourcesEntry {
        bool is_one_line; /* "deb URI SUITE COMPONENT", which apt calls deprecated */
        bool is_trusted;  /* apt does not look at its signature */
        char *suite;
        char *signed_by; /* the first path or fingerprint; "-----BEGIN" where the key stands in the entry; NULL: any key
                          * that apt trusts */
} SourcesEntry;

void sources_entry_deinit(SourcesEntry *entry);

/* Adds to *found how many entries there are of packages of the repository at url that are not disabled. The first of
 * all, when *found was 0, is written to entry. Returns 0 or -ENOMEM. */
int sources_find(const char *text, size_t size, bool is_deb822, const char *url, SourcesEntry *entry, size_t *found);
