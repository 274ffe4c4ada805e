/* SPDX-License-Identifier: Apache-2.0 */

/* Which adapter an image gets, and how the image leads to it. */

#include "adapter.h"
#include "json.h"
#include "unit.h"

#include <errno.h>
#include <stdio.h>

TEST(the_name_of_a_runtime_tells_its_adapter) {
        static const char *const names[][2] = {
                {"python", "python"}, {"python3.13", "python"}, {"node", "node"}, {"nodejs", "node"},
                {"ruby", "none"},     {"mypython", "none"},     {"p", "none"},    {"none", "none"},
        };
        Adapter adapter;

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                assert_int_equal(adapter_choose(NULL, names[i][0], &adapter), 0);
                assert_string_equal(adapter.name, names[i][1]);
                assert_int_equal(adapter.path != NULL, strcmp(names[i][1], "none") != 0);
        }
}

TEST(what_is_chosen_goes_before_the_name) {
        Adapter adapter;

        assert_int_equal(adapter_choose("node", "python", &adapter), 0);
        assert_string_equal(adapter.name, "node");
        assert_int_equal(adapter_choose("none", "python", &adapter), 0);
        assert_null(adapter.path);
        assert_int_equal(adapter_choose("./warm.rb", "python", &adapter), 0);
        assert_string_equal(adapter.path, "/usr/lib/tee/adapter");
        assert_null(adapter.arguments);
        assert_int_equal(adapter_choose("python3", "python", &adapter), -EINVAL);
        assert_int_equal(adapter_choose("", "python", &adapter), -EINVAL);
}

/* The recipe's instruction that sets PYTHONPATH for an image with this environment. */
static void assert_search_path(const char *document, const char *instruction) {
        Parts parts = {.folder = strdup("guest"), .guest = strdup("guest/tee-guest")};
        CLEANUP_JSON cJSON *image = cJSON_Parse(document);
        Adapter adapter;
        Recipe recipe;
        Trouble trouble = {0};

        assert_int_equal(recipe_init(&recipe), 0);
        assert_int_equal(adapter_choose(NULL, "python", &adapter), 0);
        assert_int_equal(adapter_add(&adapter, &parts, image, &recipe, &trouble), 0);
        assert_int_equal(recipe.changes_size, 2);
        assert_string_equal(recipe.changes[0], instruction);
        assert_string_equal(recipe.changes[1], "LABEL tee.adapter=\"python\"");
        recipe_deinit(&recipe);
        parts_deinit(&parts);
}

TEST(python_finds_it_before_what_the_image_had) {
        assert_search_path("{}", "ENV PYTHONPATH=\"/usr/lib/tee/python\"");
        assert_search_path("{\"Config\": {\"Env\": [\"A=1\", \"PYTHONPATH=\"]}}",
                           "ENV PYTHONPATH=\"/usr/lib/tee/python\"");
        assert_search_path("{\"Config\": {\"Env\": [\"PYTHONPATHS=x\", \"PYTHONPATH=/app:/lib\"]}}",
                           "ENV PYTHONPATH=\"/usr/lib/tee/python:/app:/lib\"");
        assert_search_path("{\"Config\": {\"Env\": null}}", "ENV PYTHONPATH=\"/usr/lib/tee/python\"");
}

TEST(only_a_script_of_ours_can_be_renewed) {
        static const struct {
                const char *label;
                bool has_script;
        } cases[] = {{"python", true}, {"node", true}, {"none", false}, {"own", false}, {"", false}};

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                Parts parts = {.folder = strdup("guest"), .guest = strdup("guest/tee-guest")};
                Recipe recipe, empty;
                Trouble trouble = {0};

                assert_int_equal(recipe_init(&recipe), 0);
                assert_int_equal(recipe_init(&empty), 0);
                assert_int_equal(adapter_renew(cases[i].label, &parts, &recipe, &trouble), 0);
                assert_int_equal(recipe.changes_size, 0);
                assert_int_equal(recipe_close(&recipe, "x"), 0);
                assert_int_equal(recipe_close(&empty, "x"), 0);
                assert_case((strcmp(recipe.digest, empty.digest) != 0) == cases[i].has_script, "%s", cases[i].label);
                recipe_deinit(&recipe);
                recipe_deinit(&empty);
                parts_deinit(&parts);
        }
}

TEST(script_that_is_not_there_is_named) {
        Parts parts = {.folder = strdup("guest"), .guest = strdup("guest/tee-guest")};
        Adapter adapter;
        Recipe recipe;
        Trouble trouble = {0};

        assert_int_equal(recipe_init(&recipe), 0);
        assert_int_equal(adapter_choose("/nonexistent/warm.rb", "ruby", &adapter), 0);
        assert_int_equal(adapter_add(&adapter, &parts, NULL, &recipe, &trouble), -ENOENT);
        assert_non_null(strstr(trouble.message, "/nonexistent/warm.rb"));
        trouble_deinit(&trouble);
        recipe_deinit(&recipe);
        parts_deinit(&parts);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_name_of_a_runtime_tells_its_adapter),
                cmocka_unit_test(what_is_chosen_goes_before_the_name),
                cmocka_unit_test(python_finds_it_before_what_the_image_had),
                cmocka_unit_test(only_a_script_of_ours_can_be_renewed),
                cmocka_unit_test(script_that_is_not_there_is_named),
        };
        return RUN_TESTS(tests);
}
