/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "json.h"

/* The registration of an OCI runtime in the text of Docker's daemon.json. Pure: text in, text out. What is not the
 * registration stays byte for byte: other keys, their order, numbers and escapes as they were written. */

typedef struct DaemonRuntime {
        const char *name;
        const char *path;
        const char *const *arguments; /* ended by NULL */
} DaemonRuntime;

typedef enum DaemonState {
        DAEMON_MISSING, /* no OCI runtime of this name */
        DAEMON_SAME,
        DAEMON_DIFFERS,
} DaemonState;

/* Text that is empty or white space is a daemon.json without keys, as Docker takes it. All of these return 0, -EINVAL
 * when the text is no daemon.json that can be worked on, with *ret_reason, a sentence (owned by the caller), or
 * -ENOMEM.
 */

/* ret_present: the registration that is there, as one line of JSON (owned by the caller), or NULL. */
int daemon_json_look(const void *text, size_t size, const DaemonRuntime *wanted, DaemonState *ret_state,
                     char **ret_present, char **ret_reason);

/* Appends the text with the registration in it, added or in another's place; unchanged when it is there already. */
int daemon_json_put(const void *text, size_t size, const DaemonRuntime *wanted, Buffer *out, char **ret_reason);

/* Appends the text without it. An object "runtimes" that is empty then stays, unless drop_empty: Docker takes no notice
 * of a reload when the whole key has gone. */
int daemon_json_drop(const void *text, size_t size, const char *name, bool drop_empty, Buffer *out, char **ret_reason);

/* Do two texts say the same but for the registration of this name? An object "runtimes" without members counts as none.
 * False for what cannot be read. */
bool daemon_json_same_rest(const void *a, size_t a_size, const void *b, size_t b_size, const char *name);

/* And do they have the same registration of this name, or both none? */
bool daemon_json_same_registration(const void *a, size_t a_size, const void *b, size_t b_size, const char *name);

/* Without keys, it says nothing to Docker. False for what is no JSON. */
bool daemon_json_is_empty(const void *text, size_t size);

/* The registration as one line of JSON, owned by the caller, or NULL on ENOMEM. */
char *daemon_runtime_text(const DaemonRuntime *runtime);
