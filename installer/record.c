/* SPDX-License-Identifier: Apache-2.0 */

#include "record.h"
#include "file.h"
#include "paths.h"

#include <errno.h>
#include <string.h>

#define RECORD_SIZE_MAX ((size_t) 4 * 1024 * 1024) /* texts of apt's lists are in it */

static int fault(Install *install, int error) {
        return trouble_errno(&install->trouble, error, PATH_RECORD);
}

int record_load(Install *install) {
        Buffer text = BUFFER_INIT(RECORD_SIZE_MAX);
        JsonError error = {0};
        int r = file_read(PATH_RECORD, &text);

        record_deinit(install);
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

int record_set(Install *install, const char *step, cJSON *entry) {
        if (!entry && !json_get(install->record, step))
                return 0;
        cJSON_DeleteItemFromObjectCaseSensitive(install->record, step);
        if (entry && json_add(install->record, step, entry) < 0)
                return fault(install, -ENOMEM);
        return record_write(install);
}

int record_describe(Install *install, const Step *step) {
        const cJSON *before = record_get(install, step->name);
        CLEANUP_JSON cJSON *kept = before ? cJSON_Duplicate(before, true) : NULL;
        cJSON *entry = before ? cJSON_Duplicate(before, true) : cJSON_CreateObject();
        int r = entry && (kept || !before) ? step->describe(install, entry) : -ENOMEM;

        if (r < 0) {
                cJSON_Delete(entry);
                return fault(install, r);
        }
        if (cJSON_Compare(before, entry, true)) {
                cJSON_Delete(entry);
                return 0;
        }
        r = record_set(install, step->name, entry);
        if (r < 0) { /* in memory, too */
                cJSON_DeleteItemFromObjectCaseSensitive(install->record, step->name);
                if (kept)
                        (void) json_add(install->record, step->name, TAKE_PTR(kept));
        }
        return r;
}

void record_deinit(Install *install) {
        cJSON_Delete(install->record);
        install->record = NULL;
}
