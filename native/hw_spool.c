/* SPDX-License-Identifier: MIT */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "hw_spool.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Closing costs about 60 us per MiB of page cache; from this size on another thread pays for it. */
#define CLOSE_ELSEWHERE_BYTES ((uint64_t)32 * 1024 * 1024)
#define DEFAULT_DIR           "/tmp"

/* Written by hw_spool_configure() before any body exists, constant afterwards. */
static struct {
    char dir[4096];
    size_t memory_total;
    uint64_t file_max;
    uint64_t file_total;
} limits = {DEFAULT_DIR, HW_SPOOL_MEMORY_BYTES, HW_SPOOL_FILE_BYTES, HW_SPOOL_TOTAL_BYTES};

/* Written by any thread; no order with other memory is needed, because each number only limits itself. */
static _Atomic size_t memory_bytes;
static _Atomic uint64_t file_bytes;
static _Atomic uint64_t files_open;
static _Atomic uint64_t files_made;
static _Atomic uint64_t errors;

int hw_spool_configure(const char *dir, size_t memory_total, uint64_t file_max, uint64_t file_total)
{
    if (dir == NULL || dir[0] == '\0') {
        dir = DEFAULT_DIR;
    }
    size_t len = strlen(dir);
    if (len + sizeof "/howdah-spool-XXXXXX" > sizeof limits.dir) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(limits.dir, dir, len + 1);
    limits.memory_total = memory_total;
    limits.file_max = file_max;
    limits.file_total = file_total;
    return 0;
}

/* -- budgets -- */

size_t hw_spool_memory_reserve(size_t want, size_t least)
{
    size_t used = atomic_load_explicit(&memory_bytes, memory_order_relaxed);
    size_t granted;
    do {
        size_t left = used < limits.memory_total ? limits.memory_total - used : 0;
        granted = want;
        while (granted > left && granted > least) {
            granted = granted / 2 > least ? granted / 2 : least;
        }
        if (granted > left) {
            return 0;
        }
    } while (!atomic_compare_exchange_weak_explicit(&memory_bytes, &used, used + granted, memory_order_relaxed,
                                                    memory_order_relaxed));
    return granted;
}

void hw_spool_memory_force(size_t size)
{
    atomic_fetch_add_explicit(&memory_bytes, size, memory_order_relaxed);
}

void hw_spool_memory_release(size_t size)
{
    atomic_fetch_sub_explicit(&memory_bytes, size, memory_order_relaxed);
}

uint64_t hw_spool_file_reserve(uint64_t in_use, uint64_t want)
{
    uint64_t own = in_use < limits.file_max ? limits.file_max - in_use : 0;
    uint64_t used = atomic_load_explicit(&file_bytes, memory_order_relaxed);
    uint64_t granted;
    do {
        uint64_t left = used < limits.file_total ? limits.file_total - used : 0;
        granted = want < own ? want : own;
        granted = granted < left ? granted : left;
        if (granted == 0) {
            return 0;
        }
    } while (!atomic_compare_exchange_weak_explicit(&file_bytes, &used, used + granted, memory_order_relaxed,
                                                    memory_order_relaxed));
    return granted;
}

void hw_spool_file_release(uint64_t size)
{
    atomic_fetch_sub_explicit(&file_bytes, size, memory_order_relaxed);
}

void hw_spool_stats(hw_spool_stats_t *stats)
{
    stats->memory_bytes = atomic_load_explicit(&memory_bytes, memory_order_relaxed);
    stats->file_bytes = atomic_load_explicit(&file_bytes, memory_order_relaxed);
    stats->files_open = atomic_load_explicit(&files_open, memory_order_relaxed);
    stats->files_made = atomic_load_explicit(&files_made, memory_order_relaxed);
    stats->errors = atomic_load_explicit(&errors, memory_order_relaxed);
}

/* -- files -- */

static int open_unlinked(const char *dir)
{
#ifdef O_TMPFILE
    int fd = open(dir, O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    /* Not every file system has it: NFS and older overlays say EOPNOTSUPP, old kernels EISDIR or EINVAL. */
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) {
        return fd;
    }
#endif
    char path[sizeof limits.dir + sizeof "/howdah-spool-XXXXXX"];
    snprintf(path, sizeof path, "%s/howdah-spool-XXXXXX", dir);
    int named = mkostemp(path, O_CLOEXEC);
    if (named >= 0) {
        unlink(path);
    }
    return named;
}

static int punch_hole(int fd, off_t from, off_t len)
{
#ifdef FALLOC_FL_PUNCH_HOLE
    return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from, len);
#else
    errno = ENOSYS;
    return -1;
#endif
}

hw_spool_calls_t hw_spool_calls = {pwrite, pread, open_unlinked, punch_hole};

static void count_error(void)
{
    atomic_fetch_add_explicit(&errors, 1, memory_order_relaxed);
}

int hw_spool_file_open(void)
{
    int fd = hw_spool_calls.open(limits.dir);
    if (fd < 0) {
        int error = errno;
        count_error();
        errno = error;
        return -1;
    }
    atomic_fetch_add_explicit(&files_open, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&files_made, 1, memory_order_relaxed);
    return fd;
}

typedef struct {
    int fd;
    uint64_t in_use;
} closing_t;

static void close_now(closing_t item)
{
    close(item.fd);
    hw_spool_file_release(item.in_use);
    atomic_fetch_sub_explicit(&files_open, 1, memory_order_relaxed);
}

static void *closing_thread(void *argument)
{
    closing_t item = *(closing_t *)argument;
    free(argument);
    close_now(item);
    return NULL;
}

/* The thread must not take signals that the program waits for in others. */
static bool start_closing_thread(closing_t *item)
{
    sigset_t all, before;
    pthread_attr_t attributes;
    pthread_t thread;
    sigfillset(&all);
    if (pthread_attr_init(&attributes) != 0) {
        return false;
    }
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&thread, &attributes, closing_thread, item);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return error == 0;
}

void hw_spool_file_close(int fd, uint64_t in_use)
{
    closing_t here = {fd, in_use};
    if (in_use >= CLOSE_ELSEWHERE_BYTES) {
        closing_t *item = malloc(sizeof *item);
        if (item != NULL) {
            *item = here;
            if (start_closing_thread(item)) {
                return;
            }
            free(item);
        }
    }
    close_now(here);
}

size_t hw_spool_file_write(int fd, const char *data, size_t len, uint64_t at, int *error)
{
    size_t done = 0;
    *error = 0;
    while (done < len) {
        ssize_t n = hw_spool_calls.pwrite(fd, data + done, len - done, (off_t)(at + done));
        if (n > 0) {
            done += (size_t)n;
        } else if (n == 0 || errno != EINTR) {
            *error = n == 0 ? EIO : errno;
            count_error();
            break;
        }
    }
    return done;
}

size_t hw_spool_file_read(int fd, char *into, size_t len, uint64_t at, int *error)
{
    size_t done = 0;
    *error = 0;
    while (done < len) {
        ssize_t n = hw_spool_calls.pread(fd, into + done, len - done, (off_t)(at + done));
        if (n > 0) {
            done += (size_t)n;
        } else if (n == 0 || errno != EINTR) {
            *error = n == 0 ? 0 : errno;
            count_error();
            break;
        }
    }
    return done;
}

bool hw_spool_file_punch(int fd, uint64_t from, uint64_t len)
{
    int result;
    do {
        result = hw_spool_calls.punch(fd, (off_t)from, (off_t)len);
    } while (result != 0 && errno == EINTR);
    return result == 0;
}
