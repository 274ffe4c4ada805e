/* SPDX-License-Identifier: Apache-2.0 */

/* A running Docker takes no harm from a file that it could not start with, and so tells nobody of it: a restart would.
 * So before one, its flags are held against its file. A key's flag has the key's name, in the singular where the key is
 * a list (dockerd(8), "configuration reload behavior"). */

#include "dockerd.h"
#include "file.h"
#include "units.h"

#include <errno.h>
#include <string.h>

static const char *next_word(const Buffer *words, const char *word) {
        const char *end = words->size > 0 ? (const char *) words->data + words->size : NULL;

        word = word ? word + strlen(word) + 1 : (const char *) words->data;
        return word && end && word < end ? word : NULL;
}

int dockerd_read_words(Buffer *words) {
        CLEANUP_FREE char *path = NULL;
        pid_t pid = unit_main_pid("docker.service");
        int r;

        if (pid <= 0)
                return 0;
        path = text_format("/proc/%d/cmdline", (int) pid);
        if (!path)
                return -ENOMEM;
        r = file_read(path, words);
        return r == -ENOMEM || r == -EFBIG ? r : 0; /* it may have ended meanwhile */
}

/* The value of the flag, "" where it has none, or NULL where the word is another one. */
static const char *value_of(const Buffer *words, const char *word, const char *flag) {
        size_t n = strlen(flag);
        const char *next;

        if (strncmp(word, "--", 2) != 0 || strncmp(word + 2, flag, n) != 0)
                return NULL;
        if (word[2 + n] == '=')
                return word + 2 + n + 1;
        if (word[2 + n] != '\0')
                return NULL;
        next = next_word(words, word);
        return next ? next : "";
}

const char *dockerd_config_file(const Buffer *words) {
        const char *found = NULL;

        for (const char *word = next_word(words, NULL); word; word = next_word(words, word)) {
                const char *value = value_of(words, word, "config-file");

                if (value && value[0] == '/')
                        found = value;
        }
        return found;
}

bool dockerd_adds_runtime(const Buffer *words, const char *name) {
        size_t n = strlen(name);

        for (const char *word = next_word(words, NULL); word; word = next_word(words, word)) {
                const char *value = value_of(words, word, "add-runtime");

                if (value && strncmp(value, name, n) == 0 && value[n] == '=')
                        return true;
        }
        return false;
}

/* ---- keys and flags ---- */

typedef struct Alias {
        const char *flag, *key;
} Alias;

static const Alias aliases[] = {
        {"--add-runtime", "runtimes"},
        {"-H", "hosts"},
        {"-D", "debug"},
        {"-l", "log-level"},
        {"-G", "group"},
        {"-b", "bridge"},
        {"-p", "pidfile"},
        {"-s", "storage-driver"},
        {"-g", "data-root"},
        {"--graph", "data-root"},
};

/* "--host=…" and "hosts", "--insecure-registry" and "insecure-registries", "--bridge" and "bridge" */
static bool names_key(const char *word, const char *key) {
        size_t n = strcspn(word, "="), k = strlen(key);
        const char *name = word + 2;

        for (size_t i = 0; i < ARRAY_SIZE(aliases); i++)
                if (strlen(aliases[i].flag) == n && strncmp(word, aliases[i].flag, n) == 0)
                        return strcmp(aliases[i].key, key) == 0;
        if (n < 3 || strncmp(word, "--", 2) != 0)
                return false;
        n -= 2;
        if (strncmp(name, key, n) != 0)
                return k == n + 2 && n > 1 && name[n - 1] == 'y' && strncmp(name, key, n - 1) == 0 &&
                       strcmp(key + n - 1, "ies") == 0;
        return k == n || (k == n + 1 && key[n] == 's') ||
               (n > 1 && name[n - 1] == 'y' && strcmp(key + n - 1, "ies") == 0);
}

static bool is_set(const Buffer *words, const char *key) {
        for (const char *word = next_word(words, NULL); word; word = next_word(words, word))
                if (names_key(word, key))
                        return true;
        return false;
}

const char *dockerd_conflict(const Buffer *words, const cJSON *config, bool may_add) {
        const cJSON *item;

        cJSON_ArrayForEach(item, config) {
                if (item->string && is_set(words, item->string))
                        return item->string;
        }
        return may_add && is_set(words, "runtimes") ? "runtimes" : NULL;
}
