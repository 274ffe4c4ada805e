/* SPDX-License-Identifier: Apache-2.0 */

#include "adapter.h"
#include "json.h"
#include "text.h"

#include <errno.h>
#include <string.h>

#define ADAPTERS "/usr/lib/tee"

static const Adapter known[] = {
        {"python", "python", ADAPTERS "/python/sitecustomize.py", "\"-X\", \"tee\"", "python/sitecustomize.py",
         "PYTHONPATH"},
        {"node", "node", ADAPTERS "/adapter.cjs", "\"--require=" ADAPTERS "/adapter.cjs\"", "node.cjs", NULL},
        {.name = "none", .label = "none"},
};

int adapter_choose(const char *choice, const char *runtime, Adapter *ret) {
        *ret = (Adapter){.name = "none", .label = "none"};
        if (choice && strchr(choice, '/')) {
                *ret = (Adapter){.name = choice, .label = "own", .path = ADAPTERS "/adapter"};
                return 0;
        }
        for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
                const char *name = known[i].name;

                if (choice ? strcmp(choice, name) == 0 : strncmp(runtime, name, strlen(name)) == 0) {
                        *ret = known[i];
                        return 0;
                }
        }
        return choice ? -EINVAL : 0;
}

/* What the image has in the variable, or NULL. */
static const char *variable_of(const cJSON *image, const char *name) {
        const cJSON *variable;
        size_t size = strlen(name);

        cJSON_ArrayForEach(variable, json_get(json_get_object(image, "Config"), "Env")) {
                const char *text = cJSON_GetStringValue(variable);

                if (text && strncmp(text, name, size) == 0 && text[size] == '=')
                        return text + size + 1;
        }
        return NULL;
}

static int lead_to(const Adapter *adapter, const cJSON *image, Recipe *recipe) {
        const char *before = variable_of(image, adapter->search_path);
        CLEANUP_FREE char *value = text_format("%.*s%s%s", (int) (strrchr(adapter->path, '/') - adapter->path),
                                               adapter->path, before && *before ? ":" : "", before ? before : "");

        return value ? recipe_set_environment(recipe, adapter->search_path, value) : -ENOMEM;
}

static int add_script(const Adapter *adapter, const Parts *parts, Recipe *recipe, Trouble *trouble) {
        CLEANUP_FREE char *part = NULL;

        if (!adapter->part)
                return parts_add_file(recipe, 0755, adapter->name, adapter->path, trouble);

        int r = parts_find_adapter(parts, adapter->part, trouble, &part);

        return r < 0 ? r : parts_add_file(recipe, 0644, part, adapter->path, trouble);
}

int adapter_add(const Adapter *adapter, const Parts *parts, const cJSON *image, Recipe *recipe, Trouble *trouble) {
        int r = adapter->path ? add_script(adapter, parts, recipe, trouble) : 0;

        if (r >= 0 && adapter->path && adapter->search_path)
                r = lead_to(adapter, image, recipe);
        return r < 0 ? r : recipe_set_label(recipe, RECIPE_LABEL_ADAPTER, adapter->label);
}

int adapter_renew(const char *label, const Parts *parts, Recipe *recipe, Trouble *trouble) {
        for (size_t i = 0; i < ARRAY_SIZE(known); i++)
                if (known[i].part && strcmp(known[i].label, label) == 0)
                        return add_script(&known[i], parts, recipe, trouble);
        return 0;
}
