/* SPDX-License-Identifier: Apache-2.0 */

/* Loaded into Deno by /etc/ld.so.preload of its image. When the main module has been loaded, Deno gives memory that it
 * has freed back to the kernel; in a sandbox that is about to be thrown away nobody needs it, and under gVisor each of
 * the dozen madvise() calls costs as much as hundreds of the program's own. malloc_trim(3) may always say that there
 * was nothing to give back. Needs no C library of its own, so that it goes with any. */

int malloc_trim(unsigned long pad);

int malloc_trim(unsigned long pad) {
        (void) pad;
        return 0;
}
