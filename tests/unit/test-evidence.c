/* SPDX-License-Identifier: Apache-2.0 */

/* The judgement on which the first promise rests: evidence of real kernels, and of kernels that lack one sign each. */

#include "buffer.h"
#include "evidence.h"
#include "unit.h"

#include <errno.h>
#include <stdio.h>

#define GVISOR_VERSION "#1 SMP Sun Jan 10 15:06:54 PST 2016"
#define HOST_RELEASE "6.1.0-41-amd64"

/* As runsc 0.0~20221219 (Debian 12) answered. */
static const Evidence old_gvisor = {
        .guest = "0.1.0",
        .sysname = "Linux",
        .release = "4.4.0",
        .version = GVISOR_VERSION,
        .machine = "x86_64",
        .proc_version = "Linux version 4.4.0 " GVISOR_VERSION,
        .klog = "Starting gVisor...",
};

/* As runsc answers since 2026-04. */
static const Evidence new_gvisor = {
        .guest = "0.1.0",
        .sysname = "Linux",
        .release = "4.19.0-gvisor",
        .version = GVISOR_VERSION,
        .machine = "aarch64",
        .proc_version = "Linux version 4.19.0-gvisor " GVISOR_VERSION,
        .klog = "Starting gVisor...",
};

/* A Debian 12 under runc, which hides the kernel's log; and with the log. */
static const Evidence host = {
        .guest = "0.1.0",
        .sysname = "Linux",
        .release = HOST_RELEASE,
        .version = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.158-1 (2025-11-09)",
        .machine = "x86_64",
        .proc_version = "Linux version " HOST_RELEASE " (debian-kernel@lists.debian.org) (gcc-12 (Debian 12.2.0-14"
                        "+deb12u1) 12.2.0, GNU ld (GNU Binutils for Debian) 2.40) #1 SMP PREEMPT_DYNAMIC Debian "
                        "6.1.158-1 (2025-11-09)",
        .klog = "",
};

/* ---- the judgement ---- */

TEST(real_gvisor_is_believed) {
        assert_null(evidence_not_gvisor(&old_gvisor, HOST_RELEASE));
        assert_null(evidence_not_gvisor(&new_gvisor, HOST_RELEASE));
        assert_null(evidence_not_gvisor(&old_gvisor, NULL));
}

TEST(a_real_host_is_not_believed) {
        Evidence with_log = host;

        assert_non_null(evidence_not_gvisor(&host, HOST_RELEASE));
        (void) snprintf(with_log.klog, sizeof(with_log.klog), "Linux version " HOST_RELEASE);
        assert_non_null(evidence_not_gvisor(&with_log, HOST_RELEASE));
        assert_non_null(evidence_not_gvisor(&with_log, NULL));
}

TEST(no_evidence_at_all_is_not_believed) {
        const Evidence nothing = {0};

        assert_non_null(evidence_not_gvisor(&nothing, NULL));
        assert_non_null(evidence_not_gvisor(&nothing, ""));
}

/* What a kernel would say that has all signs but one; reason is a word of the verdict. */
TEST(each_sign_alone_is_missed) {
        static const struct {
                size_t offset;
                const char *value, *reason;
        } cases[] = {
                {offsetof(Evidence, klog), "", "kernel log"},
                {offsetof(Evidence, klog), "Linux version 4.4.0", "kernel log"},
                {offsetof(Evidence, klog), " Starting gVisor...", "kernel log"},
                {offsetof(Evidence, klog), "starting gvisor...", "kernel log"},
                {offsetof(Evidence, klog), "Starting gVis", "kernel log"},
                {offsetof(Evidence, release), HOST_RELEASE, "release"},
                {offsetof(Evidence, release), "", "release"},
                {offsetof(Evidence, release), "4.4.0-210-generic", "release"},
                {offsetof(Evidence, release), "4.4", "release"},
                {offsetof(Evidence, release), "14.4.0", "release"},
                {offsetof(Evidence, release), "gvisor", "release"},
                {offsetof(Evidence, release), "4.19.0-gvisor2", "release"},
                {offsetof(Evidence, version), "", "version"},
                {offsetof(Evidence, version), "#1 SMP PREEMPT_DYNAMIC Debian 6.1.158-1 (2025-11-09)", "version"},
                {offsetof(Evidence, version), GVISOR_VERSION " ", "version"},
                {offsetof(Evidence, version), "#1 SMP Sun Jan 10 15:06:54 PST 2017", "version"},
                {offsetof(Evidence, proc_version), "", "/proc/version"},
                {offsetof(Evidence, proc_version), "Linux version 4.4.0", "/proc/version"},
                {offsetof(Evidence, proc_version), "Linux version 6.1.0 " GVISOR_VERSION, "/proc/version"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                Evidence evidence = old_gvisor;
                const char *verdict;

                (void) snprintf((char *) &evidence + cases[i].offset, EVIDENCE_VALUE_MAX + 1, "%s", cases[i].value);
                verdict = evidence_not_gvisor(&evidence, HOST_RELEASE);
                assert_case(verdict, "believed: case %zu, \"%s\"", i, cases[i].value);
                assert_contains(verdict, cases[i].reason);
        }
}

TEST(a_kernel_that_is_the_hosts_own_is_not_believed) {
        assert_contains(evidence_not_gvisor(&old_gvisor, "4.4.0"), "host's own");
        assert_contains(evidence_not_gvisor(&new_gvisor, "4.19.0-gvisor"), "host's own");
        assert_null(evidence_not_gvisor(&old_gvisor, "4.4.0-210-generic"));
}

/* ---- parsing ---- */

#define LINES_BEFORE_KLOG                                                                         \
        "guest=0.1.0\nsysname=Linux\nrelease=4.4.0\nversion=" GVISOR_VERSION "\nmachine=x86_64\n" \
        "proc_version=Linux version 4.4.0 " GVISOR_VERSION "\n"
#define LINES LINES_BEFORE_KLOG "klog=Starting gVisor...\n"

static int parse(const void *lines, size_t size, Evidence *ret_evidence) {
        /* On the heap, where sanitizers see a read beyond its end. */
        CLEANUP_FREE void *copy = malloc(size + 1);

        assert_non_null(copy);
        memcpy(copy, lines, size);
        return evidence_parse(copy, size, ret_evidence);
}

TEST(the_lines_of_ready_are_read) {
        Evidence evidence;

        memset(&evidence, 'x', sizeof(evidence));
        assert_int_equal(parse(LINES, strlen(LINES), &evidence), 0);
        assert_string_equal(evidence.guest, old_gvisor.guest);
        assert_string_equal(evidence.sysname, old_gvisor.sysname);
        assert_string_equal(evidence.release, old_gvisor.release);
        assert_string_equal(evidence.version, old_gvisor.version);
        assert_string_equal(evidence.machine, old_gvisor.machine);
        assert_string_equal(evidence.proc_version, old_gvisor.proc_version);
        assert_string_equal(evidence.klog, old_gvisor.klog);
}

TEST(order_empty_values_and_equals_signs_do_not_matter) {
        static const char lines[] =
                "klog=\nmachine=a=b==\nproc_version= \nversion=\xe2\x82\xac\nrelease=r\nsysname=\nguest=\n";
        Evidence evidence;

        assert_int_equal(parse(lines, strlen(lines), &evidence), 0);
        assert_string_equal(evidence.klog, "");
        assert_string_equal(evidence.machine, "a=b==");
        assert_string_equal(evidence.proc_version, " ");
        assert_string_equal(evidence.version, "\xe2\x82\xac");
}

static void assert_refused(const char *why, const void *lines, size_t size) {
        Evidence evidence;

        memset(&evidence, 'x', sizeof(evidence));
        assert_case(parse(lines, size, &evidence) == -EBADMSG, "taken: %s", why);
        for (size_t i = 0; i < sizeof(evidence); i++)
                assert_case(((const char *) &evidence)[i] == 'x', "written to: %s", why);
}

TEST(lines_that_break_the_protocol_are_refused_and_write_nothing) {
        static const struct {
                const char *why, *lines;
        } cases[] = {
                {"nothing", ""},
                {"an empty line", "\n" LINES},
                {"an empty line at the end", LINES "\n"},
                {"a missing key", LINES_BEFORE_KLOG},
                {"the last line without LF", LINES_BEFORE_KLOG "klog=Starting gVisor..."},
                {"a key twice", LINES "klog=Starting gVisor...\n"},
                {"a key twice, differently", "release=x\n" LINES},
                {"an unknown key", LINES "more=x\n"},
                {"an unknown key with an empty name", LINES "=x\n"},
                {"a key in capitals", LINES_BEFORE_KLOG "KLOG=x\n"},
                {"a key with a space", LINES_BEFORE_KLOG "klog =x\n"},
                {"a key that begins another", LINES_BEFORE_KLOG "klo=x\n"},
                {"a line without =", LINES_BEFORE_KLOG "klog\n"},
                {"CR", LINES_BEFORE_KLOG "klog=x\r\n"},
                {"a tab", LINES_BEFORE_KLOG "klog=a\tb\n"},
                {"an escape", LINES_BEFORE_KLOG "klog=\x1b[2J\n"},
                {"DEL", LINES_BEFORE_KLOG "klog=\x7f\n"},
                {"bytes that are no UTF-8", LINES_BEFORE_KLOG "klog=\xff\n"},
                {"a cut character", LINES_BEFORE_KLOG "klog=\xe2\x82\n"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                assert_refused(cases[i].why, cases[i].lines, strlen(cases[i].lines));
        assert_refused("a NUL in a value", LINES_BEFORE_KLOG "klog=a\0b\n",
                       sizeof(LINES_BEFORE_KLOG "klog=a\0b\n") - 1);
        assert_refused("a NUL at the end", LINES, sizeof(LINES));
}

TEST(a_value_of_512_bytes_fits_and_513_do_not) {
        for (size_t size = EVIDENCE_VALUE_MAX; size <= EVIDENCE_VALUE_MAX + 1; size++) {
                Buffer lines = BUFFER_INIT(4096);
                Evidence evidence;

                assert_int_equal(buffer_append_format(&lines, "%sklog=%0*d\n", LINES_BEFORE_KLOG, (int) size, 0), 0);
                if (size == EVIDENCE_VALUE_MAX) {
                        assert_int_equal(parse(lines.data, lines.size, &evidence), 0);
                        assert_int_equal(strlen(evidence.klog), size);
                } else {
                        assert_refused("a value of 513 bytes", lines.data, lines.size);
                }
                buffer_deinit(&lines);
        }
}

TEST(every_cut_of_the_lines_is_refused) {
        for (size_t size = 0; size < strlen(LINES); size++)
                assert_refused("a cut", LINES, size);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(real_gvisor_is_believed),
                cmocka_unit_test(a_real_host_is_not_believed),
                cmocka_unit_test(no_evidence_at_all_is_not_believed),
                cmocka_unit_test(each_sign_alone_is_missed),
                cmocka_unit_test(a_kernel_that_is_the_hosts_own_is_not_believed),
                cmocka_unit_test(the_lines_of_ready_are_read),
                cmocka_unit_test(order_empty_values_and_equals_signs_do_not_matter),
                cmocka_unit_test(lines_that_break_the_protocol_are_refused_and_write_nothing),
                cmocka_unit_test(a_value_of_512_bytes_fits_and_513_do_not),
                cmocka_unit_test(every_cut_of_the_lines_is_refused),
        };

        return RUN_TESTS(tests);
}
