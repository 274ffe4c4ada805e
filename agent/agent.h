/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "config.h"

#include <systemd/sd-event.h>

/* The daemon: the one object that knows both sides, HTTP clients and Docker. */

typedef struct Agent Agent;

/* Wires everything; takes config, on success only. listen_fd: a listening unix socket, borrowed. disable_gvisor: value
 * of the environment's DISABLE_GVISOR, or NULL; it is applied anew at each reload. */
int agent_new(sd_event *event, Config *config, const char *disable_gvisor, int listen_fd, Agent **ret_agent);

Agent *agent_free(Agent *agent);

DEFINE_CLEANUP(Agent *, agent_free)

/* Reads the configuration anew (SIGHUP). One that is wrong is logged and changes nothing. */
void agent_reload(Agent *agent);

/* Takes no more executions, lets the running ones end (SIGTERM), and ends the loop when all is done. A second call
 * cancels what still runs. */
void agent_drain(Agent *agent);
