/* SPDX-License-Identifier: Apache-2.0 */

/* From /proc/self alone, which its service may see (ProcSubset=pid hides the rest). What cannot be read is left out. */

#include "process-metrics.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/time.h>

static uint64_t to_usec(struct timeval time) {
        return (uint64_t) time.tv_sec * USEC_PER_SEC + (uint64_t) time.tv_usec;
}

static void write_cpu(Exposition *exposition) {
        struct rusage usage;

        if (getrusage(RUSAGE_SELF, &usage) < 0)
                return;
        exposition_family(exposition, "process_cpu_seconds_total", "counter", "CPU time of the agent itself.");
        exposition_seconds(exposition, NULL, to_usec(usage.ru_utime) + to_usec(usage.ru_stime));
}

static void write_memory(Exposition *exposition) {
        FILE *file = fopen("/proc/self/statm", "re");
        unsigned long long virtual_pages, resident_pages;
        uint64_t page = (uint64_t) sysconf(_SC_PAGESIZE);
        int n;

        if (!file)
                return;
        n = fscanf(file, "%llu %llu", &virtual_pages, &resident_pages); /* NOLINT(cert-err34-c): the kernel's */
        (void) fclose(file);
        if (n != 2)
                return;
        exposition_gauge(exposition, "process_virtual_memory_bytes", "Address space of the agent.",
                         virtual_pages * page);
        exposition_gauge(exposition, "process_resident_memory_bytes", "Resident memory of the agent.",
                         resident_pages * page);
}

static void write_files(Exposition *exposition) {
        DIR *folder = opendir("/proc/self/fd");
        const struct dirent *entry;
        struct rlimit most;
        uint64_t count = 0;

        if (!folder)
                return;
        while ((entry = readdir(folder)))
                count += entry->d_name[0] != '.';
        (void) closedir(folder);
        count--; /* the folder's own */
        exposition_gauge(exposition, "process_open_fds", "Open file descriptors of the agent.", count);
        if (getrlimit(RLIMIT_NOFILE, &most) == 0)
                exposition_gauge(exposition, "process_max_fds", "Most file descriptors that the agent may have open.",
                                 most.rlim_cur);
}

void process_metrics_write(Exposition *exposition, uint64_t started_usec) {
        write_cpu(exposition);
        write_memory(exposition);
        write_files(exposition);
        exposition_family(exposition, "process_start_time_seconds", "gauge",
                          "When the agent was started, in seconds since 1970.");
        exposition_seconds(exposition, NULL, started_usec);
}
