/* SPDX-License-Identifier: Apache-2.0 */

/* What comes from outside is checked here before and after cJSON sees it, so that every string that a getter returns is
 * valid UTF-8 and whole, and every number that is used as one is an integer in range. Nesting is bounded by cJSON
 * itself (CJSON_NESTING_LIMIT, 1,000). */

#include "json.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Bytes that escapes may add to any text. */
#define ESCAPES_FEW 4096U

static size_t count_digits(const char *text, size_t size) {
        size_t n = 0;

        while (n < size && text[n] >= '0' && text[n] <= '9')
                n++;
        return n;
}

/* RFC 8259, section 6: no leading zero, and a digit on both sides of the point. */
static bool number_is_strict(const char *text, size_t size) {
        size_t i = text[0] == '-' ? 1 : 0, digits = count_digits(text + i, size - i);

        if (digits == 0 || (digits > 1 && text[i] == '0'))
                return false;
        i += digits;
        if (i < size && text[i] == '.') {
                digits = count_digits(text + i + 1, size - i - 1);
                if (digits == 0)
                        return false;
                i += 1 + digits;
        }
        /* What follows an 'e' is strtod()'s grammar as well as JSON's. */
        return i == size || text[i] == 'e' || text[i] == 'E';
}

static size_t number_size(const char *text, size_t size) {
        size_t n = 0;

        while (n < size && text[n] != '\0' && strchr("0123456789+-.eE", text[n]))
                n++;
        return n;
}

/* Within a string. cJSON decodes \u0000 into a NUL that ends the C string, so that what follows would vanish, and takes
 * an escape without four hexadecimal digits for that one. */
static JsonFault string_fault(const char *text, size_t size) {
        size_t digits = 0;

        if (text[0] == '\0')
                return JSON_NUL;
        if ((unsigned char) text[0] < 0x20)
                return JSON_SYNTAX;
        if (size < 2 || text[0] != '\\' || text[1] != 'u')
                return JSON_OK;
        while (digits < 4 && digits + 2 < size && isxdigit((unsigned char) text[digits + 2]))
                digits++;
        if (digits < 4)
                return JSON_SYNTAX;
        return memcmp(text + 2, "0000", 4) == 0 ? JSON_NUL : JSON_OK;
}

/* Outside of strings; *ret_size is that of what stands there. */
static JsonFault token_fault(const char *text, size_t size, size_t *ret_size) {
        *ret_size = 1;
        if (text[0] == '\0')
                return JSON_NUL;
        if (text[0] == '-' || (text[0] >= '0' && text[0] <= '9')) {
                *ret_size = number_size(text, size);
                return number_is_strict(text, *ret_size) ? JSON_OK : JSON_SYNTAX;
        }
        return (unsigned char) text[0] >= 0x20 || strchr("\t\r\n", text[0]) ? JSON_OK : JSON_SYNTAX;
}

/* What cJSON lets pass in a text that it has parsed: NULs, other control characters, escapes and numbers of a form of
 * its own. */
static JsonFault find_lenient(const char *text, size_t size, size_t *ret_offset) {
        bool in_string = false;
        JsonFault fault;
        size_t n;

        for (size_t i = 0; i < size; i += n) {
                fault = in_string ? string_fault(text + i, size - i) : token_fault(text + i, size - i, &n);
                if (fault != JSON_OK) {
                        *ret_offset = i;
                        return fault;
                }
                if (in_string)
                        n = text[i] == '\\' ? 2 : 1;
                if (text[i] == '"')
                        in_string = !in_string;
        }
        return JSON_OK;
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
        const char *text = data, *end = NULL;
        JsonFault fault;
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
        fault = find_lenient(text, size, &offset);
        if (fault != JSON_OK) {
                set_error(ret_error, fault, text, offset);
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
        size_t n = 0, count = cJSON_IsObject(object) ? (size_t) cJSON_GetArraySize(object) : 0;
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
        const double exact = 9007199254740991.0; /* 2^53 - 1: the next one stands for its neighbour, too */
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

/* A control character takes six bytes in JSON. A few are what coloured output is made of; a text that they would more
 * than double is not text to anyone, and its size is what must be bounded. */
static bool escapes_are_few(const void *data, size_t size) {
        const unsigned char *p = data;
        size_t extra = 0;

        for (size_t i = 0; i < size; i++) {
                if (p[i] < 0x20 && !strchr("\b\f\n\r\t", p[i]))
                        extra += 5;
                else if (p[i] < 0x20 || p[i] == '"' || p[i] == '\\')
                        extra += 1;
        }
        return extra <= size + ESCAPES_FEW;
}

cJSON *json_new_text(const void *data, size_t size) {
        /* The bounds are those of a whole output with its base64 form; the owner of the data has bounded it already. */
        Buffer text = BUFFER_INIT(SIZE_MAX / 2);
        cJSON *value = NULL;

        if (text_is_plain(data, size) && escapes_are_few(data, size)) {
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

/* cJSON prints a number by trying how many digits it takes to read back the same: a good part of the time that a
 * result takes. These are known to need none of that. */
cJSON *json_new_integer(uint64_t value) {
        char text[32];

        (void) snprintf(text, sizeof(text), "%llu", (unsigned long long) value);
        return cJSON_CreateRaw(text);
}

cJSON *json_new_msec(uint64_t usec) {
        char text[32];
        size_t n = (size_t) snprintf(text, sizeof(text), "%llu.%03llu", (unsigned long long) usec / 1000,
                                     (unsigned long long) usec % 1000);

        while (text[n - 1] == '0')
                n--;
        text[text[n - 1] == '.' ? n - 1 : n] = '\0';
        return cJSON_CreateRaw(text);
}

cJSON *json_new_string_or_null(const char *string) {
        return string ? cJSON_CreateString(string) : cJSON_CreateNull();
}
