/* SPDX-License-Identifier: Apache-2.0 */

/* One shelf a runtime. What is on it changes by itself only in the callbacks of its sandboxes; everything else happens
 * when the agent's pump asks, so that making, taking and throwing away never run inside one another. A sandbox that
 * fails, at its making or while it waits, makes the shelf pause, longer each time, until one has come up again. */

#include "pool.h"
#include "log.h"
#include "message-ids.h"

#include <errno.h>
#include <string.h>
#include <systemd/sd-id128.h>

#define PAUSE_FIRST_USEC (USEC_PER_SEC / 2)
#define YIELD_USEC (USEC_PER_SEC / 10)
#define PAUSE_DOUBLINGS 6U /* up to 32 s */

typedef struct Place Place;

typedef struct Shelf {
        Pool *pool;
        const ConfigRuntime *runtime;
        Place *places;
        char *image_id; /* what they were made from */
        unsigned failures;
        sd_event_source *timer; /* the end of a pause, or of being idle */
        uint64_t pause_until_usec;
        uint64_t asked_usec;       /* when it was last asked for a sandbox */
        uint64_t short_since_usec; /* one is missing; 0 while none is */
} Shelf;

struct Place {
        Place *next;
        Shelf *shelf;
        Sandbox *sandbox;
        bool ready;
};

struct Pool {
        sd_event *event;
        const Config *config;
        char *boot_id;
        Shelf *shelves; /* as many as config->runtimes */
        size_t shelves_size;
        PoolHandlers handlers;
        void *userdata;
};

/* ---- places ---- */

static void place_remove(Place *place) {
        Place **at = &place->shelf->places;

        while (*at != place)
                at = &(*at)->next;
        *at = place->next;
        sandbox_free(place->sandbox);
        free(place);
}

static void shelf_clear(Shelf *shelf) {
        while (shelf->places)
                place_remove(shelf->places);
        free(shelf->image_id);
        shelf->image_id = NULL;
}

static PoolCounts shelf_counts(const Shelf *shelf) {
        PoolCounts counts = {.failures = shelf->failures};

        for (const Place *place = shelf->places; place; place = place->next) {
                if (place->ready)
                        counts.ready++;
                else
                        counts.creating++;
        }
        return counts;
}

static int shelf_wake_at(Shelf *shelf, uint64_t usec) {
        int r = sd_event_source_set_time(shelf->timer, usec);

        return r < 0 ? r : sd_event_source_set_enabled(shelf->timer, SD_EVENT_ONESHOT);
}

static void shelf_pause(Shelf *shelf) {
        unsigned doublings = shelf->failures < PAUSE_DOUBLINGS ? shelf->failures : PAUSE_DOUBLINGS;

        shelf->failures++;
        shelf->pause_until_usec = now_usec() + (PAUSE_FIRST_USEC << doublings);
        if (shelf_wake_at(shelf, shelf->pause_until_usec) < 0)
                log_line(LOG_ERR, "The pool's timer cannot be set");
}

static int on_shelf_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Shelf *shelf = userdata;

        (void) source;
        (void) usec;
        shelf->pool->handlers.changed(shelf->pool->userdata);
        return 0;
}

/* ---- a sandbox's way to being ready ---- */

static void place_is_ready(Place *place) {
        place->ready = true;
        place->shelf->failures = 0;
        place->shelf->pool->handlers.changed(place->shelf->pool->userdata);
}

static void place_fails(Place *place, SandboxFailure failure, const char *message) {
        Shelf *shelf = place->shelf;
        Pool *pool = shelf->pool;

        log_message(LOG_WARNING, MESSAGE_POOL_FAILING, "A sandbox of %s that %s has failed: %s", shelf->runtime->name,
                    place->ready ? "stood ready" : "was being made", message ? message : "");
        place_remove(place);
        shelf_pause(shelf);
        pool->handlers.failed(failure, pool->userdata);
}

static void on_ready(const Evidence *evidence, void *userdata) {
        Place *place = userdata;
        const ConfigRuntime *runtime = place->shelf->runtime;
        int r;

        (void) evidence;
        if (runtime->warm_arguments.size == 0) {
                place_is_ready(place);
                return;
        }
        r = sandbox_warm_up(place->sandbox, place->shelf->pool->config, runtime);
        if (r < 0)
                place_fails(place, SANDBOX_E_DOCKER, strerror(-r));
}

static void on_warmed(void *userdata) {
        place_is_ready(userdata);
}

/* A sandbox without a program breaks the protocol before one of these is called. */
static void on_output(FrameType stream, const uint8_t *data, size_t size, void *userdata) {
        (void) stream;
        (void) data;
        (void) size;
        (void) userdata;
}

static void on_exited(const FrameExit *report, void *userdata) {
        (void) report;
        place_fails(userdata, SANDBOX_E_PROTOCOL, "it ended");
}

static void on_failed(const SandboxError *error, void *userdata) {
        place_fails(userdata, error->failure, error->message);
}

static int place_add(Shelf *shelf, const SandboxContext *context) {
        static const SandboxHandlers handlers = {
                .ready = on_ready,
                .warmed = on_warmed,
                .output = on_output,
                .exited = on_exited,
                .failed = on_failed,
        };
        const Pool *pool = shelf->pool;
        char name[SD_ID128_STRING_MAX];
        Place *place;
        sd_id128_t id;
        int r = sd_id128_randomize(&id);

        if (r < 0)
                return r;
        place = calloc(1, sizeof(*place));
        if (!place)
                return -ENOMEM;
        TemplateInput input = {
                .config = pool->config,
                .runtime = shelf->runtime,
                .image_id = shelf->image_id,
                .instance = containers_instance(context->containers),
                .boot_id = pool->boot_id,
                .execution_id = sd_id128_to_string(id, name),
                .memory_mb = pool->config->limits[CONFIG_LIMIT_MEMORY_MB].fallback,
                .disk_mb = pool->config->limits[CONFIG_LIMIT_DISK_MB].fallback,
        };
        place->shelf = shelf;
        r = sandbox_new(context, &input, &handlers, place, &place->sandbox);
        if (r < 0) {
                free(place);
                return r;
        }
        place->next = shelf->places;
        shelf->places = place;
        return 0;
}

/* ---- the whole ---- */

static void shelves_free(Pool *pool) {
        for (size_t i = 0; i < pool->shelves_size; i++) {
                shelf_clear(&pool->shelves[i]);
                (void) sd_event_source_disable_unref(pool->shelves[i].timer);
        }
        free(pool->shelves);
        pool->shelves = NULL;
        pool->shelves_size = 0;
}

static int shelf_init(Shelf *shelf, Pool *pool, const ConfigRuntime *runtime) {
        int r;

        *shelf = (Shelf){.pool = pool, .runtime = runtime, .asked_usec = now_usec()};
        r = sd_event_add_time(pool->event, &shelf->timer, CLOCK_MONOTONIC, 0, 0, on_shelf_timer, shelf);
        if (r >= 0)
                r = sd_event_source_set_enabled(shelf->timer, SD_EVENT_OFF);
        if (r >= 0)
                (void) sd_event_source_set_description(shelf->timer, "pool");
        return r;
}

int pool_set_config(Pool *pool, const Config *config) {
        Shelf *shelves = calloc(config->runtimes_size, sizeof(*shelves));

        if (!shelves)
                return -ENOMEM;
        shelves_free(pool);
        pool->config = config;
        pool->shelves = shelves;
        for (; pool->shelves_size < config->runtimes_size; pool->shelves_size++) {
                int r = shelf_init(&pool->shelves[pool->shelves_size], pool, &config->runtimes[pool->shelves_size]);

                if (r < 0)
                        return r;
        }
        return 0;
}

int pool_new(sd_event *event, const Config *config, const char *boot_id, const PoolHandlers *handlers, void *userdata,
             Pool **ret_pool) {
        CLEANUP(pool_freep) Pool *pool = calloc(1, sizeof(*pool));
        int r;

        if (!pool)
                return -ENOMEM;
        pool->event = sd_event_ref(event);
        pool->handlers = *handlers;
        pool->userdata = userdata;
        pool->boot_id = strdup(boot_id);
        if (!pool->boot_id)
                return -ENOMEM;
        r = pool_set_config(pool, config);
        if (r < 0)
                return r;
        *ret_pool = TAKE_PTR(pool);
        return 0;
}

Pool *pool_free(Pool *pool) {
        if (!pool)
                return NULL;
        shelves_free(pool);
        free(pool->boot_id);
        (void) sd_event_unref(pool->event);
        free(pool);
        return NULL;
}

void pool_clear_runtime(Pool *pool, size_t index) {
        shelf_clear(&pool->shelves[index]);
}

void pool_clear(Pool *pool) {
        for (size_t i = 0; i < pool->shelves_size; i++)
                shelf_clear(&pool->shelves[i]);
}

/* Has nobody asked for so long that what is there is let go? Else the timer is set for when that may be. */
static bool is_idle(Shelf *shelf) {
        uint64_t idle_usec = shelf->runtime->pool.idle_release_ms * USEC_PER_MSEC;

        if (idle_usec == 0)
                return false;
        if (now_usec() >= shelf->asked_usec + idle_usec)
                return true;
        (void) shelf_wake_at(shelf, shelf->asked_usec + idle_usec);
        return false;
}

/* Making a sandbox takes the processors from the programs that run; most of those end sooner than they would notice. */
static bool yields(Shelf *shelf, size_t in_use) {
        if (shelf->short_since_usec == 0)
                shelf->short_since_usec = now_usec();
        if (in_use == 0 || now_usec() >= shelf->short_since_usec + YIELD_USEC)
                return false;
        (void) shelf_wake_at(shelf, shelf->short_since_usec + YIELD_USEC);
        return true;
}

void pool_fill(Pool *pool, size_t index, const SandboxContext *context, const char *image_id, size_t in_use) {
        Shelf *shelf = &pool->shelves[index];
        const ConfigPool *settings = &shelf->runtime->pool;
        PoolCounts counts;

        if (settings->warm == 0)
                return;
        if (shelf->image_id && strcmp(shelf->image_id, image_id) != 0)
                shelf_clear(shelf);
        if (now_usec() < shelf->pause_until_usec)
                return;
        if (is_idle(shelf)) {
                shelf_clear(shelf);
                return;
        }
        if (!shelf->image_id)
                shelf->image_id = strdup(image_id);
        counts = shelf_counts(shelf);
        if (counts.ready + counts.creating >= settings->warm) {
                shelf->short_since_usec = 0;
                return;
        }
        if (yields(shelf, in_use))
                return;
        while (shelf->image_id && counts.creating < settings->creating &&
               counts.ready + counts.creating < settings->warm &&
               counts.ready + counts.creating + in_use < settings->max) {
                int r = place_add(shelf, context);

                if (r < 0) {
                        log_message(LOG_WARNING, MESSAGE_POOL_FAILING, "No sandbox of %s can be made: %s",
                                    shelf->runtime->name, strerror(-r));
                        shelf_pause(shelf);
                        return;
                }
                counts.creating++;
        }
}

static bool fits(const Pool *pool, const Request *request) {
        return request->limits[CONFIG_LIMIT_MEMORY_MB] == pool->config->limits[CONFIG_LIMIT_MEMORY_MB].fallback &&
               request->limits[CONFIG_LIMIT_DISK_MB] == pool->config->limits[CONFIG_LIMIT_DISK_MB].fallback;
}

Sandbox *pool_take(Pool *pool, size_t index, const char *image_id, const Request *request) {
        Shelf *shelf = &pool->shelves[index];
        Sandbox *sandbox;

        shelf->asked_usec = now_usec();
        if (!fits(pool, request) || !shelf->image_id || strcmp(shelf->image_id, image_id) != 0)
                return NULL;
        for (Place *place = shelf->places; place; place = place->next)
                if (place->ready && sandbox_is_alive(place->sandbox)) {
                        sandbox = TAKE_PTR(place->sandbox);
                        place_remove(place);
                        return sandbox;
                }
        return NULL;
}

PoolCounts pool_counts(const Pool *pool, size_t index) {
        return shelf_counts(&pool->shelves[index]);
}

size_t pool_size(const Pool *pool) {
        size_t size = 0;

        for (size_t i = 0; i < pool->shelves_size; i++) {
                PoolCounts counts = shelf_counts(&pool->shelves[i]);

                size += counts.ready + counts.creating;
        }
        return size;
}
