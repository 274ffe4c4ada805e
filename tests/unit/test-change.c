/* SPDX-License-Identifier: Apache-2.0 */

/* Files that are replaced and given back, on a real file system: what is compared is the folder with all that is in it,
 * names, inodes, owners, modes, times and contents. */

#include "change.h"
#include "text.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define NOBODY 65534

typedef struct Fixture {
        char *folder;
        char *file; /* folder/file */
} Fixture;

static char *run(const char *command) {
        CLEANUP_BUFFER Buffer output = BUFFER_INIT((size_t) 1024 * 1024);
        FILE *pipe = popen(command, "re"); /* NOLINT(cert-env33-c): of the test's own making */
        char data[4096];
        char *text;
        size_t n;

        assert_non_null(pipe);
        while ((n = fread(data, 1, sizeof(data), pipe)) > 0)
                assert_int_equal(buffer_append(&output, data, n), 0);
        assert_int_equal(pclose(pipe), 0);
        text = strdup(output.data ? (const char *) output.data : "");
        assert_non_null(text);
        return text;
}

static char *path_of(const Fixture *fixture, const char *name) {
        char *path = text_format("%s/%s", fixture->folder, name);

        assert_non_null(path);
        return path;
}

static int set_up(void **state) {
        CLEANUP_FREE char *top = getcwd(NULL, 0);
        Fixture *fixture = calloc(1, sizeof(*fixture));

        assert_non_null(fixture);
        assert_non_null(top);
        fixture->folder = text_format("%s/build/test-change-XXXXXX", top);
        assert_non_null(fixture->folder);
        assert_non_null(mkdtemp(fixture->folder));
        fixture->file = path_of(fixture, "file");
        *state = fixture;
        return 0;
}

static int tear_down(void **state) {
        Fixture *fixture = *state;
        CLEANUP_FREE char *command = text_format("rm -r %s", fixture->folder);

        free(run(command));
        free(fixture->folder);
        free(fixture->file);
        free(fixture);
        return 0;
}

#define WITH_FOLDER(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static void put(const char *path, const char *text) {
        FILE *file = fopen(path, "we");

        assert_non_null(file);
        assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
        assert_int_equal(fclose(file), 0);
}

static void put_name(const Fixture *fixture, const char *name, const char *text) {
        CLEANUP_FREE char *path = path_of(fixture, name);

        put(path, text);
}

static void expect_content(const char *path, const char *wanted) {
        char text[256];
        FILE *file = fopen(path, "re");
        size_t n;

        assert_non_null(file);
        n = fread(text, 1, sizeof(text) - 1, file);
        text[n] = '\0';
        assert_int_equal(fclose(file), 0);
        assert_string_equal(text, wanted);
}

/* Everything in the folder. A folder's own time changes with every name that comes and goes. */
static char *snapshot(const Fixture *fixture) {
        CLEANUP_FREE char *command = text_format(
                "cd %s && find . '(' -type d -printf '%%p %%i %%U:%%G %%m\\n' ')' -o -printf '%%p %%i %%n %%U:%%G %%m "
                "%%T@ %%s %%l\\n' | sort && find . -type f -print0 | sort -z | xargs -0r cat",
                fixture->folder);

        assert_non_null(command);
        return run(command);
}

static void expect_snapshot(const Fixture *fixture, const char *wanted) {
        CLEANUP_FREE char *now = snapshot(fixture);

        assert_string_equal(now, wanted);
}

static void expect_names(const Fixture *fixture, const char *wanted) {
        CLEANUP_FREE char *command = text_format("cd %s && find . -mindepth 1 -printf '%%P ' | tr ' ' '\\n' | sort | "
                                                 "tr '\\n' ' ' | sed 's/^ *//; s/ *$//'",
                                                 fixture->folder);
        CLEANUP_FREE char *names = run(command);

        assert_string_equal(names, wanted);
}

static mode_t mode_of(const char *path) {
        struct stat status;

        assert_int_equal(lstat(path, &status), 0);
        return status.st_mode & 07777;
}

static int write_text(Change *change, const char *path, const char *text) {
        return change_write(change, path, text, strlen(text), 0644);
}

/* ---- a file that is there ---- */

TEST(a_replaced_file_keeps_its_owner_and_mode) {
        const Fixture *fixture = *state;
        uid_t uid = geteuid() == 0 ? 1234 : geteuid();
        gid_t gid = geteuid() == 0 ? 4321 : getegid();
        struct stat status;
        Change change;

        put(fixture->file, "old\n");
        assert_int_equal(chown(fixture->file, uid, gid), 0);
        assert_int_equal(chmod(fixture->file, 02640), 0);
        assert_int_equal(write_text(&change, fixture->file, "new\n"), 0);
        assert_int_equal(stat(fixture->file, &status), 0);
        assert_int_equal(status.st_uid, uid);
        assert_int_equal(status.st_gid, gid);
        assert_int_equal(status.st_mode & 07777, 02640);
        expect_content(fixture->file, "new\n");
        expect_names(fixture, ".file.tee-undo file");
        change_keep(&change);
        expect_names(fixture, "file");
        expect_content(fixture->file, "new\n");
}

TEST(undo_gives_back_the_same_inode_with_its_times) {
        const Fixture *fixture = *state;
        const struct timespec times[2] = {{.tv_sec = 1000000000, .tv_nsec = 123456789},
                                          {.tv_sec = 1100000000, .tv_nsec = 987654321}};
        CLEANUP_FREE char *before = NULL;
        Change change;

        put(fixture->file, "old\n");
        assert_int_equal(chmod(fixture->file, 0600), 0);
        assert_int_equal(utimensat(AT_FDCWD, fixture->file, times, 0), 0);
        before = snapshot(fixture);
        assert_int_equal(write_text(&change, fixture->file, "new and longer\n"), 0);
        assert_int_equal(change_undo(&change), 0);
        expect_snapshot(fixture, before);
        assert_int_equal(change_undo(&change), 0); /* a second time there is nothing to do */
        change_keep(&change);
        expect_snapshot(fixture, before);
}

TEST(who_has_the_file_open_sees_the_old_content_to_its_end) {
        const Fixture *fixture = *state;
        char text[16] = "";
        CLEANUP_FD int fd = -1;
        Change change;

        put(fixture->file, "old\n");
        fd = open(fixture->file, O_RDONLY | O_CLOEXEC);
        assert_int_equal(write_text(&change, fixture->file, "new and longer\n"), 0);
        change_keep(&change);
        assert_int_equal(read(fd, text, sizeof(text)), 4);
        assert_memory_equal(text, "old\n", 4);
}

TEST(an_empty_content_and_a_large_one_arrive_whole) {
        const Fixture *fixture = *state;
        CLEANUP_FREE char *large = malloc(1 << 20);
        struct stat status;
        Change change;

        assert_non_null(large);
        memset(large, 'x', 1 << 20);
        assert_int_equal(change_write(&change, fixture->file, "", 0, 0644), 0);
        change_keep(&change);
        expect_content(fixture->file, "");
        assert_int_equal(change_write(&change, fixture->file, large, 1 << 20, 0644), 0);
        change_keep(&change);
        assert_int_equal(stat(fixture->file, &status), 0);
        assert_int_equal(status.st_size, 1 << 20);
}

/* ---- a file that is not there ---- */

TEST(a_new_file_has_the_mode_that_is_wanted_whatever_the_umask) {
        const Fixture *fixture = *state;
        CLEANUP_FREE char *path = path_of(fixture, "folder/file"), *folder = path_of(fixture, "folder");
        mode_t mask = umask(0077);
        Change change;

        assert_int_equal(change_write(&change, path, "new\n", 4, 0644), 0);
        (void) umask(mask);
        assert_int_equal(mode_of(path), 0644);
        assert_int_equal(mode_of(folder), 0755);
        change_keep(&change);
        expect_names(fixture, "folder folder/file");
}

TEST(a_new_file_goes_with_undo) {
        const Fixture *fixture = *state;
        CLEANUP_FREE char *before = snapshot(fixture);
        Change change;

        assert_int_equal(write_text(&change, fixture->file, "new\n"), 0);
        expect_names(fixture, "file");
        assert_int_equal(change_undo(&change), 0);
        expect_snapshot(fixture, before);
}

TEST(a_new_file_that_somebody_took_away_meanwhile_is_no_failure) {
        const Fixture *fixture = *state;
        Change change;

        assert_int_equal(write_text(&change, fixture->file, "new\n"), 0);
        assert_int_equal(unlink(fixture->file), 0);
        assert_int_equal(change_undo(&change), 0);
        expect_names(fixture, "");
}

TEST(a_missing_folder_is_made_and_goes_with_undo) {
        const Fixture *fixture = *state;
        CLEANUP_FREE char *path = path_of(fixture, "folder/file");
        Change change;

        assert_int_equal(write_text(&change, path, "new\n"), 0);
        expect_content(path, "new\n");
        assert_int_equal(change_undo(&change), 0);
        expect_names(fixture, "");
}

TEST(a_folder_that_others_use_meanwhile_stays) {
        const Fixture *fixture = *state;
        CLEANUP_FREE char *path = path_of(fixture, "folder/file");
        Change change;

        assert_int_equal(write_text(&change, path, "new\n"), 0);
        put_name(fixture, "folder/other", "other\n");
        assert_int_equal(change_undo(&change), 0);
        expect_names(fixture, "folder folder/other");
}

TEST(folders_above_a_missing_one_are_not_made) {
        const Fixture *fixture = *state;
        CLEANUP_FREE char *path = path_of(fixture, "a/b/file");
        Change change;

        assert_int_equal(write_text(&change, path, "new\n"), -ENOENT);
        assert_int_equal(change_undo(&change), 0);
        expect_names(fixture, "");
}

/* ---- links ---- */

TEST(a_link_stays_and_the_file_that_it_names_changes) {
        const Fixture *fixture = *state;
        CLEANUP_FREE char *link = path_of(fixture, "link"), *further = path_of(fixture, "folder/further"),
                          *folder = path_of(fixture, "folder"), *before = NULL, *linked = NULL;
        Change change;

        put(fixture->file, "old\n");
        assert_int_equal(mkdir(folder, 0755), 0);
        assert_int_equal(symlink("../file", further), 0); /* is read from where the link is */
        assert_int_equal(symlink(further, link), 0);
        before = snapshot(fixture);

        assert_int_equal(write_text(&change, link, "new\n"), 0);
        expect_content(fixture->file, "new\n");
        expect_names(fixture, ".file.tee-undo file folder folder/further link");
        assert_int_equal(change_undo(&change), 0);
        expect_snapshot(fixture, before);

        assert_int_equal(write_text(&change, link, "new\n"), 0);
        change_keep(&change);
        expect_content(fixture->file, "new\n");
        expect_names(fixture, "file folder folder/further link");
        linked = realpath(link, NULL);
        assert_non_null(linked);
        assert_string_equal(linked, fixture->file);
}

TEST(a_link_to_nothing_gets_its_file) {
        const Fixture *fixture = *state;
        CLEANUP_FREE char *link = path_of(fixture, "link"), *before = NULL;
        Change change;

        assert_int_equal(symlink("folder/file", link), 0);
        before = snapshot(fixture);
        assert_int_equal(write_text(&change, link, "new\n"), 0);
        expect_names(fixture, "folder folder/file link");
        expect_content(link, "new\n");
        assert_int_equal(change_undo(&change), 0);
        expect_snapshot(fixture, before);
}

TEST(links_in_a_circle_are_a_failure) {
        const Fixture *fixture = *state;
        CLEANUP_FREE char *one = path_of(fixture, "one"), *two = path_of(fixture, "two"),
                          *within = path_of(fixture, "one/file"), *before = NULL;
        Change change;

        assert_int_equal(symlink("two", one), 0);
        assert_int_equal(symlink("one", two), 0);
        before = snapshot(fixture);
        assert_int_equal(write_text(&change, one, "new\n"), -ELOOP);
        assert_int_equal(write_text(&change, within, "new\n"), -ELOOP);
        assert_int_equal(change_undo(&change), 0);
        change_tidy(one);
        expect_snapshot(fixture, before);
}

/* ---- what is no file ---- */

TEST(what_is_no_file_is_left_alone) {
        const Fixture *fixture = *state;
        CLEANUP_FREE char *fifo = path_of(fixture, "fifo"), *below = path_of(fixture, "file/below"),
                          *folder = path_of(fixture, "folder"), *before = NULL;
        Change change;

        assert_int_equal(mkfifo(fifo, 0600), 0);
        assert_int_equal(mkdir(folder, 0755), 0);
        put_name(fixture, "folder/inner", "inner\n");
        put(fixture->file, "old\n");
        before = snapshot(fixture);
        assert_int_equal(write_text(&change, folder, "new\n"), -EISDIR);
        assert_int_equal(write_text(&change, fifo, "new\n"), -EISDIR);
        assert_int_equal(write_text(&change, below, "new\n"), -ENOTDIR);
        assert_int_equal(change_remove(&change, folder), -EISDIR);
        assert_int_equal(change_remove(&change, below), -ENOTDIR);
        assert_int_equal(change_undo(&change), 0);
        expect_snapshot(fixture, before);
}

/* ---- remove ---- */

TEST(a_removed_file_comes_back_with_undo) {
        const Fixture *fixture = *state;
        CLEANUP_FREE char *before = NULL;
        Change change;

        put(fixture->file, "old\n");
        assert_int_equal(chmod(fixture->file, 0640), 0);
        before = snapshot(fixture);
        assert_int_equal(change_remove(&change, fixture->file), 0);
        assert_int_equal(access(fixture->file, F_OK), -1);
        assert_int_equal(change_undo(&change), 0);
        expect_snapshot(fixture, before);
        assert_int_equal(change_remove(&change, fixture->file), 0);
        change_keep(&change);
        expect_names(fixture, "");
}

TEST(of_a_link_the_link_itself_is_removed) {
        const Fixture *fixture = *state;
        CLEANUP_FREE char *link = path_of(fixture, "link"), *lost = path_of(fixture, "lost"), *before = NULL;
        Change change;

        put(fixture->file, "old\n");
        assert_int_equal(symlink("file", link), 0);
        assert_int_equal(symlink("nothing", lost), 0);
        before = snapshot(fixture);
        assert_int_equal(change_remove(&change, link), 0);
        expect_names(fixture, ".link.tee-undo file lost");
        assert_int_equal(change_undo(&change), 0);
        expect_snapshot(fixture, before);
        assert_int_equal(change_remove(&change, link), 0);
        change_keep(&change);
        assert_int_equal(change_remove(&change, lost), 0);
        change_keep(&change);
        expect_names(fixture, "file");
}

TEST(nothing_to_remove_is_no_failure) {
        const Fixture *fixture = *state;
        CLEANUP_FREE char *nowhere = path_of(fixture, "a/b");
        Change change;

        assert_int_equal(change_remove(&change, fixture->file), 0);
        assert_int_equal(change_undo(&change), 0);
        assert_int_equal(change_remove(&change, nowhere), 0);
        change_keep(&change);
        expect_names(fixture, "");
}

TEST(a_change_that_was_none_has_nothing_to_give_back) {
        Change change = {0};

        assert_int_equal(change_undo(&change), 0);
        change_keep(&change);
        change_deinit(&change);
        assert_null(change.path);
}

/* ---- what a killed run has left ---- */

/* The second name and the new content are there, and the new content has not got its name. */
static void leave_half(const Fixture *fixture) {
        CLEANUP_FREE char *undo = path_of(fixture, ".file.tee-undo");

        put(fixture->file, "old\n");
        assert_int_equal(link(fixture->file, undo), 0);
        put_name(fixture, ".file.tee-new", "ne");
}

TEST(what_a_killed_run_has_left_is_replaced) {
        const Fixture *fixture = *state;
        Change change;

        leave_half(fixture);
        assert_int_equal(write_text(&change, fixture->file, "new\n"), 0);
        expect_content(fixture->file, "new\n");
        assert_int_equal(change_undo(&change), 0);
        expect_content(fixture->file, "old\n");
        expect_names(fixture, "file");
}

/* rename(2) does nothing where both names are the same file, and says that it has done it. */
TEST(a_file_is_removed_although_a_killed_run_has_left_its_second_name) {
        const Fixture *fixture = *state;
        Change change;

        leave_half(fixture);
        assert_int_equal(change_remove(&change, fixture->file), 0);
        assert_int_equal(access(fixture->file, F_OK), -1);
        change_keep(&change);
        change_tidy(fixture->file);
        expect_names(fixture, "");
}

TEST(an_old_second_name_does_not_outlive_a_new_file) {
        const Fixture *fixture = *state;
        Change change;

        put_name(fixture, ".file.tee-undo", "older\n");
        assert_int_equal(write_text(&change, fixture->file, "new\n"), 0);
        change_keep(&change);
        expect_names(fixture, "file");
        expect_content(fixture->file, "new\n");
}

TEST(tidy_takes_away_what_was_left_and_nothing_else) {
        const Fixture *fixture = *state;
        CLEANUP_FREE char *link = path_of(fixture, "link"), *nowhere = path_of(fixture, "a/b");

        leave_half(fixture);
        put_name(fixture, ".file.tee", "mine\n");
        put_name(fixture, "file.tee-new", "mine\n");
        assert_int_equal(symlink("file", link), 0);
        change_tidy(link);
        change_tidy(nowhere);
        expect_names(fixture, ".file.tee file file.tee-new link");
        expect_content(fixture->file, "old\n");
}

/* ---- a child process, whose file system may be spoilt ---- */

#define CHILD_CHECK(condition)                                                              \
        do {                                                                                \
                if (!(condition)) {                                                         \
                        (void) fprintf(stderr, "line %d: %s (%m)\n", __LINE__, #condition); \
                        return 1;                                                           \
                }                                                                           \
        } while (false)

static void run_child(int (*child)(const Fixture *), const Fixture *fixture) {
        int status;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0)
                _exit(child(fixture));
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
}

static bool shell(const char *words, const char *folder) {
        CLEANUP_FREE char *command = text_format("exec 2>/dev/null; %s %s", words, folder);

        return command && system(command) == 0; /* NOLINT(cert-env33-c): of the test's own making */
}

/* A small file system on the folder, that this process alone sees; false where that may not be made. */
static bool mount_small(const char *folder) {
        return unshare(CLONE_NEWNS) == 0 &&
               shell("mount --make-rprivate / && mount -t tmpfs -o size=64k,mode=0755 none", folder);
}

/* By a limit of its own for the size of a file, where no disk can be made that is full. */
static int limit_files(void) {
        const struct rlimit limit = {.rlim_cur = 48 << 10, .rlim_max = 48 << 10};

        CHILD_CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
        CHILD_CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
        return 0;
}

static int put_plain(const char *path, const char *text) {
        CLEANUP_FD int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);

        return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t) strlen(text) ? 0 : -1;
}

static size_t count_entries(const char *folder) {
        CLEANUP_FREE char *command = text_format("exit $(find %s -mindepth 1 | wc -l)", folder);

        return (size_t) WEXITSTATUS(system(command)); /* NOLINT(cert-env33-c): of the test's own making */
}

static int fill_the_disk(const Fixture *fixture) {
        static char large[1 << 20];
        bool has_disk = mount_small(fixture->folder);
        struct stat before, after;
        Change change;

        CHILD_CHECK(put_plain(fixture->file, "old\n") == 0);
        CHILD_CHECK(stat(fixture->file, &before) == 0);
        if (!has_disk)
                CHILD_CHECK(limit_files() == 0);
        memset(large, 'x', sizeof(large));
        CHILD_CHECK(change_write(&change, fixture->file, large, sizeof(large), 0644) == (has_disk ? -ENOSPC : -EFBIG));
        CHILD_CHECK(!change.path && !change.undo && !change.made);
        CHILD_CHECK(stat(fixture->file, &after) == 0);
        CHILD_CHECK(before.st_ino == after.st_ino && before.st_size == after.st_size && after.st_nlink == 1);
        CHILD_CHECK(count_entries(fixture->folder) == 1);
        return 0;
}

TEST(a_full_disk_changes_nothing) {
        const Fixture *fixture = *state;

        run_child(fill_the_disk, fixture);
}

/* The old file comes back without a byte of room. */
static int undo_on_a_full_disk(const Fixture *fixture) {
        static char large[1 << 20];
        bool has_disk = mount_small(fixture->folder);
        CLEANUP_FREE char *filler = text_format("%s/filler", fixture->folder);
        CLEANUP_FD int fd = -1;
        struct stat before, after;
        Change change;

        CHILD_CHECK(put_plain(fixture->file, "old\n") == 0);
        CHILD_CHECK(stat(fixture->file, &before) == 0);
        CHILD_CHECK(write_text(&change, fixture->file, "new\n") == 0);
        fd = open(filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        CHILD_CHECK(fd >= 0);
        if (!has_disk)
                CHILD_CHECK(limit_files() == 0);
        while (write(fd, large, sizeof(large)) > 0)
                ;
        CHILD_CHECK(errno == (has_disk ? ENOSPC : EFBIG));
        CHILD_CHECK(change_undo(&change) == 0);
        CHILD_CHECK(stat(fixture->file, &after) == 0);
        CHILD_CHECK(before.st_ino == after.st_ino && after.st_nlink == 1);
        CHILD_CHECK(count_entries(fixture->folder) == 2);
        return 0;
}

TEST(undo_needs_no_room_on_the_disk) {
        const Fixture *fixture = *state;

        run_child(undo_on_a_full_disk, fixture);
}

/* Read-only by its mount or, where none can be made, by its mode, which root would not heed. */
static int write_read_only(const Fixture *fixture) {
        bool has_disk = mount_small(fixture->folder);
        CLEANUP_FREE char *missing = text_format("%s/folder/file", fixture->folder);
        struct stat before, after;
        Change change;
        int wanted = has_disk ? -EROFS : -EACCES;

        CHILD_CHECK(put_plain(fixture->file, "old\n") == 0);
        CHILD_CHECK(stat(fixture->file, &before) == 0);
        if (has_disk) {
                CHILD_CHECK(shell("mount -o remount,ro", fixture->folder));
        } else {
                CHILD_CHECK(chmod(fixture->folder, 0555) == 0);
                CHILD_CHECK(geteuid() != 0 ||
                            (chown(fixture->file, NOBODY, NOBODY) == 0 && setresuid(NOBODY, NOBODY, NOBODY) == 0));
        }
        CHILD_CHECK(write_text(&change, fixture->file, "new\n") == wanted);
        CHILD_CHECK(write_text(&change, missing, "new\n") == wanted);
        CHILD_CHECK(change_remove(&change, fixture->file) == wanted);
        change_tidy(fixture->file);
        CHILD_CHECK(change_undo(&change) == 0);
        CHILD_CHECK(stat(fixture->file, &after) == 0);
        CHILD_CHECK(before.st_ino == after.st_ino && before.st_size == after.st_size && after.st_nlink == 1);
        return 0;
}

TEST(a_read_only_folder_is_a_failure) {
        const Fixture *fixture = *state;

        run_child(write_read_only, fixture);
        assert_int_equal(chmod(fixture->folder, 0755), 0);
}

/* ---- killed at any moment ---- */

/* Lets a child do its work up to that many entries into system calls and returns from them, and kills it there. Returns
 * false when it came to its end before. */
static bool kill_child(int (*work)(const Fixture *), const Fixture *fixture, unsigned stops) {
        int status;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 || raise(SIGSTOP) != 0)
                        _exit(1);
                _exit(work(fixture));
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSTOPPED(status));
        for (unsigned i = 0; i < stops; i++) {
                assert_int_equal(ptrace(PTRACE_SYSCALL, pid, NULL, NULL), 0);
                assert_int_equal(waitpid(pid, &status, 0), pid);
                if (WIFEXITED(status)) {
                        assert_int_equal(WEXITSTATUS(status), 0);
                        return false;
                }
        }
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return true;
}

/* What the file holds, which is one of the two, whole; "" when it is not there. */
static const char *old_or_new(const Fixture *fixture) {
        char text[16] = "";
        CLEANUP_FD int fd = open(fixture->file, O_RDONLY | O_CLOEXEC);

        if (fd < 0)
                return "";
        assert_int_equal(read(fd, text, sizeof(text)), 4);
        assert_case(strcmp(text, "old\n") == 0 || strcmp(text, "new\n") == 0, "it holds %s", text);
        return text[0] == 'o' ? "old\n" : "new\n";
}

static int write_and_keep(const Fixture *fixture) {
        Change change = {0};

        CHILD_CHECK(write_text(&change, fixture->file, "new\n") == 0);
        change_keep(&change);
        return 0;
}

static int write_and_undo(const Fixture *fixture) {
        Change change = {0};

        CHILD_CHECK(write_text(&change, fixture->file, "new\n") == 0);
        CHILD_CHECK(change_undo(&change) == 0);
        return 0;
}

static int remove_and_keep(const Fixture *fixture) {
        Change change = {0};

        CHILD_CHECK(change_remove(&change, fixture->file) == 0);
        change_keep(&change);
        return 0;
}

/* Begins with the old content, or with none, kills the work at each of its moments, and has a second run complete it.
 */
static void kill_everywhere(int (*work)(const Fixture *), const Fixture *fixture, const char *old) {
        bool killed = true;

        for (unsigned stops = 0; killed; stops++) {
                const char *content;

                if (old[0])
                        put(fixture->file, old);
                killed = kill_child(work, fixture, stops);
                content = old_or_new(fixture);
                /* Not there it may be only when there was none before, or when it was to be removed. */
                assert_true(content[0] || !old[0] || work == remove_and_keep);

                assert_int_equal(work == remove_and_keep ? remove_and_keep(fixture) : write_and_keep(fixture), 0);
                change_tidy(fixture->file);
                expect_names(fixture, work == remove_and_keep ? "" : "file");
                assert_string_equal(old_or_new(fixture), work == remove_and_keep ? "" : "new\n");
                (void) unlink(fixture->file);
        }
}

TEST(killed_at_any_moment_the_file_is_the_old_or_the_new_one_and_a_second_run_completes_it) {
        const Fixture *fixture = *state;

        kill_everywhere(write_and_keep, fixture, "old\n");
        kill_everywhere(write_and_keep, fixture, "");
        kill_everywhere(write_and_undo, fixture, "old\n");
        kill_everywhere(remove_and_keep, fixture, "old\n");
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                WITH_FOLDER(a_replaced_file_keeps_its_owner_and_mode),
                WITH_FOLDER(undo_gives_back_the_same_inode_with_its_times),
                WITH_FOLDER(who_has_the_file_open_sees_the_old_content_to_its_end),
                WITH_FOLDER(an_empty_content_and_a_large_one_arrive_whole),
                WITH_FOLDER(a_new_file_has_the_mode_that_is_wanted_whatever_the_umask),
                WITH_FOLDER(a_new_file_goes_with_undo),
                WITH_FOLDER(a_new_file_that_somebody_took_away_meanwhile_is_no_failure),
                WITH_FOLDER(a_missing_folder_is_made_and_goes_with_undo),
                WITH_FOLDER(a_folder_that_others_use_meanwhile_stays),
                WITH_FOLDER(folders_above_a_missing_one_are_not_made),
                WITH_FOLDER(a_link_stays_and_the_file_that_it_names_changes),
                WITH_FOLDER(a_link_to_nothing_gets_its_file),
                WITH_FOLDER(links_in_a_circle_are_a_failure),
                WITH_FOLDER(what_is_no_file_is_left_alone),
                WITH_FOLDER(a_removed_file_comes_back_with_undo),
                WITH_FOLDER(of_a_link_the_link_itself_is_removed),
                WITH_FOLDER(nothing_to_remove_is_no_failure),
                WITH_FOLDER(a_change_that_was_none_has_nothing_to_give_back),
                WITH_FOLDER(what_a_killed_run_has_left_is_replaced),
                WITH_FOLDER(a_file_is_removed_although_a_killed_run_has_left_its_second_name),
                WITH_FOLDER(an_old_second_name_does_not_outlive_a_new_file),
                WITH_FOLDER(tidy_takes_away_what_was_left_and_nothing_else),
                WITH_FOLDER(a_full_disk_changes_nothing),
                WITH_FOLDER(undo_needs_no_room_on_the_disk),
                WITH_FOLDER(a_read_only_folder_is_a_failure),
                WITH_FOLDER(killed_at_any_moment_the_file_is_the_old_or_the_new_one_and_a_second_run_completes_it),
        };

        return RUN_TESTS(tests);
}
