/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "docker.h"

/* Watches from outside how much memory a sandbox uses, because the kernel does not always end one that stands at its
 * limit: on cgroup v1, gVisor is left there to page its own program text in and out for ever. */

typedef struct MemoryWatch MemoryWatch;

/* The sandbox stands at its limit; evidence says by which figures. Called at most once; may free the watch. */
typedef void (*MemoryWatchReached)(const char *evidence, void *userdata);

/* limit: of the container, in bytes. Samples are taken ten times a second to begin with and when much is held, else
 * twice; the first after a tenth of one, so that a short program costs Docker nothing. */
int memory_watch_new(sd_event *event, Docker *docker, const char *container_id, uint64_t limit,
                     MemoryWatchReached reached, void *userdata, MemoryWatch **ret_watch);
MemoryWatch *memory_watch_free(MemoryWatch *watch);

DEFINE_CLEANUP(MemoryWatch *, memory_watch_free)

/* Of a sandbox that has just been killed, nobody says by whom: would its memory have been full by now, as it grew last?
 * Writes what was seen. */
bool memory_watch_led_to_limit(const MemoryWatch *watch, char *ret_evidence, size_t size);

/* Bytes, of one of Docker's samples; 0 for what it does not tell. */
typedef struct MemorySample {
        uint64_t used;
        uint64_t reclaimable; /* of used */
        uint64_t peak;        /* cgroup v1 alone tells it */
} MemorySample;

MemorySample memory_sample_read(const cJSON *sample);

/* Does this sample, with the one before it (all 0: there is none), say that limit is reached? */
bool memory_is_at_limit(const MemorySample *sample, const MemorySample *before, uint64_t limit);
