/* SPDX-License-Identifier: Apache-2.0 */

/* Docker tells of each layer by its short id in words that have been the same since its beginnings ("Downloading",
 * "Pull complete"), and of sizes in progressDetail. With the image store of containerd, "Extracting" counts seconds
 * there, so sizes are taken from downloads alone. Words that are not known change nothing. */

#include "pull-progress.h"
#include "screen.h"

#include <stdio.h>
#include <string.h>

static const struct {
        const char *word;
        PullState state;
} words[] = {
        {"Pulling fs layer", PULL_WAITING},     {"Waiting", PULL_WAITING},
        {"Retrying in ", PULL_WAITING},         {"Downloading", PULL_DOWNLOADING},
        {"Download complete", PULL_DOWNLOADED}, {"Verifying Checksum", PULL_DOWNLOADED},
        {"Extracting", PULL_UNPACKING},         {"Pull complete", PULL_DONE},
        {"Already exists", PULL_DONE},
};

static bool find_state(const char *status, PullState *ret_state) {
        for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                if (strncmp(status, words[i].word, strlen(words[i].word)) == 0) {
                        *ret_state = words[i].state;
                        return true;
                }
        return false;
}

static PullLayer *find_layer(PullProgress *progress, const char *id) {
        PullLayer *layer;

        for (size_t i = 0; i < progress->size; i++)
                if (strncmp(progress->layers[i].id, id, sizeof(layer->id) - 1) == 0)
                        return &progress->layers[i];
        if (progress->size == PULL_LAYERS_MAX)
                return NULL;
        layer = &progress->layers[progress->size++];
        (void) snprintf(layer->id, sizeof(layer->id), "%s", id);
        return layer;
}

void pull_progress_take(PullProgress *progress, const cJSON *event) {
        const char *id = json_get_string(event, "id"), *status = json_get_string(event, "status");
        const cJSON *detail = json_get_object(event, "progressDetail");
        int64_t received = json_get_integer(detail, "current", 0), expected = json_get_integer(detail, "total", 0);
        PullState state;
        PullLayer *layer;

        if (!id || !status || !find_state(status, &state))
                return;
        layer = find_layer(progress, id);
        if (!layer)
                return;
        progress->retry[0] = '\0';
        if (strncmp(status, "Retrying", 8) == 0)
                (void) snprintf(progress->retry, sizeof(progress->retry), "%s", status);
        layer->state = state;
        if (state == PULL_WAITING)
                layer->received = 0;
        if (state >= PULL_DOWNLOADED && layer->expected > 0)
                layer->received = layer->expected;
        if (state == PULL_DOWNLOADING && expected > 0 && received >= 0) {
                layer->expected = (uint64_t) expected;
                layer->received = (uint64_t) (received < expected ? received : expected);
        }
}

uint64_t pull_progress_received(const PullProgress *progress) {
        uint64_t received = 0;

        for (size_t i = 0; i < progress->size; i++)
                received += progress->layers[i].received;
        return received;
}

static uint64_t expected_of(const PullProgress *progress) {
        uint64_t expected = 0;

        for (size_t i = 0; i < progress->size; i++)
                expected += progress->layers[i].expected;
        return expected;
}

int pull_progress_percent(const PullProgress *progress) {
        uint64_t received = pull_progress_received(progress), expected = expected_of(progress);

        return expected == 0 ? -1 : (int) ((double) received * 100.0 / (double) expected);
}

static size_t count(const PullProgress *progress, PullState at_least) {
        size_t n = 0;

        for (size_t i = 0; i < progress->size; i++)
                n += progress->layers[i].state >= at_least;
        return n;
}

char *pull_progress_text(const PullProgress *progress) {
        char received[SCREEN_SIZE_MAX], expected[SCREEN_SIZE_MAX];
        size_t done = count(progress, PULL_DONE);
        const char *what = count(progress, PULL_DOWNLOADED) < progress->size ? "" : ", unpacking";

        if (progress->retry[0])
                return text_format("the registry broke off: %s", progress->retry);
        if (pull_progress_percent(progress) < 0)
                return strdup("asking the registry");
        (void) screen_size(pull_progress_received(progress), received);
        (void) screen_size(expected_of(progress), expected);
        if (progress->size == 1)
                return text_format("%s of %s%s", received, expected, what);
        return text_format("%s of %s, %zu of %zu layers done%s", received, expected, done, progress->size, what);
}
