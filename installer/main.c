/* SPDX-License-Identifier: Apache-2.0 */

/* tee-install: prepares a host for tee-agent. */

#include "loop.h"
#include "options.h"
#include "runtime-image.h"
#include "runtime-list.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
        STATUS_FAULT = 1,
        STATUS_UNFIT = 10,
        STATUS_IMAGE = 18,
        STATUS_USE = 64,
        STATUS_INTERRUPTED = 130,
};

static void print_trouble(int error, const Trouble *trouble) {
        (void) fprintf(stderr, "tee-install: %s\n",
                       error == -EINTR    ? "interrupted"
                       : trouble->message ? trouble->message
                                          : strerror(-error));
        if (error != -EINTR && trouble->remedy)
                (void) fprintf(stderr, "what helps: %s\n", trouble->remedy);
}

static int print_json(const Options *options, const cJSON *result) {
        CLEANUP_JSON_TEXT char *text = NULL;

        if (!options->json)
                return 0;
        text = cJSON_Print(result);
        return text && puts(text) >= 0 && fflush(stdout) == 0 ? 0 : -EIO;
}

static int exit_status(const Engine *engine, int r) {
        if (r >= 0)
                return 0;
        if (r == -EINTR)
                return STATUS_INTERRUPTED;
        if (r == -EINVAL)
                return STATUS_USE;
        return docker_api_version(engine->docker) ? STATUS_IMAGE : STATUS_UNFIT;
}

/* --with-runtime, --list-runtimes, --remove-runtime */
static int runtimes(const Options *options, Engine *engine, Screen *screen) {
        RuntimeImages images = {.options = options, .engine = engine, .screen = screen};
        CLEANUP_JSON cJSON *result = NULL;
        int r = options->list_runtimes    ? runtime_list_show(&images, &result)
                : options->remove_runtime ? runtime_list_remove(&images, &result)
                                          : runtime_image_make(&images, &result);

        screen_clear(screen);
        if (r >= 0)
                r = print_json(options, result);
        if (r < 0)
                print_trouble(r, engine->trouble);
        return exit_status(engine, r);
}

static int run(const Options *options) {
        Trouble trouble = {0};
        Engine engine = {0};
        Screen screen;
        Loop loop;
        int r = loop_init(&loop), status = STATUS_FAULT;

        if (r >= 0)
                r = engine_init(&engine, &loop, &trouble, options->docker_socket);
        screen_init(&screen, options->json);
        if (r >= 0)
                status = runtimes(options, &engine, &screen);
        else
                print_trouble(r, &trouble);
        engine_deinit(&engine);
        loop_deinit(&loop);
        trouble_deinit(&trouble);
        return status;
}

int main(int argc, char *argv[]) {
        Options options;

        if (options_parse(&options, argc, argv) < 0)
                return STATUS_USE;
        if (options.done)
                return 0;
        if (options.with_gvisor || options.uninstall) {
                (void) fputs("tee-install: --with-gvisor and --uninstall: not yet\n", stderr);
                return STATUS_FAULT;
        }
        return run(&options);
}
