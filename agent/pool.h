/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "sandbox.h"

/* Sandboxes that stand ready: booted, proven, their runtime started and waiting. Each belongs to one runtime, has that
 * runtime's default limits, and is given away once. */

typedef struct Pool Pool;

typedef struct PoolHandlers {
        /* One is ready, one has failed, or it is time to try again: pool_fill() and pool_take() may go on. */
        void (*changed)(void *userdata);
        /* One could not be had, or died while it waited. */
        void (*failed)(SandboxFailure failure, void *userdata);
} PoolHandlers;

/* config must outlive the pool or be replaced by pool_set_config(). */
int pool_new(sd_event *event, const Config *config, const char *boot_id, const PoolHandlers *handlers, void *userdata,
             Pool **ret_pool);
Pool *pool_free(Pool *pool);

DEFINE_CLEANUP(Pool *, pool_free)

/* Throws everything away, and begins anew with another configuration. */
int pool_set_config(Pool *pool, const Config *config);

/* Throws everything away, to be made again. */
void pool_clear(Pool *pool);
void pool_clear_runtime(Pool *pool, size_t index);

/* Begins to make what is missing of the runtime at an index of config->runtimes. What was made from another image is
 * thrown away. in_use: sandboxes of that runtime beyond the pool. */
void pool_fill(Pool *pool, size_t index, const SandboxContext *context, const char *image_id, size_t in_use);

/* A sandbox for this request, now the caller's, or NULL when none that fits is ready. */
Sandbox *pool_take(Pool *pool, size_t index, const char *image_id, const Request *request);

typedef struct PoolCounts {
        size_t ready, creating;
        unsigned failures; /* in a row */
} PoolCounts;

PoolCounts pool_counts(const Pool *pool, size_t index);

/* Containers that it holds, over all runtimes. */
size_t pool_size(const Pool *pool);
