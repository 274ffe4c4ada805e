/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base.h"

#define OPTIONS_ARGUMENTS_MAX 8U /* --runtime-arg */

typedef enum OptionsSource {
        SOURCE_GVISOR, /* gVisor's own apt repository */
        SOURCE_DEBIAN, /* the distribution's package */
        SOURCE_NONE,   /* runsc is there already */
} OptionsSource;

typedef enum OptionsDocker {
        DOCKER_RELOAD, /* and a restart only where that does not do it */
        DOCKER_RESTART,
        DOCKER_LEAVE, /* somebody else's affair */
} OptionsDocker;

/* The command line of tee-install. Strings point into argv, into this struct, which is not to be copied, or are
 * literals. */
typedef struct Options {
        /* what to do: at least one, unless done */
        bool with_gvisor, uninstall, list_runtimes, refresh_runtimes;
        const char *with_runtime, *remove_runtime; /* NULL for none */
        bool done;                                 /* --help or --version has been answered */

        /* how */
        bool dry_run, yes, force, keep_going, json, purge, with_docker;
        uint64_t wait_ms; /* for other installers to end, for a registry to go on */

        /* where runsc comes from */
        OptionsSource source;
        const char *channel; /* release, nightly or YYYYMMDD */
        const char *version; /* of the package; NULL for the newest */
        const char *mirror, *key_url;
        const char *key_file; /* NULL: key_url */
        const char *key_fingerprint;
        const char *offline; /* a folder, or NULL */

        /* how Docker gets it */
        const char *runtime_name, *platform;
        const char *runsc; /* path, or NULL for the one on $PATH */
        char platform_argument[64];
        const char *arguments[OPTIONS_ARGUMENTS_MAX + 2]; /* of the OCI runtime, with its platform, ended by NULL */
        size_t arguments_size;
        OptionsDocker docker;
        const char *docker_config; /* NULL: the one that Docker reads */
        const char *docker_socket;
        bool docker_socket_is_default; /* nobody has named it */

        /* images of runtimes */
        const char *image, *base_image; /* that is made, and that it is made from */
        const char *deno, *busybox, *guest;
        const char *adapter; /* NULL: the one that the runtime's name tells */
} Options;

/* Prints what is wrong on stderr and returns -EINVAL. */
int options_parse(Options *ret, int argc, char *argv[]);
