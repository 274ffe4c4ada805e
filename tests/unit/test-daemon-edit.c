/* SPDX-License-Identifier: Apache-2.0 */

/* The command that a person is told, carried out by a shell on files as they are found: what comes out must be JSON
 * that says what was wanted, and lose nothing. */

#include "daemon-edit.h"
#include "file.h"
#include "json.h"
#include "unit.h"

#include <stdio.h>

static void write_file(const char *path, const char *text) {
        FILE *file = fopen(path, "we");

        assert_non_null(file);
        assert_true(fputs(text, file) >= 0);
        assert_int_equal(fclose(file), 0);
}

/* Carries out the command without its end, which asks systemd. */
static void carry_out(const char *path) {
        CLEANUP_FREE char *command = daemon_edit_live_restore(path);
        char *end;

        assert_non_null(command);
        end = strstr(command, " && systemctl reload docker");
        assert_non_null(end);
        *end = '\0';
        assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): a shell is what it is for */
}

static void expect(const char *text, const char *wanted) {
        CLEANUP_BUFFER Buffer after = BUFFER_INIT((size_t) 4096);
        CLEANUP_JSON cJSON *document = NULL, *expected = cJSON_Parse(wanted);
        char folder[] = "/tmp/tee-test-XXXXXX";
        CLEANUP_FREE char *path = NULL;
        JsonError error;

        assert_non_null(mkdtemp(folder));
        path = text_format("%s/daemon.json", folder);
        if (text)
                write_file(path, text);
        carry_out(path);
        assert_int_equal(file_read(path, &after), 0);
        document = json_parse(after.data, after.size, &error);
        assert_case(cJSON_Compare(document, expected, true), "%s -> %s", text ? text : "(no file)",
                    after.size > 0 ? (const char *) after.data : "");
        assert_int_equal(unlink(path), 0);
        assert_int_equal(rmdir(folder), 0);
}

TEST(the_command_fits_the_file_as_it_stands) {
        expect(NULL, "{\"live-restore\": true}");
        expect("{}", "{\"live-restore\": true}");
        expect("{\n}\n", "{\"live-restore\": true}");
        expect("\n\n  {\n  \"a\": {\"b\": 1}\n}\n", "{\"live-restore\": true, \"a\": {\"b\": 1}}");
        expect("{\"a\": {}, \"b\": {}}", "{\"live-restore\": true, \"a\": {}, \"b\": {}}");
        expect("{\"live-restore\" :\tfalse, \"a\": false}", "{\"live-restore\": true, \"a\": false}");
}

TEST(a_file_that_docker_could_not_read_is_not_for_a_command) {
        char folder[] = "/tmp/tee-test-XXXXXX";
        CLEANUP_FREE char *path = NULL;

        assert_non_null(mkdtemp(folder));
        path = text_format("%s/daemon.json", folder);
        for (size_t i = 0; i < 3; i++) {
                static const char *const texts[] = {"", "{\"a\"", "[]"};

                write_file(path, texts[i]);
                assert_null(daemon_edit_live_restore(path));
        }
        assert_null(daemon_edit_live_restore(""));
        assert_int_equal(unlink(path), 0);
        assert_int_equal(rmdir(folder), 0);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_command_fits_the_file_as_it_stands),
                cmocka_unit_test(a_file_that_docker_could_not_read_is_not_for_a_command),
        };

        return RUN_TESTS(tests);
}
