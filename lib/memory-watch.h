/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "docker.h"

/* Watches from outside how much memory a sandbox uses, because the kernel does not always end one that stands at its
 * limit: on cgroup v1, gVisor is left there to page its own program text in and out for ever. */

typedef struct MemoryWatch MemoryWatch;

/* The sandbox stands at its limit; evidence says by which figures. Called at most once; may free the watch. */
typedef void (*MemoryWatchReached)(const char *evidence, void *userdata);

/* limit: of the container, in bytes. Samples come about once a second, the first after a quarter of one, so that a
 * short program costs Docker nothing. */
int memory_watch_new(sd_event *event, Docker *docker, const char *container_id, uint64_t limit,
                     MemoryWatchReached reached, void *userdata, MemoryWatch **ret_watch);
MemoryWatch *memory_watch_free(MemoryWatch *watch);

DEFINE_CLEANUP(MemoryWatch *, memory_watch_free)

/* Does this sample of Docker's say that limit is reached? In *ret_used, *ret_reclaimable: bytes. Pure. */
bool memory_is_at_limit(const cJSON *sample, uint64_t limit, uint64_t *ret_used, uint64_t *ret_reclaimable);
