/* SPDX-License-Identifier: Apache-2.0 */

/* Three kinds of runtimes: Deno, from a program of this machine or one that is read out of an image; busybox's shell,
 * for tests; and all others, which are an image from elsewhere with little added. */

#include "runtime-recipe.h"
#include "base-image.h"
#include "executable.h"
#include "text.h"

#include <errno.h>
#include <string.h>

static int add_file(RuntimeRecipe *runtime, mode_t mode, const char *source, const char *path) {
        return parts_add_file(&runtime->recipe, mode, source, path, runtime->trouble);
}

static int on_library(const char *path, void *userdata) {
        RuntimeRecipe *runtime = userdata;

        if (strstr(path, "/../"))
                return trouble_set(runtime->trouble, -ENOTSUP, NULL,
                                   "%s finds %s relative to where it lies, and would not from /usr/bin",
                                   runtime->program_name, path);
        runtime->libraries++;
        return add_file(runtime, 0755, path, path);
}

/* "deno 2.9.5 (stable, …)" → "2.9.5" */
static int take_version(RuntimeRecipe *runtime, const Executable *program, const char *line, const char *first_word) {
        size_t skip = strlen(first_word), size;

        if (strncmp(line, first_word, skip) != 0 || line[skip] != ' ')
                return trouble_set(runtime->trouble, -ENOEXEC, NULL, "%s is no %s: it says '%s'", program->name,
                                   first_word, line);
        size = strcspn(line + skip + 1, " ");
        runtime->version = strndup(line + skip + 1, size);
        return runtime->version ? 0 : -ENOMEM;
}

static int deno_from_image(RuntimeRecipe *runtime) {
        CLEANUP_FREE char *place = NULL;
        int r = base_image_read_deno(runtime->images, runtime->base, &runtime->program_fd, &place);

        if (r < 0 || !place)
                return r;
        runtime->program_name = text_format("%s of %s", place, runtime->base);
        runtime->program_path = text_format("/proc/%d/fd/%d", (int) getpid(), runtime->program_fd);
        return runtime->program_name && runtime->program_path ? 0 : -ENOMEM;
}

static int find_deno(RuntimeRecipe *runtime) {
        Trouble none = {0};
        int r;

        runtime->base = runtime->options->base_image;
        if (!runtime->base) {
                r = executable_find("deno", runtime->options->deno, "--deno",
                                    runtime->options->deno ? runtime->trouble : &none, &runtime->program_path);
                trouble_deinit(&none);
                if (r >= 0 && !(runtime->program_name = strdup(runtime->program_path)))
                        r = -ENOMEM;
                if (r >= 0 || runtime->options->deno)
                        return r;
                runtime->base = RUNTIME_DENO_IMAGE;
        }
        return deno_from_image(runtime);
}

static int add_deno_settings(RuntimeRecipe *runtime) {
        int r = parts_add_deno(&runtime->parts, &runtime->recipe, runtime->trouble);

        if (r >= 0)
                r = recipe_add_root(&runtime->recipe, PARTS_DENO_PRELOAD);
        if (r >= 0)
                r = recipe_set_environment(&runtime->recipe, "DENO_DIR", "/tmp/.deno");
        if (r >= 0)
                r = recipe_set_environment(&runtime->recipe, "DENO_NO_UPDATE_CHECK", "1");
        if (r >= 0)
                r = recipe_set_environment(&runtime->recipe, "NO_COLOR", "1");
        return r;
}

static int add_deno(RuntimeRecipe *runtime) {
        CLEANUP_FREE char *line = NULL;
        bool is_dynamic = false;
        int r = find_deno(runtime);

        if (r < 0 || !runtime->program_path) /* a dry run that would read it out of an image */
                return r;

        Executable program = {.name = runtime->program_name, .path = runtime->program_path};

        r = executable_check(&program, &is_dynamic, runtime->trouble);
        if (r >= 0)
                r = executable_version(runtime->loop, &program, "--version", runtime->trouble, &line);
        if (r >= 0)
                r = take_version(runtime, &program, line, "deno");
        if (r >= 0)
                r = add_file(runtime, 0755, program.path, "/usr/bin/deno");
        if (r >= 0 && is_dynamic)
                r = executable_libraries(runtime->loop, &program, on_library, runtime, runtime->trouble);
        return r < 0 ? r : add_deno_settings(runtime);
}

/* The names under which busybox is itself: a line each. */
static int add_applet(const char *line, void *userdata) {
        RuntimeRecipe *runtime = userdata;
        CLEANUP_FREE char *path = text_format("/bin/%s", line);
        int r = path ? tar_add_link(runtime->recipe.tar, path, "busybox") : -ENOMEM;

        return r == -EEXIST ? 0 : r;
}

static int add_sh(RuntimeRecipe *runtime) {
        CLEANUP_FREE char *line = NULL;
        bool is_dynamic = false;
        int r = executable_find("busybox", runtime->options->busybox, "--busybox", runtime->trouble,
                                &runtime->program_path);

        if (r < 0)
                return r;
        runtime->program_name = strdup(runtime->program_path);
        if (!runtime->program_name)
                return -ENOMEM;

        Executable program = {.name = runtime->program_name, .path = runtime->program_path};

        r = executable_check(&program, &is_dynamic, runtime->trouble);
        if (r >= 0 && is_dynamic)
                r = trouble_set(runtime->trouble, -ENOEXEC, "apt-get install busybox-static", "%s is not static",
                                program.name);
        if (r >= 0)
                r = executable_version(runtime->loop, &program, NULL, runtime->trouble, &line);
        if (r >= 0)
                r = take_version(runtime, &program, line, "BusyBox");
        if (r >= 0)
                r = add_file(runtime, 0755, program.path, "/bin/busybox");
        if (r >= 0)
                r = executable_lines(runtime->loop, &program, "--list", add_applet, runtime, runtime->trouble);
        return r < 0 ? r : recipe_add_root(&runtime->recipe, NULL);
}

static int check_volumes(RuntimeRecipe *runtime, const cJSON *image) {
        const cJSON *volumes = json_get_object(json_get_object(image, "Config"), "Volumes");

        if (cJSON_GetArraySize(volumes) == 0)
                return 0;
        return trouble_set(runtime->trouble, -EOPNOTSUPP, NULL,
                           "%s declares a volume (%s): each sandbox would get a folder on the host's disk, without a "
                           "limit",
                           runtime->base, volumes->child->string);
}

/* Folders that a sandbox needs, and the guest; users are added when the container is there to be looked at. */
static int add_to_base(RuntimeRecipe *runtime) {
        static const struct {
                const char *path;
                mode_t mode;
        } folders[] = {{"/dev", 0755}, {"/proc", 0555}, {"/sys", 0555}, {"/tmp", 01777}, {"/work", 0755}};
        CLEANUP_JSON cJSON *image = NULL;
        const char *id;
        int r;

        runtime->base = runtime->options->base_image;
        runtime->version = strdup(runtime->base);
        r = runtime->version ? base_image_have(runtime->images, runtime->base, &image) : -ENOMEM;
        if (r < 0 || !image)
                return r;
        r = check_volumes(runtime, image);
        if (r < 0)
                return r;
        id = json_get_string(image, "Id");
        runtime->recipe.base_id = strdup(id ? id : runtime->base);
        runtime->program_name = strdup(runtime->base);
        if (!runtime->recipe.base_id || !runtime->program_name)
                return -ENOMEM;
        for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(folders); i++)
                r = tar_add_folder(runtime->recipe.tar, folders[i].path, folders[i].mode);
        if (r >= 0)
                r = adapter_add(&runtime->adapter, &runtime->parts, image, &runtime->recipe, runtime->trouble);
        /* What a base image has run in its containers from time to time would run in each sandbox. */
        return r < 0 ? r : recipe_add_change(&runtime->recipe, "HEALTHCHECK NONE");
}

bool runtime_recipe_is_from_base(const RuntimeRecipe *runtime) {
        return runtime->options->base_image && strcmp(runtime->name, "deno") != 0;
}

static int check_use(RuntimeRecipe *runtime) {
        const Options *options = runtime->options;

        if (options->adapter && !runtime_recipe_is_from_base(runtime))
                return trouble_set(runtime->trouble, -EINVAL, NULL,
                                   "--adapter is for a runtime that is made with --image");
        if (adapter_choose(options->adapter, runtime->name, &runtime->adapter) < 0)
                return trouble_set(runtime->trouble, -EINVAL, NULL,
                                   "--adapter is python, node, none or the path of a script (./%s), not '%s'",
                                   options->adapter, options->adapter);

        if (options->base_image && (options->deno || options->busybox))
                return trouble_set(runtime->trouble, -EINVAL, NULL,
                                   "--image and --%s are two places to take the program from",
                                   options->deno ? "deno" : "busybox");
        if (options->deno && strcmp(runtime->name, "deno") != 0)
                return trouble_set(runtime->trouble, -EINVAL, NULL, "--deno is for the runtime deno");
        if (options->busybox && strcmp(runtime->name, "sh") != 0)
                return trouble_set(runtime->trouble, -EINVAL, NULL, "--busybox is for the runtime sh");
        if (!options->base_image && strcmp(runtime->name, "deno") != 0 && strcmp(runtime->name, "sh") != 0)
                return trouble_set(runtime->trouble, -EINVAL, "give the image that it is made from with --image IMAGE",
                                   "how to make the runtime '%s' is not known", runtime->name);
        return 0;
}

int runtime_recipe_init(RuntimeRecipe *runtime, const RuntimeImages *images) {
        int r;

        *runtime = (RuntimeRecipe){
                .images = images,
                .options = images->options,
                .loop = images->engine->loop,
                .trouble = images->engine->trouble,
                .name = images->options->with_runtime,
                .program_fd = -1,
        };
        r = check_use(runtime);
        return r < 0 ? r : recipe_init(&runtime->recipe);
}

void runtime_recipe_deinit(RuntimeRecipe *runtime) {
        parts_deinit(&runtime->parts);
        recipe_deinit(&runtime->recipe);
        free(runtime->version);
        free(runtime->program_path);
        free(runtime->program_name);
        (void) close_fd(runtime->program_fd);
        *runtime = (RuntimeRecipe){.program_fd = -1};
}

static int close_recipe(RuntimeRecipe *runtime) {
        CLEANUP_FREE char *command = text_format("tee-install --with-runtime %s", runtime->name);
        Recipe *recipe = &runtime->recipe;
        int r = command ? recipe_set_label(recipe, RECIPE_LABEL_RUNTIME, runtime->name) : -ENOMEM;

        if (r >= 0)
                r = recipe_set_label(recipe, RECIPE_LABEL_RUNTIME_VERSION, runtime->version);
        if (r >= 0 && runtime->base)
                r = recipe_set_label(recipe, RECIPE_LABEL_BASE, runtime->base);
        return r < 0 ? r : recipe_close(recipe, command);
}

int runtime_recipe_write(RuntimeRecipe *runtime) {
        int r = parts_init(&runtime->parts, runtime->loop, runtime->options->guest, runtime->trouble);

        if (r >= 0)
                r = runtime_recipe_is_from_base(runtime) ? add_to_base(runtime)
                    : strcmp(runtime->name, "deno") == 0 ? add_deno(runtime)
                                                         : add_sh(runtime);

        if (r < 0 || !runtime->program_name)
                return r;
        r = parts_add_guest(&runtime->parts, &runtime->recipe, runtime->trouble);
        if (r >= 0)
                r = close_recipe(runtime);
        return r < 0 ? trouble_set(runtime->trouble, r, NULL, "the image cannot be put together: %s", strerror(-r)) : 0;
}
