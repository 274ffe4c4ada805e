/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "json.h"
#include "loop.h"
#include "trouble.h"

/* Where the agent's socket is, unless somebody has put it elsewhere. */
#define AGENT_SOCKET "/run/tee/agent.sock"

/* GET /v1/status of the agent behind the socket, awaited: an object, owned by the caller. Returns 0, -EINTR, or a
 * negative errno with trouble set: -ECONNREFUSED where the socket cannot be connected to, -ETIMEDOUT after timeout_ms,
 * -EBADMSG for an answer that is not the agent's. */
int agent_status_get(Loop *loop, const char *socket_path, uint64_t timeout_ms, Trouble *trouble, cJSON **ret_status);
