/* SPDX-License-Identifier: Apache-2.0 */

/* Whatever stands in tee.conf: a configuration that is taken is complete and within every bound that the rest of the
 * agent relies on; one that is not is refused with one line that begins with file and line. */

#include "config.h"
#include "frame.h"

#include <errno.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libconfig forgets the string that stands where the grammar wants none. All of its library, because its functions have
 * no names on a host without a symbolizer; that config.c frees what it must is seen by its unit tests. LeakSanitizer
 * asks by this name. */
const char *__lsan_default_suppressions(void); /* NOLINT(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

const char *__lsan_default_suppressions(void) { /* NOLINT(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
        return "leak:libconfig.so\n";
}

#define CHECK(condition)          \
        do {                      \
                if (!(condition)) \
                        abort();  \
        } while (0)

static void name_check(const char *name) {
        CHECK(name && name[0] != '\0' && strlen(name) <= 128 && !strpbrk(name, "/ \"'\\$\n="));
}

static void words_check(const ConfigWords *words) {
        CHECK(words->items && !words->items[words->size]);
        for (size_t i = 0; i < words->size; i++)
                CHECK(words->items[i] && words->items[i][0] != '\0');
}

static void runtime_check(const ConfigRuntime *runtime) {
        CHECK(runtime->name && runtime->name[0] != '\0');
        CHECK(runtime->image && runtime->image[0] != '\0');
        CHECK(runtime->entry && frame_path_is_safe(runtime->entry, strlen(runtime->entry)));
        words_check(&runtime->command);
        CHECK(runtime->command.size >= 1);
        if (runtime->warm_arguments.items)
                words_check(&runtime->warm_arguments);
        CHECK(runtime->pool.warm <= runtime->pool.max && runtime->pool.max <= 1024);
        CHECK(runtime->pool.warm == 0 || runtime->pool.creating >= 1);
}

/* Generous bounds: the exact ones are test-config.c's. What counts is that no figure wraps or divides by zero. */
static void config_check(const Config *config) {
        const uint64_t positive[] = {
                config->max_running,     config->queue_ms,     config->drain_ms,
                config->max_connections, config->body_kb,      config->request_ms,
                config->docker_call_ms,  config->sandbox_uid,  config->sandbox_open_files,
                config->sandbox_boot_ms, config->sandbox_pids,
        };

        for (size_t i = 0; i < ARRAY_SIZE(positive); i++)
                CHECK(positive[i] >= 1 && positive[i] <= 86400000);
        CHECK(config->queue_length <= 65536);
        CHECK(config->sandbox_cpus >= 0.1 && config->sandbox_cpus <= 256);
        for (int i = 0; i < CONFIG_LIMIT_COUNT_; i++)
                CHECK(config->limits[i].fallback >= config_limit_min((ConfigLimitName) i) &&
                      config->limits[i].fallback <= config->limits[i].max && config->limits[i].max <= 86400000);
        name_check(config->instance);
        name_check(config->oci_runtime);
        name_check(config->disabled_oci_runtime);
        CHECK(config->docker_socket[0] == '/' && strlen(config->docker_socket) <= 107);
        CHECK(config->docker_daemon_json[0] == '/' || config->docker_daemon_json[0] == '\0');
        CHECK(config->runtimes_size >= 1);
        for (size_t i = 0; i < config->runtimes_size; i++) {
                runtime_check(&config->runtimes[i]);
                CHECK(config_runtime(config, config->runtimes[i].name) == &config->runtimes[i]);
        }
}

static void message_check(const char *message) {
        CHECK(message && strncmp(message, "F:", 2) == 0);
        message += 2 + strspn(message + 2, "0123456789");
        CHECK(message[-1] != ':' && strncmp(message, ": ", 2) == 0 && message[2] != '\0');
        CHECK(!strchr(message, '\n'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        CLEANUP_FREE char *message = NULL;
        Config *config = NULL;
        int r = config_parse((const char *) data, size, "F", &config, &message);

        CHECK(r == 0 || r == -EINVAL);
        CHECK((r == 0) == (config != NULL) && (r == 0) == (message == NULL));
        if (r == 0)
                config_check(config);
        else
                message_check(message);
        config_free(config);
        return 0;
}
