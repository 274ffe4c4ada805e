/* SPDX-License-Identifier: Apache-2.0 */

/* Everything that can be known to be wrong from the command line alone is refused here, before anything is looked at.
 */

#include "options.h"
#include "config.h"
#include "paths.h"
#include "version.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define WAIT_S_MAX 86400U

static void print_help(void) {
        (void) fputs(
                "Usage: tee-install --with-gvisor [OPTION]...\n"
                "       tee-install --with-runtime NAME [OPTION]...\n"
                "       tee-install --refresh-runtimes | --list-runtimes | --remove-runtime NAME\n"
                "       tee-install --uninstall [--purge]\n"
                "Prepares a host for tee-agent. Shows a plan, carries it out, and takes it back when a step fails. May "
                "be\n"
                "run again at any time: what is done already is left alone.\n"
                "\n"
                "      --with-gvisor           install runsc and register it with Docker, and prove that it is gVisor\n"
                "      --with-runtime NAME     make the image of a runtime: deno, or any other with --image\n"
                "      --refresh-runtimes      give the images that tee.conf names the tee-guest of this version\n"
                "      --list-runtimes         the images of runtimes that are there\n"
                "      --remove-runtime NAME   remove one\n"
                "      --uninstall             take away what --with-gvisor made; --purge: the package, too\n"
                "\n"
                "  -n, --dry-run               only show the plan; change nothing\n"
                "  -y, --yes                   restart Docker without asking, where that has to be\n"
                "      --force                 change a registration that is there and differs; make an image again\n"
                "      --keep-going            keep what was done when a later step fails\n"
                "      --json                  the plan and the results as JSON on stdout\n"
                "      --wait SECONDS          wait so long for apt or another installer to end, or for a silent\n"
                "                              registry to go on (120)\n"
                "\n"
                "Where runsc comes from:\n"
                "      --source WHERE          gvisor (its apt repository; the default), debian (the distribution's\n"
                "                              package), none (it is there: --runsc PATH, else from $PATH)\n"
                "      --channel CHANNEL       release (default), nightly, or the date of a release: YYYYMMDD\n"
                "      --runsc-version VERSION the package's version\n"
                "      --mirror URL            of the repository (" GVISOR_MIRROR ")\n"
                "      --key-url URL           of its key (" GVISOR_KEY_URL ")\n"
                "      --key-file FILE         the key itself\n"
                "      --key-fingerprint HEX   of another key than gVisor's\n"
                "      --offline FOLDER        key and packages from a folder: *.key, *.asc or *.gpg, and *.deb\n"
                "\n"
                "How Docker gets it:\n"
                "      --with-docker           install docker.io, too\n"
                "      --runtime-name NAME     of the OCI runtime (runsc)\n"
                "      --runtime-arg ARGUMENT  for runsc; may be repeated; instead of --network=none\n"
                "      --platform NAME         gVisor's platform: systrap, kvm, ptrace (runsc's own choice)\n"
                "      --docker HOW            reload (default; a restart only where it must be), restart, leave\n"
                "      --docker-config FILE    (the one that dockerd's command line names, else "
                "/etc/docker/daemon.json)\n"
                "      --docker-socket PATH    ($DOCKER_HOST, else /run/docker.sock)\n"
                "\n"
                "Images of runtimes:\n"
                "      --deno PATH             this deno program, with the libraries that it needs (on $PATH, else\n"
                "                              Docker Hub's); --busybox PATH likewise for the runtime sh\n"
                "      --image IMAGE           the image that a runtime is made from\n"
                "      --adapter ADAPTER       what lets a runtime from an image start before its program is known:\n"
                "                              python, node, none, or the path of a script of one's own (known by\n"
                "                              NAME's beginning)\n"
                "      --tag NAME:TAG          name of the image that is made (tee-runtime-NAME:latest)\n"
                "      --guest PATH            the tee-guest program\n"
                "      --config FILE           tee.conf, which names the images to be refreshed, and their Docker\n"
                "                              (" CONFIG_PATH ")\n"
                "\n"
                "  -h, --help                  show this help\n"
                "  -V, --version               show the version\n"
                "\n"
                "$https_proxy, $http_proxy and $no_proxy are heeded. Exit status: 0 done, or nothing to do; 1 a fault; "
                "10 the host "
                "is\n"
                "not fit; 11 Docker's package; 12 keyring; 13 apt source; 14 runsc; 15 registration; 16 Docker; 17 "
                "verification;\n"
                "18 an image; 20 something could not be taken back; 64 wrong use; 130 interrupted.\n",
                stdout);
}

static int wrong(const char *what, const char *value) {
        (void) fprintf(stderr, "tee-install: %s '%s'\nTry 'tee-install --help'.\n", what, value);
        return -EINVAL;
}

static int wrong_use(const char *what) {
        (void) fprintf(stderr, "tee-install: %s\nTry 'tee-install --help'.\n", what);
        return -EINVAL;
}

/* ---- values ---- */

static bool only_has(const char *text, const char *allowed) {
        return text[0] && text[strspn(text, allowed)] == '\0';
}

#define DIGITS "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

static int take_choice(const char *option, const char *text, const char *const *names, size_t size, int *ret) {
        for (size_t i = 0; i < size; i++)
                if (strcmp(names[i], text) == 0) {
                        *ret = (int) i;
                        return 0;
                }
        return wrong(option, text);
}

static int take_channel(Options *options, const char *text) {
        bool is_date = strlen(text) == 8 && only_has(text, DIGITS);

        if (!is_date && strcmp(text, "release") != 0 && strcmp(text, "nightly") != 0)
                return wrong("--channel is release, nightly or a date such as 20260831, not", text);
        options->channel = text;
        return 0;
}

/* A URL goes into a file of apt's, whose fields end at white space. */
static int take_url(const char **ret, const char *option, const char *text) {
        if (strchr(text, '@'))
                return wrong("a URL that all may read must not have a password in it (apt: apt_auth.conf(5)):", text);
        if ((strncasecmp(text, "https://", 8) != 0 && strncasecmp(text, "http://", 7) != 0) ||
            !only_has(text, DIGITS LETTERS "-._~:/?#@!$&'()*+,;=%[]"))
                return wrong(option, text);
        *ret = text;
        return 0;
}

static int take_fingerprint(Options *options, const char *text) {
        if (strlen(text) != 40 || !only_has(text, DIGITS "abcdefABCDEF"))
                return wrong("--key-fingerprint is 40 hexadecimal digits, not", text);
        options->key_fingerprint = text;
        return 0;
}

/* Docker writes the arguments into a shell script, unquoted. */
static int take_argument(Options *options, const char *text) {
        if (!only_has(text, DIGITS LETTERS "-_=.,:/+@%"))
                return wrong("--runtime-arg may have letters, digits and -_=.,:/+@% only, not", text);
        if (options->arguments_size == OPTIONS_ARGUMENTS_MAX)
                return wrong("too many of --runtime-arg: no place for", text);
        options->arguments[options->arguments_size++] = text;
        return 0;
}

static int take_runtime_name(Options *options, const char *text) {
        if (!only_has(text, DIGITS LETTERS "-_.") || strcmp(text, "runc") == 0 ||
            strncmp(text, "io.containerd.", strlen("io.containerd.")) == 0)
                return wrong("--runtime-name is a name of letters, digits and -_., and not Docker's own:", text);
        options->runtime_name = text;
        return 0;
}

static int take_platform(Options *options, const char *text) {
        if (!only_has(text, DIGITS "abcdefghijklmnopqrstuvwxyz") || strlen(text) > 32)
                return wrong("--platform is the name of one, not", text);
        options->platform = text;
        return 0;
}

static int take_wait(Options *options, const char *text) {
        if (strlen(text) > 5 || !only_has(text, DIGITS) || strtoul(text, NULL, 10) > WAIT_S_MAX)
                return wrong("--wait is a number of seconds, not", text);
        options->wait_ms = strtoul(text, NULL, 10) * 1000;
        return 0;
}

static int take_version(Options *options, const char *text) {
        if (!only_has(text, DIGITS LETTERS ".+~:-"))
                return wrong("--runsc-version is no version of a package:", text);
        options->version = text;
        return 0;
}

static int take_path(const char **ret, const char *option, const char *text) {
        if (text[0] != '/')
                return wrong(option, text);
        *ret = text;
        return 0;
}

/* Docker's own names of images: enough to keep a typo from becoming a strange error of Docker's. */
static int take_image(const char **ret, const char *option, const char *text) {
        if (!only_has(text, DIGITS LETTERS "-_./:@"))
                return wrong(option, text);
        *ret = text;
        return 0;
}

static int take_runtime(const char **ret, const char *option, const char *text) {
        if (!only_has(text, DIGITS "abcdefghijklmnopqrstuvwxyz-_"))
                return wrong(option, text);
        *ret = text;
        return 0;
}

/* ---- the table ---- */

enum {
        OPTION_WITH_GVISOR = 256,
        OPTION_WITH_RUNTIME,
        OPTION_LIST_RUNTIMES,
        OPTION_REMOVE_RUNTIME,
        OPTION_REFRESH_RUNTIMES,
        OPTION_UNINSTALL,
        OPTION_PURGE,
        OPTION_FORCE,
        OPTION_KEEP_GOING,
        OPTION_JSON,
        OPTION_WAIT,
        OPTION_SOURCE,
        OPTION_CHANNEL,
        OPTION_RUNSC_VERSION,
        OPTION_MIRROR,
        OPTION_KEY_URL,
        OPTION_KEY_FILE,
        OPTION_KEY_FINGERPRINT,
        OPTION_OFFLINE,
        OPTION_RUNSC,
        OPTION_WITH_DOCKER,
        OPTION_RUNTIME_NAME,
        OPTION_RUNTIME_ARG,
        OPTION_PLATFORM,
        OPTION_DOCKER,
        OPTION_DOCKER_CONFIG,
        OPTION_DOCKER_SOCKET,
        OPTION_DENO,
        OPTION_BUSYBOX,
        OPTION_IMAGE,
        OPTION_TAG,
        OPTION_GUEST,
        OPTION_ADAPTER,
        OPTION_CONFIG,
};

static const struct option names[] = {
        {"with-gvisor", no_argument, NULL, OPTION_WITH_GVISOR},
        {"with-runtime", required_argument, NULL, OPTION_WITH_RUNTIME},
        {"list-runtimes", no_argument, NULL, OPTION_LIST_RUNTIMES},
        {"refresh-runtimes", no_argument, NULL, OPTION_REFRESH_RUNTIMES},
        {"remove-runtime", required_argument, NULL, OPTION_REMOVE_RUNTIME},
        {"uninstall", no_argument, NULL, OPTION_UNINSTALL},
        {"purge", no_argument, NULL, OPTION_PURGE},
        {"dry-run", no_argument, NULL, 'n'},
        {"yes", no_argument, NULL, 'y'},
        {"force", no_argument, NULL, OPTION_FORCE},
        {"keep-going", no_argument, NULL, OPTION_KEEP_GOING},
        {"json", no_argument, NULL, OPTION_JSON},
        {"wait", required_argument, NULL, OPTION_WAIT},
        {"source", required_argument, NULL, OPTION_SOURCE},
        {"channel", required_argument, NULL, OPTION_CHANNEL},
        {"runsc-version", required_argument, NULL, OPTION_RUNSC_VERSION},
        {"mirror", required_argument, NULL, OPTION_MIRROR},
        {"key-url", required_argument, NULL, OPTION_KEY_URL},
        {"key-file", required_argument, NULL, OPTION_KEY_FILE},
        {"key-fingerprint", required_argument, NULL, OPTION_KEY_FINGERPRINT},
        {"offline", required_argument, NULL, OPTION_OFFLINE},
        {"runsc", required_argument, NULL, OPTION_RUNSC},
        {"with-docker", no_argument, NULL, OPTION_WITH_DOCKER},
        {"runtime-name", required_argument, NULL, OPTION_RUNTIME_NAME},
        {"runtime-arg", required_argument, NULL, OPTION_RUNTIME_ARG},
        {"platform", required_argument, NULL, OPTION_PLATFORM},
        {"docker", required_argument, NULL, OPTION_DOCKER},
        {"docker-config", required_argument, NULL, OPTION_DOCKER_CONFIG},
        {"docker-socket", required_argument, NULL, OPTION_DOCKER_SOCKET},
        {"deno", required_argument, NULL, OPTION_DENO},
        {"busybox", required_argument, NULL, OPTION_BUSYBOX},
        {"image", required_argument, NULL, OPTION_IMAGE},
        {"tag", required_argument, NULL, OPTION_TAG},
        {"guest", required_argument, NULL, OPTION_GUEST},
        {"adapter", required_argument, NULL, OPTION_ADAPTER},
        {"config", required_argument, NULL, OPTION_CONFIG},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {0},
};

static int take_flag(Options *options, int option) {
        switch (option) {
        case OPTION_WITH_GVISOR:
                options->with_gvisor = true;
                return 0;
        case OPTION_REFRESH_RUNTIMES:
                options->refresh_runtimes = true;
                return 0;
        case OPTION_LIST_RUNTIMES:
                options->list_runtimes = true;
                return 0;
        case OPTION_UNINSTALL:
                options->uninstall = true;
                return 0;
        case OPTION_PURGE:
                options->purge = true;
                return 0;
        case 'n':
                options->dry_run = true;
                return 0;
        case 'y':
                options->yes = true;
                return 0;
        case OPTION_FORCE:
                options->force = true;
                return 0;
        case OPTION_KEEP_GOING:
                options->keep_going = true;
                return 0;
        case OPTION_JSON:
                options->json = true;
                return 0;
        case OPTION_WITH_DOCKER:
                options->with_docker = true;
                return 0;
        case 'h':
                print_help();
                options->done = true;
                return 0;
        case 'V':
                (void) puts("tee-install " TEE_VERSION);
                options->done = true;
                return 0;
        default: /* getopt has said what is wrong */
                (void) fputs("Try 'tee-install --help'.\n", stderr);
                return -EINVAL;
        }
}

static int take_source_option(Options *options, int option, const char *value) {
        static const char *const sources[] = {"gvisor", "debian", "none"};
        int choice = 0, r;

        switch (option) {
        case OPTION_SOURCE:
                r = take_choice("--source is gvisor, debian or none, not", value, sources, ARRAY_SIZE(sources),
                                &choice);
                options->source = (OptionsSource) choice;
                return r;
        case OPTION_CHANNEL:
                return take_channel(options, value);
        case OPTION_RUNSC_VERSION:
                return take_version(options, value);
        case OPTION_MIRROR:
                return take_url(&options->mirror, "--mirror is an http or https URL, not", value);
        case OPTION_KEY_URL:
                return take_url(&options->key_url, "--key-url is an http or https URL, not", value);
        case OPTION_KEY_FILE:
                options->key_file = value;
                return 0;
        case OPTION_KEY_FINGERPRINT:
                return take_fingerprint(options, value);
        case OPTION_OFFLINE:
                options->offline = value;
                return 0;
        default:
                return take_flag(options, option);
        }
}

static int take_docker_option(Options *options, int option, const char *value) {
        static const char *const ways[] = {"reload", "restart", "leave"};
        int choice = 0, r;

        switch (option) {
        case OPTION_RUNSC:
                return take_path(&options->runsc, "--runsc is a whole path, not", value);
        case OPTION_RUNTIME_NAME:
                return take_runtime_name(options, value);
        case OPTION_RUNTIME_ARG:
                return take_argument(options, value);
        case OPTION_PLATFORM:
                return take_platform(options, value);
        case OPTION_DOCKER:
                r = take_choice("--docker is reload, restart or leave, not", value, ways, ARRAY_SIZE(ways), &choice);
                options->docker = (OptionsDocker) choice;
                return r;
        case OPTION_DOCKER_CONFIG:
                return take_path(&options->docker_config, "--docker-config is a whole path, not", value);
        case OPTION_DOCKER_SOCKET:
                return take_path(&options->docker_socket, "--docker-socket is a whole path, not", value);
        default:
                return take_source_option(options, option, value);
        }
}

static int take_option(Options *options, int option, const char *value) {
        switch (option) {
        case OPTION_WITH_RUNTIME:
                return take_runtime(&options->with_runtime, "--with-runtime is the name of a runtime, not", value);
        case OPTION_REMOVE_RUNTIME:
                return take_runtime(&options->remove_runtime, "--remove-runtime is the name of a runtime, not", value);
        case OPTION_IMAGE:
                return take_image(&options->base_image, "--image is the name of an image, not", value);
        case OPTION_TAG:
                return take_image(&options->image, "--tag is the name of an image, not", value);
        case OPTION_DENO:
                options->deno = value;
                return 0;
        case OPTION_BUSYBOX:
                options->busybox = value;
                return 0;
        case OPTION_GUEST:
                options->guest = value;
                return 0;
        case OPTION_ADAPTER:
                options->adapter = value;
                return 0;
        case OPTION_CONFIG:
                options->config = value;
                return 0;
        case OPTION_WAIT:
                return take_wait(options, value);
        default:
                return take_docker_option(options, option, value);
        }
}

/* $DOCKER_HOST as docker(1) has it; another host's Docker has another host's daemon.json. */
static int take_docker_host(Options *options) {
        const char *host = getenv("DOCKER_HOST");

        if (options->docker_socket || options->refresh_runtimes)
                return 0;
        options->docker_socket = "/run/docker.sock";
        if (!host || !host[0])
                return 0;
        if (strncmp(host, "unix:///", 8) != 0)
                return wrong("$DOCKER_HOST has to be a unix socket of this host (unix:///…), not", host);
        options->docker_socket = host + strlen("unix://");
        return 0;
}

static void complete_arguments(Options *options) {
        if (options->arguments_size == 0)
                options->arguments[options->arguments_size++] = "--network=none";
        if (!options->platform)
                return;
        (void) snprintf(options->platform_argument, sizeof(options->platform_argument), "--platform=%s",
                        options->platform);
        options->arguments[options->arguments_size++] = options->platform_argument;
}

static int check_together(Options *options) {
        unsigned tasks = (unsigned) options->uninstall + (unsigned) options->list_runtimes +
                         (unsigned) options->refresh_runtimes + (options->with_gvisor || options->with_runtime) +
                         (options->remove_runtime != NULL);

        if (tasks == 0)
                return wrong_use("nothing to do: --with-gvisor, or --with-runtime NAME?");
        if (tasks > 1)
                return wrong_use("installing, removing and listing do not go together");
        if (options->config && !options->refresh_runtimes)
                return wrong_use("--config belongs to --refresh-runtimes");
        if (options->refresh_runtimes &&
            (options->image || options->base_image || options->adapter || options->deno || options->busybox))
                return wrong_use("--refresh-runtimes takes an image's program and its adapter from the image");
        if (options->purge && !options->uninstall)
                return wrong_use("--purge belongs to --uninstall");
        if (options->offline && options->source != SOURCE_GVISOR)
                return wrong_use("--offline and --source are two places to take runsc from");
        if (options->with_runtime && !options->base_image && strcmp(options->with_runtime, "deno") != 0 &&
            strcmp(options->with_runtime, "sh") != 0)
                return wrong("give the image that it is made from with --image: nothing is known here of the runtime",
                             options->with_runtime);
        if (options->version && options->source == SOURCE_NONE)
                return wrong_use("--runsc-version needs a package: it does not go with --source none");
        if (options->runsc && options->source != SOURCE_NONE)
                return wrong_use("--runsc goes with --source none: a package's place is known");
        complete_arguments(options);
        return take_docker_host(options);
}

int options_parse(Options *ret, int argc, char *argv[]) {
        int option, r = 0;

        *ret = (Options){
                .wait_ms = 120000,
                .channel = "release",
                .mirror = GVISOR_MIRROR,
                .key_url = GVISOR_KEY_URL,
                .key_fingerprint = GVISOR_FINGERPRINT,
                .runtime_name = "runsc",
        };
        while (r >= 0 && !ret->done && (option = getopt_long(argc, argv, "nyhV", names, NULL)) >= 0)
                r = take_option(ret, option, optarg);
        if (r < 0 || ret->done)
                return r;
        return argv[optind] ? wrong("unexpected argument", argv[optind]) : check_together(ret);
}
