/* SPDX-License-Identifier: Apache-2.0 */

/* Installed, this program is in sbin/ and the parts in lib/tee/ beside it; built, they are in build/VARIANT/ and
 * guest/adapters/. A guest from elsewhere (--guest) may have its company beside it as well. */

#include "parts.h"
#include "executable.h"
#include "text.h"
#include "version.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define PLACES_MAX 3U

static bool is_file(const char *path) {
        struct stat status;

        return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

/* The first of these that is a file. Takes the paths. */
static int find_first(char *places[PLACES_MAX], char **ret_path) {
        int r = -ENOENT;

        for (size_t i = 0; i < PLACES_MAX; i++) {
                CLEANUP_FREE char *place = places[i];

                if (r == -ENOENT && place && is_file(place)) {
                        *ret_path = realpath(place, NULL);
                        r = *ret_path ? 0 : -errno;
                }
        }
        return r;
}

static char *folder_of(const char *path) {
        const char *slash = strrchr(path, '/');

        return slash ? text_format("%.*s", (int) (slash - path), path) : strdup(".");
}

static int find_self(Parts *parts) {
        char path[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

        if (n < 0)
                return -errno;
        path[n] = '\0';
        parts->folder = folder_of(path);
        return parts->folder ? 0 : -ENOMEM;
}

static int find_guest(Parts *parts, const char *given) {
        char *places[PLACES_MAX] = {0};

        if (given)
                places[0] = strdup(given);
        else {
                places[0] = text_format("%s/../lib/tee/tee-guest", parts->folder);
                places[1] = text_format("%s/tee-guest", parts->folder);
        }
        return find_first(places, &parts->guest);
}

int parts_init(Parts *parts, Loop *loop, const char *given, Trouble *trouble) {
        static const char remedy[] = "give its path with --guest PATH";
        int r;

        *parts = (Parts){0};
        r = find_self(parts);
        if (r >= 0)
                r = find_guest(parts, given);
        if (r == -ENOENT && given)
                return trouble_set(trouble, r, NULL, "there is no tee-guest at %s", given);
        if (r < 0)
                return trouble_set(trouble, r, remedy, "tee-guest is not where it is installed, nor where it is built");

        Executable program = {.name = parts->guest, .path = parts->guest};
        bool is_dynamic = false;

        r = executable_check(&program, &is_dynamic, trouble);
        if (r >= 0 && is_dynamic)
                r = trouble_set(trouble, -ENOEXEC, NULL, "%s is not static, so it is no tee-guest", parts->guest);
        if (r >= 0)
                r = executable_version(loop, &program, "--version", trouble, &parts->guest_version);
        if (r >= 0 && (!*parts->guest_version || strpbrk(parts->guest_version, " \t")))
                r = trouble_set(trouble, -ENOEXEC, NULL, "%s is no tee-guest: its version is '%s'", parts->guest,
                                parts->guest_version);
        return r;
}

void parts_deinit(Parts *parts) {
        free(parts->folder);
        free(parts->guest);
        free(parts->guest_version);
        *parts = (Parts){0};
}

/* A file that stands beside the guest under one name, and below our folder under others. */
static int find_part(const Parts *parts, const char *beside, const char *installed, const char *built, const char *name,
                     Trouble *trouble, char **ret_path) {
        CLEANUP_FREE char *folder = folder_of(parts->guest);
        char *places[PLACES_MAX] = {
                text_format("%s/%s%s", folder ? folder : "", beside, name),
                text_format("%s/%s%s", parts->folder, installed, name),
                text_format("%s/%s%s", parts->folder, built, name),
        };
        int r = find_first(places, ret_path);

        return r < 0 ? trouble_set(trouble, r, NULL, "there is no %s beside tee-guest, nor where it is installed", name)
                     : 0;
}

int parts_find_adapter(const Parts *parts, const char *name, Trouble *trouble, char **ret_path) {
        return find_part(parts, "adapters/", "../lib/tee/adapters/", "../../guest/adapters/", name, trouble, ret_path);
}

static int find_keep_memory(const Parts *parts, Trouble *trouble, char **ret_path) {
        return find_part(parts, "", "../lib/tee/", "", "keep-memory.so", trouble, ret_path);
}

int parts_add_file(Recipe *recipe, mode_t mode, const char *source, const char *path, Trouble *trouble) {
        int r = tar_add_file(recipe->tar, path, mode, source);

        if (r == -EEXIST) /* a library that is told twice */
                return 0;
        return r < 0 ? trouble_set(trouble, r, NULL, "%s cannot go into the image as %s: %s", source, path,
                                   strerror(-r))
                     : 0;
}

int parts_add_guest(const Parts *parts, Recipe *recipe, Trouble *trouble) {
        int r = tar_add_folder(recipe->tar, "/tee", 0700);

        if (r >= 0)
                r = parts_add_file(recipe, 0500, parts->guest, "/tee/tee-guest", trouble);
        return r < 0 ? r : recipe_set_label(recipe, TEE_IMAGE_LABEL_GUEST, parts->guest_version);
}

int parts_add_deno(const Parts *parts, Recipe *recipe, Trouble *trouble) {
        CLEANUP_FREE char *adapter = NULL, *keep_memory = NULL;
        int r = parts_find_adapter(parts, "deno.ts", trouble, &adapter);

        if (r >= 0)
                r = parts_add_file(recipe, 0644, adapter, "/usr/lib/tee/adapter.ts", trouble);
        if (r >= 0)
                r = find_keep_memory(parts, trouble, &keep_memory);
        return r < 0 ? r : parts_add_file(recipe, 0755, keep_memory, PARTS_DENO_PRELOAD, trouble);
}
