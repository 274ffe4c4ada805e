/* SPDX-License-Identifier: Apache-2.0 */

/* A refusal is made where the facts are known and printed once, at the edge. All refusals have one shape. */

#include "refusal.h"
#include "json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void refusal_deinit(Refusal *refusal) {
        free(refusal->message);
        free(refusal->field);
        free(refusal->remedy);
        *refusal = (Refusal){0};
}

int refusal_set(Refusal *ret_refusal, unsigned status, const char *code, const char *field, const char *remedy,
                const char *format, ...) {
        va_list arguments;

        *ret_refusal = (Refusal){
                .status = status,
                .code = code,
                .field = field ? strdup(field) : NULL,
                .remedy = remedy ? strdup(remedy) : NULL,
        };
        va_start(arguments, format);
        ret_refusal->message = text_format_list(format, arguments);
        va_end(arguments);
        /* A path, a method, a name in it may be a client's own bytes. A field that is text names what it names. */
        text_clean(ret_refusal->message);
        if (field && !utf8_is_valid(field, strlen(field)))
                text_clean(ret_refusal->field);
        return -EINVAL;
}

char *refusal_to_json(const Refusal *refusal) {
        CLEANUP_JSON cJSON *body = cJSON_CreateObject();
        cJSON *error = body ? cJSON_AddObjectToObject(body, "error") : NULL;

        if (!error || json_add(error, "code", cJSON_CreateString(refusal->code)) < 0 ||
            json_add(error, "message", cJSON_CreateString(refusal->message ? refusal->message : "")) < 0 ||
            json_add(error, "field", json_new_string_or_null(refusal->field)) < 0 ||
            json_add(error, "remedy", json_new_string_or_null(refusal->remedy)) < 0)
                return NULL;
        return cJSON_PrintUnformatted(body);
}

bool refusal_is_for_now(const Refusal *refusal) {
        return refusal->status == 429 || refusal->status == 503;
}
