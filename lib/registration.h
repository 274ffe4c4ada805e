/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "json.h"

/* Is an OCI runtime registered with Docker? Two witnesses: the running Docker (/info) and its file (daemon.json). */

/* Path of the OCI runtime as /info gives it, or NULL when it is not registered. A registration by runtimeType has no
 * path: "". Belongs to info. */
const char *registration_in_info(const cJSON *info, const char *oci_runtime);

/* The registration as an object with path and runtimeArgs, as the running Docker has it; NULL when there is none.
 * Belongs to info. */
const cJSON *registration_from_info(const cJSON *info, const char *oci_runtime);

/* Its path, as registration_in_info() gives it. */
const char *registration_path(const cJSON *runtime);

/* The registration in daemon.json's text, owned by the caller; NULL when there is none. Returns 0, -EINVAL when Docker
 * could not read it or would read it otherwise, with *ret_reason, a sentence (owned by the caller), or -ENOMEM. */
int registration_parse(const void *text, size_t size, const char *oci_runtime, cJSON **ret_runtime, char **ret_reason);

/* The same for a file; "" is none. Another negative errno when it cannot be read, without a reason. */
int registration_read(const char *path, const char *oci_runtime, cJSON **ret_runtime, char **ret_reason);

/* No arguments are the same as an empty list. */
bool registration_same_arguments(const cJSON *a, const cJSON *b);

/* All of the registration, path and arguments, as text that is the same as long as it is; malloc'ed. NULL when there is
 * none, or no memory. */
char *registration_text(const cJSON *info, const char *oci_runtime);

/* Compares daemon.json's text with what /info said. Returns 0 when they agree, -EINVAL when they do not, with
 * *ret_reason, a sentence (owned by the caller), or -ENOMEM. */
int registration_check(const void *text, size_t size, const char *oci_runtime, const char *info_path,
                       char **ret_reason);

/* The same for a file. One that is not there, or may not be read, has no say, and neither has "": 0. Another negative
 * errno when it cannot be read. */
int registration_check_file(const char *path, const char *oci_runtime, const char *info_path, char **ret_reason);
