/* SPDX-License-Identifier: Apache-2.0 */

#include "groups.h"
#include "version.h"

#include <errno.h>
#include <string.h>

/* tee-install makes these two from what it knows itself; others need to be told from what (--image). */
static void offer_making(const ConfigRuntime *runtime, Finding *finding) {
        if (strcmp(runtime->name, "deno") == 0 || strcmp(runtime->name, "sh") == 0)
                finding_fix(finding, "tee-install", "--with-runtime", runtime->name);
}

/* What tee-install has made it can refresh; in the Docker, and under the names, of this tee.conf. */
static void judge_other_guest(const Context *context, const ConfigRuntime *runtime, const cJSON *image,
                              const char *guest, Finding *finding) {
        const char *config = context->places.config_path;
        bool is_ours = docker_image_label(image, TEE_IMAGE_LABEL_RECIPE), is_usual = strcmp(config, CONFIG_PATH) == 0;
        CLEANUP_FREE char *remedy = is_ours ? text_format("tee-install --refresh-runtimes%s%s",
                                                          is_usual ? "" : " --config ", is_usual ? "" : config)
                                            : text_format("tee-install --with-runtime %s", runtime->name);

        finding_fail(finding, remedy, "runtime %s: the image %s has tee-guest %.32s, and this is %s", runtime->name,
                     runtime->image, guest, TEE_VERSION);
        if (is_ours && is_usual)
                finding_fix(finding, "tee-install", "--refresh-runtimes");
        else if (is_ours)
                finding_fix(finding, "tee-install", "--refresh-runtimes", "--config", config);
}

/* Returns false when Docker could not tell: it would hardly tell more of the next one. */
static bool look_at_image(Context *context, const ConfigRuntime *runtime, Finding *finding) {
        CLEANUP_FREE char *remedy = text_format("tee-install --with-runtime %s", runtime->name);
        CLEANUP_JSON cJSON *image = NULL;
        int r = engine_image(&context->engine, runtime->image, &image);
        const char *guest = docker_image_label(image, TEE_IMAGE_LABEL_GUEST);

        if (r < 0) {
                finding_skip(finding, "journalctl -n 20 -u docker", "Docker does not tell of the image %s",
                             context->trouble.message ? context->trouble.message : strerror(-r));
        } else if (!image) {
                finding_fail(finding, remedy, "runtime %s: Docker has no image %s", runtime->name, runtime->image);
                offer_making(runtime, finding);
        } else if (!guest) {
                finding_fail(finding, remedy, "runtime %s: there is no tee-guest in the image %s", runtime->name,
                             runtime->image);
        } else if (strcmp(guest, TEE_VERSION) != 0) {
                judge_other_guest(context, runtime, image, guest, finding);
        } else {
                finding_pass(finding, "%s: %s, tee-guest %s", runtime->name, runtime->image, guest);
        }
        return r >= 0;
}

static void look_at_images(Context *context, Finding *finding) {
        const Config *config = context_config(context, finding);

        if (!config || !context_info(context, VERDICT_SKIP, finding))
                return;
        for (size_t i = 0; i < config->runtimes_size; i++)
                if (!look_at_image(context, &config->runtimes[i], finding))
                        break;
}

static const Check checks[] = {
        {
                .id = "images.runtimes",
                .title = "the image of each runtime is there, with a guest of this version",
                .look = look_at_images,
                .needs = "docker.reachable",
                .vital = true,
        },
};

const CheckGroup group_images = CHECK_GROUP("images", checks);
