/* SPDX-License-Identifier: Apache-2.0 */

/* gVisor's program, where Docker takes it from. The first check is whether it is one at all; the others ask it, and so
 * need that. */

#include "apt-output.h"
#include "executable.h"
#include "groups.h"
#include "package.h"
#include "platform.h"
#include "process.h"
#include "program-access.h"
#include "registered-runsc.h"
#include "registration.h"
#include "runsc.h"
#include "runtime-arguments.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

/* ---- is it one ---- */

/* How something comes to be there again that is no runsc now: from its package, else from gVisor's. Owned by the
 * caller; NULL on ENOMEM. */
static char *repair(Context *context, const char *path) {
        CLEANUP(package_deinit) Package package = {0};
        bool has_package = package_of(context, path, &package) >= 0 && package.name;

        return has_package ? text_format("apt-get install -y --reinstall %s", package.name)
                           : strdup(context_install(context, true));
}

/* What has gone wrong where a program should be can often be told from how it begins. */
static void explain_no_program(Context *context, const char *path, const char *message, Finding *finding) {
        CLEANUP_FREE char *remedy = repair(context, path);
        CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        char begin[2] = "";
        ssize_t n = fd < 0 ? 0 : read(fd, begin, sizeof(begin));

        if (n == 2 && memcmp(begin, "#!", 2) == 0)
                finding_warn(finding, remedy, "%s is a script: what it starts in the end cannot be told", path);
        else if (n > 0 && begin[0] == '<')
                finding_fail(finding, remedy,
                             "%s is no program: it looks like an error page that was saved in "
                             "its place",
                             path);
        else if (fd >= 0 && n == 0)
                finding_fail(finding, remedy, "%s is empty", path);
        else
                finding_fail(finding, remedy, "%s", message);
}

static void look_at_version(Context *context, const RegisteredRunsc *runsc, Finding *finding) {
        CLEANUP_FREE char *version = NULL, *remedy = NULL;
        Trouble *trouble = &context->trouble;
        int r = runsc_version(&context->loop, runsc->path, context_left_ms(context) * USEC_PER_MSEC, trouble, &version);

        if (r < 0) {
                remedy = repair(context, runsc->path);
                finding_fail(finding, remedy, "%s", trouble->message ? trouble->message : strerror(-r));
        }
        if (r >= 0)
                finding_pass(finding, "%s, version %s (found through %s)", runsc->path, version, runsc->witness);
}

static void look_at_program(Context *context, Finding *finding) {
        const Config *config = context_gvisor(context, finding);
        CLEANUP(registered_runsc_deinit) RegisteredRunsc runsc = {0};
        Trouble *trouble = &context->trouble;
        Executable program;
        int r;

        if (!config)
                return;
        r = registered_runsc_find(context, config, &runsc);
        if (r == -EACCES)
                finding_skip(finding, "run it as root", "%s", trouble->message ? trouble->message : strerror(-r));
        else if (r < 0)
                finding_fail(finding, context_install(context, runsc.runtime != NULL), "%s",
                             trouble->message ? trouble->message : strerror(-r));
        if (r < 0 || !program_access_judge(runsc.path, finding))
                return;
        program = (Executable){.name = runsc.path, .path = runsc.path};
        if (executable_check(&program, NULL, trouble) == -ENOEXEC)
                explain_no_program(context, runsc.path, trouble->message, finding);
        else
                look_at_version(context, &runsc, finding);
}

/* ---- on $PATH ---- */

static bool is_same_file(const char *a, const char *b) {
        CLEANUP_FREE char *real_a = realpath(a, NULL), *real_b = realpath(b, NULL);

        return real_a && real_b && strcmp(real_a, real_b) == 0;
}

static void look_at_path(Context *context, Finding *finding) {
        const Config *config = context_gvisor(context, finding);
        CLEANUP(registered_runsc_deinit) RegisteredRunsc runsc = {0};
        CLEANUP_FREE char *on_path = NULL, *link = NULL;
        Trouble none = {0};
        bool is_found;
        int r;

        if (!config)
                return;
        is_found = executable_find("runsc", NULL, NULL, &none, &on_path) >= 0;
        trouble_deinit(&none);
        r = registered_runsc_find(context, config, &runsc);
        if (r == -EACCES || (r < 0 && is_found))
                finding_skip(finding, r == -EACCES ? "run it as root" : "tee-health --only runsc.program",
                             "which runsc sandboxes run on is not seen: %s",
                             context->trouble.message ? context->trouble.message : strerror(-r));
        else if (r < 0)
                finding_fail(finding, context_install(context, false), "there is no program 'runsc' on $PATH");
        if (r < 0)
                return;
        link = text_format("ln -s %s /usr/local/bin/runsc", runsc.path);
        if (!is_found)
                finding_warn(finding, link,
                             "there is no 'runsc' on $PATH, where people and scripts look for it: it is %s",
                             runsc.path);
        else if (!is_same_file(on_path, runsc.path))
                finding_warn(finding, context_install(context, true), "'runsc' on $PATH is %s, and sandboxes run on %s",
                             on_path, runsc.path);
        else
                finding_pass(finding, "%s", on_path);
}

/* ---- its parts ---- */

static void look_at_parts(Context *context, Finding *finding) {
        CLEANUP(registered_runsc_deinit) RegisteredRunsc runsc = {0};
        CLEANUP_FREE char *version = NULL, *real = NULL;
        Trouble *trouble = &context->trouble;
        int r;

        if (!registered_runsc_see(context, &runsc, &version, finding))
                return;
        real = realpath(runsc.path, NULL);
        r = real ? runsc_check_parts(real, version, trouble) : -errno;
        if (r == -EACCES)
                finding_skip(finding, "run it as root", "%s", trouble->message ? trouble->message : strerror(-r));
        else if (r < 0)
                finding_fail(finding, context_install(context, true), "%s",
                             trouble->message ? trouble->message : strerror(-r));
        else
                finding_pass(finding, "%s is complete", version);
}

/* ---- its platform ---- */

static void look_at_platform(Context *context, Finding *finding) {
        CLEANUP(registered_runsc_deinit) RegisteredRunsc runsc = {0};
        CLEANUP_BUFFER Buffer flags = BUFFER_INIT((size_t) 256 * 1024);
        CLEANUP_FREE char *version = NULL;
        const char *wanted;
        int r;

        if (!registered_runsc_see(context, &runsc, &version, finding))
                return;
        wanted = runtime_arguments_value(runsc.runtime, "platform");
        const char *const argv[] = {runsc.path, "flags", NULL};

        r = context_ask(context, argv, &flags);
        if (r != 0)
                finding_skip(finding, NULL, "'%s flags' does not tell which platforms it has: %s", runsc.path,
                             r < 0 ? strerror(-r) : "it failed");
        else
                platform_judge(flags.size > 0 ? (const char *) flags.data : "", wanted, context_install(context, true),
                               finding);
}

/* ---- the network of old versions on new kernels ---- */

/* "cannot run with network enabled in root network namespace" (google/gvisor#10704). */
#define NETWORK_MENDED 20240807U
#define NETWORK_KERNEL_MAJOR 6
#define NETWORK_KERNEL_MINOR 11

static bool has_new_kernel(const char *release) {
        unsigned major = 0, minor = 0;

        if (sscanf(release, "%u.%u", &major, &minor) != 2)
                return false;
        return major > NETWORK_KERNEL_MAJOR || (major == NETWORK_KERNEL_MAJOR && minor >= NETWORK_KERNEL_MINOR);
}

static void look_at_network(Context *context, Finding *finding) {
        CLEANUP(registered_runsc_deinit) RegisteredRunsc runsc = {0};
        CLEANUP_FREE char *version = NULL;
        const char *network;
        struct utsname host = {0};
        unsigned release;

        if (!registered_runsc_see(context, &runsc, &version, finding))
                return;
        if (!runsc.runtime) {
                finding_skip(finding, context_install(context, false),
                             "%s is not registered with Docker: how it would be started is not told", runsc.path);
                return;
        }
        (void) uname(&host);
        network = runtime_arguments_value(runsc.runtime, "network");
        release = runsc_release(version);
        if (network && strcmp(network, "none") == 0)
                finding_pass(finding, "%s is registered with --network=none", version);
        else if (release == 0)
                finding_skip(finding, context_install(context, true), "the version '%s' does not tell how old it is",
                             version);
        else if (release < NETWORK_MENDED && has_new_kernel(host.release))
                finding_fail(finding, context_install(context, true),
                             "runsc %s starts no sandbox on Linux %s without --network=none (cannot run with network "
                             "enabled in root network namespace)",
                             version, host.release);
        else
                finding_pass(finding, "%s has a network on Linux %s", version, host.release);
}

/* ---- is it up to date ---- */

static void judge_policy(Context *context, const Package *package, const AptPolicy *policy, Finding *finding) {
        CLEANUP_FREE char *remedy =
                text_format("apt-get update && apt-get install -y --only-upgrade %s", package->name);
        int r = policy->candidate ? package_is_older(context, package->version, policy->candidate) : 0;

        if (r < 0)
                finding_skip(finding, NULL, "dpkg does not compare versions: %s", strerror(-r));
        else if (r > 0)
                finding_warn(finding, remedy, "the package %s is of version %s, and apt has %s", package->name,
                             package->version, policy->candidate);
        else if (!policy->is_offered)
                finding_skip(finding, "apt-get update", "apt knows of no repository that has the package %s",
                             package->name);
        else
                finding_pass(finding, "the package %s is of version %s, and apt has none that is newer", package->name,
                             package->version);
}

static void look_at_updates(Context *context, Finding *finding) {
        CLEANUP(registered_runsc_deinit) RegisteredRunsc runsc = {0};
        CLEANUP_BUFFER Buffer output = BUFFER_INIT(PROCESS_OUTPUT_MAX);
        CLEANUP(package_deinit) Package package = {0};
        CLEANUP(apt_policy_deinit) AptPolicy policy = {0};
        CLEANUP_FREE char *version = NULL;
        int r;

        if (!registered_runsc_see(context, &runsc, &version, finding))
                return;
        r = package_of(context, runsc.path, &package);
        if (r == 0 && !package.name) {
                finding_warn(finding, context_install(context, true),
                             "%s, version %s, is of no package: nothing updates it", runsc.path, version);
                return;
        }
        const char *const argv[] = {"apt-cache", "policy", package.name, NULL};

        if (r == 0)
                r = context_ask(context, argv, &output);
        if (r == 0)
                r = apt_output_policy(output.size > 0 ? (const char *) output.data : "", &policy);
        if (r == 0)
                judge_policy(context, &package, &policy, finding);
        else
                finding_skip(finding, NULL, "dpkg and apt cannot be asked: %s",
                             r < 0 ? strerror(-r) : "apt-cache policy failed");
}

static const Check checks[] = {
        {
                .id = "runsc.program",
                .title = "runsc is a program that all may run, and says its version",
                .look = look_at_program,
                .needs = "config.valid",
        },
        {
                .id = "runsc.in_path",
                .title = "the runsc on $PATH is the one that sandboxes run on",
                .look = look_at_path,
                .needs = "config.valid",
        },
        {
                .id = "runsc.parts",
                .title = "runsc has the programs beside it that its version needs",
                .look = look_at_parts,
                .needs = "runsc.program",
        },
        {
                .id = "runsc.platform",
                .title = "the platform that runsc is to use works on this host",
                .look = look_at_platform,
                .needs = "runsc.program",
        },
        {
                .id = "runsc.network",
                .title = "runsc of this version starts sandboxes on this kernel",
                .look = look_at_network,
                .needs = "runsc.program",
        },
        {
                .id = "runsc.updates",
                .title = "apt has no newer runsc",
                .look = look_at_updates,
                .needs = "runsc.program",
        },
};

const CheckGroup group_runsc = CHECK_GROUP("runsc", checks);
