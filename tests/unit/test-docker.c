/* SPDX-License-Identifier: Apache-2.0 */

/* The Docker client and, below it, the transfers, against a scripted Docker: which version is spoken, what is asked,
 * and what becomes of answers that are wrong, late, cut off, or of a caller that leaves. */

#include "docker.h"
#include "scripted-server.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CALL_MS 5000U

#define PONG_HEAD "HTTP/1.1 200 OK\r\nApi-Version: "
#define PONG_TAIL "\r\nContent-Length: 2\r\n\r\nOK"

typedef struct Fixture {
        sd_event *event;
        ScriptedServer *server;
        Docker *docker;

        /* What the server does: the answers in their order, the last one for all that follow. */
        ServerAnswer answers[4];
        size_t asked;
        char head[1024]; /* of the last request */
        char body[1024];

        /* What came of the last call. */
        DockerCall *call;
        bool done;
        bool free_when_done;
        int error;
        unsigned status;
        char message[2048]; /* "" for none */
        cJSON *json;
        Buffer events;
} Fixture;

static ServerAnswer on_request(const char *head, const char *body, void *userdata) {
        Fixture *fixture = userdata;
        size_t last = 0;

        while (last + 1 < ARRAY_SIZE(fixture->answers) && last < fixture->asked &&
               (fixture->answers[last + 1].data || fixture->answers[last + 1].close))
                last++;
        fixture->asked++;
        (void) snprintf(fixture->head, sizeof(fixture->head), "%s", head);
        (void) snprintf(fixture->body, sizeof(fixture->body), "%s", body);
        return fixture->answers[last];
}

static void on_done(const DockerReply *reply, void *userdata) {
        Fixture *fixture = userdata;

        assert_false(fixture->done);
        fixture->done = true;
        fixture->error = reply->error;
        fixture->status = reply->status;
        assert_true(!reply->message == docker_reply_ok(reply));
        (void) snprintf(fixture->message, sizeof(fixture->message), "%s", reply->message ? reply->message : "");
        cJSON_Delete(fixture->json);
        fixture->json = cJSON_Duplicate(reply->json, true);
        if (fixture->free_when_done)
                fixture->call = docker_call_free(fixture->call);
}

static void on_event(const cJSON *event, void *userdata) {
        Fixture *fixture = userdata;
        CLEANUP_JSON_TEXT char *text = cJSON_PrintUnformatted(event);

        assert_int_equal(buffer_append_format(&fixture->events, "%s\n", text), 0);
}

/* A whole answer. Owned by the caller. */
static char *reply(const char *status, const char *body) {
        char *text = text_format("HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s", status, strlen(body), body);

        assert_non_null(text);
        return text;
}

static void fixture_init(Fixture *fixture, uint64_t call_ms) {
        *fixture = (Fixture){.events = BUFFER_INIT((size_t) 1024 * 1024)};
        assert_true(sd_event_new(&fixture->event) >= 0);
        fixture->server = server_new(fixture->event, on_request, fixture);
        assert_int_equal(docker_new(fixture->event, server_path(fixture->server), call_ms, &fixture->docker), 0);
}

static void fixture_deinit(Fixture *fixture) {
        docker_call_free(fixture->call);
        docker_free(fixture->docker);
        server_free(fixture->server);
        cJSON_Delete(fixture->json);
        buffer_deinit(&fixture->events);
        (void) sd_event_unref(fixture->event);
}

/* The next calls are answered so. */
static void answer_with(Fixture *fixture, ServerAnswer answer) {
        memset(fixture->answers, 0, sizeof(fixture->answers));
        fixture->answers[0] = answer;
        fixture->asked = 0;
}

static void wait_for_call(Fixture *fixture) {
        loop_until(fixture->event, &fixture->done);
        fixture->done = false;
        fixture->call = docker_call_free(fixture->call);
}

static void ping(Fixture *fixture) {
        assert_int_equal(docker_ping(fixture->docker, on_done, fixture, &fixture->call), 0);
        wait_for_call(fixture);
}

/* Ready for other calls, with version 1.41. */
static void fixture_init_pinged(Fixture *fixture, uint64_t call_ms) {
        fixture_init(fixture, call_ms);
        answer_with(fixture, ANSWER(PONG_HEAD "1.41" PONG_TAIL));
        ping(fixture);
        assert_string_equal(docker_api_version(fixture->docker), "1.41");
}

static void get_info(Fixture *fixture) {
        assert_int_equal(docker_info(fixture->docker, on_done, fixture, &fixture->call), 0);
        wait_for_call(fixture);
}

/* ---- the version ---- */

static void assert_version(const char *offered, const char *agreed) {
        CLEANUP_FREE char *answer = text_format(PONG_HEAD "%s" PONG_TAIL, offered);
        Fixture fixture;

        fixture_init(&fixture, CALL_MS);
        answer_with(&fixture, (ServerAnswer){.data = answer, .size = strlen(answer)});
        ping(&fixture);
        if (agreed) {
                assert_case(fixture.error == 0, "%s: %s", offered, fixture.message);
                assert_string_equal(docker_api_version(fixture.docker), agreed);
                get_info(&fixture);
                assert_contains(fixture.head, agreed);
        } else {
                assert_case(fixture.error == -EPROTONOSUPPORT, "%s: %d", offered, fixture.error);
                assert_contains(fixture.message, "GET /_ping on /tmp/");
                assert_contains(fixture.message, "1.40 and later");
                assert_null(docker_api_version(fixture.docker));
        }
        fixture_deinit(&fixture);
}

TEST(the_version_is_dockers_own_or_the_newest_known) {
        assert_version("1.40", "1.40");
        assert_version("1.41", "1.41");
        assert_version("1.47", "1.47");
        assert_version("1.48", "1.47");
        assert_version("1.60", "1.47");
        assert_version("1.999", "1.47");
}

TEST(a_version_that_is_not_spoken_is_refused) {
        static const char *const versions[] = {"1.24",   "1.39",  "0.99",     "2.0",   "1",     "1.",
                                               ".41",    "v1.41", "1.x",      "1.-1",  "-1.41", "1.41.0",
                                               "1.4100", "1. 41", "1.41beta", "latest"};

        for (size_t i = 0; i < ARRAY_SIZE(versions); i++)
                assert_version(versions[i], NULL);
}

TEST(a_server_that_is_no_docker_is_told) {
        Fixture fixture;

        fixture_init(&fixture, CALL_MS);
        answer_with(&fixture, ANSWER("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"));
        ping(&fixture);
        assert_int_equal(fixture.error, -EPROTONOSUPPORT);
        assert_contains(fixture.message, "it does not answer as Docker does");
        assert_null(docker_api_version(fixture.docker));
        fixture_deinit(&fixture);
}

TEST(a_ping_that_docker_refuses_keeps_its_words) {
        CLEANUP_FREE char *answer = reply("403 Forbidden", "{\"message\":\"denied by the plugin\"}");
        Fixture fixture;

        fixture_init(&fixture, CALL_MS);
        answer_with(&fixture, (ServerAnswer){.data = answer, .size = strlen(answer)});
        ping(&fixture);
        assert_int_equal(fixture.error, 0);
        assert_int_equal(fixture.status, 403);
        assert_string_equal(fixture.message, "denied by the plugin");
        assert_null(docker_api_version(fixture.docker));
        fixture_deinit(&fixture);
}

TEST(nothing_is_asked_before_the_version_is_known) {
        cJSON *spec = cJSON_CreateObject();
        Fixture fixture;

        fixture_init(&fixture, CALL_MS);
        assert_int_equal(docker_info(fixture.docker, on_done, &fixture, &fixture.call), -ENOTCONN);
        assert_int_equal(docker_image_inspect(fixture.docker, "i", on_done, &fixture, &fixture.call), -ENOTCONN);
        assert_int_equal(docker_container_create(fixture.docker, "n", spec, on_done, &fixture, &fixture.call),
                         -ENOTCONN);
        assert_int_equal(docker_container_start(fixture.docker, "c", on_done, &fixture, &fixture.call), -ENOTCONN);
        assert_int_equal(docker_container_inspect(fixture.docker, "c", on_done, &fixture, &fixture.call), -ENOTCONN);
        assert_int_equal(docker_container_wait(fixture.docker, "c", 1, on_done, &fixture, &fixture.call), -ENOTCONN);
        assert_int_equal(docker_container_remove(fixture.docker, "c", on_done, &fixture, &fixture.call), -ENOTCONN);
        assert_int_equal(docker_container_list(fixture.docker, "label", "a=b", on_done, &fixture, &fixture.call),
                         -ENOTCONN);
        assert_int_equal(docker_events(fixture.docker, on_event, on_done, &fixture, &fixture.call), -ENOTCONN);
        assert_null(fixture.call);
        loop_settle(fixture.event);
        assert_int_equal(fixture.asked, 0);
        cJSON_Delete(spec);
        fixture_deinit(&fixture);
}

/* ---- what is asked ---- */

static void assert_asked(Fixture *fixture, const char *line) {
        wait_for_call(fixture);
        assert_int_equal(fixture->error, 0);
        assert_case(strncmp(fixture->head, line, strlen(line)) == 0 &&
                            strncmp(fixture->head + strlen(line), " HTTP/1.1\r\n", 11) == 0,
                    "%s instead of %s", fixture->head, line);
}

TEST(each_call_asks_for_its_own_thing) {
        cJSON *spec = cJSON_CreateObject();
        Fixture fixture;

        fixture_init_pinged(&fixture, CALL_MS);
        assert_contains(fixture.head, "GET /_ping HTTP/1.1\r\n");
        answer_with(&fixture, ANSWER("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"));

        assert_int_equal(docker_info(fixture.docker, on_done, &fixture, &fixture.call), 0);
        assert_asked(&fixture, "GET /v1.41/info");
        assert_int_equal(docker_image_inspect(fixture.docker, "host:5000/a:b", on_done, &fixture, &fixture.call), 0);
        assert_asked(&fixture, "GET /v1.41/images/host:5000/a:b/json");
        assert_int_equal(docker_container_start(fixture.docker, "c1", on_done, &fixture, &fixture.call), 0);
        assert_asked(&fixture, "POST /v1.41/containers/c1/start");
        assert_string_equal(fixture.body, "");
        assert_int_equal(docker_container_inspect(fixture.docker, "c1", on_done, &fixture, &fixture.call), 0);
        assert_asked(&fixture, "GET /v1.41/containers/c1/json");
        assert_int_equal(docker_container_wait(fixture.docker, "c1", 1000, on_done, &fixture, &fixture.call), 0);
        assert_asked(&fixture, "POST /v1.41/containers/c1/wait");
        assert_int_equal(docker_container_remove(fixture.docker, "c1", on_done, &fixture, &fixture.call), 0);
        assert_asked(&fixture, "DELETE /v1.41/containers/c1?force=1&v=1");
        assert_int_equal(docker_container_list(fixture.docker, "label", "a=b", on_done, &fixture, &fixture.call), 0);
        assert_asked(&fixture, "GET /v1.41/containers/json?all=1&filters=%7B%22label%22%3A%5B%22a=b%22%5D%7D");

        assert_int_equal(json_add(spec, "Image", cJSON_CreateString("\xe2\x82\xac")), 0);
        assert_int_equal(docker_container_create(fixture.docker, "n-1", spec, on_done, &fixture, &fixture.call), 0);
        assert_asked(&fixture, "POST /v1.41/containers/create?name=n-1");
        assert_contains(fixture.head, "\r\nContent-Type: application/json\r\n");
        assert_null(strcasestr(fixture.head, "\r\nExpect:"));
        assert_string_equal(fixture.body, "{\"Image\":\"\xe2\x82\xac\"}");
        cJSON_Delete(spec);
        fixture_deinit(&fixture);
}

TEST(what_is_asked_of_images_and_their_containers_is_encoded) {
        static const char *const changes[] = {"ENV A=b c", "LABEL \"x\"=\"50 % & more\"", NULL};
        DockerImage image = {.name = "host:5000/a_b/c", .message = "tee & co", .changes = changes};
        Fixture fixture;

        fixture_init_pinged(&fixture, CALL_MS);
        answer_with(&fixture, ANSWER("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"));
        assert_int_equal(docker_image_list(fixture.docker, "tee.recipe", on_done, &fixture, &fixture.call), 0);
        assert_asked(&fixture, "GET /v1.41/images/json?filters=%7B%22label%22%3A%5B%22tee.recipe%22%5D%7D");
        assert_int_equal(docker_image_remove(fixture.docker, "a/b:c", on_done, &fixture, &fixture.call), 0);
        assert_asked(&fixture, "DELETE /v1.41/images/a/b:c");
        assert_int_equal(docker_container_commit(fixture.docker, "c1", &image, on_done, &fixture, &fixture.call), 0);
        assert_asked(&fixture, "POST /v1.41/commit?container=c1&repo=host%3A5000%2Fa_b%2Fc&tag=latest"
                               "&comment=tee%20%26%20co&changes=ENV%20A%3Db%20c"
                               "&changes=LABEL%20%22x%22%3D%2250%20%25%20%26%20more%22");
        fixture_deinit(&fixture);
}

TEST(calls_share_a_connection) {
        Fixture fixture;

        fixture_init_pinged(&fixture, CALL_MS);
        answer_with(&fixture, ANSWER("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"));
        for (int i = 0; i < 20; i++)
                get_info(&fixture);
        assert_int_equal(fixture.asked, 20);
        assert_int_equal(server_connections(fixture.server), 1);
        fixture_deinit(&fixture);
}

/* ---- answers ---- */

/* GET /info is answered so, and the whole of it is in fixture then. */
static void get_answer(Fixture *fixture, const char *answer, size_t piece) {
        answer_with(fixture, (ServerAnswer){.data = answer, .size = strlen(answer), .piece = piece});
        get_info(fixture);
}

TEST(an_answer_is_read_whole_at_every_cut) {
        static const char plain[] = "HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n{\"ID\":\"a\",\"n\":[1,2]}\n";
        static const char chunked[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                      "7\r\n{\"ID\":\"\r\n1\r\na\r\nd\r\n\",\"n\":[1,2]}\n\r\n0\r\n\r\n";
        Fixture fixture;

        fixture_init_pinged(&fixture, CALL_MS);
        for (size_t piece = 0; piece < 5; piece++) {
                get_answer(&fixture, plain, piece);
                assert_int_equal(fixture.status, 200);
                assert_string_equal(json_get_string(fixture.json, "ID"), "a");
                assert_string_equal(fixture.message, "");
                get_answer(&fixture, chunked, piece);
                assert_int_equal(fixture.error, 0);
                assert_string_equal(json_get_string(fixture.json, "ID"), "a");
        }
        fixture_deinit(&fixture);
}

TEST(an_answer_without_a_body_is_an_answer) {
        Fixture fixture;

        fixture_init_pinged(&fixture, CALL_MS);
        get_answer(&fixture, "HTTP/1.1 204 No Content\r\n\r\n", 0);
        assert_int_equal(fixture.error, 0);
        assert_int_equal(fixture.status, 204);
        assert_null(fixture.json);
        get_answer(&fixture, "HTTP/1.1 304 Not Modified\r\n\r\n", 0);
        assert_int_equal(fixture.error, 0);
        assert_int_equal(fixture.status, 304);
        assert_string_equal(fixture.message, "");
        fixture_deinit(&fixture);
}

TEST(dockers_own_words_are_kept) {
        static const struct {
                const char *status, *body, *message;
        } cases[] = {
                {"404 Not Found", "{\"message\":\"No such image: x\"}\n", "No such image: x"},
                {"409 Conflict", "{\"message\":\"in \\u00dcse\"}", "in \xc3\x9cse"},
                {"500 Oops", "{}", "HTTP status 500"},
                {"500 Oops", "", "HTTP status 500"},
                {"500 Oops", "[\"message\"]", "HTTP status 500"},
                {"500 Oops", "{\"message\":7}", "HTTP status 500"},
                {"301 Moved", "", "HTTP status 301"},
        };
        Fixture fixture;

        fixture_init_pinged(&fixture, CALL_MS);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                CLEANUP_FREE char *answer = reply(cases[i].status, cases[i].body);

                get_answer(&fixture, answer, 0);
                assert_int_equal(fixture.error, 0);
                assert_int_equal(fixture.status, strtoul(cases[i].status, NULL, 10));
                assert_string_equal(fixture.message, cases[i].message);
        }
        fixture_deinit(&fixture);
}

static void assert_errors(const Fixture *fixture, uint64_t unanswered, uint64_t refused, uint64_t failed) {
        DockerErrors errors = docker_errors(fixture->docker);

        assert_int_equal(errors.unanswered, unanswered);
        assert_int_equal(errors.refused, refused);
        assert_int_equal(errors.failed, failed);
        assert_int_equal(errors.unreachable, 0);
}

TEST(calls_that_fail_are_counted_and_no_others) {
        Fixture fixture;

        fixture_init_pinged(&fixture, 100);
        get_answer(&fixture, "HTTP/1.1 204 No Content\r\n\r\n", 0);
        get_answer(&fixture, "HTTP/1.1 304 Not Modified\r\n\r\n", 0);
        assert_errors(&fixture, 0, 0, 0);
        get_answer(&fixture, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 0);
        assert_errors(&fixture, 0, 1, 0);
        get_answer(&fixture, "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", 0);
        get_answer(&fixture, "HTTP/1.1 503 Oops\r\nContent-Length: 0\r\n\r\n", 0);
        assert_errors(&fixture, 0, 1, 2);
        get_answer(&fixture, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{[", 0);
        answer_with(&fixture, (ServerAnswer){0});
        get_info(&fixture);
        assert_errors(&fixture, 2, 1, 2);

        assert_int_equal(docker_container_wait(fixture.docker, "c1d", 50, on_done, &fixture, &fixture.call), 0);
        wait_for_call(&fixture);
        assert_int_equal(fixture.error, -ETIMEDOUT);
        assert_int_equal(docker_info(fixture.docker, on_done, &fixture, &fixture.call), 0);
        fixture.call = docker_call_free(fixture.call);
        assert_errors(&fixture, 2, 1, 2);
        fixture_deinit(&fixture);
}

TEST(a_message_of_any_length_is_cut_between_characters) {
        for (size_t shift = 0; shift < 4; shift++) {
                Buffer body = BUFFER_INIT(65536);
                CLEANUP_FREE char *answer = NULL;
                Fixture fixture;

                assert_int_equal(buffer_append_format(&body, "{\"message\":\"%.*s", (int) shift, "abc"), 0);
                for (int i = 0; i < 2000; i++)
                        assert_int_equal(buffer_append_text(&body, "\xf0\x9f\x98\x80"), 0);
                assert_int_equal(buffer_append_text(&body, "\"}"), 0);
                answer = reply("500 Oops", (char *) body.data);
                fixture_init_pinged(&fixture, CALL_MS);
                get_answer(&fixture, answer, 0);
                assert_int_equal(fixture.status, 500);
                assert_in_range(strlen(fixture.message), 1000, 1023);
                assert_true(utf8_is_valid(fixture.message, strlen(fixture.message)));
                buffer_deinit(&body);
                fixture_deinit(&fixture);
        }
}

TEST(an_answer_that_is_no_json_is_an_error_of_its_own) {
        static const char *const bodies[] = {"{\"a", "\"\xff\xff\"", "<html>", "{}{}"};
        Fixture fixture;

        fixture_init_pinged(&fixture, CALL_MS);
        for (size_t i = 0; i < ARRAY_SIZE(bodies) * 2; i++) {
                CLEANUP_FREE char *answer = reply(i % 2 == 0 ? "200 OK" : "502 Bad", bodies[i / 2]);

                get_answer(&fixture, answer, 0);
                assert_int_equal(fixture.error, -EBADMSG);
                assert_null(fixture.json);
                assert_contains(fixture.message, "GET /info on /tmp/");
                assert_contains(fixture.message, ": the answer is no JSON");
        }
        fixture_deinit(&fixture);
}

TEST(an_answer_that_is_cut_off_is_an_error) {
        static const char *const answers[] = {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"a\":1}",
                                              "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n{\"a\":1}\r\n",
                                              "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 204 No Content\r\n", "HTTP"};

        for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
                Fixture fixture;

                fixture_init_pinged(&fixture, CALL_MS);
                answer_with(&fixture, (ServerAnswer){.data = answers[i], .size = strlen(answers[i]), .close = true});
                get_info(&fixture);
                assert_case(fixture.error == -EIO, "%d for %s", fixture.error, answers[i]);
                assert_contains(fixture.message, "GET /info on /tmp/");
                assert_null(fixture.json);
                fixture_deinit(&fixture);
        }
}

TEST(a_server_that_hangs_up_or_speaks_something_else_is_an_error) {
        Fixture fixture;

        fixture_init_pinged(&fixture, CALL_MS);
        answer_with(&fixture, (ServerAnswer){.close = true});
        get_info(&fixture);
        assert_int_equal(fixture.error, -EIO);
        answer_with(&fixture, (ServerAnswer){.data = "SSH-2.0-x\r\n", .size = 11, .close = true});
        get_info(&fixture);
        assert_int_equal(fixture.error, -EIO);
        assert_true(strlen(fixture.message) > 0);
        fixture_deinit(&fixture);
}

TEST(an_answer_that_is_too_large_is_given_up) {
        const size_t limit = (size_t) 4 * 1024 * 1024;

        for (size_t more = 0; more <= 1; more++) {
                CLEANUP_FREE char *body = malloc(limit + 2);
                CLEANUP_FREE char *answer = NULL;
                Fixture fixture;

                assert_non_null(body);
                memset(body, 'x', limit + more);
                body[0] = body[limit + more - 1] = '"';
                body[limit + more] = '\0';
                answer = reply("200 OK", body);
                fixture_init_pinged(&fixture, CALL_MS);
                get_answer(&fixture, answer, 0);
                if (more == 0) {
                        assert_int_equal(fixture.error, 0);
                        assert_int_equal(strlen(cJSON_GetStringValue(fixture.json)), limit - 2);
                } else {
                        assert_int_equal(fixture.error, -EFBIG);
                        assert_contains(fixture.message, "the answer is too large");
                }
                fixture_deinit(&fixture);
        }
}

TEST(a_server_that_stalls_is_not_waited_for) {
        static const char half_head[] = "HTTP/1.1 200 OK\r\n",
                          half_body[] = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{";
        static const ServerAnswer answers[] = {{0},
                                               {.data = half_head, .size = sizeof(half_head) - 1},
                                               {.data = half_body, .size = sizeof(half_body) - 1}};

        for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
                uint64_t start;
                Fixture fixture;

                fixture_init_pinged(&fixture, 100);
                answer_with(&fixture, answers[i]);
                start = now_usec();
                get_info(&fixture);
                assert_int_equal(fixture.error, -ETIMEDOUT);
                assert_in_range(now_usec() - start, 100 * USEC_PER_MSEC - 5000, 10 * USEC_PER_SEC);
                assert_contains(fixture.message, "GET /info on /tmp/");
                fixture_deinit(&fixture);
        }
}

TEST(a_wait_has_a_time_out_of_its_own) {
        Fixture fixture;

        fixture_init_pinged(&fixture, CALL_MS);
        answer_with(&fixture, (ServerAnswer){0});
        assert_int_equal(docker_container_wait(fixture.docker, "c", 50, on_done, &fixture, &fixture.call), 0);
        wait_for_call(&fixture);
        assert_int_equal(fixture.error, -ETIMEDOUT);
        assert_contains(fixture.message, "POST /containers/c/wait on /tmp/");
        fixture_deinit(&fixture);
}

/* ---- no server ---- */

static void assert_unreachable(const char *path, const char *reason) {
        CLEANUP_FREE char *expected = text_format("GET /_ping on %s: %s", path, reason);
        Fixture fixture;

        fixture_init(&fixture, CALL_MS);
        fixture.docker = docker_free(fixture.docker);
        assert_int_equal(docker_new(fixture.event, path, CALL_MS, &fixture.docker), 0);
        assert_string_equal(docker_socket_path(fixture.docker), path);
        ping(&fixture);
        assert_int_equal(fixture.error, -ECONNREFUSED);
        assert_string_equal(fixture.message, expected);
        assert_int_equal(docker_errors(fixture.docker).unreachable, 1);
        assert_int_equal(docker_errors(fixture.docker).unanswered, 0);
        fixture_deinit(&fixture);
}

/* Root may connect to everything, so it is somebody else meanwhile. */
static void assert_not_permitted(const char *path) {
        uid_t uid = geteuid();

        assert_int_equal(chmod(path, 0), 0);
        if (uid == 0)
                assert_int_equal(seteuid(65534), 0);
        assert_unreachable(path, "Permission denied");
        assert_int_equal(seteuid(uid), 0);
        assert_int_equal(prctl(PR_SET_DUMPABLE, 1), 0); /* which a change of user takes away, and LeakSanitizer needs */
}

TEST(a_socket_that_cannot_be_reached_is_told_with_the_reason) {
        char folder[] = "/tmp/test-docker-XXXXXX";
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_true(fd >= 0);
        assert_non_null(mkdtemp(folder));
        assert_int_equal(chmod(folder, 0711), 0);
        (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", folder);
        assert_unreachable(address.sun_path, "No such file or directory");
        assert_int_equal(bind(fd, (struct sockaddr *) &address, sizeof(address)), 0);
        assert_unreachable(address.sun_path, "Connection refused");
        assert_not_permitted(address.sun_path);
        close_fd(fd);
        assert_int_equal(unlink(address.sun_path), 0);
        assert_int_equal(rmdir(folder), 0);
}

/* ---- a caller that leaves ---- */

TEST(a_call_that_is_freed_under_way_is_never_answered) {
        Fixture fixture;

        fixture_init_pinged(&fixture, CALL_MS);
        answer_with(&fixture, (ServerAnswer){0});
        assert_int_equal(docker_info(fixture.docker, on_done, &fixture, &fixture.call), 0);
        loop_settle(fixture.event);
        assert_int_equal(fixture.asked, 1);
        fixture.call = docker_call_free(fixture.call);
        loop_settle(fixture.event);
        assert_false(fixture.done);
        assert_int_equal(server_connections(fixture.server), 0);
        fixture_deinit(&fixture);
}

TEST(a_call_that_is_freed_before_the_loop_runs_is_never_answered) {
        Fixture fixture;

        fixture_init_pinged(&fixture, CALL_MS);
        answer_with(&fixture, ANSWER("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"));
        assert_int_equal(docker_info(fixture.docker, on_done, &fixture, &fixture.call), 0);
        fixture.call = docker_call_free(fixture.call);
        loop_settle(fixture.event);
        assert_false(fixture.done);
        fixture_deinit(&fixture);
}

TEST(a_call_may_be_freed_in_its_own_callback) {
        Fixture fixture;

        fixture_init_pinged(&fixture, CALL_MS);
        fixture.free_when_done = true;
        answer_with(&fixture, ANSWER("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"));
        get_info(&fixture);
        assert_int_equal(fixture.error, 0);
        answer_with(&fixture, (ServerAnswer){.close = true});
        get_info(&fixture);
        assert_int_equal(fixture.error, -EIO);
        fixture_deinit(&fixture);
}

/* Two calls of which the first that is answered frees the other. */
typedef struct Pair {
        DockerCall *calls[2];
        size_t answered;
        bool done;
} Pair;

static void on_pair_done(const DockerReply *reply, void *userdata) {
        Pair *pair = userdata;

        (void) reply;
        pair->answered++;
        pair->done = true;
        for (size_t i = 0; i < ARRAY_SIZE(pair->calls); i++)
                pair->calls[i] = docker_call_free(pair->calls[i]);
}

TEST(a_callback_may_free_other_calls_that_have_ended_with_it) {
        Fixture fixture;
        Pair pair = {0};

        /* Both fail at once, of the same time-out. */
        fixture_init_pinged(&fixture, 100);
        answer_with(&fixture, (ServerAnswer){0});
        for (size_t i = 0; i < ARRAY_SIZE(pair.calls); i++)
                assert_int_equal(docker_info(fixture.docker, on_pair_done, &pair, &pair.calls[i]), 0);
        loop_until(fixture.event, &pair.done);
        loop_settle(fixture.event);
        assert_int_equal(pair.answered, 1);
        assert_null(pair.calls[0]);
        assert_null(pair.calls[1]);
        fixture_deinit(&fixture);
}

static void on_done_ask_again(const DockerReply *reply, void *userdata) {
        Fixture *fixture = userdata;

        assert_int_equal(reply->error, 0);
        fixture->call = docker_call_free(fixture->call);
        assert_int_equal(docker_info(fixture->docker, on_done, fixture, &fixture->call), 0);
}

TEST(a_callback_may_ask_the_next_question) {
        Fixture fixture;

        fixture_init_pinged(&fixture, CALL_MS);
        answer_with(&fixture, ANSWER("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"));
        assert_int_equal(docker_info(fixture.docker, on_done_ask_again, &fixture, &fixture.call), 0);
        wait_for_call(&fixture);
        assert_int_equal(fixture.error, 0);
        assert_int_equal(fixture.asked, 2);
        fixture_deinit(&fixture);
}

TEST(freeing_nothing_is_allowed) {
        assert_null(docker_free(NULL));
        assert_null(docker_call_free(NULL));
}

/* ---- events ---- */

#define EVENTS_HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"

/* The events that a stream of these bytes makes; the connection's end is the stream's. */
static void listen_to(Fixture *fixture, const void *stream, size_t size, size_t piece) {
        answer_with(fixture, (ServerAnswer){.data = stream, .size = size, .piece = piece, .close = true});
        buffer_clear(&fixture->events);
        assert_int_equal(docker_events(fixture->docker, on_event, on_done, fixture, &fixture->call), 0);
        wait_for_call(fixture);
}

TEST(events_are_told_apart_at_every_cut) {
        static const char stream[] = EVENTS_HEAD "{\"Type\":\"daemon\",\"Action\":\"reload\"}\n\n\r\n"
                                                 "{\"Type\":\"image\",\"Actor\":{\"ID\":\"\xe2\x82\xac\"}}\n"
                                                 "not JSON\n{\"Type\":\"last\"}\n{\"Type\":\"cut";
        Fixture fixture;

        fixture_init_pinged(&fixture, CALL_MS);
        for (size_t piece = 0; piece < 70; piece++) {
                listen_to(&fixture, stream, sizeof(stream) - 1, piece);
                assert_int_equal(fixture.error, 0);
                assert_non_null(fixture.events.data);
                assert_string_equal((char *) fixture.events.data,
                                    "{\"Type\":\"daemon\",\"Action\":\"reload\"}\n"
                                    "{\"Type\":\"image\",\"Actor\":{\"ID\":\"\xe2\x82\xac\"}}\n"
                                    "{\"Type\":\"last\"}\n");
        }
        assert_contains(fixture.head, "GET /v1.41/events?filters=%7B%22type%22%3A%5B%22daemon%22%2C%22image%22%5D%7D ");
        fixture_deinit(&fixture);
}

TEST(an_event_that_is_too_long_is_dropped_and_the_next_one_heard) {
        CLEANUP_FREE char *stream = text_format(EVENTS_HEAD "{\"a\":1}\n{\"b\":\"%0*d\"}\n{\"c\":1}\n", 300 * 1024, 0);
        Fixture fixture;

        fixture_init_pinged(&fixture, CALL_MS);
        listen_to(&fixture, stream, strlen(stream), 0);
        assert_string_equal((char *) fixture.events.data, "{\"a\":1}\n{\"c\":1}\n");
        fixture_deinit(&fixture);
}

TEST(events_that_docker_refuses_are_told_in_its_words) {
        CLEANUP_FREE char *answer = reply("400 Bad Request", "{\"message\":\"invalid type\"}\n");
        Fixture fixture;

        fixture_init_pinged(&fixture, CALL_MS);
        listen_to(&fixture, answer, strlen(answer), 1);
        assert_int_equal(fixture.status, 400);
        assert_string_equal(fixture.message, "invalid type");
        assert_int_equal(fixture.events.size, 0);
        fixture_deinit(&fixture);
}

/* One call of 100 ms is waited for while the stream is silent. */
TEST(a_silent_stream_of_events_has_no_time_out) {
        DockerCall *listening = NULL;
        Fixture fixture, listener = {.events = BUFFER_INIT(4096)};

        fixture_init_pinged(&fixture, 100);
        answer_with(&fixture, (ServerAnswer){.data = EVENTS_HEAD, .size = strlen(EVENTS_HEAD)});
        assert_int_equal(docker_events(fixture.docker, on_event, on_done, &listener, &listening), 0);
        loop_settle(fixture.event);
        answer_with(&fixture, (ServerAnswer){0});
        get_info(&fixture);
        assert_int_equal(fixture.error, -ETIMEDOUT);
        assert_false(listener.done);
        loop_settle(fixture.event);
        assert_int_equal(server_connections(fixture.server), 1);
        server_send(fixture.server, "{\"a\":1}\n", 8, 0);
        loop_settle(fixture.event);
        assert_string_equal((char *) listener.events.data, "{\"a\":1}\n");
        server_close(fixture.server);
        loop_until(fixture.event, &listener.done);
        docker_call_free(listening);
        cJSON_Delete(listener.json);
        buffer_deinit(&listener.events);
        fixture_deinit(&fixture);
}

/* ---- bodies that are made while they are sent, and answers that are not JSON ---- */

typedef struct Stream {
        Fixture fixture; /* the userdata of all callbacks is this one, too */
        const char *next;
        size_t piece;
        int error; /* at the end, instead of one */
        size_t asked;
        Buffer data;
} Stream;

static ssize_t give_piece(void *data, size_t size, void *userdata) {
        Stream *stream = userdata;
        size_t n = strlen(stream->next);

        stream->asked++;
        if (n == 0)
                return stream->error;
        n = n > stream->piece ? stream->piece : n;
        n = n > size ? size : n;
        memcpy(data, stream->next, n);
        stream->next += n;
        return (ssize_t) n;
}

static void take_piece(const void *data, size_t size, void *userdata) {
        Stream *stream = userdata;

        assert_int_equal(buffer_append(&stream->data, data, size), 0);
}

static void stream_init(Stream *stream, const char *text, size_t piece) {
        *stream = (Stream){.next = text, .piece = piece, .data = BUFFER_INIT(65536)};
        fixture_init_pinged(&stream->fixture, CALL_MS);
}

static void stream_deinit(Stream *stream) {
        buffer_deinit(&stream->data);
        fixture_deinit(&stream->fixture);
}

static void import_image(Stream *stream, const char *name) {
        DockerImage image = {.name = name};

        assert_int_equal(docker_image_import(stream->fixture.docker, &image, give_piece, on_event, on_done, stream,
                                             &stream->fixture.call),
                         0);
        wait_for_call(&stream->fixture);
}

#define DOCUMENTS_HEAD "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
#define IMPORTED DOCUMENTS_HEAD "13\r\n{\"status\":\"sha256\"}\r\n0\r\n\r\n"

TEST(an_archive_is_sent_in_pieces_and_arrives_whole) {
        static const char text[] = "an archive of some length";

        for (size_t piece = 1; piece <= sizeof(text); piece++) {
                Stream stream;

                stream_init(&stream, text, piece);
                answer_with(&stream.fixture, ANSWER(IMPORTED));
                import_image(&stream, "r/n:5");
                assert_case(stream.fixture.error == 0, "%s", stream.fixture.message);
                assert_contains(stream.fixture.head, "POST /v1.41/images/create?fromSrc=-&repo=r%2Fn&tag=5 HTTP/1.1");
                assert_contains(stream.fixture.head, "\r\nContent-Type: application/x-tar");
                assert_null(strcasestr(stream.fixture.head, "\r\nExpect:"));
                assert_null(strcasestr(stream.fixture.head, "\r\nContent-Length:"));
                assert_string_equal(stream.fixture.body, text);
                assert_string_equal((char *) stream.fixture.events.data, "{\"status\":\"sha256\"}\n");
                assert_true(stream.asked >= (sizeof(text) - 1) / piece);
                stream_deinit(&stream);
        }
}

TEST(a_source_that_fails_ends_the_call_with_its_error) {
        Stream stream;

        stream_init(&stream, "some", 3);
        stream.error = -ESTALE;
        answer_with(&stream.fixture, ANSWER(IMPORTED));
        import_image(&stream, "n");
        assert_int_equal(stream.fixture.error, -ESTALE);
        assert_contains(stream.fixture.message, "POST /images/create on /tmp/");
        assert_contains(stream.fixture.message, strerror(ESTALE));
        assert_int_equal(stream.fixture.asked, 0);
        stream_deinit(&stream);
}

TEST(an_archive_is_unpacked_in_a_container) {
        Stream stream;

        stream_init(&stream, "archive", 3);
        answer_with(&stream.fixture, ANSWER("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
        assert_int_equal(docker_container_unpack(stream.fixture.docker, "c1", give_piece, on_done, &stream,
                                                 &stream.fixture.call),
                         0);
        assert_asked(&stream.fixture, "PUT /v1.41/containers/c1/archive?path=%2F&noOverwriteDirNonDir=1");
        assert_string_equal(stream.fixture.body, "archive");
        stream_deinit(&stream);
}

TEST(an_archive_from_a_container_is_given_as_it_is) {
        static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\na\0b\ncd\n";
        Stream stream;

        stream_init(&stream, "", 1);
        answer_with(&stream.fixture, (ServerAnswer){.data = answer, .size = sizeof(answer) - 1, .piece = 2});
        assert_int_equal(docker_container_archive(stream.fixture.docker, "c1", "/a b", take_piece, on_done, &stream,
                                                  &stream.fixture.call),
                         0);
        assert_asked(&stream.fixture, "GET /v1.41/containers/c1/archive?path=%2Fa%20b");
        assert_int_equal(stream.data.size, 7);
        assert_memory_equal(stream.data.data, "a\0b\ncd\n", 7);
        assert_null(stream.fixture.json);
        stream_deinit(&stream);
}

TEST(an_archive_that_is_not_there_is_told_in_dockers_words) {
        CLEANUP_FREE char *answer = reply("404 Not Found", "{\"message\":\"Could not find the file /x\"}");
        Stream stream;

        stream_init(&stream, "", 1);
        answer_with(&stream.fixture, (ServerAnswer){.data = answer, .size = strlen(answer)});
        assert_int_equal(docker_container_archive(stream.fixture.docker, "c1", "/x", take_piece, on_done, &stream,
                                                  &stream.fixture.call),
                         0);
        wait_for_call(&stream.fixture);
        assert_int_equal(stream.fixture.status, 404);
        assert_string_equal(stream.fixture.message, "Could not find the file /x");
        assert_int_equal(stream.data.size, 0);
        stream_deinit(&stream);
}

/* ---- pulls ---- */

static void pull(Fixture *fixture, const char *name, const char *stream, size_t piece) {
        answer_with(fixture, (ServerAnswer){.data = stream, .size = strlen(stream), .piece = piece, .close = true});
        buffer_clear(&fixture->events);
        assert_int_equal(docker_image_pull(fixture->docker, name, on_event, on_done, fixture, &fixture->call), 0);
        wait_for_call(fixture);
}

TEST(a_pull_tells_its_progress) {
        Fixture fixture;

        fixture_init_pinged(&fixture, CALL_MS);
        pull(&fixture, "denoland/deno:bin-1", EVENTS_HEAD "{\"status\":\"a\"}\r\n{\"status\":\"b\"}\r\n", 3);
        assert_int_equal(fixture.error, 0);
        assert_string_equal((char *) fixture.events.data, "{\"status\":\"a\"}\n{\"status\":\"b\"}\n");
        fixture_deinit(&fixture);
}

TEST(the_name_of_what_is_pulled_is_always_that_of_one_image) {
        static const struct {
                const char *name, *query;
        } cases[] = {
                {"denoland/deno:bin-1", "fromImage=denoland%2Fdeno&tag=bin-1"},
                {"a", "fromImage=a&tag=latest"},
                {"127.0.0.1:5000/a", "fromImage=127.0.0.1%3A5000%2Fa&tag=latest"},
                {"a@sha256:0f", "fromImage=a%40sha256%3A0f"},
        };
        Fixture fixture;

        fixture_init_pinged(&fixture, CALL_MS);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                CLEANUP_FREE char *line = text_format("POST /v1.41/images/create?%s HTTP/1.1\r\n", cases[i].query);

                pull(&fixture, cases[i].name, EVENTS_HEAD "{}\n", 0);
                assert_contains(fixture.head, line);
        }
        fixture_deinit(&fixture);
}

TEST(a_failure_within_a_good_answer_is_a_failure) {
        static const char *const streams[] = {
                EVENTS_HEAD "{\"status\":\"a\"}\n{\"errorDetail\":{\"message\":\"no space\"},\"error\":\"x\"}\n",
                EVENTS_HEAD "{\"errorDetail\":{\"message\":\"no space\"}}\n{\"status\":\"b\"}\n",
                EVENTS_HEAD "{\"error\":\"no space\"}\n{\"error\":\"another\"}\n",
                EVENTS_HEAD "{\"status\":\"a\"}\n{\"error\":\"no space\"}",
        };
        Fixture fixture;

        fixture_init_pinged(&fixture, CALL_MS);
        for (size_t i = 0; i < 5 * ARRAY_SIZE(streams); i++) {
                pull(&fixture, "a", streams[i / 5], i % 5);
                assert_int_equal(fixture.error, -EREMOTEIO);
                assert_int_equal(fixture.status, 200);
                assert_string_equal(fixture.message, "no space");
        }
        fixture_deinit(&fixture);
}

TEST(a_pull_that_is_cut_off_or_refused_is_a_failure) {
        CLEANUP_FREE char *refusal = reply("404 Not Found", "{\"message\":\"manifest unknown\"}");
        Fixture fixture;

        fixture_init_pinged(&fixture, CALL_MS);
        pull(&fixture, "a", DOCUMENTS_HEAD "0f\r\n{\"status\":\"a\"}\n\r\n", 0);
        assert_int_equal(fixture.error, -EIO);
        assert_contains(fixture.message, "POST /images/create on /tmp/");
        pull(&fixture, "a", refusal, 0);
        assert_int_equal(fixture.error, 0);
        assert_int_equal(fixture.status, 404);
        assert_string_equal(fixture.message, "manifest unknown");
        fixture_deinit(&fixture);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_version_is_dockers_own_or_the_newest_known),
                cmocka_unit_test(a_version_that_is_not_spoken_is_refused),
                cmocka_unit_test(a_server_that_is_no_docker_is_told),
                cmocka_unit_test(a_ping_that_docker_refuses_keeps_its_words),
                cmocka_unit_test(nothing_is_asked_before_the_version_is_known),
                cmocka_unit_test(each_call_asks_for_its_own_thing),
                cmocka_unit_test(calls_share_a_connection),
                cmocka_unit_test(an_answer_is_read_whole_at_every_cut),
                cmocka_unit_test(an_answer_without_a_body_is_an_answer),
                cmocka_unit_test(dockers_own_words_are_kept),
                cmocka_unit_test(calls_that_fail_are_counted_and_no_others),
                cmocka_unit_test(a_message_of_any_length_is_cut_between_characters),
                cmocka_unit_test(an_answer_that_is_no_json_is_an_error_of_its_own),
                cmocka_unit_test(an_answer_that_is_cut_off_is_an_error),
                cmocka_unit_test(a_server_that_hangs_up_or_speaks_something_else_is_an_error),
                cmocka_unit_test(an_answer_that_is_too_large_is_given_up),
                cmocka_unit_test(a_server_that_stalls_is_not_waited_for),
                cmocka_unit_test(a_wait_has_a_time_out_of_its_own),
                cmocka_unit_test(a_socket_that_cannot_be_reached_is_told_with_the_reason),
                cmocka_unit_test(a_call_that_is_freed_under_way_is_never_answered),
                cmocka_unit_test(a_call_that_is_freed_before_the_loop_runs_is_never_answered),
                cmocka_unit_test(a_call_may_be_freed_in_its_own_callback),
                cmocka_unit_test(a_callback_may_free_other_calls_that_have_ended_with_it),
                cmocka_unit_test(a_callback_may_ask_the_next_question),
                cmocka_unit_test(freeing_nothing_is_allowed),
                cmocka_unit_test(events_are_told_apart_at_every_cut),
                cmocka_unit_test(an_event_that_is_too_long_is_dropped_and_the_next_one_heard),
                cmocka_unit_test(events_that_docker_refuses_are_told_in_its_words),
                cmocka_unit_test(a_silent_stream_of_events_has_no_time_out),
                cmocka_unit_test(what_is_asked_of_images_and_their_containers_is_encoded),
                cmocka_unit_test(an_archive_is_sent_in_pieces_and_arrives_whole),
                cmocka_unit_test(a_source_that_fails_ends_the_call_with_its_error),
                cmocka_unit_test(an_archive_is_unpacked_in_a_container),
                cmocka_unit_test(an_archive_from_a_container_is_given_as_it_is),
                cmocka_unit_test(an_archive_that_is_not_there_is_told_in_dockers_words),
                cmocka_unit_test(a_pull_tells_its_progress),
                cmocka_unit_test(the_name_of_what_is_pulled_is_always_that_of_one_image),
                cmocka_unit_test(a_failure_within_a_good_answer_is_a_failure),
                cmocka_unit_test(a_pull_that_is_cut_off_or_refused_is_a_failure),
        };

        return RUN_TESTS(tests);
}
