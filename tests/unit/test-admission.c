/* SPDX-License-Identifier: Apache-2.0 */

/* The queue with real executions, which hear of their refusal: order, length, and a deadline for each. */

#include "admission.h"
#include "scripted-server.h"
#include "unit.h"

#include <errno.h>
#include <stdio.h>

#define NEVER_MS 60000U

typedef struct Waiting {
        Execution *execution;
        bool refused;
        unsigned status;
        char code[32], message[128];
} Waiting;

typedef struct Fixture {
        sd_event *event;
        Config *config;
        Admission *admission;
        Waiting waiting[4];
} Fixture;

/* Frees it meanwhile, as its owner does. */
static void on_refused(Execution *execution, const Refusal *refusal, SandboxFailure failure, void *userdata) {
        Waiting *waiting = userdata;

        assert_ptr_equal(execution, waiting->execution);
        assert_false(waiting->refused);
        assert_int_equal(failure, 0);
        waiting->status = refusal->status;
        (void) snprintf(waiting->code, sizeof(waiting->code), "%s", refusal->code);
        (void) snprintf(waiting->message, sizeof(waiting->message), "%s", refusal->message);
        waiting->refused = true;
        waiting->execution = execution_free(execution);
}

static Execution *new_execution(Fixture *fixture, Waiting *waiting) {
        static const char body[] = "{\"runtime\":\"sh\",\"code\":\"\"}";
        static const ExecutionHandlers handlers = {.refused = on_refused};
        Request *request = NULL;
        Refusal refusal = {0};
        Execution *execution = NULL;

        assert_int_equal(request_parse(body, sizeof(body) - 1, fixture->config, &request, &refusal), 0);
        assert_int_equal(execution_new(fixture->event, request, true, now_usec(), &handlers, waiting, &execution), 0);
        return execution;
}

static void fixture_init(Fixture *fixture) {
        static const char text[] = "runtimes = { sh = { image = \"i\"; entry = \"e\"; command = [ \"/c\" ]; }; };";
        CLEANUP_FREE char *message = NULL;

        *fixture = (Fixture){0};
        assert_true(sd_event_new(&fixture->event) >= 0);
        assert_int_equal(config_parse(text, sizeof(text) - 1, "F", &fixture->config, &message), 0);
        assert_int_equal(admission_new(fixture->event, &fixture->admission), 0);
        for (size_t i = 0; i < ARRAY_SIZE(fixture->waiting); i++)
                fixture->waiting[i].execution = new_execution(fixture, &fixture->waiting[i]);
}

static void fixture_deinit(Fixture *fixture) {
        admission_free(fixture->admission);
        for (size_t i = 0; i < ARRAY_SIZE(fixture->waiting); i++)
                execution_free(fixture->waiting[i].execution);
        config_free(fixture->config);
        sd_event_unref(fixture->event);
}

static void add(Fixture *fixture, size_t i, uint64_t queue_ms) {
        Refusal refusal = {0};

        assert_int_equal(admission_add(fixture->admission, fixture->waiting[i].execution, SIZE_MAX, queue_ms, &refusal),
                         0);
        assert_null(refusal.code);
}

static void assert_queue(const Fixture *fixture, size_t queued, const Execution *first) {
        assert_int_equal(admission_queued(fixture->admission), queued);
        assert_ptr_equal(admission_first(fixture->admission), first);
}

TEST(who_has_waited_longest_is_first_whoever_leaves) {
        Fixture fixture;
        Waiting *waiting = fixture.waiting;

        fixture_init(&fixture);
        assert_queue(&fixture, 0, NULL);
        for (size_t i = 0; i < 3; i++)
                add(&fixture, i, NEVER_MS);
        assert_queue(&fixture, 3, waiting[0].execution);
        admission_remove(fixture.admission, waiting[1].execution);
        admission_remove(fixture.admission, waiting[1].execution); /* not in it any more */
        admission_remove(fixture.admission, waiting[3].execution); /* never was */
        assert_queue(&fixture, 2, waiting[0].execution);
        add(&fixture, 1, NEVER_MS);
        admission_remove(fixture.admission, waiting[0].execution);
        assert_queue(&fixture, 2, waiting[2].execution);
        admission_remove(fixture.admission, waiting[2].execution);
        assert_queue(&fixture, 1, waiting[1].execution);
        fixture_deinit(&fixture);
}

typedef struct Offers {
        Admission *admission;
        size_t seen;
} Offers;

/* Takes the first, leaves the second, and has enough at the third. */
static bool take_first(Execution *execution, void *userdata) {
        Offers *offers = userdata;

        if (offers->seen == 0)
                admission_remove(offers->admission, execution);
        return ++offers->seen < 3;
}

TEST(each_is_offered_in_turn_until_it_is_enough) {
        Fixture fixture;
        Offers offers = {0};

        fixture_init(&fixture);
        offers.admission = fixture.admission;
        admission_offer(fixture.admission, take_first, &offers);
        assert_int_equal(offers.seen, 0);
        for (size_t i = 0; i < 4; i++)
                add(&fixture, i, NEVER_MS);
        admission_offer(fixture.admission, take_first, &offers);
        assert_int_equal(offers.seen, 3);
        assert_queue(&fixture, 3, fixture.waiting[1].execution);
        fixture_deinit(&fixture);
}

TEST(one_more_than_the_length_is_refused_with_429_and_does_not_wait) {
        Fixture fixture;
        Waiting *waiting = fixture.waiting;
        Refusal refusal = {0};

        fixture_init(&fixture);
        assert_int_equal(admission_add(fixture.admission, waiting[0].execution, 0, NEVER_MS, &refusal), -EBUSY);
        assert_queue(&fixture, 0, NULL);
        refusal_deinit(&refusal);
        refusal = (Refusal){0};
        add(&fixture, 0, NEVER_MS);
        add(&fixture, 1, NEVER_MS);
        assert_int_equal(admission_add(fixture.admission, waiting[2].execution, 2, NEVER_MS, &refusal), -EBUSY);
        assert_queue(&fixture, 2, waiting[0].execution);
        assert_int_equal(refusal.status, 429);
        assert_string_equal(refusal.code, "queue_full");
        assert_contains(refusal.message, "2 executions wait already");
        assert_false(waiting[2].refused); /* that is the caller's to say */
        refusal_deinit(&refusal);
        fixture_deinit(&fixture);
}

TEST(each_has_a_deadline_of_its_own) {
        Fixture fixture;
        Waiting *waiting = fixture.waiting;
        uint64_t begun = now_usec();

        fixture_init(&fixture);
        add(&fixture, 0, NEVER_MS);
        add(&fixture, 1, 40);
        add(&fixture, 2, 20);
        loop_until(fixture.event, &waiting[2].refused);
        assert_true(now_usec() - begun >= 20 * USEC_PER_MSEC);
        assert_false(waiting[1].refused);
        assert_queue(&fixture, 2, waiting[0].execution);
        loop_until(fixture.event, &waiting[1].refused);
        assert_true(now_usec() - begun >= 40 * USEC_PER_MSEC);
        assert_queue(&fixture, 1, waiting[0].execution);
        assert_false(waiting[0].refused);
        assert_int_equal(waiting[1].status, 503);
        assert_string_equal(waiting[1].code, "queue_timeout");
        assert_string_equal(waiting[1].message, "it could not be begun within 40 ms");
        fixture_deinit(&fixture);
}

TEST(who_is_out_of_the_queue_is_not_refused_by_its_deadline) {
        Fixture fixture;
        Waiting *waiting = fixture.waiting;

        fixture_init(&fixture);
        add(&fixture, 0, 10);
        add(&fixture, 1, 10);
        add(&fixture, 2, 30);
        admission_remove(fixture.admission, waiting[0].execution);
        loop_until(fixture.event, &waiting[2].refused);
        assert_true(waiting[1].refused);
        assert_false(waiting[0].refused);
        fixture_deinit(&fixture);
}

TEST(a_queue_that_goes_forgets_its_entries_and_refuses_nobody) {
        Fixture fixture;

        fixture_init(&fixture);
        add(&fixture, 0, 1);
        fixture.admission = admission_free(fixture.admission);
        assert_int_equal(admission_new(fixture.event, &fixture.admission), 0);
        add(&fixture, 1, 20);
        loop_until(fixture.event, &fixture.waiting[1].refused);
        assert_false(fixture.waiting[0].refused);
        assert_null(admission_free(NULL));
        fixture_deinit(&fixture);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(who_has_waited_longest_is_first_whoever_leaves),
                cmocka_unit_test(each_is_offered_in_turn_until_it_is_enough),
                cmocka_unit_test(one_more_than_the_length_is_refused_with_429_and_does_not_wait),
                cmocka_unit_test(each_has_a_deadline_of_its_own),
                cmocka_unit_test(who_is_out_of_the_queue_is_not_refused_by_its_deadline),
                cmocka_unit_test(a_queue_that_goes_forgets_its_entries_and_refuses_nobody),
        };

        return RUN_TESTS(tests);
}
