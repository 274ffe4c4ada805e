/* SPDX-License-Identifier: Apache-2.0 */

/* The words in which a shut gate or a runtime without an image says what is wrong. They are shown in answers, in the
 * journal and by systemctl status, where a line feed has a meaning of its own: what Docker said is cleaned first. */

#include "objection.h"
#include "message-ids.h"
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

/* Of a gate, all of them. */
static const struct {
        const char *code, *message_id;
} known[] = {
        {"docker_unreachable", MESSAGE_GATE_DOCKER_UNREACHABLE},
        {"docker_error", MESSAGE_GATE_DOCKER_ERROR},
        {"oci_runtime_missing", MESSAGE_GATE_OCI_RUNTIME_MISSING},
        {"registration_mismatch", MESSAGE_GATE_REGISTRATION_MISMATCH},
        {"image_missing", MESSAGE_GATE_IMAGE_MISSING},
        {"guest_version_mismatch", MESSAGE_GATE_GUEST_VERSION_MISMATCH},
        {"not_gvisor", MESSAGE_GATE_NOT_GVISOR},
        {"probe_failed", MESSAGE_GATE_PROBE_FAILED},
};

const char *objection_code(size_t index) {
        return index < ARRAY_SIZE(known) ? known[index].code : NULL;
}

const char *objection_message_id(const char *code) {
        for (size_t i = 0; i < ARRAY_SIZE(known); i++)
                if (strcmp(known[i].code, code) == 0)
                        return known[i].message_id;
        return NULL;
}

bool objection_is(const Objection *objection, const char *code, const char *reason) {
        if (!objection->code || strcmp(objection->code, code) != 0)
                return false;
        return strcmp(objection->reason ? objection->reason : "", reason ? reason : "") == 0;
}
