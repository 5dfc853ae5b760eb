/* SPDX-License-Identifier: MIT */
/* Log records on their way from PHP threads to Python's logging: a bounded list and one reader that waits for it.
 * A full list drops the new record and counts it; the reader is told how many were lost.
 * Pure C: includes neither php.h nor Python.h. */
#ifndef HW_LOG_H
#define HW_LOG_H

#include "hw_config.h"

/* Levels of frankenphp_log(), which are those of Go's slog; any integer is allowed. */
#define HW_LOG_DEBUG (-4)
#define HW_LOG_INFO  0
#define HW_LOG_WARN  4
#define HW_LOG_ERROR 8

typedef struct hw_log_record {
    struct hw_log_record *next;
    int level;
    int slot;            /* of the PHP thread, -1 = another one */
    uint64_t request_id; /* 0 = outside a request */
    double time_s;
    size_t message_len;
    size_t context_len; /* JSON object, or nothing */
    size_t site_len;    /* document root, or nothing */
    char text[];        /* message, then context, then site */
} hw_log_record_t;

/* What the records of this thread say about where they come from, until the next call.
 * Thread: php. Locks: none. Owns: borrows the site's text until then. Fails: never. */
HW_HIDDEN void hw_log_set_origin(int slot, hw_str_t site);

/* Adds a record. Thread: any. Locks: takes the log's. Owns: copies. Fails: silently, counted. */
HW_HIDDEN void hw_log_put(int level, uint64_t request_id, hw_str_t message, hw_str_t context);

/* The same from a format. Thread: any. Locks: takes the log's. Owns: copies. Fails: silently, counted. */
HW_HIDDEN void hw_log_printf(int level, uint64_t request_id, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Records below this level are not put at all. Thread: any. Locks: none. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_log_set_level(int level);
HW_HIDDEN bool hw_log_enabled(int level);

/* Writes records to standard error at once instead of keeping them: what the child of a fork says would be lost
 * otherwise (OPcache preloads in one when it runs as root).
 * Thread: before the engine starts. Locks: none. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_log_set_direct(void);

/* Takes all records; waits at most timeout_ns for the first one (0 = not at all).
 * Thread: the reader, without the GIL when it waits. Locks: takes the log's. Owns: list passes to the caller (free
 * each). Fails: NULL when there is none. *lost gets the number of dropped records since the last call. */
HW_HIDDEN hw_log_record_t *hw_log_take(int64_t timeout_ns, uint64_t *lost);

/* Wakes the reader for good: hw_log_take no longer waits. hw_log_open undoes it.
 * Thread: any. Locks: takes the log's. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_log_close(void);
HW_HIDDEN void hw_log_open(void);

#endif
