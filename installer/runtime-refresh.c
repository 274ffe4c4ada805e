/* SPDX-License-Identifier: Apache-2.0 */

/* An agent refuses a guest of another version (docs/PROTOCOL.md), so its upgrade has to come with new images. The unit
 * has them refreshed before each start of the agent: requests wait in its socket meanwhile, and none is refused.
 *
 * An image that was refreshed before is made from the one that it was made from, so that layers do not pile up. */

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

#define COMMAND "tee-install --refresh-runtimes"

typedef struct Refresh {
        const RuntimeImages *images; /* not owned */
        Parts parts;
        cJSON *result;
} Refresh;

static void refresh_deinit(Refresh *refresh) {
        parts_deinit(&refresh->parts);
        cJSON_Delete(refresh->result);
}

/* ---- one image is made again ---- */

/* image is the document of the one that has the name. */
static int add_adapter(const Refresh *refresh, const cJSON *image, Recipe *recipe) {
        Trouble *trouble = refresh->images->engine->trouble;
        const char *runtime = docker_image_label(image, RECIPE_LABEL_RUNTIME);
        const char *adapter = docker_image_label(image, RECIPE_LABEL_ADAPTER);

        if (adapter)
                return adapter_renew(adapter, &refresh->parts, recipe, trouble);
        if (runtime && strcmp(runtime, "deno") == 0)
                return parts_add_deno(&refresh->parts, recipe, trouble);
        if (runtime && strcmp(runtime, "sh") == 0)
                return 0;
        return trouble_set(trouble, -ENOTSUP, NULL, "it does not say which adapter it has");
}

static int write_recipe(const Refresh *refresh, const cJSON *image, Recipe *recipe) {
        int r = parts_add_guest(&refresh->parts, recipe, refresh->images->engine->trouble);

        if (r >= 0)
                r = add_adapter(refresh, image, recipe);
        return r < 0 ? r : recipe_close(recipe, COMMAND);
}

/* Somebody may have given the name to another image meanwhile, which is newer than ours. */
static int check_name(Engine *engine, const char *name, const char *id) {
        CLEANUP_JSON cJSON *image = NULL;
        int r = engine_image(engine, name, &image);
        const char *now = json_get_string(image, "Id");

        if (r < 0 || (now && strcmp(now, id) == 0))
                return r;
        return trouble_set(engine->trouble, -EBUSY, NULL, "the name is another image's by now");
}

static int unpack_and_commit(Engine *engine, const char *container, const Recipe *recipe, const char *name,
                             const char *old_id, char **ret_id) {
        DockerImage made = recipe_image(recipe, name);
        int r = engine_container_unpack(engine, container, recipe->tar);

        if (r >= 0)
                r = check_name(engine, name, old_id);
        return r < 0 ? r : engine_container_commit(engine, container, &made, ret_id);
}

/* The image to start from: its own, or the one before an earlier refresh, where Docker still has that. */
static int choose_base(Engine *engine, const cJSON *image, char **ret_id) {
        const char *comment = json_get_string(image, "Comment"), *parent = json_get_string(image, "Parent");
        CLEANUP_JSON cJSON *before = NULL;
        int r = 0;

        if (comment && parent && parent[0] && strcmp(comment, COMMAND) == 0)
                r = engine_image(engine, parent, &before);
        if (r < 0)
                return r;
        *ret_id = strdup(json_get_string(before ? before : image, "Id"));
        return *ret_id ? 0 : -ENOMEM;
}

/* What has lost its name, and nothing is made from it. Of no consequence where it cannot be removed. */
static int drop(Engine *engine, const char *id) {
        CLEANUP_FREE char *message = NULL;

        return engine_image_remove(engine, id, &message);
}

static int remake(const Refresh *refresh, const cJSON *image, const char *name, char **ret_id) {
        CLEANUP(recipe_deinit) Recipe recipe = {0};
        CLEANUP_FREE char *container = NULL, *base = NULL;
        const char *id = json_get_string(image, "Id");
        Engine *engine = refresh->images->engine;
        int r = recipe_init(&recipe);

        if (r >= 0)
                r = write_recipe(refresh, image, &recipe);
        if (r >= 0)
                r = choose_base(engine, image, &base);
        if (r >= 0)
                r = engine_container_create(engine, base, &container);
        if (r < 0)
                return r;
        r = unpack_and_commit(engine, container, &recipe, name, id, ret_id);
        engine_container_remove(engine, container);
        return r < 0 || strcmp(base, id) == 0 || strcmp(*ret_id, id) == 0 ? r : drop(engine, id);
}

/* ---- what people and programs are told ---- */

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

/* Says what is wrong with one, and forgets it for the sake of the others. */
static int tell_failure(Refresh *refresh, const char *name, int error) {
        Trouble *trouble = refresh->images->engine->trouble;
        const char *message = error == -EINTR ? "interrupted" : trouble->message ? trouble->message : strerror(-error);
        int r;

        screen_line(refresh->images->screen, "image", "%s FAILED: %s", name, message);
        log_message(LOG_ERR, MESSAGE_FAILED, "%s keeps the tee-guest that it has: %s", name, message);
        r = add_result(refresh, name, "failed", NULL);
        trouble_deinit(trouble);
        return r;
}

static int tell_done(Refresh *refresh, const char *name, const char *guest, const char *id) {
        const char *ours = refresh->parts.guest_version;

        screen_line(refresh->images->screen, "image", "%s has tee-guest %s now, before %.32s", name, ours, guest);
        log_message(LOG_NOTICE, MESSAGE_CHANGED, "%s has tee-guest %s now, before %.32s", name, ours, guest);
        return add_result(refresh, name, "refreshed", id);
}

static int tell_other(Refresh *refresh, const char *name, const char *state, const char *id, const char *text) {
        screen_line(refresh->images->screen, "image", "%s %s", name, text);
        return add_result(refresh, name, state, id);
}

/* ---- all of them ---- */

static int refresh_image(Refresh *refresh, const cJSON *image, const char *name) {
        const Options *options = refresh->images->options;
        const char *guest = docker_image_label(image, TEE_IMAGE_LABEL_GUEST), *id = json_get_string(image, "Id");
        CLEANUP_FREE char *new_id = NULL;
        int r;

        if (!image)
                return tell_other(refresh, name, "absent", NULL, "is not there");
        if (!docker_image_label(image, RECIPE_LABEL) || !guest || !id || strchr(name, '@') ||
            strncmp(name, "sha256:", 7) == 0)
                return tell_other(refresh, name, "left_alone", id, "is no name of an image that tee-install has made");
        if (strcmp(guest, refresh->parts.guest_version) == 0 && !options->force)
                return tell_other(refresh, name, "up_to_date", id, "is up to date");
        if (options->dry_run)
                return tell_other(refresh, name, "would_be_refreshed", id, "would be refreshed");
        r = remake(refresh, image, name, &new_id);
        return r < 0 ? r : tell_done(refresh, name, guest, new_id);
}

static bool was_named_before(const Config *config, size_t index) {
        for (size_t i = 0; i < index; i++)
                if (strcmp(config->runtimes[i].image, config->runtimes[index].image) == 0)
                        return true;
        return false;
}

static int refresh_all(Refresh *refresh) {
        const Config *config = refresh->images->config;
        Engine *engine = refresh->images->engine;
        size_t failed = 0;
        int error = 0;

        for (size_t i = 0; i < config->runtimes_size; i++) {
                const char *name = config->runtimes[i].image;
                CLEANUP_JSON cJSON *image = NULL;
                int r = was_named_before(config, i) ? 1 : engine_image(engine, name, &image);

                if (r == 0)
                        r = refresh_image(refresh, image, name);
                if (r >= 0)
                        continue;
                failed++;
                error = r;
                if (tell_failure(refresh, name, r) < 0 || r == -EINTR)
                        return r;
        }
        return failed == 0 ? 0
                           : trouble_set(engine->trouble, error, "tee-install --with-runtime NAME makes one afresh",
                                         "images that keep the tee-guest that they have: %zu", failed);
}

int runtime_refresh(const RuntimeImages *images, cJSON **ret_result) {
        CLEANUP(refresh_deinit) Refresh refresh = {.images = images, .result = cJSON_CreateArray()};
        CLEANUP_JSON cJSON *info = NULL;
        Engine *engine = images->engine;
        int r = refresh.result ? engine_info(engine, &info) : -ENOMEM;

        if (r >= 0)
                r = parts_init(&refresh.parts, engine->loop, images->options->guest, engine->trouble);
        if (r >= 0 && !images->options->dry_run)
                r = engine_containers_tidy(engine);
        if (r >= 0)
                r = refresh_all(&refresh);
        *ret_result = TAKE_PTR(refresh.result);
        return r;
}
