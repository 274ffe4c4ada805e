/* SPDX-License-Identifier: Apache-2.0 */

/* The only file that talks to journald. The identifier and where records go are the process's, like stderr itself, and
 * so the one piece of state here that is not somebody's object.
 *
 * sd_journal_sendv(3) waits while journald's queue is full, and a journald that hangs must not stop executions. So a
 * socket of ours, connected to the same queue, is asked first whether there is room (unix(7): a datagram socket is
 * writable while its peer's queue takes one more). Records that find none are counted, and the count becomes a record.
 */

#include "log.h"
#include "message-ids.h"
#include "text.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#define LOG_FIELDS_MAX 32

static const char *log_identifier = "tee";
static bool log_to_journal = false;
static bool log_to_stderr = true; /* where there is no journal */
static bool log_debug = false;
static int log_queue_fd = -1; /* -1: not to be had, and then nobody is asked */
static unsigned log_lost = 0;

/* systemd.exec(5): JOURNAL_STREAM is "device:inode" of the stream to the journal. It is inherited by children whose
 * stderr is something else, so it must match. */
static bool stderr_is_journal(void) {
        const char *stream = getenv("JOURNAL_STREAM");
        unsigned long long device, inode;
        struct stat st;

        if (!stream || sscanf(stream, "%llu:%llu", &device, &inode) != 2)
                return false;
        return fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

/* journald's socket is one file for all its lives: systemd keeps it. */
static int connect_queue(void) {
        static const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/socket"};
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd >= 0 && connect(fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
                fd = close_fd(fd);
        return fd;
}

static bool journal_has_room(void) {
        struct pollfd queue = {.fd = log_queue_fd, .events = POLLOUT};

        return log_queue_fd < 0 || poll(&queue, 1, 0) != 0;
}

void log_open(const char *identifier) {
        log_identifier = identifier;
        log_to_journal = stderr_is_journal();
        if (log_to_journal && log_queue_fd < 0)
                log_queue_fd = connect_queue();
        log_debug = getenv("TEE_DEBUG") != NULL;
}

void log_open_journal(const char *identifier) {
        log_identifier = identifier;
        log_queue_fd = connect_queue();
        log_to_journal = log_queue_fd >= 0;
        log_to_stderr = false;
}

/* A message of several lines has a shape of its own that a prefix would break: it stands alone. */
static void write_stderr(const char *message) {
        if (strchr(message, '\n'))
                (void) fprintf(stderr, "%s\n", message);
        else
                (void) fprintf(stderr, "%s: %s\n", log_identifier, message);
}

static bool add_field(struct iovec *iov, size_t *n, const char *field) {
        if (*n >= LOG_FIELDS_MAX)
                return false;
        iov[(*n)++] = (struct iovec){.iov_base = (void *) (uintptr_t) field, .iov_len = strlen(field)};
        return true;
}

static int write_journal(int priority, const char *message_id, const char *const *fields, const char *message) {
        CLEANUP_FREE char *message_field = text_format("MESSAGE=%s", message);
        CLEANUP_FREE char *identifier_field = text_format("SYSLOG_IDENTIFIER=%s", log_identifier);
        struct iovec iov[LOG_FIELDS_MAX];
        char priority_field[] = "PRIORITY=0", id_field[64];
        size_t n = 0;

        if (!message_field || !identifier_field)
                return -ENOMEM;
        priority_field[9] = (char) ('0' + (priority & LOG_PRIMASK));
        (void) add_field(iov, &n, message_field);
        (void) add_field(iov, &n, priority_field);
        (void) add_field(iov, &n, identifier_field);
        if (message_id) {
                (void) snprintf(id_field, sizeof(id_field), "MESSAGE_ID=%s", message_id);
                (void) add_field(iov, &n, id_field);
        }
        for (; fields && *fields; fields++)
                if (!add_field(iov, &n, *fields))
                        break;
        return sd_journal_sendv(iov, (int) n);
}

/* Returns false when not even that could be written. */
static bool tell_lost(void) {
        char message[96];

        if (log_lost == 0)
                return true;
        (void) snprintf(message, sizeof(message), "%u records are missing here: journald took none", log_lost);
        if (write_journal(LOG_WARNING, MESSAGE_RECORDS_LOST, NULL, message) < 0)
                return false;
        log_lost = 0;
        return journal_has_room();
}

void log_record(int priority, const char *message_id, const char *const *fields, const char *format, ...) {
        CLEANUP_FREE char *message = NULL;
        va_list arguments;

        if (priority == LOG_DEBUG && !log_debug)
                return;
        va_start(arguments, format);
        message = text_format_list(format, arguments);
        va_end(arguments);
        if (!message)
                return;
        if (!log_to_journal) {
                if (log_to_stderr)
                        write_stderr(message);
                return;
        }
        /* Not to stderr instead: that is journald, too. */
        if (!journal_has_room() || !tell_lost() || write_journal(priority, message_id, fields, message) < 0)
                log_lost++;
}
