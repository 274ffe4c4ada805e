/* SPDX-License-Identifier: Apache-2.0 */

/* runsc reads its flags as Go programs do: one dash or two, "=value" or the next word for those that are not boolean,
 * and of two the last counts. What a flag does is told by `runsc flags`. */

#include "runtime-arguments.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

typedef struct Danger {
        const char *flag;
        const char *value; /* that is dangerous; NULL: it is boolean, and true is; "": any but none */
        Verdict verdict;
        const char *what;
} Danger;

static const Danger dangers[] = {
        {"network", "host", VERDICT_FAIL, "the sandbox uses the host's network stack instead of gVisor's"},
        {"ignore-cgroups", NULL, VERDICT_FAIL, "no limit of memory, processes or CPU is in force"},
        {"host-uds", "", VERDICT_WARN, "the sandbox may use unix sockets of the host"},
        {"fsgofer-host-uds", NULL, VERDICT_WARN, "the sandbox may use unix sockets of the host"},
        {"host-fifo", "", VERDICT_WARN, "the sandbox may use named pipes of the host"},
        {"rootless", NULL, VERDICT_WARN, "the sandbox has less between it and the host: it is for hosts without root"},
        {"allow-flag-override", NULL, VERDICT_WARN, "annotations of a container can change runsc's flags"},
        {"profile", NULL, VERDICT_WARN, "it is for the development of gVisor"},
        {"debug", NULL, VERDICT_WARN, "it is slow, and what programs do is logged"},
        {"strace", NULL, VERDICT_WARN, "it is slow, and each system call of a program is logged"},
        {"log-packets", NULL, VERDICT_WARN, "what programs send is logged"},
};

static const char *text_at(const cJSON *arguments, int index) {
        return cJSON_GetStringValue(cJSON_GetArrayItem(arguments, index));
}

static const char *without_dashes(const char *word) {
        size_t dashes = word ? strspn(word, "-") : 0;

        return dashes == 1 || dashes == 2 ? word + dashes : NULL;
}

/* The value of a flag, the last where there are several: "" where it has none. NULL when it is not there. */
static const char *value_of(const cJSON *arguments, const char *flag, bool is_boolean) {
        size_t n = strlen(flag);
        const char *value = NULL;

        for (int i = 0; i < cJSON_GetArraySize(arguments); i++) {
                const char *word = without_dashes(text_at(arguments, i)), *next;

                if (!word || strncmp(word, flag, n) != 0 || (word[n] != '\0' && word[n] != '='))
                        continue;
                next = is_boolean ? NULL : text_at(arguments, i + 1);
                value = word[n] == '=' ? word + n + 1 : next ? next : "";
        }
        return value;
}

/* As Go's strconv.ParseBool(); a boolean flag without a value is true. */
static bool is_true(const char *value) {
        static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};

        for (size_t i = 0; value && i < ARRAY_SIZE(no); i++)
                if (strcmp(value, no[i]) == 0)
                        return false;
        return value != NULL;
}

static bool is_in_force(const Danger *danger, const char *value) {
        if (!danger->value || !value)
                return is_true(value);
        if (danger->value[0])
                return strcmp(value, danger->value) == 0;
        return value[0] && strcmp(value, "none") != 0;
}

/* Cuts path down to the nearest folder above it that is there: runsc makes the rest, open to all. */
static bool find_folder(char *path, struct stat *ret_st) {
        for (char *slash = strrchr(path, '/'); slash; slash = strrchr(path, '/')) {
                slash[slash == path] = '\0';
                if (stat(path, ret_st) == 0)
                        return true;
                if (slash == path)
                        break;
        }
        return false;
}

/* runsc makes its log's files readable by all: it is the folder that keeps them from others, or not. */
static void judge_log(const cJSON *arguments, const char *remedy, Finding *finding) {
        const char *path = value_of(arguments, "debug-log", false);
        CLEANUP_FREE char *folder = path && path[0] == '/' ? strdup(path) : NULL;
        struct stat st;

        if (folder && find_folder(folder, &st) && (st.st_mode & S_IXOTH))
                finding_fail(finding, remedy, "--debug-log=%s: all users of this host can read there what programs do",
                             path);
}

static void judge_testing(const cJSON *arguments, const char *remedy, Finding *finding) {
        static const char prefix[] = "TESTONLY-";

        for (int i = 0; i < cJSON_GetArraySize(arguments); i++) {
                const char *word = without_dashes(text_at(arguments, i));

                if (word && strncasecmp(word, prefix, strlen(prefix)) == 0)
                        finding_fail(finding, remedy,
                                     "--%s: it switches off a part of the sandbox, for gVisor's own tests", word);
        }
}

/* Docker writes path and arguments into a shell's script as they are: one with a blank is two, and one with a dollar or
 * a semicolon another command. */
static void judge_letters(const char *word, const char *remedy, Finding *finding) {
        static const char plain[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ%+,./:=@_-";

        if (word && word[strspn(word, plain)])
                finding_fail(finding, remedy,
                             "'%s' has a letter that the shell, to which Docker gives it, may read as another word or "
                             "another command",
                             word);
}

const char *runtime_arguments_value(const cJSON *runtime, const char *flag) {
        return value_of(json_get(runtime, "runtimeArgs"), flag, false);
}

void runtime_arguments_judge(const cJSON *runtime, const char *remedy, Finding *finding) {
        const cJSON *arguments = json_get(runtime, "runtimeArgs");

        judge_letters(json_get_string(runtime, "path"), remedy, finding);
        for (int i = 0; i < cJSON_GetArraySize(arguments); i++)
                judge_letters(text_at(arguments, i), remedy, finding);
        for (size_t i = 0; i < ARRAY_SIZE(dangers); i++) {
                const Danger *danger = &dangers[i];
                const char *value = value_of(arguments, danger->flag, !danger->value);

                if (is_in_force(danger, value))
                        finding_add(finding, danger->verdict, remedy, "--%s%s%s: %s", danger->flag, value[0] ? "=" : "",
                                    value, danger->what);
        }
        if (is_true(value_of(arguments, "debug", true)))
                judge_log(arguments, remedy, finding);
        judge_testing(arguments, remedy, finding);
}
