/* SPDX-License-Identifier: Apache-2.0 */

/* Docker's samples, rather than the cgroup's own files: they are the same on every cgroup version and driver, and need
 * no path of the host. What counts is memory that the kernel can't take back. The page cache of the image's files is
 * charged to the sandbox as well and fills it in all innocence, up to the limit; that alone is no reason to end it.
 *
 * A kernel may also kill the sandbox when it is full, and Docker may know nothing of it (exit code 137, OOMKilled
 * false). Memory that fills up does so in a second or less, so the first second is looked at closely, and all time
 * after half of the memory is held; where its growth was leading to by the time of a death tells then whether it was
 * that.
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

#define CLOSE_USEC (USEC_PER_SEC / 10)
#define CLOSE_SAMPLES 10U /* in any case, from the start */
#define WIDE_USEC (USEC_PER_SEC / 2)
#define STILL_USEC USEC_PER_SEC /* how long it has to have stood still */
#define USED_PERCENT 98U
#define EVIDENCE_MAX 128
#define HELD_PERCENT 90U /* used, and not to be reclaimed */

struct MemoryWatch {
        Docker *docker;
        DockerCall *call;
        sd_event_source *timer; /* to the next sample */
        char *container_id;
        uint64_t limit;
        MemorySample before, earlier, last; /* at least STILL_USEC old, the one before the last, the last */
        uint64_t before_usec, earlier_usec, last_usec;
        unsigned samples;
        bool warned;
        MemoryWatchReached reached;
        void *userdata;
};

MemoryWatch *memory_watch_free(MemoryWatch *watch) {
        if (!watch)
                return NULL;
        (void) sd_event_source_disable_unref(watch->timer);
        docker_call_free(watch->call);
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

static uint64_t held(const MemorySample *sample) {
        return sample->used - sample->reclaimable;
}

static void remember(MemoryWatch *watch, const MemorySample *sample) {
        uint64_t now = now_usec();

        watch->earlier = watch->last;
        watch->earlier_usec = watch->last_usec;
        watch->last = *sample;
        watch->last_usec = now;
        watch->samples++;
        if (watch->before_usec == 0 || now >= watch->before_usec + STILL_USEC) {
                watch->before = *sample;
                watch->before_usec = now;
        }
}

/* Reads a sample. Returns true when the limit was reached and has been told; the watch may be gone then. */
static bool take_sample(MemoryWatch *watch, const cJSON *document) {
        MemorySample now = memory_sample_read(document);
        bool long_enough = watch->before_usec != 0 && now_usec() >= watch->before_usec + STILL_USEC;
        MemorySample none = {0};
        char evidence[EVIDENCE_MAX];

        if (!memory_is_at_limit(&now, long_enough ? &watch->before : &none, watch->limit)) {
                remember(watch, &now);
                return false;
        }
        (void) snprintf(
                evidence, sizeof(evidence), "the sandbox used %llu of %llu bytes, of which %llu could be reclaimed",
                (unsigned long long) now.used, (unsigned long long) watch->limit, (unsigned long long) now.reclaimable);
        watch->reached(evidence, watch->userdata);
        return true;
}

static void sample_in(MemoryWatch *watch, uint64_t usec) {
        if (sd_event_source_set_time_relative(watch->timer, usec) < 0 ||
            sd_event_source_set_enabled(watch->timer, SD_EVENT_ONESHOT) < 0)
                log_line(LOG_ERR, "The memory of a sandbox is not watched any more: its timer cannot be set");
}

/* After the container's end nobody is left to care; before it, Docker may have gone, and the program runs on. */
static void on_sample(const DockerReply *reply, void *userdata) {
        MemoryWatch *watch = userdata;
        bool close;

        if (!docker_reply_ok(reply) && !watch->warned)
                log_line(LOG_WARNING, "The memory of a sandbox cannot be watched for now: %s", reply->message);
        watch->warned = !docker_reply_ok(reply);
        if (docker_reply_ok(reply) && take_sample(watch, reply->json))
                return;
        watch->call = docker_call_free(watch->call);
        close = watch->samples < CLOSE_SAMPLES || held(&watch->last) >= watch->limit / 2;
        sample_in(watch, close && !watch->warned ? CLOSE_USEC : WIDE_USEC);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        MemoryWatch *watch = userdata;

        (void) source;
        (void) usec;
        if (docker_container_sample(watch->docker, watch->container_id, on_sample, watch, &watch->call) < 0)
                sample_in(watch, WIDE_USEC);
        return 0;
}

bool memory_watch_led_to_limit(const MemoryWatch *watch, char *ret_evidence, size_t size) {
        uint64_t now = now_usec(), used = held(&watch->last), before = held(&watch->earlier);
        double growth = 0; /* Docker's figures may be any, and their products larger than an integer holds */

        if (watch->last_usec == 0)
                return false;
        if (used > before && watch->last_usec > watch->earlier_usec && watch->earlier_usec > 0)
                growth = (double) (used - before) * (double) (now - watch->last_usec) /
                         (double) (watch->last_usec - watch->earlier_usec);
        (void) snprintf(ret_evidence, size,
                        "%llu ms before, the sandbox used %llu of %llu bytes, %llu more than %llu ms earlier",
                        (unsigned long long) (now - watch->last_usec) / USEC_PER_MSEC, (unsigned long long) used,
                        (unsigned long long) watch->limit, (unsigned long long) (used > before ? used - before : 0),
                        (unsigned long long) (watch->last_usec - watch->earlier_usec) / USEC_PER_MSEC);
        return (double) used + growth >= (double) watch->limit * HELD_PERCENT / 100;
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
        r = sd_event_add_time_relative(event, &watch->timer, CLOCK_MONOTONIC, CLOSE_USEC, 1, on_timer, watch);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(watch->timer, "memory-watch");
        *ret_watch = TAKE_PTR(watch);
        return 0;
}
