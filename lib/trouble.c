/* SPDX-License-Identifier: Apache-2.0 */

#include "trouble.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

void trouble_deinit(Trouble *trouble) {
        free(trouble->message);
        free(trouble->remedy);
        *trouble = (Trouble){0};
}

int trouble_set(Trouble *trouble, int error, const char *remedy, const char *format, ...) {
        va_list arguments;

        if (trouble->message)
                return error;
        va_start(arguments, format);
        trouble->message = text_format_list(format, arguments);
        va_end(arguments);
        text_clean(trouble->message);
        trouble->remedy = remedy ? strdup(remedy) : NULL;
        return error;
}

int trouble_errno(Trouble *trouble, int error, const char *what) {
        return trouble_set(trouble, error, NULL, "%s: %s", what, strerror(-error));
}
