/* SPDX-License-Identifier: Apache-2.0 */

/* apt-get's command line is the interface that its makers keep stable (apt-get(8)); its library is C++. Progress comes
 * by APT::Status-Fd. What they print is read in apt-output.c. */

#include "apt.h"
#include "apt-output.h"
#include "process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define APT_USEC (1800 * USEC_PER_SEC) /* a slow line, a large package */
#define DPKG_USEC (120 * USEC_PER_SEC)
#define LIST_MAX ((size_t) 4 * 1024 * 1024)

static const char *const quiet_environment[] = {"LC_ALL=C.UTF-8",           "DEBIAN_FRONTEND=noninteractive",
                                                "DEBIAN_PRIORITY=critical", "APT_LISTCHANGES_FRONTEND=none",
                                                "NEEDRESTART_SUSPEND=1",    NULL};

/* ---- whose turn is it ---- */

/* Is a lock of dpkg's or apt's held (fcntl(2)), and by whom? A holder in another PID namespace has no number here. */
static bool lock_is_held(const char **ret_path, pid_t *ret_pid) {
        static const char *const paths[] = {"/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock",
                                            "/var/lib/apt/lists/lock", "/var/cache/apt/archives/lock"};

        for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
                struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
                CLEANUP_FD int fd = open(paths[i], O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

                if (fd >= 0 && fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK) {
                        *ret_path = paths[i];
                        *ret_pid = lock.l_pid;
                        return true;
                }
        }
        return false;
}

static void process_name(pid_t pid, char *ret_name, size_t size) {
        char path[64];
        CLEANUP_FD int fd = -1;
        ssize_t n = -1;

        (void) snprintf(path, sizeof(path), "/proc/%d/comm", (int) pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0)
                n = read(fd, ret_name, size - 1);
        ret_name[n > 0 ? n : 0] = '\0';
        ret_name[strcspn(ret_name, "\n")] = '\0';
        text_clean(ret_name);
}

int apt_await_turn(Install *install) {
        uint64_t until = now_usec() + install->options->wait_ms * USEC_PER_MSEC;
        const char *path = NULL;
        bool told = false;
        pid_t pid = 0;

        while (lock_is_held(&path, &pid)) {
                char name[32];
                int r;

                process_name(pid, name, sizeof(name));
                if (now_usec() >= until)
                        return trouble_set(&install->trouble, -EBUSY,
                                           "wait for it to end, or give more time: --wait SECONDS",
                                           "%s (process %d) holds %s", name[0] ? name : "somebody", (int) pid, path);
                if (!told)
                        screen_line(&install->screen, "wait",
                                    "%s (process %d) works with packages: waiting for its end",
                                    name[0] ? name : "somebody", (int) pid);
                told = true;
                r = loop_sleep(&install->loop, USEC_PER_SEC / 5);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* ---- apt-get ---- */

typedef struct Progress {
        Install *install;
        const char *label;
} Progress;

static void on_status(const char *line, void *userdata) {
        Progress *progress = userdata;
        const char *words;
        int percent;

        if (apt_output_progress(line, &percent, &words))
                screen_progress(&progress->install->screen, progress->label, percent, "%s", words);
}

static const char *text_of(const Buffer *buffer) {
        return buffer->size > 0 ? (const char *) buffer->data : "";
}

static int fault(Install *install, int r, const char *what, const Buffer *output) {
        CLEANUP_FREE char *said = apt_output_errors(text_of(output));

        if (r == -EINTR)
                return r;
        if (r == -ETIMEDOUT)
                return trouble_set(&install->trouble, r, NULL, "%s did not come to an end", what);
        if (r < 0 && r != -EPROTO)
                return trouble_errno(&install->trouble, r, what);
        return trouble_set(&install->trouble, -EIO, NULL, "%s failed: %s", what, said ? said : "");
}

/* Output of a program that only tells something. Its status goes to ret_status when the caller wants to see it. */
static int ask(Install *install, const char *const *argv, Buffer *output, int *ret_status) {
        Process process = {.argv = argv, .added = quiet_environment, .most_usec = DPKG_USEC};
        int r = process_run(&install->loop, &process, output);

        if (r >= 0 && ret_status)
                *ret_status = r;
        if (r < 0 || (r > 0 && !ret_status))
                return fault(install, r, argv[0], output);
        return 0;
}

static size_t count(const char *const *list) {
        size_t n = 0;

        while (list && list[n])
                n++;
        return n;
}

/* apt-get with what is always wanted of it, and of these three lists one after the other; NULL on ENOMEM. */
static const char **apt_command(const char *timeout, const char *const *options, const char *command,
                                const char *const *operands) {
        const char *const fixed[] = {"apt-get",
                                     "-q",
                                     "-y",
                                     "-o",
                                     "APT::Status-Fd=3",
                                     "-o",
                                     "Dpkg::Options::=--force-confold",
                                     "-o",
                                     "Dpkg::Use-Pty=0",
                                     "-o",
                                     timeout};
        const char **argv = calloc(ARRAY_SIZE(fixed) + count(options) + 1 + count(operands) + 1, sizeof(*argv));
        size_t n = 0;

        if (!argv)
                return NULL;
        for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
                argv[n++] = fixed[i];
        for (size_t i = 0; i < count(options); i++)
                argv[n++] = options[i];
        argv[n++] = command;
        for (size_t i = 0; i < count(operands); i++)
                argv[n++] = operands[i];
        return argv;
}

static int run_apt(Install *install, const char *label, const char *const *options, const char *command,
                   const char *const *operands) {
        CLEANUP_FREE char *timeout =
                text_format("DPkg::Lock::Timeout=%llu", (unsigned long long) (install->options->wait_ms / 1000));
        CLEANUP_FREE const char **argv = timeout ? apt_command(timeout, options, command, operands) : NULL;
        Progress progress = {install, label};
        Process process = {.argv = argv,
                           .added = quiet_environment,
                           .status = on_status,
                           .userdata = &progress,
                           .most_usec = APT_USEC};
        Buffer output = BUFFER_INIT(PROCESS_OUTPUT_MAX);
        int r = argv ? apt_await_turn(install) : -ENOMEM;

        if (r >= 0) {
                r = process_run(&install->loop, &process, &output);
                screen_clear(&install->screen);
                if (r != 0)
                        r = fault(install, r, command[0] == 'u' ? "apt-get update" : "apt-get", &output);
        }
        buffer_deinit(&output);
        return r;
}

int apt_update(Install *install, const char *sources) {
        CLEANUP_FREE char *list = text_format("Dir::Etc::SourceList=%s", sources ? sources : "");
        const char *const all[] = {NULL}; /* somebody else's source may be out of order */
        const char *const one[] = {"-o", "APT::Update::Error-Mode=any", "-o", list, "-o", "Dir::Etc::SourceParts=-",
                                   "-o", "APT::Get::List-Cleanup=0",    NULL};

        if (!list)
                return -ENOMEM;
        return run_apt(install, "apt", sources ? one : all, "update", NULL);
}

int apt_install(Install *install, const char *label, const char *const *packages) {
        static const char *const options[] = {"--no-install-recommends", "--allow-downgrades", NULL};

        return run_apt(install, label, options, "install", packages);
}

int apt_remove(Install *install, const char *const *packages, bool purge) {
        return run_apt(install, "remove", NULL, purge ? "purge" : "remove", packages);
}

int apt_finish_interrupted(Install *install) {
        static const char *const audit[] = {"dpkg", "--audit", NULL};
        static const char *const configure[] = {"dpkg", "--configure", "--pending", "--force-confold", NULL};
        Buffer output = BUFFER_INIT(PROCESS_OUTPUT_MAX);
        int status = 0, r = ask(install, audit, &output, &status);

        if (r >= 0 && (status != 0 || output.size > 0)) {
                screen_line(&install->screen, "dpkg",
                            "was stopped in the middle of its work: dpkg --configure --pending");
                buffer_clear(&output);
                r = ask(install, configure, &output, NULL);
        }
        buffer_deinit(&output);
        return r;
}

/* ---- what is there ---- */

int apt_installed_version(Install *install, const char *package, char **ret_version) {
        const char *const argv[] = {"dpkg-query", "--show", "--showformat=${db:Status-Status} ${Version}", package,
                                    NULL};
        static const char installed[] = "installed ";
        Buffer output = BUFFER_INIT(PROCESS_OUTPUT_MAX);
        int status = 0, r = ask(install, argv, &output, &status);

        *ret_version = NULL;
        if (r >= 0 && status == 0 && output.size > strlen(installed) &&
            strncmp((const char *) output.data, installed, strlen(installed)) == 0) {
                *ret_version = strdup((const char *) output.data + strlen(installed));
                r = *ret_version ? 0 : -ENOMEM;
        }
        buffer_deinit(&output);
        return r;
}

int apt_offered_version(Install *install, const char *package, const char *url, const char *suite, const char *exact,
                        char **ret_version) {
        const char *const argv[] = {
                "apt-cache", "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=", "madison", package, NULL};
        const AptOffer wanted = {.url = url, .suite = suite, .version = exact};
        Buffer output = BUFFER_INIT(PROCESS_OUTPUT_MAX);
        int status = 0, r = ask(install, argv, &output, &status);

        *ret_version = NULL;
        if (r >= 0)
                r = apt_output_offer(text_of(&output), &wanted, ret_version);
        buffer_deinit(&output);
        return r;
}

int apt_has_version(Install *install, const char *package, const char *version, bool *ret_has) {
        CLEANUP_FREE char *found = NULL;
        int r = apt_offered_version(install, package, NULL, NULL, version, &found);

        *ret_has = found != NULL;
        return r;
}

int apt_knows(Install *install, const char *package, bool *ret_known) {
        const char *const argv[] = {
                "apt-cache", "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=", "show", package, NULL};
        Buffer output = BUFFER_INIT(PROCESS_OUTPUT_MAX);
        int status = 0, r = ask(install, argv, &output, &status);

        *ret_known = r >= 0 && status == 0;
        buffer_deinit(&output);
        return r;
}

int apt_verify(Install *install, const char *package) {
        const char *const argv[] = {"dpkg", "--verify", package, NULL};
        Buffer output = BUFFER_INIT(PROCESS_OUTPUT_MAX);
        int status = 0, r = ask(install, argv, &output, &status);

        if (r >= 0 && (status != 0 || output.size > 0)) {
                CLEANUP_FREE char *said = output.size > 0 ? strdup((const char *) output.data) : NULL;

                if (said)
                        said[strcspn(said, "\n")] = '\0';
                r = trouble_set(&install->trouble, -EIO, "apt-get install --reinstall runsc",
                                "files of the package %s are missing or changed: %s", package, said ? said : "");
        }
        buffer_deinit(&output);
        return r;
}

/* ---- what has come ---- */

static int list_packages(Install *install, Buffer *list) {
        static const char *const argv[] = {"dpkg-query", "--show",
                                           "--showformat=${binary:Package} ${db:Status-Status}\n", NULL};
        Process process = {.argv = argv, .added = quiet_environment, .most_usec = DPKG_USEC};
        int r;

        /* All of it is wanted, so it is taken line by line. */
        process.line = NULL;
        r = process_run(&install->loop, &process, list);
        return r == 0 ? 0 : fault(install, r, "dpkg-query", list);
}

int packages_begin(Install *install, Packages *packages) {
        packages->before = BUFFER_INIT(LIST_MAX);
        return list_packages(install, &packages->before);
}

/* Was it known to dpkg, in whatever state? Its configuration is the administrator's then. */
static bool was_known(const Packages *packages, const char *name) {
        const char *text = text_of(&packages->before);
        size_t n = strlen(name);

        for (const char *line = text; line; line = strchr(line, '\n')) {
                line += *line == '\n';
                if (strncmp(line, name, n) == 0 && line[n] == ' ')
                        return true;
        }
        return false;
}

/* Removes those of the names, ended by NULL, that were known before, or purges those that were not. */
static int take_back(Install *install, const Packages *packages, char **names, bool known) {
        const char **chosen = NULL;
        size_t count = 0, n = 0;
        int r = 0;

        while (names[count])
                count++;
        chosen = calloc(count + 1, sizeof(*chosen));
        if (!chosen)
                return -ENOMEM;
        for (size_t i = 0; i < count; i++)
                if (was_known(packages, names[i]) == known)
                        chosen[n++] = names[i];
        if (n > 0)
                r = apt_remove(install, chosen, !known && !packages->keep_config);
        free(chosen);
        return r;
}

int packages_take_back(Install *install, Packages *packages) {
        Buffer now = BUFFER_INIT(LIST_MAX);
        char **added = NULL;
        int r;

        if (packages->before.size == 0)
                return 0;
        r = list_packages(install, &now);
        if (r >= 0)
                r = apt_output_added(text_of(&packages->before), text_of(&now), &added);
        if (r >= 0)
                r = take_back(install, packages, added, false);
        if (r >= 0)
                r = take_back(install, packages, added, true);
        for (char **name = added; name && *name; name++)
                free(*name);
        free(added);
        buffer_deinit(&now);
        packages_deinit(packages);
        return r;
}

void packages_deinit(Packages *packages) {
        buffer_deinit(&packages->before);
}

/* apt names the files of an index after the URL, without its scheme, '/' as '_'. */
void apt_forget_lists(const char *url) {
        static const char folder[] = "/var/lib/apt/lists";
        const char *rest = strstr(url, "://");
        CLEANUP_FREE char *prefix = rest ? strdup(rest + 3) : NULL;
        CLEANUP_FD int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *entries;
        size_t n;

        if (!prefix || fd < 0)
                return;
        for (n = strlen(prefix); n > 0 && prefix[n - 1] == '/'; n--)
                prefix[n - 1] = '\0';
        for (char *p = prefix; *p; p++)
                if (*p == '/')
                        *p = '_';
        entries = opendir(folder);
        for (const struct dirent *entry; entries && (entry = readdir(entries));)
                if (strncmp(entry->d_name, prefix, n) == 0 && entry->d_name[n] == '_')
                        (void) unlinkat(fd, entry->d_name, 0);
        if (entries)
                (void) closedir(entries);
}
