/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "finding.h"
#include "json.h"

/* Arguments of runsc's in an OCI runtime's registration that take away from what a sandbox promises. Adds a finding for
 * each; none when there is nothing to be said. runtime is the registration, an object with runtimeArgs; remedy
 * is what registers it anew. */
void runtime_arguments_judge(const cJSON *runtime, const char *remedy, Finding *finding);

/* The value of one of runsc's flags that is not boolean, the last where there are several; "" where it has none. NULL
 * when it is not there. Belongs to runtime. */
const char *runtime_arguments_value(const cJSON *runtime, const char *flag);
