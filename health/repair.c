/* SPDX-License-Identifier: Apache-2.0 */

/* The checks are gone through once more, in their order. Where one offers a fix, a person decides. As soon as something
 * was done, each of those that follow is looked at anew before anything is offered for it, because the first repair has
 * often mended what comes after it: a Docker that is reloaded opens the agent's gate. */

#include "repair.h"
#include "process.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <termios.h>

#define FIX_USEC (600 * USEC_PER_SEC) /* an image may have to be fetched */
#define INDENT "      "

/* ---- the question ---- */

static int on_input(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        bool *there = userdata;

        (void) source;
        (void) fd;
        (void) events;
        *there = true;
        return 0;
}

/* A line of the terminal, or no; Ctrl-C is heard meanwhile. Returns 1 for yes, 0 for no, or -EINTR. */
static int read_answer(Loop *loop) {
        CLEANUP(sd_event_source_unrefp) sd_event_source *source = NULL;
        char line[64];
        bool there = false;
        ssize_t n;
        int r = sd_event_add_io(loop->event, &source, STDIN_FILENO, EPOLLIN, on_input, &there);

        if (r >= 0)
                r = sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        if (r >= 0)
                r = loop_await(loop, &there, UINT64_MAX / 2);
        if (r < 0)
                return r == -EINTR ? r : 0;
        n = read(STDIN_FILENO, line, sizeof(line));
        return n > 0 && (line[0] == 'y' || line[0] == 'Y');
}

static int ask(const Repairer *repairer, const char *command) {
        if (!repairer->table)
                return repairer->yes;
        if (!repairer->yes) /* what was typed before the question is no answer to it */
                (void) tcflush(STDIN_FILENO, TCIFLUSH);
        (void) fprintf(repairer->table->out, INDENT "%s%s", command,
                       repairer->yes ? "\n" : "\n" INDENT "do it? [y/N] ");
        (void) fflush(repairer->table->out);
        return repairer->yes ? 1 : read_answer(repairer->inspection->loop);
}

/* ---- the command ---- */

static void show_line(const char *line, void *userdata) {
        CLEANUP_FREE char *text = strdup(line);

        text_clean(text);
        (void) fprintf(userdata, INDENT "| %s\n", text ? text : "");
        (void) fflush(userdata);
}

static void say_end(const Repairer *repairer, int result) {
        FILE *out = repairer->table->out;

        if (result == -ENOENT)
                (void) fputs(INDENT "it could not be run: there is no such program\n", out);
        else if (result == -EPROTO)
                (void) fputs(INDENT "it was ended by a signal\n", out);
        else if (result < 0)
                (void) fprintf(out, INDENT "it could not be run: %s\n", strerror(-result));
        else if (result > 0)
                (void) fprintf(out, INDENT "it ended with status %d\n", result);
}

static void carry_out(const Repairer *repairer, Fix *fix, Inspected *one) {
        Repaired *repaired = &one->repaired[one->repaired_size++];
        Buffer output = BUFFER_INIT(PROCESS_OUTPUT_MAX);
        Process process = {
                .argv = (const char *const *) repaired->fix.words,
                .line = repairer->table ? show_line : NULL,
                .userdata = repairer->table ? repairer->table->out : NULL,
                .most_usec = FIX_USEC,
        };

        *repaired = (Repaired){.fix = *fix};
        *fix = (Fix){0};
        repaired->result = process_run(repairer->inspection->loop, &process, &output);
        repaired->output = (char *) output.data;
        if (repairer->table)
                say_end(repairer, repaired->result);
}

/* ---- a check ---- */

/* Runs it again. Only a row that says something else than before is shown, or one that is waited for. */
static int look_again(const Repairer *repairer, Inspected *inspected, size_t index, bool show) {
        Inspected *one = &inspected[index];
        Verdict before = one->finding.verdict;
        int r;

        if (one->before == VERDICT_NONE)
                one->before = before;
        finding_deinit(&one->finding);
        if (repairer->table)
                table_running(repairer->table, one->place.check);
        r = inspection_next(repairer->inspection, inspected, index);
        if (repairer->table && r >= 0 && (show || one->finding.verdict != before))
                table_row(repairer->table, one);
        else if (repairer->table)
                table_clear(repairer->table);
        return r;
}

/* Returns whether something was done, or -EINTR. */
static int mend(const Repairer *repairer, Inspected *one) {
        Loop *loop = repairer->inspection->loop;
        int done = 0;

        if (repairer->table)
                (void) fprintf(repairer->table->out, "\n%s: %s\n", one->place.check->id,
                               one->finding.seen ? one->finding.seen : "");
        for (size_t i = 0; i < one->finding.fixes_size && one->repaired_size < FINDING_FIXES_MAX; i++) {
                CLEANUP_FREE char *command = fix_text(&one->finding.fixes[i]);
                int r = command ? ask(repairer, command) : 0;

                if (r > 0) {
                        carry_out(repairer, &one->finding.fixes[i], one);
                        done = 1;
                }
                if (r == -EINTR || loop->interrupted)
                        return -EINTR;
        }
        return done;
}

static bool is_mendable(const Inspected *one) {
        return one->finding.verdict >= VERDICT_WARN && one->finding.fixes_size > 0;
}

/* ---- all of them ---- */

/* Why nothing can be done, or NULL. */
static const char *obstacle(const Repairer *repairer) {
        if (geteuid() != 0)
                return "that needs root: sudo tee-health --fix";
        if (!repairer->yes && !(repairer->table && isatty(STDIN_FILENO) && isatty(fileno(repairer->table->out))))
                return "there is no terminal to ask at; --yes does it without asking";
        return NULL;
}

static void show_all(const Repairer *repairer, const Inspected *inspected, size_t size, const char *why) {
        FILE *out = repairer->table->out;

        (void) fprintf(out, "\nNothing was done: %s.\n", why);
        for (size_t i = 0; i < size; i++)
                for (size_t k = 0; is_mendable(&inspected[i]) && k < inspected[i].finding.fixes_size; k++) {
                        CLEANUP_FREE char *command = fix_text(&inspected[i].finding.fixes[k]);

                        (void) fprintf(out, INDENT "%s: %s\n", inspected[i].place.check->id, command ? command : "");
                }
}

static bool is_any_mendable(const Inspected *inspected, size_t size) {
        for (size_t i = 0; i < size; i++)
                if (is_mendable(&inspected[i]))
                        return true;
        return false;
}

int repair(const Repairer *repairer, Inspected *inspected, size_t size) {
        const char *why = obstacle(repairer);
        bool acted = false;
        int r = 0;

        if (!is_any_mendable(inspected, size)) {
                if (repairer->table)
                        (void) fputs("\nThere is nothing that --fix could mend.\n", repairer->table->out);
                return 0;
        }
        if (why) {
                if (repairer->table)
                        show_all(repairer, inspected, size, why);
                return 0;
        }
        for (size_t i = 0; r >= 0 && i < size; i++) {
                if (acted && inspected[i].finding.verdict != VERDICT_PASS)
                        r = look_again(repairer, inspected, i, false);
                if (r < 0 || !is_mendable(&inspected[i]))
                        continue;
                r = mend(repairer, &inspected[i]);
                if (r > 0) {
                        acted = true;
                        r = look_again(repairer, inspected, i, true);
                }
        }
        return r < 0 ? r : 0;
}
