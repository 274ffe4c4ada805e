/* SPDX-License-Identifier: Apache-2.0 */

/* Which of Docker's samples say that a sandbox stands at its memory limit, and that the watch goes on until one does.
 */

#include "memory-watch.h"
#include "scripted-server.h"
#include "unit.h"

#include <stdio.h>

#define MB ((uint64_t) 1024 * 1024)

/* ---- the judgement ---- */

static MemorySample sample(const char *text) {
        JsonError error;
        CLEANUP_JSON cJSON *document = json_parse(text, strlen(text), &error);
        MemorySample read;

        assert_non_null(document);
        read = memory_sample_read(document);
        assert_true(read.reclaimable <= read.used);
        return read;
}

static void assert_judged(const char *text, bool expected) {
        MemorySample now = sample(text);

        assert_case(memory_is_at_limit(&now, &(MemorySample){0}, 128 * MB) == expected, "%s is %sat the limit", text,
                    expected ? "not " : "");
}

/* Figures of sandboxes that really stood there, or did not. */

TEST(a_sandbox_that_spins_on_cgroup_v1_is_at_its_limit) {
        MemorySample now = sample("{\"memory_stats\":{\"usage\":134131712,\"max_usage\":134221824,\"stats\":"
                                  "{\"total_active_file\":8192,\"total_inactive_file\":1413120,\"inactive_file\":7,"
                                  "\"total_inactive_anon\":125517824}}}");

        assert_true(memory_is_at_limit(&now, &(MemorySample){0}, 128 * MB));
        assert_int_equal(now.used, 134131712);
        assert_int_equal(now.reclaimable, 1413120 + 8192);
        assert_int_equal(now.peak, 134221824);
        assert_judged("{\"memory_stats\":{\"usage\":134184960,\"stats\":{\"total_inactive_file\":10805248}}}", true);
}

TEST(a_sandbox_that_cannot_have_its_next_piece_stands_still_below_its_limit) {
        static const MemorySample still = {.used = 130478080, .peak = 134217728};
        MemorySample other = still;

        assert_true(memory_is_at_limit(&still, &still, 128 * MB));
        other.used += 4096; /* it moves */
        assert_false(memory_is_at_limit(&still, &other, 128 * MB));
        assert_false(memory_is_at_limit(&still, &(MemorySample){0}, 128 * MB));
        other = still;
        other.peak -= 4096; /* nothing was ever refused to it */
        assert_false(memory_is_at_limit(&other, &other, 128 * MB));
        other = still;
        other.reclaimable = 2 * MB; /* what is left to reclaim is there to be had */
        assert_false(memory_is_at_limit(&other, &other, 128 * MB));
        other = still;
        other.used = 100 * MB; /* it has given much back */
        assert_false(memory_is_at_limit(&other, &other, 128 * MB));
}

TEST(a_sandbox_on_cgroup_v2_is_judged_by_its_names) {
        assert_judged("{\"memory_stats\":{\"usage\":134000000,\"stats\":{\"active_file\":1,\"inactive_file\":2}}}",
                      true);
        assert_judged("{\"memory_stats\":{\"usage\":134000000,\"stats\":{\"inactive_file\":90000000}}}", false);
        assert_judged("{\"memory_stats\":{\"usage\":134000000,\"stats\":{\"active_file\":90000000}}}", false);
}

TEST(a_sandbox_below_its_limit_is_not_at_it) {
        assert_judged("{\"memory_stats\":{\"usage\":35622912,\"stats\":{\"total_inactive_file\":21401600}}}", false);
        assert_judged("{\"memory_stats\":{\"usage\":130000000,\"stats\":{\"total_inactive_file\":0}}}", false);
}

TEST(page_cache_alone_is_no_reason) {
        assert_judged("{\"memory_stats\":{\"usage\":134217728,\"stats\":{\"total_inactive_file\":72388608,"
                      "\"total_active_file\":172032}}}",
                      false);
}

TEST(a_sample_that_tells_nothing_is_no_reason) {
        static const char *const samples[] = {
                "{}",
                "[]",
                "null",
                "{\"memory_stats\":{}}",
                "{\"memory_stats\":[]}",
                "{\"memory_stats\":{\"usage\":null}}",
                "{\"memory_stats\":{\"usage\":-1}}",
                "{\"memory_stats\":{\"usage\":\"134217728\"}}",
                "{\"memory_stats\":{\"usage\":1e300}}",
                "{\"memory_stats\":{\"usage\":1,\"stats\":{\"active_file\":9007199254740992,\"inactive_file\":-5}}}",
                "{\"memory_stats\":{\"usage\":1,\"stats\":{\"active_file\":5,\"inactive_file\":9007199254740991}}}",
        };

        for (size_t i = 0; i < ARRAY_SIZE(samples); i++)
                assert_judged(samples[i], false);
}

/* ---- the watch ---- */

#define PONG "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 2\r\n\r\nOK"
#define STREAM_HEAD "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
#define BELOW "{\"memory_stats\":{\"usage\":1000000,\"stats\":{}}}\n"
#define REACHED "{\"memory_stats\":{\"usage\":134217728,\"stats\":{\"inactive_file\":4096}}}\n"

typedef struct Fixture {
        sd_event *event;
        ScriptedServer *server;
        Docker *docker;
        DockerCall *call;
        MemoryWatch *watch;
        ServerAnswer first, later; /* the streams */
        size_t streams;
        bool ponged, reached;
        char evidence[256];
} Fixture;

static ServerAnswer on_request(const char *head, const char *body, void *userdata) {
        Fixture *fixture = userdata;

        (void) body;
        if (strncmp(head, "GET /_ping ", 11) == 0)
                return ANSWER(PONG);
        assert_contains(head, "GET /v1.41/containers/c1/stats?stream=false&one-shot=true ");
        return fixture->streams++ == 0 ? fixture->first : fixture->later;
}

static void on_pong(const DockerReply *reply, void *userdata) {
        Fixture *fixture = userdata;

        assert_true(docker_reply_ok(reply));
        fixture->ponged = true;
}

static void on_reached(const char *evidence, void *userdata) {
        Fixture *fixture = userdata;

        assert_false(fixture->reached);
        fixture->reached = true;
        fixture->watch = memory_watch_free(fixture->watch);
        (void) snprintf(fixture->evidence, sizeof(fixture->evidence), "%s", evidence);
}

static void fixture_init(Fixture *fixture, ServerAnswer first, ServerAnswer later) {
        *fixture = (Fixture){.first = first, .later = later};
        assert_true(sd_event_new(&fixture->event) >= 0);
        fixture->server = server_new(fixture->event, on_request, fixture);
        assert_int_equal(docker_new(fixture->event, server_path(fixture->server), 1000, &fixture->docker), 0);
        assert_int_equal(docker_ping(fixture->docker, on_pong, fixture, &fixture->call), 0);
        loop_until(fixture->event, &fixture->ponged);
        fixture->call = docker_call_free(fixture->call);
        assert_int_equal(
                memory_watch_new(fixture->event, fixture->docker, "c1", 128 * MB, on_reached, fixture, &fixture->watch),
                0);
}

static void fixture_deinit(Fixture *fixture) {
        memory_watch_free(fixture->watch);
        docker_free(fixture->docker);
        server_free(fixture->server);
        (void) sd_event_unref(fixture->event);
}

static void assert_reached(ServerAnswer first, ServerAnswer later, size_t streams) {
        Fixture fixture;

        first.close = later.close = true;
        fixture_init(&fixture, first, later);
        loop_until(fixture.event, &fixture.reached);
        assert_string_equal(fixture.evidence,
                            "the sandbox used 134217728 of 134217728 bytes, of which 4096 could be reclaimed");
        assert_int_equal(fixture.streams, streams);
        assert_null(fixture.watch);
        fixture_deinit(&fixture);
}

TEST(the_limit_is_told_once_with_its_figures) {
        assert_reached(ANSWER(STREAM_HEAD BELOW), ANSWER(STREAM_HEAD REACHED), 2);
        assert_reached(ANSWER(STREAM_HEAD REACHED), (ServerAnswer){0}, 1);
}

TEST(an_answer_that_says_nothing_is_asked_for_again) {
        assert_reached(ANSWER(STREAM_HEAD "nonsense\n"), ANSWER(STREAM_HEAD REACHED), 2);
        assert_reached(ANSWER("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"), ANSWER(STREAM_HEAD REACHED), 2);
        assert_reached((ServerAnswer){0}, ANSWER(STREAM_HEAD REACHED), 2);
}

static void assert_led(const char *first, const char *later, bool expected) {
        ServerAnswer answers[] = {{.data = first, .size = strlen(first), .close = true},
                                  {.data = later, .size = strlen(later), .close = true}};
        char evidence[160] = "";
        Fixture fixture;

        fixture_init(&fixture, answers[0], answers[1]);
        assert_false(memory_watch_led_to_limit(fixture.watch, evidence, sizeof(evidence)));
        while (fixture.streams < 3) /* whoever asks for a third sample has read two */
                assert_true(sd_event_run(fixture.event, USEC_PER_SEC) >= 0);
        assert_int_equal(memory_watch_led_to_limit(fixture.watch, evidence, sizeof(evidence)), expected);
        assert_contains(evidence, "of 134217728 bytes");
        assert_false(fixture.reached);
        fixture_deinit(&fixture);
}

TEST(a_death_while_memory_fills_is_told_from_one_that_has_nothing_to_do_with_it) {
#define USED(bytes) STREAM_HEAD "{\"memory_stats\":{\"usage\":" #bytes ",\"stats\":{}}}\n"
        assert_led(USED(10000000), USED(125000000), true); /* nearly full, and was growing */
        assert_led(USED(10000000), USED(90000000), true);  /* as much again had come by the third */
        assert_led(USED(90000000), USED(90000000), false);
        assert_led(USED(90000000), USED(10000000), false);
        assert_led(STREAM_HEAD BELOW, STREAM_HEAD BELOW, false);
}

TEST(a_watch_can_be_freed_at_any_moment) {
        for (unsigned rounds = 0; rounds < 8; rounds++) {
                ServerAnswer reached = ANSWER(STREAM_HEAD REACHED);
                Fixture fixture;

                fixture_init(&fixture, reached, reached);
                for (unsigned i = 0; i < rounds && !fixture.reached; i++)
                        assert_true(sd_event_run(fixture.event, USEC_PER_SEC) >= 0);
                fixture_deinit(&fixture);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_sandbox_that_spins_on_cgroup_v1_is_at_its_limit),
                cmocka_unit_test(a_sandbox_that_cannot_have_its_next_piece_stands_still_below_its_limit),
                cmocka_unit_test(a_sandbox_on_cgroup_v2_is_judged_by_its_names),
                cmocka_unit_test(a_sandbox_below_its_limit_is_not_at_it),
                cmocka_unit_test(page_cache_alone_is_no_reason),
                cmocka_unit_test(a_sample_that_tells_nothing_is_no_reason),
                cmocka_unit_test(the_limit_is_told_once_with_its_figures),
                cmocka_unit_test(an_answer_that_says_nothing_is_asked_for_again),
                cmocka_unit_test(a_death_while_memory_fills_is_told_from_one_that_has_nothing_to_do_with_it),
                cmocka_unit_test(a_watch_can_be_freed_at_any_moment),
        };

        return RUN_TESTS(tests);
}
