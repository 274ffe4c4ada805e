/* SPDX-License-Identifier: Apache-2.0 */

#include "record.h"
#include "docker-service.h"
#include "file.h"
#include "paths.h"

#include <errno.h>
#include <string.h>

#define RECORD_SIZE_MAX ((size_t) 64 * 1024)

static int fault(Install *install, int error) {
        return trouble_set(&install->trouble, error, NULL, "%s: %s", PATH_RECORD, strerror(-error));
}

int record_load(Install *install) {
        Buffer text = BUFFER_INIT(RECORD_SIZE_MAX);
        JsonError error = {0};
        int r = file_read(PATH_RECORD, &text);

        if (r >= 0)
                install->record = json_parse(text.data, text.size, &error);
        else if (r == -ENOENT)
                install->record = cJSON_CreateObject();
        buffer_deinit(&text);
        if (r < 0 && r != -ENOENT)
                return fault(install, r);
        if (cJSON_IsObject(install->record))
                return 0;
        return trouble_set(&install->trouble, -EINVAL, "move it away; what it knew of has to be removed by hand then",
                           "%s is damaged (line %u)", PATH_RECORD, error.line);
}

const cJSON *record_get(const Install *install, const char *step) {
        return json_get_object(install->record, step);
}

static int record_write(Install *install) {
        CLEANUP_JSON_TEXT char *text = cJSON_Print(install->record);
        Change change;
        int r;

        if (!text)
                return fault(install, -ENOMEM);
        if (cJSON_GetArraySize(install->record) == 0) {
                r = change_remove(&change, PATH_RECORD);
                if (r >= 0)
                        change_keep(&change);
                (void) rmdir(PATH_RECORD_FOLDER); /* where nothing else is in it */
        } else {
                r = change_write(&change, PATH_RECORD, text, strlen(text), 0644);
                if (r >= 0)
                        change_keep(&change);
        }
        return r < 0 ? fault(install, r) : 0;
}

int record_add(Install *install, const char *step) {
        const Options *options = install->options;
        DaemonRuntime wanted = docker_wanted_runtime(install);
        CLEANUP_FREE char *registration = daemon_runtime_text(&wanted);
        CLEANUP_JSON cJSON *entry = cJSON_CreateObject();

        if (record_get(install, step))
                return 0;
        if (!entry || json_add(entry, "mirror", cJSON_CreateString(options->mirror)) < 0 ||
            json_add(entry, "runtime_name", cJSON_CreateString(options->runtime_name)) < 0 ||
            json_add(entry, "registration", cJSON_CreateString(registration ? registration : "")) < 0 ||
            json_add(entry, "made_config", cJSON_CreateBool(!install->registration.was_there)) < 0 ||
            json_add(entry, "docker_config", cJSON_CreateString(options->docker_config)) < 0)
                return fault(install, -ENOMEM);
        cJSON_DeleteItemFromObjectCaseSensitive(install->record, step);
        if (json_add(install->record, step, TAKE_PTR(entry)) < 0)
                return fault(install, -ENOMEM);
        return record_write(install);
}

int record_drop(Install *install, const char *step) {
        if (!json_get(install->record, step))
                return 0;
        cJSON_DeleteItemFromObjectCaseSensitive(install->record, step);
        return record_write(install);
}

void record_deinit(Install *install) {
        cJSON_Delete(install->record);
        install->record = NULL;
}
