/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "install.h"

/* Fetches a URL, with its progress shown under label; beyond content's limit it fails. Redirections are followed, from
 * https to https only. Returns 0 or a negative errno with trouble set. */
int download(Install *install, const char *label, const char *url, Buffer *content);
