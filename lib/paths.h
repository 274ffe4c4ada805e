/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Where gVisor's packages come from (the reference guide), and where things are on a Debian host. */

#define GVISOR_MIRROR "https://storage.googleapis.com/gvisor/releases"
#define GVISOR_KEY_URL "https://gvisor.dev/archive.key"
#define GVISOR_FINGERPRINT "6F1DF85E3A71C24918E727D56FC6D554E32BD943"

#define PATH_KEYRING "/usr/share/keyrings/gvisor-archive-keyring.gpg"
#define PATH_SOURCES_FOLDER "/etc/apt/sources.list.d"
#define PATH_SOURCES PATH_SOURCES_FOLDER "/gvisor.sources"
#define PATH_SOURCES_MAIN "/etc/apt/sources.list"
#define PATH_RUNSC "/usr/bin/runsc"
#define PATH_RECORD_FOLDER "/var/lib/tee"
#define PATH_RECORD PATH_RECORD_FOLDER "/install.json"
#define PATH_LOCK "/run/tee-install.lock"
