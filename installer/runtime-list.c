/* SPDX-License-Identifier: Apache-2.0 */

/* An image of a runtime is known by its label tee.recipe, whatever its name is; only such a one is ever removed. */

#include "runtime-list.h"
#include "engine-images.h"
#include "log.h"
#include "message-ids.h"
#include "recipe.h"
#include "text.h"
#include "version.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define DATE_MAX 16U

enum {
        COLUMN_RUNTIME,
        COLUMN_IMAGE,
        COLUMN_VERSION,
        COLUMN_GUEST,
        COLUMN_SIZE,
        COLUMN_MADE,
        COLUMNS_SIZE
};

typedef struct Row {
        char *columns[COLUMNS_SIZE];
        bool other_guest; /* than the one of this version */
} Row;

static void row_deinit(Row *row) {
        for (size_t i = 0; i < COLUMNS_SIZE; i++)
                free(row->columns[i]);
}

/* ---- one image ---- */

/* Its first name; NULL for one that has lost it. */
static const char *name_of(const cJSON *image) {
        const char *name = cJSON_GetStringValue(cJSON_GetArrayItem(json_get(image, "RepoTags"), 0));

        return name && strcmp(name, "<none>:<none>") != 0 ? name : NULL;
}

/* An image that was made before there was a label for it has it in its name: "tee-runtime-NAME:…". */
static char *runtime_of(const cJSON *image) {
        static const char prefix[] = "tee-runtime-";
        const char *label = engine_images_label(image, RECIPE_LABEL_RUNTIME), *name = name_of(image);

        if (label)
                return strdup(label);
        if (!name || strncmp(name, prefix, strlen(prefix)) != 0)
                return strdup("?");
        return strndup(name + strlen(prefix), strcspn(name + strlen(prefix), ":"));
}

static const char *text_or(const char *text, const char *otherwise) {
        return text ? text : otherwise;
}

static char *date_of(const cJSON *image) {
        time_t created = (time_t) json_get_integer(image, "Created", 0);
        char text[DATE_MAX];
        struct tm date;

        if (!localtime_r(&created, &date) || strftime(text, sizeof(text), "%Y-%m-%d", &date) == 0)
                return strdup("?");
        return strdup(text);
}

static int row_init(Row *row, const cJSON *image) {
        const char *guest = engine_images_label(image, TEE_IMAGE_LABEL_GUEST), *id = json_get_string(image, "Id");
        char size[SCREEN_SIZE_MAX];

        (void) screen_size((uint64_t) json_get_integer(image, "Size", 0), size);
        *row = (Row){
                .columns = {runtime_of(image),
                            name_of(image) ? strdup(name_of(image)) : text_format("%.19s", text_or(id, "?")),
                            strdup(text_or(engine_images_label(image, RECIPE_LABEL_RUNTIME_VERSION), "?")),
                            strdup(text_or(guest, "?")), strdup(size), date_of(image)},
                .other_guest = !guest || strcmp(guest, TEE_VERSION) != 0,
        };
        for (size_t i = 0; i < COLUMNS_SIZE; i++) {
                if (!row->columns[i])
                        return -ENOMEM;
                text_clean(row->columns[i]);
        }
        return 0;
}

/* ---- all of them ---- */

static int compare_rows(const void *a, const void *b) {
        const Row *x = a, *y = b;
        int order = strcmp(x->columns[COLUMN_RUNTIME], y->columns[COLUMN_RUNTIME]);

        return order ? order : strcmp(x->columns[COLUMN_IMAGE], y->columns[COLUMN_IMAGE]);
}

static void show_row(Screen *screen, const char *const columns[COLUMNS_SIZE], const int widths[COLUMNS_SIZE]) {
        CLEANUP_BUFFER Buffer line = BUFFER_INIT(4096);

        for (size_t i = 0; i < COLUMNS_SIZE; i++)
                (void) buffer_append_format(&line, "%s%*s", i > 0 ? "  " : "",
                                            i == COLUMN_SIZE       ? widths[i]
                                            : i + 1 < COLUMNS_SIZE ? -widths[i]
                                                                   : 0,
                                            columns[i]);
        screen_say(screen, "%s", line.size > 0 ? (const char *) line.data : "");
}

static void show_table(Screen *screen, const Row *rows, size_t size) {
        static const char *const titles[COLUMNS_SIZE] = {"RUNTIME", "IMAGE", "VERSION", "TEE-GUEST", "SIZE", "MADE"};
        int widths[COLUMNS_SIZE];

        for (size_t i = 0; i < COLUMNS_SIZE; i++) {
                widths[i] = (int) strlen(titles[i]);
                for (size_t k = 0; k < size; k++)
                        if ((int) strlen(rows[k].columns[i]) > widths[i])
                                widths[i] = (int) strlen(rows[k].columns[i]);
        }
        show_row(screen, titles, widths);
        for (size_t k = 0; k < size; k++)
                show_row(screen, (const char *const *) rows[k].columns, widths);
        for (size_t k = 0; k < size; k++)
                if (rows[k].other_guest)
                        screen_say(screen,
                                   "%s has a tee-guest of another version than this one (" TEE_VERSION
                                   "): tee-install --refresh-runtimes",
                                   rows[k].columns[COLUMN_IMAGE]);
}

static int show(Screen *screen, const cJSON *list) {
        size_t size = (size_t) cJSON_GetArraySize(list), n = 0;
        Row *rows = calloc(size + 1, sizeof(*rows));
        const cJSON *image;
        int r = rows ? 0 : -ENOMEM;

        cJSON_ArrayForEach(image, list) {
                if (r >= 0)
                        r = row_init(&rows[n++], image);
        }
        if (r >= 0 && size == 0)
                screen_say(screen, "There is no image of a runtime: tee-install --with-runtime deno");
        if (r >= 0 && size > 0) {
                qsort(rows, size, sizeof(*rows), compare_rows);
                show_table(screen, rows, size);
        }
        for (size_t i = 0; i < n; i++)
                row_deinit(&rows[i]);
        free(rows);
        return r;
}

static cJSON *describe(const cJSON *image) {
        CLEANUP_JSON cJSON *item = cJSON_CreateObject();
        CLEANUP_FREE char *runtime = runtime_of(image);

        if (!item || json_add(item, "runtime", json_new_string_or_null(runtime)) < 0 ||
            json_add(item, "image", json_new_string_or_null(name_of(image))) < 0 ||
            json_add(item, "id", json_new_string_or_null(json_get_string(image, "Id"))) < 0 ||
            json_add(item, "runtime_version",
                     json_new_string_or_null(engine_images_label(image, RECIPE_LABEL_RUNTIME_VERSION))) < 0 ||
            json_add(item, "guest_version",
                     json_new_string_or_null(engine_images_label(image, TEE_IMAGE_LABEL_GUEST))) < 0 ||
            json_add(item, "base", json_new_string_or_null(engine_images_label(image, RECIPE_LABEL_BASE))) < 0 ||
            json_add(item, "size_bytes", json_new_integer((uint64_t) json_get_integer(image, "Size", 0))) < 0 ||
            json_add(item, "created", json_new_integer((uint64_t) json_get_integer(image, "Created", 0))) < 0)
                return NULL;
        return TAKE_PTR(item);
}

static int describe_all(const cJSON *list, cJSON **ret_result) {
        CLEANUP_JSON cJSON *result = cJSON_CreateArray();
        const cJSON *image;

        if (!result)
                return -ENOMEM;
        cJSON_ArrayForEach(image, list) {
                cJSON *item = describe(image);

                if (!item || !cJSON_AddItemToArray(result, item)) {
                        cJSON_Delete(item);
                        return -ENOMEM;
                }
        }
        *ret_result = TAKE_PTR(result);
        return 0;
}

int runtime_list_show(const RuntimeImages *images, cJSON **ret_result) {
        CLEANUP_JSON cJSON *info = NULL, *list = NULL;
        int r = engine_info(images->engine, &info);

        if (r >= 0)
                r = engine_images(images->engine, RECIPE_LABEL, &list);
        if (r >= 0 && !images->options->json)
                r = show(images->screen, list);
        return r < 0 ? r : describe_all(list, ret_result);
}

/* ---- one goes ---- */

static int remove_result(const char *image, const char *state, cJSON **ret_result) {
        CLEANUP_JSON cJSON *result = cJSON_CreateObject();

        if (!result || json_add(result, "image", cJSON_CreateString(image)) < 0 ||
            json_add(result, "state", cJSON_CreateString(state)) < 0)
                return -ENOMEM;
        *ret_result = TAKE_PTR(result);
        return 0;
}

static int remove_image(const RuntimeImages *images, const char *name, const cJSON *image) {
        const char *base = docker_image_label(image, RECIPE_LABEL_BASE);
        CLEANUP_FREE char *message = NULL;
        int r;

        if (!docker_image_label(image, RECIPE_LABEL))
                return trouble_set(images->engine->trouble, -EPERM, NULL,
                                   "%s is no image that tee-install has made, and stays", name);
        if (images->options->dry_run) {
                screen_line(images->screen, "image", "%s would be removed", name);
                return 0;
        }
        r = engine_image_remove(images->engine, name, &message);
        if (r < 0)
                return r;
        if (message)
                return trouble_set(images->engine->trouble, -EBUSY, "systemctl stop tee-agent.socket tee-agent.service",
                                   "%s is in use, and stays: %s", name, message);
        screen_line(images->screen, "image", "%s is removed", name);
        log_message(LOG_NOTICE, MESSAGE_CHANGED, "The image %s was removed", name);
        if (base)
                screen_line(images->screen, "note", "%s, from which it was made, stays (docker image rm %s)", base,
                            base);
        return 0;
}

int runtime_list_remove(const RuntimeImages *images, cJSON **ret_result) {
        CLEANUP_FREE char *name = runtime_image_name(images->options, images->options->remove_runtime);
        CLEANUP_JSON cJSON *info = NULL, *image = NULL;
        int r = name ? engine_info(images->engine, &info) : -ENOMEM;

        if (r >= 0)
                r = engine_image(images->engine, name, &image);
        if (r < 0)
                return r;
        if (!image) {
                screen_line(images->screen, "image", "there is no %s: nothing to remove", name);
                return remove_result(name, "absent", ret_result);
        }
        r = remove_image(images, name, image);
        return r < 0 ? r : remove_result(name, images->options->dry_run ? "would_be_removed" : "removed", ret_result);
}
