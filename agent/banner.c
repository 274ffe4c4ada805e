/* SPDX-License-Identifier: Apache-2.0 */

/* The words that an operator must not miss, character for character as the configuration guide gives them: the banner
 * at each start without gVisor, and the line at each execution without it. */

#include "banner.h"

const char banner_gvisor_disabled[] =
        "╔══════════════════════════════════════════════════════════════════════════════╗\n"
        "║                                                                              ║\n"
        "║  ⚠️  ⚠️  ⚠️   SECURITY WARNING: gVisor is DISABLED   ⚠️  ⚠️  ⚠️            ║\n"
        "║                                                                              ║\n"
        "║  Code execution is NOT sandboxed with hardware virtualization!              ║\n"
        "║  User code can potentially:                                                 ║\n"
        "║    - Access the host kernel                                                 ║\n"
        "║    - Exploit kernel vulnerabilities                                         ║\n"
        "║    - Perform timing attacks                                                 ║\n"
        "║                                                                              ║\n"
        "║  DO NOT USE IN PRODUCTION!                                                  ║\n"
        "╚══════════════════════════════════════════════════════════════════════════════╝";

const char banner_execution_without_gvisor[] = "⚠️  WARNING: gVisor is DISABLED - execution is NOT sandboxed!";
