/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base.h"

/* The command that puts "live-restore": true into Docker's file, whatever is there, and has Docker read it. NULL where
 * the file may not be read or is none that Docker could; owned by the caller. */
char *daemon_edit_live_restore(const char *path);
