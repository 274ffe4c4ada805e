/* SPDX-License-Identifier: Apache-2.0 */

/* Docker tells of each layer by its short id in words that have been the same since its beginnings ("Downloading",
 * "Pull complete"), and of sizes in progressDetail. With the image store of containerd, "Extracting" counts seconds
 * there and has no total. Words that are not known change nothing. */

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

static int percent_of(uint64_t part, uint64_t whole) {
        return whole == 0 ? -1 : part >= whole ? 100 : (int) ((double) part * 100.0 / (double) whole);
}

static void take_state(PullLayer *layer, PullState state, uint64_t current, uint64_t total) {
        layer->state = state;
        if (state == PULL_WAITING)
                layer->received = 0;
        if (state >= PULL_DOWNLOADED)
                layer->received = layer->expected;
        if (state == PULL_DOWNLOADING && total > 0) {
                layer->expected = total;
                layer->received = current < total ? current : total;
        }
        if (state == PULL_UNPACKING && total > 0)
                layer->unpacked = percent_of(current, total);
        if (state == PULL_DONE)
                layer->unpacked = 100;
}

void pull_progress_take(PullProgress *progress, const cJSON *event) {
        const char *id = json_get_string(event, "id"), *status = json_get_string(event, "status");
        const cJSON *detail = json_get_object(event, "progressDetail");
        int64_t current = json_get_integer(detail, "current", 0), total = json_get_integer(detail, "total", 0);
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
        take_state(layer, state, current > 0 ? (uint64_t) current : 0, total > 0 ? (uint64_t) total : 0);
}

/* ---- the sum ---- */

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

static size_t count(const PullProgress *progress, PullState at_least) {
        size_t n = 0;

        for (size_t i = 0; i < progress->size; i++)
                n += progress->layers[i].state >= at_least;
        return n;
}

static bool is_downloaded(const PullProgress *progress) {
        return progress->size > 0 && count(progress, PULL_DOWNLOADED) == progress->size;
}

int pull_progress_percent(const PullProgress *progress) {
        uint64_t unpacked = 0;

        if (!is_downloaded(progress))
                return percent_of(pull_progress_received(progress), expected_of(progress));
        for (size_t i = 0; i < progress->size; i++)
                unpacked += (uint64_t) progress->layers[i].unpacked;
        return percent_of(unpacked, 100 * progress->size);
}

char *pull_progress_text(const PullProgress *progress) {
        char received[SCREEN_SIZE_MAX], expected[SCREEN_SIZE_MAX];
        CLEANUP_FREE char *layers =
                progress->size > 1 ? text_format(", %zu of %zu layers done", count(progress, PULL_DONE), progress->size)
                                   : strdup("");

        if (!layers)
                return NULL;
        if (progress->retry[0])
                return text_format("the registry broke off: %s", progress->retry);
        if (pull_progress_percent(progress) < 0)
                return strdup("asking the registry");
        (void) screen_size(pull_progress_received(progress), received);
        (void) screen_size(expected_of(progress), expected);
        if (is_downloaded(progress))
                return text_format("unpacking %s%s", received, layers);
        return text_format("%s of %s%s", received, expected, layers);
}

/* ---- a layer ---- */

bool pull_layer_is_active(const PullLayer *layer) {
        return layer->state == PULL_DOWNLOADING || layer->state == PULL_UNPACKING;
}

int pull_layer_percent(const PullLayer *layer) {
        return layer->state == PULL_UNPACKING ? layer->unpacked : percent_of(layer->received, layer->expected);
}

char *pull_layer_text(const PullLayer *layer) {
        char received[SCREEN_SIZE_MAX], expected[SCREEN_SIZE_MAX];

        (void) screen_size(layer->received, received);
        (void) screen_size(layer->expected, expected);
        if (layer->state == PULL_UNPACKING)
                return text_format("unpacking %s", received);
        return text_format("%s of %s", received, expected);
}
