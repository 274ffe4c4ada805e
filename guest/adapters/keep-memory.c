/* SPDX-License-Identifier: Apache-2.0 */

/* Loaded into Deno by /etc/ld.so.preload of its image; fits the C library's allocator to a sandbox that is thrown away.
 * When the main module has been loaded, Deno gives memory that it has freed back to the kernel; nobody needs it here,
 * and under gVisor each of the dozen madvise() calls costs as much as hundreds of the program's own. malloc_trim(3) may
 * always say that there was nothing to give back. And all threads share one arena, since each further one costs memory
 * in every sandbox that stands ready, 1 MB of them together. */

#include <malloc.h>

int malloc_trim(size_t pad) {
        (void) pad;
        return 0;
}

__attribute__((constructor)) static void share_one_arena(void) {
        (void) mallopt(M_ARENA_MAX, 1);
}
