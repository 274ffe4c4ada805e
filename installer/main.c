/* SPDX-License-Identifier: Apache-2.0 */

/* tee-install: from a bare host to a proven sandbox. installer/plan.c carries out the steps; each has a file. */

#include "apt.h"
#include "log.h"
#include "plan.h"
#include "record.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

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

static int set_up(Install *install, const Options *options) {
        int r;

        *install = (Install){.options = options, .note = BUFFER_INIT(64 * 1024)};
        screen_init(&install->screen, options->json);
        r = loop_init(&install->loop);
        return r < 0 ? r : engine_init(&install->engine, &install->loop, &install->trouble, options->docker_socket);
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
        free(install->registration.backup);
        free(install->host.name);
        free(install->source.taken);
        free(install->runsc_found);
        free(install->runsc_before);
}

static int run(Install *install) {
        const Options *options = install->options;
        const Step *steps[ARRAY_SIZE(gvisor_steps) + 1];

        choose_steps(options, steps);
        return options->uninstall ? plan_uninstall(install, steps) : plan_run(install, steps);
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
