/* SPDX-License-Identifier: Apache-2.0 */

/* What becomes of the documents that Docker tells of a pull: of Docker's own image store, of containerd's, of
 * registries that break off, and of things that nobody has told of. */

#include "pull-progress.h"
#include "text.h"
#include "unit.h"

#include <stdio.h>

static void take(PullProgress *progress, const char *text) {
        JsonError error;
        CLEANUP_JSON cJSON *event = json_parse(text, strlen(text), &error);

        assert_case(event, "no JSON: %s", text);
        pull_progress_take(progress, event);
}

static void take_layer(PullProgress *progress, const char *id, const char *status, long current, long total) {
        CLEANUP_FREE char *text = text_format("{\"id\":\"%s\",\"status\":\"%s\","
                                              "\"progressDetail\":{\"current\":%ld,\"total\":%ld}}",
                                              id, status, current, total);

        take(progress, text);
}

static void assert_seen(const PullProgress *progress, int percent, const char *expected) {
        CLEANUP_FREE char *text = pull_progress_text(progress);

        assert_string_equal(text, expected);
        assert_int_equal(pull_progress_percent(progress), percent);
}

TEST(the_image_of_one_layer_is_told_from_begin_to_end) {
        PullProgress progress = {0};

        assert_seen(&progress, -1, "asking the registry");
        take(&progress, "{\"status\":\"Pulling from denoland/deno\",\"id\":\"bin-2.9.5\"}");
        assert_int_equal(progress.size, 0);
        take(&progress, "{\"status\":\"Pulling fs layer\",\"progressDetail\":{},\"id\":\"0123456789ab\"}");
        assert_seen(&progress, -1, "asking the registry");
        take_layer(&progress, "0123456789ab", "Downloading", 0, 48000000);
        assert_seen(&progress, 0, "0.0 kB of 48 MB");
        take_layer(&progress, "0123456789ab", "Downloading", 12000000, 48000000);
        assert_seen(&progress, 25, "12 MB of 48 MB");
        take(&progress, "{\"status\":\"Verifying Checksum\",\"progressDetail\":{},\"id\":\"0123456789ab\"}");
        assert_seen(&progress, 0, "unpacking 48 MB");
        take_layer(&progress, "0123456789ab", "Extracting", 24000000, 48000000);
        assert_seen(&progress, 50, "unpacking 48 MB");
        take(&progress, "{\"status\":\"Pull complete\",\"progressDetail\":{},\"id\":\"0123456789ab\"}");
        assert_seen(&progress, 100, "unpacking 48 MB");
        take(&progress, "{\"status\":\"Digest: sha256:00\"}");
        take(&progress, "{\"status\":\"Status: Downloaded newer image for denoland/deno:bin-2.9.5\"}");
        assert_int_equal(progress.size, 1);
        assert_int_equal(pull_progress_received(&progress), 48000000);
}

static void assert_layer(const PullLayer *layer, int percent, const char *expected) {
        CLEANUP_FREE char *text = pull_layer_text(layer);

        assert_true(pull_layer_is_active(layer));
        assert_int_equal(pull_layer_percent(layer), percent);
        assert_string_equal(text, expected);
}

TEST(several_layers_are_summed_and_told_one_by_one) {
        PullProgress progress = {0};

        take_layer(&progress, "a", "Already exists", 0, 0);
        take_layer(&progress, "b", "Downloading", 1000000, 2000000);
        take_layer(&progress, "c", "Downloading", 500000, 4000000);
        assert_seen(&progress, 25, "1.5 MB of 6.0 MB, 1 of 3 layers done");
        assert_false(pull_layer_is_active(&progress.layers[0]));
        assert_layer(&progress.layers[1], 50, "1.0 MB of 2.0 MB");
        assert_layer(&progress.layers[2], 12, "500 kB of 4.0 MB");
        take_layer(&progress, "b", "Download complete", 0, 0);
        assert_false(pull_layer_is_active(&progress.layers[1]));
        take_layer(&progress, "c", "Download complete", 0, 0);
        assert_seen(&progress, 33, "unpacking 6.0 MB, 1 of 3 layers done");
        take_layer(&progress, "b", "Extracting", 20, 100);
        assert_layer(&progress.layers[1], 20, "unpacking 2.0 MB");
        take_layer(&progress, "b", "Pull complete", 0, 0);
        assert_seen(&progress, 66, "unpacking 6.0 MB, 2 of 3 layers done");
        take_layer(&progress, "c", "Pull complete", 0, 0);
        assert_seen(&progress, 100, "unpacking 6.0 MB, 3 of 3 layers done");
}

TEST(seconds_of_containerds_unpacking_are_not_taken_for_bytes) {
        PullProgress progress = {0};

        take_layer(&progress, "a", "Downloading", 1000000, 1000000);
        take(&progress, "{\"id\":\"a\",\"status\":\"Extracting\",\"progressDetail\":{\"current\":3,\"units\":\"s\"}}");
        assert_seen(&progress, 0, "unpacking 1.0 MB");
}

TEST(a_registry_that_broke_off_is_told_until_it_goes_on) {
        PullProgress progress = {0};

        take_layer(&progress, "a", "Downloading", 900000, 1000000);
        take(&progress, "{\"id\":\"a\",\"status\":\"Retrying in 5 seconds\"}");
        assert_seen(&progress, 0, "the registry broke off: Retrying in 5 seconds");
        take_layer(&progress, "a", "Downloading", 100000, 1000000);
        assert_seen(&progress, 10, "100 kB of 1.0 MB");
}

TEST(what_nobody_told_of_changes_nothing) {
        static const char *const events[] = {"{}",
                                             "[]",
                                             "{\"id\":\"a\"}",
                                             "{\"status\":\"Downloading\"}",
                                             "{\"id\":7,\"status\":\"Downloading\"}",
                                             "{\"id\":\"a\",\"status\":\"Frobnicating\"}",
                                             "{\"error\":\"x\"}"};
        PullProgress progress = {0};

        for (size_t i = 0; i < ARRAY_SIZE(events); i++)
                take(&progress, events[i]);
        assert_seen(&progress, -1, "asking the registry");
        take_layer(&progress, "a", "Downloading", 5, -3);
        take_layer(&progress, "a", "Downloading", -5, 100);
        assert_int_equal(pull_progress_received(&progress), 0);
        take_layer(&progress, "a", "Downloading", 500, 100);
        assert_int_equal(pull_progress_percent(&progress), 100);
}

TEST(more_layers_than_can_be_shown_do_no_harm) {
        PullProgress progress = {0};

        for (unsigned i = 0; i < 2 * PULL_LAYERS_MAX; i++) {
                char id[32];

                (void) snprintf(id, sizeof(id), "%012x-too-long-for-an-id", i);
                take_layer(&progress, id, "Downloading", 10, 20);
        }
        assert_int_equal(progress.size, PULL_LAYERS_MAX);
        assert_int_equal(pull_progress_percent(&progress), 50);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_image_of_one_layer_is_told_from_begin_to_end),
                cmocka_unit_test(several_layers_are_summed_and_told_one_by_one),
                cmocka_unit_test(seconds_of_containerds_unpacking_are_not_taken_for_bytes),
                cmocka_unit_test(a_registry_that_broke_off_is_told_until_it_goes_on),
                cmocka_unit_test(what_nobody_told_of_changes_nothing),
                cmocka_unit_test(more_layers_than_can_be_shown_do_no_harm),
        };

        return RUN_TESTS(tests);
}
