/* SPDX-License-Identifier: Apache-2.0 */

/* Docker's stream of samples, rather than the cgroup's own files: it is the same on every cgroup version and driver,
 * and needs no path of the host. What counts is memory that the kernel can't take back. The page cache of the image's
 * files is charged to the sandbox as well and fills it in all innocence, up to the limit; that alone is no reason to
 * end it.
 *
 * Measured on cgroup v1, sandboxes that filled their memory: usage 99.8 % to 100 % of the limit, of that 1 % to 6 %
 * file pages, which are gVisor's own text on its way out or in. Newer gVisor asks for memory in pieces of some MiB;
 * then usage stands still below the limit by less than one piece, 97 % of 128 MiB, no file page is left, and only the
 * peak tells that the limit was reached. */

#include "memory-watch.h"
#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FIRST_USEC (USEC_PER_SEC / 4)
#define AGAIN_USEC USEC_PER_SEC
#define USED_PERCENT 98U
#define EVIDENCE_MAX 128
#define HELD_PERCENT 90U /* used, and not to be reclaimed */

struct MemoryWatch {
        Docker *docker;
        DockerCall *stats;
        sd_event_source *timer; /* until the stream is opened, or opened again */
        sd_event_source *report;
        char *container_id;
        uint64_t limit;
        MemorySample before;
        char evidence[EVIDENCE_MAX];
        MemoryWatchReached reached;
        void *userdata;
};

MemoryWatch *memory_watch_free(MemoryWatch *watch) {
        if (!watch)
                return NULL;
        (void) sd_event_source_disable_unref(watch->timer);
        (void) sd_event_source_disable_unref(watch->report);
        docker_call_free(watch->stats);
        free(watch->container_id);
        free(watch);
        return NULL;
}

static uint64_t bytes(const cJSON *object, const char *key) {
        int64_t value = json_get_integer(object, key, 0);

        return value > 0 ? (uint64_t) value : 0;
}

/* cgroup v1 tells of the container's children under names of their own ("total_…"); v2 always includes them. */
static uint64_t file_pages(const cJSON *stats, const char *v1, const char *v2) {
        return bytes(stats, json_get(stats, v1) ? v1 : v2);
}

MemorySample memory_sample_read(const cJSON *sample) {
        const cJSON *memory = json_get_object(sample, "memory_stats"), *stats = json_get_object(memory, "stats");
        MemorySample read = {.used = bytes(memory, "usage"), .peak = bytes(memory, "max_usage")};
        uint64_t inactive = file_pages(stats, "total_inactive_file", "inactive_file");
        uint64_t active = file_pages(stats, "total_active_file", "active_file");

        read.reclaimable = inactive < read.used ? inactive : read.used;
        read.reclaimable += active < read.used - read.reclaimable ? active : read.used - read.reclaimable;
        return read;
}

/* It was full once, everything that could be reclaimed has been, and it has not moved since. */
static bool stands_still(const MemorySample *sample, const MemorySample *before, uint64_t limit) {
        return sample->peak >= limit && sample->reclaimable < limit / 100 && sample->used == before->used;
}

bool memory_is_at_limit(const MemorySample *sample, const MemorySample *before, uint64_t limit) {
        if (sample->used - sample->reclaimable < limit / 100 * HELD_PERCENT)
                return false;
        return sample->used >= limit / 100 * USED_PERCENT || stands_still(sample, before, limit);
}

static int on_report(sd_event_source *source, void *userdata) {
        MemoryWatch *watch = userdata;
        char evidence[EVIDENCE_MAX]; /* outlives the watch */

        (void) source;
        memcpy(evidence, watch->evidence, sizeof(evidence));
        watch->reached(evidence, watch->userdata);
        return 0;
}

static void on_sample(const cJSON *document, void *userdata) {
        MemoryWatch *watch = userdata;
        MemorySample now = memory_sample_read(document), before = watch->before;

        watch->before = now;
        if (watch->report || !memory_is_at_limit(&now, &before, watch->limit))
                return;
        (void) snprintf(watch->evidence, sizeof(watch->evidence),
                        "the sandbox used %llu of %llu bytes, of which %llu could be reclaimed",
                        (unsigned long long) now.used, (unsigned long long) watch->limit,
                        (unsigned long long) now.reclaimable);
        /* Not from here, where the call that brings the sample must not be freed. */
        if (sd_event_add_defer(sd_event_source_get_event(watch->timer), &watch->report, on_report, watch) < 0)
                log_line(LOG_ERR,
                         "No memory to end a sandbox that stands at its memory limit; the next sample tries again");
}

/* It ends with the container, and then nobody is left to care. It may also end before, with Docker itself or not at all
 * having begun; the program runs on, so the watch begins again. */
static void on_stats_ended(const DockerReply *reply, void *userdata) {
        MemoryWatch *watch = userdata;

        if (!docker_reply_ok(reply))
                log_line(LOG_WARNING, "The memory of a sandbox cannot be watched for a second: %s", reply->message);
        watch->stats = docker_call_free(watch->stats);
        (void) sd_event_source_set_time_relative(watch->timer, AGAIN_USEC);
        (void) sd_event_source_set_enabled(watch->timer, SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        MemoryWatch *watch = userdata;
        int r = docker_container_stats(watch->docker, watch->container_id, on_sample, on_stats_ended, watch,
                                       &watch->stats);

        (void) source;
        (void) usec;
        if (r < 0)
                on_stats_ended(&(DockerReply){.error = r, .message = strerror(-r)}, watch);
        return 0;
}

int memory_watch_new(sd_event *event, Docker *docker, const char *container_id, uint64_t limit,
                     MemoryWatchReached reached, void *userdata, MemoryWatch **ret_watch) {
        CLEANUP(memory_watch_freep) MemoryWatch *watch = calloc(1, sizeof(*watch));
        int r;

        if (!watch)
                return -ENOMEM;
        watch->docker = docker;
        watch->limit = limit;
        watch->reached = reached;
        watch->userdata = userdata;
        watch->container_id = strdup(container_id);
        if (!watch->container_id)
                return -ENOMEM;
        r = sd_event_add_time_relative(event, &watch->timer, CLOCK_MONOTONIC, FIRST_USEC, 0, on_timer, watch);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(watch->timer, "memory-watch");
        *ret_watch = TAKE_PTR(watch);
        return 0;
}
