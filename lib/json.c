/* SPDX-License-Identifier: Apache-2.0 */

/* What comes from outside is checked here before and after cJSON sees it, so that every string that a getter returns is
 * valid UTF-8 and whole, and every number that is used as one is an integer in range. Nesting is bounded by cJSON
 * itself (CJSON_NESTING_LIMIT, 1,000). */

#include "json.h"

#include <errno.h>
#include <string.h>

/* cJSON decodes \u0000 into a NUL that ends the C string: what follows would vanish. Only inside strings can a
 * backslash stand in valid JSON, so that pairs of characters behind one tell escapes apart. */
static const char *find_nul(const char *text, size_t size) {
        for (size_t i = 0; i < size; i++) {
                if (text[i] == '\0')
                        return text + i;
                if (text[i] != '\\')
                        continue;
                if (size - i >= 6 && memcmp(text + i, "\\u0000", 6) == 0)
                        return text + i;
                i++;
        }
        return NULL;
}

static void set_error(JsonError *ret_error, JsonFault fault, const char *text, size_t offset) {
        JsonError error = {.fault = fault, .line = 1, .column = 1};

        for (size_t i = 0; i < offset; i++) {
                error.column++;
                if (text[i] == '\n') {
                        error.line++;
                        error.column = 1;
                }
        }
        *ret_error = error;
}

static size_t skip_space(const char *text, size_t size, size_t offset) {
        while (offset < size && strchr(" \t\r\n", text[offset]) && text[offset] != '\0')
                offset++;
        return offset;
}

cJSON *json_parse(const void *data, size_t size, JsonError *ret_error) {
        const char *text = data, *end = NULL, *nul;
        size_t valid = utf8_valid_prefix(data, size), offset;
        CLEANUP_JSON cJSON *document = NULL;

        if (valid < size) {
                set_error(ret_error, JSON_NOT_UTF8, text, valid);
                return NULL;
        }
        document = size == 0 ? NULL : cJSON_ParseWithLengthOpts(text, size, &end, false);
        offset = end ? (size_t) (end - text) : 0;
        if (!document) {
                set_error(ret_error, JSON_SYNTAX, text, offset < size ? offset : size);
                return NULL;
        }
        offset = skip_space(text, size, offset);
        if (offset < size) {
                set_error(ret_error, JSON_SYNTAX, text, offset);
                return NULL;
        }
        nul = find_nul(text, size);
        if (nul) {
                set_error(ret_error, JSON_NUL, text, (size_t) (nul - text));
                return NULL;
        }
        return TAKE_PTR(document);
}

const char *json_fault_text(JsonFault fault) {
        switch (fault) {
        case JSON_NOT_UTF8:
                return "not valid UTF-8";
        case JSON_SYNTAX:
                return "not valid JSON (wrong, cut off, or nested deeper than 1,000)";
        case JSON_NUL:
                return "a NUL character, which a string here cannot carry; use {\"base64\": …} where that is allowed";
        case JSON_NO_MEMORY:
                return "out of memory";
        case JSON_OK:
                break;
        }
        return "valid";
}

static int compare_keys(const void *a, const void *b) {
        return strcmp(*(const char *const *) a, *(const char *const *) b);
}

const char *json_duplicate_key(const cJSON *object, bool *ret_out_of_memory) {
        CLEANUP_FREE const char **keys = NULL;
        size_t n = 0, count = (size_t) cJSON_GetArraySize(object);
        const cJSON *item;

        *ret_out_of_memory = false;
        if (count < 2)
                return NULL;
        keys = calloc(count, sizeof(*keys));
        if (!keys) {
                *ret_out_of_memory = true;
                return NULL;
        }
        cJSON_ArrayForEach(item, object) keys[n++] = item->string;
        qsort(keys, n, sizeof(*keys), compare_keys);
        for (size_t i = 1; i < n; i++)
                if (strcmp(keys[i - 1], keys[i]) == 0)
                        return keys[i];
        return NULL;
}

bool json_is_integer(const cJSON *item, int64_t *ret_value) {
        const double exact = 9007199254740992.0; /* 2^53 */
        double value;

        if (!cJSON_IsNumber(item))
                return false;
        value = item->valuedouble;
        if (!(value >= -exact && value <= exact) || value != (double) (int64_t) value)
                return false;
        *ret_value = (int64_t) value;
        return true;
}

const cJSON *json_get(const cJSON *object, const char *key) {
        return object ? cJSON_GetObjectItemCaseSensitive(object, key) : NULL;
}

const char *json_get_string(const cJSON *object, const char *key) {
        return cJSON_GetStringValue(json_get(object, key));
}

const cJSON *json_get_object(const cJSON *object, const char *key) {
        const cJSON *item = json_get(object, key);

        return cJSON_IsObject(item) ? item : NULL;
}

int64_t json_get_integer(const cJSON *object, const char *key, int64_t missing) {
        int64_t value;

        return json_is_integer(json_get(object, key), &value) ? value : missing;
}

cJSON *json_new_text(const void *data, size_t size) {
        /* The bounds are those of a whole output with its base64 form; the owner of the data has bounded it already. */
        Buffer text = BUFFER_INIT(SIZE_MAX / 2);
        cJSON *value = NULL;

        if (text_is_plain(data, size)) {
                if (buffer_append(&text, data, size) == 0)
                        value = cJSON_CreateString((const char *) text.data);
        } else if (base64_append(&text, data, size) == 0) {
                value = cJSON_CreateObject();
                if (value && json_add(value, "base64", cJSON_CreateString((const char *) text.data)) < 0) {
                        cJSON_Delete(value);
                        value = NULL;
                }
        }
        buffer_deinit(&text);
        return value;
}

int json_add(cJSON *object, const char *key, cJSON *value) {
        if (value && cJSON_AddItemToObject(object, key, value))
                return 0;
        cJSON_Delete(value);
        return -ENOMEM;
}

cJSON *json_new_msec(uint64_t usec) {
        return cJSON_CreateNumber((double) usec / 1000.0);
}

cJSON *json_new_string_or_null(const char *string) {
        return string ? cJSON_CreateString(string) : cJSON_CreateNull();
}
