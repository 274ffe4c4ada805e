/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "refusal.h"
#include "sandbox.h"

/* The verdict that says whether executions are allowed now, and why not. */

typedef struct Gate Gate;

typedef enum GateState {
        GATE_CHECKING, /* no verdict yet: requests wait */
        GATE_OPEN,
        GATE_SHUT,
        GATE_STATE_COUNT_,
} GateState;

/* "checking", "open", "shut": the API's word. */
const char *gate_state_name(GateState state);

typedef struct GateVerdict {
        GateState state;
        const char *code;   /* static; NULL unless shut */
        const char *reason; /* NULL unless shut */
        const char *remedy; /* NULL where there is none */
} GateVerdict;

/* Called when the verdict, its reason, or a runtime's availability has changed. */
typedef void (*GateChanged)(void *userdata);

/* config must outlive the gate or be replaced by gate_set_config(). Checks nothing before gate_check(). */
int gate_new(sd_event *event, Docker *docker, Containers *containers, const Config *config, const char *boot_id,
             GateChanged changed, void *userdata, Gate **ret_gate);

/* No check any more; the verdict stays as it is. */
void gate_stop(Gate *gate);

Gate *gate_free(Gate *gate);

DEFINE_CLEANUP(Gate *, gate_free)

/* Checks all of it anew, soon. Any number of calls make one check, and one more when they come during one. */
void gate_check(Gate *gate);

/* Somebody asks for a sandbox. A Docker that could not be reached may be there by now, and a look costs next to
 * nothing: who asks waits for it. */
void gate_knock(Gate *gate);

/* The verdict is void: nothing passes until the check that follows has one. */
void gate_distrust(Gate *gate);

int gate_set_config(Gate *gate, const Config *config);

/* Belongs to the gate, valid until the next change. */
GateVerdict gate_verdict(const Gate *gate);

/* May an execution of this runtime have a sandbox now? Looks whether the OCI runtime's binary is still the one that was
 * checked. Returns the image's id (belongs to the gate), or NULL with *ret_refusal written, or NULL with an empty
 * refusal while the gate is checking, or something has just happened that may have mended what it would refuse for. */
const char *gate_admit(Gate *gate, const char *runtime, Refusal *ret_refusal);

/* For status: facts of the last check, NULL where unknown. */
const char *gate_docker_version(const Gate *gate);
const char *gate_kernel(const Gate *gate);

/* Availability of the runtime at an index of config->runtimes: code is NULL when it is available. */
GateVerdict gate_runtime(const Gate *gate, size_t index);

/* What sandboxes are made with; valid until the next check. */
SandboxContext gate_sandbox_context(const Gate *gate);
