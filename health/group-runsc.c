/* SPDX-License-Identifier: Apache-2.0 */

#include "executable.h"
#include "groups.h"
#include "registration.h"
#include "runsc.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define REMEDY_INSTALL "tee-install --with-gvisor"

/* ---- where ---- */

/* Where Docker takes it from: as its file says, else Docker itself, else from $PATH, where tee-install would. */
static char *wanted_path(Context *context, const Config *config, const char **ret_witness) {
        CLEANUP_JSON cJSON *runtime = NULL;
        CLEANUP_FREE char *reason = NULL;
        Finding none = {0};
        const char *path = NULL;
        uint64_t until_usec = context->until_usec;

        *ret_witness = config->docker_daemon_json;
        if (registration_read(config->docker_daemon_json, config->oci_runtime, &runtime, &reason) >= 0)
                path = registration_path(runtime);
        if (!path || !path[0]) {
                *ret_witness = "Docker";
                /* A Docker that hangs must leave time for the program. */
                context->until_usec = now_usec() + context_left_ms(context) * USEC_PER_MSEC / 4;
                path = registration_in_info(context_info(context, VERDICT_SKIP, &none), config->oci_runtime);
                context->until_usec = until_usec;
                finding_deinit(&none);
        }
        if (path && path[0])
                return strdup(path);
        *ret_witness = "$PATH";
        return strdup("runsc");
}

/* ---- what ---- */

static void make_chmod(char **ret_remedy, const char *path) {
        *ret_remedy = text_format("chmod a+rx %s", path);
}

/* Docker runs it as root. Returns true when the finding has told that others than root may change what that is. */
static bool is_writable(const char *path, const struct stat *st, Finding *finding) {
        CLEANUP_FREE char *remedy = text_format("chmod o-w %s", path);
        bool is_sticky = S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX);

        if (!(st->st_mode & 02) || is_sticky)
                return false;
        finding_fail(finding, remedy, "%s has the mode %04o: everybody may change what Docker runs as root", path,
                     st->st_mode & 07777);
        return true;
}

/* runsc runs itself anew as an unprivileged user, so that one has to get at it; and only at that. */
static bool is_open_to_all(const char *path, Finding *finding) {
        CLEANUP_FREE char *part = realpath(path, NULL), *remedy = NULL;
        struct stat st;

        if (!part || stat(part, &st) < 0)
                return true; /* somebody else will say so */
        if (is_writable(part, &st, finding))
                return false;
        if ((st.st_mode & 05) != 05) {
                make_chmod(&remedy, path);
                finding_fail(finding, remedy, "%s has the mode %04o: runsc has to be readable and executable by all",
                             path, st.st_mode & 07777);
                return false;
        }
        for (char *slash = strrchr(part, '/'); slash && slash != part; slash = strrchr(part, '/')) {
                *slash = '\0';
                if (stat(part, &st) < 0)
                        continue;
                if (is_writable(part, &st, finding))
                        return false;
                if (st.st_mode & 01)
                        continue;
                make_chmod(&remedy, part);
                finding_fail(finding, remedy, "%s lies in %s, which has the mode %04o: all have to get at runsc", path,
                             part, st.st_mode & 07777);
                return false;
        }
        return true;
}

/* What has gone wrong where a program should be can often be told from how it begins. */
static void explain_no_program(const char *path, const char *message, Finding *finding) {
        CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        char begin[2] = "";
        ssize_t n = fd < 0 ? 0 : read(fd, begin, sizeof(begin));

        if (n == 2 && memcmp(begin, "#!", 2) == 0)
                finding_warn(finding, "register runsc itself: " REMEDY_INSTALL " --force",
                             "%s is a script: what it starts in the end cannot be told", path);
        else if (n > 0 && begin[0] == '<')
                finding_fail(finding, REMEDY_INSTALL,
                             "%s is no program: it looks like an error page that was saved in "
                             "its place",
                             path);
        else if (fd >= 0 && n == 0)
                finding_fail(finding, REMEDY_INSTALL, "%s is empty", path);
        else
                finding_fail(finding, REMEDY_INSTALL, "%s", message);
}

static void look_at_program(Context *context, const char *path, const char *witness, Finding *finding) {
        Executable program = {.name = path, .path = path};
        CLEANUP_FREE char *version = NULL;
        Trouble *trouble = &context->trouble;
        int r = executable_check(&program, NULL, trouble);

        if (r == -ENOEXEC) {
                explain_no_program(path, trouble->message, finding);
                return;
        }
        if (r >= 0)
                r = runsc_version(&context->loop, path, context_left_ms(context) * USEC_PER_MSEC, trouble, &version);
        if (r >= 0)
                r = runsc_check_parts(path, version, trouble);
        if (r < 0)
                finding_fail(finding, trouble->remedy ? trouble->remedy : REMEDY_INSTALL, "%s",
                             trouble->message ? trouble->message : strerror(-r));
        else
                finding_pass(finding, "%s, version %s (found through %s)", path, version, witness);
}

static void look_at_runsc(Context *context, Finding *finding) {
        const Config *config = context_gvisor(context, finding);
        CLEANUP_FREE char *wanted = NULL, *path = NULL;
        const char *witness;
        Trouble *trouble = &context->trouble;
        int r;

        if (!config)
                return;
        wanted = wanted_path(context, config, &witness);
        trouble_deinit(trouble); /* that Docker did not answer is not this check's affair */
        r = wanted ? executable_find(wanted, NULL, NULL, trouble, &path) : -ENOMEM;
        if (r == -EACCES)
                finding_skip(finding, "run it as root", "%s", trouble->message ? trouble->message : wanted);
        else if (r < 0)
                finding_fail(finding, REMEDY_INSTALL, "%s", trouble->message ? trouble->message : strerror(-r));
        else if (is_open_to_all(path, finding))
                look_at_program(context, path, witness, finding);
}

static const Check checks[] = {
        {
                .id = "runsc.program",
                .title = "runsc is a program that all may run, and says its version",
                .look = look_at_runsc,
                .needs = "config.valid",
        },
};

const CheckGroup group_runsc = CHECK_GROUP("runsc", checks);
