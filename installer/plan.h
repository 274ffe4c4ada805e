/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "install.h"

/* Looks at the host with every step, shows the plan, and carries it out. steps ends with NULL. Returns the program's
 * exit status. */
int plan_run(Install *install, const Step *const *steps);

/* The same backwards: what earlier runs made is taken away. */
int plan_uninstall(Install *install, const Step *const *steps);

#define PLAN_EXIT_NOT_TAKEN_BACK 20
#define PLAN_EXIT_INTERRUPTED 130
