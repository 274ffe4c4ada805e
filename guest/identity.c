/* SPDX-License-Identifier: Apache-2.0 */

/* The guest is root with CAP_SETUID, CAP_SETGID, CAP_KILL and nothing else once it has given up CAP_SETPCAP: without
 * CAP_DAC_OVERRIDE it cannot even enter the work folder, which is the program's alone. So it borrows the program's
 * identity where files are made, which also makes them the program's. Real and saved uid stay root's meanwhile, so the
 * program's user could neither signal nor trace it. The kernel may make a process dumpable when its effective uid
 * changes (fs.suid_dumpable), so that is set back each time. */

#include "identity.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int identity_parse(const char *text, Identity *ret_identity) {
        size_t n = text ? strspn(text, "0123456789") : 0;
        unsigned long id;

        if (n == 0 || n > 9 || text[n] != '\0')
                return -EINVAL;
        id = strtoul(text, NULL, 10);
        if (id == 0)
                return -EINVAL;

        *ret_identity = (Identity){.uid = (uid_t) id, .gid = (gid_t) id};
        return 0;
}

int identity_borrow(const Identity *identity) {
        if (setegid(identity->gid) < 0 || seteuid(identity->uid) < 0)
                return -errno;
        return 0;
}

int identity_borrow_wholly(const Identity *identity) {
        if (setresgid(identity->gid, identity->gid, 0) < 0 || setresuid(identity->uid, identity->uid, 0) < 0)
                return -errno;
        return 0;
}

int identity_return(void) {
        if (setresuid(0, 0, 0) < 0 || setresgid(0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                return -errno;
        return 0;
}

static int capabilities_read(struct __user_cap_data_struct ret_data[_LINUX_CAPABILITY_U32S_3]) {
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

        return syscall(SYS_capget, &header, ret_data) < 0 ? -errno : 0;
}

int identity_bound(void) {
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
        int r;

        for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++)
                if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0)
                        return -errno;
        r = capabilities_read(data);
        if (r < 0)
                return r;
        data[CAP_SETPCAP / 32].effective &= ~(1U << CAP_SETPCAP % 32);
        data[CAP_SETPCAP / 32].permitted &= ~(1U << CAP_SETPCAP % 32);
        return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

/* True when the process holds no capability at all. */
static bool capabilities_are_gone(void) {
        struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

        if (capabilities_read(data) < 0)
                return false;
        for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
                if ((data[i].effective | data[i].permitted | data[i].inheritable) != 0)
                        return false;
        return true;
}

static bool identity_is_final(const Identity *identity) {
        uid_t ruid, euid, suid;
        gid_t rgid, egid, sgid;

        if (getresuid(&ruid, &euid, &suid) < 0 || getresgid(&rgid, &egid, &sgid) < 0)
                return false;
        return ruid == identity->uid && euid == identity->uid && suid == identity->uid && rgid == identity->gid &&
               egid == identity->gid && sgid == identity->gid && getgroups(0, NULL) == 0 && capabilities_are_gone() &&
               setresuid((uid_t) -1, 0, (uid_t) -1) < 0 && setresgid((gid_t) -1, 0, (gid_t) -1) < 0;
}

int identity_drop(const Identity *identity) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -errno;
        if (setgroups(0, NULL) < 0)
                return -errno;
        if (setresgid(identity->gid, identity->gid, identity->gid) < 0)
                return -errno;
        if (setresuid(identity->uid, identity->uid, identity->uid) < 0)
                return -errno;
        return identity_is_final(identity) ? 0 : -EPERM;
}
