/* SPDX-License-Identifier: Apache-2.0 */

#include "install.h"
#include "paths.h"
#include "text.h"

#include <stdio.h>

void install_note(Install *install, const char *format, ...) {
        CLEANUP_FREE char *text = NULL;
        va_list arguments;
        int n;

        va_start(arguments, format);
        n = vasprintf(&text, format, arguments);
        va_end(arguments);
        if (n < 0) {
                text = NULL;
                return;
        }
        text_clean(text);
        (void) buffer_append_format(&install->note, "%s%s", install->note.size > 0 ? "\n" : "", text);
}

const char *install_runsc_path(const Install *install) {
        return install->runsc_found ? install->runsc_found : PATH_RUNSC;
}
