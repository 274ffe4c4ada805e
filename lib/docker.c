/* SPDX-License-Identifier: Apache-2.0 */

/* Typed calls over transfer.c. Docker's errors are kept in its own words ({"message": …}), because they are what an
 * administrator searches for. The API version is agreed on by /_ping and pinned nowhere: Docker 20.10 speaks up
 * to 1.41, Docker 29 refuses what is older than 1.40 or 1.44. */

#include "docker.h"
#include "transfer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DOCKER_API_MAJOR 1U
#define DOCKER_API_OLDEST 40U /* minor; older ones lack what the sandbox template uses */
#define DOCKER_API_NEWEST 47U
#define DOCKER_ANSWER_MAX ((size_t) 4 * 1024 * 1024)
#define DOCKER_EVENT_MAX ((size_t) 256 * 1024)
#define DOCKER_MESSAGE_MAX 1024U
#define DOCKER_PATH_MAX ((size_t) 64 * 1024)

struct Docker {
        Transport *transport;
        char *socket_path;
        uint64_t call_ms;
        char api_version[16];
        DockerErrors errors;
};

struct DockerCall {
        Docker *docker;
        Transfer *transfer;
        char *what; /* "GET /info", for messages */
        DockerDone done;
        DockerEvent event;
        Buffer event_line;
        DockerSource source;
        DockerData data;
        char *failure; /* told within the stream of a call that may fail so */
        bool is_ping, has_verdict;
        bool may_time_out; /* it was asked to wait so long and no longer */
        void *userdata;
};

int docker_new(sd_event *event, const char *socket_path, uint64_t call_ms, Docker **ret_docker) {
        CLEANUP(docker_freep) Docker *docker = calloc(1, sizeof(*docker));
        int r;

        if (!docker)
                return -ENOMEM;
        docker->call_ms = call_ms;
        docker->socket_path = strdup(socket_path);
        if (!docker->socket_path)
                return -ENOMEM;
        r = transport_new(event, &docker->transport);
        if (r < 0)
                return r;
        *ret_docker = TAKE_PTR(docker);
        return 0;
}

Docker *docker_free(Docker *docker) {
        if (!docker)
                return NULL;
        transport_free(docker->transport);
        free(docker->socket_path);
        free(docker);
        return NULL;
}

DockerCall *docker_call_free(DockerCall *call) {
        if (!call)
                return NULL;
        transfer_free(call->transfer);
        buffer_deinit(&call->event_line);
        free(call->what);
        free(call->failure);
        free(call);
        return NULL;
}

bool docker_reply_ok(const DockerReply *reply) {
        return reply->error == 0 && ((reply->status >= 200 && reply->status < 300) || reply->status == 304);
}

const char *docker_socket_path(const Docker *docker) {
        return docker->socket_path;
}

const char *docker_api_version(const Docker *docker) {
        return docker->api_version[0] ? docker->api_version : NULL;
}

DockerErrors docker_errors(const Docker *docker) {
        return docker->errors;
}

/* ---- answers ---- */

static void count_error(const DockerCall *call, const DockerReply *reply) {
        DockerErrors *errors = &call->docker->errors;

        if (call->may_time_out && reply->error == -ETIMEDOUT)
                return;
        if (reply->error == -ECONNREFUSED)
                errors->unreachable++;
        else if (reply->error < 0)
                errors->unanswered++;
        else if (reply->status >= 500)
                errors->failed++;
        else
                errors->refused++;
}

static int agree_on_version(Docker *docker, const char *offered) {
        unsigned major, minor;
        char rest;

        /* sscanf() alone takes signs and spaces, too. */
        if (!offered || offered[strspn(offered, "0123456789.")] != '\0' ||
            sscanf(offered, "%3u.%3u%c", &major, &minor, &rest) != 2 || major != DOCKER_API_MAJOR ||
            minor < DOCKER_API_OLDEST)
                return -EPROTONOSUPPORT;
        if (minor > DOCKER_API_NEWEST)
                minor = DOCKER_API_NEWEST;
        (void) snprintf(docker->api_version, sizeof(docker->api_version), "%u.%u", major, minor);
        return 0;
}

static void answer(DockerCall *call, DockerReply *reply, const char *detail) {
        char message[DOCKER_MESSAGE_MAX];

        if (!docker_reply_ok(reply)) {
                count_error(call, reply);
                if (reply->error < 0 && !call->failure)
                        (void) snprintf(message, sizeof(message), "%s on %s: %s", call->what, call->docker->socket_path,
                                        detail);
                else
                        (void) snprintf(message, sizeof(message), "%s", detail);
                message[utf8_valid_prefix(message, strlen(message))] = '\0';
                reply->message = message;
        }
        call->done(reply, call->userdata);
}

static void on_ping_ok(DockerCall *call, const char *offered, DockerReply *reply) {
        reply->error = agree_on_version(call->docker, offered);
        answer(call, reply,
               offered ? "its API version is not one that this program speaks (1.40 and later)"
                       : "it does not answer as Docker does");
}

/* {"errorDetail":{"message":…},"error":…} as one of the documents of an answer whose status was 200. */
static void take_verdict(DockerCall *call, const cJSON *event) {
        const char *message = json_get_string(json_get_object(event, "errorDetail"), "message");

        if (!message)
                message = json_get_string(event, "error");
        if (message && !call->failure)
                call->failure = strdup(message);
}

static void handle_event_line(DockerCall *call) {
        JsonError error;
        CLEANUP_JSON cJSON *event = json_parse(call->event_line.data, call->event_line.size, &error);

        buffer_clear(&call->event_line);
        if (event && call->has_verdict)
                take_verdict(call, event);
        if (event && call->event)
                call->event(event, call->userdata);
}

static void on_transfer_done(Transfer *transfer, const TransferResult *result, void *userdata) {
        DockerCall *call = userdata;
        DockerReply reply = {.error = result->error, .status = result->status};
        CLEANUP_JSON cJSON *json = NULL;
        CLEANUP_FREE char *status_text = NULL;
        const char *detail = result->message;
        JsonError error;

        (void) transfer;
        if (call->is_ping && docker_reply_ok(&reply)) {
                on_ping_ok(call, result->header_value, &reply);
                return;
        }
        if (call->has_verdict && call->event_line.size > 0) /* the last document's line need not be ended */
                handle_event_line(call);
        if (call->failure) {
                reply.error = -EREMOTEIO;
                answer(call, &reply, call->failure);
                return;
        }
        if (reply.error == 0 && result->body->size > 0) {
                json = json_parse(result->body->data, result->body->size, &error);
                if (!json) {
                        reply.error = -EBADMSG;
                        detail = "the answer is no JSON";
                }
        }
        reply.json = json;
        if (reply.error == 0 && !docker_reply_ok(&reply)) {
                detail = json_get_string(json, "message");
                if (!detail) {
                        status_text = text_format("HTTP status %u", reply.status);
                        detail = status_text;
                }
        }
        answer(call, &reply, detail ? detail : "no answer");
}

static void on_transfer_data(Transfer *transfer, const void *data, size_t size, void *userdata) {
        DockerCall *call = userdata;
        const char *p = data;

        (void) transfer;
        while (size > 0) {
                const char *end = memchr(p, '\n', size);
                size_t n = end ? (size_t) (end - p) : size;

                /* A line that is too long to be one of Docker's is dropped: an event is a hint to look, not a fact. */
                if (buffer_append(&call->event_line, p, n) < 0)
                        buffer_clear(&call->event_line);
                else if (end && call->event_line.size > 0)
                        handle_event_line(call);
                n += end ? 1 : 0;
                p += n;
                size -= n;
        }
}

static void on_transfer_raw(Transfer *transfer, const void *data, size_t size, void *userdata) {
        DockerCall *call = userdata;

        (void) transfer;
        call->data(data, size, call->userdata);
}

static ssize_t on_transfer_source(void *data, size_t size, void *userdata) {
        DockerCall *call = userdata;

        return call->source(data, size, call->userdata);
}

/* ---- calls ---- */

typedef struct CallSpec {
        const char *method;
        const char *path; /* below the version */
        const char *body;
        DockerEvent event;
        DockerSource source; /* instead of body: a tar archive */
        DockerData data;
        uint64_t timeout_ms; /* 0: docker.call_ms */
        bool endless;        /* no time-out */
        bool is_ping;
        bool has_verdict; /* its answer is a stream of documents, one of which may tell of a failure */
} CallSpec;

static TransferData data_of(const CallSpec *spec) {
        if (spec->data)
                return on_transfer_raw;
        return spec->event || spec->has_verdict ? on_transfer_data : NULL;
}

static int docker_call(Docker *docker, const CallSpec *spec, DockerDone done, void *userdata, DockerCall **ret_call) {
        CLEANUP(docker_call_freep) DockerCall *call = NULL;
        CLEANUP_FREE char *url = NULL;
        int r;

        if (!spec->is_ping && !docker_api_version(docker))
                return -ENOTCONN;
        call = calloc(1, sizeof(*call));
        if (!call)
                return -ENOMEM;
        *call = (DockerCall){
                .docker = docker,
                .what = text_format("%s %.*s", spec->method, (int) strcspn(spec->path, "?"), spec->path),
                .done = done,
                .event = spec->event,
                .event_line = BUFFER_INIT(DOCKER_EVENT_MAX),
                .source = spec->source,
                .data = spec->data,
                .is_ping = spec->is_ping,
                .may_time_out = spec->timeout_ms > 0,
                .has_verdict = spec->has_verdict,
                .userdata = userdata,
        };
        url = spec->is_ping ? text_format("http://docker%s", spec->path)
                            : text_format("http://docker/v%s%s", docker->api_version, spec->path);
        if (!call->what || !url)
                return -ENOMEM;

        TransferRequest request = {
                .unix_socket = docker->socket_path,
                .method = spec->method,
                .url = url,
                .body = spec->body,
                .body_size = spec->body ? strlen(spec->body) : 0,
                .source = spec->source ? on_transfer_source : NULL,
                .content_type = spec->source ? "application/x-tar" : NULL,
                .timeout_ms = spec->endless          ? 0
                              : spec->timeout_ms > 0 ? spec->timeout_ms
                                                     : docker->call_ms,
                .response_limit = DOCKER_ANSWER_MAX,
                .header = spec->is_ping ? "Api-Version" : NULL,
        };
        r = transfer_start(docker->transport, &request, on_transfer_done, data_of(spec), call, &call->transfer);
        if (r < 0)
                return r;
        *ret_call = TAKE_PTR(call);
        return 0;
}

int docker_ping(Docker *docker, DockerDone done, void *userdata, DockerCall **ret_call) {
        CallSpec spec = {.method = "GET", .path = "/_ping", .is_ping = true};

        return docker_call(docker, &spec, done, userdata, ret_call);
}

int docker_info(Docker *docker, DockerDone done, void *userdata, DockerCall **ret_call) {
        CallSpec spec = {.method = "GET", .path = "/info"};

        return docker_call(docker, &spec, done, userdata, ret_call);
}

/* A call on one object: the path is prefix + name + suffix. Names come from the configuration or from Docker. */
static int object_call(Docker *docker, const char *method, const char *prefix, const char *name, const char *suffix,
                       const char *body, DockerDone done, void *userdata, DockerCall **ret_call) {
        CLEANUP_FREE char *path = text_format("%s%s%s", prefix, name, suffix);
        CallSpec spec = {.method = method, .path = path, .body = body};

        return path ? docker_call(docker, &spec, done, userdata, ret_call) : -ENOMEM;
}

int docker_image_inspect(Docker *docker, const char *image, DockerDone done, void *userdata, DockerCall **ret_call) {
        return object_call(docker, "GET", "/images/", image, "/json", NULL, done, userdata, ret_call);
}

const char *docker_image_label(const cJSON *image, const char *label) {
        return json_get_string(json_get_object(json_get_object(image, "Config"), "Labels"), label);
}

int docker_image_list(Docker *docker, const char *label, DockerDone done, void *userdata, DockerCall **ret_call) {
        return object_call(docker, "GET", "/images/json?filters=%7B%22label%22%3A%5B%22", label, "%22%5D%7D", NULL,
                           done, userdata, ret_call);
}

int docker_image_remove(Docker *docker, const char *image, DockerDone done, void *userdata, DockerCall **ret_call) {
        return object_call(docker, "DELETE", "/images/", image, "", NULL, done, userdata, ret_call);
}

/* Where in the name of an image its tag begins, or NULL: a colon before a slash is a registry's port. */
static const char *tag_of(const char *name) {
        const char *slash = strrchr(name, '/'), *colon = strrchr(name, ':');

        return colon && (!slash || colon > slash) ? colon + 1 : NULL;
}

static int append_parameter(Buffer *path, const char *key, const char *value, size_t size) {
        CLEANUP_FREE char *part = strndup(value, size), *encoded = part ? text_percent_encode(part) : NULL;

        if (!encoded)
                return -ENOMEM;
        return buffer_append_format(path, "%c%s=%s", strchr((char *) path->data, '?') ? '&' : '?', key, encoded);
}

static int append_name(Buffer *path, const char *name, const char *name_key) {
        const char *tag = tag_of(name);
        size_t size = tag ? (size_t) (tag - 1 - name) : strlen(name);
        int r = append_parameter(path, name_key, name, size);

        return r < 0 ? r : append_parameter(path, "tag", tag ? tag : "latest", strlen(tag ? tag : "latest"));
}

static int append_image(Buffer *path, const DockerImage *image, const char *message_key) {
        int r = append_name(path, image->name, "repo");

        if (r >= 0 && image->message)
                r = append_parameter(path, message_key, image->message, strlen(image->message));
        for (size_t i = 0; r >= 0 && image->changes && image->changes[i]; i++)
                r = append_parameter(path, "changes", image->changes[i], strlen(image->changes[i]));
        return r;
}

int docker_image_import(Docker *docker, const DockerImage *image, DockerSource source, DockerEvent progress,
                        DockerDone done, void *userdata, DockerCall **ret_call) {
        CLEANUP_BUFFER Buffer path = BUFFER_INIT(DOCKER_PATH_MAX);
        int r = buffer_append_text(&path, "/images/create?fromSrc=-");

        if (r >= 0)
                r = append_image(&path, image, "message");
        if (r < 0)
                return r;

        CallSpec spec = {
                .method = "POST",
                .path = (const char *) path.data,
                .source = source,
                .event = progress,
                .has_verdict = true,
                .endless = true,
        };

        return docker_call(docker, &spec, done, userdata, ret_call);
}

int docker_image_pull(Docker *docker, const char *name, DockerEvent progress, DockerDone done, void *userdata,
                      DockerCall **ret_call) {
        CLEANUP_BUFFER Buffer path = BUFFER_INIT(DOCKER_PATH_MAX);
        int r = buffer_append_text(&path, "/images/create");

        /* What has a digest needs no tag, and its colon is none's. */
        if (r >= 0)
                r = strchr(name, '@') ? append_parameter(&path, "fromImage", name, strlen(name))
                                      : append_name(&path, name, "fromImage");
        if (r < 0)
                return r;

        CallSpec spec = {
                .method = "POST",
                .path = (const char *) path.data,
                .event = progress,
                .has_verdict = true,
                .endless = true,
        };

        return docker_call(docker, &spec, done, userdata, ret_call);
}

int docker_container_create(Docker *docker, const char *name, const cJSON *spec, DockerDone done, void *userdata,
                            DockerCall **ret_call) {
        CLEANUP_JSON_TEXT char *body = cJSON_PrintUnformatted(spec);

        if (!body)
                return -ENOMEM;
        return object_call(docker, "POST", "/containers/create?name=", name, "", body, done, userdata, ret_call);
}

int docker_container_start(Docker *docker, const char *id, DockerDone done, void *userdata, DockerCall **ret_call) {
        return object_call(docker, "POST", "/containers/", id, "/start", NULL, done, userdata, ret_call);
}

int docker_container_inspect(Docker *docker, const char *id, DockerDone done, void *userdata, DockerCall **ret_call) {
        return object_call(docker, "GET", "/containers/", id, "/json", NULL, done, userdata, ret_call);
}

int docker_container_wait(Docker *docker, const char *id, uint64_t timeout_ms, DockerDone done, void *userdata,
                          DockerCall **ret_call) {
        CLEANUP_FREE char *path = text_format("/containers/%s/wait", id);
        CallSpec spec = {.method = "POST", .path = path, .timeout_ms = timeout_ms};

        return path ? docker_call(docker, &spec, done, userdata, ret_call) : -ENOMEM;
}

int docker_container_remove(Docker *docker, const char *id, DockerDone done, void *userdata, DockerCall **ret_call) {
        return object_call(docker, "DELETE", "/containers/", id, "?force=1&v=1", NULL, done, userdata, ret_call);
}

int docker_container_archive(Docker *docker, const char *id, const char *path, DockerData data, DockerDone done,
                             void *userdata, DockerCall **ret_call) {
        CLEANUP_FREE char *encoded = text_percent_encode(path),
                          *target = encoded ? text_format("/containers/%s/archive?path=%s", id, encoded) : NULL;
        CallSpec spec = {.method = "GET", .path = target, .data = data, .endless = true};

        return target ? docker_call(docker, &spec, done, userdata, ret_call) : -ENOMEM;
}

int docker_container_unpack(Docker *docker, const char *id, DockerSource source, DockerDone done, void *userdata,
                            DockerCall **ret_call) {
        CLEANUP_FREE char *target = text_format("/containers/%s/archive?path=%%2F&noOverwriteDirNonDir=1", id);
        CallSpec spec = {.method = "PUT", .path = target, .source = source, .endless = true};

        return target ? docker_call(docker, &spec, done, userdata, ret_call) : -ENOMEM;
}

int docker_container_commit(Docker *docker, const char *id, const DockerImage *image, DockerDone done, void *userdata,
                            DockerCall **ret_call) {
        CLEANUP_BUFFER Buffer path = BUFFER_INIT(DOCKER_PATH_MAX);
        int r = buffer_append_format(&path, "/commit?container=%s", id);

        if (r >= 0)
                r = append_image(&path, image, "comment");
        if (r < 0)
                return r;

        CallSpec spec = {.method = "POST", .path = (const char *) path.data, .endless = true};

        return docker_call(docker, &spec, done, userdata, ret_call);
}

int docker_container_list(Docker *docker, const char *filter, const char *value, DockerDone done, void *userdata,
                          DockerCall **ret_call) {
        /* {"filter":["…"]}, percent-encoded where URLs need it; value holds none but name characters and '='. */
        CLEANUP_FREE char *path =
                text_format("/containers/json?all=1&filters=%%7B%%22%s%%22%%3A%%5B%%22%s%%22%%5D%%7D", filter, value);
        CallSpec spec = {.method = "GET", .path = path};

        return path ? docker_call(docker, &spec, done, userdata, ret_call) : -ENOMEM;
}

int docker_container_stats(Docker *docker, const char *id, DockerEvent sample, DockerDone done, void *userdata,
                           DockerCall **ret_call) {
        CLEANUP_FREE char *path = text_format("/containers/%s/stats", id);
        CallSpec spec = {.method = "GET", .path = path, .event = sample, .endless = true};

        return path ? docker_call(docker, &spec, done, userdata, ret_call) : -ENOMEM;
}

int docker_container_sample(Docker *docker, const char *id, DockerDone done, void *userdata, DockerCall **ret_call) {
        return object_call(docker, "GET", "/containers/", id, "/stats?stream=false&one-shot=true", NULL, done, userdata,
                           ret_call);
}

int docker_events(Docker *docker, DockerEvent event, DockerDone done, void *userdata, DockerCall **ret_call) {
        CallSpec spec = {
                .method = "GET",
                .path = "/events?filters=%7B%22type%22%3A%5B%22daemon%22%2C%22image%22%5D%7D",
                .event = event,
                .endless = true,
        };

        return docker_call(docker, &spec, done, userdata, ret_call);
}
