/* SPDX-License-Identifier: Apache-2.0 */

/* tee-install: from a bare host to a proven sandbox, and the images that sandboxes are made from. plan.c carries out
 * the steps of the first; runtime-image.c makes the second. */

#include "apt.h"
#include "config.h"
#include "log.h"
#include "plan.h"
#include "record.h"
#include "runtime-image.h"
#include "runtime-list.h"
#include "runtime-refresh.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#define NOTE_MAX ((size_t) 64 * 1024)
#define DOCKER_CALL_MS UINT64_C(60000)
#define DOCKER_CALL_SHORT_MS UINT64_C(10000) /* the agent's start waits for it */
#define EXIT_UNFIT 10
#define EXIT_IMAGE 18

/* ---- --with-gvisor, --uninstall ---- */

static const Step *const gvisor_steps[] = {&step_preflight, &step_keyring, &step_source, &step_runsc,
                                           &step_register,  &step_docker,  &step_verify, NULL};

/* What gVisor's repository needs is left out where runsc comes from elsewhere; a folder (--offline) has its key. */
static void choose_steps(const Options *options, const Step *ret_steps[]) {
        size_t n = 0;

        for (size_t i = 0; gvisor_steps[i]; i++) {
                bool is_source = gvisor_steps[i] == &step_source,
                     of_gvisor = is_source || gvisor_steps[i] == &step_keyring;

                if (!options->uninstall &&
                    ((of_gvisor && options->source != SOURCE_GVISOR) || (is_source && options->offline)))
                        continue;
                ret_steps[n++] = gvisor_steps[i];
                if (gvisor_steps[i] == &step_preflight && options->with_docker)
                        ret_steps[n++] = &step_docker_package;
        }
        ret_steps[n] = NULL;
}

static int run_steps(Install *install) {
        const Step *steps[ARRAY_SIZE(gvisor_steps) + 1];

        choose_steps(install->options, steps);
        return install->options->uninstall ? plan_uninstall(install, steps) : plan_run(install, steps);
}

/* ---- --with-runtime, --list-runtimes, --remove-runtime, --refresh-runtimes ---- */

static int run_runtimes(Install *install, cJSON **ret_result) {
        const Options *options = install->options;
        const Trouble *trouble = &install->trouble;
        RuntimeImages images = {.options = options, .engine = &install->engine, .screen = &install->screen};
        int r = options->list_runtimes      ? runtime_list_show(&images, ret_result)
                : options->remove_runtime   ? runtime_list_remove(&images, ret_result)
                : options->refresh_runtimes ? runtime_refresh(&images, ret_result)
                                            : runtime_image_make(&images, ret_result);

        screen_clear(&install->screen);
        if (r >= 0)
                return EXIT_SUCCESS;
        (void) fprintf(stderr, "tee-install: %s\n",
                       r == -EINTR        ? "interrupted"
                       : trouble->message ? trouble->message
                                          : strerror(-r));
        if (r == -EINTR)
                return PLAN_EXIT_INTERRUPTED;
        if (trouble->remedy)
                (void) fprintf(stderr, "what helps: %s\n", trouble->remedy);
        if (r == -EINVAL)
                return EX_USAGE;
        return docker_api_version(install->engine.docker) ? EXIT_IMAGE : EXIT_UNFIT;
}

/* ---- the whole ---- */

/* The images that are refreshed are those of the agent's Docker. */
static int connect(Install *install, const Options *options) {
        CLEANUP(config_freep) Config *config = NULL;
        CLEANUP_FREE char *message = NULL;
        const char *socket_path = options->docker_socket;
        uint64_t call_ms = options->refresh_runtimes ? DOCKER_CALL_SHORT_MS : DOCKER_CALL_MS;

        if (options->refresh_runtimes && options->docker_socket_is_default &&
            config_load(CONFIG_PATH, &config, &message) >= 0)
                socket_path = config->docker_socket;
        return engine_init(&install->engine, &install->loop, &install->trouble, socket_path, call_ms);
}

static int set_up(Install *install, const Options *options) {
        int r;

        *install = (Install){.options = options, .note = BUFFER_INIT(NOTE_MAX)};
        screen_init(&install->screen, options->json);
        r = loop_init(&install->loop);
        return r < 0 ? r : connect(install, options);
}

static void tear_down(Install *install) {
        engine_deinit(&install->engine);
        loop_deinit(&install->loop);
        record_deinit(install);
        trouble_deinit(&install->trouble);
        buffer_deinit(&install->note);
        buffer_deinit(&install->registration.old);
        packages_deinit(&install->docker_packages);
        packages_deinit(&install->runsc_packages);
        free(install->registration.copy);
        free(install->registration.path);
        cJSON_Delete(install->document);
        free(install->host.name);
        free(install->source.taken);
        free(install->runsc_found);
        free(install->runsc_before);
        free(install->runsc_now);
}

/* One document for the whole run: the steps', with that of the image in it, or the image's alone. */
static int print_json(cJSON *document, cJSON *image, int status) {
        CLEANUP_JSON cJSON *whole = document ? document : image;
        CLEANUP_JSON_TEXT char *text = NULL;
        int r = 0;

        if (document && image)
                r = json_add(document, "runtime", image);
        if (document && r >= 0)
                r = json_add(document, "exit_status", cJSON_CreateNumber(status));
        if (whole && r >= 0)
                text = cJSON_Print(whole);
        if (!whole && status != EXIT_SUCCESS)
                return 0; /* stderr has said why */
        return text && puts(text) >= 0 && fflush(stdout) == 0 ? 0 : -EIO;
}

static int run(Install *install) {
        const Options *options = install->options;
        bool of_gvisor = options->with_gvisor || options->uninstall;
        bool of_image =
                options->with_runtime || options->list_runtimes || options->remove_runtime || options->refresh_runtimes;
        int status = of_gvisor ? run_steps(install) : EXIT_SUCCESS;
        cJSON *image = NULL;

        if (status == EXIT_SUCCESS && of_image)
                status = run_runtimes(install, &image);
        if (!options->json) {
                cJSON_Delete(image);
                return status;
        }
        if (print_json(TAKE_PTR(install->document), image, status) >= 0 || status != EXIT_SUCCESS)
                return status;
        (void) fputs("tee-install: the result could not be written to stdout\n", stderr);
        return EXIT_FAILURE;
}

int main(int argc, char *argv[]) {
        Options options;
        Install install;
        int r, status;

        if (options_parse(&options, argc, argv) < 0)
                return EX_USAGE;
        if (options.done)
                return EXIT_SUCCESS;
        log_open_journal("tee-install");
        r = set_up(&install, &options);
        if (r < 0)
                (void) fprintf(stderr, "tee-install: no start: %s\n", strerror(-r));
        status = r < 0 ? EXIT_FAILURE : run(&install);
        tear_down(&install);
        return status;
}
