/* SPDX-License-Identifier: Apache-2.0 */

#include "groups.h"
#include "version.h"

#include <errno.h>
#include <grp.h>
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
        const char *path = context->agent_socket;
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
        }
}

/* ---- what it says ---- */

#define REMEDY_RESTART "systemctl restart tee-agent"

static void look_at_answer(Context *context, Finding *finding) {
        const cJSON *status = context_status(context, VERDICT_FAIL, finding);
        const char *version = json_get_string(status, "version");

        if (!status)
                return;
        if (!version)
                finding_fail(finding, "is it the right socket? tee-health --socket PATH",
                             "what answers on %s is not tee-agent", context->agent_socket);
        else if (strcmp(version, TEE_VERSION) != 0)
                finding_warn(finding, REMEDY_RESTART, "the agent that runs is of version %s, and this is %s", version,
                             TEE_VERSION);
        else
                finding_pass(finding, "tee-agent %s answers on %s", version, context->agent_socket);
}

static void look_at_gate(Context *context, Finding *finding) {
        const cJSON *status = context_status(context, VERDICT_SKIP, finding), *gate = json_get_object(status, "gate");
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
                             "never in production: take out DISABLE_GVISOR=true and gvisor.enabled = false, "
                             "then: " REMEDY_RESTART,
                             "gVisor is DISABLED: programs run on this host's kernel, by the OCI runtime %s",
                             oci_runtime ? oci_runtime : "(not told)");
        else
                finding_skip(finding, NULL, "the agent's answer has no mode in it");
}

static const Check checks[] = {
        {
                .id = "agent.socket",
                .title = "the agent's socket is there, and for its group alone",
                .look = look_at_socket,
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
