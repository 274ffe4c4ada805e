/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "check.h"

/* The tables, one file each. */
extern const CheckGroup group_config, group_host, group_runsc, group_docker, group_registration, group_apt,
        group_images, group_agent, group_probe;
