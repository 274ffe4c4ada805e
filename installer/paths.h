/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Where things are on a Debian host. */
#define PATH_KEYRING "/usr/share/keyrings/gvisor-archive-keyring.gpg"
#define PATH_SOURCES_FOLDER "/etc/apt/sources.list.d"
#define PATH_SOURCES PATH_SOURCES_FOLDER "/gvisor.sources"
#define PATH_SOURCES_MAIN "/etc/apt/sources.list"
#define PATH_RUNSC "/usr/bin/runsc"
#define PATH_RECORD_FOLDER "/var/lib/tee"
#define PATH_RECORD PATH_RECORD_FOLDER "/install.json"
#define PATH_LOCK "/run/tee-install.lock"
