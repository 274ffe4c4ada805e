/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "loop.h"
#include "trouble.h"

/* Programs that go into images: what they are, what they say of themselves, and what they need. What fails is set as
 * trouble. */

typedef struct Program {
        const char *name; /* for messages */
        const char *path; /* where it can be opened and run; not always a name that people know */
} Program;

/* Where the program is: given, which is a path or a name, or NULL; else the one of that name on $PATH. option is what a
 * person gives it with. ret_path is owned by the caller. */
int program_find(const char *name, const char *given, const char *option, Trouble *trouble, char **ret_path);

/* Whether it is a program (ELF) for this machine, which is told before it is run. ret_dynamic (may be NULL): it needs a
 * loader. Returns -ENOEXEC where it is none. */
int program_check(const Program *program, bool *ret_dynamic, Trouble *trouble);

/* The first line that it prints when it is run with argument (NULL: none), owned by the caller. */
int program_version(Loop *loop, const Program *program, const char *argument, Trouble *trouble, char **ret_line);

/* Called with each line that it prints. Returns 0 or a negative errno. */
typedef int (*ProgramLine)(const char *line, void *userdata);

int program_lines(Loop *loop, const Program *program, const char *argument, ProgramLine line, void *userdata,
                  Trouble *trouble);

/* Called with the path of a shared library, or of the loader. Returns 0 or a negative errno. */
typedef int (*ProgramLibrary)(const char *path, void *userdata);

/* What a dynamic program loads, at the very paths where its loader finds them here. */
int program_libraries(Loop *loop, const Program *program, ProgramLibrary library, void *userdata, Trouble *trouble);

/* The same from what ldd(1) printed. Pure but for what library does. -ENOENT: ret_missing, owned by the caller, is one
 * that was not found. */
int program_parse_libraries(const char *text, ProgramLibrary library, void *userdata, char **ret_missing);
