/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "docker.h"

/* The agent's containers on Docker: makes them, and sees to it that each one is gone in the end. */

typedef struct Containers Containers;
typedef struct Container Container;

/* id is NULL when Docker refused, with reply saying why. */
typedef void (*ContainerCreated)(const char *id, const DockerReply *reply, void *userdata);

/* Called whenever the number of containers has gone down. */
typedef void (*ContainersChanged)(void *userdata);

int containers_new(sd_event *event, Docker *docker, const char *instance, const char *boot_id,
                   ContainersChanged changed, void *userdata, Containers **ret_containers);

/* Forgets what is still to be removed; the next agent's sweep finds it. */
Containers *containers_free(Containers *containers);

DEFINE_CLEANUP(Containers *, containers_free)

/* Creates one. created is called once, unless the container is released before. */
int containers_create(Containers *containers, const char *execution_id, const cJSON *spec, ContainerCreated created,
                      void *userdata, Container **ret_container);

/* Gives it up at any moment, also while it is being created: it will be killed and removed, in the background and again
 * until it has worked. NULL is taken. Returns NULL. */
Container *container_release(Container *container);

DEFINE_CLEANUP(Container *, container_release)

/* The instance whose label each of its containers has to carry. */
const char *containers_instance(const Containers *containers);

/* Containers that exist or may exist: being created, in use, or being removed. */
size_t containers_count(const Containers *containers);

/* How many Docker has made, or may have made, for this object since it began, and how many of those are gone. */
typedef struct ContainersTotals {
        uint64_t created, destroyed;
} ContainersTotals;

ContainersTotals containers_totals(const Containers *containers);

/* Containers that are there still although their removal has failed at least once. */
size_t containers_not_removed(const Containers *containers);

/* Removes what an agent of this instance that runs no more has left. found is for the journal. */
typedef void (*ContainersSwept)(int error, const char *message, size_t found, void *userdata);
int containers_sweep(Containers *containers, ContainersSwept swept, void *userdata);
