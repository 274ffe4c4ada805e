/* SPDX-License-Identifier: Apache-2.0 */

/* gVisor comes from its own repository, whose key vouches for what Docker will run as root. So the key has to be the
 * right one, and has to vouch for that repository alone. */

#include "apt-entry.h"
#include "file.h"
#include "groups.h"
#include "openpgp.h"
#include "paths.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define KEY_SIZE_MAX ((size_t) 4 * 1024 * 1024)
#define REMEDY_INSTALL "tee-install --with-gvisor"
#define TRUSTED_FILE "/etc/apt/trusted.gpg"
#define TRUSTED_FOLDER "/etc/apt/trusted.gpg.d"

/* Returns false when the finding has told why apt's lists cannot be seen. */
static bool see_entry(Context *context, AptEntry *ret_entry, Finding *finding) {
        int r = context_gvisor(context, finding) ? apt_entry_read(ret_entry, &context->trouble) : -ECANCELED;

        if (r == -ENOENT)
                finding_skip(finding, NULL, "there is no apt on this host");
        else if (r < 0 && r != -ECANCELED)
                finding_skip(finding, r == -EACCES ? "run it as root" : NULL, "%s",
                             context->trouble.message ? context->trouble.message : strerror(-r));
        return r >= 0;
}

/* ---- the source ---- */

static void look_at_source(Context *context, Finding *finding) {
        CLEANUP(apt_entry_deinit) AptEntry entry = {0};

        if (!see_entry(context, &entry, finding))
                return;
        if (entry.found == 0) {
                finding_warn(finding, REMEDY_INSTALL, "apt has no source with %s: no new version of runsc arrives",
                             entry.mirror);
                return;
        }
        if (entry.first.is_trusted)
                finding_fail(finding, REMEDY_INSTALL,
                             "%s has 'trusted=yes': whoever stands between may hand out any program as runsc",
                             entry.path);
        if (!entry.first.signed_by)
                finding_warn(
                        finding, REMEDY_INSTALL,
                        "%s has no 'signed-by': any key that apt trusts may sign a runsc, and gVisor's any package",
                        entry.path);
        if (entry.first.is_one_line)
                finding_warn(finding, REMEDY_INSTALL, "%s is in the form of one line, which apt calls deprecated",
                             entry.path);
        if (entry.is_plain)
                finding_warn(finding, REMEDY_INSTALL,
                             "%s names it with http: whoever stands between can hold new versions back", entry.path);
        if (entry.found > 1)
                finding_warn(finding, REMEDY_INSTALL, "%zu entries name gVisor's repository, the first in %s",
                             entry.found, entry.path);
        finding_pass(finding, "%s: %s, %s", entry.path, entry.mirror, entry.first.suite ? entry.first.suite : "?");
}

/* ---- its key ---- */

static bool has_suffix(const char *name, const char *suffix) {
        size_t n = strlen(name), k = strlen(suffix);

        return n > k && strcmp(name + n - k, suffix) == 0;
}

/* apt tells by the name which form to expect, and passes by what is in the other. */
static void judge_form(const char *path, bool is_binary, Finding *finding) {
        if (has_suffix(path, ".asc") && is_binary)
                finding_fail(finding, REMEDY_INSTALL, "%s is binary, and apt takes a file of that name as armoured",
                             path);
        else if (has_suffix(path, ".gpg") && !is_binary)
                finding_fail(finding, REMEDY_INSTALL, "%s is armoured, and apt takes a file of that name as binary",
                             path);
}

static void judge_mode(const char *path, Finding *finding) {
        CLEANUP_FREE char *remedy = text_format("chmod 0644 %s", path), *chown = text_format("chown root: %s", path);
        struct stat st;

        if (stat(path, &st) < 0)
                return;
        if (st.st_uid != 0)
                finding_fail(finding, chown, "%s belongs to the user %u, who may change whom apt believes", path,
                             st.st_uid);
        if (st.st_mode & 022)
                finding_fail(finding, remedy, "%s has the mode %04o: others than root may change whom apt believes",
                             path, st.st_mode & 0777U);
        if (!(st.st_mode & 04))
                finding_fail(finding, remedy, "%s has the mode %04o: apt, as the user _apt, cannot read it", path,
                             st.st_mode & 0777U);
}

static void judge_key(const AptEntry *entry, const char *path, const Buffer *text, Finding *finding) {
        CLEANUP_BUFFER Buffer binary = BUFFER_INIT(KEY_SIZE_MAX);
        char fingerprint[OPENPGP_FINGERPRINT_SIZE];
        const char *reason = NULL;
        int r = openpgp_key_read(text->data, text->size, &binary, fingerprint, &reason);

        if (r < 0) {
                finding_fail(finding, REMEDY_INSTALL, "%s is not gVisor's key: %s", path,
                             reason ? reason : strerror(-r));
                return;
        }
        judge_form(path, text->size == binary.size && memcmp(text->data, binary.data, text->size) == 0, finding);
        if (strcasecmp(fingerprint, entry->fingerprint) != 0)
                finding_fail(finding, REMEDY_INSTALL, "the key in %s has the fingerprint %s, and gVisor's is %s", path,
                             fingerprint, entry->fingerprint);
        else
                finding_pass(finding, "%s, %s%s", path, fingerprint,
                             strcasecmp(fingerprint, GVISOR_FINGERPRINT) == 0 ? ""
                                                                              : ", as tee-install was told to take it");
}

static void look_at_key(Context *context, Finding *finding) {
        CLEANUP_BUFFER Buffer text = BUFFER_INIT(KEY_SIZE_MAX);
        CLEANUP(apt_entry_deinit) AptEntry entry = {0};
        const char *path;
        int r;

        if (!see_entry(context, &entry, finding))
                return;
        path = entry.first.signed_by ? entry.first.signed_by : PATH_KEYRING;
        r = path[0] == '/' ? file_read(path, &text) : -EBADF;
        if (r == -EBADF)
                finding_skip(finding, REMEDY_INSTALL, "%s names no file with the key, but '%s'", entry.path, path);
        else if (r == -ENOENT && !entry.first.signed_by)
                finding_skip(finding, REMEDY_INSTALL, "no source names a key of its own, and there is no %s", path);
        else if (r < 0 && r != -EACCES)
                finding_fail(finding, REMEDY_INSTALL, "%s: %s", path, strerror(-r));
        else if (r == -EACCES)
                finding_skip(finding, "run it as root", "%s: %s", path, strerror(-r));
        else
                judge_key(&entry, path, &text, finding);
        judge_mode(path, finding);
}

/* ---- keys that are trusted for everything ---- */

/* Tells of a file with keys that gVisor's is among. Armoured files hold one key. */
static void judge_trusted(const AptEntry *entry, const char *path, const Buffer *text, Finding *finding) {
        CLEANUP_BUFFER Buffer binary = BUFFER_INIT(KEY_SIZE_MAX);
        CLEANUP_FREE char *remedy = NULL;
        char fingerprint[OPENPGP_FINGERPRINT_SIZE] = "";
        const char *reason;
        size_t keys = 1;

        if (openpgp_key_read(text->data, text->size, &binary, fingerprint, &reason) >= 0) {
                if (strcasecmp(fingerprint, entry->fingerprint) != 0)
                        return;
        } else if (!openpgp_keyring_has(text->data, text->size, entry->fingerprint, &keys)) {
                return;
        }
        remedy = keys == 1 ? text_format(REMEDY_INSTALL " && rm %s", path)
                           : text_format(REMEDY_INSTALL
                                         " && gpg --no-default-keyring --keyring %s --batch --yes --delete-keys %s",
                                         path, entry->fingerprint);
        finding_warn(finding, remedy,
                     "%s has gVisor's key, as the deprecated apt-key puts it: it may sign any package of "
                     "any repository that names no key",
                     path);
}

static void look_at_file(const AptEntry *entry, const char *path, Finding *finding) {
        CLEANUP_BUFFER Buffer text = BUFFER_INIT(KEY_SIZE_MAX);
        int r = file_read(path, &text);

        if (r >= 0 && text.size > 0)
                judge_trusted(entry, path, &text, finding);
        else if (r < 0 && r != -ENOENT)
                finding_skip(finding, "run it as root", "%s: %s", path, strerror(-r));
}

static void look_at_trusted(Context *context, Finding *finding) {
        CLEANUP(apt_entry_deinit) AptEntry entry = {0};
        DIR *entries;

        if (!see_entry(context, &entry, finding))
                return;
        look_at_file(&entry, TRUSTED_FILE, finding);
        entries = opendir(TRUSTED_FOLDER);
        for (const struct dirent *one; entries && (one = readdir(entries));) {
                CLEANUP_FREE char *path = text_format("%s/%s", TRUSTED_FOLDER, one->d_name);

                if (path && (has_suffix(path, ".gpg") || has_suffix(path, ".asc")))
                        look_at_file(&entry, path, finding);
        }
        if (entries)
                (void) closedir(entries);
        finding_pass(finding, "gVisor's key is not among those that apt trusts for every repository");
}

static const Check checks[] = {
        {
                .id = "apt.source",
                .title = "apt knows gVisor's repository, once, with its key and in today's form",
                .look = look_at_source,
                .needs = "config.valid",
        },
        {
                .id = "apt.key",
                .title = "the key of gVisor's repository is the right one, and apt can use it",
                .look = look_at_key,
                .needs = "config.valid",
        },
        {
                .id = "apt.trusted_keys",
                .title = "gVisor's key is trusted for its own repository alone",
                .look = look_at_trusted,
                .needs = "config.valid",
        },
};

const CheckGroup group_apt = CHECK_GROUP("apt", checks);
