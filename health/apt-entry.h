/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "sources-list.h"
#include "trouble.h"

/* How this host's apt is told of gVisor's repository, and of what tee-install was told of it. */
typedef struct AptEntry {
        SourcesEntry first; /* of all entries */
        char *path;         /* of its file; NULL when there is none */
        size_t found;       /* how many there are */
        bool is_plain;      /* one of them is for http, which tee-install was not told */
        char *mirror;       /* that tee-install was told, else gVisor's */
        char *fingerprint;  /* likewise, of the key */
} AptEntry;

void apt_entry_deinit(AptEntry *entry);

/* Reads apt's lists. Returns 0, -ENOENT where there is no apt, or another negative errno with trouble set. */
int apt_entry_read(AptEntry *ret_entry, Trouble *trouble);
