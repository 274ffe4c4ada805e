/* SPDX-License-Identifier: Apache-2.0 */

/* The one clock that the programs measure by: monotonic, so that setting the host's clock changes no duration. */

#include "base.h"

#include <time.h>

uint64_t now_usec(void) {
        struct timespec now;

        (void) clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t) now.tv_sec * USEC_PER_SEC + (uint64_t) now.tv_nsec / 1000U;
}
