/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What every file may need: cleanup attributes, ownership transfer, checked arithmetic. No types of the product. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(f) __attribute__((cleanup(f)))
#define PRINTF_LIKE(at, first) __attribute__((__format__(__printf__, at, first)))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Gives the pointer away and leaves NULL behind. */
#define TAKE_PTR(p)                                     \
        __extension__({                                 \
                __typeof__(p) *take_ptr_ = &(p);        \
                __typeof__(p) take_value_ = *take_ptr_; \
                *take_ptr_ = NULL;                      \
                take_value_;                            \
        })

/* Defines function##p, which a CLEANUP attribute can call on a variable. */
#define DEFINE_CLEANUP(type, function)            \
        static inline void function##p(type *p) { \
                if (*p)                           \
                        function(*p);             \
        }

static inline void freep(void *p) {
        free(*(void **) p);
}

#define CLEANUP_FREE CLEANUP(freep)

static inline int close_fd(int fd) {
        if (fd >= 0)
                (void) close(fd);
        return -1;
}

static inline void close_fdp(int *fd) {
        *fd = close_fd(*fd);
}

#define CLEANUP_FD CLEANUP(close_fdp)

/* Gives the descriptor away and leaves -1 behind. */
static inline int take_fd(int *fd) {
        int taken = *fd;

        *fd = -1;
        return taken;
}

static inline bool size_add(size_t a, size_t b, size_t *ret) {
        return !__builtin_add_overflow(a, b, ret);
}

#define USEC_PER_MSEC UINT64_C(1000)
#define USEC_PER_SEC UINT64_C(1000000)

/* Monotonic time in microseconds. */
uint64_t now_usec(void);
