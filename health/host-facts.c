/* SPDX-License-Identifier: Apache-2.0 */

#include "host-facts.h"
#include "file.h"
#include "os-release.h"
#include "text.h"

#include <errno.h>
#include <string.h>
#include <sys/utsname.h>

#define OS_RELEASE_MAX ((size_t) 16 * 1024)

/* os-release(5): the second where the first is not there. */
static char *system_name(void) {
        static const char *const paths[] = {"/etc/os-release", "/usr/lib/os-release"};
        char *name = NULL;

        for (size_t i = 0; !name && i < ARRAY_SIZE(paths); i++) {
                Buffer text = BUFFER_INIT(OS_RELEASE_MAX);

                if (file_read(paths[i], &text) >= 0 && text.size > 0)
                        name = os_release_value((const char *) text.data, "PRETTY_NAME");
                buffer_deinit(&text);
        }
        return name ? name : strdup("an unknown Linux");
}

int host_facts_read(HostFacts *ret_host) {
        struct utsname names = {0};

        (void) uname(&names);
        *ret_host = (HostFacts){
                .name = strdup(names.nodename),
                .system = system_name(),
                .kernel = strdup(names.release),
                .machine = strdup(names.machine),
        };
        text_clean(ret_host->system);
        if (ret_host->name && ret_host->system && ret_host->kernel && ret_host->machine)
                return 0;
        host_facts_deinit(ret_host);
        return -ENOMEM;
}

void host_facts_deinit(HostFacts *host) {
        free(host->name);
        free(host->system);
        free(host->kernel);
        free(host->machine);
        *host = (HostFacts){0};
}

bool host_facts_is_desktop(const char *kernel) {
        return strstr(kernel, "linuxkit") || strcasestr(kernel, "microsoft");
}
