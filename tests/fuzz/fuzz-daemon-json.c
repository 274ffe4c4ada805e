/* SPDX-License-Identifier: Apache-2.0 */

/* Whatever an administrator's daemon.json holds: it is refused with a reason, or the registration is put in and taken
 * out again, is there and gone afterwards, and everything else is as it was. */

#include "daemon-json.h"

#include <errno.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)          \
        do {                      \
                if (!(condition)) \
                        abort();  \
        } while (0)

static const char *const arguments[] = {"--network=none", "--platform=systrap", NULL};
static const DaemonRuntime runsc = {.name = "runsc", .path = "/usr/bin/runsc", .arguments = arguments};

static DaemonState look(const Buffer *text) {
        CLEANUP_FREE char *present = NULL, *reason = NULL;
        DaemonState state;

        CHECK(daemon_json_look(text->data, text->size, &runsc, &state, &present, &reason) == 0);
        CHECK((present != NULL) == (state != DAEMON_MISSING) && !reason);
        return state;
}

/* The document without the registration, and without an object "runtimes" that is empty then. */
static cJSON *rest_of(const void *text, size_t size) {
        JsonError error;
        cJSON *rest = json_parse(text, size, &error), *runtimes;

        if (!rest) /* white space alone */
                rest = cJSON_CreateObject();
        CHECK(rest);
        runtimes = cJSON_GetObjectItemCaseSensitive(rest, "runtimes");
        cJSON_DeleteItemFromObjectCaseSensitive(runtimes, "runsc");
        if (cJSON_GetArraySize(runtimes) == 0)
                cJSON_DeleteItemFromObjectCaseSensitive(rest, "runtimes");
        return rest;
}

static void same_rest(const void *text, size_t size, const Buffer *after) {
        CLEANUP_JSON cJSON *before = rest_of(text, size), *now = rest_of(after->data, after->size);

        CHECK(cJSON_Compare(before, now, true));
}

static void same_bytes(const Buffer *buffer, const void *data, size_t size) {
        CHECK(buffer->size == size && (size == 0 || memcmp(buffer->data, data, size) == 0));
}

static void put_check(const void *text, size_t size, Buffer *ret) {
        Buffer again = BUFFER_INIT(SIZE_MAX / 2);
        CLEANUP_FREE char *reason = NULL;

        CHECK(daemon_json_put(text, size, &runsc, ret, &reason) == 0);
        CHECK(look(ret) == DAEMON_SAME);
        same_rest(text, size, ret);
        CHECK(daemon_json_put(ret->data, ret->size, &runsc, &again, &reason) == 0);
        same_bytes(&again, ret->data, ret->size);
        buffer_deinit(&again);
}

static void drop_check(const void *text, size_t size, bool drop_empty, Buffer *ret) {
        CLEANUP_FREE char *reason = NULL;

        CHECK(daemon_json_drop(text, size, "runsc", drop_empty, ret, &reason) == 0);
        CHECK(look(ret) == DAEMON_MISSING);
        same_rest(text, size, ret);
}

/* What had no "runtimes" and some other key is given back byte for byte. */
static bool comes_back(const void *text, size_t size) {
        JsonError error;
        CLEANUP_JSON cJSON *json = json_parse(text, size, &error);

        return cJSON_GetArraySize(json) > 0 && !json_get(json, "runtimes");
}

static void refused_everywhere(const void *text, size_t size) {
        Buffer out = BUFFER_INIT(SIZE_MAX / 2);
        char *reason = NULL;

        CHECK(daemon_json_put(text, size, &runsc, &out, &reason) == -EINVAL && reason);
        free(TAKE_PTR(reason));
        CHECK(daemon_json_drop(text, size, "runsc", true, &out, &reason) == -EINVAL && reason);
        free(reason);
        CHECK(out.size == 0 && !daemon_json_is_empty(text, size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Buffer put = BUFFER_INIT(SIZE_MAX / 2), dropped = BUFFER_INIT(SIZE_MAX / 2), kept = BUFFER_INIT(SIZE_MAX / 2);
        CLEANUP_FREE char *present = NULL, *reason = NULL;
        DaemonState state;
        int r = daemon_json_look(data, size, &runsc, &state, &present, &reason);

        CHECK(r == 0 || r == -EINVAL);
        CHECK((r == 0) == (reason == NULL) && (r == 0 || !present));
        if (r < 0) {
                refused_everywhere(data, size);
                return 0;
        }
        drop_check(data, size, true, &dropped);
        buffer_clear(&dropped);
        put_check(data, size, &put);
        drop_check(put.data, put.size, false, &kept);
        drop_check(put.data, put.size, true, &dropped);
        if (comes_back(data, size))
                same_bytes(&dropped, data, size);
        CHECK(!daemon_json_is_empty(put.data, put.size));
        buffer_deinit(&put);
        buffer_deinit(&kept);
        buffer_deinit(&dropped);
        return 0;
}
