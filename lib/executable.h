/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "loop.h"
#include "trouble.h"

/* Programs that go into images: what they are, what they say of themselves, and what they need. What fails is set as
 * trouble. */

typedef struct Executable {
        const char *name;   /* for messages */
        const char *path;   /* where it can be opened and run; not always a name that people know */
        uint64_t most_usec; /* that it may run; 0: a minute */
} Executable;

/* Where the program is: given, which is a path or a name, or NULL; else the one of that name on $PATH. option is what a
 * person gives it with, or NULL. ret_path is owned by the caller. */
int executable_find(const char *name, const char *given, const char *option, Trouble *trouble, char **ret_path);

/* Whether it is a program (ELF) for this machine, which is told before it is run. ret_dynamic (may be NULL): it needs a
 * loader. Returns -ENOEXEC where it is none. */
int executable_check(const Executable *program, bool *ret_dynamic, Trouble *trouble);

/* The first line that it prints when it is run with argument (NULL: none), owned by the caller. */
int executable_version(Loop *loop, const Executable *program, const char *argument, Trouble *trouble, char **ret_line);

/* Called with each line that it prints. Returns 0 or a negative errno. */
typedef int (*ExecutableLine)(const char *line, void *userdata);

int executable_lines(Loop *loop, const Executable *program, const char *argument, ExecutableLine line, void *userdata,
                     Trouble *trouble);

/* Called with the path of a shared library, or of the loader. Returns 0 or a negative errno. */
typedef int (*ExecutableLibrary)(const char *path, void *userdata);

/* What a dynamic program loads, at the very paths where its loader finds them here. */
int executable_libraries(Loop *loop, const Executable *program, ExecutableLibrary library, void *userdata,
                         Trouble *trouble);

/* The same from what ldd(1) printed. Pure but for what library does. -ENOENT: ret_missing, owned by the caller, is one
 * that was not found. */
int executable_parse_libraries(const char *text, ExecutableLibrary library, void *userdata, char **ret_missing);
