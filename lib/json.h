/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "text.h"

#include <cjson/cJSON.h>

/* Strict reading over cJSON, which itself is lenient: it takes bytes that are no UTF-8, control characters and numbers
 * like 01, cuts strings at an escaped NUL or at a wrong \u escape, keeps duplicate keys and turns every number into a
 * double. */

DEFINE_CLEANUP(cJSON *, cJSON_Delete)
DEFINE_CLEANUP(char *, cJSON_free)

#define CLEANUP_JSON CLEANUP(cJSON_Deletep)
#define CLEANUP_JSON_TEXT CLEANUP(cJSON_freep)

typedef enum JsonFault {
        JSON_OK = 0,
        JSON_NOT_UTF8,
        JSON_SYNTAX, /* no JSON, cut off, nested too deep, or something behind its end */
        JSON_NUL,    /* a NUL character, which no C string can carry */
        JSON_NO_MEMORY,
} JsonFault;

typedef struct JsonError {
        JsonFault fault;
        unsigned line; /* from 1 */
        unsigned column;
} JsonError;

/* Parses one document. Returns it (owned by the caller), or NULL with *ret_error written. */
cJSON *json_parse(const void *data, size_t size, JsonError *ret_error);

/* A sentence for people, without a full stop. */
const char *json_fault_text(JsonFault fault);

/* A key that the object has more than once, or NULL; what is no object has none. O(n log n). The key belongs to the
 * object. Writes *ret_out_of_memory and returns NULL when it could not tell. */
const char *json_duplicate_key(const cJSON *object, bool *ret_out_of_memory);

/* An integer: a JSON number without fraction that a double holds exactly and that lies within the bounds. */
bool json_is_integer(const cJSON *item, int64_t *ret_value);

/* Getters that answer NULL (or the default) when the key is missing or of another type. Keys are case-sensitive. What
 * they return belongs to the object. object may be NULL. */
const cJSON *json_get(const cJSON *object, const char *key);
const char *json_get_string(const cJSON *object, const char *key);
const cJSON *json_get_object(const cJSON *object, const char *key);
int64_t json_get_integer(const cJSON *object, const char *key, int64_t missing);

/* Bytes as a JSON value: a string where they are plain text that escapes do not more than double, else {"base64": …}.
 * NULL on ENOMEM. */
cJSON *json_new_text(const void *data, size_t size);

/* Adds a value to an object; takes the value, also on failure. A NULL value is a failure of its maker. Returns 0 or
 * -ENOMEM. */
int json_add(cJSON *object, const char *key, cJSON *value);

/* Numbers that are only to be printed: cJSON cannot read them back. The second is in milliseconds, to microseconds. */
cJSON *json_new_integer(uint64_t value);
cJSON *json_new_msec(uint64_t usec);

/* string may be NULL: JSON's null then. */
cJSON *json_new_string_or_null(const char *string);
