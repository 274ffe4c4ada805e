/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Why the guest gave up: the contents of a FAULT frame, built where the facts are known, sent once by guest.c. */

#include <stddef.h>
#include <stdint.h>

#include "frame.h"

#define FAULT_MESSAGE_MAX 512U
#define FAULT_PAYLOAD_MAX (FRAME_FAULT_HEADER_SIZE + FAULT_MESSAGE_MAX)

typedef struct Fault {
        FrameFaultReason reason; /* 0: none */
        int error_number;
        char message[FAULT_MESSAGE_MAX];
} Fault;

/* What the guest tells of in text is printable ASCII; every other byte becomes '?'. */
static inline char fault_printable(char c) {
        return c >= 0x20 && c < 0x7f ? c : '?';
}

/* The first fault counts, later ones are its consequences. error is an errno or 0; its text is added to the message.
 * Returns -error, or -EPROTO where that is 0, for the caller to hand up. */
int fault_set(Fault *fault, FrameFaultReason reason, int error, const char *format, ...)
        __attribute__((format(printf, 4, 5)));

/* Returns the payload's size. */
size_t fault_encode(const Fault *fault, uint8_t ret_payload[FAULT_PAYLOAD_MAX]);
