/* SPDX-License-Identifier: Apache-2.0 */

/* Whatever a client sends: a request that is taken keeps every promise of request.h and is told to the guest in frames
 * that the guest's own rules accept; one that is refused gets a refusal that can be sent as JSON. */

#include "frame.h"
#include "request.h"

#include <errno.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)          \
        do {                      \
                if (!(condition)) \
                        abort();  \
        } while (0)

static Config *default_config(void) {
        CLEANUP_FREE char *message = NULL;
        Config *config = NULL;

        CHECK(config_parse("", 0, "", &config, &message) == 0);
        return config;
}

static const RequestFile *file_of(const Request *request, const char *path) {
        for (size_t i = 0; i < request->files_size; i++)
                if (strcmp(request->files[i].path, path) == 0)
                        return &request->files[i];
        return NULL;
}

/* No path twice, and none that is a folder of another. */
static void files_check(const Request *request) {
        CHECK(request->files_size >= 1 && request->files_size <= REQUEST_FILES_MAX);
        for (size_t i = 0; i < request->files_size; i++) {
                const char *path = request->files[i].path;
                size_t n = strlen(path);

                CHECK(frame_path_is_safe(path, n));
                CHECK(utf8_is_valid(path, n));
                for (size_t k = 0; k < request->files_size; k++)
                        CHECK(k == i || strncmp(request->files[k].path, path, n) != 0 ||
                              (request->files[k].path[n] != '/' && request->files[k].path[n] != '\0'));
        }
        CHECK(file_of(request, request->entry));
}

static void request_check(const Request *request, const Config *config) {
        CHECK(config_runtime(config, request->runtime));
        files_check(request);
        CHECK(request->args_size <= REQUEST_ARGS_MAX && request->env_size <= REQUEST_ENV_MAX);
        for (size_t i = 0; i < request->args_size; i++)
                CHECK(utf8_is_valid(request->args[i], strlen(request->args[i])));
        for (size_t i = 0; i < request->env_size; i++)
                CHECK(strchr(request->env[i], '=') > request->env[i]);
        for (int i = 0; i < CONFIG_LIMIT_COUNT_; i++)
                CHECK(request->limits[i] >= config_limit_min((ConfigLimitName) i) &&
                      request->limits[i] <= config->limits[i].max);
        CHECK(!request->labels || cJSON_GetArraySize(request->labels) <= REQUEST_LABELS_MAX);
}

/* Counts what the guest is told against what the request holds. */
typedef struct Told {
        size_t args, env, files, limits, runs;
        size_t input_bytes, file_bytes;
} Told;

static int on_frame(uint8_t type, const uint8_t *payload, size_t size, void *userdata) {
        Told *told = userdata;
        FrameLimits limits;

        CHECK(told->runs == 0);
        CHECK(type > FRAME_ENV || size == 0 || !memchr(payload, 0, size));
        told->args += type == FRAME_ARG;
        told->env += type == FRAME_ENV;
        told->files += type == FRAME_FILE;
        told->limits += type == FRAME_LIMITS && frame_limits_decode(payload, size, &limits) == 0;
        told->runs += type == FRAME_RUN && size == 0;
        told->input_bytes += type == FRAME_STDIN ? size : 0;
        told->file_bytes += type == FRAME_DATA ? size : 0;
        CHECK(type >= FRAME_ARG && type <= FRAME_RUN);
        CHECK(type != FRAME_FILE || frame_path_is_safe((const char *) payload, size));
        CHECK(type != FRAME_DATA || (told->files > 0 && size > 0));
        return 0;
}

static void encoding_check(const Request *request) {
        static FrameReader reader;
        Buffer frames = BUFFER_INIT(request_encoded_max(request));
        size_t file_bytes = 0;
        Told told = {0};

        CHECK(request_encode(request, 1024, &frames) == 0);
        frame_reader_init(&reader);
        CHECK(frame_reader_feed(&reader, frames.data, frames.size, on_frame, &told) == 0);
        CHECK(frame_reader_at_boundary(&reader));
        for (size_t i = 0; i < request->files_size; i++)
                file_bytes += request->files[i].content.size;
        CHECK(told.args == 1 + request->args_size && told.env == request->env_size);
        CHECK(told.files == request->files_size && told.file_bytes == file_bytes);
        CHECK(told.input_bytes == request->input.size && told.limits == 1 && told.runs == 1);
        buffer_deinit(&frames);
}

static void refusal_check(const Refusal *refusal) {
        CLEANUP_JSON_TEXT char *text = refusal_to_json(refusal);
        CLEANUP_JSON cJSON *json = NULL;
        JsonError error;

        CHECK(refusal->status == 400 && refusal->code && refusal->message && refusal->message[0] != '\0');
        CHECK(text);
        json = json_parse(text, strlen(text), &error);
        CHECK(json);
        CHECK(json_get_string(json_get_object(json, "error"), "code"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static Config *config;
        Request *request = NULL;
        Refusal refusal = {0};
        int r;

        if (!config)
                config = default_config();
        r = request_parse(data, size, config, &request, &refusal);
        CHECK(r == 0 || r == -EINVAL);
        CHECK((r == 0) == (request != NULL) && (r == 0) == (refusal.code == NULL));
        if (r == 0) {
                request_check(request, config);
                encoding_check(request);
        } else {
                refusal_check(&refusal);
        }
        request_free(request);
        refusal_deinit(&refusal);
        return 0;
}
