/* SPDX-License-Identifier: Apache-2.0 */

/* One frame at a time goes out, from a buffer of fixed size: bytes of the program are read straight into it, so there
 * is no queue that could grow and no copy. While the agent does not take a frame, the program's pipes are not read, and
 * it waits as it would for a slow terminal. Writing never blocks, so STOP and the agent's leaving are always seen. */

#include "channel.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* gVisor lets everybody list and open /proc/1/fd, so nothing keeps the program from the channel there but the mode of
 * Docker's pipe. A socket cannot be opened that way. */
static int stream_claim(int fd) {
        struct stat st;

        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISSOCK(st.st_mode) && (st.st_uid != 0 || (st.st_mode & (S_IRWXG | S_IRWXO)) != 0))
                return -EPERM;
        return fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -errno : 0;
}

int channel_init(Channel *channel) {
        int flags, r;

        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
                r = stream_claim(fd);
                if (r < 0)
                        return r;
        }

        flags = fcntl(STDOUT_FILENO, F_GETFL);
        if (flags < 0 || fcntl(STDOUT_FILENO, F_SETFL, flags | O_NONBLOCK) < 0)
                return -errno;

        frame_reader_init(&channel->reader);
        channel->out_begin = channel->out_end = 0;
        return 0;
}

bool channel_is_idle(const Channel *channel) {
        return channel->out_begin == channel->out_end;
}

uint8_t *channel_payload(Channel *channel) {
        return channel->out + FRAME_HEADER_SIZE;
}

int channel_send(Channel *channel, FrameType type, size_t size) {
        frame_header_encode(channel->out, type, size);
        channel->out_begin = 0;
        channel->out_end = FRAME_HEADER_SIZE + size;
        return channel_flush(channel);
}

int channel_flush(Channel *channel) {
        while (channel->out_begin < channel->out_end) {
                ssize_t n =
                        write(STDOUT_FILENO, channel->out + channel->out_begin, channel->out_end - channel->out_begin);

                if (n >= 0)
                        channel->out_begin += (size_t) n;
                else if (errno == EAGAIN)
                        return 0;
                else if (errno == EPIPE)
                        return CHANNEL_E_GONE;
                else if (errno != EINTR)
                        return -errno;
        }
        return 0;
}

int channel_receive(Channel *channel, FrameHandler handler, void *userdata) {
        ssize_t n = read(STDIN_FILENO, channel->in, sizeof(channel->in));

        if (n < 0)
                return errno == EINTR || errno == EAGAIN ? 0 : -errno;
        if (n == 0)
                return CHANNEL_E_GONE;
        if (!handler)
                return 0;
        return frame_reader_feed(&channel->reader, channel->in, (size_t) n, handler, userdata);
}
