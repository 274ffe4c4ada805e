/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "json.h"

/* The command line that the running dockerd was started with: words that end with NUL each. Pure but for the first. */

/* Reads that of docker.service's main process; without systemd, or with another Docker, it stays empty. Returns 0 or as
 * buffer_append(). */
int dockerd_read_words(Buffer *words);

/* The value of --config-file, or NULL. Belongs to words. */
const char *dockerd_config_file(const Buffer *words);

/* Is the OCI runtime registered by --add-runtime? */
bool dockerd_adds_runtime(const Buffer *words, const char *name);

/* The first key of daemon.json, or "runtimes" when may_add, that is set by a flag, too: with both dockerd does not
 * start. NULL for none. Belongs to config, or is a literal. */
const char *dockerd_conflict(const Buffer *words, const cJSON *config, bool may_add);
