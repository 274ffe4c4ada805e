/* SPDX-License-Identifier: Apache-2.0 */

#include "agent-status.h"
#include "agent-units.h"
#include "groups.h"
#include "version.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>

/* ---- its socket ---- */

#define REMEDY_SOCKET "systemctl enable --now tee-agent.socket"
#define REMEDY_MODE "SocketMode=0660 and SocketGroup=tee in tee-agent.socket, then: systemctl restart tee-agent.socket"

/* getgrgid(3) asks whatever the host has its groups from; it may hang, which is what a check's deadline is for. */
static const char *group_name(gid_t gid) {
        const struct group *group = getgrgid(gid);

        return group ? group->gr_name : NULL;
}

static void judge_mode(const char *path, const struct stat *st, Finding *finding) {
        const char *group = group_name(st->st_gid);
        unsigned mode = st->st_mode & 0777;

        if (mode & 02)
                finding_fail(finding, REMEDY_MODE, "%s has the mode %04o: everybody on this host may run programs",
                             path, mode);
        else if (mode != 0660)
                finding_warn(finding, REMEDY_MODE, "%s has the mode %04o instead of 0660", path, mode);
        if (st->st_gid == 0)
                finding_warn(finding, REMEDY_MODE, "its group is root: nobody else may run programs");
        else if (!group)
                finding_warn(finding, REMEDY_MODE, "its group is %u, which has no name", st->st_gid);
        else
                finding_pass(finding, "%s, mode %04o, group %s", path, mode, group);
}

static void look_at_socket(Context *context, Finding *finding) {
        const char *path = context->places.agent_socket;
        struct stat st;

        if (stat(path, &st) == 0) {
                if (S_ISSOCK(st.st_mode))
                        judge_mode(path, &st, finding);
                else
                        finding_fail(finding, "remove it, then: " REMEDY_SOCKET, "%s is not a socket", path);
        } else if (errno == EACCES) {
                finding_skip(finding, "run it as root", "%s: %s", path, strerror(errno));
        } else {
                finding_fail(finding, REMEDY_SOCKET, "%s: %s", path, strerror(errno));
                if (strcmp(path, AGENT_SOCKET) == 0)
                        finding_fix(finding, "systemctl", "enable", "--now", "tee-agent.socket");
        }
}

/* ---- who may ---- */

/* What getgrnam(3) lists counts from the next login on; what the process has, now. */
static bool is_listed(const struct group *group, const char *user) {
        for (char *const *member = group->gr_mem; *member; member++)
                if (strcmp(*member, user) == 0)
                        return true;
        return false;
}

static void look_at_user(Context *context, Finding *finding) {
        const struct passwd *user = getpwuid(geteuid());
        CLEANUP_FREE char *name = user ? strdup(user->pw_name) : text_format("%u", geteuid()), *remedy = NULL;
        const struct group *group;
        struct stat st;

        if (stat(context->places.agent_socket, &st) < 0) {
                finding_skip(finding, NULL, "%s: %s", context->places.agent_socket, strerror(errno));
                return;
        }
        group = getgrgid(st.st_gid);
        remedy = text_format("usermod --append --groups %s %s, and log in again", group ? group->gr_name : "tee",
                             name ? name : "USER");
        if (geteuid() == 0)
                finding_pass(finding, "root may run programs");
        else if (getegid() == st.st_gid || group_member(st.st_gid))
                finding_pass(finding, "%s is a member of the group %s", name, group ? group->gr_name : "(no name)");
        else if (group && name && is_listed(group, name))
                finding_warn(finding, "log in again, or: newgrp tee",
                             "%s is a member of the group %s, and was not yet when this session began", name,
                             group->gr_name);
        else
                finding_skip(finding, remedy, "%s may not run programs, so what others may could not be tried", name);
}

/* ---- what it says ---- */

#define REMEDY_RESTART "systemctl restart tee-agent"
#define GATE_WAIT_USEC (2 * USEC_PER_SEC)
#define GATE_PAUSE_USEC (USEC_PER_SEC / 10)

static void look_at_answer(Context *context, Finding *finding) {
        const cJSON *status = context_status(context, VERDICT_FAIL, finding);
        const char *version = json_get_string(status, "version");

        if (!status)
                return;
        if (!version)
                finding_fail(finding, "is it the right socket? tee-health --socket PATH",
                             "what answers on %s is not tee-agent", context->places.agent_socket);
        else if (strcmp(version, TEE_VERSION) != 0)
                finding_warn(finding, REMEDY_RESTART, "the agent that runs is of version %s, and this is %s", version,
                             TEE_VERSION);
        else
                finding_pass(finding, "tee-agent %s answers on %s", version, context->places.agent_socket);
}

/* One that is being checked is worth waiting for: it takes about a second. */
static const cJSON *await_gate(Context *context, Finding *finding) {
        uint64_t until_usec = now_usec() + GATE_WAIT_USEC;
        const cJSON *status;

        for (;;) {
                const char *state;

                status = context_status(context, VERDICT_SKIP, finding);
                state = json_get_string(json_get_object(status, "gate"), "state");
                if (!state || strcmp(state, "checking") != 0 || now_usec() > until_usec ||
                    loop_sleep(&context->loop, GATE_PAUSE_USEC) < 0)
                        return status;
                cJSON_Delete(context->status);
                context->status = NULL;
        }
}

static void look_at_gate(Context *context, Finding *finding) {
        const cJSON *status = await_gate(context, finding), *gate = json_get_object(status, "gate");
        const char *state = json_get_string(gate, "state"), *code = json_get_string(gate, "code"),
                   *reason = json_get_string(gate, "reason"), *remedy = json_get_string(gate, "remedy");
        const char *kernel = json_get_string(json_get_object(status, "gvisor"), "kernel");

        if (!status)
                return;
        if (!state)
                finding_skip(finding, NULL, "the agent's answer has no gate in it");
        else if (strcmp(state, "open") == 0)
                finding_pass(finding, "open, sandboxes have the kernel %s", kernel ? kernel : "(not told)");
        else if (strcmp(state, "checking") == 0)
                finding_warn(finding, "run it again; journalctl -u tee-agent", "the agent is still checking");
        else
                finding_fail(finding, remedy ? remedy : "journalctl -u tee-agent", "%s (%s): %s", state,
                             code ? code : "no code", reason ? reason : "no reason");
}

static void look_at_mode(Context *context, Finding *finding) {
        const cJSON *status = context_status(context, VERDICT_SKIP, finding),
                    *gvisor = json_get_object(status, "gvisor"), *enabled = json_get(gvisor, "enabled");
        const char *oci_runtime = json_get_string(gvisor, "oci_runtime");

        if (!status)
                return;
        if (cJSON_IsTrue(enabled))
                finding_pass(finding, "gVisor, by the OCI runtime %s", oci_runtime ? oci_runtime : "(not told)");
        else if (cJSON_IsFalse(enabled))
                finding_warn(finding,
                             "never in production: tee-health --only agent.environment says what disables it; "
                             "then: " REMEDY_RESTART,
                             "gVisor is DISABLED: programs run on this host's kernel, by the OCI runtime %s",
                             oci_runtime ? oci_runtime : "(not told)");
        else
                finding_skip(finding, NULL, "the agent's answer has no mode in it");
}

static const Check checks[] = {
        {
                .id = "agent.socket_unit",
                .title = "systemd listens for the agent, and will after the next boot",
                .look = look_at_socket_unit,
        },
        {
                .id = "agent.service",
                .title = "the agent's service has not failed, nor was it restarted",
                .look = look_at_service_unit,
        },
        {
                .id = "agent.environment",
                .title = "nothing tells the service to run programs without gVisor",
                .look = look_at_environment,
        },
        {
                .id = "agent.socket",
                .title = "the agent's socket is there, and for its group alone",
                .look = look_at_socket,
        },
        {
                .id = "agent.user",
                .title = "this user may run programs",
                .look = look_at_user,
        },
        {
                .id = "agent.watchdog",
                .title = "an agent that hangs would be ended, and this one does not",
                .look = look_at_watchdog,
        },
        {
                .id = "agent.answers",
                .title = "the agent answers, and is of this version",
                .look = look_at_answer,
                .vital = true,
        },
        {
                .id = "agent.gate",
                .title = "the gate is open: programs may run",
                .look = look_at_gate,
                .needs = "agent.answers",
                .vital = true,
        },
        {
                .id = "agent.mode",
                .title = "programs run on gVisor",
                .look = look_at_mode,
                .needs = "agent.answers",
        },
};

const CheckGroup group_agent = CHECK_GROUP("agent", checks);
