/* SPDX-License-Identifier: Apache-2.0 */

/* Recipes: which differences make another digest and which do not, what an image says of itself, and the users in it.
 */

#include "recipe.h"
#include "text.h"
#include "unit.h"

#include <errno.h>
#include <stdio.h>

/* One thing that a recipe may differ in. */
typedef struct Variant {
        const char *name;
        const char *content, *path, *target, *value, *label, *preload, *base;
        mode_t mode;
} Variant;

static const Variant plain = {
        .name = "plain",
        .content = "hello",
        .path = "/usr/bin/program",
        .target = "program",
        .value = "1",
        .label = "2.9.5",
        .mode = 0755,
};

static void write_recipe(Recipe *recipe, const Variant *variant) {
        assert_int_equal(recipe_init(recipe), 0);
        assert_int_equal(recipe_add_root(recipe, variant->preload), 0);
        assert_int_equal(
                tar_add_bytes(recipe->tar, variant->path, variant->mode, variant->content, strlen(variant->content)),
                0);
        assert_int_equal(tar_add_link(recipe->tar, "/usr/bin/link", variant->target), 0);
        assert_int_equal(recipe_set_environment(recipe, "A", variant->value), 0);
        assert_int_equal(recipe_set_label(recipe, "l", variant->label), 0);
        recipe->base_id = variant->base ? strdup(variant->base) : NULL;
        assert_int_equal(recipe_close(recipe, "tee-install --with-runtime deno"), 0);
}

TEST(the_same_recipe_has_the_same_digest) {
        Recipe first, second;

        write_recipe(&first, &plain);
        write_recipe(&second, &plain);
        assert_int_equal(strlen(first.digest), 64);
        assert_int_equal(strspn(first.digest, "0123456789abcdef"), 64);
        assert_string_equal(first.digest, second.digest);
        recipe_deinit(&first);
        recipe_deinit(&second);
}

TEST(each_difference_makes_another_digest) {
        Variant variants[] = {plain, plain, plain, plain, plain, plain, plain, plain};
        Recipe first;

        variants[0].content = "hellO", variants[0].name = "content";
        variants[1].path = "/usr/bin/another", variants[1].name = "path";
        variants[2].mode = 0555, variants[2].name = "mode";
        variants[3].target = "another", variants[3].name = "target";
        variants[4].value = "2", variants[4].name = "environment";
        variants[5].label = "2.9.6", variants[5].name = "label";
        variants[6].preload = "/lib.so", variants[6].name = "preload";
        variants[7].base = "sha256:00", variants[7].name = "base";
        write_recipe(&first, &plain);
        for (size_t i = 0; i < ARRAY_SIZE(variants); i++) {
                Recipe other;

                write_recipe(&other, &variants[i]);
                assert_case(strcmp(first.digest, other.digest) != 0, "%s", variants[i].name);
                recipe_deinit(&other);
        }
        recipe_deinit(&first);
}

TEST(docker_is_told_of_the_image_in_a_dockerfiles_words) {
        DockerImage image;
        CLEANUP_FREE char *label = NULL;
        Recipe recipe;

        write_recipe(&recipe, &plain);
        image = recipe_image(&recipe, "a:b");
        label = text_format("LABEL tee.recipe=\"%s\"", recipe.digest);
        assert_string_equal(image.name, "a:b");
        assert_string_equal(image.message, "tee-install --with-runtime deno");
        assert_string_equal(image.changes[0], "ENV A=\"1\"");
        assert_string_equal(image.changes[1], "LABEL l=\"2.9.5\"");
        assert_string_equal(image.changes[2], label);
        assert_null(image.changes[3]);
        recipe_deinit(&recipe);
}

TEST(what_a_dockerfile_would_read_otherwise_is_escaped_or_refused) {
        Recipe recipe;

        assert_int_equal(recipe_init(&recipe), 0);
        assert_int_equal(recipe_set_label(&recipe, "l", "a \"b\" \\ $HOME 'c'"), 0);
        assert_string_equal(recipe.changes[0], "LABEL l=\"a \\\"b\\\" \\\\ \\$HOME 'c'\"");
        assert_int_equal(recipe_set_label(&recipe, "l", "a\nENTRYPOINT x"), -EINVAL);
        assert_int_equal(recipe_set_environment(&recipe, "A", "a\rb"), -EINVAL);
        assert_null(recipe.changes[1]);
        recipe_deinit(&recipe);
}

TEST(more_instructions_than_there_is_room_for_are_refused) {
        Recipe recipe;

        assert_int_equal(recipe_init(&recipe), 0);
        for (unsigned i = 0; i < RECIPE_CHANGES_MAX; i++)
                assert_int_equal(recipe_add_change(&recipe, "HEALTHCHECK NONE"), 0);
        assert_int_equal(recipe_add_change(&recipe, "HEALTHCHECK NONE"), -E2BIG);
        assert_null(recipe.changes[RECIPE_CHANGES_MAX]);
        recipe_deinit(&recipe);
}

static void assert_passwd(const char *old, const char *expected) {
        Buffer buffer = BUFFER_INIT(4096);

        assert_int_equal(recipe_append_passwd(&buffer, old, old ? strlen(old) : 0), 0);
        assert_string_equal((char *) buffer.data, expected);
        buffer_deinit(&buffer);
}

#define ROOT "root:x:0:0::/:/bin/false\n"
#define PROGRAM "program:x:65532:65532::/work:/bin/false\n"

TEST(users_are_added_where_their_ids_are_missing) {
        assert_passwd(NULL, ROOT PROGRAM);
        assert_passwd("", ROOT PROGRAM);
        assert_passwd("root:x:0:0:root:/root:/bin/sh\n", "root:x:0:0:root:/root:/bin/sh\n" PROGRAM);
        assert_passwd("root:x:0:0:root:/root:/bin/sh", "root:x:0:0:root:/root:/bin/sh\n" PROGRAM);
        assert_passwd("a:x:65532:1::/:/\n", "a:x:65532:1::/:/\n" ROOT);
        /* what only looks like one of them */
        assert_passwd("0:0:10:0::/:/\nb:x:655320:65532::/:/\n", "0:0:10:0::/:/\nb:x:655320:65532::/:/\n" ROOT PROGRAM);
        assert_passwd("65532\n\n::\na:x:65532\n", "65532\n\n::\na:x:65532\n" ROOT PROGRAM);
}

TEST(groups_are_added_likewise) {
        static const char old[] = "root:x:0:\nusers:x:100:a\n";
        Buffer buffer = BUFFER_INIT(4096);

        assert_int_equal(recipe_append_group(&buffer, old, strlen(old)), 0);
        assert_string_equal((char *) buffer.data, "root:x:0:\nusers:x:100:a\nprogram:x:65532:\n");
        buffer_deinit(&buffer);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_same_recipe_has_the_same_digest),
                cmocka_unit_test(each_difference_makes_another_digest),
                cmocka_unit_test(docker_is_told_of_the_image_in_a_dockerfiles_words),
                cmocka_unit_test(what_a_dockerfile_would_read_otherwise_is_escaped_or_refused),
                cmocka_unit_test(more_instructions_than_there_is_room_for_are_refused),
                cmocka_unit_test(users_are_added_where_their_ids_are_missing),
                cmocka_unit_test(groups_are_added_likewise),
        };

        return RUN_TESTS(tests);
}
