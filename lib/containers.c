/* SPDX-License-Identifier: Apache-2.0 */

/* A container outlives whoever asked for it: its creation cannot be called back once Docker works on it, and its
 * removal takes longer than anyone wants to wait. So each has an object of its own here, which goes through CREATING,
 * HELD, ENDING, REMOVING and then away; an owner that leaves early only marks it as released. Nobody else removes
 * containers. What is lost when the agent dies is found by its labels: same instance, another boot. */

#include "containers.h"
#include "log.h"
#include "message-ids.h"
#include "template.h"

#include <errno.h>
#include <string.h>

#define REMOVE_RETRY_USEC USEC_PER_SEC
#define REMOVE_TRIES_LOGGED 1U
/* For a guest whose agent has hung up to end by itself, before it is killed: a kill in the midst of many dying
 * processes can keep Docker busy for a minute, an orderly end takes a fraction of a second. */
#define END_MS 2000U
/* How long a creation whose answer was lost may still come true. */
#define UNSURE_USEC (30 * USEC_PER_SEC)

typedef enum ContainerState {
        CONTAINER_CREATING,
        CONTAINER_REFUSED, /* Docker made none */
        CONTAINER_HELD,
        CONTAINER_ENDING,
        CONTAINER_REMOVING,
} ContainerState;

struct Container {
        Containers *containers;
        Container *next, *previous;
        ContainerState state;
        bool released;
        bool counted; /* among those created */
        char *name;
        char *id; /* NULL until Docker has told it */
        DockerCall *call;
        sd_event_source *retry;
        unsigned failures;
        uint64_t unsure_until_usec; /* until then, "no such container" is not the last word */
        ContainerCreated created;
        void *userdata;
};

struct Containers {
        sd_event *event;
        Docker *docker;
        char *instance;
        char *boot_id;
        Container *first;
        size_t count;
        ContainersTotals totals;
        DockerCall *sweep_call;
        ContainersSwept swept;
        void *swept_userdata;
        ContainersChanged changed;
        void *userdata;
};

static void remove_now(Container *container);

int containers_new(sd_event *event, Docker *docker, const char *instance, const char *boot_id,
                   ContainersChanged changed, void *userdata, Containers **ret_containers) {
        CLEANUP(containers_freep) Containers *containers = calloc(1, sizeof(*containers));

        if (!containers)
                return -ENOMEM;
        *containers = (Containers){
                .event = sd_event_ref(event),
                .docker = docker,
                .instance = strdup(instance),
                .boot_id = strdup(boot_id),
                .changed = changed,
                .userdata = userdata,
        };
        if (!containers->instance || !containers->boot_id)
                return -ENOMEM;
        *ret_containers = TAKE_PTR(containers);
        return 0;
}

static void container_free(Container *container) {
        Containers *containers = container->containers;

        if (container->previous)
                container->previous->next = container->next;
        else
                containers->first = container->next;
        if (container->next)
                container->next->previous = container->previous;
        containers->count--;
        docker_call_free(container->call);
        (void) sd_event_source_disable_unref(container->retry);
        free(container->name);
        free(container->id);
        free(container);
}

Containers *containers_free(Containers *containers) {
        if (!containers)
                return NULL;
        while (containers->first)
                container_free(containers->first);
        docker_call_free(containers->sweep_call);
        (void) sd_event_unref(containers->event);
        free(containers->instance);
        free(containers->boot_id);
        free(containers);
        return NULL;
}

const char *containers_instance(const Containers *containers) {
        return containers->instance;
}

size_t containers_count(const Containers *containers) {
        return containers->count;
}

ContainersTotals containers_totals(const Containers *containers) {
        return containers->totals;
}

size_t containers_not_removed(const Containers *containers) {
        size_t count = 0;

        for (const Container *container = containers->first; container; container = container->next)
                count += container->failures > 0;
        return count;
}

/* Takes name, also on failure. */
static Container *container_new(Containers *containers, char *name) {
        Container *container = name ? calloc(1, sizeof(*container)) : NULL;

        if (!container) {
                free(name);
                return NULL;
        }
        container->name = name;
        container->containers = containers;
        container->next = containers->first;
        if (containers->first)
                containers->first->previous = container;
        containers->first = container;
        containers->count++;
        return container;
}

static void container_gone(Container *container) {
        Containers *containers = container->containers;

        containers->totals.destroyed += container->counted;
        container_free(container);
        containers->changed(containers->userdata);
}

/* ---- removal ---- */

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata) {
        (void) source;
        (void) usec;
        remove_now(userdata);
        return 0;
}

static void remove_later(Container *container, const char *message) {
        int r;

        container->failures++;
        if (container->failures == REMOVE_TRIES_LOGGED && container->unsure_until_usec == 0)
                log_message(LOG_WARNING, MESSAGE_SANDBOX_NOT_REMOVED,
                            "Sandbox %s could not be removed and is tried again: %s", container->name, message);
        container->retry = sd_event_source_disable_unref(container->retry);
        r = sd_event_add_time_relative(container->containers->event, &container->retry, CLOCK_MONOTONIC,
                                       REMOVE_RETRY_USEC, 0, on_retry, container);
        if (r < 0 && r != -ESTALE) /* ESTALE: the loop has ended */
                log_message(LOG_ERR, MESSAGE_SANDBOX_NOT_REMOVED, "Sandbox %s is left to the next start's sweep: %s",
                            container->name, strerror(-r));
}

static void on_removed(const DockerReply *reply, void *userdata) {
        Container *container = userdata;

        bool missing = reply->error == 0 && reply->status == 404;

        container->call = docker_call_free(container->call);
        /* 409: Docker is at it; asked again until it is gone. */
        if (docker_reply_ok(reply) || (missing && now_usec() >= container->unsure_until_usec))
                container_gone(container);
        else
                remove_later(container, reply->message);
}

static void on_ended(const DockerReply *reply, void *userdata) {
        Container *container = userdata;

        (void) reply; /* ended, gone or hanging: the removal is for all of them */
        container->call = docker_call_free(container->call);
        remove_now(container);
}

static void end(Container *container) {
        container->state = CONTAINER_ENDING;
        if (docker_container_wait(container->containers->docker, container->name, END_MS, on_ended, container,
                                  &container->call) < 0)
                remove_now(container);
}

static void remove_now(Container *container) {
        int r;

        container->state = CONTAINER_REMOVING;
        r = docker_container_remove(container->containers->docker, container->name, on_removed, container,
                                    &container->call);
        if (r < 0)
                remove_later(container, strerror(-r));
}

/* ---- creation ---- */

/* Whether Docker may have made a container although it told no id: it was asked and the answer is lost, or it says that
 * there is one of this name already, which is random: curl has repeated the call on another connection. */
static bool outcome_is_unknown(const DockerReply *reply) {
        return (reply->error < 0 && reply->error != -ECONNREFUSED) || (reply->error == 0 && reply->status == 409);
}

static void on_created(const DockerReply *reply, void *userdata) {
        Container *container = userdata;
        const char *id = docker_reply_ok(reply) ? json_get_string(reply->json, "Id") : NULL;

        container->call = docker_call_free(container->call);
        container->state = id || outcome_is_unknown(reply) ? CONTAINER_HELD : CONTAINER_REFUSED;
        if (id)
                container->id = strdup(id);
        else if (container->state == CONTAINER_HELD)
                container->unsure_until_usec = now_usec() + UNSURE_USEC;
        container->counted = container->state == CONTAINER_HELD;
        container->containers->totals.created += container->counted;
        if (!container->released)
                container->created(container->id, reply, container->userdata);
        else if (container->state == CONTAINER_HELD)
                remove_now(container);
        else
                container_gone(container);
}

int containers_create(Containers *containers, const char *execution_id, const cJSON *spec, ContainerCreated created,
                      void *userdata, Container **ret_container) {
        Container *container;
        int r;

        container = container_new(containers, text_format("tee-%s-%s", containers->instance, execution_id));
        if (!container)
                return -ENOMEM;
        container->created = created;
        container->userdata = userdata;
        r = docker_container_create(containers->docker, container->name, spec, on_created, container, &container->call);
        if (r < 0) {
                container_free(container);
                return r;
        }
        *ret_container = container;
        return 0;
}

Container *container_release(Container *container) {
        if (!container)
                return NULL;
        container->released = true;
        if (container->state == CONTAINER_HELD)
                end(container);
        else if (container->state == CONTAINER_REFUSED)
                container_gone(container);
        return NULL;
}

/* ---- sweep ---- */

static int sweep_one(Containers *containers, const cJSON *item) {
        const char *id = json_get_string(item, "Id");
        const char *boot = json_get_string(json_get_object(item, "Labels"), TEMPLATE_LABEL_BOOT);
        Container *container;

        if (!id || (boot && strcmp(boot, containers->boot_id) == 0))
                return 0;
        container = container_new(containers, strdup(id));
        if (!container)
                return -ENOMEM;
        container->released = true;
        remove_now(container);
        return 1;
}

static void on_listed(const DockerReply *reply, void *userdata) {
        Containers *containers = userdata;
        const cJSON *item;
        size_t found = 0;

        containers->sweep_call = docker_call_free(containers->sweep_call);
        if (!docker_reply_ok(reply) || !cJSON_IsArray(reply->json)) {
                containers->swept(reply->error < 0 ? reply->error : -EIO,
                                  reply->message ? reply->message : "Docker's list of containers is no list", 0,
                                  containers->swept_userdata);
                return;
        }
        cJSON_ArrayForEach(item, reply->json) {
                int r = sweep_one(containers, item);

                if (r < 0) {
                        containers->swept(r, strerror(-r), found, containers->swept_userdata);
                        return;
                }
                found += (size_t) r;
        }
        containers->swept(0, NULL, found, containers->swept_userdata);
}

int containers_sweep(Containers *containers, ContainersSwept swept, void *userdata) {
        CLEANUP_FREE char *label = text_format("%s=%s", TEMPLATE_LABEL_INSTANCE, containers->instance);

        if (!label)
                return -ENOMEM;
        containers->sweep_call = docker_call_free(containers->sweep_call);
        containers->swept = swept;
        containers->swept_userdata = userdata;
        return docker_container_list(containers->docker, "label", label, on_listed, containers,
                                     &containers->sweep_call);
}
