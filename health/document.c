/* SPDX-License-Identifier: Apache-2.0 */

#include "document.h"
#include "version.h"

#include <string.h>

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

static cJSON *new_words(const Fix *fix) {
        int size = 0;

        while (fix->words[size])
                size++;
        return cJSON_CreateStringArray((const char *const *) fix->words, size);
}

static int append(cJSON *array, cJSON *item) {
        if (item && cJSON_AddItemToArray(array, item))
                return 0;
        cJSON_Delete(item);
        return -1;
}

static int add_fixes(cJSON *check, const Finding *finding) {
        cJSON *array = cJSON_AddArrayToObject(check, "fixes");

        for (size_t i = 0; array && i < finding->fixes_size; i++)
                if (append(array, new_words(&finding->fixes[i])) < 0)
                        return -1;
        return array ? 0 : -1;
}

static int add_repaired(cJSON *array, const Repaired *repaired) {
        cJSON *object = cJSON_CreateObject(), *number = NULL;
        CLEANUP_FREE char *output = strdup(repaired->output ? repaired->output : "");

        if (append(array, object) < 0 || !output)
                return -1;
        for (char *line = output; *line;) { /* line by line: the ends of lines may stay */
                size_t n = strcspn(line, "\n");
                char end = line[n];

                line[n] = '\0';
                text_clean(line);
                line[n] = end;
                line += n + (end != '\0');
        }
        number = repaired->result >= 0 ? json_new_integer((uint64_t) repaired->result) : cJSON_CreateNull();
        if (json_add(object, "command", new_words(&repaired->fix)) < 0 || json_add(object, "exit_status", number) < 0)
                return -1;
        return add_text(object, "output", output);
}

static int add_repairs(cJSON *check, const Inspected *inspected) {
        const char *before = inspected->before != VERDICT_NONE ? verdict_name(inspected->before) : NULL;
        cJSON *array = cJSON_AddArrayToObject(check, "repairs");

        for (size_t i = 0; array && i < inspected->repaired_size; i++)
                if (add_repaired(array, &inspected->repaired[i]) < 0)
                        return -1;
        return array ? add_text(check, "verdict_before", before) : -1;
}

static cJSON *new_check(const Inspected *inspected) {
        const CheckPlace *place = &inspected->place;
        const Finding *finding = &inspected->finding;
        cJSON *object = cJSON_CreateObject();

        if (object && add_text(object, "id", place->check->id) >= 0 &&
            add_text(object, "group", place->group->name) >= 0 && add_text(object, "title", place->check->title) >= 0 &&
            add_text(object, "verdict", verdict_name(finding->verdict)) >= 0 &&
            add_text(object, "seen", finding->seen ? finding->seen : "") >= 0 &&
            add_text(object, "remedy", finding->remedy) >= 0 && add_fixes(object, finding) >= 0 &&
            add_repairs(object, inspected) >= 0 &&
            json_add(object, "duration_ms", json_new_msec(inspected->duration_usec)) >= 0)
                return object;
        cJSON_Delete(object);
        return NULL;
}

static int add_checks(cJSON *document, const Inspected *inspected, size_t size) {
        cJSON *array = cJSON_AddArrayToObject(document, "checks");

        for (size_t i = 0; array && i < size; i++)
                if (append(array, new_check(&inspected[i])) < 0)
                        return -1;
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
