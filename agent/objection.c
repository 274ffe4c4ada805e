/* SPDX-License-Identifier: Apache-2.0 */

/* The words in which a shut gate or a runtime without an image says what is wrong. They are shown in answers, in the
 * journal and by systemctl status, where a line feed has a meaning of its own: what Docker said is cleaned first. */

#include "objection.h"
#include "text.h"

#include <string.h>

void objection_deinit(Objection *objection) {
        free(objection->reason);
        free(objection->remedy);
        *objection = (Objection){0};
}

void objection_set(Objection *objection, const char *code, const char *reason, const char *remedy) {
        Objection words = {.code = code, .reason = strdup(reason ? reason : ""), .remedy = strdup(remedy)};

        text_clean(words.reason);
        text_clean(words.remedy);
        objection_deinit(objection); /* last: what is copied may have been its own */
        *objection = words;
}

bool objection_is(const Objection *objection, const char *code, const char *reason) {
        if (!objection->code || strcmp(objection->code, code) != 0)
                return false;
        return strcmp(objection->reason ? objection->reason : "", reason ? reason : "") == 0;
}
