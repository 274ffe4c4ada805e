/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "runtime-image.h"

/* The images of runtimes that are there. What fails is set as trouble. */

/* --list-runtimes. ret_result (owned by the caller, for --json) is an array. */
int runtime_list_show(const RuntimeImages *images, cJSON **ret_result);

/* --remove-runtime. An image that is not there is no failure, one that a container needs is: -EBUSY. */
int runtime_list_remove(const RuntimeImages *images, cJSON **ret_result);
