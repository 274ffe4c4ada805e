/* SPDX-License-Identifier: Apache-2.0 */

/* Taking a sandbox down costs the host several times the processor time that a small program needs: the runtime's end,
 * gVisor's, the shim's, Docker's. When many programs run at once, the first to end would take the processors from the
 * others; most of those end soon, too. So its end waits until none runs, or a tenth of a second, in the order in which
 * they came. What its program left behind stands still meanwhile, or has been killed by the guest. */

#include "retired.h"
#include "log.h"

#include <errno.h>
#include <string.h>

#define LONGEST_USEC (USEC_PER_SEC / 10)

typedef struct Entry Entry;

struct Entry {
        Entry *next;
        Sandbox *sandbox;
        uint64_t due_usec;
};

struct Retired {
        sd_event_source *timer;
        Entry *first, **end;
};

static void take_down_first(Retired *retired) {
        Entry *entry = retired->first;

        retired->first = entry->next;
        if (!retired->first)
                retired->end = &retired->first;
        sandbox_free(entry->sandbox);
        free(entry);
}

static int arm(Retired *retired) {
        int r;

        if (!retired->first)
                return sd_event_source_set_enabled(retired->timer, SD_EVENT_OFF);
        r = sd_event_source_set_time(retired->timer, retired->first->due_usec);
        return r < 0 ? r : sd_event_source_set_enabled(retired->timer, SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Retired *retired = userdata;

        (void) source;
        while (retired->first && retired->first->due_usec <= usec)
                take_down_first(retired);
        return arm(retired);
}

int retired_new(sd_event *event, Retired **ret_retired) {
        CLEANUP(retired_freep) Retired *retired = calloc(1, sizeof(*retired));
        int r;

        if (!retired)
                return -ENOMEM;
        retired->end = &retired->first;
        r = sd_event_add_time(event, &retired->timer, CLOCK_MONOTONIC, 0, 0, on_timer, retired);
        if (r >= 0)
                r = sd_event_source_set_enabled(retired->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(retired->timer, "retired");
        *ret_retired = TAKE_PTR(retired);
        return 0;
}

void retired_clear(Retired *retired) {
        while (retired->first)
                take_down_first(retired);
}

Retired *retired_free(Retired *retired) {
        if (!retired)
                return NULL;
        retired_clear(retired);
        (void) sd_event_source_disable_unref(retired->timer);
        free(retired);
        return NULL;
}

void retired_add(Retired *retired, Sandbox *sandbox) {
        Entry *entry = malloc(sizeof(*entry));

        if (!entry) {
                sandbox_free(sandbox);
                return;
        }
        *entry = (Entry){.sandbox = sandbox, .due_usec = now_usec() + LONGEST_USEC};
        *retired->end = entry;
        retired->end = &entry->next;
        if (retired->first == entry && arm(retired) < 0)
                retired_clear(retired);
}
