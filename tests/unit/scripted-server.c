/* SPDX-License-Identifier: Apache-2.0 */

/* See scripted-server.h. A connection collects bytes until they are a whole request, asks the handler, and sends what
 * that answered from an idle source of the loop. Everything that fails here fails the test. */

#include "scripted-server.h"
#include "text.h"
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#define PATIENCE_USEC (20 * USEC_PER_SEC)
#define IN_MAX ((size_t) 64 * 1024 * 1024)

typedef struct Connection {
        struct Connection *next;
        ScriptedServer *server;
        int fd;
        sd_event_source *reading, *sending;
        Buffer in, out;
        size_t piece;
        bool close_after, is_stream;
} Connection;

struct ScriptedServer {
        sd_event *event;
        sd_event_source *accepting;
        char folder[32];
        char path[48];
        ServerHandler handler;
        void *userdata;
        Connection *connections; /* the latest first */
};

static void connection_free(Connection *connection) {
        Connection **link = &connection->server->connections;

        while (*link != connection)
                link = &(*link)->next;
        *link = connection->next;
        (void) sd_event_source_disable_unref(connection->reading);
        (void) sd_event_source_disable_unref(connection->sending);
        (void) close_fd(connection->fd);
        buffer_deinit(&connection->in);
        buffer_deinit(&connection->out);
        free(connection);
}

static void connection_send(Connection *connection, const void *data, size_t size, size_t piece) {
        assert_int_equal(buffer_append(&connection->out, data, size), 0);
        connection->piece = piece > 0 ? piece : SIZE_MAX;
        assert_true(sd_event_source_set_enabled(connection->sending, SD_EVENT_ON) >= 0);
}

static int on_sending(sd_event_source *source, void *userdata) {
        Connection *connection = userdata;
        size_t size = connection->out.size < connection->piece ? connection->out.size : connection->piece;
        ssize_t n = size > 0 ? send(connection->fd, connection->out.data, size, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;

        if (n < 0 && errno == EAGAIN)
                return 0;
        /* A client that has left is a thing to test. */
        if (n < 0)
                buffer_clear(&connection->out);
        else
                buffer_consume(&connection->out, (size_t) n);
        if (connection->out.size > 0)
                return 0;
        if (connection->close_after)
                connection_free(connection);
        else
                assert_true(sd_event_source_set_enabled(source, SD_EVENT_OFF) >= 0);
        return 0;
}

/* Size of the body that a head announces. */
static size_t body_size(const char *head) {
        const char *field = strcasestr(head, "\r\nContent-Length:");

        return field ? strtoul(field + 17, NULL, 10) : 0;
}

/* Appends the chunks that data begins with (RFC 9112, section 7.1) to body. Returns how many bytes of data all of them
 * take, or 0 when the last one has not come yet. */
static size_t take_chunks(const char *data, size_t size, Buffer *body) {
        const char *p = data, *end = data + size;

        while (true) {
                const char *line = memmem(p, (size_t) (end - p), "\r\n", 2);
                size_t n = line ? strtoul(p, NULL, 16) : 0;

                if (!line || (size_t) (end - line) < n + 4)
                        return 0;
                assert_int_equal(buffer_append(body, line + 2, n), 0);
                assert_memory_equal(line + 2 + n, "\r\n", 2);
                p = line + 2 + n + 2;
                if (n == 0)
                        return (size_t) (p - data);
        }
}

/* The body of a request whose head is at head, with a NUL behind it, as far as it has come. Returns how many bytes of
 * rest it takes, or SIZE_MAX when it is not whole. */
static size_t take_body(const char *head, const char *rest, size_t size, Buffer *body) {
        size_t n;

        if (!strcasestr(head, "\r\nTransfer-Encoding: chunked")) {
                n = body_size(head);
                if (n > size)
                        return SIZE_MAX;
                assert_int_equal(buffer_append(body, rest, n), 0);
                return n;
        }
        n = take_chunks(rest, size, body);
        return n > 0 ? n : SIZE_MAX;
}

static void take_requests(Connection *connection) {
        ScriptedServer *server = connection->server;

        while (!connection->is_stream && connection->in.size > 0) {
                char *head = (char *) connection->in.data, *end = strstr(head, "\r\n\r\n");
                CLEANUP_BUFFER Buffer body = BUFFER_INIT(IN_MAX);
                ServerAnswer answer;
                size_t size;

                if (!end)
                        return;
                *end = '\0';
                end += 4;
                size = take_body(head, end, connection->in.size - (size_t) (end - head), &body);
                if (size == SIZE_MAX) {
                        end[-4] = '\r';
                        return;
                }
                answer = server->handler(head, body.size > 0 ? (char *) body.data : "", server->userdata);
                buffer_consume(&connection->in, (size_t) (end - head) + size);
                connection->is_stream = answer.then_stream;
                connection->close_after = answer.close;
                if (answer.data || answer.close)
                        connection_send(connection, answer.data, answer.size, answer.piece);
        }
}

static int on_reading(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Connection *connection = userdata;
        uint8_t block[65536];
        ssize_t n = recv(fd, block, sizeof(block), MSG_DONTWAIT);

        (void) source;
        (void) revents;
        if (n < 0 && errno == EAGAIN)
                return 0;
        if (n <= 0) {
                connection_free(connection);
                return 0;
        }
        assert_int_equal(buffer_append(&connection->in, block, (size_t) n), 0);
        take_requests(connection);
        return 0;
}

static int on_accepting(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        ScriptedServer *server = userdata;
        Connection *connection = calloc(1, sizeof(*connection));

        (void) source;
        (void) revents;
        assert_non_null(connection);
        connection->server = server;
        connection->next = server->connections;
        connection->in = connection->out = BUFFER_INIT(IN_MAX);
        connection->fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        assert_true(connection->fd >= 0);
        assert_true(sd_event_add_io(server->event, &connection->reading, connection->fd, EPOLLIN, on_reading,
                                    connection) >= 0);
        assert_true(sd_event_add_defer(server->event, &connection->sending, on_sending, connection) >= 0);
        assert_true(sd_event_source_set_enabled(connection->sending, SD_EVENT_OFF) >= 0);
        assert_true(sd_event_source_set_priority(connection->sending, SD_EVENT_PRIORITY_IDLE) >= 0);
        server->connections = connection;
        return 0;
}

ScriptedServer *server_new(sd_event *event, ServerHandler handler, void *userdata) {
        ScriptedServer *server = calloc(1, sizeof(*server));
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd;

        assert_non_null(server);
        *server = (ScriptedServer){.event = sd_event_ref(event),
                                   .folder = "/tmp/scripted-XXXXXX",
                                   .handler = handler,
                                   .userdata = userdata};
        assert_non_null(mkdtemp(server->folder));
        (void) snprintf(server->path, sizeof(server->path), "%s/socket", server->folder);
        (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s", server->path);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_true(fd >= 0);
        assert_int_equal(bind(fd, (struct sockaddr *) &address, sizeof(address)), 0);
        assert_int_equal(listen(fd, 64), 0);
        assert_true(sd_event_add_io(event, &server->accepting, fd, EPOLLIN, on_accepting, server) >= 0);
        assert_true(sd_event_source_set_io_fd_own(server->accepting, true) >= 0);
        return server;
}

ScriptedServer *server_free(ScriptedServer *server) {
        if (!server)
                return NULL;
        while (server->connections)
                connection_free(server->connections);
        (void) sd_event_source_disable_unref(server->accepting);
        (void) unlink(server->path);
        (void) rmdir(server->folder);
        (void) sd_event_unref(server->event);
        free(server);
        return NULL;
}

const char *server_path(const ScriptedServer *server) {
        return server->path;
}

static Connection *latest(const ScriptedServer *server) {
        Connection *connection = server->connections;

        assert_non_null(connection);
        for (Connection *stream = connection; stream; stream = stream->next)
                if (stream->is_stream)
                        return stream;
        return connection;
}

bool server_has_stream(const ScriptedServer *server) {
        return server->connections && latest(server)->is_stream;
}

size_t server_connections(const ScriptedServer *server) {
        size_t n = 0;

        for (const Connection *connection = server->connections; connection; connection = connection->next)
                n++;
        return n;
}

void server_send(ScriptedServer *server, const void *data, size_t size, size_t piece) {
        connection_send(latest(server), data, size, piece);
}

void server_close(ScriptedServer *server) {
        latest(server)->close_after = true;
        connection_send(latest(server), NULL, 0, 0);
}

void server_pause(ScriptedServer *server, bool paused) {
        assert_true(sd_event_source_set_enabled(latest(server)->reading, paused ? SD_EVENT_OFF : SD_EVENT_ON) >= 0);
}

const Buffer *server_received(const ScriptedServer *server) {
        return &latest(server)->in;
}

void loop_until(sd_event *event, const bool *done) {
        uint64_t deadline = now_usec() + PATIENCE_USEC;

        while (!*done) {
                uint64_t now = now_usec();

                assert_case(now < deadline, "what was waited for did not come");
                assert_true(sd_event_run(event, deadline - now) >= 0);
        }
}

void loop_settle(sd_event *event) {
        uint64_t deadline = now_usec() + PATIENCE_USEC;
        int r;

        do {
                r = sd_event_run(event, 0);
                assert_true(r >= 0);
                assert_case(now_usec() < deadline, "the loop does not come to rest");
        } while (r > 0);
}
