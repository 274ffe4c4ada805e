/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "objection.h"
#include "sandbox.h"

/* A sandbox that runs no program: it is there to prove its kernel. */

typedef struct Probe Probe;

/* All that it is made of; nothing is kept but the context's objects. */
typedef struct ProbeInput {
        SandboxContext context;
        const Config *config;
        const ConfigRuntime *runtime; /* any will do: the kernel is the same in all */
        const char *image_id;
        const char *boot_id;
} ProbeInput;

/* Called once. kernel ("4.4.0 #1 SMP …") is NULL when objection has a code. The probe may be freed in it. */
typedef void (*ProbeDone)(const Objection *objection, const char *kernel, void *userdata);

/* Returns 0 or a negative errno. */
int probe_new(const ProbeInput *input, ProbeDone done, void *userdata, Probe **ret_probe);

/* Without a further word; its sandbox is destroyed. */
Probe *probe_free(Probe *probe);
