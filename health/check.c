/* SPDX-License-Identifier: Apache-2.0 */

#include "check.h"
#include "groups.h"

#include <string.h>

const CheckGroup *const check_groups[] = {
        &group_config, &group_host,   &group_runsc, &group_docker, &group_registration,
        &group_apt,    &group_images, &group_agent, &group_probe,  NULL,
};

static bool names(const char *word, const CheckGroup *group, const Check *check) {
        return strcmp(word, group->name) == 0 || strcmp(word, check->id) == 0;
}

static bool is_chosen(const CheckChoice *choice, const CheckGroup *group, const Check *check) {
        if (choice->words_size == 0)
                return choice->on_demand || !group->on_demand;
        for (size_t i = 0; i < choice->words_size; i++)
                if (names(choice->words[i], group, check))
                        return true;
        return false;
}

size_t checks_select(const CheckChoice *choice, CheckPlace ret_places[static CHECKS_MAX]) {
        size_t n = 0;

        for (size_t g = 0; check_groups[g]; g++)
                for (size_t i = 0; i < check_groups[g]->size && n < CHECKS_MAX; i++) {
                        CheckPlace place = {check_groups[g], &check_groups[g]->checks[i]};

                        if (is_chosen(choice, place.group, place.check))
                                ret_places[n++] = place;
                }
        return n;
}

bool checks_have(const char *word) {
        CheckPlace places[CHECKS_MAX];

        return checks_select(&(CheckChoice){.words = &word, .words_size = 1}, places) > 0;
}
