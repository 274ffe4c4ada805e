/* SPDX-License-Identifier: Apache-2.0 */

/* An agent refuses a guest of another version (docs/PROTOCOL.md), so its upgrade has to come with new images. The unit
 * has them refreshed before each start of the agent: requests wait in its socket meanwhile, and none is refused. */

#include "runtime-refresh.h"
#include "adapter.h"
#include "engine-images.h"
#include "log.h"
#include "message-ids.h"
#include "parts.h"
#include "text.h"
#include "version.h"

#include <errno.h>
#include <string.h>

typedef struct Refresh {
        const RuntimeImages *images; /* not owned */
        Parts parts;
        cJSON *result;
} Refresh;

static void refresh_deinit(Refresh *refresh) {
        parts_deinit(&refresh->parts);
        cJSON_Delete(refresh->result);
}

/* ---- one image ---- */

static int write_recipe(const Refresh *refresh, const cJSON *image, Recipe *recipe) {
        Trouble *trouble = refresh->images->engine->trouble;
        const char *runtime = engine_images_label(image, RECIPE_LABEL_RUNTIME),
                   *adapter = engine_images_label(image, RECIPE_LABEL_ADAPTER);
        int r = parts_add_guest(&refresh->parts, recipe, trouble);

        if (r >= 0 && adapter)
                r = adapter_renew(adapter, &refresh->parts, recipe, trouble);
        else if (r >= 0 && runtime && strcmp(runtime, "deno") == 0)
                r = parts_add_deno(&refresh->parts, recipe, trouble);
        return r < 0 ? r : recipe_close(recipe, "tee-install --refresh-runtimes");
}

static int unpack_and_commit(Engine *engine, const char *container, const Recipe *recipe, const char *name,
                             char **ret_id) {
        DockerImage made = recipe_image(recipe, name);
        int r = engine_container_unpack(engine, container, recipe->tar);

        return r < 0 ? r : engine_container_commit(engine, container, &made, ret_id);
}

static int remake(const Refresh *refresh, const cJSON *image, const char *name, char **ret_id) {
        CLEANUP(recipe_deinit) Recipe recipe = {0};
        CLEANUP_FREE char *container = NULL;
        Engine *engine = refresh->images->engine;
        int r = recipe_init(&recipe);

        if (r >= 0)
                r = write_recipe(refresh, image, &recipe);
        if (r >= 0)
                r = engine_container_create(engine, name, &container);
        if (r < 0)
                return r;
        r = unpack_and_commit(engine, container, &recipe, name, ret_id);
        engine_container_remove(engine, container);
        return r;
}

static int add_result(Refresh *refresh, const char *name, const char *state, const char *id) {
        CLEANUP_JSON cJSON *item = cJSON_CreateObject();

        if (!item || json_add(item, "image", cJSON_CreateString(name)) < 0 ||
            json_add(item, "state", cJSON_CreateString(state)) < 0 ||
            json_add(item, "id", json_new_string_or_null(id)) < 0 ||
            json_add(item, "guest_version", cJSON_CreateString(refresh->parts.guest_version)) < 0 ||
            !cJSON_AddItemToArray(refresh->result, item))
                return -ENOMEM;
        TAKE_PTR(item);
        return 0;
}

static int refresh_image(Refresh *refresh, const cJSON *image, const char *name) {
        const Options *options = refresh->images->options;
        const char *guest = engine_images_label(image, TEE_IMAGE_LABEL_GUEST), *ours = refresh->parts.guest_version;
        Screen *screen = refresh->images->screen;
        CLEANUP_FREE char *id = NULL;
        int r;

        if (guest && strcmp(guest, ours) == 0 && !options->force) {
                screen_line(screen, "image", "%s has tee-guest %s already", name, ours);
                return add_result(refresh, name, "up_to_date", json_get_string(image, "Id"));
        }
        if (options->dry_run) {
                screen_line(screen, "image", "%s would get tee-guest %s", name, ours);
                return add_result(refresh, name, "would_be_refreshed", json_get_string(image, "Id"));
        }
        r = remake(refresh, image, name, &id);
        if (r < 0)
                return r;
        screen_line(screen, "image", "%s has tee-guest %s now, before %.32s", name, ours, guest ? guest : "none");
        log_message(LOG_NOTICE, MESSAGE_CHANGED, "%s has tee-guest %s now, before %.32s", name, ours,
                    guest ? guest : "none");
        return add_result(refresh, name, "refreshed", id);
}

/* ---- all of them ---- */

/* Says what is wrong with one, and forgets it for the sake of the others. */
static int tell_failure(Refresh *refresh, const char *name, int error) {
        Trouble *trouble = refresh->images->engine->trouble;
        const char *message = trouble->message ? trouble->message : strerror(-error);
        int r;

        screen_line(refresh->images->screen, "image", "%s FAILED: %s", name, message);
        log_message(LOG_ERR, MESSAGE_FAILED, "%s keeps its tee-guest: %s", name, message);
        r = add_result(refresh, name, "failed", NULL);
        trouble_deinit(trouble);
        return r;
}

/* Those that have a name: no sandbox is made from the others. */
static int refresh_all(Refresh *refresh, const cJSON *list) {
        size_t failed = 0;
        const cJSON *image, *name;
        int error = 0;

        cJSON_ArrayForEach(image, list) {
                cJSON_ArrayForEach(name, json_get(image, "RepoTags")) {
                        const char *text = cJSON_GetStringValue(name);
                        int r = text && strcmp(text, "<none>:<none>") != 0 ? refresh_image(refresh, image, text) : 0;

                        if (r >= 0)
                                continue;
                        error = r;
                        if (r == -EINTR || tell_failure(refresh, text, r) < 0)
                                return r;
                        failed++;
                }
        }
        return failed == 0 ? 0
                           : trouble_set(refresh->images->engine->trouble, error,
                                         "tee-install --with-runtime NAME makes one afresh",
                                         "images that keep the tee-guest that they have: %zu", failed);
}

int runtime_refresh(const RuntimeImages *images, cJSON **ret_result) {
        CLEANUP(refresh_deinit) Refresh refresh = {.images = images, .result = cJSON_CreateArray()};
        CLEANUP_JSON cJSON *info = NULL, *list = NULL;
        Engine *engine = images->engine;
        int r = refresh.result ? engine_info(engine, &info) : -ENOMEM;

        if (r >= 0)
                r = parts_init(&refresh.parts, engine->loop, images->options->guest, engine->trouble);
        if (r >= 0 && !images->options->dry_run)
                r = engine_containers_tidy(engine);
        if (r >= 0)
                r = engine_images(engine, RECIPE_LABEL, &list);
        if (r >= 0 && cJSON_GetArraySize(list) == 0)
                screen_line(images->screen, "image", "there is no image of a runtime");
        if (r >= 0)
                r = refresh_all(&refresh, list);
        *ret_result = TAKE_PTR(refresh.result);
        return r;
}
