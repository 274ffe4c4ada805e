/* SPDX-License-Identifier: Apache-2.0 */

/* A runtime whose image is missing, or carries another guest, is refused alone; the rest goes on. What an earlier look
 * saw of an image holds until its own answer has come. */

#include "images.h"
#include "log.h"
#include "message-ids.h"
#include "text.h"
#include "version.h"

#include <errno.h>
#include <string.h>

typedef struct Image {
        char *id; /* NULL when not available */
        Objection objection;
} Image;

struct Images {
        Docker *docker;
        const ConfigRuntime *runtimes;
        Image *items; /* one a runtime */
        size_t size;
        DockerCall *call;
        size_t next; /* of the look under way */
        ImagesLooked looked;
        void *userdata;
};

int images_new(Docker *docker, const Config *config, Images **ret_images) {
        Images *images = calloc(1, sizeof(*images));

        if (!images)
                return -ENOMEM;
        *images = (Images){
                .docker = docker,
                .runtimes = config->runtimes,
                .items = calloc(config->runtimes_size, sizeof(*images->items)),
                .size = config->runtimes_size,
        };
        if (!images->items) {
                free(images);
                return -ENOMEM;
        }
        *ret_images = images;
        return 0;
}

void images_stop(Images *images) {
        images->call = docker_call_free(images->call);
}

Images *images_free(Images *images) {
        if (!images)
                return NULL;
        images_stop(images);
        for (size_t i = 0; i < images->size; i++) {
                free(images->items[i].id);
                objection_deinit(&images->items[i].objection);
        }
        free(images->items);
        free(images);
        return NULL;
}

static void judge(Image *image, const ConfigRuntime *runtime, const DockerReply *reply) {
        const char *id = json_get_string(reply->json, "Id");
        const char *guest = docker_image_label(reply->json, TEE_IMAGE_LABEL_GUEST);
        CLEANUP_FREE char *remedy = text_format("tee-install --with-runtime %s", runtime->name);
        CLEANUP_FREE char *reason = NULL;

        if (reply->error == 0 && reply->status == 404) {
                reason = text_format("runtime %s: Docker has no image %s", runtime->name, runtime->image);
                objection_set(&image->objection, "image_missing", reason, remedy ? remedy : "tee-install");
        } else if (!docker_reply_ok(reply) || !id) {
                objection_set(&image->objection, "docker_error",
                              reply->message ? reply->message : "the image has no id", LOOK_AT_DOCKER);
        } else if (!guest || strcmp(guest, TEE_VERSION) != 0) {
                reason = text_format("runtime %s: the guest in image %s is of version %.32s, the agent of %s",
                                     runtime->name, runtime->image, guest ? guest : "unknown", TEE_VERSION);
                objection_set(&image->objection, "guest_version_mismatch", reason,
                              guest    ? "tee-install --refresh-runtimes"
                              : remedy ? remedy
                                       : "tee-install");
        } else {
                image->id = strdup(id);
                objection_deinit(&image->objection);
                if (!image->id)
                        objection_set(&image->objection, "docker_error", strerror(ENOMEM), LOOK_AT_DOCKER);
        }
}

static int ask_next(Images *images);

static void on_image(const DockerReply *reply, void *userdata) {
        Images *images = userdata;
        const ConfigRuntime *runtime = &images->runtimes[images->next];
        Image *image = &images->items[images->next++];
        const char *old_code = image->objection.code;
        int r;

        images->call = docker_call_free(images->call);
        free(image->id);
        image->id = NULL;
        judge(image, runtime, reply);
        if (image->objection.code && image->objection.code != old_code)
                log_message(LOG_ERR, MESSAGE_RUNTIME_UNAVAILABLE, "Runtime %s is not available (%s): %s. Remedy: %s",
                            runtime->name, image->objection.code,
                            image->objection.reason ? image->objection.reason : "",
                            image->objection.remedy ? image->objection.remedy : "");
        r = images->next < images->size ? ask_next(images) : 0;
        if (r < 0 || images->next == images->size)
                images->looked(r, images->userdata);
}

static int ask_next(Images *images) {
        return docker_image_inspect(images->docker, images->runtimes[images->next].image, on_image, images,
                                    &images->call);
}

int images_look(Images *images, ImagesLooked looked, void *userdata) {
        images_stop(images);
        images->looked = looked;
        images->userdata = userdata;
        images->next = 0;
        return ask_next(images);
}

const char *images_id(const Images *images, size_t index) {
        return images->items[index].id;
}

const Objection *images_objection(const Images *images, size_t index) {
        return &images->items[index].objection;
}

bool images_are_known(const Images *images) {
        for (size_t i = 0; i < images->size; i++)
                if (images->items[i].objection.code && strcmp(images->items[i].objection.code, "docker_error") == 0)
                        return false;
        return true;
}
