/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the kernel of this sandbox says of itself: READY's lines. */

#include <stddef.h>

#define KERNEL_VALUE_MAX 512U
#define KERNEL_EVIDENCE_MAX 4096U

/* Writes READY's `key=value` lines (docs/PROTOCOL.md), all keys, each ended by LF, not terminated. Returns their size.
 * What may not be read is empty: it is for the agent to judge. */
size_t kernel_evidence(char ret_text[KERNEL_EVIDENCE_MAX]);
