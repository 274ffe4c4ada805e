/* SPDX-License-Identifier: Apache-2.0 */

/* systemd tells what the service's environment is, and not which of the files made it so; those are read for that, and
 * only for that: what counts is what systemd says, or a file that it will read at the next start. */

#include "agent-units.h"
#include "unit-facts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#define SOCKET "tee-agent.socket"
#define SERVICE "tee-agent.service"
#define VARIABLE "DISABLE_GVISOR"
#define FILE_MAX ((size_t) 1024 * 1024)
#define PINGS_PERCENT 75U /* sd-event pings after half of the watchdog's time, at most three quarters */

#define REMEDY_START "systemctl reset-failed " SERVICE " " SOCKET " && systemctl start " SOCKET
#define REMEDY_RESTART "systemctl restart tee-agent"

/* Returns false when the finding has told why nothing can be said of the unit. */
static bool ask(Context *context, const char *unit, UnitFacts *facts, Finding *finding) {
        CLEANUP_FREE char *message = NULL;
        int r = unit_facts_read(unit, context_left_ms(context) * USEC_PER_MSEC, facts, &message);

        if (r == -ENXIO)
                finding_skip(finding, NULL, "%s: there is no unit that could be asked about", message ? message : "");
        else if (r < 0)
                finding_skip(finding, "systemctl status dbus", "%s", message ? message : strerror(-r));
        else if (strcmp(facts->load_state, "not-found") == 0)
                finding_skip(finding, "apt-get install tee-agent, or from its sources: make install",
                             "systemd has no %s: the agent was not installed, or is run in another way", unit);
        else if (strcmp(facts->load_state, "masked") == 0)
                finding_fail(finding, "systemctl unmask tee-agent.socket tee-agent.service", "%s is masked", unit);
        else if (strcmp(facts->load_state, "loaded") != 0)
                finding_fail(finding, "systemctl status tee-agent.socket tee-agent.service",
                             "systemd cannot read %s: it is %s", unit, facts->load_state);
        else
                return true;
        return false;
}

/* ---- their states ---- */

/* A service that fails is started again, unless that would be in vain (these two statuses) or was so several times in a
 * row. From then on nothing starts it but a person, and its socket has failed, too. */
static void tell_failure(const char *unit, const UnitFacts *facts, Finding *finding) {
        if (facts->exit_status == EX_CONFIG) {
                finding_fail(finding, "tee-health --only config; then: " REMEDY_START,
                             "%s has failed: tee.conf has a mistake (status %d)", unit, EX_CONFIG);
                return;
        }
        if (facts->exit_status == EX_USAGE)
                finding_fail(finding, REMEDY_START, "%s has failed: it was not started by its socket (status %d)", unit,
                             EX_USAGE);
        else if (!strstr(facts->result, "-limit-hit"))
                finding_fail(finding, REMEDY_START "; why: journalctl -u tee-agent -n 30",
                             "%s has failed (%s, status %d), and systemd does not start it again", unit, facts->result,
                             (int) facts->exit_status);
        else
                finding_fail(finding, REMEDY_START "; why: journalctl -u tee-agent -n 30",
                             "%s has failed (%s), so often in a short time that systemd does not start it again", unit,
                             facts->result);
        finding_fix(finding, "systemctl", "reset-failed", SERVICE, SOCKET);
        finding_fix(finding, "systemctl", "start", SOCKET);
}

void look_at_socket_unit(Context *context, Finding *finding) {
        CLEANUP(unit_facts_deinit) UnitFacts facts = {0};

        if (!ask(context, SOCKET, &facts, finding))
                return;
        if (strcmp(facts.active_state, "failed") == 0) {
                tell_failure(SOCKET, &facts, finding);
        } else if (strcmp(facts.active_state, "active") != 0) {
                finding_fail(finding, "systemctl enable --now " SOCKET, SOCKET " is %s: nobody can reach the agent",
                             facts.active_state);
                finding_fix(finding, "systemctl", "enable", "--now", SOCKET);
        } else if (strncmp(facts.unit_file_state, "enabled", strlen("enabled")) != 0) {
                finding_warn(finding, "systemctl enable " SOCKET,
                             SOCKET " is %s: after the next boot nobody can reach the agent", facts.unit_file_state);
                finding_fix(finding, "systemctl", "enable", SOCKET);
        } else {
                finding_pass(finding, SOCKET " is %s and %s", facts.active_state, facts.unit_file_state);
        }
}

void look_at_service_unit(Context *context, Finding *finding) {
        CLEANUP(unit_facts_deinit) UnitFacts facts = {0};

        if (!ask(context, SERVICE, &facts, finding))
                return;
        if (strcmp(facts.active_state, "failed") == 0)
                tell_failure(SERVICE, &facts, finding);
        else if (facts.restarts > 0)
                finding_warn(finding, "journalctl -u tee-agent -p warning; when it is mended: " REMEDY_RESTART,
                             SERVICE " has died and was started again, %u times since somebody started it",
                             facts.restarts);
        else if (strcmp(facts.active_state, "inactive") == 0)
                finding_pass(finding, SERVICE " does not run; the first request starts it");
        else
                finding_pass(finding, SERVICE " is %s, process %u, never restarted", facts.active_state,
                             facts.main_pid);
}

/* ---- the watchdog ---- */

static void judge_pings(const UnitFacts *facts, Finding *finding) {
        uint64_t now = now_usec(), age = now > facts->watchdog_ping_usec ? now - facts->watchdog_ping_usec : 0;
        double every_s = (double) facts->watchdog_usec / USEC_PER_SEC;

        if (age > facts->watchdog_usec * PINGS_PERCENT / 100 + USEC_PER_SEC / 2)
                finding_fail(finding, "journalctl -u tee-agent; systemd ends and restarts it by itself",
                             "the agent has shown no sign of life for %.1f s, of %.0f s that it may take",
                             (double) age / USEC_PER_SEC, every_s);
        else
                finding_pass(finding, "%.0f s, the agent's last sign of life %.1f s ago", every_s,
                             (double) age / USEC_PER_SEC);
}

void look_at_watchdog(Context *context, Finding *finding) {
        CLEANUP(unit_facts_deinit) UnitFacts facts = {0};

        if (!ask(context, SERVICE, &facts, finding))
                return;
        if (facts.main_pid == 0)
                finding_skip(finding, NULL, "the agent does not run; systemd tells of the watchdog of one that does");
        else if (facts.watchdog_usec > 0 && facts.watchdog_usec != UINT64_MAX && facts.watchdog_ping_usec == 0)
                finding_skip(finding, NULL, "the agent has given no sign of life yet: it starts, or ends");
        else if (facts.watchdog_usec == 0 || facts.watchdog_usec == UINT64_MAX)
                finding_warn(finding, "take WatchdogSec=0 out: systemctl cat tee-agent; then: " REMEDY_RESTART,
                             SERVICE " has no watchdog: an agent that hangs is not ended");
        else
                judge_pings(&facts, finding);
}

/* ---- DISABLE_GVISOR ---- */

/* The value in a list of "NAME=value", the last one counts; NULL for none. */
static const char *value_in(char *const *list) {
        const char *value = NULL;

        for (; list && *list; list++)
                if (strncmp(*list, VARIABLE "=", strlen(VARIABLE "=")) == 0)
                        value = *list + strlen(VARIABLE "=");
        return value;
}

/* The last line of a file that names the variable outside of a comment; owned by the caller. Returns 0, -ENOENT for
 * none, or why the file cannot be read. */
static int find_line(const char *path, char **ret_line) {
        CLEANUP_FREE char *line = NULL;
        FILE *file = fopen(path, "re");
        size_t size = 0, total = 0;
        ssize_t n;
        int r = -ENOENT;

        if (!file)
                return -errno;
        *ret_line = NULL;
        while ((n = getline(&line, &size, file)) >= 0 && (total += (size_t) n) < FILE_MAX) {
                const char *text = line + strspn(line, " \t");

                if (text[0] == '#' || text[0] == ';' || !strstr(text, VARIABLE))
                        continue;
                free(*ret_line);
                *ret_line = strndup(text, strcspn(text, "\n"));
                r = *ret_line ? 0 : -ENOMEM;
        }
        (void) fclose(file);
        return r;
}

static bool names_it(const char *path) {
        CLEANUP_FREE char *line = NULL;

        return find_line(path, &line) >= 0;
}

/* Of the files that the service is made from, the last that names it; NULL where none can be seen to. */
static const char *find_unit_file(const UnitFacts *facts) {
        const char *found = facts->fragment_path[0] && names_it(facts->fragment_path) ? facts->fragment_path : NULL;

        for (char *const *path = facts->drop_in_paths; path && *path; path++)
                if (names_it(*path))
                        found = *path;
        return found;
}

/* The value as the agent would take it. */
static void judge_value(const char *value, const char *where, const char *remedy, Finding *finding) {
        Config scratch = {.gvisor_enabled = true};
        CLEANUP_FREE char *message = NULL;

        if (config_apply_disable_gvisor(&scratch, value, &message) < 0)
                finding_fail(finding, remedy, "%s: %s: the agent does not start with it", where,
                             message ? message : strerror(ENOMEM));
        else if (!scratch.gvisor_enabled)
                finding_warn(finding, remedy, VARIABLE "=%s is set by %s: programs run without gVisor", value, where);
}

static void judge_files(const UnitFacts *facts, Finding *finding) {
        for (char *const *path = facts->environment_files; path && *path; path++) {
                CLEANUP_FREE char *line = NULL, *value = NULL, *where = NULL, *remedy = NULL;
                const char *name = *path + (**path == '-'), *equals;
                int r = find_line(name, &line);

                if (r == -ENOENT)
                        continue;
                if (r < 0 || !line) {
                        finding_skip(finding, "run it as root", "the environment file %s: %s", name, strerror(-r));
                        continue;
                }
                equals = strchr(line, '=');
                value = equals ? strdup(equals + 1 + strspn(equals + 1, "\"'")) : NULL;
                if (value)
                        value[strcspn(value, "\"' \t")] = '\0';
                where = text_format("the environment file %s", name);
                remedy = text_format("take " VARIABLE " out of %s, then: " REMEDY_RESTART, name);
                judge_value(value ? value : "", where ? where : name, remedy, finding);
        }
}

static void judge_unit(const UnitFacts *facts, Finding *finding) {
        const char *value = value_in(facts->environment), *file = find_unit_file(facts);
        CLEANUP_FREE char *remedy = NULL, *where = NULL;
        bool is_drop_in = file && strcmp(file, facts->fragment_path) != 0;

        if (!value)
                return;
        where = text_format("%s %s", is_drop_in ? "the drop-in" : "the unit's own file", file ? file : "");
        remedy = text_format("take " VARIABLE " out of %s, then: systemctl daemon-reload && " REMEDY_RESTART,
                             file ? file : "what systemctl cat tee-agent shows");
        judge_value(value, file && where ? where : SERVICE, remedy, finding);
}

void look_at_environment(Context *context, Finding *finding) {
        CLEANUP(unit_facts_deinit) UnitFacts facts = {0};
        const Config *config;
        const char *inherited;

        if (!ask(context, SERVICE, &facts, finding))
                return;
        judge_unit(&facts, finding);
        judge_files(&facts, finding);
        inherited = value_in(facts.manager_environment);
        if (inherited && !value_in(facts.environment))
                judge_value(inherited, "systemd's own environment (systemctl show-environment)",
                            "systemctl unset-environment " VARIABLE
                            "; or DefaultEnvironment= in system.conf; then: " REMEDY_RESTART,
                            finding);
        config = context_config(context, finding);
        if (config && !config->gvisor_enabled)
                finding_warn(finding, "take gvisor.enabled = false out, then: " REMEDY_RESTART,
                             "%s says gvisor.enabled = false: programs run without gVisor", config->path);
        finding_pass(finding, VARIABLE " is set nowhere, and tee.conf has gVisor enabled");
}
