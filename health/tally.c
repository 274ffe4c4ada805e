/* SPDX-License-Identifier: Apache-2.0 */

#include "tally.h"

void tally_add(Tally *tally, const Check *check, Verdict verdict) {
        tally->counts[verdict]++;
        tally->total++;
        tally->vital += check->vital;
        tally->vital_skipped += check->vital && verdict == VERDICT_SKIP;
}

HealthStatus tally_status(const Tally *tally) {
        if (tally->counts[VERDICT_FAIL] > 0)
                return HEALTH_CRITICAL;
        if (tally->counts[VERDICT_WARN] > 0)
                return HEALTH_WARNING;
        if (tally->counts[VERDICT_NONE] > 0 || tally->counts[VERDICT_SKIP] == tally->total)
                return HEALTH_UNKNOWN;
        return tally->vital > 0 && tally->vital_skipped == tally->vital ? HEALTH_UNKNOWN : HEALTH_OK;
}
