/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "runtime-image.h"

/* An image from elsewhere, that a runtime or its program is taken from. What fails is set as trouble. */

/* Has Docker have it: pulls it when it is not there. A registry that is silent for as long as --wait tells is given up.
 * *ret_image (owned by the caller) is its document, NULL where a dry run would have pulled it. Refuses images for other
 * machines. */
int base_image_have(const RuntimeImages *images, const char *name, cJSON **ret_image);

/* The deno program in it, as an open file that has no name, and where in the image it was (owned by the caller).
 * Nothing is done, and *ret_place is NULL, in a dry run. */
int base_image_read_deno(const RuntimeImages *images, const char *name, int *ret_fd, char **ret_place);
