/* SPDX-License-Identifier: Apache-2.0 */

/* The gate against a scripted Docker with a scripted guest: it opens only when every witness says gVisor, and shut it
 * says which one did not, and what mends it. The real thing is tests/integration/test_gate.py's; here every answer can
 * be wrong. */

#include "gate.h"
#include "scripted-server.h"
#include "unit.h"
#include "version.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#define HOST_RELEASE "6.1.0-41-amd64"
#define GVISOR_VERSION "#1 SMP Sun Jan 10 15:06:54 PST 2016"
#define READY_WITH(guest, release, version, klog)                                                    \
        "guest=" guest "\nsysname=Linux\nrelease=" release "\nversion=" version "\nmachine=x86_64\n" \
        "proc_version=Linux version " release " " version "\nklog=" klog "\n"
#define READY READY_WITH(TEE_VERSION, "4.4.0", GVISOR_VERSION, "Starting gVisor...")

#define INFO                                                                                                       \
        "{\"ServerVersion\":\"20.10.24\",\"KernelVersion\":\"" HOST_RELEASE "\",\"Runtimes\":{\"runc\":{\"path\":" \
        "\"runc\"},\"runsc\":{\"path\":\"/nonexistent/runsc\"}}}"
#define INFO_WITH_ARGUMENTS                                                                                \
        "{\"ServerVersion\":\"20.10.24\",\"KernelVersion\":\"" HOST_RELEASE "\",\"Runtimes\":{\"runsc\":{" \
        "\"path\":\"/nonexistent/runsc\",\"runtimeArgs\":[\"--debug\"]}}}"
#define IMAGE(id, guest) "{\"Id\":\"" id "\",\"Config\":{\"Labels\":{\"tee.guest.version\":\"" guest "\"}}}"

typedef enum GuestAnswer {
        GUEST_READY,
        GUEST_FAULT,
        GUEST_NOISE,
        GUEST_HANGS_UP,
        GUEST_SILENT,
} GuestAnswer;

/* What this Docker answers: a status and a body each; a NULL body never answers. */
typedef struct Answer {
        const char *status, *body;
} Answer;

typedef struct Fixture {
        sd_event *event;
        ScriptedServer *server;
        Docker *docker;
        Containers *containers;
        Config *config;
        Gate *gate;

        Answer info, deno, python, list, create, attach, start, inspect;
        const char *api_version;
        GuestAnswer guest;
        uint32_t protocol;
        const char *ready; /* READY's lines */
        bool changed;
        size_t probes, events;
        char *answer; /* of the last request */
        char removed[256];
} Fixture;

static ServerAnswer whole_answer(Fixture *fixture, const Answer *answer) {
        if (!answer->body)
                return (ServerAnswer){0};
        free(fixture->answer);
        fixture->answer = text_format("HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s", answer->status,
                                      strlen(answer->body), answer->body);
        assert_non_null(fixture->answer);
        return (ServerAnswer){.data = fixture->answer, .size = strlen(fixture->answer)};
}

/* One guest frame in one frame of Docker's. */
static void send_frame(Fixture *fixture, FrameType type, const void *payload, size_t size) {
        Buffer bytes = BUFFER_INIT(65536);
        uint8_t header[FRAME_HEADER_SIZE] = {1};

        frame_u32_encode(header + 4, (uint32_t) (FRAME_HEADER_SIZE + size));
        assert_int_equal(buffer_append(&bytes, header, sizeof(header)), 0);
        frame_header_encode(header, type, size);
        assert_int_equal(buffer_append(&bytes, header, sizeof(header)), 0);
        assert_int_equal(buffer_append(&bytes, payload, size), 0);
        server_send(fixture->server, bytes.data, bytes.size, 7);
        buffer_deinit(&bytes);
}

static void guest_speaks(Fixture *fixture) {
        static const uint8_t fault[] = "\0\0\0\4\0\0\0\0no /proc";
        Buffer ready = BUFFER_INIT(8192);
        uint8_t version[4];

        switch (fixture->guest) {
        case GUEST_READY:
                frame_u32_encode(version, fixture->protocol);
                assert_int_equal(buffer_append(&ready, version, sizeof(version)), 0);
                assert_int_equal(buffer_append_text(&ready, fixture->ready), 0);
                send_frame(fixture, FRAME_READY, ready.data, ready.size);
                buffer_deinit(&ready);
                break;
        case GUEST_FAULT:
                send_frame(fixture, FRAME_FAULT, fault, sizeof(fault) - 1);
                break;
        case GUEST_NOISE:
                server_send(fixture->server, "exec format error\n", 18, 0);
                break;
        case GUEST_HANGS_UP:
                server_close(fixture->server);
                break;
        case GUEST_SILENT:
                break;
        }
}

static bool asks_for(const char *head, const char *method, const char *path) {
        size_t n = strlen(method);

        return strncmp(head, method, n) == 0 && strncmp(head + n, " /v1.41", 7) == 0 &&
               strncmp(head + n + 7, path, strlen(path)) == 0;
}

static ServerAnswer on_request(const char *head, const char *body, void *userdata) {
        static const char upgraded[] = "HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\n",
                          events[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n";
        Fixture *fixture = userdata;

        if (strncmp(head, "GET /_ping ", 11) == 0) {
                free(fixture->answer);
                fixture->answer = text_format("HTTP/1.1 200 OK\r\nApi-Version: %s\r\nContent-Length: 2\r\n\r\nOK",
                                              fixture->api_version);
                return (ServerAnswer){.data = fixture->answer, .size = strlen(fixture->answer)};
        }
        if (asks_for(head, "GET", "/events?")) {
                fixture->events++;
                return ANSWER(events);
        }
        if (asks_for(head, "GET", "/info "))
                return whole_answer(fixture, &fixture->info);
        if (asks_for(head, "GET", "/images/tee-runtime-deno:latest/json "))
                return whole_answer(fixture, &fixture->deno);
        if (asks_for(head, "GET", "/images/python:3/json "))
                return whole_answer(fixture, &fixture->python);
        if (asks_for(head, "GET", "/containers/json?"))
                return whole_answer(fixture, &fixture->list);
        if (asks_for(head, "POST", "/containers/create?name=tee-default-")) {
                fixture->probes++;
                assert_contains(body, "\"Runtime\":\"");
                return whole_answer(fixture, &fixture->create);
        }
        if (asks_for(head, "POST", "/containers/c1d/attach?")) {
                ServerAnswer answer = fixture->attach.body ? whole_answer(fixture, &fixture->attach) : ANSWER(upgraded);

                answer.then_stream = !fixture->attach.body;
                return answer;
        }
        if (asks_for(head, "POST", "/containers/c1d/start ")) {
                guest_speaks(fixture);
                return whole_answer(fixture, &fixture->start);
        }
        if (asks_for(head, "GET", "/containers/c1d/json "))
                return whole_answer(fixture, &fixture->inspect);
        if (asks_for(head, "DELETE", "/containers/"))
                (void) snprintf(fixture->removed, sizeof(fixture->removed), "%.*s", (int) strcspn(head + 25, "?"),
                                head + 25);
        else
                assert_non_null(strstr(head, "/wait "));
        return ANSWER("HTTP/1.1 204 No Content\r\n\r\n");
}

static void on_changed(void *userdata) {
        Fixture *fixture = userdata;

        fixture->changed = true;
}

static void on_containers_changed(void *userdata) {
        (void) userdata;
}

static Config *parse(const char *text) {
        CLEANUP_FREE char *message = NULL;
        Config *config = NULL;
        int r = config_parse(text, strlen(text), "F", &config, &message);

        assert_case(r == 0, "%s", message ? message : "");
        return config;
}

#define NO_DAEMON_JSON "docker = { daemon_json = \"\"; };"

static void fixture_init(Fixture *fixture, const char *configuration) {
        *fixture = (Fixture){
                .config = parse(configuration),
                .info = {"200 OK", INFO},
                .deno = {"200 OK", IMAGE("sha256:de", TEE_VERSION)},
                .python = {"200 OK", IMAGE("sha256:9a", TEE_VERSION)},
                .list = {"200 OK", "[]"},
                .create = {"201 Created", "{\"Id\":\"c1d\"}"},
                .start = {"204 No Content", ""},
                .inspect = {"200 OK", "{\"State\":{\"Status\":\"exited\",\"ExitCode\":128,\"OOMKilled\":false}}"},
                .api_version = "1.41",
                .ready = READY,
                .protocol = FRAME_PROTOCOL_VERSION,
        };
        assert_true(sd_event_new(&fixture->event) >= 0);
        fixture->server = server_new(fixture->event, on_request, fixture);
        assert_int_equal(docker_new(fixture->event, server_path(fixture->server), 5000, &fixture->docker), 0);
        assert_int_equal(containers_new(fixture->event, fixture->docker, "default", "b007", on_containers_changed,
                                        fixture, &fixture->containers),
                         0);
        assert_int_equal(gate_new(fixture->event, fixture->docker, fixture->containers, fixture->config, "b007",
                                  on_changed, fixture, &fixture->gate),
                         0);
        assert_int_equal(gate_verdict(fixture->gate).state, GATE_CHECKING);
}

static void fixture_deinit(Fixture *fixture) {
        gate_free(fixture->gate);
        containers_free(fixture->containers);
        docker_free(fixture->docker);
        server_free(fixture->server);
        config_free(fixture->config);
        free(fixture->answer);
        (void) sd_event_unref(fixture->event);
}

/* Runs one check, and gives its verdict. */
static GateVerdict check(Fixture *fixture) {
        fixture->changed = false;
        gate_check(fixture->gate);
        loop_until(fixture->event, &fixture->changed);
        return gate_verdict(fixture->gate);
}

static void assert_open(Fixture *fixture) {
        GateVerdict verdict = check(fixture);

        assert_case(verdict.state == GATE_OPEN, "%s: %s", verdict.code, verdict.reason);
        assert_null(verdict.code);
        assert_null(verdict.reason);
        assert_null(verdict.remedy);
}

static void assert_shut(Fixture *fixture, const char *code, const char *reason) {
        GateVerdict verdict = check(fixture);
        Refusal refusal = {0};

        assert_int_equal(verdict.state, GATE_SHUT);
        assert_string_equal(verdict.code, code);
        assert_contains(verdict.reason, reason);
        assert_true(verdict.remedy && verdict.remedy[0]);
        assert_null(gate_admit(fixture->gate, "deno", &refusal));
        assert_int_equal(refusal.status, 503);
        assert_string_equal(refusal.code, code);
        assert_contains(refusal.message, reason);
        refusal_deinit(&refusal);
}

/* ---- open ---- */

TEST(a_gate_opens_when_every_witness_says_gvisor) {
        Refusal refusal = {0};
        Fixture fixture;

        fixture_init(&fixture, NO_DAEMON_JSON);
        assert_null(gate_admit(fixture.gate, "deno", &refusal));
        assert_null(refusal.code); /* it waits, and does not refuse */
        assert_open(&fixture);
        assert_string_equal(gate_admit(fixture.gate, "deno", &refusal), "sha256:de");
        assert_string_equal(gate_docker_version(fixture.gate), "20.10.24");
        assert_string_equal(gate_kernel(fixture.gate), "4.4.0 " GVISOR_VERSION);
        assert_int_equal(fixture.probes, 1);
        assert_int_equal(fixture.events, 1);
        fixture_deinit(&fixture);
}

TEST(the_probe_leaves_nothing_behind) {
        Fixture fixture;

        fixture_init(&fixture, NO_DAEMON_JSON);
        assert_open(&fixture);
        loop_settle(fixture.event);
        assert_int_equal(containers_count(fixture.containers), 0);
        assert_true(strncmp(fixture.removed, "tee-default-", 12) == 0);
        assert_false(server_has_stream(fixture.server));
        fixture_deinit(&fixture);
}

TEST(a_runtime_that_is_not_configured_is_not_admitted) {
        Refusal refusal = {0};
        Fixture fixture;

        fixture_init(&fixture, NO_DAEMON_JSON);
        assert_open(&fixture);
        assert_null(gate_admit(fixture.gate, "ruby", &refusal));
        assert_string_equal(refusal.code, "unknown_runtime");
        assert_int_equal(refusal.status, 400);
        refusal_deinit(&refusal);
        fixture_deinit(&fixture);
}

/* What was made under the old one must not be handed out any more. */
TEST(an_oci_runtime_with_other_arguments_voids_the_verdict_until_it_is_proven) {
        Refusal refusal = {0};
        Fixture fixture;

        fixture_init(&fixture, NO_DAEMON_JSON);
        assert_open(&fixture);
        fixture.info.body = INFO_WITH_ARGUMENTS;
        fixture.guest = GUEST_SILENT;
        assert_int_equal(check(&fixture).state, GATE_CHECKING);
        assert_null(gate_admit(fixture.gate, "deno", &refusal));
        assert_null(refusal.code);
        fixture_deinit(&fixture);

        fixture_init(&fixture, NO_DAEMON_JSON);
        assert_open(&fixture);
        fixture.info.body = INFO_WITH_ARGUMENTS;
        assert_int_equal(check(&fixture).state, GATE_CHECKING);
        fixture.changed = false;
        loop_until(fixture.event, &fixture.changed);
        assert_int_equal(gate_verdict(fixture.gate).state, GATE_OPEN);
        assert_open(&fixture); /* the same again voids nothing */
        fixture_deinit(&fixture);
}

/* ---- shut ---- */

TEST(a_docker_that_is_not_there_shuts_the_gate) {
        Fixture fixture;

        fixture_init(&fixture, NO_DAEMON_JSON);
        fixture.server = server_free(fixture.server);
        assert_shut(&fixture, "docker_unreachable", "No such file or directory");
        assert_contains(gate_verdict(fixture.gate).remedy, "systemctl start docker");
        fixture_deinit(&fixture);
}

TEST(a_docker_that_speaks_an_old_version_shuts_the_gate) {
        Fixture fixture;

        fixture_init(&fixture, NO_DAEMON_JSON);
        fixture.api_version = "1.24";
        assert_shut(&fixture, "docker_error", "1.40 and later");
        fixture_deinit(&fixture);
}

TEST(an_info_that_is_none_shuts_the_gate) {
        static const struct {
                Answer info;
                const char *code, *reason;
        } cases[] = {
                {{"500 Oops", "{\"message\":\"broken\"}"}, "docker_error", "broken"},
                {{"200 OK", "[]"}, "docker_error", "no info"},
                {{"200 OK", "{"}, "docker_error", "no JSON"},
                {{"200 OK", ""}, "docker_error", "no info"},
                {{"200 OK", "{}"}, "oci_runtime_missing", "unknown or invalid runtime name: runsc"},
                {{"200 OK", "{\"Runtimes\":{\"runc\":{\"path\":\"runc\"}}}"}, "oci_runtime_missing", "'runsc'"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                Fixture fixture;

                fixture_init(&fixture, NO_DAEMON_JSON);
                fixture.info = cases[i].info;
                assert_shut(&fixture, cases[i].code, cases[i].reason);
                assert_int_equal(fixture.probes, 0);
                fixture_deinit(&fixture);
        }
}

/* One check with this daemon.json. */
static void check_daemon_json(const char *text, const char *code, const char *reason) {
        char path[] = "/tmp/test-gate-XXXXXX";
        int fd = mkstemp(path);
        CLEANUP_FREE char *configuration = text_format("docker = { daemon_json = \"%s\"; };", path);
        Fixture fixture;

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
        close_fd(fd);
        fixture_init(&fixture, configuration);
        if (code)
                assert_shut(&fixture, code, reason);
        else
                assert_open(&fixture);
        assert_int_equal(fixture.probes, code ? 0 : 1);
        fixture_deinit(&fixture);
        assert_int_equal(unlink(path), 0);
}

TEST(a_daemon_json_that_contradicts_shuts_the_gate) {
        check_daemon_json("{\"runtimes\":{\"runsc\":{\"path\":\"/nonexistent/runsc\"}}}", NULL, NULL);
        check_daemon_json("{}", "registration_mismatch", "the file does not");
        check_daemon_json("{\"runtimes\":{\"runsc\":{\"path\":\"/usr/bin/runc\"}}}", "registration_mismatch",
                          "/usr/bin/runc");
        check_daemon_json("{", "registration_mismatch", "line 1");
}

TEST(a_daemon_json_that_is_not_there_has_no_say) {
        Fixture fixture;

        fixture_init(&fixture, "docker = { daemon_json = \"/nonexistent/daemon.json\"; };");
        assert_open(&fixture);
        fixture_deinit(&fixture);
}

TEST(an_image_that_is_missing_or_of_another_version_shuts_the_gate) {
        static const struct {
                Answer image;
                const char *code, *reason;
        } cases[] = {
                {{"404 Not Found", "{\"message\":\"No such image\"}"}, "image_missing", "tee-runtime-deno:latest"},
                {{"200 OK", IMAGE("sha256:de", "0.0.1")}, "guest_version_mismatch", "of version 0.0.1"},
                {{"200 OK", "{\"Id\":\"sha256:de\"}"}, "guest_version_mismatch", "of version unknown"},
                {{"200 OK", "{\"Config\":{}}"}, "docker_error", "no id"},
                {{"500 Oops", "{\"message\":\"broken\"}"}, "docker_error", "broken"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                Fixture fixture;

                fixture_init(&fixture, NO_DAEMON_JSON);
                fixture.deno = cases[i].image;
                assert_shut(&fixture, cases[i].code, cases[i].reason);
                assert_string_equal(gate_runtime(fixture.gate, 0).code, cases[i].code);
                assert_int_equal(fixture.probes, 0);
                fixture_deinit(&fixture);
        }
}

#define TWO_RUNTIMES                                                                                       \
        NO_DAEMON_JSON                                                                                     \
        "runtimes = { deno = { image = \"tee-runtime-deno:latest\"; entry = \"m\"; command = [\"/c\"]; };" \
        "py = { image = \"python:3\"; entry = \"m\"; command = [\"/c\"]; }; };"

TEST(a_runtime_without_an_image_does_not_shut_the_others) {
        Refusal refusal = {0};
        Fixture fixture;

        fixture_init(&fixture, TWO_RUNTIMES);
        fixture.deno = (Answer){"404 Not Found", "{}"};
        assert_open(&fixture);
        assert_string_equal(gate_admit(fixture.gate, "py", &refusal), "sha256:9a");
        assert_null(gate_admit(fixture.gate, "deno", &refusal));
        assert_int_equal(refusal.status, 503);
        assert_string_equal(refusal.code, "image_missing");
        assert_string_equal(refusal.field, "runtime");
        assert_string_equal(refusal.remedy, "tee-install --with-runtime deno");
        assert_int_equal(gate_runtime(fixture.gate, 0).state, GATE_SHUT);
        assert_int_equal(gate_runtime(fixture.gate, 1).state, GATE_OPEN);
        refusal_deinit(&refusal);
        fixture_deinit(&fixture);
}

TEST(leftovers_that_cannot_be_listed_shut_the_gate) {
        Fixture fixture;

        fixture_init(&fixture, NO_DAEMON_JSON);
        fixture.list = (Answer){"500 Oops", "{\"message\":\"broken\"}"};
        assert_shut(&fixture, "docker_error", "broken");
        fixture_deinit(&fixture);
}

/* ---- the probe ---- */

/* The gate after a probe whose guest said these lines. */
static void assert_judged(const char *ready, const char *code, const char *reason) {
        Fixture fixture;

        fixture_init(&fixture, NO_DAEMON_JSON);
        fixture.ready = ready;
        if (code)
                assert_shut(&fixture, code, reason);
        else
                assert_open(&fixture);
        assert_int_equal(fixture.probes, 1);
        fixture_deinit(&fixture);
}

TEST(a_probe_that_does_not_prove_gvisor_shuts_the_gate) {
        assert_judged(READY_WITH(TEE_VERSION, "4.19.0-gvisor", GVISOR_VERSION, "Starting gVisor..."), NULL, NULL);
        assert_judged(READY_WITH(TEE_VERSION, HOST_RELEASE, "#1 SMP PREEMPT_DYNAMIC", ""), "not_gvisor", "kernel log");
        assert_judged(READY_WITH(TEE_VERSION, HOST_RELEASE, GVISOR_VERSION, "Starting gVisor..."), "not_gvisor",
                      "release");
        assert_judged(READY_WITH(TEE_VERSION, "4.4.0", GVISOR_VERSION, ""), "not_gvisor", "kernel log");
        assert_judged(READY_WITH(TEE_VERSION, "4.4.0", "#1 SMP", "Starting gVisor..."), "not_gvisor", "version");
        assert_judged(READY_WITH("0.0.1", "4.4.0", GVISOR_VERSION, "Starting gVisor..."), "guest_version_mismatch",
                      "version");
        assert_judged("guest=" TEE_VERSION "\n", "probe_failed", "protocol");
}

TEST(a_guest_of_another_protocol_shuts_the_gate) {
        Fixture fixture;

        fixture_init(&fixture, NO_DAEMON_JSON);
        fixture.protocol = FRAME_PROTOCOL_VERSION + 1;
        assert_shut(&fixture, "guest_version_mismatch", "version of the protocol");
        fixture_deinit(&fixture);
}

TEST(a_probe_that_comes_to_no_end_of_its_own_shuts_the_gate) {
        static const struct {
                GuestAnswer guest;
                const char *reason;
        } cases[] = {
                {GUEST_FAULT, "no /proc"},
                {GUEST_NOISE, "protocol"},
                {GUEST_HANGS_UP, "container exited, exit code 128, OOMKilled false"},
                {GUEST_SILENT, "sandbox.boot_ms"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                Fixture fixture;

                fixture_init(&fixture, NO_DAEMON_JSON "sandbox = { boot_ms = 200; };");
                fixture.guest = cases[i].guest;
                assert_shut(&fixture, "probe_failed", cases[i].reason);
                loop_settle(fixture.event);
                assert_int_equal(fixture.probes, 1);
                fixture_deinit(&fixture);
        }
}

TEST(a_docker_that_refuses_the_probe_shuts_the_gate_in_its_own_words) {
        static const Answer broken = {"500 Oops", "{\"message\":\"broken\"}"};

        for (int step = 0; step < 3; step++) {
                Fixture fixture;

                fixture_init(&fixture, NO_DAEMON_JSON);
                fixture.guest = GUEST_SILENT;
                fixture.create = step == 0 ? broken : fixture.create;
                fixture.attach = step == 1 ? broken : fixture.attach;
                fixture.start = step == 2 ? broken : fixture.start;
                assert_shut(&fixture, "probe_failed", "broken");
                fixture_deinit(&fixture);
        }
}

/* ---- without gVisor ---- */

TEST(a_disabled_gvisor_asks_for_the_other_runtime_and_no_evidence) {
        Fixture fixture;

        fixture_init(&fixture, "gvisor = { enabled = false; };");
        fixture.ready = READY_WITH(TEE_VERSION, HOST_RELEASE, "#1 SMP PREEMPT_DYNAMIC", "");
        assert_open(&fixture);
        fixture_deinit(&fixture);

        fixture_init(&fixture, "gvisor = { enabled = false; disabled_oci_runtime = \"crun\"; };");
        assert_shut(&fixture, "oci_runtime_missing", "'crun'");
        fixture_deinit(&fixture);
}

/* ---- again ---- */

TEST(a_shut_gate_opens_by_itself_once_the_cause_is_gone) {
        Fixture fixture;

        fixture_init(&fixture, NO_DAEMON_JSON);
        fixture.info = (Answer){"200 OK", "{}"};
        assert_shut(&fixture, "oci_runtime_missing", "runsc");
        fixture.info = (Answer){"200 OK", INFO};
        fixture.changed = false;
        loop_until(fixture.event, &fixture.changed);
        assert_int_equal(gate_verdict(fixture.gate).state, GATE_OPEN);
        fixture_deinit(&fixture);
}

TEST(a_gate_that_is_distrusted_lets_nothing_pass_until_it_was_checked) {
        Refusal refusal = {0};
        Fixture fixture;

        fixture_init(&fixture, NO_DAEMON_JSON);
        assert_open(&fixture);
        gate_distrust(fixture.gate);
        assert_int_equal(gate_verdict(fixture.gate).state, GATE_CHECKING);
        assert_null(gate_admit(fixture.gate, "deno", &refusal));
        assert_null(refusal.code);
        fixture.changed = false;
        loop_until(fixture.event, &fixture.changed);
        assert_int_equal(gate_verdict(fixture.gate).state, GATE_OPEN);
        assert_int_equal(fixture.probes, 2);
        fixture_deinit(&fixture);
}

TEST(a_distrust_during_a_check_voids_that_check) {
        Fixture fixture;

        fixture_init(&fixture, NO_DAEMON_JSON);
        fixture.guest = GUEST_SILENT;
        gate_check(fixture.gate);
        loop_settle(fixture.event);
        assert_int_equal(fixture.probes, 1);
        gate_distrust(fixture.gate);
        guest_speaks(&(Fixture){.server = fixture.server, .ready = READY, .protocol = FRAME_PROTOCOL_VERSION});
        loop_settle(fixture.event);
        assert_int_equal(gate_verdict(fixture.gate).state, GATE_CHECKING);
        fixture.guest = GUEST_READY;
        fixture.changed = false;
        loop_until(fixture.event, &fixture.changed);
        assert_int_equal(gate_verdict(fixture.gate).state, GATE_OPEN);
        assert_int_equal(fixture.probes, 2);
        fixture_deinit(&fixture);
}

TEST(another_binary_in_the_place_of_the_oci_runtimes_is_noticed) {
        char path[] = "/tmp/test-gate-XXXXXX";
        int fd = mkstemp(path);
        CLEANUP_FREE char *info = text_format("{\"Runtimes\":{\"runsc\":{\"path\":\"%s\"}}}", path);
        Refusal refusal = {0};
        Fixture fixture;

        assert_true(fd >= 0);
        fixture_init(&fixture, NO_DAEMON_JSON);
        fixture.info.body = info;
        assert_open(&fixture);
        assert_non_null(gate_admit(fixture.gate, "deno", &refusal));
        assert_int_equal(write(fd, "x", 1), 1);
        close_fd(fd);
        assert_null(gate_admit(fixture.gate, "deno", &refusal));
        assert_null(refusal.code);
        assert_int_equal(gate_verdict(fixture.gate).state, GATE_CHECKING);
        fixture.changed = false;
        loop_until(fixture.event, &fixture.changed);
        assert_non_null(gate_admit(fixture.gate, "deno", &refusal));
        assert_int_equal(fixture.probes, 2);
        assert_int_equal(unlink(path), 0);
        fixture_deinit(&fixture);
}

TEST(a_gate_can_be_freed_at_every_moment) {
        for (int moment = 0; moment < 4; moment++) {
                Fixture fixture;

                fixture_init(&fixture, NO_DAEMON_JSON);
                fixture.info.body = moment == 0 ? NULL : fixture.info.body;
                fixture.deno.body = moment == 1 ? NULL : fixture.deno.body;
                fixture.create.body = moment == 2 ? NULL : fixture.create.body;
                fixture.guest = GUEST_SILENT;
                gate_check(fixture.gate);
                loop_settle(fixture.event);
                assert_int_equal(gate_verdict(fixture.gate).state, GATE_CHECKING);
                fixture_deinit(&fixture);
        }
        assert_null(gate_free(NULL));
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_gate_opens_when_every_witness_says_gvisor),
                cmocka_unit_test(the_probe_leaves_nothing_behind),
                cmocka_unit_test(a_runtime_that_is_not_configured_is_not_admitted),
                cmocka_unit_test(an_oci_runtime_with_other_arguments_voids_the_verdict_until_it_is_proven),
                cmocka_unit_test(a_docker_that_is_not_there_shuts_the_gate),
                cmocka_unit_test(a_docker_that_speaks_an_old_version_shuts_the_gate),
                cmocka_unit_test(an_info_that_is_none_shuts_the_gate),
                cmocka_unit_test(a_daemon_json_that_contradicts_shuts_the_gate),
                cmocka_unit_test(a_daemon_json_that_is_not_there_has_no_say),
                cmocka_unit_test(an_image_that_is_missing_or_of_another_version_shuts_the_gate),
                cmocka_unit_test(a_runtime_without_an_image_does_not_shut_the_others),
                cmocka_unit_test(leftovers_that_cannot_be_listed_shut_the_gate),
                cmocka_unit_test(a_probe_that_does_not_prove_gvisor_shuts_the_gate),
                cmocka_unit_test(a_guest_of_another_protocol_shuts_the_gate),
                cmocka_unit_test(a_probe_that_comes_to_no_end_of_its_own_shuts_the_gate),
                cmocka_unit_test(a_docker_that_refuses_the_probe_shuts_the_gate_in_its_own_words),
                cmocka_unit_test(a_disabled_gvisor_asks_for_the_other_runtime_and_no_evidence),
                cmocka_unit_test(a_shut_gate_opens_by_itself_once_the_cause_is_gone),
                cmocka_unit_test(a_gate_that_is_distrusted_lets_nothing_pass_until_it_was_checked),
                cmocka_unit_test(a_distrust_during_a_check_voids_that_check),
                cmocka_unit_test(another_binary_in_the_place_of_the_oci_runtimes_is_noticed),
                cmocka_unit_test(a_gate_can_be_freed_at_every_moment),
        };

        return RUN_TESTS(tests);
}
