/* SPDX-License-Identifier: Apache-2.0 */

/* A fault is set at most once and then stays: whatever fails after it is its consequence, and the agent gets one FAULT
 * frame, the last of the conversation. */

#include "fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int fault_set(Fault *fault, FrameFaultReason reason, int error, const char *format, ...) {
        char detail[FAULT_MESSAGE_MAX];
        va_list arguments;

        if (fault->reason == 0) {
                va_start(arguments, format);
                (void) vsnprintf(detail, sizeof(detail), format, arguments);
                va_end(arguments);

                fault->reason = reason;
                fault->error_number = error;
                (void) snprintf(fault->message, sizeof(fault->message), "%.400s%s%.100s", detail, error > 0 ? ": " : "",
                                error > 0 ? strerror(error) : "");
                for (char *c = fault->message; *c != '\0'; c++)
                        *c = fault_printable(*c);
        }
        return error > 0 ? -error : -EPROTO;
}

size_t fault_encode(const Fault *fault, uint8_t ret_payload[FAULT_PAYLOAD_MAX]) {
        size_t n = strlen(fault->message);

        frame_u32_encode(ret_payload, (uint32_t) fault->reason);
        frame_u32_encode(ret_payload + 4, (uint32_t) fault->error_number);
        memcpy(ret_payload + FRAME_FAULT_HEADER_SIZE, fault->message, n);
        return FRAME_FAULT_HEADER_SIZE + n;
}
