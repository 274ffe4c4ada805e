/* SPDX-License-Identifier: Apache-2.0 */

/* A file can only be read out of a container, so one is made for it, which is never started. The image stays where
 * Docker has pulled it: a second run then needs no network to see that all is up to date. */

#include "base-image.h"
#include "engine-images.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#define SILENCE_LEAST_MS UINT64_C(5000)

/* Where images of Deno have it: denoland's bin images first. */
static const char *const deno_places[] = {"/deno", "/usr/bin/deno", "/usr/local/bin/deno", "/bin/deno"};

/* Docker's name of an architecture, from the kernel's. */
static const char *docker_architecture(const char *machine) {
        static const struct {
                const char *machine, *docker;
        } names[] = {{"x86_64", "amd64"}, {"aarch64", "arm64"}, {"armv7l", "arm"}, {"i686", "386"}};

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (strcmp(names[i].machine, machine) == 0)
                        return names[i].docker;
        return machine;
}

static int check_machine(const RuntimeImages *images, const char *name, const cJSON *image) {
        const char *system = json_get_string(image, "Os"), *machine = json_get_string(image, "Architecture");
        struct utsname ours;

        if (uname(&ours) < 0)
                return -errno;
        if (!system || !machine || !machine[0] ||
            (strcmp(system, "linux") == 0 && strcmp(machine, docker_architecture(ours.machine)) == 0))
                return 0;
        return trouble_set(images->engine->trouble, -ENOEXEC, NULL,
                           "%s is an image for %s/%s, and this machine is linux/%s", name, system, machine,
                           docker_architecture(ours.machine));
}

int base_image_have(const RuntimeImages *images, const char *name, cJSON **ret_image) {
        CLEANUP_JSON cJSON *image = NULL;
        bool is_deno = strcmp(images->options->with_runtime, "deno") == 0;
        const char *remedy = is_deno ? "a deno program that is on this machine: --deno PATH" : NULL;
        uint64_t silence_ms = images->options->wait_ms;
        int r = engine_image(images->engine, name, &image);

        if (r >= 0 && !image && images->options->dry_run) {
                screen_line(images->screen, "pull", "%s would be pulled", name);
                return 0;
        }
        if (r >= 0 && !image) {
                if (silence_ms < SILENCE_LEAST_MS)
                        silence_ms = SILENCE_LEAST_MS;
                r = engine_pull(images->engine, images->screen, name, silence_ms * USEC_PER_MSEC, remedy);
                if (r >= 0)
                        r = engine_image(images->engine, name, &image);
                if (r >= 0 && !image)
                        r = trouble_set(images->engine->trouble, -ENOENT, NULL,
                                        "Docker has pulled %s and does not have it", name);
        }
        if (r >= 0)
                r = check_machine(images, name, image);
        if (r >= 0)
                *ret_image = TAKE_PTR(image);
        return r;
}

/* A file that has a name for no longer than it takes to open it twice: what is open for writing cannot be run. */
static int nameless_file(int *ret_write_fd, int *ret_read_fd) {
        const char *folder = getenv("TMPDIR");
        CLEANUP_FREE char *path = text_format("%s/tee-install-XXXXXX", folder && folder[0] == '/' ? folder : "/tmp");
        CLEANUP_FD int write_fd = path ? mkostemp(path, O_CLOEXEC) : -1, read_fd = -1;

        if (!path)
                return -ENOMEM;
        if (write_fd < 0)
                return -errno;
        read_fd = open(path, O_RDONLY | O_CLOEXEC);
        (void) unlink(path);
        if (read_fd < 0 || fchmod(write_fd, 0700) < 0)
                return -errno;
        *ret_write_fd = take_fd(&write_fd);
        *ret_read_fd = take_fd(&read_fd);
        return 0;
}

static int take_to_file(const void *data, size_t size, void *userdata) {
        const int *fd = userdata;
        const uint8_t *p = data;

        while (size > 0) {
                ssize_t n = write(*fd, p, size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                p += n;
                size -= (size_t) n;
        }
        return 0;
}

static int read_from(const RuntimeImages *images, const char *container, const char *name, int fd, char **ret_place) {
        EngineFile file = {.take = take_to_file, .userdata = &fd, .label = "runtime"};

        for (size_t i = 0; i < ARRAY_SIZE(deno_places); i++) {
                int r = engine_container_read(images->engine, images->screen, container, deno_places[i], &file);

                if (r == -ENOENT || r == -EISDIR)
                        continue;
                if (r >= 0)
                        *ret_place = strdup(deno_places[i]);
                return r < 0 ? r : *ret_place ? 0 : -ENOMEM;
        }
        return trouble_set(images->engine->trouble, -ENOENT, NULL, "there is no deno program in %s", name);
}

int base_image_read_deno(const RuntimeImages *images, const char *name, int *ret_fd, char **ret_place) {
        CLEANUP_JSON cJSON *image = NULL;
        CLEANUP_FREE char *container = NULL;
        CLEANUP_FD int write_fd = -1, read_fd = -1;
        int r = base_image_have(images, name, &image);

        *ret_place = NULL;
        if (r < 0 || images->options->dry_run)
                return r;
        r = nameless_file(&write_fd, &read_fd);
        if (r < 0)
                return trouble_set(images->engine->trouble, r, NULL, "no temporary file can be made: %s", strerror(-r));
        r = engine_container_create(images->engine, name, &container);
        if (r < 0)
                return r;
        r = read_from(images, container, name, write_fd, ret_place);
        engine_container_remove(images->engine, container);
        if (r < 0)
                return r;
        *ret_fd = take_fd(&read_fd);
        return 0;
}
