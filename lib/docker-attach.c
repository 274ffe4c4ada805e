/* SPDX-License-Identifier: Apache-2.0 */

/* The attach call stops being HTTP after its head: the connection becomes the container's stdio. libcurl has no place
 * for that in its multi interface (an upload that never ends and is paused and resumed costs loop turns on the path of
 * each execution), so this file speaks the few lines of HTTP itself, on a socket of its own: one request whose every
 * byte we chose, one response head with a bound, then raw bytes both ways. States: connecting is instant on a unix
 * socket; HEAD until the blank line; STREAM; ENDED. */

#include "docker-attach.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#define ATTACH_HEAD_MAX ((size_t) 16 * 1024)
#define ATTACH_READ_SIZE ((size_t) 64 * 1024)

typedef enum AttachState {
        ATTACH_HEAD,
        ATTACH_STREAM,
        ATTACH_ENDED,
} AttachState;

struct DockerAttach {
        int fd;
        AttachState state;
        sd_event_source *source;
        Buffer head;
        Buffer out;
        size_t sent; /* of out; dropped once it is the larger part, so that a byte is moved but once or twice */
        DockerAttachHandlers handlers;
        void *userdata;
        bool reading;  /* handlers are being called: */
        bool released; /* one that frees the attach then only sets this */
};

DockerAttach *docker_attach_free(DockerAttach *attach) {
        if (!attach)
                return NULL;
        if (attach->reading) {
                attach->released = true;
                return NULL;
        }
        (void) sd_event_source_disable_unref(attach->source);
        (void) close_fd(attach->fd);
        buffer_deinit(&attach->head);
        buffer_deinit(&attach->out);
        free(attach);
        return NULL;
}

static void attach_end(DockerAttach *attach, int error, const char *message) {
        attach->state = ATTACH_ENDED;
        attach->source = sd_event_source_disable_unref(attach->source);
        attach->handlers.ended(error, message, attach->userdata);
}

static void drop_sent(DockerAttach *attach) {
        buffer_consume(&attach->out, attach->sent);
        attach->sent = 0;
}

/* Returns 0, or a negative errno when the stream is broken. */
static int attach_flush(DockerAttach *attach) {
        while (attach->sent < attach->out.size) {
                ssize_t n = send(attach->fd, attach->out.data + attach->sent, attach->out.size - attach->sent,
                                 MSG_NOSIGNAL);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno != EAGAIN)
                        return -errno;
                if (n < 0)
                        break;
                attach->sent += (size_t) n;
        }
        if (attach->sent > attach->out.size / 2)
                drop_sent(attach);
        return sd_event_source_set_io_events(attach->source, attach->out.size > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

int docker_attach_write(DockerAttach *attach, const void *data, size_t size) {
        int r;

        if (attach->state == ATTACH_ENDED)
                return -EPIPE;
        drop_sent(attach);
        r = buffer_append(&attach->out, data, size);
        if (r < 0)
                return r;
        r = attach_flush(attach);
        /* A broken stream is told by its handler, when the loop sees it; what was queued is lost with it. */
        return r == -EPIPE || r == -ECONNRESET ? 0 : r;
}

static void attach_refused(DockerAttach *attach, const char *body, unsigned status) {
        JsonError error;
        CLEANUP_JSON cJSON *json = json_parse(body, strlen(body), &error);
        const char *message = json_get_string(json, "message");
        CLEANUP_FREE char *text =
                message ? text_format("%s", message) : text_format("attach was answered with HTTP status %u", status);

        attach_end(attach, -EIO, text ? text : "attach was refused");
}

/* Has the body come, as far as its head tells how long it is? */
static bool body_is_whole(const DockerAttach *attach, const char *body) {
        static const char name[] = "\r\nContent-Length:";
        const char *head = (const char *) attach->head.data, *field = strcasestr(head, name);

        return !field || field >= body ||
               attach->head.size - (size_t) (body - head) >= strtoul(field + sizeof(name) - 1, NULL, 10);
}

/* Judges what has come of the answer. A refusal waits for its body, which has Docker's reason; at_end: no more comes.
 */
static void attach_judge(DockerAttach *attach, bool at_end) {
        const uint8_t *end = attach->head.size > 0 ? memmem(attach->head.data, attach->head.size, "\r\n\r\n", 4) : NULL;
        unsigned status;
        size_t rest;

        if (!end && at_end)
                attach_end(attach, -EIO, "Docker closed the connection without an answer to attach");
        if (!end)
                return;
        if (sscanf((const char *) attach->head.data, "HTTP/1.%*1u %3u", &status) != 1) {
                attach_end(attach, -EBADMSG, "the answer to attach is no HTTP");
                return;
        }
        end += 4;
        if (status != 101 && status != 200) {
                if (at_end || body_is_whole(attach, (const char *) end))
                        attach_refused(attach, (const char *) end, status);
                return;
        }
        attach->state = ATTACH_STREAM;
        attach->handlers.ready(attach->userdata);
        rest = attach->head.size - (size_t) (end - attach->head.data);
        if (rest > 0 && !attach->released)
                attach->handlers.data(end, rest, attach->userdata);
}

static void attach_head(DockerAttach *attach, const uint8_t *data, size_t size) {
        if (buffer_append(&attach->head, data, size) < 0)
                attach_end(attach, -EBADMSG, "the answer to attach has no end");
        else
                attach_judge(attach, false);
}

static void attach_read(DockerAttach *attach) {
        uint8_t block[ATTACH_READ_SIZE];
        ssize_t n = recv(attach->fd, block, sizeof(block), 0);

        if (n > 0 && attach->state == ATTACH_HEAD)
                attach_head(attach, block, (size_t) n);
        else if (n > 0)
                attach->handlers.data(block, (size_t) n, attach->userdata);
        else if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        else if (n < 0 && errno != ECONNRESET)
                attach_end(attach, -errno, strerror(errno));
        else if (attach->state == ATTACH_HEAD)
                attach_judge(attach, true);
        else
                attach_end(attach, 0, NULL);
}

static void attach_send(DockerAttach *attach) {
        int r = attach_flush(attach);

        /* What the peer still had to say is read first: the end shows as EPOLLHUP. */
        if (r == -EPIPE || r == -ECONNRESET)
                (void) sd_event_source_set_io_events(attach->source, EPOLLIN);
        else if (r < 0)
                attach_end(attach, r, strerror(-r));
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        DockerAttach *attach = userdata;

        (void) source;
        (void) fd;
        attach->reading = true;
        if (revents & (EPOLLIN | EPOLLHUP | EPOLLERR))
                attach_read(attach);
        if (attach->state != ATTACH_ENDED && !attach->released && (revents & EPOLLOUT))
                attach_send(attach);
        attach->reading = false;
        if (attach->released)
                docker_attach_free(attach);
        return 0;
}

static int attach_connect(DockerAttach *attach, const char *path) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};

        if (strlen(path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        memcpy(address.sun_path, path, strlen(path));
        attach->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (attach->fd < 0)
                return -errno;
        return connect(attach->fd, (struct sockaddr *) &address, sizeof(address)) < 0 ? -errno : 0;
}

static int attach_send_request(DockerAttach *attach, Docker *docker, const char *container_id) {
        int r = buffer_append_format(&attach->out,
                                     "POST /v%s/containers/%s/attach?stream=1&stdin=1&stdout=1&stderr=1 HTTP/1.1\r\n"
                                     "Host: docker\r\n"
                                     "Connection: Upgrade\r\n"
                                     "Upgrade: tcp\r\n"
                                     "Content-Length: 0\r\n"
                                     "\r\n",
                                     docker_api_version(docker), container_id);

        return r < 0 ? r : attach_flush(attach);
}

int docker_attach_new(Docker *docker, sd_event *event, const char *container_id, size_t write_limit,
                      const DockerAttachHandlers *handlers, void *userdata, DockerAttach **ret_attach) {
        CLEANUP(docker_attach_freep) DockerAttach *attach = NULL;
        int r;

        if (!docker_api_version(docker))
                return -ENOTCONN;
        attach = calloc(1, sizeof(*attach));
        if (!attach)
                return -ENOMEM;
        *attach = (DockerAttach){
                .fd = -1,
                .head = BUFFER_INIT(ATTACH_HEAD_MAX + ATTACH_READ_SIZE),
                .out = BUFFER_INIT(write_limit),
                .handlers = *handlers,
                .userdata = userdata,
        };
        r = attach_connect(attach, docker_socket_path(docker));
        if (r < 0)
                return r;
        r = sd_event_add_io(event, &attach->source, attach->fd, EPOLLIN, on_io, attach);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(attach->source, "docker-attach");
        r = attach_send_request(attach, docker, container_id);
        if (r < 0)
                return r;
        *ret_attach = TAKE_PTR(attach);
        return 0;
}
