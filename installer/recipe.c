/* SPDX-License-Identifier: Apache-2.0 */

/* The digest is taken over the very bytes that Docker gets (tar.c makes the same ones of the same tree), and over the
 * instructions that make the rest. There is no second description of the image that could differ from it. */

#include "recipe.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PROGRAM_ID "65532"
#define BLOCK_SIZE ((size_t) 256 * 1024)

int recipe_init(Recipe *recipe) {
        *recipe = (Recipe){0};
        return tar_new(&recipe->tar);
}

void recipe_deinit(Recipe *recipe) {
        tar_free(recipe->tar);
        free(recipe->base_id);
        free(recipe->message);
        for (size_t i = 0; i < recipe->changes_size; i++)
                free(recipe->changes[i]);
        *recipe = (Recipe){0};
}

/* ---- the tree ---- */

static int add_text(Tar *tar, const char *path, const Buffer *text) {
        return tar_add_bytes(tar, path, 0644, text->data, text->size);
}

int recipe_add_root(Recipe *recipe, const char *preload) {
        static const char *const folders[] = {"/bin", "/dev", "/etc", "/proc", "/sys", "/usr/bin", "/work"};
        CLEANUP_BUFFER Buffer passwd = BUFFER_INIT(1024), group = BUFFER_INIT(1024), line = BUFFER_INIT(4096);
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(folders); i++)
                r = tar_add_folder(recipe->tar, folders[i], 0755);
        if (r >= 0)
                r = tar_add_folder(recipe->tar, "/tmp", 01777);
        if (r >= 0)
                r = recipe_append_passwd(&passwd, NULL, 0);
        if (r >= 0)
                r = recipe_append_group(&group, NULL, 0);
        if (r >= 0)
                r = add_text(recipe->tar, "/etc/passwd", &passwd);
        if (r >= 0)
                r = add_text(recipe->tar, "/etc/group", &group);
        if (r < 0 || !preload)
                return r;
        r = buffer_append_format(&line, "%s\n", preload);
        return r < 0 ? r : add_text(recipe->tar, "/etc/ld.so.preload", &line);
}

/* Whether a line of a file like passwd(5) has the id in its third field. */
static bool has_id(const char *text, size_t size, const char *id) {
        const char *end = text + size;

        while (text < end) {
                const char *line_end = memchr(text, '\n', (size_t) (end - text)), *field = text;

                if (!line_end)
                        line_end = end;
                for (int i = 0; field && i < 2; i++) {
                        field = memchr(field, ':', (size_t) (line_end - field));
                        field = field ? field + 1 : NULL;
                }
                if (field && (size_t) (line_end - field) > strlen(id) && strncmp(field, id, strlen(id)) == 0 &&
                    field[strlen(id)] == ':')
                        return true;
                text = line_end + (line_end < end);
        }
        return false;
}

static int append_lines(Buffer *buffer, const char *text, size_t size, const char *root, const char *program) {
        int r = size > 0 ? buffer_append(buffer, text, size) : 0;

        if (r >= 0 && size > 0 && text[size - 1] != '\n')
                r = buffer_append_text(buffer, "\n");
        if (r >= 0 && !has_id(text, size, "0"))
                r = buffer_append_text(buffer, root);
        if (r >= 0 && !has_id(text, size, PROGRAM_ID))
                r = buffer_append_text(buffer, program);
        return r;
}

int recipe_append_passwd(Buffer *buffer, const void *text, size_t size) {
        return append_lines(buffer, text ? text : "", size, "root:x:0:0::/:/bin/false\n",
                            "program:x:" PROGRAM_ID ":" PROGRAM_ID "::/work:/bin/false\n");
}

int recipe_append_group(Buffer *buffer, const void *text, size_t size) {
        return append_lines(buffer, text ? text : "", size, "root:x:0:\n", "program:x:" PROGRAM_ID ":\n");
}

/* ---- what the image says of itself ---- */

int recipe_add_change(Recipe *recipe, const char *instruction) {
        char *copy;

        if (recipe->changes_size == RECIPE_CHANGES_MAX)
                return -E2BIG;
        copy = strdup(instruction);
        if (!copy)
                return -ENOMEM;
        recipe->changes[recipe->changes_size++] = copy;
        return 0;
}

/* A word in double quotes, in which a Dockerfile knows three special characters. */
static int append_quoted(Buffer *buffer, const char *text) {
        int r = buffer_append_text(buffer, "\"");

        for (; r >= 0 && *text; text++) {
                if (strchr("\r\n", *text))
                        return -EINVAL;
                if (strchr("\"\\$", *text))
                        r = buffer_append_text(buffer, "\\");
                if (r >= 0)
                        r = buffer_append(buffer, text, 1);
        }
        return r < 0 ? r : buffer_append_text(buffer, "\"");
}

static int add_assignment(Recipe *recipe, const char *instruction, const char *key, const char *value) {
        CLEANUP_BUFFER Buffer buffer = BUFFER_INIT(4096);
        int r = buffer_append_format(&buffer, "%s %s=", instruction, key);

        if (r >= 0)
                r = append_quoted(&buffer, value);
        return r < 0 ? r : recipe_add_change(recipe, (const char *) buffer.data);
}

int recipe_set_environment(Recipe *recipe, const char *key, const char *value) {
        return add_assignment(recipe, "ENV", key, value);
}

int recipe_set_label(Recipe *recipe, const char *key, const char *value) {
        return add_assignment(recipe, "LABEL", key, value);
}

/* ---- the digest ---- */

static int digest_text_and_end(Digest *digest, const char *text) {
        return digest_add(digest, text, strlen(text) + 1);
}

static int digest_tree(Digest *digest, Tar *tar) {
        CLEANUP_FREE uint8_t *block = malloc(BLOCK_SIZE);
        ssize_t n;
        int r = 0;

        if (!block)
                return -ENOMEM;
        tar_rewind(tar);
        while (r >= 0 && (n = tar_read(block, BLOCK_SIZE, tar)) != 0)
                r = n < 0 ? (int) n : digest_add(digest, block, (size_t) n);
        tar_rewind(tar);
        return r;
}

int recipe_close(Recipe *recipe, const char *command) {
        CLEANUP(digest_freep) Digest *digest = NULL;
        int r = digest_new(&digest);

        if (r >= 0)
                r = digest_text_and_end(digest, recipe->base_id ? recipe->base_id : "");
        for (size_t i = 0; r >= 0 && i < recipe->changes_size; i++)
                r = digest_text_and_end(digest, recipe->changes[i]);
        if (r >= 0)
                r = digest_tree(digest, recipe->tar);
        if (r < 0)
                return r;
        digest_text(digest, recipe->digest);
        free(recipe->message);
        recipe->message = strdup(command);
        return recipe->message ? recipe_set_label(recipe, RECIPE_LABEL, recipe->digest) : -ENOMEM;
}

DockerImage recipe_image(const Recipe *recipe, const char *name) {
        return (DockerImage){
                .name = name,
                .message = recipe->message,
                .changes = (const char *const *) recipe->changes,
        };
}
