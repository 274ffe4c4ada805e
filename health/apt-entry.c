/* SPDX-License-Identifier: Apache-2.0 */

/* The repository is known by its address: gVisor's own, with TLS or without, and that of a mirror that tee-install was
 * told, which is in its record. The record also has the fingerprint of the key, where that is another than gVisor's. */

#include "apt-entry.h"
#include "file.h"
#include "json.h"
#include "paths.h"
#include "text.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

#define GVISOR_MIRROR_PLAIN "http://storage.googleapis.com/gvisor/releases"
#define FILE_SIZE_MAX ((size_t) 4 * 1024 * 1024)

void apt_entry_deinit(AptEntry *entry) {
        sources_entry_deinit(&entry->first);
        free(entry->path);
        free(entry->mirror);
        free(entry->fingerprint);
        *entry = (AptEntry){0};
}

static int read_record(AptEntry *entry) {
        CLEANUP_BUFFER Buffer text = BUFFER_INIT(FILE_SIZE_MAX);
        CLEANUP_JSON cJSON *record = NULL;
        const char *mirror, *fingerprint;
        JsonError error;

        if (file_read(PATH_RECORD, &text) >= 0 && text.size > 0)
                record = json_parse(text.data, text.size, &error);
        mirror = json_get_string(json_get_object(record, "source"), "mirror");
        fingerprint = json_get_string(json_get_object(record, "keyring"), "fingerprint");
        entry->mirror = strdup(mirror ? mirror : GVISOR_MIRROR);
        entry->fingerprint = strdup(fingerprint ? fingerprint : GVISOR_FINGERPRINT);
        return entry->mirror && entry->fingerprint ? 0 : -ENOMEM;
}

static int find_address(AptEntry *entry, const Buffer *text, const char *path, bool is_deb822, const char *url) {
        size_t before = entry->found;
        int r = sources_find((const char *) text->data, text->size, is_deb822, url, &entry->first, &entry->found);

        if (r >= 0 && before == 0 && entry->found > 0 && !(entry->path = strdup(path)))
                r = -ENOMEM;
        return r;
}

static int read_list(AptEntry *entry, const char *path, bool is_deb822, Trouble *trouble) {
        static const char *const others[] = {GVISOR_MIRROR, GVISOR_MIRROR_PLAIN};
        CLEANUP_BUFFER Buffer text = BUFFER_INIT(FILE_SIZE_MAX);
        int r = file_read(path, &text);

        if (r == -ENOENT || (r >= 0 && text.size == 0))
                return 0;
        if (r < 0)
                return trouble_errno(trouble, r, path);
        r = find_address(entry, &text, path, is_deb822, entry->mirror);
        for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(others); i++) {
                size_t before = entry->found;

                if (strcmp(entry->mirror, others[i]) == 0)
                        continue;
                r = find_address(entry, &text, path, is_deb822, others[i]);
                entry->is_plain |= entry->found > before && strcmp(others[i], GVISOR_MIRROR_PLAIN) == 0;
        }
        return r;
}

static bool has_suffix(const char *name, const char *suffix) {
        size_t n = strlen(name), k = strlen(suffix);

        return n > k && strcmp(name + n - k, suffix) == 0;
}

int apt_entry_read(AptEntry *ret_entry, Trouble *trouble) {
        CLEANUP(apt_entry_deinit) AptEntry entry = {0};
        DIR *entries = opendir(PATH_SOURCES_FOLDER);
        int r = entries ? read_record(&entry) : -errno;

        if (r >= 0)
                r = read_list(&entry, PATH_SOURCES_MAIN, false, trouble);
        for (const struct dirent *one; r >= 0 && entries && (one = readdir(entries));) {
                CLEANUP_FREE char *path = text_format("%s/%s", PATH_SOURCES_FOLDER, one->d_name);
                bool is_deb822 = has_suffix(one->d_name, ".sources");

                if (!path)
                        r = -ENOMEM;
                else if (one->d_name[0] != '.' && (is_deb822 || has_suffix(one->d_name, ".list")))
                        r = read_list(&entry, path, is_deb822, trouble);
        }
        if (entries)
                (void) closedir(entries);
        if (r >= 0) {
                *ret_entry = entry;
                entry = (AptEntry){0};
        }
        return r;
}
