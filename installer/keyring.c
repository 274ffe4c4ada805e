/* SPDX-License-Identifier: Apache-2.0 */

/* gVisor's archive key, where the reference guide puts it. What is fetched may be anything, so it is written only when
 * it is one OpenPGP key and its fingerprint is the one that is wanted. apt reads the file as user _apt: mode 0644. */

#include "download.h"
#include "file.h"
#include "openpgp.h"
#include "paths.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define KEY_SIZE_MAX ((size_t) 256 * 1024)

/* Fingerprint of the key in the file, "" for none, and whether apt can use the file: it is binary, and all may read it.
 */
static int fingerprint_of(const char *path, char ret_fingerprint[OPENPGP_FINGERPRINT_SIZE], bool *ret_usable) {
        Buffer text = BUFFER_INIT(KEY_SIZE_MAX), binary = BUFFER_INIT(KEY_SIZE_MAX);
        const char *reason = NULL;
        struct stat status;
        int r = file_read(path, &text);

        ret_fingerprint[0] = '\0';
        if (r >= 0)
                r = openpgp_key_read(text.data, text.size, &binary, ret_fingerprint, &reason);
        if (r < 0)
                ret_fingerprint[0] = '\0';
        *ret_usable = r >= 0 && stat(path, &status) == 0 && (status.st_mode & S_IROTH) != 0 &&
                      text.size == binary.size && memcmp(text.data, binary.data, text.size) == 0;
        buffer_deinit(&text);
        buffer_deinit(&binary);
        return r == -ENOMEM ? r : 0;
}

/* The key that lies in the folder of --offline; malloc'ed, NULL for none. */
static char *offline_key(const char *folder) {
        DIR *entries = opendir(folder);
        char *found = NULL;

        for (const struct dirent *entry; entries && !found && (entry = readdir(entries));) {
                const char *dot = strrchr(entry->d_name, '.');

                if (dot && (strcmp(dot, ".key") == 0 || strcmp(dot, ".asc") == 0 || strcmp(dot, ".gpg") == 0))
                        found = text_format("%s/%s", folder, entry->d_name);
        }
        if (entries)
                (void) closedir(entries);
        return found;
}

static int keyring_look(Install *install, StepState *ret_state) {
        const Options *options = install->options;
        char present[OPENPGP_FINGERPRINT_SIZE];
        bool usable = false;
        int r = fingerprint_of(PATH_KEYRING, present, &usable);

        if (r < 0)
                return r;
        *ret_state = usable && strcasecmp(present, options->key_fingerprint) == 0 ? STEP_DONE : STEP_TO_DO;
        if (*ret_state == STEP_DONE) {
                install_note(install, "%s is there, key %s", PATH_KEYRING, present);
                return 0;
        }
        if (options->offline)
                install_note(install, "take the key from %s", options->offline);
        else if (options->key_file)
                install_note(install, "take the key from %s", options->key_file);
        else
                install_note(install, "fetch %s", options->key_url);
        install_note(install, "when its fingerprint is %s", options->key_fingerprint);
        install_note(install, "write %s", PATH_KEYRING);
        if (present[0])
                install_note(install, "in place of key %s%s", present,
                             usable ? "" : ", which apt cannot use as it lies there");
        return 0;
}

static int get_key(Install *install, Buffer *text, char **ret_from) {
        const Options *options = install->options;
        int r;

        if (!options->offline && !options->key_file) {
                *ret_from = strdup(options->key_url);
                return *ret_from ? download(install, "keyring", options->key_url, text) : -ENOMEM;
        }
        *ret_from = options->key_file ? strdup(options->key_file) : offline_key(options->offline);
        if (!*ret_from)
                return trouble_set(&install->trouble, -ENOENT, NULL, "%s has no key (*.key, *.asc or *.gpg)",
                                   options->offline);
        r = file_read(*ret_from, text);
        return r < 0 ? trouble_errno(&install->trouble, r, *ret_from) : 0;
}

static int check_key(Install *install, const Buffer *text, const char *from, Buffer *binary) {
        char fingerprint[OPENPGP_FINGERPRINT_SIZE];
        const char *reason = NULL, *wanted = install->options->key_fingerprint;
        int r = openpgp_key_read(text->data, text->size, binary, fingerprint, &reason);

        if (r == -EINVAL)
                return trouble_set(&install->trouble, r, NULL, "what %s gives is not gVisor's key: %s", from, reason);
        if (r < 0)
                return r;
        if (strcasecmp(fingerprint, wanted) != 0)
                return trouble_set(&install->trouble, -EKEYREJECTED,
                                   "if that key is meant to be trusted: --key-fingerprint with its fingerprint",
                                   "the key from %s has the fingerprint %s, not %s", from, fingerprint, wanted);
        return 0;
}

static int keyring_apply(Install *install) {
        Buffer text = BUFFER_INIT(KEY_SIZE_MAX), binary = BUFFER_INIT(KEY_SIZE_MAX);
        CLEANUP_FREE char *from = NULL;
        int r = get_key(install, &text, &from);

        if (r >= 0)
                r = check_key(install, &text, from, &binary);
        if (r >= 0) {
                r = change_write(&install->keyring.change, PATH_KEYRING, binary.data, binary.size, 0644);
                if (r >= 0 && chmod(install->keyring.change.path, 0644) < 0) /* one that was there kept its own */
                        r = -errno;
                if (r < 0)
                        r = trouble_errno(&install->trouble, r, PATH_KEYRING);
                else
                        install_note(install, "%s, key %s", PATH_KEYRING, install->options->key_fingerprint);
        }
        buffer_deinit(&text);
        buffer_deinit(&binary);
        return r;
}

static int keyring_undo(Install *install) {
        return change_undo(&install->keyring.change);
}

static void keyring_keep(Install *install) {
        change_keep(&install->keyring.change);
        change_tidy(PATH_KEYRING);
}

static int keyring_describe(Install *install, cJSON *entry) {
        cJSON_DeleteItemFromObjectCaseSensitive(entry, "fingerprint");
        return json_add(entry, "fingerprint", cJSON_CreateString(install->options->key_fingerprint));
}

static int keyring_look_back(Install *install, const cJSON *entry, StepState *ret_state) {
        const char *made = json_get_string(entry, "fingerprint");
        char present[OPENPGP_FINGERPRINT_SIZE];
        bool usable;
        int r = fingerprint_of(PATH_KEYRING, present, &usable);

        if (r < 0)
                return r;
        *ret_state = access(PATH_KEYRING, F_OK) == 0 ? STEP_TO_DO : STEP_DONE;
        if (*ret_state == STEP_TO_DO && (!made || strcasecmp(present, made) != 0)) {
                *ret_state = STEP_DONE;
                install_note(install, "%s has another key than tee-install wrote, and stays", PATH_KEYRING);
                return 0;
        }
        install_note(install, "%s%s", *ret_state == STEP_TO_DO ? "remove " : "no longer there: ", PATH_KEYRING);
        return 0;
}

static int keyring_take_away(Install *install, const cJSON *entry) {
        int r = change_remove(&install->keyring.change, PATH_KEYRING);

        (void) entry;
        if (r < 0)
                return trouble_errno(&install->trouble, r, PATH_KEYRING);
        install_note(install, "%s has been removed", PATH_KEYRING);
        return 0;
}

const Step step_keyring = {
        .name = "keyring",
        .exit_status = 12,
        .look = keyring_look,
        .apply = keyring_apply,
        .undo = keyring_undo,
        .keep = keyring_keep,
        .describe = keyring_describe,
        .look_back = keyring_look_back,
        .take_away = keyring_take_away,
};
