/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "containers.h"
#include "evidence.h"
#include "frame.h"
#include "request.h"
#include "template.h"

/* One container for one execution: made, proven, given its program once, destroyed. Never reused. */

typedef struct Sandbox Sandbox;

/* Documented ways in which a sandbox fails. Before sandbox_run() none of the user's code has run. */
typedef enum SandboxFailure {
        SANDBOX_E_DOCKER = 1,    /* Docker refused or did not answer; message: its words */
        SANDBOX_E_BOOT_TIMEOUT,  /* no READY within sandbox.boot_ms */
        SANDBOX_E_NOT_GVISOR,    /* its kernel is not gVisor, and had to be */
        SANDBOX_E_GUEST_VERSION, /* the image's guest is of another version */
        SANDBOX_E_PROTOCOL,      /* what it sent breaks the guest protocol */
        SANDBOX_E_FAULT,         /* the guest reported that it could not go on */
        SANDBOX_E_MEMORY,        /* it stands at its memory limit; message: the figures */
        SANDBOX_E_DIED,          /* it ended without a report, and Docker says so */
        SANDBOX_E_LOST,          /* its channel ended, and it still runs or Docker cannot tell what became of it */
} SandboxFailure;

typedef struct SandboxError {
        SandboxFailure failure;
        const char *message;
        /* of SANDBOX_E_FAULT */
        FrameFaultReason fault_reason;
        int fault_errno;
        /* of SANDBOX_E_DIED: Docker's state of the container, where it could be had */
        bool oom_killed;
} SandboxError;

/* exited and failed end the conversation: exactly one of them is called, last. Handlers may free the sandbox. */
typedef struct SandboxHandlers {
        void (*ready)(const Evidence *evidence, void *userdata);
        void (*warmed)(void *userdata); /* after sandbox_warm_up(); NULL for who does not call that */
        void (*output)(FrameType stream, const uint8_t *data, size_t size,
                       void *userdata); /* FRAME_STDOUT, FRAME_STDERR */
        void (*exited)(const FrameExit *report, void *userdata);
        void (*failed)(const SandboxError *error, void *userdata);
} SandboxHandlers;

typedef struct SandboxContext {
        sd_event *event;
        Docker *docker;
        Containers *containers;
        const char *host_release; /* of the kernel that Docker runs on, or NULL; copied */
} SandboxContext;

/* input is read during the call only. Returns a negative errno when it could not even be begun. */
int sandbox_new(const SandboxContext *context, const TemplateInput *input, const SandboxHandlers *handlers,
                void *userdata, Sandbox **ret_sandbox);

/* Destroys the container, in the background. */
Sandbox *sandbox_free(Sandbox *sandbox);

DEFINE_CLEANUP(Sandbox *, sandbox_free)

/* Has the runtime started that it was made for, to wait for its program. Once, only after ready was called, and before
 * sandbox_run(), which is allowed again when warmed has been called. */
int sandbox_warm_up(Sandbox *sandbox, const Config *config, const ConfigRuntime *runtime);

/* From now on it is another's: as if that one had made it and been told that it is ready. */
void sandbox_adopt(Sandbox *sandbox, const SandboxHandlers *handlers, void *userdata);

/* Of a sandbox that is ready. Belongs to it. */
const Evidence *sandbox_evidence(const Sandbox *sandbox);

/* False once its channel has ended: failed() follows as soon as Docker has said why. */
bool sandbox_is_alive(const Sandbox *sandbox);

/* Docker's id of the container of a sandbox that is ready. Belongs to it. */
const char *sandbox_container_id(const Sandbox *sandbox);

/* Sends the program. Once, and only after ready was called: -EPROTO otherwise. */
int sandbox_run(Sandbox *sandbox, const Request *request, uint64_t open_files);

/* Asks the guest to kill the program once it has run for run_usec, by the guest's clock; exited follows, from a guest
 * that still works. */
int sandbox_stop(Sandbox *sandbox, uint64_t run_usec);
