/* SPDX-License-Identifier: Apache-2.0 */

/* gVisor's repository as a deb822 file of its own. An older entry for the same repository, such as the one-line list
 * that the reference guide has people write, would fetch everything twice and complain of it: it is taken over. */

#include "apt.h"
#include "file.h"
#include "paths.h"
#include "sources-list.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

#define FILE_SIZE_MAX ((size_t) 1024 * 1024)

static const char *const described[] = {"mirror", "text"};

static char *source_text(const Install *install) {
        const Options *options = install->options;

        return text_format(
                "# gVisor's apt repository. Written by tee-install, which also removes it: tee-install --uninstall\n"
                "Types: deb\n"
                "URIs: %s\n"
                "Suites: %s\n"
                "Components: main\n"
                "Architectures: %s\n"
                "Signed-By: " PATH_KEYRING "\n",
                options->mirror, options->channel, install->host.architecture);
}

/* ---- older entries ---- */

/* What becomes of a file that names the repository. text is what replaces it; empty: the file goes. */
typedef struct Older {
        char *path;
        Buffer before, text;
} Older;

typedef int (*OlderHandler)(Install *install, const Older *older);

static bool has_suffix(const char *name, const char *suffix) {
        size_t n = strlen(name), k = strlen(suffix);

        return n > k && strcmp(name + n - k, suffix) == 0;
}

static int handle_file(Install *install, const char *path, OlderHandler handler) {
        Older older = {
                .path = (char *) (uintptr_t) path,
                .before = BUFFER_INIT(FILE_SIZE_MAX),
                .text = BUFFER_INIT(2 * FILE_SIZE_MAX),
        };
        const Buffer *text = &older.before;
        const char *url = install->options->mirror;
        bool found = false, others = false;
        size_t lines = 0;
        int r = file_read(path, &older.before);

        if (r == -ENOENT)
                r = 0;
        else if (r < 0)
                r = trouble_errno(&install->trouble, r, path);
        else if (text->size > 0 && has_suffix(path, ".sources")) {
                sources_stanzas_look((const char *) text->data, text->size, url, &found, &others);
                if (found && others)
                        r = trouble_set(&install->trouble, -EEXIST, "take that stanza out of it",
                                        "%s names gVisor's repository beside others", path);
        } else if (text->size > 0) {
                r = sources_list_without((const char *) text->data, text->size, url, &older.text, &lines, &others);
                found = lines > 0;
        }
        if (!others) /* nothing is left in it that apt would read */
                buffer_clear(&older.text);
        if (r >= 0 && found)
                r = handler(install, &older);
        buffer_deinit(&older.before);
        buffer_deinit(&older.text);
        return r;
}

static int each_older(Install *install, OlderHandler handler) {
        DIR *entries = opendir(PATH_SOURCES_FOLDER);
        int r = handle_file(install, PATH_SOURCES_MAIN, handler);

        for (const struct dirent *entry; r >= 0 && entries && (entry = readdir(entries));) {
                CLEANUP_FREE char *path = text_format("%s/%s", PATH_SOURCES_FOLDER, entry->d_name);

                if (!path)
                        r = -ENOMEM;
                else if ((has_suffix(path, ".list") || has_suffix(path, ".sources")) && entry->d_name[0] != '.' &&
                         strcmp(path, PATH_SOURCES) != 0)
                        r = handle_file(install, path, handler);
        }
        if (entries)
                (void) closedir(entries);
        return r;
}

static int note_older(Install *install, const Older *older) {
        install_note(install,
                     older->text.size > 0 ? "make a comment of gVisor's entry in %s"
                                          : "remove %s, which names the same repository",
                     older->path);
        return 0;
}

static int take_older(Install *install, const Older *older) {
        AptSource *source = &install->source;
        Change *taken = reallocarray(source->taken, source->taken_size + 1, sizeof(*taken));
        int r;

        if (!taken)
                return -ENOMEM;
        source->taken = taken;
        taken += source->taken_size;
        r = older->text.size > 0 ? change_write(taken, older->path, older->text.data, older->text.size, 0644)
                                 : change_remove(taken, older->path);
        if (r < 0)
                return trouble_errno(&install->trouble, r, older->path);
        source->taken_size++;
        install_note(install, "%s has been taken over", older->path);
        return 0;
}

/* ---- the step ---- */

static int source_look(Install *install, StepState *ret_state) {
        CLEANUP_FREE char *wanted = source_text(install);
        Buffer present = BUFFER_INIT(FILE_SIZE_MAX);
        int r;

        if (!wanted)
                return -ENOMEM;
        r = each_older(install, note_older);
        if (r < 0)
                return r;
        *ret_state = install->note.size > 0 ? STEP_TO_DO : STEP_DONE;
        r = file_read(PATH_SOURCES, &present);
        if (r == -ENOENT ||
            (r >= 0 && (present.size != strlen(wanted) || memcmp(present.data, wanted, present.size) != 0))) {
                *ret_state = STEP_TO_DO;
                install_note(install, "%s %s", r < 0 ? "write" : "replace", PATH_SOURCES);
                install_note(install, "for %s, %s, %s", install->options->mirror, install->options->channel,
                             install->host.architecture);
                r = 0;
        } else if (r >= 0) {
                install_note(install, "%s names it, %s", PATH_SOURCES, install->options->channel);
        } else {
                r = trouble_errno(&install->trouble, r, PATH_SOURCES);
        }
        buffer_deinit(&present);
        return r;
}

static int source_apply(Install *install) {
        CLEANUP_FREE char *text = source_text(install);
        int r = text ? change_write(&install->source.change, PATH_SOURCES, text, strlen(text), 0644) : -ENOMEM;

        if (r < 0)
                return trouble_errno(&install->trouble, r, PATH_SOURCES);
        install_note(install, "%s, %s", PATH_SOURCES, install->options->channel);
        return each_older(install, take_older);
}

static int source_undo(Install *install) {
        AptSource *source = &install->source;
        int r = change_undo(&source->change);

        while (source->taken_size > 0) {
                int undone = change_undo(&source->taken[--source->taken_size]);

                r = r < 0 ? r : undone;
        }
        return r;
}

static void source_keep(Install *install) {
        AptSource *source = &install->source;

        change_keep(&source->change);
        while (source->taken_size > 0)
                change_keep(&source->taken[--source->taken_size]);
        change_tidy_folder(PATH_SOURCES_FOLDER);
        change_tidy(PATH_SOURCES_MAIN);
}

/* ---- for --uninstall ---- */

/* The texts of the older files, so that they can come back. */
static int describe_older(Install *install, const Older *older) {
        cJSON *taken = cJSON_GetObjectItemCaseSensitive(install->source.entry, "taken");

        if (json_get(taken, older->path))
                return 0;
        return json_add(taken, older->path, cJSON_CreateString((const char *) older->before.data));
}

static int source_describe(Install *install, cJSON *entry) {
        CLEANUP_FREE char *text = source_text(install);
        int r;

        if (!text)
                return -ENOMEM;
        for (size_t i = 0; i < ARRAY_SIZE(described); i++)
                cJSON_DeleteItemFromObjectCaseSensitive(entry, described[i]);
        if (json_add(entry, "mirror", cJSON_CreateString(install->options->mirror)) < 0 ||
            json_add(entry, "text", cJSON_CreateString(text)) < 0 ||
            (!json_get(entry, "taken") && json_add(entry, "taken", cJSON_CreateObject()) < 0))
                return -ENOMEM;
        install->source.entry = entry;
        r = each_older(install, describe_older);
        install->source.entry = NULL;
        return r;
}

static bool is_as_made(const cJSON *entry) {
        const char *made = json_get_string(entry, "text");
        Buffer present = BUFFER_INIT(FILE_SIZE_MAX);
        bool same = file_read(PATH_SOURCES, &present) >= 0 && made && present.size == strlen(made) &&
                    memcmp(present.data, made, present.size) == 0;

        buffer_deinit(&present);
        return same;
}

static int source_look_back(Install *install, const cJSON *entry, StepState *ret_state) {
        const cJSON *older;

        *ret_state = STEP_DONE;
        if (access(PATH_SOURCES, F_OK) != 0) {
                install_note(install, "no longer there: %s", PATH_SOURCES);
        } else if (!is_as_made(entry)) {
                install_note(install, "%s was changed since, and stays", PATH_SOURCES);
                return 0;
        } else {
                *ret_state = STEP_TO_DO;
                install_note(install, "remove %s", PATH_SOURCES);
        }
        cJSON_ArrayForEach(older, json_get_object(entry, "taken")) {
                *ret_state = STEP_TO_DO;
                install_note(install, "give back %s", older->string);
        }
        return 0;
}

/* One that somebody has written anew since is left alone. */
static int give_older_back(Install *install, const cJSON *older) {
        Buffer present = BUFFER_INIT(FILE_SIZE_MAX), without = BUFFER_INIT(2 * FILE_SIZE_MAX);
        const char *text = cJSON_IsString(older) ? older->valuestring : "";
        const char *url = install->source.url;
        bool others, mine;
        size_t found;
        Change change;
        int r = file_read(older->string, &present);

        mine = r == -ENOENT;
        if (r >= 0 && url) {
                r = sources_list_without(text, strlen(text), url, &without, &found, &others);
                mine = r >= 0 && present.size == without.size &&
                       (present.size == 0 || memcmp(present.data, without.data, present.size) == 0);
        }
        if (mine) {
                r = change_write(&change, older->string, text, strlen(text), 0644);
                if (r >= 0)
                        change_keep(&change);
        }
        buffer_deinit(&present);
        buffer_deinit(&without);
        if (r < 0)
                return trouble_errno(&install->trouble, r, older->string);
        install_note(install, mine ? "%s is back" : "%s was written anew since, and stays", older->string);
        return 0;
}

static int source_take_away(Install *install, const cJSON *entry) {
        const cJSON *older;
        int r = change_remove(&install->source.change, PATH_SOURCES);

        if (r < 0)
                return trouble_errno(&install->trouble, r, PATH_SOURCES);
        install->source.url = json_get_string(entry, "mirror");
        install_note(install, "%s has been removed", PATH_SOURCES);
        cJSON_ArrayForEach(older, json_get_object(entry, "taken")) {
                r = give_older_back(install, older);
                if (r < 0)
                        return r;
        }
        if (install->source.url)
                apt_forget_lists(install->source.url);
        return 0;
}

const Step step_source = {
        .name = "source",
        .exit_status = 13,
        .look = source_look,
        .apply = source_apply,
        .undo = source_undo,
        .keep = source_keep,
        .describe = source_describe,
        .look_back = source_look_back,
        .take_away = source_take_away,
};
