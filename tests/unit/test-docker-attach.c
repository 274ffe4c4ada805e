/* SPDX-License-Identifier: Apache-2.0 */

/* The raw stream of a container, against a scripted Docker: where its head ends and the stream begins, what becomes of
 * refusals and of ends, and handlers that free the stream. */

#include "docker-attach.h"
#include "scripted-server.h"
#include "unit.h"

#include <errno.h>
#include <stdio.h>

#define WRITE_LIMIT ((size_t) 1024 * 1024)

#define HEAD_101                                                                                              \
        "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\n" \
        "Upgrade: tcp\r\n\r\n"
#define HEAD_200 "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n"

typedef enum Moment {
        NEVER,
        WHEN_READY,
        WITH_DATA,
        AT_THE_END,
} Moment;

typedef struct Fixture {
        sd_event *event;
        ScriptedServer *server;
        Docker *docker;
        ServerAnswer answer;
        char head[1024]; /* of the last request */

        DockerAttach *attach;
        Moment free_in;
        const char *write_when_ready;
        bool ready, ended, pinged;
        Buffer data;
        int error;
        char message[256]; /* "" for none */
} Fixture;

static ServerAnswer on_request(const char *head, const char *body, void *userdata) {
        static const char pong[] = "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 2\r\n\r\nOK";
        Fixture *fixture = userdata;

        assert_string_equal(body, "");
        (void) snprintf(fixture->head, sizeof(fixture->head), "%s", head);
        return strncmp(head, "GET /_ping ", 11) == 0 ? ANSWER(pong) : fixture->answer;
}

static void on_ready(void *userdata) {
        Fixture *fixture = userdata;

        assert_false(fixture->ready);
        assert_false(fixture->ended);
        assert_int_equal(fixture->data.size, 0);
        fixture->ready = true;
        if (fixture->write_when_ready)
                assert_int_equal(docker_attach_write(fixture->attach, fixture->write_when_ready,
                                                     strlen(fixture->write_when_ready)),
                                 0);
        if (fixture->free_in == WHEN_READY)
                fixture->attach = docker_attach_free(fixture->attach);
}

static void on_data(const uint8_t *data, size_t size, void *userdata) {
        Fixture *fixture = userdata;

        assert_true(fixture->ready);
        assert_false(fixture->ended);
        assert_non_null(fixture->attach);
        assert_true(size > 0);
        assert_int_equal(buffer_append(&fixture->data, data, size), 0);
        if (fixture->free_in == WITH_DATA)
                fixture->attach = docker_attach_free(fixture->attach);
}

static void on_ended(int error, const char *message, void *userdata) {
        Fixture *fixture = userdata;

        assert_false(fixture->ended);
        assert_non_null(fixture->attach);
        assert_true((error == 0) == !message);
        fixture->ended = true;
        fixture->error = error;
        (void) snprintf(fixture->message, sizeof(fixture->message), "%s", message ? message : "");
        assert_int_equal(docker_attach_write(fixture->attach, "x", 1), -EPIPE);
        if (fixture->free_in == AT_THE_END)
                fixture->attach = docker_attach_free(fixture->attach);
}

static const DockerAttachHandlers handlers = {.ready = on_ready, .data = on_data, .ended = on_ended};

static void on_pong(const DockerReply *reply, void *userdata) {
        Fixture *fixture = userdata;

        assert_true(docker_reply_ok(reply));
        fixture->pinged = true;
}

static void fixture_init(Fixture *fixture, ServerAnswer answer) {
        DockerCall *call = NULL;

        *fixture = (Fixture){.answer = answer, .data = BUFFER_INIT((size_t) 64 * 1024 * 1024)};
        fixture->answer.then_stream = true;
        assert_true(sd_event_new(&fixture->event) >= 0);
        fixture->server = server_new(fixture->event, on_request, fixture);
        assert_int_equal(docker_new(fixture->event, server_path(fixture->server), 5000, &fixture->docker), 0);
        assert_int_equal(docker_ping(fixture->docker, on_pong, fixture, &call), 0);
        loop_until(fixture->event, &fixture->pinged);
        docker_call_free(call);
}

static void fixture_deinit(Fixture *fixture) {
        docker_attach_free(fixture->attach);
        docker_free(fixture->docker);
        server_free(fixture->server);
        buffer_deinit(&fixture->data);
        (void) sd_event_unref(fixture->event);
}

static void attach_with_limit(Fixture *fixture, size_t limit) {
        assert_int_equal(docker_attach_new(fixture->docker, fixture->event, "c0ffee", limit, &handlers, fixture,
                                           &fixture->attach),
                         0);
}

static void attach(Fixture *fixture) {
        attach_with_limit(fixture, WRITE_LIMIT);
}

static void assert_data(const Fixture *fixture, const char *expected) {
        assert_int_equal(fixture->data.size, strlen(expected));
        if (expected[0] != '\0')
                assert_string_equal((char *) fixture->data.data, expected);
}

/* ---- the head ---- */

TEST(the_request_asks_for_all_three_streams_and_the_upgrade) {
        Fixture fixture;

        fixture_init(&fixture, ANSWER(HEAD_101));
        attach(&fixture);
        loop_until(fixture.event, &fixture.ready);
        assert_string_equal(fixture.head,
                            "POST /v1.41/containers/c0ffee/attach?stream=1&stdin=1&stdout=1&stderr=1 HTTP/1.1\r\n"
                            "Host: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0");
        fixture_deinit(&fixture);
}

TEST(the_stream_begins_behind_the_head_at_every_cut) {
        static const char *const answers[] = {HEAD_101 "hello\r\n\r\nHTTP/1.1 404 Not Found\r\n\r\n",
                                              HEAD_200 "hello\r\n\r\nHTTP/1.1 404 Not Found\r\n\r\n"};

        for (size_t i = 0; i < ARRAY_SIZE(answers); i++)
                for (size_t piece = 0; piece <= strlen(answers[i]); piece++) {
                        Fixture fixture;

                        fixture_init(&fixture, (ServerAnswer){.data = answers[i],
                                                              .size = strlen(answers[i]),
                                                              .piece = piece,
                                                              .close = true});
                        attach(&fixture);
                        loop_until(fixture.event, &fixture.ended);
                        assert_true(fixture.ready);
                        assert_data(&fixture, "hello\r\n\r\nHTTP/1.1 404 Not Found\r\n\r\n");
                        assert_int_equal(fixture.error, 0);
                        fixture_deinit(&fixture);
                }
}

TEST(the_stream_stands_before_anything_was_sent_on_it) {
        Fixture fixture;

        fixture_init(&fixture, ANSWER(HEAD_101));
        attach(&fixture);
        loop_until(fixture.event, &fixture.ready);
        loop_settle(fixture.event);
        assert_data(&fixture, "");
        assert_false(fixture.ended);
        server_send(fixture.server, "\0\xff\n", 3, 1);
        loop_settle(fixture.event);
        assert_int_equal(fixture.data.size, 3);
        assert_memory_equal(fixture.data.data, "\0\xff\n", 3);
        fixture_deinit(&fixture);
}

/* ---- refusals ---- */

static void assert_refused(const char *answer, size_t piece, bool close, int error, const char *message) {
        Fixture fixture;

        fixture_init(&fixture, (ServerAnswer){.data = answer, .size = strlen(answer), .piece = piece, .close = close});
        attach(&fixture);
        loop_until(fixture.event, &fixture.ended);
        assert_false(fixture.ready);
        assert_case(fixture.error == error && strcmp(fixture.message, message) == 0,
                    "%d: %s, instead of %d: %s, for %.60s", fixture.error, fixture.message, error, message, answer);
        assert_int_equal(fixture.data.size, 0);
        fixture_deinit(&fixture);
}

TEST(a_refusal_is_told_in_dockers_words_at_every_cut) {
        static const char answer[] =
                "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\ncontent-length: 44\r\n\r\n"
                "{\"message\":\"No such container: c0ffee \xe2\x82\xac\"}\n";

        assert_int_equal(strlen(strstr(answer, "\r\n\r\n") + 4), 44);
        for (size_t piece = 0; piece < sizeof(answer); piece++)
                assert_refused(answer, piece, false, -EIO, "No such container: c0ffee \xe2\x82\xac");
}

TEST(a_refusal_without_words_is_told_by_its_status) {
        assert_refused("HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n", 0, false, -EIO,
                       "attach was answered with HTTP status 409");
        assert_refused("HTTP/1.1 500 Oops\r\n\r\n", 0, false, -EIO, "attach was answered with HTTP status 500");
        assert_refused("HTTP/1.0 400 Bad\r\nContent-Length: 6\r\n\r\n<html>", 2, false, -EIO,
                       "attach was answered with HTTP status 400");
        assert_refused("HTTP/1.1 301 Moved\r\nContent-Length: 4\r\n\r\n\xff\xfe\xfd\xfc", 0, false, -EIO,
                       "attach was answered with HTTP status 301");
        assert_refused("HTTP/1.1 500 Oops\r\nContent-Length: 99\r\n\r\n{\"message\":\"cut", 0, true, -EIO,
                       "attach was answered with HTTP status 500");
        assert_refused("HTTP/1.1 500 Oops\r\nContent-Length: 99\r\n\r\n{\"message\":\"whole\"}", 0, true, -EIO,
                       "whole");
}

TEST(what_is_no_http_is_refused) {
        assert_refused("SSH-2.0-OpenSSH\r\n\r\n", 0, false, -EBADMSG, "the answer to attach is no HTTP");
        assert_refused("\r\n\r\n", 0, false, -EBADMSG, "the answer to attach is no HTTP");
        assert_refused("HTTP/2 200\r\n\r\n", 0, false, -EBADMSG, "the answer to attach is no HTTP");
        assert_refused("HTTP/1.1 x\r\n\r\n", 0, false, -EBADMSG, "the answer to attach is no HTTP");
}

TEST(an_end_before_the_head_is_whole_is_told) {
        assert_refused("", 0, true, -EIO, "Docker closed the connection without an answer to attach");
        assert_refused("HTTP/1.1 101 UPGRADED\r\n", 0, true, -EIO,
                       "Docker closed the connection without an answer to attach");
        assert_refused("HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r", 1, true, -EIO,
                       "Docker closed the connection without an answer to attach");
}

TEST(a_head_without_an_end_is_given_up) {
        CLEANUP_FREE char *endless = text_format("HTTP/1.1 101 UPGRADED\r\nX: %0*d", 200000, 0);
        CLEANUP_FREE char *body = text_format("HTTP/1.1 500 Oops\r\nContent-Length: 9999999\r\n\r\n%0*d", 200000, 0);

        assert_refused(endless, 0, false, -EBADMSG, "the answer to attach has no end");
        assert_refused(endless, 1000, false, -EBADMSG, "the answer to attach has no end");
        assert_refused(body, 0, false, -EBADMSG, "the answer to attach has no end");
}

TEST(what_cannot_be_begun_is_told_at_once) {
        char folder[] = "/tmp/test-attach-XXXXXX", path[64];
        Fixture fixture;
        Docker *silent = NULL;

        fixture_init(&fixture, ANSWER(HEAD_101));
        assert_non_null(mkdtemp(folder));
        (void) snprintf(path, sizeof(path), "%s/socket", folder);
        assert_int_equal(docker_new(fixture.event, path, 5000, &silent), 0);
        assert_int_equal(
                docker_attach_new(silent, fixture.event, "c", WRITE_LIMIT, &handlers, &fixture, &fixture.attach),
                -ENOTCONN);
        docker_free(silent);

        /* The server has gone since it was pinged. */
        fixture.server = server_free(fixture.server);
        assert_int_equal(docker_attach_new(fixture.docker, fixture.event, "c", WRITE_LIMIT, &handlers, &fixture,
                                           &fixture.attach),
                         -ENOENT);
        assert_null(fixture.attach);
        assert_int_equal(rmdir(folder), 0);
        fixture_deinit(&fixture);
}

/* ---- the end ---- */

TEST(an_end_of_the_stream_is_no_error_and_the_last_thing) {
        Fixture fixture;

        fixture_init(&fixture, ANSWER(HEAD_101));
        attach(&fixture);
        loop_until(fixture.event, &fixture.ready);
        server_send(fixture.server, "last words", 10, 0);
        server_close(fixture.server);
        loop_until(fixture.event, &fixture.ended);
        assert_data(&fixture, "last words");
        assert_int_equal(fixture.error, 0);
        assert_string_equal(fixture.message, "");
        assert_int_equal(docker_attach_write(fixture.attach, "x", 1), -EPIPE);
        loop_settle(fixture.event);
        fixture_deinit(&fixture);
}

/* A peer that closes with bytes unread resets the connection (unix(7)). */
TEST(what_came_before_a_reset_is_still_read) {
        Fixture fixture;

        fixture_init(&fixture, ANSWER(HEAD_101));
        attach(&fixture);
        loop_until(fixture.event, &fixture.ready);
        server_pause(fixture.server, true);
        assert_int_equal(docker_attach_write(fixture.attach, "unread", 6), 0);
        server_send(fixture.server, "last words", 10, 0);
        server_close(fixture.server);
        loop_until(fixture.event, &fixture.ended);
        assert_int_equal(fixture.error, 0);
        assert_data(&fixture, "last words");
        fixture_deinit(&fixture);
}

TEST(a_write_to_a_peer_that_has_left_is_told_by_the_end) {
        Fixture fixture;
        CLEANUP_FREE uint8_t *much = calloc(1, WRITE_LIMIT);

        assert_non_null(much);
        fixture_init(&fixture, ANSWER(HEAD_101));
        attach(&fixture);
        loop_until(fixture.event, &fixture.ready);
        /* More than the socket takes, so that some waits for EPOLLOUT. */
        server_pause(fixture.server, true);
        assert_int_equal(docker_attach_write(fixture.attach, much, WRITE_LIMIT), 0);
        fixture.server = server_free(fixture.server);
        assert_int_equal(docker_attach_write(fixture.attach, "x", 1), 0);
        loop_until(fixture.event, &fixture.ended);
        assert_int_equal(fixture.error, 0);
        fixture_deinit(&fixture);
}

/* ---- freeing ---- */

TEST(every_handler_may_free_the_stream) {
        static const char behind[] = HEAD_101 "data";

        for (Moment moment = WHEN_READY; moment <= AT_THE_END; moment++)
                for (size_t piece = 0; piece < 2; piece++) {
                        Fixture fixture;

                        fixture_init(&fixture, (ServerAnswer){.data = behind,
                                                              .size = sizeof(behind) - 1,
                                                              .piece = piece,
                                                              .close = moment == AT_THE_END});
                        fixture.free_in = moment;
                        attach(&fixture);
                        loop_settle(fixture.event);
                        assert_null(fixture.attach);
                        assert_true(fixture.ready);
                        assert_true(fixture.ended == (moment == AT_THE_END));
                        assert_int_equal(fixture.data.size, moment == WHEN_READY  ? 0
                                                            : moment == WITH_DATA ? (piece == 0 ? 4 : 1)
                                                                                  : 4);
                        /* The ping's may be kept. */
                        assert_in_range(server_connections(fixture.server), 0, 1);
                        fixture_deinit(&fixture);
                }
}

TEST(a_refused_stream_may_be_freed_by_its_handler) {
        Fixture fixture;

        fixture_init(&fixture, ANSWER("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"));
        fixture.free_in = AT_THE_END;
        attach(&fixture);
        loop_until(fixture.event, &fixture.ended);
        assert_null(fixture.attach);
        fixture_deinit(&fixture);
}

TEST(a_stream_that_is_freed_calls_nothing_more) {
        Fixture fixture;

        fixture_init(&fixture, ANSWER(HEAD_101 "data"));
        attach(&fixture);
        fixture.attach = docker_attach_free(fixture.attach);
        loop_settle(fixture.event);
        assert_false(fixture.ready);
        assert_false(fixture.ended);
        assert_null(docker_attach_free(NULL));
        fixture_deinit(&fixture);
}

/* ---- writing ---- */

TEST(writes_arrive_in_their_order) {
        Fixture fixture;

        fixture_init(&fixture, ANSWER(HEAD_101));
        fixture.write_when_ready = "two";
        attach(&fixture);
        assert_int_equal(docker_attach_write(fixture.attach, "one", 3), 0);
        loop_until(fixture.event, &fixture.ready);
        assert_int_equal(docker_attach_write(fixture.attach, "", 0), 0);
        assert_int_equal(docker_attach_write(fixture.attach, "\0three", 6), 0);
        loop_settle(fixture.event);
        assert_int_equal(server_received(fixture.server)->size, 12);
        assert_memory_equal(server_received(fixture.server)->data, "onetwo\0three", 12);
        fixture_deinit(&fixture);
}

TEST(what_waits_is_bounded_and_a_write_beyond_it_changes_nothing) {
        CLEANUP_FREE uint8_t *block = malloc(WRITE_LIMIT);
        size_t sent = 0;
        Fixture fixture;
        int r;

        assert_non_null(block);
        for (size_t i = 0; i < WRITE_LIMIT; i++)
                block[i] = (uint8_t) (i % 251);
        fixture_init(&fixture, ANSWER(HEAD_101));
        attach(&fixture);
        loop_until(fixture.event, &fixture.ready);
        server_pause(fixture.server, true);

        /* The kernel takes some, the queue its limit, and then nothing more fits. */
        for (;;) {
                r = docker_attach_write(fixture.attach, block + sent % 251, 10000);
                if (r < 0)
                        break;
                sent += 10000;
                assert_in_range(sent, 1, 4 * WRITE_LIMIT);
        }
        assert_int_equal(r, -EFBIG);
        assert_in_range(sent, WRITE_LIMIT - 10000, 4 * WRITE_LIMIT);
        assert_int_equal(docker_attach_write(fixture.attach, block, 2 * WRITE_LIMIT), -EFBIG);
        loop_settle(fixture.event);

        server_pause(fixture.server, false);
        loop_settle(fixture.event);
        assert_int_equal(server_received(fixture.server)->size, sent);
        for (size_t i = 0; i < sent; i++)
                assert_int_equal(server_received(fixture.server)->data[i], i % 251);
        assert_int_equal(docker_attach_write(fixture.attach, block, 10000), 0);
        fixture_deinit(&fixture);
}

TEST(a_large_write_reaches_a_slow_reader_whole) {
        const size_t size = (size_t) 8 * 1024 * 1024;
        CLEANUP_FREE uint8_t *data = malloc(size);
        Fixture fixture;

        assert_non_null(data);
        for (size_t i = 0; i < size; i++)
                data[i] = (uint8_t) (i * 31 >> 3);
        fixture_init(&fixture, ANSWER(HEAD_101));
        attach_with_limit(&fixture, size);
        loop_until(fixture.event, &fixture.ready);
        server_pause(fixture.server, true);
        assert_int_equal(docker_attach_write(fixture.attach, data, size), 0);
        /* A reader that takes one block at a time, and in between data the other way. */
        while (server_received(fixture.server)->size < size) {
                size_t before = server_received(fixture.server)->size;

                server_pause(fixture.server, false);
                while (server_received(fixture.server)->size == before)
                        assert_true(sd_event_run(fixture.event, USEC_PER_SEC) > 0);
                server_pause(fixture.server, true);
                server_send(fixture.server, ".", 1, 0);
                loop_settle(fixture.event);
        }
        assert_memory_equal(server_received(fixture.server)->data, data, size);
        assert_in_range(fixture.data.size, 1, size);
        assert_false(fixture.ended);
        fixture_deinit(&fixture);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_request_asks_for_all_three_streams_and_the_upgrade),
                cmocka_unit_test(the_stream_begins_behind_the_head_at_every_cut),
                cmocka_unit_test(the_stream_stands_before_anything_was_sent_on_it),
                cmocka_unit_test(a_refusal_is_told_in_dockers_words_at_every_cut),
                cmocka_unit_test(a_refusal_without_words_is_told_by_its_status),
                cmocka_unit_test(what_is_no_http_is_refused),
                cmocka_unit_test(an_end_before_the_head_is_whole_is_told),
                cmocka_unit_test(a_head_without_an_end_is_given_up),
                cmocka_unit_test(what_cannot_be_begun_is_told_at_once),
                cmocka_unit_test(an_end_of_the_stream_is_no_error_and_the_last_thing),
                cmocka_unit_test(what_came_before_a_reset_is_still_read),
                cmocka_unit_test(a_write_to_a_peer_that_has_left_is_told_by_the_end),
                cmocka_unit_test(every_handler_may_free_the_stream),
                cmocka_unit_test(a_refused_stream_may_be_freed_by_its_handler),
                cmocka_unit_test(a_stream_that_is_freed_calls_nothing_more),
                cmocka_unit_test(writes_arrive_in_their_order),
                cmocka_unit_test(what_waits_is_bounded_and_a_write_beyond_it_changes_nothing),
                cmocka_unit_test(a_large_write_reaches_a_slow_reader_whole),
        };

        return RUN_TESTS(tests);
}
