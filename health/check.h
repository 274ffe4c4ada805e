/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "context.h"
#include "finding.h"

/* One question about the host. To add one: a row in the table of its group (group-*.c), and its function there. */
typedef struct Check {
        const char *id; /* "agent.gate": its group's name, a dot and a name. Stable: people and machines pick by it */
        const char *title; /* one line: what is so when it passes */

        /* Runs in a process of its own (inspection.h), so it may wait, leak and crash. What it cannot look at is a skip
         * with the reason, never a pass. */
        void (*look)(Context *context, Finding *finding);

        const char *needs; /* id of an earlier check without whose success this one could tell nothing; NULL for none */
        bool vital;        /* when all of these are skipped, nothing is known of whether programs are sandboxed */

        uint64_t deadline_ms; /* where nobody has told another; 0: CHECK_DEADLINE_MS */

        /* Takes away what look() makes outside of its process: called in another one when that did not come to its end.
         * NULL where nothing is made. What it cannot take away it adds to the finding. */
        void (*tidy)(Context *context, Finding *finding);
} Check;

#define CHECK_DEADLINE_MS UINT64_C(10000)

typedef struct CheckGroup {
        const char *name;
        const Check *checks;
        size_t size;
        bool on_demand; /* run only when it is asked for: it does more than look */
} CheckGroup;

#define CHECK_GROUP(text, rows, ...)                                                      \
        (CheckGroup) {                                                                    \
                .name = (text), .checks = (rows), .size = ARRAY_SIZE(rows), ##__VA_ARGS__ \
        }

/* All groups, from cheap to dear, ended by NULL. */
extern const CheckGroup *const check_groups[];

/* As many as there are, or will be, checks. */
#define CHECKS_MAX 128U

/* A row of the tables, with its group. */
typedef struct CheckPlace {
        const CheckGroup *group;
        const Check *check;
} CheckPlace;

/* What is to be run. */
typedef struct CheckChoice {
        const char *const *words; /* ids and groups ("agent.gate", "docker"); without any, all are meant */
        size_t words_size;
        bool on_demand; /* those groups, too, unless words are given that do not name them */
} CheckChoice;

/* The checks that are chosen, in the order of the tables. Returns how many. */
size_t checks_select(const CheckChoice *choice, CheckPlace ret_places[static CHECKS_MAX]);

/* Is there a check or a group of this name? */
bool checks_have(const char *word);
