/* SPDX-License-Identifier: Apache-2.0 */

/* The one closed template of every sandbox. It is the place where the isolation beside the kernel is written down, so
 * it is data with reasons rather than code: each line says what is taken away from the program, and there is no
 * parameter through which a client could give something back. */

#include "template.h"

#include <errno.h>

static int add_string(cJSON *object, const char *key, const char *value) {
        return json_add(object, key, cJSON_CreateString(value));
}

static int add_number(cJSON *object, const char *key, uint64_t value) {
        return json_add(object, key, json_new_integer(value));
}

static int add_bool(cJSON *object, const char *key, bool value) {
        return json_add(object, key, cJSON_CreateBool(value));
}

static int add_strings(cJSON *object, const char *key, const char *const *values, size_t count) {
        return json_add(object, key, cJSON_CreateStringArray(values, (int) count));
}

/* The writable places: in memory, sized, the program's own, and gone with the sandbox. */
static int add_tmpfs(cJSON *host, const TemplateInput *input) {
        unsigned long long uid = input->config->sandbox_uid, bytes = input->disk_mb * 1024 * 1024;
        cJSON *tmpfs = cJSON_AddObjectToObject(host, "Tmpfs");
        CLEANUP_FREE char *work =
                text_format("rw,nosuid,nodev,noexec,size=%llu,mode=0700,uid=%llu,gid=%llu", bytes, uid, uid);
        CLEANUP_FREE char *tmp = text_format("rw,nosuid,nodev,noexec,size=%llu,mode=1777", bytes);

        if (!tmpfs || !work || !tmp || add_string(tmpfs, "/work", work) < 0 || add_string(tmpfs, "/tmp", tmp) < 0)
                return -ENOMEM;
        return 0;
}

/* No core files: a dump would carry a program's memory to wherever the host sends its cores. */
static int add_ulimits(cJSON *host) {
        cJSON *ulimits = cJSON_AddArrayToObject(host, "Ulimits"), *core = cJSON_CreateObject();

        if (!ulimits || !core || !cJSON_AddItemToArray(ulimits, core)) {
                cJSON_Delete(core);
                return -ENOMEM;
        }
        return add_string(core, "Name", "core") < 0 || add_number(core, "Soft", 0) < 0 ||
                               add_number(core, "Hard", 0) < 0
                       ? -ENOMEM
                       : 0;
}

static int add_log(cJSON *host) {
        cJSON *log = cJSON_AddObjectToObject(host, "LogConfig");

        return log ? add_string(log, "Type", "none") : -ENOMEM;
}

static int add_host_config(cJSON *spec, const TemplateInput *input) {
        /* The guest needs four: to become the program's user (SETUID, SETGID), to kill what that user left (KILL), and
         * to empty the bounding set (SETPCAP), so that the program itself has none and can gain none. */
        static const char *const cap_drop[] = {"ALL"}, *const cap_add[] = {"SETUID", "SETGID", "KILL", "SETPCAP"};
        static const char *const security[] = {"no-new-privileges"};
        uint64_t memory = input->memory_mb * 1024 * 1024;
        uint64_t nano_cpus = (uint64_t) (input->config->sandbox_cpus * 1e9 + 0.5);
        cJSON *host = cJSON_AddObjectToObject(spec, "HostConfig");

        if (!host || add_string(host, "Runtime", config_oci_runtime(input->config)) < 0 ||
            add_string(host, "NetworkMode", "none") < 0 || /* no interface but loopback */
            add_string(host, "IpcMode", "none") < 0 ||     /* no /dev/shm, no System V IPC with anything */
            add_bool(host, "ReadonlyRootfs", true) < 0 ||  /* the image is shared by all sandboxes */
            add_bool(host, "Privileged", false) < 0 ||     /* said, not assumed */
            add_strings(host, "CapDrop", cap_drop, ARRAY_SIZE(cap_drop)) < 0 ||
            add_strings(host, "CapAdd", cap_add, ARRAY_SIZE(cap_add)) < 0 ||
            add_strings(host, "SecurityOpt", security, ARRAY_SIZE(security)) < 0 || add_tmpfs(host, input) < 0 ||
            add_number(host, "Memory", memory) < 0 ||
            add_number(host, "MemorySwap", memory) < 0 || /* the same figure: no swap */
            add_number(host, "NanoCpus", nano_cpus) < 0 ||
            add_number(host, "PidsLimit", input->config->sandbox_pids) < 0 || add_ulimits(host) < 0 ||
            add_log(host) < 0) /* output is the client's, not the host's */
                return -ENOMEM;
        return 0;
}

static int add_labels(cJSON *spec, const TemplateInput *input) {
        cJSON *labels = cJSON_AddObjectToObject(spec, "Labels");

        return !labels || add_string(labels, TEMPLATE_LABEL_INSTANCE, input->instance) < 0 ||
                               add_string(labels, TEMPLATE_LABEL_BOOT, input->boot_id) < 0 ||
                               add_string(labels, TEMPLATE_LABEL_EXECUTION, input->execution_id) < 0
                       ? -ENOMEM
                       : 0;
}

static int add_container(cJSON *spec, const TemplateInput *input) {
        static const char *const entrypoint[] = {"/tee/tee-guest"};
        CLEANUP_FREE char *uid = text_format("TEE_UID=%llu", (unsigned long long) input->config->sandbox_uid);
        const char *const env[] = {uid};

        if (!uid || add_string(spec, "Image", input->image_id) < 0 ||
            add_strings(spec, "Entrypoint", entrypoint, ARRAY_SIZE(entrypoint)) < 0 ||
            add_strings(spec, "Cmd", (const char *const *) input->runtime->command.items,
                        input->runtime->command.size) < 0 ||
            add_strings(spec, "Env", env, ARRAY_SIZE(env)) < 0 ||
            add_string(spec, "Hostname", "sandbox") < 0 || /* nothing of the host's name */
            add_string(spec, "User", "0:0") < 0 ||         /* the guest's; the program gets sandbox.uid */
            add_string(spec, "WorkingDir", "/") < 0 || add_bool(spec, "NetworkDisabled", true) < 0 ||
            add_bool(spec, "Tty", false) < 0 || add_bool(spec, "OpenStdin", true) < 0 ||
            add_bool(spec, "StdinOnce", true) < 0 || /* the agent's end is the guest's end */
            add_bool(spec, "AttachStdin", true) < 0 || add_bool(spec, "AttachStdout", true) < 0 ||
            add_bool(spec, "AttachStderr", true) < 0)
                return -ENOMEM;
        return 0;
}

cJSON *template_new(const TemplateInput *input) {
        CLEANUP_JSON cJSON *spec = cJSON_CreateObject();

        if (!spec || add_container(spec, input) < 0 || add_labels(spec, input) < 0 || add_host_config(spec, input) < 0)
                return NULL;
        return TAKE_PTR(spec);
}
