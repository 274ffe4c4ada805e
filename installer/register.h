/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "install.h"

/* Gives daemon.json back as it was when the run began, also when a package's own script has changed it, and has Docker
 * read it again if it has read another one. Does nothing when nothing has changed. */
int register_restore(Install *install);
