/* SPDX-License-Identifier: Apache-2.0 */

/* Docker reads daemon.json at start and on SIGHUP; in between, file and daemon may tell different stories, and the next
 * restart would change what sandboxes run on. So both are asked, and both must say the same. */

#include "registration.h"
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define FILE_SIZE_MAX ((size_t) 1024 * 1024)

const char *registration_path(const cJSON *runtime) {
        const char *path = json_get_string(runtime, "path");

        if (!path && json_get_string(runtime, "runtimeType"))
                return "";
        return path;
}

const cJSON *registration_from_info(const cJSON *info, const char *oci_runtime) {
        return json_get_object(json_get_object(info, "Runtimes"), oci_runtime);
}

const char *registration_in_info(const cJSON *info, const char *oci_runtime) {
        return registration_path(registration_from_info(info, oci_runtime));
}

char *registration_text(const cJSON *info, const char *oci_runtime) {
        const cJSON *runtime = registration_from_info(info, oci_runtime);

        return runtime ? cJSON_PrintUnformatted(runtime) : NULL;
}

static int disagree(char **ret_reason, char *reason) {
        if (!reason)
                return -ENOMEM;
        *ret_reason = reason;
        return -EINVAL;
}

int registration_parse(const void *text, size_t size, const char *oci_runtime, cJSON **ret_runtime, char **ret_reason) {
        CLEANUP_JSON cJSON *document = NULL;
        JsonError error;

        document = json_parse(text, size, &error);
        if (!document)
                return disagree(ret_reason, text_format("line %u, column %u: %s", error.line, error.column,
                                                        json_fault_text(error.fault)));

        const cJSON *runtimes = json_get_object(document, "runtimes"),
                    *runtime = json_get_object(runtimes, oci_runtime);
        const cJSON *const levels[] = {document, runtimes, runtime};
        for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
                bool out_of_memory;
                const char *key = json_duplicate_key(levels[i], &out_of_memory);

                if (out_of_memory)
                        return -ENOMEM;
                if (key) /* Docker takes the last, cJSON the first */
                        return disagree(ret_reason, text_format("'%s' stands twice", key));
        }
        *ret_runtime = runtime ? cJSON_Duplicate(runtime, true) : NULL;
        return runtime && !*ret_runtime ? -ENOMEM : 0;
}

int registration_read(const char *path, const char *oci_runtime, cJSON **ret_runtime, char **ret_reason) {
        Buffer text = BUFFER_INIT(FILE_SIZE_MAX);
        int r = path[0] ? file_read(path, &text) : -ENOENT;

        if (r >= 0)
                r = registration_parse(text.data, text.size, oci_runtime, ret_runtime, ret_reason);
        buffer_deinit(&text);
        return r;
}

static int compare(const cJSON *runtime, const char *oci_runtime, const char *info_path, char **ret_reason) {
        const char *path = registration_path(runtime);

        if (!path)
                return disagree(
                        ret_reason,
                        text_format("the running Docker has the OCI runtime '%s', the file does not", oci_runtime));
        if (strcmp(path, info_path) != 0)
                return disagree(ret_reason,
                                text_format("the path of '%s' is '%s' in the file and '%s' in the running Docker",
                                            oci_runtime, path, info_path));
        return 0;
}

int registration_check(const void *text, size_t size, const char *oci_runtime, const char *info_path,
                       char **ret_reason) {
        CLEANUP_JSON cJSON *runtime = NULL;
        int r = registration_parse(text, size, oci_runtime, &runtime, ret_reason);

        return r < 0 ? r : compare(runtime, oci_runtime, info_path, ret_reason);
}

int registration_check_file(const char *path, const char *oci_runtime, const char *info_path, char **ret_reason) {
        CLEANUP_JSON cJSON *runtime = NULL;
        int r = registration_read(path, oci_runtime, &runtime, ret_reason);

        if (r == -ENOENT || r == -EACCES)
                return 0;
        return r < 0 ? r : compare(runtime, oci_runtime, info_path, ret_reason);
}

bool registration_same_arguments(const cJSON *a, const cJSON *b) {
        const cJSON *of_a = json_get(a, "runtimeArgs"), *of_b = json_get(b, "runtimeArgs");
        int size = cJSON_GetArraySize(of_a);

        if (size != cJSON_GetArraySize(of_b))
                return false;
        for (int i = 0; i < size; i++)
                if (!cJSON_Compare(cJSON_GetArrayItem(of_a, i), cJSON_GetArrayItem(of_b, i), true))
                        return false;
        return true;
}
