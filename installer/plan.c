/* SPDX-License-Identifier: Apache-2.0 */

/* Every step looks before any step acts, so that what can be known to fail fails while nothing has been touched. Then
 * they act in order; when one fails, it and those before it take back what they did, the last first. The record is
 * written before a step acts, so that a run that was killed is known to the next one. */

#include "plan.h"
#include "log.h"
#include "message-ids.h"
#include "paths.h"
#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#define STEPS_MAX 16U

typedef enum Result {
        RESULT_NONE,
        RESULT_DONE,
        RESULT_FAILED,
        RESULT_TAKEN_BACK,
        RESULT_NOT_TAKEN_BACK,
} Result;

typedef struct Item {
        const Step *step;
        StepState state;
        char *plan;     /* what look noted */
        char *happened; /* what apply noted */
        Result result;
        bool described; /* in the record, by this run */
        cJSON *before;  /* its entry in the record before that, or NULL */
} Item;

typedef struct Plan {
        Install *install;
        Item items[STEPS_MAX];
        size_t size;
        int lock_fd;
        int status;
} Plan;

static char *take_note(Install *install) {
        char *note = strdup(install->note.size > 0 ? (const char *) install->note.data : "");

        buffer_clear(&install->note);
        return note;
}

/* ---- what people and machines see ---- */

static void show_lines(Install *install, const char *label, const char *lines) {
        CLEANUP_FREE char *text = strdup(lines ? lines : "");
        char *save = NULL;

        for (const char *line = text ? strtok_r(text, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
                screen_line(&install->screen, label, "%s", line);
                label = NULL;
        }
}

static void show_trouble(Install *install, const char *label) {
        const Trouble *trouble = &install->trouble;

        screen_line(&install->screen, label, "FAILED: %s", trouble->message ? trouble->message : "out of memory");
        if (trouble->remedy)
                screen_line(&install->screen, NULL, "try: %s", trouble->remedy);
}

static void to_journal(const char *message_id, int priority, const Item *item, const char *text) {
        CLEANUP_FREE char *step = text_format("TEE_STEP=%s", item->step->name);
        const char *const fields[] = {step, NULL};

        log_record(priority, message_id, step ? fields : NULL, "%s: %s", item->step->name, text);
}

static const char *state_name(StepState state) {
        return state == STEP_DONE ? "done" : state == STEP_TO_DO ? "to_do" : "check";
}

static const char *result_name(Result result) {
        static const char *const names[] = {"not_begun", "done", "failed", "taken_back", "not_taken_back"};

        return names[result];
}

static int add_lines(cJSON *object, const char *key, const char *lines) {
        CLEANUP_FREE char *text = strdup(lines ? lines : "");
        cJSON *array = cJSON_CreateArray();
        char *save = NULL;

        if (json_add(object, key, array) < 0 || !text)
                return -ENOMEM;
        for (const char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                cJSON *string = cJSON_CreateString(line);

                if (!string || !cJSON_AddItemToArray(array, string)) {
                        cJSON_Delete(string);
                        return -ENOMEM;
                }
        }
        return 0;
}

static int add_item(cJSON *steps, const Item *item) {
        CLEANUP_JSON cJSON *object = cJSON_CreateObject();

        if (!object || json_add(object, "step", cJSON_CreateString(item->step->name)) < 0 ||
            json_add(object, "state", cJSON_CreateString(state_name(item->state))) < 0 ||
            add_lines(object, "plan", item->plan) < 0 ||
            json_add(object, "result", cJSON_CreateString(result_name(item->result))) < 0 ||
            add_lines(object, "happened", item->happened) < 0 || !cJSON_AddItemToArray(steps, object))
                return -ENOMEM;
        object = NULL;
        return 0;
}

/* The plan and the results, as a document that others may add to; NULL on ENOMEM. */
static cJSON *new_document(const Plan *plan) {
        const Trouble *trouble = &plan->install->trouble;
        CLEANUP_JSON cJSON *document = cJSON_CreateObject();
        cJSON *steps = cJSON_CreateArray();
        int r = json_add(document, "steps", steps);

        for (size_t i = 0; r >= 0 && i < plan->size; i++)
                r = add_item(steps, &plan->items[i]);
        if (r >= 0)
                r = json_add(document, "dry_run", cJSON_CreateBool(plan->install->options->dry_run));
        if (r >= 0)
                r = json_add(document, "message", json_new_string_or_null(trouble->message));
        if (r >= 0)
                r = json_add(document, "remedy", json_new_string_or_null(trouble->remedy));
        return r < 0 ? NULL : TAKE_PTR(document);
}

/* ---- looking ---- */

static int fail(Plan *plan, Item *item, int error) {
        Install *install = plan->install;

        if (error == -EINTR && !install->trouble.message)
                (void) trouble_set(&install->trouble, error, NULL, "interrupted");
        else if (!install->trouble.message)
                (void) trouble_set(&install->trouble, error, NULL, "%s", strerror(-error));
        item->result = RESULT_FAILED;
        plan->status = error == -EINTR ? PLAN_EXIT_INTERRUPTED : item->step->exit_status;
        show_trouble(install, item->step->name);
        return error;
}

static int look(Plan *plan, Item *item) {
        Install *install = plan->install;
        int r;

        screen_progress(&install->screen, item->step->name, -1, "looking");
        r = item->step->look(install, &item->state);
        item->plan = take_note(install);
        if (r < 0)
                return fail(plan, item, r);
        show_lines(install, item->step->name, item->plan);
        return 0;
}

static size_t count_to_do(const Plan *plan) {
        size_t count = 0;

        for (size_t i = 0; i < plan->size; i++)
                count += plan->items[i].state == STEP_TO_DO;
        return count;
}

/* ---- acting ---- */

/* Only one at a time, and not while apt has work. */
static int take_turn(Plan *plan) {
        Install *install = plan->install;
        uint64_t until = now_usec() + install->options->wait_ms * USEC_PER_MSEC;
        bool told = false;

        plan->lock_fd = open(PATH_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (plan->lock_fd < 0)
                return trouble_errno(&install->trouble, -errno, PATH_LOCK);
        while (flock(plan->lock_fd, LOCK_EX | LOCK_NB) < 0) {
                int r;

                if (errno != EWOULDBLOCK)
                        return trouble_errno(&install->trouble, -errno, PATH_LOCK);
                if (now_usec() >= until)
                        return trouble_set(&install->trouble, -EBUSY,
                                           "wait for it to end, or give more time: --wait SECONDS",
                                           "another tee-install is at work");
                if (!told)
                        screen_line(&install->screen, "wait", "another tee-install is at work: waiting for its end");
                told = true;
                r = loop_sleep(&install->loop, USEC_PER_SEC / 5);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int describe(Plan *plan, Item *item) {
        Install *install = plan->install;
        const cJSON *before = record_get(install, item->step->name);
        int r;

        if (!item->step->describe)
                return 0;
        if (!item->described && before) {
                item->before = cJSON_Duplicate(before, true);
                if (!item->before)
                        return -ENOMEM;
        }
        r = record_describe(install, item->step);
        item->described |= r >= 0;
        return r;
}

static int apply(Plan *plan, Item *item) {
        Install *install = plan->install;
        int r = describe(plan, item);

        if (r >= 0)
                r = install->loop.interrupted ? -EINTR : item->step->apply(install);
        if (r >= 0)
                r = describe(plan, item); /* what is known by now */
        item->happened = take_note(install);
        screen_clear(&install->screen);
        if (r < 0) {
                to_journal(MESSAGE_FAILED, LOG_ERR, item,
                           install->trouble.message ? install->trouble.message : strerror(-r));
                return fail(plan, item, r);
        }
        item->result = RESULT_DONE;
        show_lines(install, item->step->name, item->happened);
        to_journal(MESSAGE_CHANGED, LOG_NOTICE, item, item->happened);
        return 0;
}

static int take_back(Plan *plan, Item *item) {
        Install *install = plan->install;
        Trouble first = install->trouble;
        int r;

        install->trouble = (Trouble){0};
        r = item->step->undo ? item->step->undo(install) : 0;
        if (r >= 0 && item->described)
                r = record_set(install, item->step->name, TAKE_PTR(item->before));
        screen_clear(&install->screen);
        if (r < 0) {
                screen_line(&install->screen, item->step->name, "could not be taken back: %s",
                            install->trouble.message ? install->trouble.message : strerror(-r));
                if (install->trouble.remedy)
                        screen_line(&install->screen, NULL, "try: %s", install->trouble.remedy);
                item->result = RESULT_NOT_TAKEN_BACK;
                to_journal(MESSAGE_FAILED, LOG_ERR, item, "could not be taken back");
                plan->status = PLAN_EXIT_NOT_TAKEN_BACK;
        } else if (item->step->undo) {
                if (item->result == RESULT_DONE)
                        item->result = RESULT_TAKEN_BACK;
                screen_line(&install->screen, item->step->name, "taken back");
                to_journal(MESSAGE_TAKEN_BACK, LOG_NOTICE, item, "taken back");
        }
        trouble_deinit(&install->trouble);
        install->trouble = first;
        buffer_clear(&install->note);
        return r;
}

/* From the failed item on, the last first. */
static void take_all_back(Plan *plan, size_t failed) {
        Install *install = plan->install;

        loop_turn_deaf(&install->loop);
        if (install->options->keep_going) {
                (void) take_back(plan, &plan->items[failed]);
                return;
        }
        for (size_t i = failed + 1; i-- > 0;)
                if (plan->items[i].result == RESULT_DONE || plan->items[i].result == RESULT_FAILED)
                        (void) take_back(plan, &plan->items[i]);
}

static void keep_all(Plan *plan) {
        for (size_t i = 0; i < plan->size; i++)
                if (plan->items[i].step->keep)
                        plan->items[i].step->keep(plan->install);
}

static void act(Plan *plan) {
        Install *install = plan->install;

        for (size_t i = 0; i < plan->size; i++) {
                Item *item = &plan->items[i];
                int r;

                if (item->state == STEP_DONE || !item->step->apply || install->left_to_person)
                        continue;
                r = apply(plan, item);
                if (r < 0) {
                        take_all_back(plan, i);
                        break;
                }
        }
        keep_all(plan);
}

static void plan_init(Plan *plan, Install *install, const Step *const *steps) {
        *plan = (Plan){.install = install, .lock_fd = -1};
        do /* there is at least one */
                plan->items[plan->size++] = (Item){.step = *steps};
        while (*++steps && plan->size < STEPS_MAX);
}

static int plan_end(Plan *plan) {
        plan->install->document = new_document(plan);
        for (size_t i = 0; i < plan->size; i++) {
                free(plan->items[i].plan);
                free(plan->items[i].happened);
                cJSON_Delete(plan->items[i].before);
        }
        (void) close_fd(plan->lock_fd);
        return plan->status;
}

/* What is needed before the other steps may look: a host that is fit, its turn, and what earlier runs made. A dry run
 * takes no turn, since that would leave a file behind. */
static int begin(Plan *plan) {
        Install *install = plan->install;
        Item *first = &plan->items[0];
        int r = look(plan, first);

        if (r < 0)
                return r;
        if (!install->options->dry_run)
                r = take_turn(plan);
        if (r >= 0)
                r = record_load(install);
        return r < 0 ? fail(plan, first, r) : 0;
}

/* What has come of it, in one line. */
static void conclude(Plan *plan) {
        Install *install = plan->install;

        if (plan->status != 0)
                screen_say(&install->screen,
                           plan->status == PLAN_EXIT_NOT_TAKEN_BACK ? "Not all of it could be taken back: see above."
                           : install->options->keep_going           ? "What was done before stays (--keep-going)."
                                                                    : "The host is as it was before.");
        else if (install->left_to_person)
                plan->status = step_docker.exit_status;
        else
                screen_say(&install->screen, count_to_do(plan) > 0 ? "Done." : "Nothing had to be changed.");
}

int plan_run(Install *install, const Step *const *steps) {
        Plan plan;
        int r;

        plan_init(&plan, install, steps);
        screen_say(&install->screen, "The plan:");
        r = begin(&plan);
        for (size_t i = 1; r >= 0 && i < plan.size; i++)
                r = look(&plan, &plan.items[i]);
        if (r < 0) {
                screen_say(&install->screen, "Nothing has been changed.");
        } else if (install->options->dry_run) {
                screen_say(&install->screen, count_to_do(&plan) > 0 ? "Nothing has been changed (--dry-run)."
                                                                    : "There is nothing to change.");
        } else {
                screen_say(&install->screen,
                           count_to_do(&plan) > 0 ? "What is done:" : "There is nothing to change; what is checked:");
                act(&plan);
                conclude(&plan);
        }
        return plan_end(&plan);
}

/* ---- backwards ---- */

static int look_back(Plan *plan, Item *item) {
        Install *install = plan->install;
        const cJSON *entry = record_get(install, item->step->name);
        int r = 0;

        item->state = STEP_DONE;
        if (!item->step->look_back)
                return 0;
        if (entry)
                r = item->step->look_back(install, entry, &item->state);
        item->plan = entry ? take_note(install) : strdup("nothing that tee-install has made");
        if (r < 0)
                return fail(plan, item, r);
        show_lines(install, item->step->name, item->plan);
        return 0;
}

/* What stays (a package without --purge) stays in the record. */
static int take_away(Plan *plan, Item *item) {
        Install *install = plan->install;
        const cJSON *entry = record_get(install, item->step->name);
        bool stays = item->step == &step_runsc && !install->options->purge;
        int r = 0;

        if (!entry || !item->step->take_away)
                return 0;
        if (item->state == STEP_TO_DO)
                r = install->loop.interrupted ? -EINTR : item->step->take_away(install, entry);
        item->happened = take_note(install);
        screen_clear(&install->screen);
        if (r >= 0 && !stays)
                r = record_set(install, item->step->name, NULL);
        if (r < 0) {
                to_journal(MESSAGE_FAILED, LOG_ERR, item,
                           install->trouble.message ? install->trouble.message : strerror(-r));
                return fail(plan, item, r);
        }
        if (item->state == STEP_DONE)
                return 0;
        item->result = RESULT_DONE;
        show_lines(install, item->step->name, item->happened);
        to_journal(MESSAGE_CHANGED, LOG_NOTICE, item, item->happened);
        return 0;
}

int plan_uninstall(Install *install, const Step *const *steps) {
        Plan plan;
        size_t to_do;
        int r;

        plan_init(&plan, install, steps);
        screen_say(&install->screen, "The plan:");
        r = begin(&plan);
        for (size_t i = plan.size; r >= 0 && i-- > 1;)
                r = look_back(&plan, &plan.items[i]);
        to_do = count_to_do(&plan);
        if (r < 0 || install->options->dry_run) {
                screen_say(&install->screen,
                           r >= 0 && to_do == 0 ? "There is nothing to take away." : "Nothing has been changed.");
                return plan_end(&plan);
        }
        screen_say(&install->screen, to_do > 0 ? "What is done:" : "There is nothing to take away.");
        for (size_t i = plan.size; r >= 0 && i-- > 1;)
                r = take_away(&plan, &plan.items[i]);
        keep_all(&plan);
        if (to_do > 0)
                screen_say(&install->screen,
                           r < 0 ? "What was taken away before stays away; run it again for the rest." : "Done.");
        return plan_end(&plan);
}
