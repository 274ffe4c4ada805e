/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "install.h"

/* /var/lib/tee/install.json: which steps this program has carried out on the host, so that --uninstall takes away what
 * it made and nothing else. It is written before a step is begun: what was killed in the middle counts as made. All
 * return 0 or a negative errno with trouble set. */

int record_load(Install *install);

/* The step's entry, or NULL when it was never carried out. */
const cJSON *record_get(const Install *install, const char *step);

int record_add(Install *install, const char *step);
int record_drop(Install *install, const char *step);

void record_deinit(Install *install);
