/* SPDX-License-Identifier: Apache-2.0 */

#include "known-runtime.h"
#include "registration.h"

#include <errno.h>
#include <string.h>

void known_runtime_deinit(KnownRuntime *known) {
        free(known->registration);
        free(known->path);
        *known = (KnownRuntime){0};
}

int known_runtime_look(KnownRuntime *known, const cJSON *info, const char *oci_runtime, const char *path,
                       bool *ret_same) {
        KnownRuntime now = {
                .registration = registration_text(info, oci_runtime),
                .path = strdup(path),
                .program = file_stamp(path),
        };
        bool is_whole = now.registration && now.path;

        *ret_same = is_whole && known->registration && strcmp(known->registration, now.registration) == 0 &&
                    file_stamp_equals(&known->program, &now.program);
        known_runtime_deinit(known);
        if (is_whole)
                *known = now;
        else
                known_runtime_deinit(&now);
        return is_whole ? 0 : -ENOMEM;
}

bool known_runtime_has_changed(const KnownRuntime *known) {
        FileStamp now = file_stamp(known->path);

        return !file_stamp_equals(&now, &known->program);
}
