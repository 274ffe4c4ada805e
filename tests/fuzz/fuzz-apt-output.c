/* SPDX-License-Identifier: Apache-2.0 */

/* Whatever apt and dpkg print: what is taken from it is part of it, and bounded. */

#include "apt-output.h"

#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)          \
        do {                      \
                if (!(condition)) \
                        abort();  \
        } while (0)

static void progress_check(const char *text) {
        const char *words = NULL;
        int percent = 0;

        if (!apt_output_progress(text, &percent, &words))
                return;
        CHECK(percent >= -1 && percent <= 100);
        CHECK(words > text && words <= text + strlen(text) && words[-1] == ':');
}

static void offer_check(const char *text) {
        const AptOffer any = {.url = "http://x", .suite = "release"};
        CLEANUP_FREE char *version = NULL, *again = NULL, *none = NULL;
        AptOffer exact = any;

        CHECK(apt_output_offer(text, &any, &version) == 0);
        if (!version)
                return;
        CHECK(version[0] && strstr(text, version) && !strchr(version, '\n') && !strchr(version, '|'));
        exact.version = version;
        CHECK(apt_output_offer(text, &exact, &again) == 0 && again && strcmp(again, version) == 0);
        exact.version = "\n"; /* which no version has */
        CHECK(apt_output_offer(text, &exact, &none) == 0 && !none);
}

static void added_check(const char *text) {
        char **names;

        CHECK(apt_output_added(text, text, &names) == 0 && !names[0]);
        free(names);
        CHECK(apt_output_added("", text, &names) == 0);
        for (char **name = names; *name; name++) {
                CHECK(strstr(text, *name) && !strpbrk(*name, " \n"));
                free(*name);
        }
        free(names);
}

static void policy_check(const char *text) {
        AptPolicy policy;

        CHECK(apt_output_policy(text, &policy) == 0);
        CHECK(!policy.installed || (policy.installed[0] && strstr(text, policy.installed)));
        CHECK(!policy.candidate || (policy.candidate[0] && strstr(text, policy.candidate)));
        apt_policy_deinit(&policy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        CLEANUP_FREE char *text = malloc(size + 1), *errors = NULL;

        CHECK(text);
        memcpy(text, data, size);
        text[size] = '\0';
        progress_check(text);
        offer_check(text);
        added_check(text);
        policy_check(text);
        errors = apt_output_errors(text);
        CHECK(errors && errors[0] && strlen(errors) <= (size > 2048 ? size : 2048));
        return 0;
}
