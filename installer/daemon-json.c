/* SPDX-License-Identifier: Apache-2.0 */

/* cJSON says whether the text is JSON at all, and would print it in a form of its own: numbers as doubles, escapes
 * resolved, white space gone. So it is not printed. A scanner, which may rely on the text being well-formed, finds the
 * places, and only these are written. What came out is read again and compared with what went in, so that a fault in
 * here ends as an error and never as an administrator's broken file. */

#include "daemon-json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define GROWTH_MAX ((size_t) 64 * 1024)
#define UNIT_MAX 32 /* wider is no indentation */
#define RUNTIMES "runtimes"

typedef struct Span {
        const char *start, *end;
} Span;

typedef struct Member {
        Span key; /* with its quotes */
        Span value;
} Member;

/* How the author writes. */
typedef struct Style {
        const char *newline; /* "" for all on one line */
        Span unit;           /* one step of indentation */
        const char *colon;   /* ":" or ": " */
} Style;

typedef struct Document {
        const char *text;        /* all of it */
        const char *start, *end; /* of the object */
        cJSON *json;             /* never NULL; an object */
        bool blank;
        Style style;
} Document;

static int fault(char **ret_reason, const char *format, ...) PRINTF_LIKE(2, 3);

static int fault(char **ret_reason, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        *ret_reason = text_format_list(format, arguments);
        va_end(arguments);
        return *ret_reason ? -EINVAL : -ENOMEM;
}

/* ---- the scanner: over text that is known to be JSON ---- */

static const char *skip_space(const char *at, const char *end) {
        while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
                at++;
        return at;
}

static const char *skip_string(const char *at, const char *end) {
        for (at++; at < end && *at != '"'; at++)
                if (*at == '\\' && at + 1 < end)
                        at++;
        return at < end ? at + 1 : end;
}

static const char *skip_value(const char *at, const char *end) {
        size_t depth = 0;

        do {
                if (*at == '"') {
                        at = skip_string(at, end);
                        continue;
                }
                if (*at == '{' || *at == '[')
                        depth++;
                if (*at == '}' || *at == ']')
                        depth--;
                at++;
                /* A number or a word ends before what cannot belong to it. */
        } while (at < end && (depth > 0 || !strchr(",}] \t\r\n", *at)));
        return at;
}

/* The next member of an object, from behind its brace or the last member; false at its end. */
static bool next_member(const char **at, const char *end, Member *ret) {
        const char *p = skip_space(*at, end);

        if (p < end && *p == ',')
                p = skip_space(p + 1, end);
        if (p >= end || *p != '"')
                return false;
        ret->key = (Span){p, skip_string(p, end)};
        p = skip_space(ret->key.end, end);
        p = skip_space(p < end ? p + 1 : end, end); /* the colon */
        if (p >= end)
                return false;
        ret->value = (Span){p, skip_value(p, end)};
        *at = ret->value.end;
        return true;
}

static bool key_is(const Span *key, const char *name) {
        CLEANUP_JSON cJSON *string = cJSON_ParseWithLength(key->start, (size_t) (key->end - key->start));

        return cJSON_IsString(string) && strcmp(string->valuestring, name) == 0;
}

static bool find_member(Span object, const char *name, Member *ret) {
        const char *at = object.start + 1;

        while (next_member(&at, object.end, ret))
                if (key_is(&ret->key, name))
                        return true;
        return false;
}

/* ---- style ---- */

static Span leading_space(const char *start, const char *at) {
        const char *p = at;

        while (p > start && (p[-1] == ' ' || p[-1] == '\t'))
                p--;
        return (Span){p, at};
}

/* Learnt from the first member. */
static Style learn_style(Span object) {
        static const char four[] = "    ";
        Style style = {.newline = "\n", .unit = {four, four + 4}, .colon = ": "};
        const char *at = object.start + 1;
        Member first;
        Span space;

        if (!next_member(&at, object.end, &first))
                return style;
        if (first.key.end[0] == ':' && first.key.end + 1 == first.value.start)
                style.colon = ":";
        space = leading_space(object.start, first.key.start);
        if (space.start[-1] != '\n') {
                style.newline = "";
                style.unit = (Span){four, four};
                return style;
        }
        if (space.start - 1 > object.start && space.start[-2] == '\r')
                style.newline = "\r\n";
        if (space.end - space.start <= UNIT_MAX)
                style.unit = space;
        return style;
}

static int append_span(Buffer *out, Span span) {
        return buffer_append(out, span.start, (size_t) (span.end - span.start));
}

static int append_break(Buffer *out, const Style *style, unsigned depth) {
        int r = buffer_append_text(out, style->newline);

        while (r >= 0 && depth-- > 0)
                r = append_span(out, style->unit);
        return r;
}

static int append_quoted(Buffer *out, const char *text) {
        CLEANUP_JSON cJSON *string = cJSON_CreateString(text);
        CLEANUP_JSON_TEXT char *quoted = string ? cJSON_PrintUnformatted(string) : NULL;

        return quoted ? buffer_append_text(out, quoted) : -ENOMEM;
}

static int append_key(Buffer *out, const Style *style, unsigned depth, const char *key) {
        int r = append_break(out, style, depth);

        if (r >= 0)
                r = append_quoted(out, key);
        return r < 0 ? r : buffer_append_text(out, style->colon);
}

/* {"path": …, "runtimeArgs": […]}, standing at depth. */
static int append_runtime(Buffer *out, const Style *style, unsigned depth, const DaemonRuntime *runtime) {
        const char *between = style->newline[0] ? "," : style->colon[1] ? ", " : ",";
        int r = buffer_append_text(out, "{");

        if (r >= 0)
                r = append_key(out, style, depth + 1, "path");
        if (r >= 0)
                r = append_quoted(out, runtime->path);
        if (r >= 0 && runtime->arguments[0]) {
                r = buffer_append_text(out, between);
                if (r >= 0)
                        r = append_key(out, style, depth + 1, "runtimeArgs");
                for (size_t i = 0; r >= 0 && runtime->arguments[i]; i++) {
                        r = buffer_append_text(out, i == 0 ? "[" : between);
                        if (r >= 0)
                                r = append_break(out, style, depth + 2);
                        if (r >= 0)
                                r = append_quoted(out, runtime->arguments[i]);
                }
                if (r >= 0)
                        r = append_break(out, style, depth + 1);
                if (r >= 0)
                        r = buffer_append_text(out, "]");
        }
        if (r >= 0)
                r = append_break(out, style, depth);
        return r < 0 ? r : buffer_append_text(out, "}");
}

/* ---- the document ---- */

/* What has no one meaning, or none, at whatever depth: it could not be compared afterwards either. */
static int check_item(const cJSON *item, char **ret_reason) {
        bool out_of_memory = false;
        const char *key = json_duplicate_key(item, &out_of_memory);
        const cJSON *child;
        int r = 0;

        if (out_of_memory)
                return -ENOMEM;
        if (key)
                return fault(ret_reason, "it has the key '%s' twice%s%s%s: which one counts?", key,
                             item->string ? " in '" : "", item->string ? item->string : "", item->string ? "'" : "");
        if (cJSON_IsNumber(item) && !isfinite(item->valuedouble))
                return fault(ret_reason, "it has a number that is too large%s%s%s", item->string ? ": '" : "",
                             item->string ? item->string : "", item->string ? "'" : "");
        cJSON_ArrayForEach(child, item) {
                r = check_item(child, ret_reason);
                if (r < 0)
                        return r;
        }
        return 0;
}

static void document_deinit(Document *document) {
        cJSON_Delete(document->json);
}

/* A byte order mark, which Docker and cJSON take. */
static const char *skip_mark(const char *start, const char *end) {
        static const char mark[] = "\xef\xbb\xbf";

        return (size_t) (end - start) >= strlen(mark) && memcmp(start, mark, strlen(mark)) == 0 ? start + strlen(mark)
                                                                                                : start;
}

static int document_read(Document *ret, const void *text, size_t size, char **ret_reason) {
        static const char braces[] = "{}";
        const char *start = size > 0 ? text : "", *end = start + size, *object = skip_mark(start, end);
        const cJSON *runtimes;
        JsonError error;
        int r;

        *ret = (Document){.text = start, .start = skip_space(object, end), .end = end};
        ret->blank = ret->start == end;
        ret->json = ret->blank ? cJSON_CreateObject() : json_parse(text, size, &error);
        if (!ret->json && (ret->blank || error.fault == JSON_NO_MEMORY))
                return -ENOMEM;
        if (!ret->json)
                return fault(ret_reason, "line %u, column %u: %s", error.line, error.column,
                             json_fault_text(error.fault));
        runtimes = json_get(ret->json, RUNTIMES);
        if (!cJSON_IsObject(ret->json))
                r = fault(ret_reason, "it is JSON, but no object");
        else if (runtimes && !cJSON_IsObject(runtimes))
                r = fault(ret_reason, "its 'runtimes' is no object");
        else
                r = check_item(ret->json, ret_reason);
        if (r < 0) {
                cJSON_Delete(ret->json);
                return r;
        }
        while (!ret->blank && ret->end[-1] != '}')
                ret->end--;
        ret->style = learn_style(ret->blank ? (Span){braces, braces + 2} : (Span){ret->start, ret->end});
        return 0;
}

static cJSON *runtime_json(const DaemonRuntime *runtime) {
        CLEANUP_JSON cJSON *object = cJSON_CreateObject();
        cJSON *arguments = NULL;

        if (!object || json_add(object, "path", cJSON_CreateString(runtime->path)) < 0)
                return NULL;
        if (runtime->arguments[0]) {
                arguments = cJSON_CreateArray();
                if (json_add(object, "runtimeArgs", arguments) < 0)
                        return NULL;
        }
        for (size_t i = 0; runtime->arguments[i]; i++) {
                cJSON *argument = cJSON_CreateString(runtime->arguments[i]);

                if (!argument || !cJSON_AddItemToArray(arguments, argument)) {
                        cJSON_Delete(argument);
                        return NULL;
                }
        }
        return TAKE_PTR(object);
}

char *daemon_runtime_text(const DaemonRuntime *runtime) {
        CLEANUP_JSON cJSON *json = runtime_json(runtime);
        CLEANUP_JSON_TEXT char *text = json ? cJSON_PrintUnformatted(json) : NULL;

        return text ? strdup(text) : NULL;
}

/* To Docker, no arguments and an empty list of them are the same. */
static bool is_wanted(const cJSON *present, const cJSON *wanted) {
        const cJSON *arguments = json_get(present, "runtimeArgs");
        CLEANUP_JSON cJSON *plain = NULL;

        if (!cJSON_IsArray(arguments) || cJSON_GetArraySize(arguments) > 0)
                return cJSON_Compare(present, wanted, true);
        plain = cJSON_Duplicate(present, true);
        cJSON_DeleteItemFromObjectCaseSensitive(plain, "runtimeArgs");
        return cJSON_Compare(plain, wanted, true);
}

int daemon_json_look(const void *text, size_t size, const DaemonRuntime *wanted, DaemonState *ret_state,
                     char **ret_present, char **ret_reason) {
        CLEANUP_JSON cJSON *want = runtime_json(wanted);
        CLEANUP_JSON_TEXT char *printed = NULL;
        Document document;
        const cJSON *present;
        int r = want ? document_read(&document, text, size, ret_reason) : -ENOMEM;

        if (r < 0)
                return r;
        present = json_get(json_get_object(document.json, RUNTIMES), wanted->name);
        *ret_state = !present ? DAEMON_MISSING : is_wanted(present, want) ? DAEMON_SAME : DAEMON_DIFFERS;
        *ret_present = NULL;
        if (present) {
                printed = cJSON_PrintUnformatted(present);
                *ret_present = printed ? strdup(printed) : NULL;
                r = *ret_present ? 0 : -ENOMEM;
        }
        document_deinit(&document);
        return r;
}

/* Takes the registration out; an object "runtimes" without members counts as none. Owned by the caller, NULL for none.
 */
static cJSON *detach_registration(cJSON *json, const char *name) {
        cJSON *runtimes = cJSON_GetObjectItemCaseSensitive(json, RUNTIMES);
        cJSON *found = cJSON_DetachItemFromObjectCaseSensitive(runtimes, name);

        if (cJSON_GetArraySize(runtimes) == 0)
                cJSON_DeleteItemFromObjectCaseSensitive(json, RUNTIMES);
        return found;
}

/* Compares two texts, without the registration and that alone. */
static void compare(const void *a, size_t a_size, const void *b, size_t b_size, const char *name, bool *ret_rest,
                    bool *ret_registration) {
        CLEANUP_FREE char *reason = NULL;
        Document first, second;

        *ret_rest = *ret_registration = false;
        if (document_read(&first, a, a_size, &reason) < 0)
                return;
        if (document_read(&second, b, b_size, &reason) >= 0) {
                CLEANUP_JSON cJSON *one = detach_registration(first.json, name);
                CLEANUP_JSON cJSON *other = detach_registration(second.json, name);

                *ret_registration = one && other ? cJSON_Compare(one, other, true) : !one && !other;
                *ret_rest = cJSON_Compare(first.json, second.json, true);
                document_deinit(&second);
        }
        document_deinit(&first);
}

bool daemon_json_same_rest(const void *a, size_t a_size, const void *b, size_t b_size, const char *name) {
        bool rest, registration;

        compare(a, a_size, b, b_size, name, &rest, &registration);
        return rest;
}

bool daemon_json_same_registration(const void *a, size_t a_size, const void *b, size_t b_size, const char *name) {
        bool rest, registration;

        compare(a, a_size, b, b_size, name, &rest, &registration);
        return registration;
}

bool daemon_json_is_empty(const void *text, size_t size) {
        CLEANUP_FREE char *reason = NULL;
        Document document;
        bool empty;

        if (document_read(&document, text, size, &reason) < 0)
                return false;
        empty = cJSON_GetArraySize(document.json) == 0;
        document_deinit(&document);
        return empty;
}

/* ---- writing ---- */

/* Everything but runtimes.NAME must be as before, and that must be what was asked for (NULL: gone). An object
 * "runtimes" without members counts as none. */
static int check_result(const Document *document, const char *name, const cJSON *wanted, const Buffer *out) {
        CLEANUP_JSON cJSON *after = NULL, *found = NULL;
        JsonError error;
        bool fits;

        after = json_parse(out->data, out->size, &error);
        if (!after)
                return error.fault == JSON_NO_MEMORY ? -ENOMEM : -EPROTO;
        found = detach_registration(after, name);
        fits = wanted ? cJSON_Compare(found, wanted, true) : !found;
        cJSON_Delete(detach_registration(document->json, name));
        return fits && cJSON_Compare(document->json, after, true) ? 0 : -EPROTO;
}

/* "runtimes": {"NAME": …}, as the first or as a further member of what stands at depth. */
static int append_runtimes(Buffer *out, const Style *style, const DaemonRuntime *wanted) {
        int r = append_key(out, style, 1, RUNTIMES);

        if (r >= 0)
                r = buffer_append_text(out, "{");
        if (r >= 0)
                r = append_key(out, style, 2, wanted->name);
        if (r >= 0)
                r = append_runtime(out, style, 2, wanted);
        if (r >= 0)
                r = append_break(out, style, 1);
        return r < 0 ? r : buffer_append_text(out, "}");
}

/* The end of the last member's value; NULL for an object without members. */
static const char *last_member_end(Span object) {
        const char *at = object.start + 1;
        Member member = {0};

        while (next_member(&at, object.end, &member))
                ;
        return member.value.end;
}

static int put_into(const Document *document, const DaemonRuntime *wanted, Buffer *out) {
        Span whole = {document->start, document->end}, runtimes_value;
        const Style *style = &document->style;
        Style inner = *style;
        const char *comma = style->newline[0] || !style->colon[1] ? "," : ", ", *last;
        Member runtimes, present;
        int r;

        if (!find_member(whole, RUNTIMES, &runtimes)) {
                last = last_member_end(whole);
                r = append_span(out, (Span){document->text, last ? last : whole.start + 1});
                if (r >= 0 && last)
                        r = buffer_append_text(out, comma);
                if (r >= 0)
                        r = append_runtimes(out, style, wanted);
                if (r >= 0 && !last)
                        r = append_break(out, style, 0);
                return r < 0 ? r : append_span(out, (Span){last ? last : whole.end - 1, whole.end});
        }
        runtimes_value = runtimes.value;
        if (find_member(runtimes_value, wanted->name, &present)) {
                r = append_span(out, (Span){document->text, present.value.start});
                if (r >= 0)
                        r = append_runtime(out, style, 2, wanted);
                return r < 0 ? r : append_span(out, (Span){present.value.end, whole.end});
        }
        last = last_member_end(runtimes_value);
        if (last && !learn_style(runtimes_value).newline[0]) /* its members share a line */
                inner = (Style){.newline = "", .unit = {comma, comma}, .colon = style->colon};
        r = append_span(out, (Span){document->text, last ? last : runtimes_value.start + 1});
        if (r >= 0 && last)
                r = buffer_append_text(out, inner.newline[0] || !style->colon[1] ? "," : ", ");
        if (r >= 0)
                r = append_key(out, &inner, 2, wanted->name);
        if (r >= 0)
                r = append_runtime(out, &inner, 2, wanted);
        if (r >= 0 && !last)
                r = append_break(out, &inner, 1);
        return r < 0 ? r : append_span(out, (Span){last ? last : runtimes_value.end - 1, whole.end});
}

int daemon_json_put(const void *text, size_t size, const DaemonRuntime *wanted, Buffer *out, char **ret_reason) {
        CLEANUP_JSON cJSON *want = runtime_json(wanted);
        Buffer result = BUFFER_INIT(size + GROWTH_MAX);
        Document document;
        int r = want ? document_read(&document, text, size, ret_reason) : -ENOMEM;

        if (r < 0)
                return r;
        if (document.blank) {
                r = buffer_append_text(&result, "{");
                if (r >= 0)
                        r = append_runtimes(&result, &document.style, wanted);
                if (r >= 0)
                        r = buffer_append_text(&result, "\n}\n");
        } else if (is_wanted(json_get(json_get(document.json, RUNTIMES), wanted->name), want)) {
                r = buffer_append(&result, text, size);
        } else {
                r = put_into(&document, wanted, &result);
                if (r >= 0)
                        r = append_span(&result, (Span){document.end, (const char *) text + size});
        }
        if (r >= 0)
                r = check_result(&document, wanted->name, want, &result);
        if (r >= 0)
                r = buffer_append(out, result.data, result.size);
        document_deinit(&document);
        buffer_deinit(&result);
        return r;
}

/* A member goes with the comma before it, or, being the first, with the one behind it. */
static Span with_comma(Span object, const Member *member) {
        const char *at = object.start + 1, *before = at;
        Member one;

        while (next_member(&at, object.end, &one) && one.key.start != member->key.start)
                before = at;
        if (before > object.start + 1)
                return (Span){before, member->value.end};
        at = skip_space(member->value.end, object.end);
        if (*at == ',')
                return (Span){member->key.start, skip_space(at + 1, object.end)};
        return (Span){object.start + 1, object.end - 1}; /* it was the only one */
}

int daemon_json_drop(const void *text, size_t size, const char *name, bool drop_empty, Buffer *out, char **ret_reason) {
        Buffer result = BUFFER_INIT(size);
        Member runtimes, present;
        Document document;
        Span gone = {0};
        int r = document_read(&document, text, size, ret_reason);

        if (r < 0)
                return r;
        if (!document.blank && find_member((Span){document.start, document.end}, RUNTIMES, &runtimes)) {
                bool found = find_member(runtimes.value, name, &present);
                const char *at = runtimes.value.start + 1;
                size_t members = 0;

                for (Member one; next_member(&at, runtimes.value.end, &one);)
                        members++;
                if (found)
                        gone = with_comma(runtimes.value, &present);
                if (drop_empty && members == (found ? 1U : 0U))
                        gone = with_comma((Span){document.start, document.end}, &runtimes);
        }
        if (!gone.start) {
                r = buffer_append(out, text, size);
        } else {
                r = append_span(&result, (Span){text, gone.start});
                if (r >= 0)
                        r = append_span(&result, (Span){gone.end, (const char *) text + size});
                if (r >= 0)
                        r = check_result(&document, name, NULL, &result);
                if (r >= 0)
                        r = buffer_append(out, result.data, result.size);
        }
        document_deinit(&document);
        buffer_deinit(&result);
        return r;
}
