/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base.h"

#include <systemd/sd-event.h>

/* What the service manager is told while the agent runs (sd_notify(3)), without ever waiting for it. */

typedef struct Notifier Notifier;

/* Works without a service manager, too: it then tells nobody. */
int notifier_new(sd_event *event, Notifier **ret_notifier);

Notifier *notifier_free(Notifier *notifier);

DEFINE_CLEANUP(Notifier *, notifier_free)

/* Sends "NAME=value" lines in order. What the service manager has no room for now is tried again; of more than a few
 * such the newest are lost. */
void notifier_send(Notifier *notifier, const char *message);

/* Takes line (malloc'ed, or NULL to do nothing): the one that systemctl status shows. Several within a short time
 * become one, the last; one that could not be sent is tried again. */
void notifier_set_status(Notifier *notifier, char *line);
