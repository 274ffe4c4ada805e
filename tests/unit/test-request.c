/* SPDX-License-Identifier: Apache-2.0 */

/* What a client may say (docs/openapi.yaml, schema Request): each field right and wrong, with the code and the field
 * that a refusal names. */

#include "frame.h"
#include "request.h"
#include "unit.h"

#include <errno.h>
#include <stdio.h>

static Config *config;

static int set_up(void **state) {
        static const char text[] = "runtimes = { deno = { image = \"i\"; entry = \"main.ts\"; command = [ \"/c\" ]; };"
                                   "py = { image = \"i\"; entry = \"app/main.py\"; command = [ \"/c\" ]; }; };";
        CLEANUP_FREE char *message = NULL;

        (void) state;
        return config_parse(text, sizeof(text) - 1, "F", &config, &message);
}

static int tear_down(void **state) {
        (void) state;
        config = config_free(config);
        return 0;
}

static Request *parse_bytes(const void *body, size_t size) {
        Request *request = NULL;
        Refusal refusal = {0};
        int r = request_parse(body, size, config, &request, &refusal);

        assert_case(r == 0, "refused: %s %s: %s, for %.80s", refusal.code, refusal.field ? refusal.field : "",
                    refusal.message ? refusal.message : "", (const char *) body);
        assert_null(refusal.code);
        assert_non_null(request);
        return request;
}

static Request *parse(const char *body) {
        return parse_bytes(body, strlen(body));
}

/* field may be NULL for none. */
static void assert_refused_bytes(const void *body, size_t size, const char *code, const char *field) {
        Request *request = NULL;
        Refusal refusal = {0};
        CLEANUP_JSON_TEXT char *json = NULL;

        assert_case(request_parse(body, size, config, &request, &refusal) == -EINVAL, "taken: %.80s",
                    (const char *) body);
        assert_null(request);
        assert_int_equal(refusal.status, 400);
        assert_case(strcmp(refusal.code, code) == 0 &&
                            strcmp(refusal.field ? refusal.field : "-", field ? field : "-") == 0,
                    "%s at %s instead of %s at %s, for %.80s", refusal.code, refusal.field ? refusal.field : "-", code,
                    field ? field : "-", (const char *) body);
        assert_non_null(refusal.message);
        assert_true(strlen(refusal.message) > 0);
        json = refusal_to_json(&refusal);
        assert_non_null(json);
        assert_case(utf8_is_valid(json, strlen(json)), "the refusal is not UTF-8 for %.80s", (const char *) body);
        refusal_deinit(&refusal);
}

static void assert_refused(const char *body, const char *code, const char *field) {
        assert_refused_bytes(body, strlen(body), code, field);
}

typedef struct Case {
        const char *body, *code, *field;
} Case;

static void assert_all_refused(const Case *cases, size_t size) {
        for (size_t i = 0; i < size; i++)
                assert_refused(cases[i].body, cases[i].code, cases[i].field);
}

/* A right request with one more member. Owned by the caller. */
static char *with(const char *member) {
        char *text = text_format("{\"runtime\":\"deno\",\"code\":\"x\",%s}", member);

        assert_non_null(text);
        return text;
}

static void assert_refused_with(const char *member, const char *code, const char *field) {
        CLEANUP_FREE char *body = with(member);

        assert_refused(body, code, field);
}

/* Appends count pieces of text, with commas between; %d in them is their number. */
#define APPEND_LIST(buffer, count, format)   \
        for (int i_ = 0; i_ < (count); i_++) \
        assert_int_equal(buffer_append_format(buffer, "%s" format, i_ == 0 ? "" : ",", i_), 0)

static const char *file_content(const Request *request, const char *path) {
        for (size_t i = 0; i < request->files_size; i++)
                if (strcmp(request->files[i].path, path) == 0)
                        return (const char *) request->files[i].content.data;
        return NULL;
}

/* ---- the body ---- */

TEST(a_body_that_is_no_json_object_is_refused) {
        static const Case cases[] = {
                {"", "invalid_json", NULL},
                {"x", "invalid_json", NULL},
                {"{\"runtime\":", "invalid_json", NULL},
                {"[]", "invalid_json", NULL},
                {"null", "invalid_json", NULL},
                {"\"deno\"", "invalid_json", NULL},
                {"5", "invalid_json", NULL},
                {"{}{}", "invalid_json", NULL},
                {"\"\xff\"", "invalid_utf8", NULL},
                {"{\"runtime\":\"deno\",\"code\":\"\\u0000\"}", "invalid_json", NULL},
        };

        assert_all_refused(cases, ARRAY_SIZE(cases));
        assert_refused_bytes("{\"runtime\":\"deno\",\"code\":\"a\0b\"}", 31, "invalid_json", NULL);
}

TEST(a_body_nested_10000_deep_is_refused) {
        Buffer body = BUFFER_INIT(65536);

        assert_int_equal(buffer_append_text(&body, "{\"runtime\":"), 0);
        for (int i = 0; i < 10000; i++)
                assert_int_equal(buffer_append_text(&body, "{\"a\":"), 0);
        assert_refused_bytes(body.data, body.size, "invalid_json", NULL);
        buffer_deinit(&body);
}

TEST(unknown_missing_and_duplicate_fields_are_refused) {
        static const Case cases[] = {
                {"{}", "missing_field", "runtime"},
                {"{\"code\":\"x\"}", "missing_field", "runtime"},
                {"{\"runtime\":\"deno\"}", "missing_field", "code"},
                {"{\"runtime\":\"deno\",\"files\":{\"a\":\"\"}}", "missing_field", "entry"},
                {"{\"runtime\":\"deno\",\"code\":\"x\",\"timeout\":1}", "unknown_field", "timeout"},
                {"{\"Runtime\":\"deno\",\"code\":\"x\"}", "unknown_field", "Runtime"},
                {"{\"runtime\":\"deno\",\"code\":\"x\",\"\":1}", "unknown_field", ""},
                {"{\"runtime\":\"deno\",\"runtime\":\"deno\",\"code\":\"x\"}", "duplicate_field", "runtime"},
                {"{\"runtime\":\"deno\",\"code\":\"x\",\"code\":\"x\"}", "duplicate_field", "code"},
                {"{\"runtime\":\"deno\",\"code\":\"x\",\"b\":1,\"b\":1}", "duplicate_field", "b"},
                {"{\"runtime\":\"deno\",\"code\":\"x\",\"\\u0063ode\":\"y\"}", "duplicate_field", "code"},
        };

        assert_all_refused(cases, ARRAY_SIZE(cases));
}

TEST(a_runtime_is_the_name_of_a_configured_one) {
        static const Case cases[] = {
                {"{\"runtime\":\"ruby\",\"code\":\"x\"}", "unknown_runtime", "runtime"},
                {"{\"runtime\":\"\",\"code\":\"x\"}", "unknown_runtime", "runtime"},
                {"{\"runtime\":\"Deno\",\"code\":\"x\"}", "unknown_runtime", "runtime"},
                {"{\"runtime\":\"deno \",\"code\":\"x\"}", "unknown_runtime", "runtime"},
                {"{\"runtime\":5,\"code\":\"x\"}", "invalid_field", "runtime"},
                {"{\"runtime\":null,\"code\":\"x\"}", "invalid_field", "runtime"},
                {"{\"runtime\":[\"deno\"],\"code\":\"x\"}", "invalid_field", "runtime"},
        };

        assert_all_refused(cases, ARRAY_SIZE(cases));
}

/* A refusal repeats a client's words only in part, and may not cut a character in two. */
TEST(a_refusal_that_repeats_long_words_is_still_utf8) {
        static const char *const bodies[] = {
                "{\"runtime\":\"%s\",\"code\":\"x\"}",
                "{\"%s\":1}",
                "{\"%s\":1,\"%s\":1}",
                "{\"runtime\":\"deno\",\"code\":\"x\",\"limits\":{\"%s\":1}}",
                "{\"runtime\":\"deno\",\"code\":\"x\",\"env\":{\"%s\":\"\"}}",
                "{\"runtime\":\"deno\",\"code\":\"x\",\"labels\":{\"%s\":1}}",
                "{\"runtime\":\"deno\",\"entry\":\"a\",\"files\":{\"%s\":1}}",
                "{\"runtime\":\"deno\",\"entry\":\"a\",\"files\":{\"/%s\":\"\"}}",
        };

        for (size_t i = 0; i < ARRAY_SIZE(bodies); i++)
                for (size_t shift = 0; shift < 4; shift++) {
                        Buffer word = BUFFER_INIT(4096);
                        CLEANUP_FREE char *body = NULL;
                        Request *request = NULL;
                        Refusal refusal = {0};

                        assert_int_equal(buffer_append_format(&word, "%.*s", (int) shift, "abc"), 0);
                        for (int k = 0; k < 250; k++)
                                assert_int_equal(buffer_append_text(&word, "\xf0\x9f\x98\x80"), 0);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
                        body = text_format(bodies[i], (char *) word.data, (char *) word.data);
#pragma GCC diagnostic pop
                        assert_non_null(body);
                        assert_int_equal(request_parse(body, strlen(body), config, &request, &refusal), -EINVAL);
                        assert_case(utf8_is_valid(refusal.message, strlen(refusal.message)), "message, %s", bodies[i]);
                        assert_case(utf8_is_valid(refusal.field, strlen(refusal.field)), "field, %s", bodies[i]);
                        /* Nor may there be a '?' where half of one was. */
                        assert_null(strchr(refusal.message, '?'));
                        assert_null(strchr(refusal.field, '?'));
                        assert_true(strlen(refusal.field) < 1100);
                        refusal_deinit(&refusal);
                        buffer_deinit(&word);
                }
}

/* ---- code and files ---- */

TEST(code_is_one_file_with_the_runtimes_name) {
        Request *request = parse("{\"runtime\":\"deno\",\"code\":\"1+1 \xe2\x82\xac\"}");

        assert_string_equal(request->runtime, "deno");
        assert_string_equal(request->entry, "main.ts");
        assert_int_equal(request->files_size, 1);
        assert_string_equal(file_content(request, "main.ts"), "1+1 \xe2\x82\xac");
        request_free(request);

        request = parse("{\"code\":\"\",\"runtime\":\"py\"}");
        assert_string_equal(request->entry, "app/main.py");
        assert_int_equal(request->files[0].content.size, 0);
        request_free(request);
}

TEST(code_is_a_string_and_excludes_files_and_entry) {
        static const Case cases[] = {
                {"{\"runtime\":\"deno\",\"code\":5}", "invalid_field", "code"},
                {"{\"runtime\":\"deno\",\"code\":null}", "invalid_field", "code"},
                {"{\"runtime\":\"deno\",\"code\":{\"base64\":\"eA==\"}}", "invalid_field", "code"},
                {"{\"runtime\":\"deno\",\"code\":\"x\",\"files\":{\"a\":\"\"},\"entry\":\"a\"}", "conflicting_fields",
                 "code"},
                {"{\"runtime\":\"deno\",\"files\":{\"a\":\"\"},\"entry\":\"a\",\"code\":\"x\"}", "conflicting_fields",
                 "code"},
                {"{\"runtime\":\"deno\",\"code\":\"x\",\"files\":null}", "conflicting_fields", "code"},
                {"{\"runtime\":\"deno\",\"code\":\"x\",\"entry\":\"main.ts\"}", "conflicting_fields", "entry"},
                {"{\"runtime\":\"deno\",\"entry\":\"main.ts\",\"code\":\"x\"}", "conflicting_fields", "entry"},
        };

        assert_all_refused(cases, ARRAY_SIZE(cases));
}

TEST(files_are_text_or_base64) {
        Request *request =
                parse("{\"runtime\":\"deno\",\"entry\":\"src/a.ts\",\"files\":{\"src/a.ts\":\"import\",\"b.bin\":"
                      "{\"base64\":\"AP8=\"},\"empty\":\"\",\"nothing\":{\"base64\":\"\"}}}");

        assert_string_equal(request->entry, "src/a.ts");
        assert_int_equal(request->files_size, 4);
        assert_string_equal(file_content(request, "src/a.ts"), "import");
        assert_memory_equal(file_content(request, "b.bin"), "\0\xff", 2);
        for (size_t i = 0; i < request->files_size; i++) {
                const RequestFile *file = &request->files[i];
                size_t expected = strcmp(file->path, "b.bin") == 0 ? 2 : strcmp(file->path, "src/a.ts") == 0 ? 6 : 0;

                assert_int_equal(file->content.size, expected);
        }
        request_free(request);
}

TEST(files_of_another_form_are_refused) {
        static const struct {
                const char *files, *code, *field;
        } cases[] = {
                {"[]", "invalid_field", "files"},
                {"null", "invalid_field", "files"},
                {"\"a\"", "invalid_field", "files"},
                {"{}", "invalid_field", "files"},
                {"{\"a\":5}", "invalid_field", "files[\"a\"]"},
                {"{\"a\":null}", "invalid_field", "files[\"a\"]"},
                {"{\"a\":[\"x\"]}", "invalid_field", "files[\"a\"]"},
                {"{\"a\":{}}", "invalid_field", "files[\"a\"]"},
                {"{\"a\":{\"base64\":5}}", "invalid_field", "files[\"a\"]"},
                {"{\"a\":{\"Base64\":\"\"}}", "invalid_field", "files[\"a\"]"},
                {"{\"a\":{\"base64\":\"\",\"mode\":\"x\"}}", "invalid_field", "files[\"a\"]"},
                {"{\"a\":{\"base64\":\"\",\"base64\":\"\"}}", "invalid_field", "files[\"a\"]"},
                {"{\"a\":{\"base64\":\"eA\"}}", "invalid_field", "files[\"a\"]"},
                {"{\"a\":{\"base64\":\"eA==\\n\"}}", "invalid_field", "files[\"a\"]"},
                {"{\"b\":\"\",\"a\":\"\",\"b\":\"\"}", "duplicate_field", "files[\"b\"]"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                CLEANUP_FREE char *body =
                        text_format("{\"runtime\":\"deno\",\"files\":%s,\"entry\":\"a\"}", cases[i].files);

                /* entry stands behind files: one that stands before is looked up in them at once. */
                assert_refused_bytes(body, strlen(body), cases[i].code, cases[i].field);
        }
}

TEST(paths_stay_below_the_work_folder) {
        static const char *const wrong[] = {
                "",       "/a",    "a/",     "a//b", ".", "..",       "./a",  "../a",    "a/..",
                "a/../b", "a/./b", "a/b/..", "//",   "/", "a\\u0001", "a\\n", "\\u007f", "a/\\u001b[2Jb",
        };
        static const char *const right[] = {"a",      "...",   "..a",   "a..",
                                            "a/...",  ".a/.b", "a b",   "\xc3\xa9/\xe2\x82\xac",
                                            "a\\\\b", "-rf",   "a:b*?", "a/b/c/d/e"};

        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
                CLEANUP_FREE char *body =
                        text_format("{\"runtime\":\"deno\",\"files\":{\"%s\":\"\"},\"entry\":\"a\"}", wrong[i]);
                Request *request = NULL;
                Refusal refusal = {0};

                assert_int_equal(request_parse(body, strlen(body), config, &request, &refusal), -EINVAL);
                assert_case(strcmp(refusal.code, "invalid_path") == 0, "%s for %s", refusal.code, body);
                assert_case(strncmp(refusal.field, "files[\"", 7) == 0, "%s", refusal.field);
                refusal_deinit(&refusal);
        }
        for (size_t i = 0; i < ARRAY_SIZE(right); i++) {
                CLEANUP_FREE char *body = text_format("{\"runtime\":\"deno\",\"files\":{\"%s\":\"\"},\"entry\":\"%s\"}",
                                                      right[i], right[i]);

                request_free(parse(body));
        }
        assert_refused("{\"runtime\":\"deno\",\"files\":{\"a/../b\":\"\"},\"entry\":\"a\"}", "invalid_path",
                       "files[\"a/../b\"]");
}

TEST(paths_have_at_most_255_bytes_a_component_and_1024_in_all) {
        static const struct {
                int components, size;
                bool right;
        } cases[] = {{1, 255, true}, {1, 256, false}, {4, 255, true}, {5, 204, true}, {5, 205, false}};

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                Buffer path = BUFFER_INIT(4096);
                CLEANUP_FREE char *body = NULL;

                for (int k = 0; k < cases[i].components; k++)
                        assert_int_equal(buffer_append_format(&path, "%s%0*d", k ? "/" : "", cases[i].size, 0), 0);
                body = text_format("{\"runtime\":\"deno\",\"files\":{\"%s\":\"\"},\"entry\":\"%s\"}",
                                   (char *) path.data, (char *) path.data);
                if (cases[i].right) {
                        assert_in_range(path.size, 1, 1024);
                        request_free(parse(body));
                } else {
                        CLEANUP_FREE char *field = text_format("files[\"%.128s\"]", (char *) path.data);

                        assert_refused(body, "invalid_path", field);
                }
                buffer_deinit(&path);
        }
}

TEST(a_file_can_not_be_the_folder_of_another) {
        static const struct {
                const char *files, *conflict;
        } cases[] = {
                {"\"a\":\"\",\"a/b\":\"\"", "a"},
                {"\"a/b\":\"\",\"a\":\"\"", "a"},
                {"\"a\":\"\",\"a/b/c\":\"\"", "a"},
                {"\"a/b/c\":\"\",\"z\":\"\",\"a/b\":\"\"", "a/b"},
                {"\"a\":\"\",\"a.b\":\"\",\"a-\":\"\",\"a/x\":\"\",\"a \":\"\",\"a!\":\"\"", "a"},
                {"\"x/a\":\"\",\"x/a!b\":\"\",\"x/a/b\":\"\"", "x/a"},
                {"\"\xc3\xa9\":\"\",\"\xc3\xa9/b\":\"\"", "\xc3\xa9"},
                {"\"a/b\":\"\",\"a.b\":\"\",\"ab\":\"\",\"a-b/c\":\"\",\"b/a\":\"\",\"a!\":\"\"", NULL},
                {"\"a/b\":\"\",\"a/c\":\"\",\"a/bb\":\"\",\"a/b.c/d\":\"\"", NULL},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                CLEANUP_FREE char *body = text_format(
                        "{\"runtime\":\"deno\",\"files\":{%s,\"main\":\"\"},\"entry\":\"main\"}", cases[i].files);
                CLEANUP_FREE char *field = text_format("files[\"%s\"]", cases[i].conflict ? cases[i].conflict : "");

                if (cases[i].conflict)
                        assert_refused(body, "invalid_path", field);
                else
                        request_free(parse(body));
        }
}

TEST(up_to_256_files_are_taken_and_one_more_is_refused) {
        for (int count = 256; count <= 257; count++) {
                Buffer body = BUFFER_INIT(65536);

                assert_int_equal(buffer_append_text(&body, "{\"runtime\":\"deno\",\"entry\":\"f0\",\"files\":{"), 0);
                APPEND_LIST(&body, count, "\"f%d\":\"\"");
                assert_int_equal(buffer_append_text(&body, "}}"), 0);
                if (count == 256)
                        request_free(parse((char *) body.data));
                else
                        assert_refused((char *) body.data, "too_many", "files");
                buffer_deinit(&body);
        }
}

TEST(entry_is_one_of_the_files) {
        static const Case cases[] = {
                {"{\"runtime\":\"deno\",\"files\":{\"a\":\"\"},\"entry\":\"b\"}", "invalid_field", "entry"},
                {"{\"runtime\":\"deno\",\"files\":{\"a\":\"\"},\"entry\":\"./a\"}", "invalid_field", "entry"},
                {"{\"runtime\":\"deno\",\"files\":{\"a\":\"\"},\"entry\":\"A\"}", "invalid_field", "entry"},
                {"{\"runtime\":\"deno\",\"files\":{\"a\":\"\"},\"entry\":\"\"}", "invalid_field", "entry"},
                {"{\"runtime\":\"deno\",\"files\":{\"a\":\"\"},\"entry\":5}", "invalid_field", "entry"},
                {"{\"runtime\":\"deno\",\"files\":{\"a\":\"\"},\"entry\":null}", "invalid_field", "entry"},
                {"{\"runtime\":\"deno\",\"entry\":\"a\"}", "conflicting_fields", "entry"},
        };

        assert_all_refused(cases, ARRAY_SIZE(cases));
        request_free(parse("{\"entry\":\"b\",\"files\":{\"a\":\"\",\"b\":\"\"},\"runtime\":\"deno\"}"));
}

/* ---- args, env, stdin, labels ---- */

TEST(args_keep_their_order) {
        Request *request = parse("{\"runtime\":\"deno\",\"code\":\"\",\"args\":[\"-x\",\"\",\"\xe2\x82\xac\",\"-x\"]}");

        assert_int_equal(request->args_size, 4);
        assert_string_equal(request->args[0], "-x");
        assert_string_equal(request->args[1], "");
        assert_string_equal(request->args[2], "\xe2\x82\xac");
        assert_string_equal(request->args[3], "-x");
        request_free(request);
        request_free(parse("{\"runtime\":\"deno\",\"code\":\"\",\"args\":[]}"));
}

TEST(args_of_another_form_are_refused) {
        assert_refused_with("\"args\":{}", "invalid_field", "args");
        assert_refused_with("\"args\":null", "invalid_field", "args");
        assert_refused_with("\"args\":\"x\"", "invalid_field", "args");
        assert_refused_with("\"args\":[1]", "invalid_field", "args[0]");
        assert_refused_with("\"args\":[\"a\",\"b\",null]", "invalid_field", "args[2]");
        assert_refused_with("\"args\":[[\"a\"]]", "invalid_field", "args[0]");
}

TEST(up_to_256_args_are_taken_and_one_more_is_refused) {
        for (int count = 256; count <= 257; count++) {
                Buffer args = BUFFER_INIT(65536);
                CLEANUP_FREE char *body = NULL;

                assert_int_equal(buffer_append_text(&args, "\"args\":["), 0);
                APPEND_LIST(&args, count, "\"%d\"");
                assert_int_equal(buffer_append_text(&args, "]"), 0);
                body = with((char *) args.data);
                if (count == 256)
                        request_free(parse(body));
                else
                        assert_refused(body, "too_many", "args");
                buffer_deinit(&args);
        }
}

TEST(an_arg_and_a_variable_fit_one_frame) {
        for (int more = 0; more <= 1; more++) {
                CLEANUP_FREE char *args = text_format("\"args\":[\"a\",\"%0*d\"]", (int) FRAME_PAYLOAD_MAX + more, 0);
                CLEANUP_FREE char *env =
                        text_format("\"env\":{\"A\":\"\",\"NAME\":\"%0*d\"}", (int) FRAME_PAYLOAD_MAX - 5 + more, 0);
                CLEANUP_FREE char *args_body = with(args), *env_body = with(env);

                if (more == 0) {
                        request_free(parse(args_body));
                        request_free(parse(env_body));
                } else {
                        assert_refused(args_body, "out_of_range", "args[1]");
                        assert_refused(env_body, "out_of_range", "env[\"NAME\"]");
                }
        }
}

TEST(args_and_env_together_have_a_bound) {
        for (int i = 0; i < 3; i++) {
                Buffer body = BUFFER_INIT((size_t) 4 * 1024 * 1024);
                int args = i == 1 ? 17 : 8, variables = i == 2 ? 17 : 7; /* of 64 KiB less 1, each */

                assert_int_equal(buffer_append_text(&body, "\"args\":["), 0);
                for (int k = 0; k < args; k++)
                        assert_int_equal(buffer_append_format(&body, "%s\"%065535d\"", k > 0 ? "," : "", 0), 0);
                assert_int_equal(buffer_append_text(&body, "],\"env\":{"), 0);
                for (int k = 0; k < variables; k++)
                        assert_int_equal(
                                buffer_append_format(&body, "%s\"E%02d\":\"%065531d\"", k > 0 ? "," : "", k, 0), 0);
                assert_int_equal(buffer_append_text(&body, "}"), 0);
                CLEANUP_FREE char *whole = with((char *) body.data);
                if (i == 0)
                        request_free(parse(whole));
                else
                        assert_refused(whole, "out_of_range", i == 1 ? "args" : "env");
                buffer_deinit(&body);
        }
}

TEST(variables_have_names_that_a_shell_takes) {
        static const char *const wrong[] = {"", "1A", "A-B", "A B", "A=B", "\xc3\x84", "A.B", "A\\n", "="};
        Request *request = parse("{\"runtime\":\"deno\",\"code\":\"\",\"env\":{\"A\":\"\",\"_b9\":\"x=y\\n\",\"PATH\":"
                                 "\"\xe2\x82\xac\"}}");

        assert_int_equal(request->env_size, 3);
        assert_string_equal(request->env[0], "A=");
        assert_string_equal(request->env[1], "_b9=x=y\n");
        assert_string_equal(request->env[2], "PATH=\xe2\x82\xac");
        request_free(request);
        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
                CLEANUP_FREE char *env = text_format("\"env\":{\"%s\":\"\"}", wrong[i]);
                CLEANUP_FREE char *field = text_format("env[\"%s\"]", strcmp(wrong[i], "A\\n") == 0 ? "A\n" : wrong[i]);

                assert_refused_with(env, "invalid_field", field);
        }
}

TEST(env_of_another_form_is_refused) {
        Buffer env = BUFFER_INIT(65536);

        assert_refused_with("\"env\":[]", "invalid_field", "env");
        assert_refused_with("\"env\":null", "invalid_field", "env");
        assert_refused_with("\"env\":{\"A\":1}", "invalid_field", "env[\"A\"]");
        assert_refused_with("\"env\":{\"A\":null}", "invalid_field", "env[\"A\"]");
        assert_refused_with("\"env\":{\"A\":\"\",\"A\":\"\"}", "duplicate_field", "env[\"A\"]");
        assert_int_equal(buffer_append_text(&env, "\"env\":{"), 0);
        APPEND_LIST(&env, 257, "\"E%d\":\"\"");
        assert_int_equal(buffer_append_text(&env, "}"), 0);
        assert_refused_with((char *) env.data, "too_many", "env");
        buffer_deinit(&env);
}

TEST(stdin_is_text_or_base64) {
        Request *request = parse("{\"runtime\":\"deno\",\"code\":\"\",\"stdin\":\"a\\n\"}");

        assert_int_equal(request->input.size, 2);
        assert_memory_equal(request->input.data, "a\n", 2);
        request_free(request);
        request = parse("{\"runtime\":\"deno\",\"code\":\"\",\"stdin\":{\"base64\":\"AAD/\"}}");
        assert_int_equal(request->input.size, 3);
        assert_memory_equal(request->input.data, "\0\0\xff", 3);
        request_free(request);
        request = parse("{\"runtime\":\"deno\",\"code\":\"\",\"stdin\":\"\"}");
        assert_int_equal(request->input.size, 0);
        request_free(request);
        assert_refused_with("\"stdin\":5", "invalid_field", "stdin");
        assert_refused_with("\"stdin\":null", "invalid_field", "stdin");
        assert_refused_with("\"stdin\":{\"base64\":\"*\"}", "invalid_field", "stdin");
}

TEST(labels_are_16_pairs_of_at_most_256_bytes) {
        CLEANUP_FREE char *longest = text_format("\"labels\":{\"%0256d\":\"%0256d\"}", 0, 0);
        CLEANUP_FREE char *longest_body = with(longest);
        Request *request = parse(longest_body);

        request_free(request);
        request = parse("{\"runtime\":\"deno\",\"code\":\"\",\"labels\":{\"a b\":\"c\",\"\":\"\"}}");
        assert_string_equal(json_get_string(request->labels, "a b"), "c");
        assert_string_equal(json_get_string(request->labels, ""), "");
        request_free(request);
        request = parse("{\"runtime\":\"deno\",\"code\":\"\"}");
        assert_null(request->labels);
        request_free(request);

        for (int count = 16; count <= 17; count++) {
                Buffer labels = BUFFER_INIT(4096);
                CLEANUP_FREE char *body = NULL;

                assert_int_equal(buffer_append_text(&labels, "\"labels\":{"), 0);
                APPEND_LIST(&labels, count, "\"%d\":\"\"");
                assert_int_equal(buffer_append_text(&labels, "}"), 0);
                body = with((char *) labels.data);
                if (count == 16)
                        request_free(parse(body));
                else
                        assert_refused(body, "too_many", "labels");
                buffer_deinit(&labels);
        }
}

TEST(labels_of_another_form_are_refused) {
        CLEANUP_FREE char *name = text_format("\"labels\":{\"%0257d\":\"\"}", 0);
        CLEANUP_FREE char *value = text_format("\"labels\":{\"a\":\"%0257d\"}", 0);
        CLEANUP_FREE char *field = text_format("labels[\"%0128d\"]", 0);

        assert_refused_with("\"labels\":[]", "invalid_field", "labels");
        assert_refused_with("\"labels\":{\"a\":1}", "invalid_field", "labels[\"a\"]");
        assert_refused_with("\"labels\":{\"a\":{\"base64\":\"\"}}", "invalid_field", "labels[\"a\"]");
        assert_refused_with("\"labels\":{\"a\":\"\",\"a\":\"\"}", "duplicate_field", "labels[\"a\"]");
        assert_refused_with(name, "out_of_range", field);
        assert_refused_with(value, "out_of_range", "labels[\"a\"]");
}

/* ---- limits ---- */

TEST(limits_that_are_left_out_are_the_configurations) {
        Request *request = parse("{\"runtime\":\"deno\",\"code\":\"\",\"limits\":{\"wall_ms\":77}}");

        for (int i = 0; i < CONFIG_LIMIT_COUNT_; i++)
                assert_int_equal(request->limits[i], i == CONFIG_LIMIT_WALL_MS ? 77 : config->limits[i].fallback);
        request_free(request);
        request_free(parse("{\"runtime\":\"deno\",\"code\":\"\",\"limits\":{}}"));
}

TEST(every_limit_has_a_floor_and_the_configurations_ceiling) {
        for (int i = 0; i < CONFIG_LIMIT_COUNT_; i++) {
                const char *name = config_limit_name((ConfigLimitName) i);
                long long floor = (long long) config_limit_min((ConfigLimitName) i),
                          ceiling = (long long) config->limits[i].max;
                const long long right[] = {floor, floor + 1, ceiling - 1, ceiling};
                const long long wrong[] = {floor - 1, ceiling + 1, 0, -1, -floor, INT64_C(9007199254740991)};
                CLEANUP_FREE char *field = text_format("limits.%s", name);

                for (size_t k = 0; k < ARRAY_SIZE(right); k++) {
                        CLEANUP_FREE char *limits = text_format("\"limits\":{\"%s\":%lld}", name, right[k]);
                        CLEANUP_FREE char *body = with(limits);
                        Request *request = parse(body);

                        assert_int_equal(request->limits[i], right[k]);
                        request_free(request);
                }
                for (size_t k = 0; k < ARRAY_SIZE(wrong); k++) {
                        CLEANUP_FREE char *limits = text_format("\"limits\":{\"%s\":%lld}", name, wrong[k]);

                        assert_refused_with(limits, "out_of_range", field);
                }
        }
}

TEST(limits_are_integers) {
        static const char *const wrong[] = {"\"100\"",          "100.5", "true", "null", "[100]", "{}", "1e400",
                                            "9007199254740992", "1e-1"};

        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
                CLEANUP_FREE char *limits = text_format("\"limits\":{\"wall_ms\":%s}", wrong[i]);

                assert_refused_with(limits, "invalid_field", "limits.wall_ms");
        }
        assert_refused_with("\"limits\":{\"wall_ms\":0100}", "invalid_json", NULL);
        Request *request = parse("{\"runtime\":\"deno\",\"code\":\"\",\"limits\":{\"wall_ms\":1e3}}");
        assert_int_equal(request->limits[CONFIG_LIMIT_WALL_MS], 1000);
        request_free(request);
}

TEST(a_mistyped_limit_is_not_ignored) {
        assert_refused_with("\"limits\":{\"wall\":1}", "unknown_field", "limits.wall");
        assert_refused_with("\"limits\":{\"Wall_ms\":1}", "unknown_field", "limits.Wall_ms");
        assert_refused_with("\"limits\":{\"\":1}", "unknown_field", "limits.");
        assert_refused_with("\"limits\":[]", "invalid_field", "limits");
        assert_refused_with("\"limits\":null", "invalid_field", "limits");
        assert_refused_with("\"limits\":{\"wall_ms\":1,\"wall_ms\":2}", "duplicate_field", "limits.wall_ms");
}

/* ---- every field at every cut ---- */

TEST(every_cut_of_a_request_is_refused) {
        static const char body[] =
                "{\"runtime\":\"deno\",\"files\":{\"a/b\":\"x\",\"c\":{\"base64\":\"AP8=\"}},\"entry\":\"a/b\","
                "\"args\":[\"1\"],\"env\":{\"A\":\"b\"},\"stdin\":\"in\",\"limits\":{\"wall_ms\":5},"
                "\"labels\":{\"l\":\"m\"}}";

        for (size_t size = 0; size < sizeof(body) - 1; size++) {
                CLEANUP_FREE char *copy = malloc(size + 1);

                assert_non_null(copy);
                memcpy(copy, body, size);
                assert_refused_bytes(copy, size, "invalid_json", NULL);
        }
        request_free(parse(body));
}

TEST(freeing_nothing_is_allowed) {
        assert_null(request_free(NULL));
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_body_that_is_no_json_object_is_refused),
                cmocka_unit_test(a_body_nested_10000_deep_is_refused),
                cmocka_unit_test(unknown_missing_and_duplicate_fields_are_refused),
                cmocka_unit_test(a_runtime_is_the_name_of_a_configured_one),
                cmocka_unit_test(a_refusal_that_repeats_long_words_is_still_utf8),
                cmocka_unit_test(code_is_one_file_with_the_runtimes_name),
                cmocka_unit_test(code_is_a_string_and_excludes_files_and_entry),
                cmocka_unit_test(files_are_text_or_base64),
                cmocka_unit_test(files_of_another_form_are_refused),
                cmocka_unit_test(paths_stay_below_the_work_folder),
                cmocka_unit_test(paths_have_at_most_255_bytes_a_component_and_1024_in_all),
                cmocka_unit_test(a_file_can_not_be_the_folder_of_another),
                cmocka_unit_test(up_to_256_files_are_taken_and_one_more_is_refused),
                cmocka_unit_test(entry_is_one_of_the_files),
                cmocka_unit_test(args_keep_their_order),
                cmocka_unit_test(args_of_another_form_are_refused),
                cmocka_unit_test(up_to_256_args_are_taken_and_one_more_is_refused),
                cmocka_unit_test(an_arg_and_a_variable_fit_one_frame),
                cmocka_unit_test(args_and_env_together_have_a_bound),
                cmocka_unit_test(variables_have_names_that_a_shell_takes),
                cmocka_unit_test(env_of_another_form_is_refused),
                cmocka_unit_test(stdin_is_text_or_base64),
                cmocka_unit_test(labels_are_16_pairs_of_at_most_256_bytes),
                cmocka_unit_test(labels_of_another_form_are_refused),
                cmocka_unit_test(limits_that_are_left_out_are_the_configurations),
                cmocka_unit_test(every_limit_has_a_floor_and_the_configurations_ceiling),
                cmocka_unit_test(limits_are_integers),
                cmocka_unit_test(a_mistyped_limit_is_not_ignored),
                cmocka_unit_test(every_cut_of_a_request_is_refused),
                cmocka_unit_test(freeing_nothing_is_allowed),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
