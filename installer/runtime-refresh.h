/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "runtime-image.h"

/* --refresh-runtimes: each image of a runtime gets this version's guest and adapter, on top of what it has; so neither
 * the language's program nor the image that it came from has to be had again. One with a guest of this version is left
 * alone, unless --force. One that fails does not keep the others from it. Returns 0, or the last of the errors, which
 * is set as the engine's trouble. ret_result (owned by the caller, for --json) is what was done. */
int runtime_refresh(const RuntimeImages *images, cJSON **ret_result);
