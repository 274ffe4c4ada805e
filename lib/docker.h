/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "json.h"

#include <systemd/sd-event.h>

/* A client of the Docker Engine API on its unix socket: one typed function a call, each answered by a callback. */

typedef struct Docker Docker;
typedef struct DockerCall DockerCall;

typedef struct DockerReply {
        int error;           /* negative errno when no usable answer came: -ECONNREFUSED, -ETIMEDOUT, -EBADMSG, … */
        unsigned status;     /* HTTP status when one came */
        const cJSON *json;   /* the body, or NULL */
        const char *message; /* for people, when docker_reply_ok() is false: Docker's own words, or what went wrong */
} DockerReply;

/* Called once, unless the call is freed before; reply is valid during the call. The callee may free the call. */
typedef void (*DockerDone)(const DockerReply *reply, void *userdata);

/* One document of a stream of them; must not free the call. */
typedef void (*DockerEvent)(const cJSON *event, void *userdata);

/* Asked for the next piece of a body that is sent while it is made. Returns how many bytes it has written to data, at
 * most size, 0 at the end, or a negative errno, with which the call then fails. Must not free the call. */
typedef ssize_t (*DockerSource)(void *data, size_t size, void *userdata);

/* The next piece of an answer that is no JSON; must not free the call. */
typedef void (*DockerData)(const void *data, size_t size, void *userdata);

int docker_new(sd_event *event, const char *socket_path, uint64_t call_ms, Docker **ret_docker);

/* All its calls must have been freed. */
Docker *docker_free(Docker *docker);

/* Cancels the call when it is still under way. What Docker has begun it may still finish. */
DockerCall *docker_call_free(DockerCall *call);

DEFINE_CLEANUP(Docker *, docker_free)
DEFINE_CLEANUP(DockerCall *, docker_call_free)

/* An answer with a 2xx or 304 status. */
bool docker_reply_ok(const DockerReply *reply);

const char *docker_socket_path(const Docker *docker);

/* The API version in use ("1.41"), or NULL before a ping has been answered. */
const char *docker_api_version(const Docker *docker);

/* Calls that have failed since the beginning: nobody listens on the socket, no usable answer came (what is called off
 * does not count, nor a wait that was in vain), or one with a status of 4xx or 5xx. */
typedef struct DockerErrors {
        uint64_t unreachable, unanswered, refused, failed;
} DockerErrors;

DockerErrors docker_errors(const Docker *docker);

/* GET /_ping. Agrees on the API version: Docker's own, or the newest that this client knows. Fails with
 * -EPROTONOSUPPORT where Docker offers nothing that this client speaks. Every other call needs one answered ping before
 * it, and returns -ENOTCONN otherwise. */
int docker_ping(Docker *docker, DockerDone done, void *userdata, DockerCall **ret_call);

int docker_info(Docker *docker, DockerDone done, void *userdata, DockerCall **ret_call);

/* ---- images ---- */

int docker_image_inspect(Docker *docker, const char *image, DockerDone done, void *userdata, DockerCall **ret_call);

/* A label of the image whose document docker_image_inspect() answers, or NULL; belongs to the document. */
const char *docker_image_label(const cJSON *image, const char *label);

/* All images that carry the label ("name" or "name=value"), as an array. */
int docker_image_list(Docker *docker, const char *label, DockerDone done, void *userdata, DockerCall **ret_call);

/* Takes the name from the image, and removes one that has no other name. 409 when a container needs it. */
int docker_image_remove(Docker *docker, const char *image, DockerDone done, void *userdata, DockerCall **ret_call);

/* What an image is to be called and to be like. */
typedef struct DockerImage {
        const char *name;           /* "repository:tag"; without a tag it gets "latest" */
        const char *message;        /* for its history, or NULL */
        const char *const *changes; /* instructions of a Dockerfile ("LABEL a=b"), ended by NULL; NULL for none */
} DockerImage;

/* Makes an image of one layer from a tar archive, which source gives piece by piece. source, progress (which may be
 * NULL) and done get the same userdata. Docker tells of a failure within an answer that has begun well, too: -EREMOTEIO
 * then, with Docker's words. No time-out: the caller knows what it sends, and how fast. */
int docker_image_import(Docker *docker, const DockerImage *image, DockerSource source, DockerEvent progress,
                        DockerDone done, void *userdata, DockerCall **ret_call);

/* Has Docker fetch an image from its registry; name has a tag or a digest, or gets "latest". progress is told each of
 * Docker's documents ({"id": layer, "status": …, "progressDetail": {"current": …, "total": …}}). Failures as in
 * docker_image_import(). No time-out: a registry that has fallen silent is for the caller to give up. */
int docker_image_pull(Docker *docker, const char *name, DockerEvent progress, DockerDone done, void *userdata,
                      DockerCall **ret_call);

/* ---- containers ---- */

/* spec is the body of POST /containers/create. */
int docker_container_create(Docker *docker, const char *name, const cJSON *spec, DockerDone done, void *userdata,
                            DockerCall **ret_call);
int docker_container_start(Docker *docker, const char *id, DockerDone done, void *userdata, DockerCall **ret_call);
int docker_container_inspect(Docker *docker, const char *id, DockerDone done, void *userdata, DockerCall **ret_call);

/* Answers when the container runs no more, or with -ETIMEDOUT after timeout_ms. */
int docker_container_wait(Docker *docker, const char *id, uint64_t timeout_ms, DockerDone done, void *userdata,
                          DockerCall **ret_call);

/* Kills it when it runs, and removes it with its anonymous volumes. */
int docker_container_remove(Docker *docker, const char *id, DockerDone done, void *userdata, DockerCall **ret_call);

/* What stands at a path of the container, running or not, as a tar archive, piece by piece. 404 where there is no such
 * path. No time-out. */
int docker_container_archive(Docker *docker, const char *id, const char *path, DockerData data, DockerDone done,
                             void *userdata, DockerCall **ret_call);

/* Unpacks a tar archive, which source gives piece by piece, in the root folder of the container. A folder never takes
 * the place of a file, nor a file that of a folder. No time-out. */
int docker_container_unpack(Docker *docker, const char *id, DockerSource source, DockerDone done, void *userdata,
                            DockerCall **ret_call);

/* Makes an image from the container as it is now; answers {"Id": …}. No time-out. */
int docker_container_commit(Docker *docker, const char *id, const DockerImage *image, DockerDone done, void *userdata,
                            DockerCall **ret_call);

/* All containers, also ended ones, that a filter of Docker's lets pass: "label" with "name=value" or "name", or "name"
 * with a part of one. */
int docker_container_list(Docker *docker, const char *filter, const char *value, DockerDone done, void *userdata,
                          DockerCall **ret_call);

/* One sample of a running container's use of resources about each second, until it ends or the connection does, which
 * is when done is called. No time-out. */
int docker_container_stats(Docker *docker, const char *id, DockerEvent sample, DockerDone done, void *userdata,
                           DockerCall **ret_call);

/* The same once, and at once (a Docker before 20.10 takes two seconds). */
int docker_container_sample(Docker *docker, const char *id, DockerDone done, void *userdata, DockerCall **ret_call);

/* Docker's events of the daemon itself and of images, until the connection ends, which is when done is called. No
 * time-out. */
int docker_events(Docker *docker, DockerEvent event, DockerDone done, void *userdata, DockerCall **ret_call);
