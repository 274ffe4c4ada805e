/* SPDX-License-Identifier: Apache-2.0 */

/* A program is looked at before it is run, so that one for another machine is told as what it is. Then it is run twice,
 * by itself for its version and under ldd(1), which has its own loader load it. Neither is a risk that was not there
 * before: the program was named by root on the command line or comes from the image that root named, and is about to
 * become what every sandbox of the host runs; or Docker runs it as root already. */

#include "executable.h"
#include "process.h"
#include "text.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define RUN_USEC (60 * USEC_PER_SEC)
#define HEADERS_MAX 64U

/* ---- where ---- */

static int find_on_path(const char *name, char **ret_path) {
        const char *folders = getenv("PATH"), *end;

        for (; folders && *folders; folders = *end ? end + 1 : end) {
                CLEANUP_FREE char *path = NULL;

                end = strchrnul(folders, ':');
                path = text_format("%.*s/%s", (int) (end - folders), folders, name);
                if (!path)
                        return -ENOMEM;
                if (access(path, X_OK) == 0) {
                        *ret_path = TAKE_PTR(path);
                        return 0;
                }
        }
        return -ENOENT;
}

int executable_find(const char *name, const char *given, const char *option, Trouble *trouble, char **ret_path) {
        CLEANUP_FREE char *remedy = option ? text_format("give its path with %s PATH", option) : NULL;
        const char *wanted = given ? given : name;
        CLEANUP_FREE char *path = NULL;
        struct stat status;
        int r = strchr(wanted, '/') ? 0 : find_on_path(wanted, &path);

        if (r == 0 && !path && !(path = strdup(wanted)))
                r = -ENOMEM;
        if (r == 0 && stat(path, &status) < 0)
                r = -errno;
        if (r == 0 && !S_ISREG(status.st_mode))
                r = -ENOEXEC;
        if (r == -ENOENT)
                return trouble_set(trouble, r, remedy, "there is no program '%s'%s", wanted,
                                   strchr(wanted, '/') ? "" : " on $PATH");
        if (r < 0)
                return trouble_set(trouble, r, remedy, "%s: %s", wanted,
                                   r == -ENOEXEC ? "is not a file" : strerror(-r));
        *ret_path = TAKE_PTR(path);
        return 0;
}

/* ---- what ---- */

static const char *machine_name(unsigned machine) {
        switch (machine) {
        case EM_X86_64:
                return "x86_64";
        case EM_AARCH64:
                return "aarch64";
        case EM_386:
                return "i386";
        case EM_ARM:
                return "arm";
        case EM_RISCV:
                return "riscv";
        case EM_PPC64:
                return "ppc64";
        case EM_S390:
                return "s390";
        default:
                return "another machine";
        }
}

/* Of the class and the byte order that this program itself has; others are another machine's. */
static int read_header(int fd, Elf64_Ehdr *ret_header) {
        ssize_t n = pread(fd, ret_header, sizeof(*ret_header), 0);

        if (n < 0)
                return -errno;
        if (n < (ssize_t) sizeof(*ret_header) || memcmp(ret_header->e_ident, ELFMAG, SELFMAG) != 0)
                return -ENOEXEC;
        return 0;
}

/* Whether both are for the same machine. */
static bool is_same(const Elf64_Ehdr *a, const Elf64_Ehdr *b) {
        return a->e_ident[EI_DATA] == b->e_ident[EI_DATA] && a->e_ident[EI_CLASS] == b->e_ident[EI_CLASS] &&
               a->e_machine == b->e_machine;
}

static bool has_loader(int fd, const Elf64_Ehdr *header) {
        Elf64_Phdr part;

        for (unsigned i = 0; i < header->e_phnum && i < HEADERS_MAX; i++) {
                off_t at = (off_t) (header->e_phoff + (uint64_t) i * sizeof(part));

                if (pread(fd, &part, sizeof(part), at) == (ssize_t) sizeof(part) && part.p_type == PT_INTERP)
                        return true;
        }
        return false;
}

int executable_check(const Executable *program, bool *ret_dynamic, Trouble *trouble) {
        CLEANUP_FD int fd = open(program->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY),
                       own = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        Elf64_Ehdr header = {0}, ours = {0};
        int r = fd < 0 || own < 0 ? -errno : 0;

        if (r >= 0)
                r = read_header(own, &ours);
        if (r >= 0)
                r = read_header(fd, &header);
        if (r == -ENOEXEC)
                return trouble_set(trouble, r, NULL, "%s is no program: it does not begin as ELF files do",
                                   program->name);
        if (r < 0)
                return trouble_set(trouble, r, NULL, "%s cannot be read: %s", program->name, strerror(-r));
        if (!is_same(&header, &ours))
                return trouble_set(trouble, -ENOEXEC, NULL, "%s is a program for %s, and this machine is %s",
                                   program->name,
                                   header.e_ident[EI_DATA] == ours.e_ident[EI_DATA] ? machine_name(header.e_machine)
                                                                                    : "another machine",
                                   machine_name(ours.e_machine));
        if (ret_dynamic)
                *ret_dynamic = has_loader(fd, &header);
        return 0;
}

/* ---- what it says ---- */

static const char *first_line(Buffer *output) {
        char *text = output->size > 0 ? (char *) output->data : NULL;

        if (!text)
                return "";
        text[strcspn(text, "\n")] = '\0';
        text_clean(text);
        return text;
}

static int run(Loop *loop, const Executable *program, const char *argument, Buffer *output, Trouble *trouble) {
        const char *const argv[] = {program->path, argument, NULL}, *const added[] = {"NO_COLOR=1", NULL};
        Process process = {
                .argv = argv, .added = added, .most_usec = program->most_usec > 0 ? program->most_usec : RUN_USEC};
        int r = process_run(loop, &process, output);

        if (r == -EINTR || r == 0)
                return r;
        if (r == -EACCES)
                return trouble_set(trouble, r, NULL,
                                   "%s may not be run: it is not executable, or lies where nothing is", program->name);
        if (r < 0)
                return trouble_set(trouble, r, NULL, "%s does not run: %s", program->name,
                                   r == -EPROTO      ? "a signal ended it"
                                   : r == -ETIMEDOUT ? "it had not ended in time, and was killed"
                                                     : strerror(-r));
        return trouble_set(trouble, -ENOEXEC, NULL, "%s does not run on this machine (status %d): %s", program->name, r,
                           first_line(output));
}

int executable_version(Loop *loop, const Executable *program, const char *argument, Trouble *trouble, char **ret_line) {
        CLEANUP_BUFFER Buffer output = BUFFER_INIT(PROCESS_OUTPUT_MAX);
        int r = run(loop, program, argument, &output, trouble);

        if (r < 0)
                return r;
        *ret_line = strdup(first_line(&output));
        return *ret_line ? 0 : -ENOMEM;
}

int executable_lines(Loop *loop, const Executable *program, const char *argument, ExecutableLine line, void *userdata,
                     Trouble *trouble) {
        CLEANUP_BUFFER Buffer output = BUFFER_INIT(PROCESS_OUTPUT_MAX);
        int r = run(loop, program, argument, &output, trouble);

        while (r >= 0 && output.size > 0) {
                const char *end = memchr(output.data, '\n', output.size);
                size_t size = end ? (size_t) (end - (char *) output.data) : output.size;
                CLEANUP_FREE char *text = strndup((char *) output.data, size);

                r = !text ? -ENOMEM : text[0] ? line(text, userdata) : 0;
                buffer_consume(&output, size + (end ? 1 : 0));
        }
        return r;
}

/* ---- what it needs ---- */

/* One line of ldd's: "libm.so.6 => /lib/libm.so.6 (0x…)", "/lib64/ld-linux.so.2 (0x…)", "linux-vdso.so.1 (0x…)", or
 * "libx.so => not found". */
static int parse_line(const char *line, size_t size, ExecutableLibrary library, void *userdata, char **ret_missing) {
        static const char arrow[] = " => ", lost[] = "not found";
        const char *found = memmem(line, size, arrow, strlen(arrow)), *path = found ? found + strlen(arrow) : line;
        size_t left = size - (size_t) (path - line);
        const char *address = memmem(path, left, " (0x", 4);
        CLEANUP_FREE char *text = NULL;

        if (found && left >= strlen(lost) && memcmp(path, lost, strlen(lost)) == 0) {
                *ret_missing = strndup(line, (size_t) (found - line));
                return *ret_missing ? -ENOENT : -ENOMEM;
        }
        if (left == 0 || path[0] != '/' || !address)
                return 0;
        text = strndup(path, (size_t) (address - path));
        return text ? library(text, userdata) : -ENOMEM;
}

int executable_parse_libraries(const char *text, ExecutableLibrary library, void *userdata, char **ret_missing) {
        int r = 0;

        while (r >= 0 && *text) {
                size_t indent = strspn(text, " \t"), size = strcspn(text + indent, "\n");

                r = parse_line(text + indent, size, library, userdata, ret_missing);
                text += indent + size;
                text += *text == '\n';
        }
        return r;
}

int executable_libraries(Loop *loop, const Executable *program, ExecutableLibrary library, void *userdata,
                         Trouble *trouble) {
        /* What the caller's environment adds to the loader's search is not there in a sandbox. */
        const char *const argv[] = {"ldd", program->path, NULL};
        const char *const added[] = {"LC_ALL=C", "LD_LIBRARY_PATH=", "LD_PRELOAD=", NULL};
        Process process = {.argv = argv, .added = added, .most_usec = RUN_USEC};
        CLEANUP_BUFFER Buffer output = BUFFER_INIT(PROCESS_OUTPUT_MAX);
        CLEANUP_FREE char *missing = NULL;
        int r = process_run(loop, &process, &output);

        if (r == -EINTR)
                return r;
        if (r != 0)
                return trouble_set(trouble, r < 0 ? r : -ENOEXEC, NULL, "ldd cannot tell what %s needs: %s",
                                   program->name, r < 0 ? strerror(-r) : first_line(&output));
        r = output.size > 0 ? executable_parse_libraries((const char *) output.data, library, userdata, &missing) : 0;
        if (r == -ENOENT && missing)
                return trouble_set(trouble, r, NULL, "%s needs %s, which is not on this machine", program->name,
                                   missing);
        if (r < 0)
                return trouble_set(trouble, r, NULL, "the libraries of %s: %s", program->name, strerror(-r));
        return 0;
}
