/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "install.h"

/* /var/lib/tee/install.json: which steps this program has carried out on the host, and with what, so that --uninstall
 * takes away what it made and nothing else. It is written before a step acts: what was killed in the middle counts as
 * made. All return 0 or a negative errno with trouble set. */

int record_load(Install *install);

/* The step's entry, or NULL when it was never carried out. Belongs to the record. */
const cJSON *record_get(const Install *install, const char *step);

/* Has the step describe what it does, beside what it has described before. When that cannot be written, the entry is as
 * it was. */
int record_describe(Install *install, const Step *step);

/* Sets the entry, or takes it out (NULL). Takes entry, also on failure. */
int record_set(Install *install, const char *step, cJSON *entry);

void record_deinit(Install *install);
