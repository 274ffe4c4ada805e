/* SPDX-License-Identifier: Apache-2.0 */

#include "adapter.h"
#include "json.h"
#include "text.h"

#include <errno.h>
#include <string.h>

#define ADAPTERS "/usr/lib/tee"

static const Adapter known[] = {
        {"python", ADAPTERS "/python/sitecustomize.py", "\"-X\", \"tee\"", "python/sitecustomize.py", "PYTHONPATH"},
        {"node", ADAPTERS "/adapter.cjs", "\"--require=" ADAPTERS "/adapter.cjs\"", "node.cjs", NULL},
        {.name = "none"},
};

int adapter_choose(const char *choice, const char *runtime, Adapter *ret) {
        *ret = (Adapter){.name = "none"};
        if (choice && strchr(choice, '/')) {
                *ret = (Adapter){.name = choice, .path = ADAPTERS "/adapter"};
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

int adapter_add(const Adapter *adapter, const Parts *parts, const cJSON *image, Recipe *recipe, Trouble *trouble) {
        CLEANUP_FREE char *part = NULL;
        const char *source = adapter->name;
        int r;

        if (!adapter->path)
                return 0;
        if (adapter->part) {
                r = parts_find_adapter(parts, adapter->part, trouble, &part);
                if (r < 0)
                        return r;
                source = part;
        }
        r = tar_add_file(recipe->tar, adapter->path, adapter->part ? 0644 : 0755, source);
        if (r >= 0 && adapter->search_path)
                r = lead_to(adapter, image, recipe);
        return r < 0 ? trouble_set(trouble, r, NULL, "the adapter %s cannot go into the image: %s", source,
                                   strerror(-r))
                     : 0;
}
