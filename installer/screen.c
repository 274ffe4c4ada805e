/* SPDX-License-Identifier: Apache-2.0 */

#include "screen.h"
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#define LABEL_WIDTH 10
#define BAR_WIDTH 20
#define COLUMNS 80

static FILE *out_of(const Screen *screen) {
        return screen->to_stderr ? stderr : stdout;
}

void screen_init(Screen *screen, bool json) {
        const char *term = getenv("TERM");

        *screen = (Screen){.to_stderr = json};
        screen->terminal = isatty(fileno(out_of(screen))) && term && strcmp(term, "dumb") != 0;
}

static int columns(const Screen *screen) {
        struct winsize size;

        if (ioctl(fileno(out_of(screen)), TIOCGWINSZ, &size) < 0 || size.ws_col < COLUMNS / 2)
                return COLUMNS;
        return size.ws_col;
}

void screen_block(Screen *screen) {
        if (screen->above > 0)
                (void) fprintf(out_of(screen), "\033[%uA", screen->above);
        if (screen->drawn || screen->above > 0)
                (void) fputs("\r\033[J", out_of(screen));
        screen->drawn = false;
        screen->above = 0;
}

void screen_below(Screen *screen) {
        if (!screen->terminal)
                return;
        (void) fputc('\n', out_of(screen));
        screen->above++;
}

void screen_clear(Screen *screen) {
        screen_block(screen);
        (void) fflush(out_of(screen));
}

/* On a terminal, what is longer than a line goes on below itself, broken between words. */
static void print_indented(const Screen *screen, const char *label, const char *text) {
        size_t room = screen->terminal ? (size_t) columns(screen) - LABEL_WIDTH - 3 : SIZE_MAX;

        for (;;) {
                size_t n = strlen(text);

                if (n > room) {
                        n = room;
                        while (n > 0 && text[n] != ' ')
                                n--;
                        if (n == 0) /* one long word */
                                n = strcspn(text, " ");
                }
                (void) fprintf(out_of(screen), "  %-*s %.*s\n", LABEL_WIDTH, label ? label : "", (int) n, text);
                text += n;
                text += strspn(text, " ");
                if (text[0] == '\0')
                        return;
                label = NULL;
        }
}

static void print_line(Screen *screen, const char *label, bool indented, const char *format, va_list arguments)
        PRINTF_LIKE(4, 0);

static void print_line(Screen *screen, const char *label, bool indented, const char *format, va_list arguments) {
        CLEANUP_FREE char *text = text_format_list(format, arguments);

        screen_clear(screen);
        if (!text)
                return;
        if (indented)
                print_indented(screen, label, text);
        else
                (void) fprintf(out_of(screen), "%s\n", text);
        (void) fflush(out_of(screen));
}

void screen_line(Screen *screen, const char *label, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        print_line(screen, label, true, format, arguments);
        va_end(arguments);
}

void screen_say(Screen *screen, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        print_line(screen, NULL, false, format, arguments);
        va_end(arguments);
}

static void draw_bar(FILE *out, int percent) {
        int filled = percent * BAR_WIDTH / 100;

        (void) fputc('[', out);
        for (int i = 0; i < BAR_WIDTH; i++)
                (void) fputc(i < filled ? '#' : '.', out);
        (void) fprintf(out, "] %3d %% ", percent);
}

void screen_progress(Screen *screen, const char *label, int percent, const char *format, ...) {
        CLEANUP_FREE char *text = NULL;
        bool has_bar = percent >= 0 && percent <= 100;
        int room = columns(screen) - LABEL_WIDTH - 4 - (has_bar ? BAR_WIDTH + 9 : 0);
        FILE *out = out_of(screen);
        va_list arguments;

        if (!screen->terminal)
                return;
        va_start(arguments, format);
        text = text_format_list(format, arguments);
        va_end(arguments);
        if (!text)
                return;
        text_clean(text);
        (void) fprintf(out, "\r\033[K  %-*s ", LABEL_WIDTH, label);
        if (has_bar)
                draw_bar(out, percent);
        if (room > 0 && strlen(text) > (size_t) room)
                text[utf8_valid_prefix(text, (size_t) room)] = '\0';
        (void) fputs(text, out);
        (void) fflush(out);
        screen->drawn = true;
}

const char *screen_size(uint64_t bytes, char text[SCREEN_SIZE_MAX]) {
        static const char *const units[] = {"kB", "MB", "GB", "TB"};
        double size = (double) bytes / 1000.0;
        size_t unit = 0;

        while (size >= 999.5 && unit + 1 < ARRAY_SIZE(units)) { /* which would be printed as 1000 */
                size /= 1000.0;
                unit++;
        }
        (void) snprintf(text, SCREEN_SIZE_MAX, size < 9.95 ? "%.1f %s" : "%.0f %s", size, units[unit]);
        return text;
}
