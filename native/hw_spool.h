/* SPDX-License-Identifier: MIT */
/* What all spools of the process share: a budget of memory, a budget of disk, and the making of unlinked files.
 *
 * The budgets are plain atomics, so that no spool waits for another. Memory is counted by the capacity of chunks,
 * disk by the bytes that a file occupies (written, and not given back by punching holes). A limit is never exceeded,
 * with one exception: hw_spool_memory_force(), by which a body that holds nothing gets its first few KiB.
 * Pure C: includes neither php.h nor Python.h. */
#ifndef HW_SPOOL_H
#define HW_SPOOL_H

#include <sys/types.h>

#include "hw_config.h"

/* Sets folder and limits; the defaults are /tmp and the HW_SPOOL_* constants of hw_config.h. `dir` NULL or "" is /tmp.
 * Thread: main, before any body exists. Locks: none. Owns: copies dir.
 * Fails: -1 and errno ENAMETOOLONG; whether the folder can be used shows when the first file is made. */
HW_HIDDEN int hw_spool_configure(const char *dir, size_t memory_total, uint64_t file_max, uint64_t file_total);

/* Takes memory from the process's budget: `want` bytes, or less (half, a quarter ...) but at least `least`.
 * Thread: any. Locks: none. Owns: what is granted must be released. Fails: 0 when not even `least` is left. */
HW_HIDDEN size_t hw_spool_memory_reserve(size_t want, size_t least);

/* Takes memory even beyond the budget.
 * Thread: any. Locks: none. Owns: must be released. Fails: never. */
HW_HIDDEN void hw_spool_memory_force(size_t size);

/* Thread: any. Locks: none. Owns: gives back what was granted. Fails: never. */
HW_HIDDEN void hw_spool_memory_release(size_t size);

/* Takes disk space for one file that occupies `in_use` bytes already: `want` bytes, or what the limits leave.
 * Thread: any. Locks: none. Owns: what is granted must be released. Fails: 0 when a limit is reached. */
HW_HIDDEN uint64_t hw_spool_file_reserve(uint64_t in_use, uint64_t want);

/* Thread: any. Locks: none. Owns: gives back what was granted. Fails: never. */
HW_HIDDEN void hw_spool_file_release(uint64_t size);

/* A new empty file without a name in the spool folder, closed on exec.
 * Thread: any. Locks: none. Owns: caller closes by hw_spool_file_close. Fails: -1 and errno; counted as an error. */
HW_HIDDEN int hw_spool_file_open(void);

/* Closes the file; one that occupies much is closed by a thread of its own, because the kernel frees its pages within
 * close(), and the event loop would stand still meanwhile.
 * Thread: any. Locks: none. Owns: steals fd, and releases `in_use` bytes of disk. Fails: never. */
HW_HIDDEN void hw_spool_file_close(int fd, uint64_t in_use);

/* pwrite/pread until everything is done, the file ends or an error occurs; a signal does not end them.
 * Thread: any. Locks: none. Owns: nothing. Fails: fewer bytes than `len`, then *error is the errno (0 = end of
 * the file); counted as an error. */
HW_HIDDEN size_t hw_spool_file_write(int fd, const char *data, size_t len, uint64_t at, int *error);
HW_HIDDEN size_t hw_spool_file_read(int fd, char *into, size_t len, uint64_t at, int *error);

/* Gives the disk space of a range back to the file system and to nobody's budget: the caller releases it.
 * Thread: any. Locks: none. Owns: nothing. Fails: false where the file system cannot; the range is then kept. */
HW_HIDDEN bool hw_spool_file_punch(int fd, uint64_t from, uint64_t len);

typedef struct {
    size_t memory_bytes; /* capacity of all chunks */
    uint64_t file_bytes; /* disk space of all files */
    uint64_t files_open;
    uint64_t files_made; /* since the process started */
    uint64_t errors;     /* files not made, reads and writes that failed; since the process started */
} hw_spool_stats_t;

/* Each number is right by itself; together they may be of slightly different moments.
 * Thread: any. Locks: none. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_spool_stats(hw_spool_stats_t *stats);

/* The system calls, so that a test can make them fail. Nothing else writes it.
 * Thread: written by the test's main thread while no body exists. */
typedef struct {
    ssize_t (*pwrite)(int fd, const void *data, size_t len, off_t at);
    ssize_t (*pread)(int fd, void *into, size_t len, off_t at);
    int (*open)(const char *dir);
    int (*punch)(int fd, off_t from, off_t len);
} hw_spool_calls_t;

HW_HIDDEN extern hw_spool_calls_t hw_spool_calls;

#endif
