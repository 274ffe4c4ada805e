/* SPDX-License-Identifier: Apache-2.0 */

/* The sandbox template, word for word: whoever changes the isolation of every sandbox has to change it here, too. */

#include "template.h"
#include "unit.h"

static Config *parse(const char *text) {
        CLEANUP_FREE char *message = NULL;
        Config *config = NULL;

        assert_int_equal(config_parse(text, strlen(text), "F", &config, &message), 0);
        return config;
}

static cJSON *make(const Config *config, uint64_t memory_mb, uint64_t disk_mb) {
        cJSON *spec = template_new(&(TemplateInput){
                .config = config,
                .runtime = &config->runtimes[0],
                .image_id = "sha256:0f",
                .instance = "one",
                .boot_id = "b007",
                .execution_id = "e4ec",
                .memory_mb = memory_mb,
                .disk_mb = disk_mb,
        });

        assert_non_null(spec);
        return spec;
}

static void assert_template(const char *configuration, uint64_t memory_mb, uint64_t disk_mb, const char *expected) {
        Config *config = parse(configuration);
        cJSON *spec = make(config, memory_mb, disk_mb);
        CLEANUP_JSON_TEXT char *text = cJSON_PrintUnformatted(spec);

        assert_non_null(text);
        assert_string_equal(text, expected);
        cJSON_Delete(spec);
        config_free(config);
}

TEST(a_sandbox_is_made_exactly_so) {
        assert_template(
                "agent = { instance = \"reloaded\"; }; sandbox = { cpus = 1.5; uid = 1234; pids = 2000; };"
                "runtimes = { r = { image = \"i\"; entry = \"e\"; command = [ \"/bin/r\", \"-x\" ]; }; };",
                256, 64,
                "{\"Image\":\"sha256:0f\",\"Entrypoint\":[\"/tee/tee-guest\"],\"Cmd\":[\"/bin/r\",\"-x\"],"
                "\"Env\":[\"TEE_UID=1234\"],\"Hostname\":\"sandbox\",\"User\":\"0:0\",\"WorkingDir\":\"/\","
                "\"NetworkDisabled\":true,\"Tty\":false,\"OpenStdin\":true,\"StdinOnce\":true,\"AttachStdin\":true,"
                "\"AttachStdout\":true,\"AttachStderr\":true,"
                "\"Labels\":{\"tee.instance\":\"one\",\"tee.boot\":\"b007\",\"tee.execution\":\"e4ec\"},"
                "\"HostConfig\":{\"Runtime\":\"runsc\",\"NetworkMode\":\"none\",\"IpcMode\":\"none\","
                "\"ReadonlyRootfs\":true,\"Privileged\":false,\"CapDrop\":[\"ALL\"],"
                "\"CapAdd\":[\"SETUID\",\"SETGID\",\"KILL\",\"SETPCAP\"],\"SecurityOpt\":[\"no-new-privileges\"],"
                "\"Tmpfs\":{\"/work\":\"rw,nosuid,nodev,noexec,size=67108864,mode=0700,uid=1234,gid=1234\","
                "\"/tmp\":\"rw,nosuid,nodev,noexec,size=67108864,mode=1777\"},"
                "\"Memory\":268435456,\"MemorySwap\":268435456,\"NanoCpus\":1500000000,\"PidsLimit\":2000,"
                "\"Ulimits\":[{\"Name\":\"core\",\"Soft\":0,\"Hard\":0}],\"LogConfig\":{\"Type\":\"none\"}}}");
}

TEST(only_a_disabled_gvisor_takes_the_other_oci_runtime) {
        static const struct {
                const char *configuration, *expected;
        } cases[] = {
                {"", "runsc"},
                {"gvisor = { oci_runtime = \"runsc-kvm\"; disabled_oci_runtime = \"crun\"; };", "runsc-kvm"},
                {"gvisor = { enabled = false; oci_runtime = \"runsc-kvm\"; disabled_oci_runtime = \"crun\"; };",
                 "crun"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                Config *config = parse(cases[i].configuration);
                cJSON *spec = make(config, 256, 64);

                assert_string_equal(json_get_string(json_get_object(spec, "HostConfig"), "Runtime"), cases[i].expected);
                cJSON_Delete(spec);
                config_free(config);
        }
}

static void assert_host_figure(const char *configuration, uint64_t memory_mb, const char *key, const char *expected) {
        Config *config = parse(configuration);
        cJSON *spec = make(config, memory_mb, 64);
        CLEANUP_JSON_TEXT char *text = cJSON_PrintUnformatted(json_get(json_get_object(spec, "HostConfig"), key));

        assert_string_equal(text, expected);
        cJSON_Delete(spec);
        config_free(config);
}

/* Docker reads them into 64-bit integers and refuses anything else. */
TEST(figures_are_whole_numbers_for_every_configuration) {
        assert_host_figure("sandbox = { cpus = 0.1; };", 32, "NanoCpus", "100000000");
        assert_host_figure("sandbox = { cpus = 1.07; };", 32, "NanoCpus", "1070000000");
        assert_host_figure("sandbox = { cpus = 0.123456789123; };", 32, "NanoCpus", "123456789");
        assert_host_figure("sandbox = { cpus = 255.9999999999; };", 32, "NanoCpus", "256000000000");
        assert_host_figure("", 1048576, "Memory", "1099511627776");
        assert_host_figure("", 1048575, "MemorySwap", "1099510579200");
}

TEST(nothing_of_the_host_is_mounted_or_shared) {
        static const char *const forbidden[] = {"Binds",          "Mounts",       "Volumes",     "Devices",
                                                "DeviceRequests", "VolumesFrom",  "PidMode",     "UsernsMode",
                                                "PortBindings",   "ExposedPorts", "ExtraHosts",  "Links",
                                                "Annotations",    "GroupAdd",     "CgroupParent"};
        Config *config = parse("");
        cJSON *spec = make(config, 256, 64);

        for (size_t i = 0; i < ARRAY_SIZE(forbidden); i++) {
                assert_case(!json_get(spec, forbidden[i]), "%s", forbidden[i]);
                assert_case(!json_get(json_get_object(spec, "HostConfig"), forbidden[i]), "%s", forbidden[i]);
        }
        cJSON_Delete(spec);
        config_free(config);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_sandbox_is_made_exactly_so),
                cmocka_unit_test(only_a_disabled_gvisor_takes_the_other_oci_runtime),
                cmocka_unit_test(figures_are_whole_numbers_for_every_configuration),
                cmocka_unit_test(nothing_of_the_host_is_mounted_or_shared),
        };

        return RUN_TESTS(tests);
}
