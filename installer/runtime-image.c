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
#include "base-image.h"
#include "engine-images.h"
#include "executable.h"
#include "parts.h"
#include "recipe.h"
#include "text.h"
#include "version.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#define PRELOAD "/usr/lib/tee/keep-memory.so"
#define ADAPTER "/usr/lib/tee/adapter.ts"
#define USERS_MAX ((size_t) 1024 * 1024)
#define ID_SHOWN 19 /* "sha256:" and twelve digits, as docker(1) shows them */

/* One image that is to be made. */
typedef struct Making {
        const RuntimeImages *images;
        Engine *engine;
        Trouble *trouble;
        Screen *screen;
        const Options *options;
        const char *runtime;
        char *image; /* its name */
        Parts parts;
        Recipe recipe;
        char *version; /* of the language */
        size_t libraries;
        const char *base; /* the image that the program, or all, comes from; NULL: none */
        int program_fd;   /* of what was read out of it */
        char *program_path, *program_name;
        char *old_id, *old_recipe; /* of the image that has the name; NULL for none */
        char *id;
} Making;

static void making_deinit(Making *making) {
        parts_deinit(&making->parts);
        recipe_deinit(&making->recipe);
        free(making->image);
        free(making->version);
        (void) close_fd(making->program_fd);
        free(making->program_path);
        free(making->program_name);
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

static const char *label_of(const cJSON *image, const char *label) {
        return json_get_string(json_get_object(json_get_object(image, "Config"), "Labels"), label);
}

static int look_at_old(Making *making) {
        CLEANUP_JSON cJSON *image = NULL;
        const char *id, *recipe;
        int r = engine_image(making->engine, making->image, &image);

        if (r < 0 || !image)
                return r;
        id = json_get_string(image, "Id");
        recipe = label_of(image, RECIPE_LABEL);
        making->old_id = strdup(id ? id : making->image);
        making->old_recipe = strdup(recipe ? recipe : "");
        return making->old_id && making->old_recipe ? 0 : -ENOMEM;
}

/* ---- what goes into the image ---- */

static int add_file(Making *making, mode_t mode, const char *source, const char *path) {
        int r = tar_add_file(making->recipe.tar, path, mode, source);

        if (r == -EEXIST) /* a library that is told twice */
                return 0;
        return r < 0 ? trouble_set(making->trouble, r, NULL, "%s cannot go into the image as %s: %s", source, path,
                                   strerror(-r))
                     : 0;
}

static int on_library(const char *path, void *userdata) {
        Making *making = userdata;

        making->libraries++;
        return add_file(making, 0755, path, path);
}

/* "deno 2.9.5 (stable, …)" → "2.9.5" */
static int take_version(Making *making, const Executable *program, const char *line, const char *first_word) {
        size_t skip = strlen(first_word), size;

        if (strncmp(line, first_word, skip) != 0 || line[skip] != ' ')
                return trouble_set(making->trouble, -ENOEXEC, NULL, "%s is no %s: it says '%s'", program->name,
                                   first_word, line);
        size = strcspn(line + skip + 1, " ");
        making->version = strndup(line + skip + 1, size);
        return making->version ? 0 : -ENOMEM;
}

static int deno_from_image(Making *making) {
        CLEANUP_FREE char *place = NULL;
        int r = base_image_read_deno(making->images, making->base, &making->program_fd, &place);

        if (r < 0 || !place)
                return r;
        making->program_name = text_format("%s of %s", place, making->base);
        making->program_path = text_format("/proc/%d/fd/%d", (int) getpid(), making->program_fd);
        return making->program_name && making->program_path ? 0 : -ENOMEM;
}

static int find_deno(Making *making) {
        Trouble none = {0};
        int r;

        making->base = making->options->base_image;
        if (!making->base) {
                r = executable_find("deno", making->options->deno, "--deno",
                                    making->options->deno ? making->trouble : &none, &making->program_path);
                trouble_deinit(&none);
                if (r >= 0 && !(making->program_name = strdup(making->program_path)))
                        r = -ENOMEM;
                if (r >= 0 || making->options->deno)
                        return r;
                making->base = RUNTIME_DENO_IMAGE;
        }
        return deno_from_image(making);
}

static int add_deno_settings(Making *making) {
        CLEANUP_FREE char *adapter = NULL, *keep_memory = NULL;
        int r = parts_find_adapter(&making->parts, "deno.ts", making->trouble, &adapter);

        if (r >= 0)
                r = add_file(making, 0644, adapter, ADAPTER);
        if (r >= 0)
                r = parts_find_keep_memory(&making->parts, making->trouble, &keep_memory);
        if (r >= 0)
                r = add_file(making, 0755, keep_memory, PRELOAD);
        if (r >= 0)
                r = recipe_add_root(&making->recipe, PRELOAD);
        if (r >= 0)
                r = recipe_set_environment(&making->recipe, "DENO_DIR", "/tmp/.deno");
        if (r >= 0)
                r = recipe_set_environment(&making->recipe, "DENO_NO_UPDATE_CHECK", "1");
        if (r >= 0)
                r = recipe_set_environment(&making->recipe, "NO_COLOR", "1");
        return r;
}

static int add_deno(Making *making) {
        CLEANUP_FREE char *line = NULL;
        bool is_dynamic = false;
        int r = find_deno(making);

        if (r < 0 || !making->program_path) /* a dry run that would read it out of an image */
                return r;

        Executable program = {.name = making->program_name, .path = making->program_path};

        r = executable_check(&program, &is_dynamic, making->trouble);
        if (r >= 0)
                r = executable_version(making->engine->loop, &program, "--version", making->trouble, &line);
        if (r >= 0)
                r = take_version(making, &program, line, "deno");
        if (r >= 0)
                r = add_file(making, 0755, program.path, "/usr/bin/deno");
        if (r >= 0 && is_dynamic)
                r = executable_libraries(making->engine->loop, &program, on_library, making, making->trouble);
        return r < 0 ? r : add_deno_settings(making);
}

/* The names under which busybox is itself: a line each. */
static int add_applet(const char *line, void *userdata) {
        Making *making = userdata;
        CLEANUP_FREE char *path = text_format("/bin/%s", line);
        int r = path ? tar_add_link(making->recipe.tar, path, "busybox") : -ENOMEM;

        return r == -EEXIST ? 0 : r;
}

static int add_sh(Making *making) {
        CLEANUP_FREE char *line = NULL;
        bool is_dynamic = false;
        int r = executable_find("busybox", making->options->busybox, "--busybox", making->trouble,
                                &making->program_path);

        if (r < 0)
                return r;
        making->program_name = strdup(making->program_path);
        if (!making->program_name)
                return -ENOMEM;

        Executable program = {.name = making->program_name, .path = making->program_path};

        r = executable_check(&program, &is_dynamic, making->trouble);
        if (r >= 0 && is_dynamic)
                r = trouble_set(making->trouble, -ENOEXEC, "apt-get install busybox-static", "%s is not static",
                                program.name);
        if (r >= 0)
                r = executable_version(making->engine->loop, &program, NULL, making->trouble, &line);
        if (r >= 0)
                r = take_version(making, &program, line, "BusyBox");
        if (r >= 0)
                r = add_file(making, 0755, program.path, "/bin/busybox");
        if (r >= 0)
                r = executable_lines(making->engine->loop, &program, "--list", add_applet, making, making->trouble);
        return r < 0 ? r : recipe_add_root(&making->recipe, NULL);
}

static int check_volumes(Making *making, const cJSON *image) {
        const cJSON *volumes = json_get_object(json_get_object(image, "Config"), "Volumes");

        if (cJSON_GetArraySize(volumes) == 0)
                return 0;
        return trouble_set(making->trouble, -EOPNOTSUPP, NULL,
                           "%s declares a volume (%s): each sandbox would get a folder on the host's disk, without a "
                           "limit",
                           making->base, volumes->child->string);
}

/* Folders that a sandbox needs, and the guest; users are added when the container is there to be looked at. */
static int add_to_base(Making *making) {
        static const struct {
                const char *path;
                mode_t mode;
        } folders[] = {{"/dev", 0755},  {"/proc", 0555}, {"/sys", 0555},
                       {"/tmp", 01777}, {"/work", 0755}, {"/tee", 0700}};
        CLEANUP_JSON cJSON *image = NULL;
        const char *id;
        int r;

        making->base = making->options->base_image;
        making->version = strdup(making->base);
        r = making->version ? base_image_have(making->images, making->base, &image) : -ENOMEM;
        if (r < 0 || !image)
                return r;
        r = check_volumes(making, image);
        if (r < 0)
                return r;
        id = json_get_string(image, "Id");
        making->recipe.base_id = strdup(id ? id : making->base);
        making->program_name = strdup(making->base);
        if (!making->recipe.base_id || !making->program_name)
                return -ENOMEM;
        for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(folders); i++)
                r = tar_add_folder(making->recipe.tar, folders[i].path, folders[i].mode);
        /* What a base image has run in its containers from time to time would run in each sandbox. */
        return r < 0 ? r : recipe_add_change(&making->recipe, "HEALTHCHECK NONE");
}

static bool is_from_base(const Making *making) {
        return making->options->base_image && strcmp(making->runtime, "deno") != 0;
}

static int check_use(Making *making) {
        const Options *options = making->options;

        if (options->base_image && (options->deno || options->busybox))
                return trouble_set(making->trouble, -EINVAL, NULL,
                                   "--base and --%s are two places to take the program from",
                                   options->deno ? "deno" : "busybox");
        if (options->deno && strcmp(making->runtime, "deno") != 0)
                return trouble_set(making->trouble, -EINVAL, NULL, "--deno is for the runtime deno");
        if (options->busybox && strcmp(making->runtime, "sh") != 0)
                return trouble_set(making->trouble, -EINVAL, NULL, "--busybox is for the runtime sh");
        if (!options->base_image && strcmp(making->runtime, "deno") != 0 && strcmp(making->runtime, "sh") != 0)
                return trouble_set(making->trouble, -EINVAL, "give the image that it is made from with --base IMAGE",
                                   "how to make the runtime '%s' is not known", making->runtime);
        return 0;
}

/* Puts the recipe together; it stays open (recipe.digest is "") where a dry run cannot know it all. */
static int write_recipe(Making *making) {
        Recipe *recipe = &making->recipe;
        int r = is_from_base(making)                   ? add_to_base(making)
                : strcmp(making->runtime, "deno") == 0 ? add_deno(making)
                                                       : add_sh(making);

        if (r < 0 || !making->program_name)
                return r;
        r = add_file(making, 0500, making->parts.guest, "/tee/tee-guest");
        if (r >= 0)
                r = recipe_set_label(recipe, TEE_IMAGE_LABEL_GUEST, making->parts.guest_version);
        if (r >= 0)
                r = recipe_set_label(recipe, RECIPE_LABEL_RUNTIME, making->runtime);
        if (r >= 0)
                r = recipe_set_label(recipe, RECIPE_LABEL_RUNTIME_VERSION, making->version);
        if (r >= 0 && making->base)
                r = recipe_set_label(recipe, RECIPE_LABEL_BASE, making->base);
        if (r >= 0)
                r = recipe_close(recipe, making->runtime);
        return r < 0 ? trouble_set(making->trouble, r, NULL, "the image cannot be put together: %s", strerror(-r)) : 0;
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
                r = engine_container_unpack(making->engine, container, making->recipe.tar);
        if (r >= 0)
                r = engine_container_commit(making->engine, container, image, &making->id);
        return r;
}

static int add_to_image(Making *making, const DockerImage *image) {
        CLEANUP_FREE char *container = NULL;
        int r = engine_container_create(making->engine, making->base, &container);

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
        DockerImage image = recipe_image(&making->recipe, making->image);
        CLEANUP_JSON cJSON *made = NULL;
        char size[SCREEN_SIZE_MAX];
        int r = is_from_base(making)
                        ? add_to_image(making, &image)
                        : engine_import(making->engine, making->screen, &image, making->recipe.tar, &making->id);

        if (r >= 0)
                r = engine_image(making->engine, making->image, &made);
        if (r < 0)
                return r;
        screen_line(making->screen, "image", "%s (%.*s, %s)", making->image, ID_SHOWN, making->id,
                    screen_size((uint64_t) json_get_integer(made, "Size", 0), size));
        return drop_old(making);
}

/* ---- what people and programs are told ---- */

static void tell_recipe(Making *making) {
        CLEANUP_FREE char *libraries =
                making->libraries == 0 ? strdup("static") : text_format("with %zu libraries", making->libraries);
        Screen *screen = making->screen;

        screen_line(screen, "guest", "tee-guest %s (%s)", making->parts.guest_version, making->parts.guest);
        if (!making->program_name)
                screen_line(screen, "runtime", "%s would come from %s", making->runtime, making->base);
        else if (is_from_base(making))
                screen_line(screen, "runtime", "%s from %s", making->runtime, making->base);
        else
                screen_line(screen, "runtime", "%s %s (%s), %s", making->runtime, making->version, making->program_name,
                            libraries ? libraries : "");
}

static int make_result(const Making *making, const char *state, cJSON **ret_result) {
        CLEANUP_JSON cJSON *result = cJSON_CreateObject();
        const char *id = making->id ? making->id : making->old_id;

        if (!result || json_add(result, "runtime", cJSON_CreateString(making->runtime)) < 0 ||
            json_add(result, "image", cJSON_CreateString(making->image)) < 0 ||
            json_add(result, "state", cJSON_CreateString(state)) < 0 ||
            json_add(result, "id", json_new_string_or_null(id)) < 0 ||
            json_add(result, "runtime_version", json_new_string_or_null(making->version)) < 0 ||
            json_add(result, "guest_version", json_new_string_or_null(making->parts.guest_version)) < 0)
                return -ENOMEM;
        *ret_result = TAKE_PTR(result);
        return 0;
}

static bool is_up_to_date(const Making *making) {
        return making->old_recipe && making->recipe.digest[0] && !making->options->force &&
               strcmp(making->old_recipe, making->recipe.digest) == 0;
}

/* Does what has to be done with the recipe, and says how it stands then. */
static int carry_out(Making *making, const char **ret_state) {
        int r;

        if (is_up_to_date(making)) {
                screen_line(making->screen, "image", "%s is up to date (%s %s, tee-guest %s)", making->image,
                            making->runtime, making->version, making->parts.guest_version);
                *ret_state = "up_to_date";
                return 0;
        }
        tell_recipe(making);
        if (making->options->dry_run) {
                screen_line(making->screen, "image", "%s would be made%s%s", making->image,
                            making->old_id ? " again" : "",
                            making->recipe.digest[0] ? "" : ", unless it is up to date");
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
                .images = images,
                .engine = images->engine,
                .trouble = images->engine->trouble,
                .screen = images->screen,
                .options = images->options,
                .runtime = images->options->with_runtime,
                .program_fd = -1,
        };
        const char *state = NULL;
        int r = check_use(&making);

        if (r < 0)
                return r;
        making.image = runtime_image_name(making.options, making.runtime);
        r = making.image ? recipe_init(&making.recipe) : -ENOMEM;
        if (r >= 0)
                r = check_docker(&making);
        if (r >= 0)
                r = parts_init(&making.parts, making.engine->loop, making.options->guest, making.trouble);
        if (r >= 0 && !making.options->dry_run)
                r = engine_containers_tidy(making.engine);
        if (r >= 0)
                r = look_at_old(&making);
        if (r >= 0)
                r = write_recipe(&making);
        if (r >= 0)
                r = carry_out(&making, &state);
        return r < 0 ? r : make_result(&making, state, ret_result);
}
