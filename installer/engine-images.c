/* SPDX-License-Identifier: Apache-2.0 */

/* What is long here is bounded by silence, not by time: a slow line may take an hour for an image, but one that brings
 * nothing at all for a while brings nothing any more. */

#include "engine-images.h"
#include "pull-progress.h"
#include "text.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* Docker says nothing while it unpacks what it has been sent, and while it writes a layer to a slow disk. */
#define SILENCE_USEC (600 * USEC_PER_SEC)
#define CALL_USEC (120 * USEC_PER_SEC)

/* Docker works on few layers at the same time. */
#define LAYERS_SHOWN 8U
#define LAYER_LABEL_SIZE 11U /* so many digits as there is room for */

/* A call that may take long. */
typedef struct Work {
        EngineAnswer answer; /* first: engine_on_done() has the same userdata as all callbacks */
        Screen *screen;
        uint64_t heard; /* when something has come or gone */
        int error;      /* of ours, in a callback */

        /* import, unpack */
        Tar *tar;
        const char *label;
        uint64_t moved, size;
        char *id;

        /* pull */
        PullProgress pull;

        /* read */
        TarReader reader;
} Work;

static void work_deinit(Work *work) {
        engine_answer_deinit(&work->answer);
        free(work->id);
}

static int fault(Engine *engine, int error, const EngineAnswer *answer, const char *what) {
        if (error == -EINTR)
                return error;
        return trouble_set(engine->trouble, error, NULL, "%s: %s", what,
                           answer->message ? answer->message : strerror(-error));
}

/* engine_await() for work that goes on as long as something is heard of it. */
static int await(Engine *engine, Screen *screen, int r, DockerCall **call, Work *work, uint64_t silence_usec) {
        uint64_t now = now_usec();

        work->heard = now;
        while (r >= 0 && !work->answer.done) {
                now = now_usec();
                if (now >= work->heard + silence_usec)
                        r = -ETIMEDOUT;
                else
                        r = loop_await(engine->loop, &work->answer.done, work->heard + silence_usec - now);
                if (r == -ETIMEDOUT && now_usec() < work->heard + silence_usec)
                        r = 0; /* something was heard meanwhile */
        }
        *call = docker_call_free(*call);
        if (screen)
                screen_clear(screen);
        return r < 0 ? r : work->error < 0 ? work->error : work->answer.error;
}

/* ---- an archive goes to Docker ---- */

static ssize_t give(void *data, size_t size, void *userdata) {
        Work *work = userdata;
        char moved[SCREEN_SIZE_MAX], whole[SCREEN_SIZE_MAX];
        ssize_t n = tar_read(data, size, work->tar);

        work->heard = now_usec();
        if (n < 0)
                return n;
        work->moved += (uint64_t) n;
        if (work->screen && n == 0)
                screen_progress(work->screen, work->label, -1, "Docker unpacks it");
        else if (work->screen)
                screen_progress(work->screen, work->label, (int) (work->moved * 100 / work->size), "%s of %s",
                                screen_size(work->moved, moved), screen_size(work->size, whole));
        return n;
}

/* The last document's status is the image's id. */
static void on_import_event(const cJSON *event, void *userdata) {
        Work *work = userdata;
        const char *status = json_get_string(event, "status");

        work->heard = now_usec();
        if (status && strncmp(status, "sha256:", 7) == 0) {
                free(work->id);
                work->id = strdup(status);
        }
}

int engine_import(Engine *engine, Screen *screen, const DockerImage *image, Tar *tar, char **ret_id) {
        CLEANUP(work_deinit)
        Work work = {.screen = screen, .tar = tar, .label = "image", .size = tar_size(tar)};
        DockerCall *call = NULL;
        int r;

        tar_rewind(tar);
        r = docker_image_import(engine->docker, image, give, on_import_event, engine_on_done, &work, &call);
        r = await(engine, screen, r, &call, &work, SILENCE_USEC);
        if (r >= 0 && !work.id)
                r = -EBADMSG;
        if (r < 0)
                return fault(engine, r, &work.answer, "the image could not be made");
        *ret_id = TAKE_PTR(work.id);
        return 0;
}

int engine_container_unpack(Engine *engine, const char *id, Tar *tar) {
        CLEANUP(work_deinit) Work work = {.tar = tar};
        DockerCall *call = NULL;
        int r;

        tar_rewind(tar);
        r = docker_container_unpack(engine->docker, id, give, engine_on_done, &work, &call);
        r = await(engine, NULL, r, &call, &work, SILENCE_USEC);
        return r < 0 ? fault(engine, r, &work.answer, "nothing could be added to the base image") : 0;
}

/* ---- an image comes from a registry ---- */

/* The sum, and below it the layers that something is being done with, where there are several. */
static void show_pull(Screen *screen, const PullProgress *pull) {
        CLEANUP_FREE char *text = pull_progress_text(pull);
        unsigned shown = 0;

        screen_block(screen);
        screen_progress(screen, "pull", pull_progress_percent(pull), "%s", text ? text : "");
        for (size_t i = 0; i < pull->size && pull->size > 1 && shown < LAYERS_SHOWN; i++) {
                const PullLayer *layer = &pull->layers[i];
                CLEANUP_FREE char *what = pull_layer_is_active(layer) ? pull_layer_text(layer) : NULL;
                char label[LAYER_LABEL_SIZE];

                if (!what)
                        continue;
                (void) snprintf(label, sizeof(label), "%s", layer->id);
                screen_below(screen);
                screen_progress(screen, label, pull_layer_percent(layer), "%s", what);
                shown++;
        }
}

static void on_pull_event(const cJSON *event, void *userdata) {
        Work *work = userdata;

        work->heard = now_usec();
        pull_progress_take(&work->pull, event);
        show_pull(work->screen, &work->pull);
}

int engine_pull(Engine *engine, Screen *screen, const char *image, uint64_t silence_usec, const char *remedy) {
        CLEANUP(work_deinit) Work work = {.screen = screen};
        char received[SCREEN_SIZE_MAX];
        DockerCall *call = NULL;
        int r;

        screen_progress(screen, "pull", -1, "%s: asking the registry", image);
        r = docker_image_pull(engine->docker, image, on_pull_event, engine_on_done, &work, &call);
        r = await(engine, screen, r, &call, &work, silence_usec);
        if (r == -ETIMEDOUT && !work.answer.done)
                return trouble_set(engine->trouble, r, remedy, "the registry has sent nothing of %s for %llu seconds",
                                   image, (unsigned long long) (silence_usec / USEC_PER_SEC));
        if (r < 0 && r != -EINTR)
                return trouble_set(engine->trouble, r, remedy, "%s could not be pulled: %s", image,
                                   work.answer.message ? work.answer.message : strerror(-r));
        if (r < 0)
                return r;
        screen_line(screen, "pull", "%s (%s downloaded)", image,
                    screen_size(pull_progress_received(&work.pull), received));
        return 0;
}

/* ---- images that are there ---- */

int engine_images(Engine *engine, const char *label, cJSON **ret_images) {
        EngineAnswer answer = {0};
        DockerCall *call = NULL;
        int r = docker_image_list(engine->docker, label, engine_on_done, &answer, &call);

        r = engine_await(engine, r, &call, &answer, CALL_USEC);
        if (r >= 0 && !cJSON_IsArray(answer.json))
                r = -EBADMSG;
        if (r < 0)
                r = fault(engine, r, &answer, "Docker does not list its images");
        else
                *ret_images = TAKE_PTR(answer.json);
        engine_answer_deinit(&answer);
        return r;
}

const char *engine_images_label(const cJSON *image, const char *label) {
        return json_get_string(json_get_object(image, "Labels"), label);
}

int engine_image_remove(Engine *engine, const char *image, char **ret_message) {
        EngineAnswer answer = {0};
        DockerCall *call = NULL;
        int r = docker_image_remove(engine->docker, image, engine_on_done, &answer, &call);

        r = engine_await(engine, r, &call, &answer, CALL_USEC);
        *ret_message = NULL;
        if (r < 0 && answer.status == 409) {
                *ret_message = TAKE_PTR(answer.message);
                r = *ret_message ? 0 : -ENOMEM;
        }
        if (r < 0)
                r = fault(engine, r, &answer, "the image could not be removed");
        engine_answer_deinit(&answer);
        return r;
}

/* ---- containers ---- */

/* The process that made it is in its name. A label would go into what is committed from it, and from there into every
 * sandbox. */
#define NAME_PREFIX "tee-install-"

static cJSON *container_spec(const char *image) {
        /* Docker wants a command for an image that has none. It is never run. */
        static const char *const command[] = {"/none"};
        CLEANUP_JSON cJSON *spec = cJSON_CreateObject();

        if (!spec || json_add(spec, "Image", cJSON_CreateString(image)) < 0 ||
            json_add(spec, "Cmd", cJSON_CreateStringArray(command, 1)) < 0 ||
            json_add(spec, "NetworkDisabled", cJSON_CreateBool(true)) < 0)
                return NULL;
        return TAKE_PTR(spec);
}

int engine_container_create(Engine *engine, const char *image, char **ret_id) {
        CLEANUP_FREE char *name = text_format(NAME_PREFIX "%d", (int) getpid());
        CLEANUP_JSON cJSON *spec = container_spec(image);
        EngineAnswer answer = {0};
        DockerCall *call = NULL;
        const char *id;
        int r;

        if (!spec || !name)
                return -ENOMEM;
        r = docker_container_create(engine->docker, name, spec, engine_on_done, &answer, &call);
        r = engine_await(engine, r, &call, &answer, CALL_USEC);
        id = json_get_string(answer.json, "Id");
        if (r == -EINTR) /* Docker may have made it all the same */
                engine_container_remove(engine, name);
        else if (r >= 0)
                r = id && (*ret_id = strdup(id)) ? 0 : -EBADMSG;
        if (r < 0)
                r = fault(engine, r, &answer, "no container could be made of the image");
        engine_answer_deinit(&answer);
        return r;
}

void engine_container_remove(Engine *engine, const char *id) {
        bool interrupted = engine->loop->interrupted;
        EngineAnswer answer = {0};
        DockerCall *call = NULL;
        int r;

        loop_pardon(engine->loop);
        r = docker_container_remove(engine->docker, id, engine_on_done, &answer, &call);
        (void) engine_await(engine, r, &call, &answer, CALL_USEC);
        engine->loop->interrupted = engine->loop->interrupted || interrupted;
        engine_answer_deinit(&answer);
}

/* Of the process that made the container for itself; 0 for any other container. */
static pid_t maker_of(const cJSON *container) {
        static const char prefix[] = "/" NAME_PREFIX;
        const char *name = cJSON_GetStringValue(cJSON_GetArrayItem(json_get(container, "Names"), 0));
        char *end;
        long pid;

        if (!name || strncmp(name, prefix, strlen(prefix)) != 0)
                return 0;
        pid = strtol(name + strlen(prefix), &end, 10);
        return *end || pid < 0 || pid > INT_MAX ? 0 : (pid_t) pid;
}

int engine_containers_tidy(Engine *engine) {
        EngineAnswer answer = {0};
        DockerCall *call = NULL;
        const cJSON *container;
        int r = docker_container_list(engine->docker, "name", NAME_PREFIX, engine_on_done, &answer, &call);

        r = engine_await(engine, r, &call, &answer, CALL_USEC);
        cJSON_ArrayForEach(container, answer.json) {
                const char *id = json_get_string(container, "Id");
                pid_t pid = maker_of(container);

                if (id && pid > 0 && (pid == getpid() || (kill(pid, 0) < 0 && errno == ESRCH)))
                        engine_container_remove(engine, id);
        }
        if (r < 0)
                r = fault(engine, r, &answer, "Docker does not list its containers");
        engine_answer_deinit(&answer);
        return r;
}

/* What cannot be taken ends the call: what else would come is of no use. */
static void on_archive(const void *data, size_t size, void *userdata) {
        Work *work = userdata;
        char moved[SCREEN_SIZE_MAX], whole[SCREEN_SIZE_MAX];

        work->heard = now_usec();
        if (work->error < 0)
                return;
        work->moved += size;
        work->error = tar_reader_feed(&work->reader, data, size);
        if (work->error < 0)
                work->answer.done = true;
        else if (work->label && work->reader.size > 0)
                screen_progress(work->screen, work->label,
                                (int) ((double) work->moved * 100.0 / (double) work->reader.size), "%s of %s",
                                screen_size(work->moved, moved), screen_size(work->reader.size, whole));
}

int engine_container_read(Engine *engine, Screen *screen, const char *id, const char *path, const EngineFile *file) {
        CLEANUP(work_deinit)
        Work work = {
                .screen = screen, .label = file->label, .reader = {.take = file->take, .userdata = file->userdata}};
        CLEANUP_FREE char *what = text_format("%s could not be read from the image", path);
        DockerCall *call = NULL;
        int r = what ? docker_container_archive(engine->docker, id, path, on_archive, engine_on_done, &work, &call)
                     : -ENOMEM;

        r = await(engine, screen, r, &call, &work, SILENCE_USEC);
        if (r < 0 && work.answer.status == 404)
                return -ENOENT;
        if (r >= 0 && !work.reader.found)
                return -EISDIR;
        if (r >= 0 && !work.reader.whole)
                r = -EBADMSG;
        return r < 0 ? fault(engine, r, &work.answer, what ? what : path) : 0;
}

int engine_container_commit(Engine *engine, const char *id, const DockerImage *image, char **ret_id) {
        CLEANUP(work_deinit) Work work = {0};
        DockerCall *call = NULL;
        const char *image_id;
        int r = docker_container_commit(engine->docker, id, image, engine_on_done, &work, &call);

        r = await(engine, NULL, r, &call, &work, SILENCE_USEC);
        image_id = json_get_string(work.answer.json, "Id");
        if (r >= 0)
                r = image_id && (*ret_id = strdup(image_id)) ? 0 : -EBADMSG;
        return r < 0 ? fault(engine, r, &work.answer, "the image could not be made") : 0;
}
