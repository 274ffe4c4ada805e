/* SPDX-License-Identifier: Apache-2.0 */

#include "install.h"
#include "paths.h"
#include "text.h"

void install_note(Install *install, const char *format, ...) {
        CLEANUP_FREE char *text = NULL;
        va_list arguments;

        va_start(arguments, format);
        text = text_format_list(format, arguments);
        va_end(arguments);
        if (!text)
                return;
        text_clean(text);
        (void) buffer_append_format(&install->note, "%s%s", install->note.size > 0 ? "\n" : "", text);
}

const char *install_runsc_path(const Install *install) {
        return install->runsc_found ? install->runsc_found : PATH_RUNSC;
}
