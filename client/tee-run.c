/* SPDX-License-Identifier: Apache-2.0 */

/* tee-run: one program from the shell through the agent. Its output is printed while it runs (the agent's event
 * stream), or with --json the whole result at the end. Interrupting tee-run closes its connection, which cancels the
 * execution. */

#include "arguments.h"
#include "json.h"
#include "transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define EXIT_REFUSED 125
#define PROGRAM_MAX ((size_t) 64 * 1024 * 1024)
#define ANSWER_MAX ((size_t) 1024 * 1024 * 1024)

typedef struct Run {
        const Arguments *arguments;
        sd_event *event;
        Buffer line; /* of the event stream, incomplete */
        bool broken; /* what came is no event stream */
        int exit_code;
        bool ended;
} Run;

/* ---- the request ---- */

static int read_all(int fd, Buffer *ret) {
        char block[16384];

        for (;;) {
                ssize_t n = read(fd, block, sizeof(block));
                int r;

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                r = buffer_append(ret, block, (size_t) n);
                if (r < 0 || n == 0)
                        return r;
        }
}

/* "-" is tee-run's own stdin. */
static int read_named(const char *path, Buffer *ret) {
        CLEANUP_FD int fd = -1;

        if (strcmp(path, "-") == 0)
                return read_all(STDIN_FILENO, ret);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        return fd < 0 ? -errno : read_all(fd, ret);
}

/* Reads a file into a JSON text; says on stderr what is wrong. */
static int read_text(const char *path, cJSON **ret) {
        Buffer bytes = BUFFER_INIT(PROGRAM_MAX);
        int r = read_named(path, &bytes);

        if (r < 0)
                (void) fprintf(stderr, "tee-run: %s: %s\n", path, r == -EFBIG ? "larger than 64 MiB" : strerror(-r));
        else
                *ret = json_new_text(bytes.data, bytes.size);
        buffer_deinit(&bytes);
        return r < 0 ? r : *ret ? 0 : -ENOMEM;
}

/* The program keeps its name, so that its stack traces point to the user's own file. From stdin it has none, and gets
 * the runtime's; but "code" is text only, so that bytes which are none are refused there. */
static int add_program(cJSON *request, const Arguments *arguments) {
        const char *slash = strrchr(arguments->file, '/');
        const char *name = slash ? slash + 1 : arguments->file;
        cJSON *text = NULL, *files;
        int r = read_text(arguments->file, &text);

        if (r < 0)
                return r;
        if (strcmp(arguments->file, "-") == 0)
                return json_add(request, "code", text);
        files = cJSON_AddObjectToObject(request, "files");
        if (!files) {
                cJSON_Delete(text);
                return -ENOMEM;
        }
        r = json_add(files, name, text);
        return r < 0 ? r : json_add(request, "entry", cJSON_CreateString(name));
}

static int add_arguments(cJSON *request, const Arguments *arguments) {
        int count = 0;

        while (arguments->args[count])
                count++;
        if (count == 0)
                return 0;
        return json_add(request, "args", cJSON_CreateStringArray((const char *const *) arguments->args, count));
}

static int add_env(cJSON *request, const Arguments *arguments) {
        cJSON *env;

        if (arguments->env_size == 0)
                return 0;
        env = cJSON_AddObjectToObject(request, "env");
        if (!env)
                return -ENOMEM;
        for (size_t i = 0; i < arguments->env_size; i++) {
                const char *equals = strchr(arguments->env[i], '=');
                CLEANUP_FREE char *name = text_format("%.*s", (int) (equals - arguments->env[i]), arguments->env[i]);

                if (!name)
                        return -ENOMEM;
                cJSON_DeleteItemFromObjectCaseSensitive(env, name); /* the last one counts */
                if (json_add(env, name, cJSON_CreateString(equals + 1)) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static int add_limits(cJSON *request, const Arguments *arguments) {
        cJSON *limits = cJSON_AddObjectToObject(request, "limits");

        if (!limits)
                return -ENOMEM;
        if (arguments->wall_ms > 0 && json_add(limits, "wall_ms", cJSON_CreateNumber((double) arguments->wall_ms)) < 0)
                return -ENOMEM;
        if (arguments->memory_mb > 0 &&
            json_add(limits, "memory_mb", cJSON_CreateNumber((double) arguments->memory_mb)) < 0)
                return -ENOMEM;
        return 0;
}

static int make_request(const Arguments *arguments, char **ret_body) {
        CLEANUP_JSON cJSON *request = cJSON_CreateObject();
        cJSON *input = NULL;
        int r = request ? json_add(request, "runtime", cJSON_CreateString(arguments->runtime)) : -ENOMEM;

        if (r >= 0)
                r = add_program(request, arguments);
        if (r >= 0)
                r = add_arguments(request, arguments);
        if (r >= 0)
                r = add_env(request, arguments);
        if (r >= 0)
                r = add_limits(request, arguments);
        if (r >= 0 && arguments->stdin_file) {
                r = read_text(arguments->stdin_file, &input);
                if (r >= 0)
                        r = json_add(request, "stdin", input);
        }
        if (r < 0)
                return r;
        *ret_body = cJSON_PrintUnformatted(request);
        return *ret_body ? 0 : -ENOMEM;
}

/* ---- the answer ---- */

static const struct {
        const char *status;
        int exit_code;
} exit_codes[] = {
        {"wall_limit", 124},   {"memory_limit", 137}, {"cpu_limit", 152}, {"disk_limit", 153},
        {"output_limit", 141}, {"process_limit", 1},  {"cancelled", 130},
};

static int signal_number(const char *name) {
        int number;

        if (name && sscanf(name, "SIG%d", &number) == 1)
                return number;
        for (int i = 1; name && i < NSIG; i++) {
                const char *abbreviation = sigabbrev_np(i);

                if (abbreviation && strncmp(name, "SIG", 3) == 0 && strcmp(name + 3, abbreviation) == 0)
                        return i;
        }
        return 0;
}

/* What a shell would give for the same end. */
static int exit_code_of(const cJSON *result) {
        const char *status = json_get_string(result, "status");
        int64_t code = json_get_integer(result, "exit_code", EXIT_REFUSED);

        if (!status)
                return EXIT_REFUSED;
        if (strcmp(status, "ok") == 0 || strcmp(status, "error") == 0)
                return (int) code & 0xff;
        if (strcmp(status, "signal") == 0)
                return 128 + signal_number(json_get_string(result, "signal"));
        for (size_t i = 0; i < ARRAY_SIZE(exit_codes); i++)
                if (strcmp(exit_codes[i].status, status) == 0)
                        return exit_codes[i].exit_code;
        return EXIT_REFUSED;
}

static void warn_without_gvisor(const cJSON *sandbox) {
        if (!cJSON_IsTrue(json_get(sandbox, "gvisor")))
                (void) fputs("tee-run: WARNING: this execution was NOT sandboxed by gVisor\n", stderr);
}

static void report_end(Run *run, const cJSON *result) {
        const char *status = json_get_string(result, "status"), *cause = json_get_string(result, "cause");
        const char *evidence = json_get_string(result, "evidence");

        run->ended = true;
        run->exit_code = exit_code_of(result);
        if (!status || strcmp(status, "ok") == 0 || strcmp(status, "error") == 0)
                return;
        if (strcmp(status, "signal") == 0)
                cause = json_get_string(result, "signal");
        (void) fprintf(stderr, "tee-run: %s%s%s\n", status, cause ? ": " : "", cause ? cause : "");
        if (evidence && run->exit_code == EXIT_REFUSED)
                (void) fprintf(stderr, "tee-run: %s\n", evidence);
}

static void print_output(Run *run, const cJSON *value, FILE *out) {
        const char *text = cJSON_GetStringValue(value);
        const char *base64 = json_get_string(cJSON_IsObject(value) ? value : NULL, "base64");
        Buffer bytes = BUFFER_INIT(ANSWER_MAX);

        if (text)
                (void) fputs(text, out);
        else if (base64 && base64_decode(&bytes, base64, strlen(base64)) == 0)
                (void) fwrite(bytes.data, 1, bytes.size, out);
        else
                run->broken = true;
        buffer_deinit(&bytes);
        (void) fflush(out);
}

static void handle_event(Run *run, const cJSON *event) {
        const char *name = json_get_string(event, "event");

        if (!name)
                run->broken = true;
        else if (strcmp(name, "started") == 0)
                warn_without_gvisor(json_get(event, "sandbox"));
        else if (strcmp(name, "stdout") == 0)
                print_output(run, json_get(event, "data"), stdout);
        else if (strcmp(name, "stderr") == 0)
                print_output(run, json_get(event, "data"), stderr);
        else if (strcmp(name, "ended") == 0)
                report_end(run, json_get(event, "result"));
}

static void handle_line(Run *run) {
        JsonError error;
        CLEANUP_JSON cJSON *event = json_parse(run->line.data, run->line.size, &error);

        buffer_clear(&run->line);
        if (event)
                handle_event(run, event);
        else
                run->broken = true;
}

static void on_data(Transfer *transfer, const void *data, size_t size, void *userdata) {
        Run *run = userdata;
        const char *p = data;

        (void) transfer;
        while (size > 0) {
                const char *end = memchr(p, '\n', size);
                size_t n = end ? (size_t) (end - p) : size;

                if (buffer_append(&run->line, p, n) < 0)
                        run->broken = true;
                if (end) {
                        handle_line(run);
                        n++;
                }
                p += n;
                size -= n;
        }
}

static void report_refusal(const TransferResult *result) {
        JsonError error;
        CLEANUP_JSON cJSON *body = json_parse(result->body->data, result->body->size, &error);
        const cJSON *refusal = json_get(body, "error");
        const char *code = json_get_string(refusal, "code"), *message = json_get_string(refusal, "message");
        const char *field = json_get_string(refusal, "field"), *remedy = json_get_string(refusal, "remedy");

        (void) fprintf(stderr, "tee-run: refused (%s): %s%s%s\n", code ? code : "HTTP", field ? field : "",
                       field ? ": " : "", message ? message : "the answer is not tee-agent's");
        if (remedy)
                (void) fprintf(stderr, "tee-run: remedy: %s\n", remedy);
}

static void report_unreachable(const Run *run, const TransferResult *result) {
        if (result->error == -ECONNREFUSED)
                (void) fprintf(
                        stderr,
                        "tee-run: cannot reach tee-agent at %s: %s\n"
                        "tee-run: is it there (systemctl status tee-agent.socket), and are you in the group tee?\n",
                        run->arguments->socket, result->message);
        else
                (void) fprintf(stderr,
                               "tee-run: the connection to tee-agent broke: %s\n"
                               "tee-run: what has happened to it is told by systemctl status tee-agent\n",
                               result->message);
}

static void handle_json_result(Run *run, const TransferResult *result) {
        JsonError error;
        CLEANUP_JSON cJSON *body = json_parse(result->body->data, result->body->size, &error);

        if (!body) {
                run->broken = true;
                return;
        }
        (void) printf("%s\n", (const char *) result->body->data);
        warn_without_gvisor(json_get(body, "sandbox"));
        run->ended = true;
        run->exit_code = exit_code_of(body);
}

static void on_done(Transfer *transfer, const TransferResult *result, void *userdata) {
        Run *run = userdata;

        (void) transfer;
        run->exit_code = run->ended ? run->exit_code : EXIT_REFUSED;
        if (result->error < 0)
                report_unreachable(run, result);
        else if (result->status != 200)
                report_refusal(result);
        else if (run->arguments->json)
                handle_json_result(run, result);
        if (result->error == 0 && result->status == 200 && (run->broken || !run->ended)) {
                (void) fputs("tee-run: the answer is cut off or not tee-agent's\n", stderr);
                run->exit_code = EXIT_REFUSED;
        }
        (void) sd_event_exit(run->event, 0);
}

/* ---- the whole ---- */

static int run_program(Run *run) {
        CLEANUP(transport_freep) Transport *transport = NULL;
        CLEANUP(transfer_freep) Transfer *transfer = NULL;
        CLEANUP_JSON_TEXT char *body = NULL;
        int r = make_request(run->arguments, &body);

        if (r >= 0)
                r = transport_new(run->event, &transport);
        if (r < 0)
                return r;
        TransferRequest request = {
                .unix_socket = run->arguments->socket,
                .method = "POST",
                .url = run->arguments->json ? "http://tee/v1/executions" : "http://tee/v1/executions?stream=1",
                .body = body,
                .body_size = strlen(body),
                .response_limit = ANSWER_MAX,
        };
        r = transfer_start(transport, &request, on_done, run->arguments->json ? NULL : on_data, run, &transfer);
        return r < 0 ? r : sd_event_loop(run->event);
}

int main(int argc, char *argv[]) {
        CLEANUP(arguments_deinit) Arguments arguments = {0};
        CLEANUP(sd_event_unrefp) sd_event *event = NULL;
        Run run = {.arguments = &arguments, .line = BUFFER_INIT(ANSWER_MAX), .exit_code = EXIT_REFUSED};
        int r = arguments_parse(&arguments, argc, argv);

        if (r >= 0 && arguments.done)
                return EXIT_SUCCESS;
        if (r >= 0)
                r = sd_event_new(&event);
        run.event = event;
        if (r >= 0)
                r = run_program(&run);
        if (r == -ENOMEM)
                (void) fputs("tee-run: out of memory\n", stderr);
        buffer_deinit(&run.line);
        if (fflush(stdout) != 0 || ferror(stdout)) {
                (void) fputs("tee-run: the output could not be written\n", stderr);
                return EXIT_REFUSED;
        }
        return r < 0 ? EXIT_REFUSED : run.exit_code;
}
