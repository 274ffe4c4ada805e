/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "daemon-json.h"
#include "install.h"

/* docker.service, told to read its file again. */

/* What is to be registered. The strings belong to install. */
DaemonRuntime docker_wanted_runtime(const Install *install);

/* Does the running Docker have the OCI runtime as it is wanted (by /info)? */
bool docker_info_has(const cJSON *info, const DaemonRuntime *wanted);

/* Has Docker read its file again and waits until /info has the OCI runtime, or, for wanted NULL, until name has gone.
 * A reload first, where options.docker allows it, then a restart, which is asked for when it would end containers.
 * Returns 0 or a negative errno with trouble set. */
int docker_service_settle(Install *install, const DaemonRuntime *wanted, const char *name);

/* Whether Docker answers now. */
bool docker_service_answers(Install *install);

/* Has a running Docker read its file again, never by a restart, and awaits that the OCI runtime has gone, unless name
 * is NULL. Best effort: a runtime that Docker still knows of and nobody uses does no harm. */
void docker_service_forget(Install *install, const char *name);

/* Has a Docker that was running, and that does not any more, start again. Returns 0 or a negative errno with trouble
 * set. */
int docker_service_revive(Install *install);
