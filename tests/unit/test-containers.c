/* SPDX-License-Identifier: Apache-2.0 */

/* Containers against a scripted Docker: whatever Docker answers and whenever their owner leaves, each one that may
 * exist is removed in the end, and none that cannot is asked for. */

#include "containers.h"
#include "scripted-server.h"
#include "unit.h"

#include <errno.h>
#include <stdio.h>

#define NAME "tee-one-e4ec"
#define OK_EMPTY "HTTP/1.1 204 No Content\r\n\r\n"
#define NOT_FOUND "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}"
#define CREATED "HTTP/1.1 201 Created\r\nContent-Length: 12\r\n\r\n{\"Id\":\"c1d\"}"

typedef struct Fixture {
        sd_event *event;
        ScriptedServer *server;
        Docker *docker;
        Containers *containers;
        Container *container;

        ServerAnswer create, list, wait;
        ServerAnswer removals[3]; /* in their order, the last one for all that follow */
        size_t creates, waits, removes;
        char removed[1024]; /* the targets of the removals, a line each */

        bool created, swept, pinged;
        bool release_when_created;
        char id[32]; /* as created told it, "" for none */
        unsigned status;
        size_t changes, found;
        int sweep_error;
        char sweep_message[128];
        bool gone; /* set when the last container has gone */
} Fixture;

static ServerAnswer on_remove(Fixture *fixture, const char *head) {
        size_t i = fixture->removes++, last = ARRAY_SIZE(fixture->removals) - 1, n = strlen(fixture->removed);

        (void) snprintf(fixture->removed + n, sizeof(fixture->removed) - n, "%.*s\n", (int) strcspn(head + 7, " "),
                        head + 7);
        while (last > 0 && !fixture->removals[last].data)
                last--;
        return fixture->removals[i < last ? i : last];
}

static ServerAnswer on_request(const char *head, const char *body, void *userdata) {
        static const char pong[] = "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 2\r\n\r\nOK";
        Fixture *fixture = userdata;

        if (strncmp(head, "GET /_ping ", 11) == 0)
                return ANSWER(pong);
        if (strncmp(head, "DELETE ", 7) == 0)
                return on_remove(fixture, head);
        if (strncmp(head, "GET /v1.41/containers/json?", 27) == 0) {
                assert_contains(head, "%22tee.instance=one%22");
                return fixture->list;
        }
        if (strstr(head, "/wait ")) {
                assert_contains(head, "POST /v1.41/containers/" NAME "/wait ");
                fixture->waits++;
                return fixture->wait;
        }
        assert_contains(head, "POST /v1.41/containers/create?name=" NAME " ");
        assert_string_equal(body, "{\"Image\":\"i\"}");
        fixture->creates++;
        return fixture->create;
}

static void on_changed(void *userdata) {
        Fixture *fixture = userdata;

        fixture->changes++;
        fixture->gone = containers_count(fixture->containers) == 0;
}

static void on_created(const char *id, const DockerReply *reply, void *userdata) {
        Fixture *fixture = userdata;

        assert_false(fixture->created);
        assert_true(id || !docker_reply_ok(reply) || !json_get_string(reply->json, "Id"));
        fixture->created = true;
        fixture->status = reply->status;
        (void) snprintf(fixture->id, sizeof(fixture->id), "%s", id ? id : "");
        if (fixture->release_when_created)
                fixture->container = container_release(fixture->container);
}

static void on_swept(int error, const char *message, size_t found, void *userdata) {
        Fixture *fixture = userdata;

        assert_false(fixture->swept);
        assert_true((error == 0) == !message);
        fixture->swept = true;
        fixture->sweep_error = error;
        fixture->found = found;
        (void) snprintf(fixture->sweep_message, sizeof(fixture->sweep_message), "%s", message ? message : "");
}

static void on_pong(const DockerReply *reply, void *userdata) {
        Fixture *fixture = userdata;

        assert_true(docker_reply_ok(reply));
        fixture->pinged = true;
}

static void fixture_init(Fixture *fixture) {
        DockerCall *call = NULL;

        *fixture = (Fixture){.create = ANSWER(CREATED), .wait = ANSWER(NOT_FOUND), .removals = {ANSWER(OK_EMPTY)}};
        assert_true(sd_event_new(&fixture->event) >= 0);
        fixture->server = server_new(fixture->event, on_request, fixture);
        assert_int_equal(docker_new(fixture->event, server_path(fixture->server), 5000, &fixture->docker), 0);
        assert_int_equal(docker_ping(fixture->docker, on_pong, fixture, &call), 0);
        loop_until(fixture->event, &fixture->pinged);
        docker_call_free(call);
        assert_int_equal(containers_new(fixture->event, fixture->docker, "one", "b007", on_changed, fixture,
                                        &fixture->containers),
                         0);
        assert_string_equal(containers_instance(fixture->containers), "one");
}

static void fixture_deinit(Fixture *fixture) {
        containers_free(fixture->containers);
        docker_free(fixture->docker);
        server_free(fixture->server);
        (void) sd_event_unref(fixture->event);
}

static void create(Fixture *fixture) {
        cJSON *spec = cJSON_CreateObject();

        assert_int_equal(json_add(spec, "Image", cJSON_CreateString("i")), 0);
        assert_int_equal(containers_create(fixture->containers, "e4ec", spec, on_created, fixture, &fixture->container),
                         0);
        assert_int_equal(containers_count(fixture->containers), 1);
        cJSON_Delete(spec);
}

static void create_and_wait(Fixture *fixture) {
        create(fixture);
        loop_until(fixture->event, &fixture->created);
}

static void release(Fixture *fixture) {
        fixture->container = container_release(fixture->container);
        assert_null(fixture->container);
}

/* After the last container has gone: asked to be removed so often, and nothing happens any more. */
static void assert_gone(Fixture *fixture, size_t removes) {
        ContainersTotals totals;

        loop_until(fixture->event, &fixture->gone);
        loop_settle(fixture->event);
        assert_int_equal(fixture->removes, removes);
        assert_int_equal(containers_count(fixture->containers), 0);
        totals = containers_totals(fixture->containers);
        assert_int_equal(totals.created, totals.destroyed);
}

static void assert_created(const Fixture *fixture, uint64_t created, uint64_t destroyed) {
        ContainersTotals totals = containers_totals(fixture->containers);

        assert_int_equal(totals.created, created);
        assert_int_equal(totals.destroyed, destroyed);
}

/* ---- creation ---- */

TEST(a_container_is_made_held_and_removed) {
        Fixture fixture;

        fixture_init(&fixture);
        create_and_wait(&fixture);
        assert_string_equal(fixture.id, "c1d");
        loop_settle(fixture.event);
        assert_int_equal(containers_count(fixture.containers), 1);
        assert_int_equal(fixture.waits + fixture.removes, 0);
        assert_created(&fixture, 1, 0);
        release(&fixture);
        assert_int_equal(containers_count(fixture.containers), 1);
        assert_created(&fixture, 1, 0);
        assert_gone(&fixture, 1);
        assert_created(&fixture, 1, 1);
        assert_string_equal(fixture.removed, "/v1.41/containers/" NAME "?force=1&v=1\n");
        assert_int_equal(fixture.changes, 1);
        fixture_deinit(&fixture);
}

TEST(what_docker_refused_to_make_is_not_removed) {
        static const ServerAnswer refusals[] = {
                ANSWER("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}"),
                ANSWER("HTTP/1.1 500 Oops\r\nContent-Length: 27\r\n\r\n{\"message\":\"unknown image\"}"),
                ANSWER("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
        };

        for (size_t i = 0; i < ARRAY_SIZE(refusals) * 2; i++) {
                Fixture fixture;

                fixture_init(&fixture);
                fixture.create = refusals[i / 2];
                fixture.release_when_created = i % 2 == 1;
                create_and_wait(&fixture);
                assert_string_equal(fixture.id, "");
                assert_in_range(fixture.status, 400, 500);
                if (i % 2 == 0) {
                        assert_int_equal(containers_count(fixture.containers), 1);
                        release(&fixture);
                }
                assert_gone(&fixture, 0);
                assert_created(&fixture, 0, 0);
                fixture_deinit(&fixture);
        }
}

TEST(a_container_may_be_released_by_its_callback) {
        Fixture fixture;

        fixture_init(&fixture);
        fixture.release_when_created = true;
        create_and_wait(&fixture);
        assert_gone(&fixture, 1);
        fixture_deinit(&fixture);
}

TEST(an_owner_that_leaves_during_the_creation_hears_nothing_and_leaves_nothing) {
        Fixture fixture;

        fixture_init(&fixture);
        create(&fixture);
        release(&fixture);
        assert_gone(&fixture, 1);
        assert_false(fixture.created);
        assert_int_equal(fixture.creates, 1);
        fixture_deinit(&fixture);

        fixture_init(&fixture);
        fixture.create = ANSWER(NOT_FOUND);
        create(&fixture);
        release(&fixture);
        assert_gone(&fixture, 0);
        assert_false(fixture.created);
        fixture_deinit(&fixture);
}

/* An answer that is lost, or another container of this name, which only a repeated call can have made. */
TEST(what_docker_may_have_made_is_removed) {
        static const char cut[] = "HTTP/1.1 201 Created\r\nContent-Length: 99\r\n\r\n{\"Id\":\"c1",
                          no_json[] = "HTTP/1.1 201 Created\r\nContent-Length: 4\r\n\r\n{\"Id",
                          head[] = "HTTP/1.1 201 Created\r\n";
        static const ServerAnswer answers[] = {
                {.data = cut, .size = sizeof(cut) - 1, .close = true},
                {.data = head, .size = sizeof(head) - 1, .close = true},
                ANSWER(no_json),
                ANSWER("HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\n\r\n{}"),
        };

        for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
                Fixture fixture;

                fixture_init(&fixture);
                fixture.create = answers[i];
                create_and_wait(&fixture);
                assert_string_equal(fixture.id, "");
                release(&fixture);
                assert_gone(&fixture, 1);
                assert_contains(fixture.removed, "/" NAME "?");
                assert_created(&fixture, 1, 1);
                fixture_deinit(&fixture);
        }
}

TEST(a_container_that_is_not_there_yet_is_asked_for_again) {
        Fixture fixture;

        fixture_init(&fixture);
        fixture.create = (ServerAnswer){.close = true};
        fixture.removals[0] = ANSWER(NOT_FOUND);
        fixture.removals[1] = ANSWER(OK_EMPTY);
        create_and_wait(&fixture);
        release(&fixture);
        assert_gone(&fixture, 2);
        fixture_deinit(&fixture);
}

/* ---- removal ---- */

TEST(a_removal_that_fails_is_tried_again) {
        Fixture fixture;

        fixture_init(&fixture);
        fixture.removals[0] = ANSWER("HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\n{}");
        fixture.removals[1] = ANSWER("HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\n\r\n{}");
        fixture.removals[2] = ANSWER(OK_EMPTY);
        create_and_wait(&fixture);
        release(&fixture);
        assert_int_equal(containers_not_removed(fixture.containers), 0);
        while (containers_not_removed(fixture.containers) == 0)
                assert_true(sd_event_run(fixture.event, UINT64_MAX) >= 0);
        assert_int_equal(fixture.removes, 1);
        assert_int_equal(containers_count(fixture.containers), 1);
        assert_gone(&fixture, 3);
        assert_int_equal(containers_not_removed(fixture.containers), 0);
        assert_int_equal(fixture.changes, 1);
        fixture_deinit(&fixture);
}

TEST(a_container_that_has_gone_by_itself_is_gone) {
        Fixture fixture;

        fixture_init(&fixture);
        fixture.removals[0] = ANSWER(NOT_FOUND);
        create_and_wait(&fixture);
        release(&fixture);
        assert_gone(&fixture, 1);
        fixture_deinit(&fixture);
}

TEST(a_container_that_does_not_end_by_itself_is_removed_all_the_same) {
        Fixture fixture;

        fixture_init(&fixture);
        fixture.wait = (ServerAnswer){0};
        create_and_wait(&fixture);
        release(&fixture);
        assert_gone(&fixture, 1);
        assert_int_equal(fixture.waits, 1);
        fixture_deinit(&fixture);
}

TEST(everything_can_be_freed_in_the_midst_of_everything) {
        static const ServerAnswer silence = {0};

        for (int moment = 0; moment < 6; moment++) {
                Fixture fixture;

                fixture_init(&fixture);
                fixture.create = moment < 2 ? silence : fixture.create;
                fixture.wait = moment < 4 ? silence : fixture.wait;
                fixture.removals[0] = moment < 5 ? silence : (ServerAnswer) ANSWER("HTTP/1.1 500 Oops\r\n\r\n");
                create(&fixture);
                if (moment >= 2)
                        loop_until(fixture.event, &fixture.created);
                if (moment % 2 == 1 || moment >= 3)
                        release(&fixture);
                loop_settle(fixture.event);
                assert_int_equal(containers_count(fixture.containers), 1);
                fixture_deinit(&fixture);
        }
        assert_null(containers_free(NULL));
        assert_null(container_release(NULL));
}

/* ---- the sweep ---- */

static void sweep(Fixture *fixture, const char *answer) {
        fixture->list = (ServerAnswer){.data = answer, .size = strlen(answer)};
        assert_int_equal(containers_sweep(fixture->containers, on_swept, fixture), 0);
        loop_until(fixture->event, &fixture->swept);
}

static void sweep_list(Fixture *fixture, const char *list) {
        CLEANUP_FREE char *answer = text_format("HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(list), list);

        sweep(fixture, answer);
        loop_settle(fixture->event);
}

TEST(a_sweep_removes_what_another_boot_has_left_and_nothing_else) {
        Fixture fixture;

        fixture_init(&fixture);
        sweep_list(&fixture,
                   "[{\"Id\":\"old1\",\"Labels\":{\"tee.boot\":\"dead\"}},"
                   "{\"Id\":\"mine\",\"Labels\":{\"tee.boot\":\"b007\"}},"
                   "{\"Id\":\"old2\",\"Labels\":{}},{\"Id\":\"old3\"},{\"Labels\":{\"tee.boot\":\"dead\"}},5]");
        assert_int_equal(fixture.sweep_error, 0);
        assert_int_equal(fixture.found, 3);
        assert_int_equal(fixture.removes, 3);
        assert_contains(fixture.removed, "/containers/old1?force=1&v=1\n");
        assert_contains(fixture.removed, "/containers/old2?force=1&v=1\n");
        assert_contains(fixture.removed, "/containers/old3?force=1&v=1\n");
        assert_int_equal(containers_count(fixture.containers), 0);
        assert_int_equal(fixture.changes, 3);
        fixture_deinit(&fixture);
}

TEST(a_sweep_that_finds_nothing_is_done) {
        Fixture fixture;

        fixture_init(&fixture);
        sweep_list(&fixture, "[]");
        assert_int_equal(fixture.sweep_error, 0);
        assert_int_equal(fixture.found, 0);
        assert_int_equal(fixture.removes, 0);
        fixture_deinit(&fixture);
}

TEST(a_sweep_that_cannot_tell_is_an_error) {
        Fixture fixture;

        fixture_init(&fixture);
        sweep_list(&fixture, "{}");
        assert_int_equal(fixture.sweep_error, -EIO);
        assert_string_equal(fixture.sweep_message, "Docker's list of containers is no list");
        fixture_deinit(&fixture);

        fixture_init(&fixture);
        sweep(&fixture, "HTTP/1.1 500 Oops\r\nContent-Length: 17\r\n\r\n{\"message\":\"bad\"}");
        assert_int_equal(fixture.sweep_error, -EIO);
        assert_string_equal(fixture.sweep_message, "bad");
        fixture_deinit(&fixture);

        fixture_init(&fixture);
        sweep_list(&fixture, "[{\"Id\":");
        assert_int_equal(fixture.sweep_error, -EBADMSG);
        assert_int_equal(fixture.removes, 0);
        fixture_deinit(&fixture);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_container_is_made_held_and_removed),
                cmocka_unit_test(what_docker_refused_to_make_is_not_removed),
                cmocka_unit_test(a_container_may_be_released_by_its_callback),
                cmocka_unit_test(an_owner_that_leaves_during_the_creation_hears_nothing_and_leaves_nothing),
                cmocka_unit_test(what_docker_may_have_made_is_removed),
                cmocka_unit_test(a_container_that_is_not_there_yet_is_asked_for_again),
                cmocka_unit_test(a_removal_that_fails_is_tried_again),
                cmocka_unit_test(a_container_that_has_gone_by_itself_is_gone),
                cmocka_unit_test(a_container_that_does_not_end_by_itself_is_removed_all_the_same),
                cmocka_unit_test(everything_can_be_freed_in_the_midst_of_everything),
                cmocka_unit_test(a_sweep_removes_what_another_boot_has_left_and_nothing_else),
                cmocka_unit_test(a_sweep_that_finds_nothing_is_done),
                cmocka_unit_test(a_sweep_that_cannot_tell_is_an_error),
        };

        return RUN_TESTS(tests);
}
