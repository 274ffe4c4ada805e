/* SPDX-License-Identifier: Apache-2.0 */

/* Everything that a client says about an execution passes through here, and nothing else of a client's reaches a
 * sandbox. One function a field; each takes the value and fills its part of the Request, or writes a refusal that names
 * the field. What is not known is refused, since a mistyped limit that is ignored would run a program with less
 * protection than was asked for. */

#include "request.h"
#include "frame.h"

#include <errno.h>
#include <string.h>

typedef struct Parser {
        const Config *config;
        const cJSON *document;
        Request *request;
        Refusal *refusal;
} Parser;

#define REFUSE(parser, code, field, ...) refusal_set((parser)->refusal, 400, (code), (field), NULL, __VA_ARGS__)

/* How many bytes of a client's word a refusal repeats: at most so many, and no half of a character. For "%.*s". */
static int shown(const char *word, size_t most) {
        return (int) utf8_valid_prefix(word, strnlen(word, most));
}

/* Refuses with a field of the form parent["key"]; the key is a client's and may be long. */
static int refuse_key(Parser *parser, const char *code, const char *parent, const char *key, const char *what) {
        CLEANUP_FREE char *field = text_format("%s[\"%.*s\"]", parent, shown(key, 128), key);

        return field ? REFUSE(parser, code, field, "%s", what) : -ENOMEM;
}

/* The same for a key of the document itself. */
static int refuse_name(Parser *parser, const char *code, const char *name, const char *what) {
        CLEANUP_FREE char *field = text_format("%.*s", shown(name, 64), name);

        return field ? REFUSE(parser, code, field, "%s", what) : -ENOMEM;
}

/* The key of an object that stands twice is refused: JSON leaves open which one counts. */
static int check_duplicates(Parser *parser, const cJSON *object, const char *parent) {
        bool out_of_memory;
        const char *key = json_duplicate_key(object, &out_of_memory);

        if (out_of_memory)
                return -ENOMEM;
        if (!key)
                return 0;
        if (!parent)
                return refuse_name(parser, "duplicate_field", key, "the field stands twice");
        return refuse_key(parser, "duplicate_field", parent, key, "the key stands twice");
}

static int check_object(Parser *parser, const cJSON *value, const char *field, int most) {
        if (!cJSON_IsObject(value))
                return REFUSE(parser, "invalid_field", field, "must be an object");
        if (cJSON_GetArraySize(value) > most)
                return REFUSE(parser, "too_many", field, "has %d entries; at most %d are allowed",
                              cJSON_GetArraySize(value), most);
        return check_duplicates(parser, value, field);
}

static int take_string(Parser *parser, const cJSON *value, const char *field, char **ret) {
        const char *text = cJSON_GetStringValue(value);

        if (!text)
                return REFUSE(parser, "invalid_field", field, "must be a string");
        *ret = strdup(text);
        return *ret ? 0 : -ENOMEM;
}

/* A string, or {"base64": "…"}. */
static int take_bytes(Parser *parser, const cJSON *value, const char *field, Buffer *ret) {
        const char *text = cJSON_GetStringValue(value);
        int r;

        if (text) {
                *ret = BUFFER_INIT(strlen(text));
                return buffer_append(ret, text, strlen(text));
        }
        text = cJSON_IsObject(value) && cJSON_GetArraySize(value) == 1 ? json_get_string(value, "base64") : NULL;
        if (!text)
                return REFUSE(parser, "invalid_field", field, "must be a string or {\"base64\": \"…\"}");
        *ret = BUFFER_INIT(strlen(text));
        r = base64_decode(ret, text, strlen(text));
        if (r == -EINVAL)
                return REFUSE(parser, "invalid_field", field, "is not valid base64 (RFC 4648, with padding)");
        return r;
}

/* ---- the fields ---- */

static int parse_runtime(Parser *parser, const cJSON *value) {
        int r = take_string(parser, value, "runtime", &parser->request->runtime);

        if (r < 0)
                return r;
        if (config_runtime(parser->config, parser->request->runtime))
                return 0;
        return refusal_set(parser->refusal, 400, "unknown_runtime", "runtime",
                           "GET /v1/status lists the runtimes that tee.conf names", "there is no runtime '%.*s'",
                           shown(parser->request->runtime, 64), parser->request->runtime);
}

/* The short form of one file; its name is the runtime's, which is known only when all fields have been seen. */
static int parse_code(Parser *parser, const cJSON *value) {
        Request *request = parser->request;

        if (json_get(parser->document, "files"))
                return REFUSE(parser, "conflicting_fields", "code", "cannot stand together with files");
        request->files = calloc(1, sizeof(*request->files));
        if (!request->files)
                return -ENOMEM;
        request->files_size = 1;
        if (!cJSON_IsString(value))
                return REFUSE(parser, "invalid_field", "code", "must be a string");
        return take_bytes(parser, value, "code", &request->files[0].content);
}

static int parse_file(Parser *parser, const cJSON *item) {
        RequestFile *file = &parser->request->files[parser->request->files_size];
        CLEANUP_FREE char *field = NULL;

        if (!frame_path_is_safe(item->string, strlen(item->string)))
                return refuse_key(
                        parser, "invalid_path", "files", item->string,
                        "must be a relative path without empty, '.' or '..' components or control characters, "
                        "of at most 1,024 bytes");
        parser->request->files_size++;
        file->path = strdup(item->string);
        field = text_format("files[\"%s\"]", item->string);
        if (!file->path || !field)
                return -ENOMEM;
        return take_bytes(parser, item, field, &file->content);
}

/* Orders paths so that what lies below a path follows it directly: '/' sorts before every other character. */
static int compare_paths(const void *a, const void *b) {
        const char *p = ((const RequestFile *) a)->path, *q = ((const RequestFile *) b)->path;

        while (*p != '\0' && *p == *q) {
                p++;
                q++;
        }
        return (*p == '/' ? 1 : (unsigned char) *p) - (*q == '/' ? 1 : (unsigned char) *q);
}

static int check_tree(Parser *parser) {
        RequestFile *files = parser->request->files;

        qsort(files, parser->request->files_size, sizeof(*files), compare_paths);
        for (size_t i = 1; i < parser->request->files_size; i++) {
                size_t n = strlen(files[i - 1].path);

                if (strncmp(files[i - 1].path, files[i].path, n) == 0 && files[i].path[n] == '/')
                        return refuse_key(parser, "invalid_path", "files", files[i - 1].path,
                                          "is a file, and the folder of another one");
        }
        return 0;
}

static int parse_files(Parser *parser, const cJSON *value) {
        Request *request = parser->request;
        const cJSON *item;
        int r = check_object(parser, value, "files", REQUEST_FILES_MAX);

        if (r < 0)
                return r;
        if (!value->child)
                return REFUSE(parser, "invalid_field", "files", "must not be empty");
        request->files = calloc((size_t) cJSON_GetArraySize(value), sizeof(*request->files));
        if (!request->files)
                return -ENOMEM;
        cJSON_ArrayForEach(item, value) {
                r = parse_file(parser, item);
                if (r < 0)
                        return r;
        }
        return check_tree(parser);
}

static int parse_entry(Parser *parser, const cJSON *value) {
        int r = take_string(parser, value, "entry", &parser->request->entry);

        if (r < 0)
                return r;
        if (!json_get(parser->document, "files"))
                return REFUSE(parser, "conflicting_fields", "entry",
                              "goes with files; code has the name that tee.conf gives");
        if (!json_get(json_get_object(parser->document, "files"), parser->request->entry))
                return REFUSE(parser, "invalid_field", "entry", "is not one of files");
        return 0;
}

static int parse_args(Parser *parser, const cJSON *value) {
        Request *request = parser->request;
        const cJSON *item;

        if (!cJSON_IsArray(value))
                return REFUSE(parser, "invalid_field", "args", "must be an array of strings");
        if (cJSON_GetArraySize(value) > REQUEST_ARGS_MAX)
                return REFUSE(parser, "too_many", "args", "has %d entries; at most %d are allowed",
                              cJSON_GetArraySize(value), REQUEST_ARGS_MAX);
        request->args = calloc((size_t) cJSON_GetArraySize(value) + 1, sizeof(*request->args));
        if (!request->args)
                return -ENOMEM;
        cJSON_ArrayForEach(item, value) {
                CLEANUP_FREE char *field = text_format("args[%zu]", request->args_size);
                int r = field ? take_string(parser, item, field, &request->args[request->args_size]) : -ENOMEM;

                if (r < 0)
                        return r;
                if (strlen(request->args[request->args_size++]) > FRAME_PAYLOAD_MAX)
                        return REFUSE(parser, "out_of_range", field, "is longer than %u bytes", FRAME_PAYLOAD_MAX);
        }
        return 0;
}

static bool is_environment_name(const char *name) {
        static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";

        return name[0] != '\0' && !(name[0] >= '0' && name[0] <= '9') && strspn(name, letters) == strlen(name);
}

static int parse_env_item(Parser *parser, const cJSON *item) {
        Request *request = parser->request;
        const char *value = cJSON_GetStringValue(item);
        char *pair;

        if (!is_environment_name(item->string))
                return refuse_key(parser, "invalid_field", "env", item->string,
                                  "is no name of an environment variable (letters, digits and '_', not first a digit)");
        if (!value)
                return refuse_key(parser, "invalid_field", "env", item->string, "must be a string");
        if (strlen(item->string) + 1 + strlen(value) > FRAME_PAYLOAD_MAX)
                return refuse_key(parser, "out_of_range", "env", item->string, "is longer than 65,536 bytes");
        pair = text_format("%s=%s", item->string, value);
        if (!pair)
                return -ENOMEM;
        request->env[request->env_size++] = pair;
        return 0;
}

static int parse_env(Parser *parser, const cJSON *value) {
        Request *request = parser->request;
        const cJSON *item;
        int r = check_object(parser, value, "env", REQUEST_ENV_MAX);

        if (r < 0)
                return r;
        request->env = calloc((size_t) cJSON_GetArraySize(value) + 1, sizeof(*request->env));
        if (!request->env)
                return -ENOMEM;
        cJSON_ArrayForEach(item, value) {
                r = parse_env_item(parser, item);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int parse_stdin(Parser *parser, const cJSON *value) {
        return take_bytes(parser, value, "stdin", &parser->request->input);
}

static int parse_limit(Parser *parser, const cJSON *limits, const cJSON *item) {
        CLEANUP_FREE char *field = text_format("limits.%.*s", shown(item->string, 64), item->string);
        int64_t value;

        if (!field)
                return -ENOMEM;
        for (int i = 0; i < CONFIG_LIMIT_COUNT_; i++) {
                uint64_t min = config_limit_min((ConfigLimitName) i), max = parser->config->limits[i].max;

                if (strcmp(item->string, config_limit_name((ConfigLimitName) i)) != 0)
                        continue;
                if (json_get(limits, item->string) != item)
                        return REFUSE(parser, "duplicate_field", field, "the field stands twice");
                if (!json_is_integer(item, &value))
                        return REFUSE(parser, "invalid_field", field, "must be an integer");
                if (value < 0 || (uint64_t) value < min || (uint64_t) value > max)
                        return REFUSE(parser, "out_of_range", field,
                                      "%lld is out of range; it must be from %llu to %llu", (long long) value,
                                      (unsigned long long) min, (unsigned long long) max);
                parser->request->limits[i] = (uint64_t) value;
                return 0;
        }
        return REFUSE(parser, "unknown_field", field, "there is no such limit");
}

static int parse_limits(Parser *parser, const cJSON *value) {
        const cJSON *item;

        if (!cJSON_IsObject(value))
                return REFUSE(parser, "invalid_field", "limits", "must be an object");
        cJSON_ArrayForEach(item, value) {
                int r = parse_limit(parser, value, item);

                if (r < 0)
                        return r;
        }
        return 0;
}

static int parse_labels(Parser *parser, const cJSON *value) {
        const cJSON *item;
        int r = check_object(parser, value, "labels", REQUEST_LABELS_MAX);

        if (r < 0)
                return r;
        cJSON_ArrayForEach(item, value) {
                const char *text = cJSON_GetStringValue(item);

                if (!text)
                        return refuse_key(parser, "invalid_field", "labels", item->string, "must be a string");
                if (strlen(item->string) > REQUEST_LABEL_SIZE_MAX || strlen(text) > REQUEST_LABEL_SIZE_MAX)
                        return refuse_key(parser, "out_of_range", "labels", item->string,
                                          "name and value may have 256 bytes each");
        }
        parser->request->labels = cJSON_Duplicate(value, true);
        return parser->request->labels ? 0 : -ENOMEM;
}

static const struct Field {
        const char *name;
        int (*parse)(Parser *parser, const cJSON *value);
} fields[] = {
        {"runtime", parse_runtime}, {"code", parse_code},     {"files", parse_files},
        {"entry", parse_entry},     {"args", parse_args},     {"env", parse_env},
        {"stdin", parse_stdin},     {"limits", parse_limits}, {"labels", parse_labels},
};

/* ---- the whole ---- */

static int parse_field(Parser *parser, const cJSON *item) {
        for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
                if (strcmp(fields[i].name, item->string) == 0)
                        return fields[i].parse(parser, item);
        return refuse_name(parser, "unknown_field", item->string, "there is no such field");
}

static size_t strings_size(char *const *strings, size_t size) {
        size_t sum = 0;

        for (size_t i = 0; i < size; i++)
                sum += strlen(strings[i]) + 1;
        return sum;
}

/* What must be there, and what follows from the rest. */
static int complete(Parser *parser) {
        Request *request = parser->request;
        const ConfigRuntime *runtime;
        size_t args = strings_size(request->args, request->args_size),
               env = strings_size(request->env, request->env_size);

        if (args + env > REQUEST_STRINGS_MAX)
                return REFUSE(parser, "out_of_range", args > env ? "args" : "env",
                              "args and env together are longer than %zu bytes", REQUEST_STRINGS_MAX);
        if (!request->runtime)
                return REFUSE(parser, "missing_field", "runtime", "must say which runtime");
        if (!request->files)
                return REFUSE(parser, "missing_field", "code", "either code or files must be there");
        if (json_get(parser->document, "files"))
                return request->entry ? 0
                                      : REFUSE(parser, "missing_field", "entry", "must say which of files is started");

        runtime = config_runtime(parser->config, request->runtime);
        request->entry = strdup(runtime->entry);
        request->files[0].path = strdup(runtime->entry);
        return request->entry && request->files[0].path ? 0 : -ENOMEM;
}

static int refuse_json(Refusal *ret_refusal, const JsonError *error) {
        const char *code = error->fault == JSON_NOT_UTF8 ? "invalid_utf8" : "invalid_json";

        return refusal_set(ret_refusal, 400, code, NULL, NULL, "line %u, column %u: %s", error->line, error->column,
                           json_fault_text(error->fault));
}

int request_parse(const void *body, size_t size, const Config *config, Request **ret_request, Refusal *ret_refusal) {
        CLEANUP(request_freep) Request *request = NULL;
        CLEANUP_JSON cJSON *document = NULL;
        JsonError error;
        const cJSON *item;
        int r;

        document = json_parse(body, size, &error);
        if (!document)
                return refuse_json(ret_refusal, &error);
        request = calloc(1, sizeof(*request));
        if (!request)
                return -ENOMEM;
        for (int i = 0; i < CONFIG_LIMIT_COUNT_; i++)
                request->limits[i] = config->limits[i].fallback;

        Parser parser = {.config = config, .document = document, .request = request, .refusal = ret_refusal};
        if (!cJSON_IsObject(document))
                return REFUSE(&parser, "invalid_json", NULL, "the body must be a JSON object");
        r = check_duplicates(&parser, document, NULL);
        if (r < 0)
                return r;
        cJSON_ArrayForEach(item, document) {
                r = parse_field(&parser, item);
                if (r < 0)
                        return r;
        }
        r = complete(&parser);
        if (r < 0)
                return r;
        *ret_request = TAKE_PTR(request);
        return 0;
}

static void free_strings(char **strings, size_t size) {
        for (size_t i = 0; i < size; i++)
                free(strings[i]);
        free(strings);
}

Request *request_free(Request *request) {
        if (!request)
                return NULL;
        free(request->runtime);
        free(request->entry);
        for (size_t i = 0; i < request->files_size; i++) {
                free(request->files[i].path);
                buffer_deinit(&request->files[i].content);
        }
        free(request->files);
        free_strings(request->args, request->args_size);
        free_strings(request->env, request->env_size);
        buffer_deinit(&request->input);
        cJSON_Delete(request->labels);
        free(request);
        return NULL;
}
