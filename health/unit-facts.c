/* SPDX-License-Identifier: Apache-2.0 */

/* The properties of a unit are asked for all at once, as a dictionary, so that they are of one moment and cost one
 * answer for each interface. The only glue to sd-bus. */

#include "unit-facts.h"
#include "text.h"

#include <errno.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>

#define SYSTEMD "org.freedesktop.systemd1"
#define MANAGER_PATH "/org/freedesktop/systemd1"
#define UNITS_PATH MANAGER_PATH "/unit"
#define PROPERTIES "org.freedesktop.DBus.Properties"

static void free_list(char **list) {
        for (char **item = list; item && *item; item++)
                free(*item);
        free(list);
}

void unit_facts_deinit(UnitFacts *facts) {
        free(facts->load_state);
        free(facts->active_state);
        free(facts->unit_file_state);
        free(facts->fragment_path);
        free_list(facts->drop_in_paths);
        free(facts->result);
        free_list(facts->environment);
        free_list(facts->environment_files);
        free_list(facts->manager_environment);
        *facts = (UnitFacts){0};
}

/* ---- one property ---- */

typedef int (*Read)(sd_bus_message *message, void *ret);

typedef struct Property {
        const char *name;
        const char *contents; /* type */
        Read read;
        void *ret;
} Property;

static int read_string(sd_bus_message *message, void *ret) {
        const char *text;
        char **ret_text = ret;
        int r = sd_bus_message_read(message, "s", &text);

        if (r < 0)
                return r;
        free(*ret_text);
        *ret_text = strdup(text);
        return *ret_text ? 0 : -ENOMEM;
}

static int read_strings(sd_bus_message *message, void *ret) {
        char ***ret_list = ret;

        free_list(*ret_list);
        *ret_list = NULL;
        return sd_bus_message_read_strv(message, ret_list);
}

static int read_u32(sd_bus_message *message, void *ret) {
        return sd_bus_message_read_basic(message, 'u', ret);
}

static int read_i32(sd_bus_message *message, void *ret) {
        return sd_bus_message_read_basic(message, 'i', ret);
}

static int read_u64(sd_bus_message *message, void *ret) {
        return sd_bus_message_read_basic(message, 't', ret);
}

#define FILES_MAX 64U

/* An array of path, and whether it may be missing. */
static int read_files(sd_bus_message *message, void *ret) {
        char **list = calloc(FILES_MAX + 1, sizeof(*list)), ***ret_list = ret;
        const char *path;
        size_t n = 0;
        int optional, r = list ? sd_bus_message_enter_container(message, 'a', "(sb)") : -ENOMEM;

        while (r >= 0 && (r = sd_bus_message_read(message, "(sb)", &path, &optional)) > 0)
                if (n < FILES_MAX) {
                        list[n] = strdup(path);
                        r = list[n++] ? 0 : -ENOMEM;
                }
        if (r >= 0)
                r = sd_bus_message_exit_container(message);
        if (r < 0) {
                free_list(list);
                return r;
        }
        free_list(*ret_list);
        *ret_list = list;
        return 0;
}

/* ---- all of an interface ---- */

static int read_one(sd_bus_message *message, const char *name, const Property *properties, size_t size) {
        for (size_t i = 0; i < size; i++) {
                int r;

                if (strcmp(properties[i].name, name) != 0)
                        continue;
                r = sd_bus_message_enter_container(message, 'v', properties[i].contents);
                if (r >= 0)
                        r = properties[i].read(message, properties[i].ret);
                return r < 0 ? r : sd_bus_message_exit_container(message);
        }
        return sd_bus_message_skip(message, "v");
}

static int read_all(sd_bus *bus, const char *path, const char *interface, const Property *properties, size_t size,
                    sd_bus_error *error) {
        CLEANUP(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r = sd_bus_call_method(bus, SYSTEMD, path, PROPERTIES, "GetAll", error, &reply, "s", interface);

        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'e', "sv")) > 0) {
                const char *name;

                r = sd_bus_message_read(reply, "s", &name);
                if (r >= 0)
                        r = read_one(reply, name, properties, size);
                if (r >= 0)
                        r = sd_bus_message_exit_container(reply);
        }
        return r;
}

#define READ_ALL(bus, path, interface, properties, error) \
        read_all((bus), (path), (interface), (properties), ARRAY_SIZE(properties), (error))

/* ---- a unit ---- */

static int read_unit(sd_bus *bus, const char *path, UnitFacts *facts, sd_bus_error *error) {
        const Property properties[] = {
                {"LoadState", "s", read_string, &facts->load_state},
                {"ActiveState", "s", read_string, &facts->active_state},
                {"UnitFileState", "s", read_string, &facts->unit_file_state},
                {"FragmentPath", "s", read_string, &facts->fragment_path},
                {"DropInPaths", "as", read_strings, &facts->drop_in_paths},
        };

        return READ_ALL(bus, path, SYSTEMD ".Unit", properties, error);
}

static int read_socket(sd_bus *bus, const char *path, UnitFacts *facts, sd_bus_error *error) {
        const Property properties[] = {{"Result", "s", read_string, &facts->result}};

        return READ_ALL(bus, path, SYSTEMD ".Socket", properties, error);
}

static int read_service(sd_bus *bus, const char *path, UnitFacts *facts, sd_bus_error *error) {
        const Property properties[] = {
                {"Result", "s", read_string, &facts->result},
                {"Environment", "as", read_strings, &facts->environment},
                {"EnvironmentFiles", "a(sb)", read_files, &facts->environment_files},
                {"NRestarts", "u", read_u32, &facts->restarts},
                {"MainPID", "u", read_u32, &facts->main_pid},
                {"ExecMainStatus", "i", read_i32, &facts->exit_status},
                {"WatchdogUSec", "t", read_u64, &facts->watchdog_usec},
                {"WatchdogTimestampMonotonic", "t", read_u64, &facts->watchdog_ping_usec},
        };
        const Property of_manager[] = {{"Environment", "as", read_strings, &facts->manager_environment}};
        int r = READ_ALL(bus, path, SYSTEMD ".Service", properties, error);

        return r < 0 ? r : READ_ALL(bus, MANAGER_PATH, SYSTEMD ".Manager", of_manager, error);
}

/* The object is made from the unit's name by systemd's own rule, so a unit need not be loaded to be asked about. */
static int read_facts(sd_bus *bus, const char *unit, UnitFacts *facts, sd_bus_error *error) {
        CLEANUP_FREE char *path = NULL;
        const char *kind = strrchr(unit, '.');
        int r = sd_bus_path_encode(UNITS_PATH, unit, &path);

        if (r >= 0)
                r = read_unit(bus, path, facts, error);
        if (r < 0)
                return r;
        return kind && strcmp(kind, ".service") == 0 ? read_service(bus, path, facts, error)
                                                     : read_socket(bus, path, facts, error);
}

static bool is_whole(const UnitFacts *facts) {
        return facts->load_state && facts->active_state && facts->unit_file_state && facts->fragment_path &&
               facts->result;
}

int unit_facts_read(const char *unit, uint64_t most_usec, UnitFacts *ret_facts, char **ret_message) {
        CLEANUP(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        CLEANUP(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        CLEANUP(unit_facts_deinit) UnitFacts facts = {0};
        int r = sd_booted() > 0 ? sd_bus_open_system(&bus) : -ENXIO;

        if (r >= 0)
                r = sd_bus_set_method_call_timeout(bus, most_usec);
        if (r >= 0)
                r = read_facts(bus, unit, &facts, &error);
        if (r >= 0 && !is_whole(&facts))
                r = -EBADMSG;
        if (r < 0) {
                *ret_message = r == -ENXIO ? strdup("systemd is not this host's init")
                                           : text_format("systemd does not tell of %s: %s", unit,
                                                         error.message ? error.message : strerror(-r));
                return r;
        }
        *ret_facts = facts;
        facts = (UnitFacts){0};
        return 0;
}
