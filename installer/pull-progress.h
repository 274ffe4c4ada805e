/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "json.h"

/* How far a pull has come, from the documents that Docker tells of it. Pure. */

#define PULL_LAYERS_MAX 128U

typedef enum PullState {
        PULL_WAITING,
        PULL_DOWNLOADING,
        PULL_DOWNLOADED,
        PULL_UNPACKING,
        PULL_DONE,
} PullState;

typedef struct PullLayer {
        char id[16];
        PullState state;
        uint64_t received, expected; /* bytes; expected is 0 until the registry has told */
        int unpacked;                /* per cent */
} PullLayer;

/* Zero-initialised is a pull of which nothing has been told. */
typedef struct PullProgress {
        PullLayer layers[PULL_LAYERS_MAX]; /* what an image has beyond these is not shown */
        size_t size;
        char retry[64]; /* "Retrying in 3 seconds", while that is so */
} PullProgress;

void pull_progress_take(PullProgress *progress, const cJSON *event);

/* What has been downloaded of all that is known to be needed, then what has been unpacked, in per cent; -1 as long as
 * nothing is known. */
int pull_progress_percent(const PullProgress *progress);

/* "21 MB of 48 MB, 3 of 7 layers done", for people. NULL on ENOMEM. */
char *pull_progress_text(const PullProgress *progress);

/* The same of a layer that is being downloaded or unpacked; false of another. */
bool pull_layer_is_active(const PullLayer *layer);
int pull_layer_percent(const PullLayer *layer);
char *pull_layer_text(const PullLayer *layer);

/* Bytes that were downloaded. */
uint64_t pull_progress_received(const PullProgress *progress);
