/* SPDX-License-Identifier: Apache-2.0 */

#include "document.h"
#include "version.h"

static int add_text(cJSON *object, const char *key, const char *text) {
        return json_add(object, key, json_new_string_or_null(text));
}

static int add_host(cJSON *document, const HostFacts *host) {
        cJSON *object = cJSON_AddObjectToObject(document, "host");

        if (!object || add_text(object, "name", host->name) < 0 || add_text(object, "system", host->system) < 0 ||
            add_text(object, "kernel", host->kernel) < 0 || add_text(object, "machine", host->machine) < 0)
                return -1;
        return json_add(object, "user_id", json_new_integer(geteuid()));
}

static cJSON *new_check(const Inspected *inspected) {
        const CheckPlace *place = &inspected->place;
        const Finding *finding = &inspected->finding;
        cJSON *object = cJSON_CreateObject();

        if (object && add_text(object, "id", place->check->id) >= 0 &&
            add_text(object, "group", place->group->name) >= 0 && add_text(object, "title", place->check->title) >= 0 &&
            add_text(object, "verdict", verdict_name(finding->verdict)) >= 0 &&
            add_text(object, "seen", finding->seen ? finding->seen : "") >= 0 &&
            add_text(object, "remedy", finding->remedy) >= 0 &&
            json_add(object, "duration_ms", json_new_msec(inspected->duration_usec)) >= 0)
                return object;
        cJSON_Delete(object);
        return NULL;
}

static int add_checks(cJSON *document, const Inspected *inspected, size_t size) {
        cJSON *array = cJSON_AddArrayToObject(document, "checks");

        for (size_t i = 0; array && i < size; i++) {
                cJSON *check = new_check(&inspected[i]);

                if (!check || !cJSON_AddItemToArray(array, check)) {
                        cJSON_Delete(check);
                        return -1;
                }
        }
        return array ? 0 : -1;
}

static int add_counts(cJSON *document, const Tally *tally) {
        cJSON *object = cJSON_AddObjectToObject(document, "counts");

        for (Verdict verdict = VERDICT_PASS; object && verdict < VERDICT_COUNT_; verdict++)
                if (json_add(object, verdict_name(verdict), json_new_integer(tally->counts[verdict])) < 0)
                        return -1;
        return object ? 0 : -1;
}

cJSON *document_new(const HostFacts *host, const Inspected *inspected, size_t size, const Tally *tally) {
        CLEANUP_JSON cJSON *document = cJSON_CreateObject();

        if (!document || add_text(document, "version", TEE_VERSION) < 0 || add_host(document, host) < 0 ||
            add_checks(document, inspected, size) < 0 || add_counts(document, tally) < 0 ||
            json_add(document, "exit_status", json_new_integer(tally_status(tally))) < 0)
                return NULL;
        return TAKE_PTR(document);
}
