/* SPDX-License-Identifier: Apache-2.0 */

/* An image comes about in one of two ways.
 *
 * That of Deno (and of busybox's shell, for tests) is a tree of our own: the language's program, the libraries that it
 * needs, tee-guest, and nothing else, imported as one archive. No shell is left in it, and no package manager.
 *
 * That of any other language is an image from elsewhere with tee-guest added: a container is created from it and never
 * started, an archive unpacked in it, and the result committed. So the image's layers and its environment stay, and
 * every Docker can do it. (POST /build needs the classic builder, which Docker is about to drop, or a BuildKit session.
 * An export to be imported again would move a gigabyte and lose the environment.)
 *
 * Whatever is only needed meanwhile has no name: the program that was read out of an image is an unlinked file. A
 * container cannot be that; it is removed at the end, or by the next run when this one is killed. */

#include "runtime-image.h"
#include "engine-images.h"
#include "log.h"
#include "message-ids.h"
#include "runtime-recipe.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#define USERS_MAX ((size_t) 1024 * 1024)
#define ID_SHOWN 19 /* "sha256:" and twelve digits, as docker(1) shows them */

/* One image that is to be made. */
typedef struct Making {
        const Options *options; /* these four are not owned */
        Engine *engine;
        Trouble *trouble;
        Screen *screen;

        RuntimeRecipe runtime;
        char *image;               /* its name */
        char *old_id, *old_recipe; /* of the image that has the name; NULL for none */
        char *id;
} Making;

static void making_deinit(Making *making) {
        runtime_recipe_deinit(&making->runtime);
        free(making->image);
        free(making->old_id);
        free(making->old_recipe);
        free(making->id);
}

/* ---- what Docker is ---- */

/* Programs of this machine go into the image, so Docker has to be on one of its kind. */
static int check_docker(Making *making) {
        CLEANUP_JSON cJSON *info = NULL;
        const char *system, *machine;
        struct utsname ours;
        int r = engine_info(making->engine, &info);

        if (r < 0)
                return r;
        if (uname(&ours) < 0)
                return -errno;
        system = json_get_string(info, "OSType");
        machine = json_get_string(info, "Architecture");
        if (!system || !machine || strcmp(system, "linux") != 0 || strcmp(machine, ours.machine) != 0)
                return trouble_set(making->trouble, -EOPNOTSUPP, NULL,
                                   "Docker runs on %s/%s and this machine is linux/%s: its programs cannot run there",
                                   system ? system : "?", machine ? machine : "?", ours.machine);
        return 0;
}

static int look_at_old(Making *making) {
        CLEANUP_JSON cJSON *image = NULL;
        const char *id, *recipe;
        int r = engine_image(making->engine, making->image, &image);

        if (r < 0 || !image)
                return r;
        id = json_get_string(image, "Id");
        recipe = docker_image_label(image, RECIPE_LABEL);
        making->old_id = strdup(id ? id : making->image);
        making->old_recipe = strdup(recipe ? recipe : "");
        return making->old_id && making->old_recipe ? 0 : -ENOMEM;
}

/* ---- the image is made ---- */

static int take_to_buffer(const void *data, size_t size, void *userdata) {
        return buffer_append(userdata, data, size);
}

/* The container's own file with our lines added. One that is something else than a file is left alone. */
static int add_users(Making *making, const char *container, Tar *tar, const char *path,
                     int (*append)(Buffer *buffer, const void *text, size_t size)) {
        CLEANUP_BUFFER Buffer old = BUFFER_INIT(USERS_MAX), new = BUFFER_INIT(2 * USERS_MAX);
        EngineFile file = {.take = take_to_buffer, .userdata = &old};
        int r = engine_container_read(making->engine, NULL, container, path, &file);

        if (r == -EISDIR)
                return 0;
        if (r < 0 && r != -ENOENT)
                return r;
        r = append(&new, old.data, old.size);
        return r < 0 ? r : tar_add_bytes(tar, path, 0644, new.data, new.size);
}

static int unpack_and_commit(Making *making, const char *container, const DockerImage *image) {
        CLEANUP(tar_freep) Tar *users = NULL;
        int r = tar_new(&users);

        if (r >= 0)
                r = add_users(making, container, users, "/etc/passwd", recipe_append_passwd);
        if (r >= 0)
                r = add_users(making, container, users, "/etc/group", recipe_append_group);
        if (r >= 0)
                r = engine_container_unpack(making->engine, container, users);
        if (r >= 0)
                r = engine_container_unpack(making->engine, container, making->runtime.recipe.tar);
        if (r >= 0)
                r = engine_container_commit(making->engine, container, image, &making->id);
        return r;
}

static int add_to_image(Making *making, const DockerImage *image) {
        CLEANUP_FREE char *container = NULL;
        int r = engine_container_create(making->engine, making->runtime.base, &container);

        if (r < 0)
                return r;
        r = unpack_and_commit(making, container, image);
        engine_container_remove(making->engine, container);
        return r;
}

/* The image that the new one has taken the name from, unless it has other names or is in use. */
static int drop_old(Making *making) {
        CLEANUP_JSON cJSON *image = NULL;
        CLEANUP_FREE char *message = NULL;
        int r;

        if (!making->old_id || strcmp(making->old_id, making->id) == 0)
                return 0;
        r = engine_image(making->engine, making->old_id, &image);
        if (r < 0 || !image || cJSON_GetArraySize(json_get(image, "RepoTags")) > 0)
                return r;
        r = engine_image_remove(making->engine, making->old_id, &message);
        if (r >= 0 && message)
                screen_line(making->screen, "note", "the image before it (%.*s) is still in use, and stays", ID_SHOWN,
                            making->old_id);
        return r;
}

static int make(Making *making) {
        DockerImage image = recipe_image(&making->runtime.recipe, making->image);
        CLEANUP_JSON cJSON *made = NULL;
        char size[SCREEN_SIZE_MAX];
        int r = runtime_recipe_is_from_base(&making->runtime) ? add_to_image(making, &image)
                                                              : engine_import(making->engine, making->screen, &image,
                                                                              making->runtime.recipe.tar, &making->id);

        if (r >= 0)
                r = engine_image(making->engine, making->image, &made);
        if (r < 0)
                return r;
        screen_line(making->screen, "image", "%s (%.*s, %s)", making->image, ID_SHOWN, making->id,
                    screen_size((uint64_t) json_get_integer(made, "Size", 0), size));
        log_message(LOG_NOTICE, MESSAGE_CHANGED, "The image %s of the runtime %s was made (%.*s)", making->image,
                    making->runtime.name, ID_SHOWN, making->id);
        return drop_old(making);
}

/* ---- what people and programs are told ---- */

static void tell_recipe(Making *making) {
        CLEANUP_FREE char *libraries = making->runtime.libraries == 0
                                               ? strdup("static")
                                               : text_format("with %zu libraries", making->runtime.libraries);
        Screen *screen = making->screen;

        screen_line(screen, "guest", "tee-guest %s (%s)", making->runtime.parts.guest_version,
                    making->runtime.parts.guest);
        if (!making->runtime.program_name)
                screen_line(screen, "runtime", "%s would come from %s", making->runtime.name, making->runtime.base);
        else if (runtime_recipe_is_from_base(&making->runtime))
                screen_line(screen, "runtime", "%s from %s", making->runtime.name, making->runtime.base);
        else
                screen_line(screen, "runtime", "%s %s (%s), %s", making->runtime.name, making->runtime.version,
                            making->runtime.program_name, libraries ? libraries : "");
}

/* A runtime from an image needs an entry in tee.conf; what stands there of the adapter only this program knows. */
static void tell_adapter(const Making *making) {
        const Adapter *adapter = &making->runtime.adapter;

        if (!runtime_recipe_is_from_base(&making->runtime))
                return;
        if (adapter->arguments)
                screen_line(making->screen, "adapter", "%s; in tee.conf: warm_arguments = [ %s ];", adapter->name,
                            adapter->arguments);
        else if (adapter->path)
                screen_line(making->screen, "adapter", "%s, as %s", adapter->name, adapter->path);
        else
                screen_line(making->screen, "adapter",
                            "none: sandboxes that stand ready have only booted (--adapter gives one)");
}

static int make_result(const Making *making, const char *state, cJSON **ret_result) {
        CLEANUP_JSON cJSON *result = cJSON_CreateObject();
        const char *id = making->id ? making->id : making->old_id;

        if (!result || json_add(result, "runtime", cJSON_CreateString(making->runtime.name)) < 0 ||
            json_add(result, "image", cJSON_CreateString(making->image)) < 0 ||
            json_add(result, "state", cJSON_CreateString(state)) < 0 ||
            json_add(result, "id", json_new_string_or_null(id)) < 0 ||
            json_add(result, "runtime_version", json_new_string_or_null(making->runtime.version)) < 0 ||
            json_add(result, "adapter",
                     json_new_string_or_null(making->runtime.adapter.path ? making->runtime.adapter.name : NULL)) < 0 ||
            json_add(result, "guest_version", json_new_string_or_null(making->runtime.parts.guest_version)) < 0)
                return -ENOMEM;
        *ret_result = TAKE_PTR(result);
        return 0;
}

static bool is_up_to_date(const Making *making) {
        return making->old_recipe && making->runtime.recipe.digest[0] && !making->options->force &&
               strcmp(making->old_recipe, making->runtime.recipe.digest) == 0;
}

/* Does what has to be done with the recipe, and says how it stands then. */
static int carry_out(Making *making, const char **ret_state) {
        int r;

        if (is_up_to_date(making)) {
                screen_line(making->screen, "image", "%s is up to date (%s %s, tee-guest %s)", making->image,
                            making->runtime.name, making->runtime.version, making->runtime.parts.guest_version);
                tell_adapter(making);
                *ret_state = "up_to_date";
                return 0;
        }
        tell_recipe(making);
        tell_adapter(making);
        if (making->options->dry_run) {
                screen_line(making->screen, "image", "%s would be made%s%s", making->image,
                            making->old_id ? " again" : "",
                            making->runtime.recipe.digest[0] ? "" : ", unless it is up to date");
                *ret_state = "would_be_made";
                return 0;
        }
        r = make(making);
        if (r >= 0)
                *ret_state = "made";
        return r;
}

char *runtime_image_name(const Options *options, const char *runtime) {
        return options->image ? strdup(options->image) : text_format("tee-runtime-%s:latest", runtime);
}

int runtime_image_make(const RuntimeImages *images, cJSON **ret_result) {
        CLEANUP(making_deinit)
        Making making = {
                .options = images->options,
                .engine = images->engine,
                .trouble = images->engine->trouble,
                .screen = images->screen,
        };
        const char *state = NULL;
        int r = runtime_recipe_init(&making.runtime, images);

        if (r < 0)
                return r;
        making.image = runtime_image_name(making.options, making.runtime.name);
        r = making.image ? check_docker(&making) : -ENOMEM;
        if (r >= 0 && !making.options->dry_run)
                r = engine_containers_tidy(making.engine);
        if (r >= 0)
                r = look_at_old(&making);
        if (r >= 0)
                r = runtime_recipe_write(&making.runtime);
        if (r >= 0)
                r = carry_out(&making, &state);
        return r < 0 ? r : make_result(&making, state, ret_result);
}
