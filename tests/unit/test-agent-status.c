/* SPDX-License-Identifier: Apache-2.0 */

/* The agent's status, from servers that are not the agent, or not well. */

#include "agent-status.h"
#include "scripted-server.h"
#include "unit.h"

#include <errno.h>
#include <stdio.h>

typedef struct Fixture {
        Loop loop;
        Trouble trouble;
        ServerAnswer answer;
        cJSON *status;
} Fixture;

static ServerAnswer answer_status(const char *head, const char *body, void *userdata) {
        Fixture *fixture = userdata;

        assert_contains(head, "GET /v1/status HTTP/1.1\r\n");
        assert_string_equal(body, "");
        return fixture->answer;
}

static int ask(Fixture *fixture, ServerAnswer answer, uint64_t timeout_ms) {
        ScriptedServer *server;
        int r;

        *fixture = (Fixture){.answer = answer};
        assert_int_equal(loop_init(&fixture->loop), 0);
        server = server_new(fixture->loop.event, answer_status, fixture);
        r = agent_status_get(&fixture->loop, server_path(server), timeout_ms, &fixture->trouble, &fixture->status);
        server_free(server);
        return r;
}

static void fixture_deinit(Fixture *fixture) {
        cJSON_Delete(fixture->status);
        trouble_deinit(&fixture->trouble);
        loop_deinit(&fixture->loop);
}

TEST(the_document_is_handed_over) {
        Fixture fixture;

        assert_int_equal(
                ask(&fixture, ANSWER("HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"version\":\"1\"}"), 20000), 0);
        assert_string_equal(json_get_string(fixture.status, "version"), "1");
        assert_null(fixture.trouble.message);
        fixture_deinit(&fixture);
}

TEST(what_is_not_the_agents_is_told_as_such) {
        const ServerAnswer answers[] = {
                ANSWER("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"),
                ANSWER("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
                ANSWER("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
                ANSWER("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}"),
        };

        for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
                Fixture fixture;

                assert_int_equal(ask(&fixture, answers[i], 20000), -EBADMSG);
                assert_contains(fixture.trouble.message, "is not tee-agent");
                assert_null(fixture.status);
                fixture_deinit(&fixture);
        }
}

TEST(an_agent_that_does_not_answer_is_not_waited_for) {
        Fixture fixture;

        assert_int_equal(ask(&fixture, (ServerAnswer){0}, 200), -ETIMEDOUT);
        assert_non_null(fixture.trouble.message);
        fixture_deinit(&fixture);
}

TEST(a_socket_that_is_not_there_is_told_with_its_path) {
        Fixture fixture = {0};

        assert_int_equal(loop_init(&fixture.loop), 0);
        assert_int_equal(
                agent_status_get(&fixture.loop, "/nonexistent/agent.sock", 20000, &fixture.trouble, &fixture.status),
                -ECONNREFUSED);
        assert_string_equal(fixture.trouble.message, "/nonexistent/agent.sock: No such file or directory");
        fixture_deinit(&fixture);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_document_is_handed_over),
                cmocka_unit_test(what_is_not_the_agents_is_told_as_such),
                cmocka_unit_test(an_agent_that_does_not_answer_is_not_waited_for),
                cmocka_unit_test(a_socket_that_is_not_there_is_told_with_its_path),
        };

        return RUN_TESTS(tests);
}
