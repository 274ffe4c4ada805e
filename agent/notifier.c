/* SPDX-License-Identifier: Apache-2.0 */

/* sd_notify() waits when the service manager does not read, and a service manager that hangs must not stop executions.
 * So this is the few lines of its protocol on a socket that does not block. The status changes with every execution,
 * and is sent five times a second at the most. */

#include "notifier.h"
#include "log.h"
#include "text.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define STATUS_USEC (USEC_PER_SEC / 5)
#define WAITING_MAX 8U

struct Notifier {
        int fd; /* -1: nobody wants to know */
        struct sockaddr_un address;
        socklen_t address_size;
        sd_event_source *timer;
        bool armed;
        char *waiting[WAITING_MAX]; /* messages that found no room, the oldest first */
        size_t waiting_size;
        char *wanted, *sent; /* status lines */
};

/* A path, or "@" and a name in the abstract name space. */
static int set_address(Notifier *notifier, const char *text) {
        size_t size = strlen(text);

        if ((text[0] != '/' && text[0] != '@') || size < 2 || size >= sizeof(notifier->address.sun_path))
                return -EINVAL;
        notifier->address.sun_family = AF_UNIX;
        memcpy(notifier->address.sun_path, text, size);
        if (text[0] == '@')
                notifier->address.sun_path[0] = '\0';
        notifier->address_size = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + size + (text[0] == '/'));
        return 0;
}

static int send_now(const Notifier *notifier, const char *message) {
        ssize_t n;

        if (notifier->fd < 0)
                return 0;
        n = sendto(notifier->fd, message, strlen(message), MSG_DONTWAIT | MSG_NOSIGNAL,
                   (const struct sockaddr *) &notifier->address, notifier->address_size);
        return n < 0 ? -errno : 0;
}

static void arm(Notifier *notifier) {
        if (notifier->armed)
                return;
        notifier->armed = sd_event_source_set_time_relative(notifier->timer, STATUS_USEC) >= 0 &&
                          sd_event_source_set_enabled(notifier->timer, SD_EVENT_ONESHOT) >= 0;
}

/* Returns true when none waits any more. */
static bool send_waiting(Notifier *notifier) {
        size_t done = 0;

        while (done < notifier->waiting_size && send_now(notifier, notifier->waiting[done]) != -EAGAIN)
                free(notifier->waiting[done++]);
        notifier->waiting_size -= done;
        memmove(notifier->waiting, notifier->waiting + done, notifier->waiting_size * sizeof(*notifier->waiting));
        return notifier->waiting_size == 0;
}

void notifier_send(Notifier *notifier, const char *message) {
        char *copy;

        if (send_waiting(notifier) && send_now(notifier, message) != -EAGAIN)
                return;
        copy = notifier->waiting_size < WAITING_MAX ? strdup(message) : NULL;
        if (copy)
                notifier->waiting[notifier->waiting_size++] = copy;
        arm(notifier);
}

static void send_status(Notifier *notifier) {
        CLEANUP_FREE char *message = NULL;

        if (!notifier->wanted || (notifier->sent && strcmp(notifier->wanted, notifier->sent) == 0))
                return;
        message = text_format("STATUS=%s", notifier->wanted);
        if (message && send_now(notifier, message) >= 0) {
                free(notifier->sent);
                notifier->sent = TAKE_PTR(notifier->wanted);
        }
        arm(notifier);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Notifier *notifier = userdata;

        (void) source;
        (void) usec;
        notifier->armed = false;
        if (send_waiting(notifier))
                send_status(notifier);
        else
                arm(notifier);
        return 0;
}

void notifier_set_status(Notifier *notifier, char *line) {
        if (!line)
                return;
        free(notifier->wanted);
        notifier->wanted = line;
        if (!notifier->armed && notifier->waiting_size == 0)
                send_status(notifier);
}

int notifier_new(sd_event *event, Notifier **ret_notifier) {
        CLEANUP(notifier_freep) Notifier *notifier = calloc(1, sizeof(*notifier));
        const char *address = getenv("NOTIFY_SOCKET");
        int r;

        if (!notifier)
                return -ENOMEM;
        notifier->fd = -1;
        r = sd_event_add_time_relative(event, &notifier->timer, CLOCK_MONOTONIC, 0, 1, on_timer, notifier);
        if (r >= 0)
                r = sd_event_source_set_enabled(notifier->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(notifier->timer, "notifier");
        if (address && set_address(notifier, address) >= 0) {
                notifier->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
                if (notifier->fd < 0)
                        return -errno;
        }
        *ret_notifier = TAKE_PTR(notifier);
        return 0;
}

Notifier *notifier_free(Notifier *notifier) {
        if (!notifier)
                return NULL;
        (void) sd_event_source_disable_unref(notifier->timer);
        (void) close_fd(notifier->fd);
        for (size_t i = 0; i < notifier->waiting_size; i++)
                free(notifier->waiting[i]);
        free(notifier->wanted);
        free(notifier->sent);
        free(notifier);
        return NULL;
}
