/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "context.h"

/* Checks of the group agent that ask systemd about the agent's two units. */
void look_at_socket_unit(Context *context, Finding *finding);
void look_at_service_unit(Context *context, Finding *finding);
void look_at_watchdog(Context *context, Finding *finding);

/* Where the service would get DISABLE_GVISOR from when it is started next. */
void look_at_environment(Context *context, Finding *finding);
