/* SPDX-License-Identifier: Apache-2.0 */

/* The pipes are opened for reading and writing at both ends, so that no open waits for the other side and neither end
 * ever hangs up; that the runtime has ended is told by SIGCHLD. A whole message is one write into an empty pipe, which
 * takes all of it or nothing. */

#include "warm.h"

#include "frame.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIPE_IN "/tmp/.tee-in"
#define PIPE_OUT "/tmp/.tee-out"
#define MESSAGE_MAX 65536U /* what an empty pipe holds */

static void fd_close(int *fd) {
        if (*fd >= 0)
                close(*fd);
        *fd = -1;
}

void warm_init(Warm *warm, const Identity *identity) {
        *warm = (Warm){.identity = identity, .in_fd = -1, .out_fd = -1};
}

void warm_close(Warm *warm) {
        fd_close(&warm->in_fd);
        fd_close(&warm->out_fd);
}

static int pipe_make(const char *path, int *ret_fd) {
        if (mkfifo(path, 0600) < 0)
                return -errno;
        *ret_fd = open(path, O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
        return *ret_fd < 0 ? -errno : 0;
}

int warm_open(Warm *warm, const char *entry) {
        size_t n = strlen(entry);
        int r, error;

        if (n >= sizeof(warm->entry))
                return -E2BIG;
        memcpy(warm->entry, entry, n + 1);

        error = identity_borrow(warm->identity);
        if (error == 0)
                error = pipe_make(PIPE_IN, &warm->in_fd);
        if (error == 0)
                error = pipe_make(PIPE_OUT, &warm->out_fd);
        r = identity_return();
        return error < 0 ? error : r;
}

int warm_hide(const Warm *warm) {
        int r, error;

        error = identity_borrow(warm->identity);
        if (error == 0 && (unlink(PIPE_IN) < 0 || unlink(PIPE_OUT) < 0))
                error = -errno;
        r = identity_return();
        return error < 0 ? error : r;
}

WarmWord warm_read(const Warm *warm, uint8_t *ret_code) {
        uint8_t bytes[3];
        ssize_t n = read(warm->out_fd, bytes, sizeof(bytes));

        if (n == 1 && (bytes[0] == WARM_READY || bytes[0] == WARM_CANNOT))
                return (WarmWord) bytes[0];
        if (n == 2 && bytes[0] == WARM_ENDED) {
                *ret_code = bytes[1];
                return WARM_ENDED;
        }
        return WARM_NOTHING;
}

bool warm_wake(const Warm *warm, const Command *command) {
        static uint8_t message[MESSAGE_MAX];
        const char *entry = command_entry(command);
        size_t n;

        if (!entry || strcmp(entry, warm->entry) != 0)
                return false;
        n = command_encode_added(command, message + 4, sizeof(message) - 4);
        if (n == 0)
                return false;
        frame_u32_encode(message, (uint32_t) n);
        return write(warm->in_fd, message, n + 4) == (ssize_t) (n + 4);
}
