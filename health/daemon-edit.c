/* SPDX-License-Identifier: Apache-2.0 */

/* A remedy that is typed as it stands must fit the file as it stands: a key that is there is changed, one that is not
 * is put behind the first brace. */

#include "daemon-edit.h"
#include "file.h"
#include "json.h"

#include <errno.h>

#define FILE_SIZE_MAX ((size_t) 1024 * 1024)
#define RELOAD " && systemctl reload docker"

char *daemon_edit_live_restore(const char *path) {
        CLEANUP_BUFFER Buffer text = BUFFER_INIT(FILE_SIZE_MAX);
        CLEANUP_JSON cJSON *document = NULL;
        JsonError error;
        int r = path[0] ? file_read(path, &text) : -EINVAL;

        if (r == -ENOENT)
                return text_format("echo '{\"live-restore\": true}' >%s" RELOAD, path);
        document = r >= 0 ? json_parse(text.data, text.size, &error) : NULL;
        if (!cJSON_IsObject(document))
                return NULL;
        if (json_get(document, "live-restore"))
                return text_format(
                        "sed -i 's/\"live-restore\"[[:space:]]*:[[:space:]]*false/\"live-restore\": true/' %s" RELOAD,
                        path);
        return text_format("sed -i '0,/{/s/{/{\"live-restore\": true%s/' %s" RELOAD,
                           cJSON_GetArraySize(document) > 0 ? ", " : "", path);
}
