/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

extern const char banner_gvisor_disabled[];
extern const char banner_execution_without_gvisor[];
