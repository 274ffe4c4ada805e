/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The guest's end of the conversation with the agent: frames in on stdin, frames out on stdout. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"

/* The agent has gone: its end of stdin or of stdout is closed. */
#define CHANNEL_E_GONE 1

typedef struct Channel {
        FrameReader reader;
        /* Not on the stack: fresh pages are dear under gVisor, and these have been touched before the program comes. */
        uint8_t in[FRAME_PAYLOAD_MAX];
        uint8_t out[FRAME_HEADER_SIZE + FRAME_PAYLOAD_MAX];
        size_t out_begin; /* what is not yet written of the frame in out */
        size_t out_end;
} Channel;

/* Takes stdin and stdout, and keeps stderr from the program, too: close-on-exec, and stdout does not block. Returns 0,
 * -EPERM where another user than root could open one of them, or another negative errno. */
int channel_init(Channel *channel);

/* True when no frame is under way: only then channel_payload may be filled and channel_send called. */
bool channel_is_idle(const Channel *channel);

/* Room for FRAME_PAYLOAD_MAX bytes of the next frame's payload. */
uint8_t *channel_payload(Channel *channel);

/* Sends the payload with its header, as far as the agent takes it now; channel_flush does the rest. Both return 0,
 * CHANNEL_E_GONE or a negative errno. */
int channel_send(Channel *channel, FrameType type, size_t size);
int channel_flush(Channel *channel);

/* Reads once, what is there; blocks when nothing is. Without a handler it is thrown away. Returns 0, CHANNEL_E_GONE,
 * -EBADMSG for a malformed header, or what the handler returned if that is negative. */
int channel_receive(Channel *channel, FrameHandler handler, void *userdata);
