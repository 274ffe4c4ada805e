/* SPDX-License-Identifier: Apache-2.0 */

/* tee-guest: PID 1 of each sandbox. Its arguments are the runtime's command, so it takes no options of its own, save
 * `--version` alone. Anywhere but in a PID namespace of its own it refuses to do anything: it would kill the host. */

#include "guest.h"

#include "version.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char *argv[]) {
        static Guest guest; /* large, and mostly never touched */

        if (argc == 2 && strcmp(argv[1], "--version") == 0)
                return puts(TEE_VERSION) < 0 || fflush(stdout) != 0;

        if (argc < 1 || getpid() != 1) {
                (void) fprintf(stderr, "tee-guest: this is the first process of a sandbox, and nothing else\n");
                return 2;
        }

        return guest_run(&guest, (const char *const *) argv + 1, (const char *const *) environ);
}
