/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base.h"

/* What one sandbox that waits is counted as in pool.memory_mb: somewhat more than was measured (docs/PERFORMANCE.md).
 */
#define CONFIG_POOL_SANDBOX_MB 32U

/* Where it is, unless somebody says otherwise. */
#define CONFIG_PATH "/etc/tee/tee.conf"

/* What tee.conf says, with the defaults of what it leaves out. conf/tee.conf documents each setting. */

typedef struct ConfigLimit {
        uint64_t fallback; /* "default" */
        uint64_t max;
} ConfigLimit;

typedef enum ConfigLimitName {
        CONFIG_LIMIT_WALL_MS,
        CONFIG_LIMIT_CPU_MS,
        CONFIG_LIMIT_MEMORY_MB,
        CONFIG_LIMIT_PROCESSES,
        CONFIG_LIMIT_OUTPUT_KB,
        CONFIG_LIMIT_DISK_MB,
        CONFIG_LIMIT_COUNT_,
} ConfigLimitName;

typedef struct ConfigWords {
        char **items; /* ended by NULL */
        size_t size;
} ConfigWords;

/* Sandboxes of a runtime that stand ready. */
typedef struct ConfigPool {
        uint64_t warm; /* 0: none */
        uint64_t max;
        uint64_t creating;
        uint64_t idle_release_ms; /* 0: never */
} ConfigPool;

typedef struct ConfigRuntime {
        char *name;
        char *image;
        char *entry;
        ConfigWords command;        /* at least one */
        ConfigWords warm_arguments; /* empty: the runtime cannot wait for its program */
        ConfigPool pool;
} ConfigRuntime;

typedef struct Config {
        char *path; /* the file that it came from */

        char *instance;
        uint64_t max_running;
        uint64_t queue_length;
        uint64_t queue_ms;
        uint64_t drain_ms;

        uint64_t max_connections;
        uint64_t body_kb;
        uint64_t answers_mb;
        uint64_t request_ms;

        char *docker_socket;
        char *docker_daemon_json; /* "" for not looked at */
        uint64_t docker_call_ms;

        bool gvisor_enabled;
        char *oci_runtime;
        char *disabled_oci_runtime;

        double sandbox_cpus;
        uint64_t sandbox_uid;
        uint64_t sandbox_pids;
        uint64_t sandbox_open_files;
        uint64_t sandbox_boot_ms;

        uint64_t pool_memory_mb;

        ConfigLimit limits[CONFIG_LIMIT_COUNT_];

        ConfigRuntime *runtimes;
        size_t runtimes_size;
} Config;

/* Reads and checks a file. On failure returns a negative errno (-EINVAL for its content) and writes *ret_message, one
 * line "FILE:LINE: SETTING: what is wrong" (owned by the caller; NULL on ENOMEM). */
int config_load(const char *path, Config **ret_config, char **ret_message);

/* The same for text in memory; path is for messages. */
int config_parse(const char *text, size_t size, const char *path, Config **ret_config, char **ret_message);

Config *config_free(Config *config);

DEFINE_CLEANUP(Config *, config_free)

/* Applies the value of the environment's DISABLE_GVISOR (NULL: not set): "true", "1", "yes" disable; "false", "0", "no"
 * and "" do not, in any case. Anything else is refused with -EINVAL and *ret_message. */
int config_apply_disable_gvisor(Config *config, const char *value, char **ret_message);

/* NULL when there is none of that name. Belongs to config. */
const ConfigRuntime *config_runtime(const Config *config, const char *name);

/* Its place in config->runtimes; it must be one of them. */
size_t config_runtime_index(const Config *config, const ConfigRuntime *runtime);

/* "wall_ms" and so on: the name in requests and in tee.conf. */
const char *config_limit_name(ConfigLimitName name);

/* Smallest value that a request may ask for. */
uint64_t config_limit_min(ConfigLimitName name);

/* The OCI runtime in force: oci_runtime, or disabled_oci_runtime while gVisor is disabled. */
const char *config_oci_runtime(const Config *config);
