/* SPDX-License-Identifier: Apache-2.0 */

/* tee-agent: arguments, configuration, sockets, run. */

#include "agent.h"
#include "log.h"
#include "message-ids.h"
#include "version.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <systemd/sd-daemon.h>

static void print_help(FILE *out) {
        (void) fputs("Usage: tee-agent [OPTION]...\n"
                     "Runs untrusted programs in sandboxes whose kernel is gVisor. Started by its socket:\n"
                     "  systemctl start tee-agent.socket\n"
                     "or by hand:\n"
                     "  systemd-socket-activate -l /tmp/agent.sock tee-agent --config tee.conf\n"
                     "\n"
                     "  -c, --config FILE  read FILE instead of " CONFIG_PATH "\n"
                     "  -h, --help         show this help\n"
                     "  -V, --version      show the version\n"
                     "\n"
                     "Environment: DISABLE_GVISOR=true runs programs without gVisor. For development only.\n"
                     "Exit status: 0 stopped, 64 wrong use, 71 the host lacks something, 78 wrong configuration.\n",
                     out);
}

/* Returns 0 to go on, 1 when all is done, or -EINVAL. */
static int parse_arguments(int argc, char *argv[], const char **ret_config) {
        static const struct option options[] = {
                {"config", required_argument, NULL, 'c'},
                {"help", no_argument, NULL, 'h'},
                {"version", no_argument, NULL, 'V'},
                {0},
        };
        int option;

        *ret_config = CONFIG_PATH;
        while ((option = getopt_long(argc, argv, "c:hV", options, NULL)) >= 0) {
                switch (option) {
                case 'c':
                        *ret_config = optarg;
                        break;
                case 'h':
                        print_help(stdout);
                        return 1;
                case 'V':
                        (void) puts("tee-agent " TEE_VERSION);
                        return 1;
                default:
                        (void) fputs("Try 'tee-agent --help'.\n", stderr);
                        return -EINVAL;
                }
        }
        if (optind < argc) {
                (void) fprintf(stderr, "tee-agent: unexpected argument '%s'\nTry 'tee-agent --help'.\n", argv[optind]);
                return -EINVAL;
        }
        return 0;
}

static int read_config(const char *path, Config **ret_config) {
        CLEANUP(config_freep) Config *config = NULL;
        CLEANUP_FREE char *message = NULL;
        int r = config_load(path, &config, &message);

        if (r >= 0)
                r = config_apply_disable_gvisor(config, getenv("DISABLE_GVISOR"), &message);
        if (r < 0)
                log_message(LOG_ERR, MESSAGE_CONFIGURATION_REFUSED, "%s", message ? message : strerror(-r));
        else
                *ret_config = TAKE_PTR(config);
        return r;
}

/* Exactly one listening unix stream socket has to be passed. */
static int take_socket(int *ret_fd) {
        int n = sd_listen_fds(true);

        if (n < 0)
                return n;
        if (n != 1) {
                log_line(LOG_ERR,
                         "%d sockets were passed instead of one; start tee-agent by its socket unit or by "
                         "systemd-socket-activate",
                         n);
                return -EINVAL;
        }
        if (sd_is_socket_unix(SD_LISTEN_FDS_START, SOCK_STREAM, 1, NULL, 0) <= 0) {
                log_line(LOG_ERR, "The socket that was passed is no listening unix stream socket");
                return -EINVAL;
        }
        *ret_fd = SD_LISTEN_FDS_START;
        return 0;
}

/* A connection takes two descriptors, an execution a few; systemd's soft limit of 1,024 is for programs that use
 * select(). */
static void raise_open_files(void) {
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return;
        limit.rlim_cur = limit.rlim_max;
        (void) setrlimit(RLIMIT_NOFILE, &limit);
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata) {
        (void) source;
        if (info->ssi_signo == SIGHUP)
                agent_reload(userdata);
        else
                agent_drain(userdata);
        return 0;
}

static int add_signals(sd_event *event, Agent *agent) {
        static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
        sigset_t mask;

        (void) sigemptyset(&mask);
        for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
                (void) sigaddset(&mask, signals[i]);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return -errno;
        for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
                int r = sd_event_add_signal(event, NULL, signals[i], on_signal, agent);

                if (r < 0)
                        return r;
        }
        return 0;
}

static int run(Config *config, int listen_fd) {
        CLEANUP(sd_event_unrefp) sd_event *event = NULL;
        CLEANUP(agent_freep) Agent *agent = NULL;
        int r;

        raise_open_files();
        if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
                return -errno;
        r = sd_event_new(&event);
        if (r >= 0)
                r = agent_new(event, config, getenv("DISABLE_GVISOR"), listen_fd, &agent);
        if (r < 0) {
                config_free(config);
                return r;
        }
        r = add_signals(event, agent);
        if (r >= 0)
                r = sd_event_set_watchdog(event, true);
        if (r < 0)
                return r;
        (void) sd_notify(false, "READY=1");
        return sd_event_loop(event);
}

int main(int argc, char *argv[]) {
        CLEANUP(config_freep) Config *config = NULL;
        const char *path;
        int fd, r;

        log_open("tee-agent");
        r = parse_arguments(argc, argv, &path);
        if (r != 0)
                return r < 0 ? EX_USAGE : EXIT_SUCCESS;
        if (read_config(path, &config) < 0)
                return EX_CONFIG;
        if (take_socket(&fd) < 0)
                return EX_USAGE;
        r = run(TAKE_PTR(config), fd);
        if (r < 0)
                log_line(LOG_ERR, "Stopped: %s", strerror(-r));
        return r < 0 ? EX_OSERR : EXIT_SUCCESS;
}
