/* SPDX-License-Identifier: Apache-2.0 */

/* tee.conf. Each setting is one row of a table (name, place in the struct, range, default), and the file is walked once
 * against the tables, so that a setting which no row knows is an error rather than ignored. Only this file includes
 * libconfig. A Config is complete and consistent or it is not made. */

#include "config.h"
#include "config-text.h"
#include "frame.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <libconfig.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>
#include <unistd.h>

#define CONFIG_FILE_SIZE_MAX ((size_t) 1024 * 1024)
#define CONFIG_RUNTIMES_MAX 64
#define CONFIG_COMMAND_MAX 128

typedef struct IntegerSetting {
        const char *name;
        size_t offset;
        uint64_t min, max, fallback;
} IntegerSetting;

#define LIMIT(limit, text, low, high, usual, most)                                                 \
        {"limits." text ".default", offsetof(Config, limits[limit].fallback), low, high, usual}, { \
                "limits." text ".max", offsetof(Config, limits[limit].max), low, high, most        \
        }

static const IntegerSetting integer_settings[] = {
        {"agent.max_running", offsetof(Config, max_running), 1, 1024, 8},
        {"agent.queue_length", offsetof(Config, queue_length), 0, 65536, 64},
        {"agent.queue_ms", offsetof(Config, queue_ms), 1, 600000, 30000},
        {"agent.drain_ms", offsetof(Config, drain_ms), 1, 600000, 30000},
        {"http.max_connections", offsetof(Config, max_connections), 1, 65536, 512},
        {"http.body_kb", offsetof(Config, body_kb), 1, 65536, 1024},
        {"http.answers_mb", offsetof(Config, answers_mb), 1, 16384, 256},
        {"http.request_ms", offsetof(Config, request_ms), 100, 600000, 10000},
        {"docker.call_ms", offsetof(Config, docker_call_ms), 100, 600000, 30000},
        {"sandbox.uid", offsetof(Config, sandbox_uid), 1, 65534, 65532},
        {"sandbox.pids", offsetof(Config, sandbox_pids), 128, 65536, 4096},
        {"sandbox.open_files", offsetof(Config, sandbox_open_files), 32, 1048576, 1024},
        {"sandbox.boot_ms", offsetof(Config, sandbox_boot_ms), 100, 600000, 20000},
        {"pool.memory_mb", offsetof(Config, pool_memory_mb), 0, 16777216, 1024},
        LIMIT(CONFIG_LIMIT_WALL_MS, "wall_ms", 1, 86400000, 10000, 300000),
        LIMIT(CONFIG_LIMIT_CPU_MS, "cpu_ms", 1, 86400000, 10000, 300000),
        LIMIT(CONFIG_LIMIT_MEMORY_MB, "memory_mb", 32, 1048576, 256, 2048),
        LIMIT(CONFIG_LIMIT_PROCESSES, "processes", 1, 32768, 64, 512),
        LIMIT(CONFIG_LIMIT_OUTPUT_KB, "output_kb", 1, 262144, 1024, 16384),
        LIMIT(CONFIG_LIMIT_DISK_MB, "disk_mb", 1, 1048576, 64, 1024),
};

typedef enum TextKind {
        TEXT_NAME,          /* [A-Za-z0-9][A-Za-z0-9_.-]*, at most 128 */
        TEXT_SOCKET,        /* absolute, and short enough for sun_path */
        TEXT_PATH_OR_EMPTY, /* absolute, or "" */
} TextKind;

static const struct TextSetting {
        const char *name;
        size_t offset;
        TextKind kind;
        const char *fallback;
} text_settings[] = {
        {"agent.instance", offsetof(Config, instance), TEXT_NAME, "default"},
        {"docker.socket", offsetof(Config, docker_socket), TEXT_SOCKET, "/run/docker.sock"},
        {"docker.daemon_json", offsetof(Config, docker_daemon_json), TEXT_PATH_OR_EMPTY, "/etc/docker/daemon.json"},
        {"gvisor.oci_runtime", offsetof(Config, oci_runtime), TEXT_NAME, "runsc"},
        {"gvisor.disabled_oci_runtime", offsetof(Config, disabled_oci_runtime), TEXT_NAME, "runc"},
};

static const char *const default_deno_command[] = {
        "/usr/bin/deno",
        "run",
        "--quiet",
        "--no-prompt",
        "--no-remote",
        "--no-npm",
        "--no-config",
        "--no-lock",
        "--cached-only",
        "--no-code-cache",
        "--allow-read=/work,/tmp",
        "--allow-write=/work,/tmp",
        "--allow-env",
};

static const char *const default_deno_warm_arguments[] = {"--preload=/usr/lib/tee/adapter.ts"};

/* Of runtimes.NAME.pool; offsets are those of ConfigPool. */
static const IntegerSetting pool_settings[] = {
        {"warm", offsetof(ConfigPool, warm), 0, 256, 2},
        {"max", offsetof(ConfigPool, max), 1, 1024, 10},
        {"creating", offsetof(ConfigPool, creating), 1, 64, 1},
        {"idle_release_ms", offsetof(ConfigPool, idle_release_ms), 0, 86400000, 0},
};

static const struct {
        const char *name;
        uint64_t min;
} limit_names[CONFIG_LIMIT_COUNT_] = {
        [CONFIG_LIMIT_WALL_MS] = {"wall_ms", 1},      [CONFIG_LIMIT_CPU_MS] = {"cpu_ms", 1},
        [CONFIG_LIMIT_MEMORY_MB] = {"memory_mb", 32}, [CONFIG_LIMIT_PROCESSES] = {"processes", 1},
        [CONFIG_LIMIT_OUTPUT_KB] = {"output_kb", 1},  [CONFIG_LIMIT_DISK_MB] = {"disk_mb", 1},
};

/* One reading of one file: where the words go and what to say when it fails. */
typedef struct Reader {
        Config *config;
        const char *path;
        char **ret_message;
} Reader;

static void *field(void *object, size_t offset) {
        return (uint8_t *) object + offset;
}

static int fail(Reader *reader, unsigned line, const char *name, const char *what) {
        *reader->ret_message = name ? text_format("%s:%u: %s: %s", reader->path, line, name, what)
                                    : text_format("%s:%u: %s", reader->path, line, what);
        return -EINVAL;
}

static int fail_setting(Reader *reader, const config_setting_t *setting, const char *name, const char *what) {
        return fail(reader, config_setting_source_line(setting), name, what);
}

static int replace_text(char **target, const char *value) {
        char *copy = strdup(value);

        if (!copy)
                return -ENOMEM;
        free(*target);
        *target = copy;
        return 0;
}

/* ---- values ---- */

/* name: the whole one; object: what the row's offset counts in. */
static int read_integer(Reader *reader, const config_setting_t *setting, const char *name, const IntegerSetting *row,
                        void *object) {
        CLEANUP_FREE char *what = NULL;
        int type = config_setting_type(setting);
        long long value;

        if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64)
                return fail_setting(reader, setting, name, "must be an integer");
        value = config_setting_get_int64(setting);
        if (value >= 0 && (uint64_t) value >= row->min && (uint64_t) value <= row->max) {
                *(uint64_t *) field(object, row->offset) = (uint64_t) value;
                return 0;
        }
        what = text_format("%lld is out of range; it must be from %llu to %llu", value, (unsigned long long) row->min,
                           (unsigned long long) row->max);
        return what ? fail_setting(reader, setting, name, what) : -ENOMEM;
}

static bool is_name(const char *text, const char *more, size_t most) {
        static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        size_t n = 0;

        if (text[0] == '\0' || !strchr(letters, text[0]))
                return false;
        for (; text[n] != '\0'; n++)
                if (!strchr(letters, text[n]) && !strchr(more, text[n]))
                        return false;
        return n <= most;
}

/* NULL when the text is right, else what it must be. */
static const char *text_fault(TextKind kind, const char *text) {
        switch (kind) {
        case TEXT_NAME:
                return is_name(text, "_.-", 128) ? NULL
                                                 : "must be a name of at most 128 letters, digits, '_', '.' and '-'";
        case TEXT_SOCKET:
                if (strlen(text) >= sizeof(((struct sockaddr_un *) NULL)->sun_path))
                        return "is too long for a unix socket (107 bytes)";
                return text[0] == '/' ? NULL : "must be an absolute path";
        case TEXT_PATH_OR_EMPTY:
                return text[0] == '/' || text[0] == '\0' ? NULL : "must be an absolute path, or empty";
        }
        return "is of no known kind";
}

static int read_text(Reader *reader, const config_setting_t *setting, const struct TextSetting *row) {
        const char *value = config_setting_get_string(setting), *what;

        if (!value)
                return fail_setting(reader, setting, row->name, "must be a string");
        what = text_fault(row->kind, value);
        if (what)
                return fail_setting(reader, setting, row->name, what);
        return replace_text(field(reader->config, row->offset), value);
}

static int read_cpus(Reader *reader, const config_setting_t *setting, const char *name) {
        int type = config_setting_type(setting);
        double value;

        if (type != CONFIG_TYPE_FLOAT && type != CONFIG_TYPE_INT)
                return fail_setting(reader, setting, name, "must be a number");
        value = type == CONFIG_TYPE_FLOAT ? config_setting_get_float(setting) : config_setting_get_int(setting);
        if (!(value >= 0.1 && value <= 256))
                return fail_setting(reader, setting, name, "is out of range; it must be from 0.1 to 256");
        reader->config->sandbox_cpus = value;
        return 0;
}

static int read_value(Reader *reader, const config_setting_t *setting, const char *name) {
        for (size_t i = 0; i < ARRAY_SIZE(integer_settings); i++)
                if (strcmp(integer_settings[i].name, name) == 0)
                        return read_integer(reader, setting, name, &integer_settings[i], reader->config);
        for (size_t i = 0; i < ARRAY_SIZE(text_settings); i++)
                if (strcmp(text_settings[i].name, name) == 0)
                        return read_text(reader, setting, &text_settings[i]);
        if (strcmp(name, "sandbox.cpus") == 0)
                return read_cpus(reader, setting, name);
        if (strcmp(name, "gvisor.enabled") == 0) {
                if (config_setting_type(setting) != CONFIG_TYPE_BOOL)
                        return fail_setting(reader, setting, name, "must be true or false");
                reader->config->gvisor_enabled = config_setting_get_bool(setting) != 0;
                return 0;
        }
        return fail_setting(reader, setting, name, "there is no such setting");
}

/* ---- runtimes ---- */

static void words_deinit(ConfigWords *words) {
        for (size_t i = 0; i < words->size; i++)
                free(words->items[i]);
        free(words->items);
        *words = (ConfigWords){0};
}

static int words_copy(ConfigWords *words, const char *const *items, size_t size) {
        words->items = calloc(size + 1, sizeof(*words->items));
        if (!words->items)
                return -ENOMEM;
        for (; words->size < size; words->size++) {
                words->items[words->size] = strdup(items[words->size]);
                if (!words->items[words->size])
                        return -ENOMEM;
        }
        return 0;
}

static void runtime_deinit(ConfigRuntime *runtime) {
        free(runtime->name);
        free(runtime->image);
        free(runtime->entry);
        words_deinit(&runtime->command);
        words_deinit(&runtime->warm_arguments);
}

static int read_words(Reader *reader, const config_setting_t *setting, const char *name, ConfigWords *words) {
        const char *items[CONFIG_COMMAND_MAX];
        int type = config_setting_type(setting), count = config_setting_length(setting);

        if ((type != CONFIG_TYPE_ARRAY && type != CONFIG_TYPE_LIST) || count < 1 || count > CONFIG_COMMAND_MAX)
                return fail_setting(reader, setting, name, "must be an array of 1 to 128 strings");
        for (int i = 0; i < count; i++) {
                items[i] = config_setting_get_string_elem(setting, i);
                if (!items[i] || items[i][0] == '\0')
                        return fail_setting(reader, setting, name, "must be an array of strings that are not empty");
        }
        words_deinit(words); /* libconfig lets no name stand twice; should it ever, the last one counts */
        return words_copy(words, items, (size_t) count);
}

static int read_pool_value(Reader *reader, const config_setting_t *setting, const char *name, ConfigPool *pool) {
        for (size_t i = 0; i < ARRAY_SIZE(pool_settings); i++)
                if (strcmp(pool_settings[i].name, config_setting_name(setting)) == 0)
                        return read_integer(reader, setting, name, &pool_settings[i], pool);
        return fail_setting(reader, setting, name, "there is no such setting");
}

static void set_pool_defaults(ConfigPool *pool) {
        for (size_t i = 0; i < ARRAY_SIZE(pool_settings); i++)
                *(uint64_t *) field(pool, pool_settings[i].offset) = pool_settings[i].fallback;
}

static int read_pool(Reader *reader, const config_setting_t *group, const char *name, ConfigPool *pool) {
        if (!config_setting_is_group(group))
                return fail_setting(reader, group, name, "must be a group { … }");
        set_pool_defaults(pool);
        for (int i = 0; i < config_setting_length(group); i++) {
                const config_setting_t *setting = config_setting_get_elem(group, (unsigned) i);
                CLEANUP_FREE char *full = text_format("%s.%s", name, config_setting_name(setting));
                int r = full ? read_pool_value(reader, setting, full, pool) : -ENOMEM;

                if (r < 0)
                        return r;
        }
        return pool->warm <= pool->max ? 0 : fail_setting(reader, group, name, "warm is above max");
}

static int read_runtime_value(Reader *reader, const config_setting_t *setting, const char *name,
                              ConfigRuntime *runtime) {
        const char *key = config_setting_name(setting), *value = config_setting_get_string(setting);

        if (strcmp(key, "command") == 0)
                return read_words(reader, setting, name, &runtime->command);
        if (strcmp(key, "warm_arguments") == 0)
                return read_words(reader, setting, name, &runtime->warm_arguments);
        if (strcmp(key, "pool") == 0)
                return read_pool(reader, setting, name, &runtime->pool);
        if (strcmp(key, "image") == 0) {
                if (!value || !is_name(value, "_.-/:@", 512))
                        return fail_setting(reader, setting, name, "must be the name of an image");
                return replace_text(&runtime->image, value);
        }
        if (strcmp(key, "entry") == 0) {
                if (!value || !frame_path_is_safe(value, strlen(value)))
                        return fail_setting(reader, setting, name, "must be a relative path without '..'");
                return replace_text(&runtime->entry, value);
        }
        return fail_setting(reader, setting, name, "there is no such setting");
}

static int read_runtime(Reader *reader, const config_setting_t *group, const char *name) {
        ConfigRuntime *runtime = &reader->config->runtimes[reader->config->runtimes_size];
        const char *missing;

        if (!config_setting_is_group(group))
                return fail_setting(reader, group, name, "must be a group { … }");
        runtime->name = strdup(config_setting_name(group));
        if (!runtime->name)
                return -ENOMEM;
        reader->config->runtimes_size++;

        for (int i = 0; i < config_setting_length(group); i++) {
                const config_setting_t *setting = config_setting_get_elem(group, (unsigned) i);
                CLEANUP_FREE char *full = text_format("%s.%s", name, config_setting_name(setting));
                int r = full ? read_runtime_value(reader, setting, full, runtime) : -ENOMEM;

                if (r < 0)
                        return r;
        }
        missing = !runtime->image ? "image is missing" : !runtime->entry ? "entry is missing" : NULL;
        if (!missing && !runtime->command.items)
                missing = "command is missing";
        return missing ? fail_setting(reader, group, name, missing) : 0;
}

static int read_runtimes(Reader *reader, const config_setting_t *group) {
        int count = config_setting_length(group);

        if (!config_setting_is_group(group) || count < 1 || count > CONFIG_RUNTIMES_MAX)
                return fail_setting(reader, group, "runtimes", "must be a group of 1 to 64 runtimes");
        reader->config->runtimes = calloc((size_t) count, sizeof(*reader->config->runtimes));
        if (!reader->config->runtimes)
                return -ENOMEM;
        for (int i = 0; i < count; i++) {
                const config_setting_t *setting = config_setting_get_elem(group, (unsigned) i);
                CLEANUP_FREE char *full = text_format("runtimes.%s", config_setting_name(setting));
                int r = full ? read_runtime(reader, setting, full) : -ENOMEM;

                if (r < 0)
                        return r;
        }
        return 0;
}

static int default_runtimes(Config *config) {
        ConfigRuntime *runtime = calloc(1, sizeof(*runtime));

        if (!runtime)
                return -ENOMEM;
        config->runtimes = runtime;
        config->runtimes_size = 1;
        runtime->name = strdup("deno");
        runtime->image = strdup("tee-runtime-deno:latest");
        runtime->entry = strdup("main.ts");
        if (!runtime->name || !runtime->image || !runtime->entry ||
            words_copy(&runtime->command, default_deno_command, ARRAY_SIZE(default_deno_command)) < 0 ||
            words_copy(&runtime->warm_arguments, default_deno_warm_arguments, ARRAY_SIZE(default_deno_warm_arguments)) <
                    0)
                return -ENOMEM;
        set_pool_defaults(&runtime->pool);
        return 0;
}

/* ---- the whole ---- */

static bool is_group_name(const char *name) {
        size_t n = strlen(name);

        if (strcmp(name, "sandbox") == 0 || strcmp(name, "gvisor") == 0)
                return true;
        for (size_t i = 0; i < ARRAY_SIZE(integer_settings); i++)
                if (strncmp(integer_settings[i].name, name, n) == 0 && integer_settings[i].name[n] == '.')
                        return true;
        return false;
}

static int read_group(Reader *reader, const config_setting_t *group, const char *prefix);

static int read_member(Reader *reader, const config_setting_t *setting, const char *prefix) {
        CLEANUP_FREE char *name = text_format("%s%s", prefix, config_setting_name(setting));
        CLEANUP_FREE char *inner = NULL;

        if (!name)
                return -ENOMEM;
        if (strcmp(name, "runtimes") == 0)
                return read_runtimes(reader, setting);
        if (!is_group_name(name))
                return read_value(reader, setting, name);
        if (!config_setting_is_group(setting))
                return fail_setting(reader, setting, name, "must be a group { … }");
        inner = text_format("%s.", name);
        return inner ? read_group(reader, setting, inner) : -ENOMEM;
}

/* Recurses only into groups that the tables know, so no deeper than they are. prefix is "" or ends in a dot. */
static int read_group(Reader *reader, const config_setting_t *group, const char *prefix) {
        for (int i = 0; i < config_setting_length(group); i++) {
                int r = read_member(reader, config_setting_get_elem(group, (unsigned) i), prefix);

                if (r < 0)
                        return r;
        }
        return 0;
}

static int check_limits(Reader *reader, const config_t *file) {
        for (int i = 0; i < CONFIG_LIMIT_COUNT_; i++) {
                const ConfigLimit *limit = &reader->config->limits[i];
                char name[64];
                const config_setting_t *setting;

                if (limit->fallback <= limit->max)
                        continue;
                (void) snprintf(name, sizeof(name), "limits.%s.default", limit_names[i].name);
                setting = config_lookup(file, name);
                if (setting)
                        return fail_setting(reader, setting, name, "is above its max");
                (void) snprintf(name, sizeof(name), "limits.%s.max", limit_names[i].name);
                setting = config_lookup(file, name);
                return fail(reader, setting ? config_setting_source_line(setting) : 0, name,
                            "is below its default, which is not set here");
        }
        return 0;
}

static uint64_t host_memory_mb(void) {
        long pages = sysconf(_SC_PHYS_PAGES), page_size = sysconf(_SC_PAGE_SIZE);

        return pages > 0 && page_size > 0 ? (uint64_t) pages / 1024 * (uint64_t) page_size / 1024 : 0;
}

/* The line that a person would mend: the bound where it stands, else the runtime whose share passes it. */
static int fail_pools(Reader *reader, const config_t *file, const ConfigRuntime *runtime, uint64_t need_mb) {
        const config_setting_t *setting = config_lookup(file, "pool.memory_mb");
        CLEANUP_FREE char *name =
                setting ? strdup("pool.memory_mb") : text_format("runtimes.%s.pool.warm", runtime->name);
        CLEANUP_FREE char *what = NULL;

        if (setting)
                what = text_format("%llu is too little for all sandboxes that are to stand ready (%u MB each: %llu)",
                                   (unsigned long long) reader->config->pool_memory_mb, CONFIG_POOL_SANDBOX_MB,
                                   (unsigned long long) need_mb);
        else
                what = text_format("%llu brings the sandboxes that are to stand ready to %llu MB (%u each), above "
                                   "pool.memory_mb, which is %llu unless set",
                                   (unsigned long long) runtime->pool.warm, (unsigned long long) need_mb,
                                   CONFIG_POOL_SANDBOX_MB, (unsigned long long) reader->config->pool_memory_mb);
        if (!name || !what)
                return -ENOMEM;
        if (!setting)
                setting = config_lookup(file, name);
        return fail(reader, setting ? config_setting_source_line(setting) : 1, name, what);
}

/* All that stands ready must fit the bound, and that the host; what cannot be is refused, not cut short. */
static int check_pools(Reader *reader, const config_t *file) {
        const config_setting_t *setting = config_lookup(file, "pool.memory_mb");
        uint64_t need_mb = 0, host_mb = host_memory_mb();
        const ConfigRuntime *passing = NULL;
        CLEANUP_FREE char *what = NULL;

        for (size_t i = 0; i < reader->config->runtimes_size; i++) {
                need_mb += reader->config->runtimes[i].pool.warm * CONFIG_POOL_SANDBOX_MB;
                if (!passing && need_mb > reader->config->pool_memory_mb)
                        passing = &reader->config->runtimes[i];
        }
        if (setting && host_mb > 0 && reader->config->pool_memory_mb > host_mb) {
                what = text_format("%llu is more than this host has (%llu)",
                                   (unsigned long long) reader->config->pool_memory_mb, (unsigned long long) host_mb);
                return what ? fail_setting(reader, setting, "pool.memory_mb", what) : -ENOMEM;
        }
        return passing ? fail_pools(reader, file, passing, need_mb) : 0;
}

static int set_defaults(Config *config) {
        for (size_t i = 0; i < ARRAY_SIZE(integer_settings); i++)
                *(uint64_t *) field(config, integer_settings[i].offset) = integer_settings[i].fallback;
        for (size_t i = 0; i < ARRAY_SIZE(text_settings); i++) {
                int r = replace_text(field(config, text_settings[i].offset), text_settings[i].fallback);
                if (r < 0)
                        return r;
        }
        config->gvisor_enabled = true;
        config->sandbox_cpus = 1.0;
        return 0;
}

static int check_text(Reader *reader, const char *text) {
        CLEANUP_FREE char *name = NULL, *what = NULL;
        unsigned line;
        int r = config_text_check(text, &line, &name, &what);

        return r == -EINVAL ? fail(reader, line, name, what) : r;
}

static int fail_syntax(Reader *reader, const config_t *file, const char *text) {
        unsigned line = (unsigned) config_error_line(file);
        bool is_duplicate = strstr(config_error_text(file), "duplicate");
        CLEANUP_FREE char *name = NULL;

        if (is_duplicate && config_text_name_at(text, line, &name) < 0)
                return -ENOMEM;
        return fail(reader, line, name, name ? "stands twice" : config_error_text(file));
}

static int read_text_file(Reader *reader, config_t *file, const char *text) {
        int r = check_text(reader, text);

        if (r < 0)
                return r;
        if (config_read_string(file, text) != CONFIG_TRUE)
                return fail_syntax(reader, file, text);
        r = read_group(reader, config_root_setting(file), "");
        if (r < 0)
                return r;
        r = check_limits(reader, file);
        if (r >= 0 && !reader->config->runtimes)
                r = default_runtimes(reader->config);
        return r < 0 ? r : check_pools(reader, file);
}

int config_parse(const char *text, size_t size, const char *path, Config **ret_config, char **ret_message) {
        CLEANUP(config_freep) Config *config = calloc(1, sizeof(*config));
        /* libconfig 1.5 wants an end of line behind a comment, even behind the last. */
        CLEANUP_FREE char *copy =
                text_format("%.*s%s", (int) size, text, size > 0 && text[size - 1] != '\n' ? "\n" : "");
        Reader reader = {.config = config, .path = path, .ret_message = ret_message};
        config_t file;
        int r;

        *ret_message = NULL;
        if (!config || !copy)
                return -ENOMEM;
        if (memchr(text, '\0', size))
                return fail(&reader, 1, NULL, "contains a NUL byte");
        config->path = strdup(path);
        if (!config->path || set_defaults(config) < 0)
                return -ENOMEM;

        config_init(&file);
        r = read_text_file(&reader, &file, copy);
        config_destroy(&file);
        if (r < 0)
                return r;
        *ret_config = TAKE_PTR(config);
        return 0;
}

static int read_file(const char *path, Buffer *buffer) {
        CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* a FIFO must not hold it up */
        char block[4096];
        ssize_t n;

        if (fd < 0)
                return -errno;
        for (;;) {
                int r;

                n = read(fd, block, sizeof(block));
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                r = buffer_append(buffer, block, (size_t) n);
                if (r < 0 || n == 0)
                        return r;
        }
}

int config_load(const char *path, Config **ret_config, char **ret_message) {
        Buffer text = BUFFER_INIT(CONFIG_FILE_SIZE_MAX);
        int r = read_file(path, &text);

        if (r < 0)
                *ret_message = text_format("%s:0: cannot be read: %s", path, strerror(-r));
        else
                r = config_parse((const char *) text.data, text.size, path, ret_config, ret_message);
        buffer_deinit(&text);
        return r;
}

Config *config_free(Config *config) {
        if (!config)
                return NULL;
        for (size_t i = 0; i < ARRAY_SIZE(text_settings); i++)
                free(*(char **) field(config, text_settings[i].offset));
        for (size_t i = 0; i < config->runtimes_size; i++)
                runtime_deinit(&config->runtimes[i]);
        free(config->runtimes);
        free(config->path);
        free(config);
        return NULL;
}

int config_apply_disable_gvisor(Config *config, const char *value, char **ret_message) {
        static const char *const yes[] = {"true", "1", "yes"}, *const no[] = {"false", "0", "no", ""};

        *ret_message = NULL;
        if (!value)
                return 0;
        for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
                if (strcasecmp(value, yes[i]) == 0) {
                        config->gvisor_enabled = false;
                        return 0;
                }
        for (size_t i = 0; i < ARRAY_SIZE(no); i++)
                if (strcasecmp(value, no[i]) == 0)
                        return 0;
        *ret_message = text_format("DISABLE_GVISOR: '%.64s' is not understood; use true or false", value);
        return -EINVAL;
}

const ConfigRuntime *config_runtime(const Config *config, const char *name) {
        for (size_t i = 0; i < config->runtimes_size; i++)
                if (strcmp(config->runtimes[i].name, name) == 0)
                        return &config->runtimes[i];
        return NULL;
}

size_t config_runtime_index(const Config *config, const ConfigRuntime *runtime) {
        return (size_t) (runtime - config->runtimes);
}

const char *config_limit_name(ConfigLimitName name) {
        return limit_names[name].name;
}

uint64_t config_limit_min(ConfigLimitName name) {
        return limit_names[name].min;
}

const char *config_oci_runtime(const Config *config) {
        return config->gvisor_enabled ? config->oci_runtime : config->disabled_oci_runtime;
}
