/* SPDX-License-Identifier: MIT */
/* Shared by the tests of body and spool: a pattern by which any byte can be checked alone, limits, and what must hold
 * after each test. */
#ifndef BODY_SUPPORT_H
#define BODY_SUPPORT_H

#include <string.h>

#include "check.h"
#include "hw_body.h"
#include "hw_spool.h"

#define KIB ((size_t)1024)
#define MIB ((size_t)1024 * 1024)
#define MS  ((int64_t)1000 * 1000)

static int fds_before;
static hw_spool_calls_t real_calls;

/* The byte that belongs at a position of the stream; neighbours and pages differ. */
static inline char pattern(uint64_t position)
{
    return (char)(position * 131 + (position >> 8) * 29 + (position >> 16) * 7);
}

static inline void fill(char *into, uint64_t from, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        into[i] = pattern(from + i);
    }
}

static inline bool matches(const char *data, uint64_t from, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (data[i] != pattern(from + i)) {
            fprintf(stderr, "    byte %" PRIu64 " is wrong\n", from + i);
            return false;
        }
    }
    return true;
}

static inline void use_limits(size_t memory_total, uint64_t file_max, uint64_t file_total)
{
    CHECK_EQ(hw_spool_configure(getenv("TMPDIR"), memory_total, file_max, file_total), 0);
}

static inline void use_default_limits(void)
{
    use_limits(HW_SPOOL_MEMORY_BYTES, HW_SPOOL_FILE_BYTES, HW_SPOOL_TOTAL_BYTES);
}

/* Writes pattern bytes that must all be taken. */
static inline void put(hw_body_t *body, uint64_t from, size_t len, size_t memory_limit)
{
    char *data = malloc(len);
    size_t accepted = 0;
    fill(data, from, len);
    CHECK_EQ(hw_body_write(body, data, len, memory_limit, 0, &accepted), HW_BODY_OK);
    CHECK_EQ(accepted, len);
    free(data);
}

/* Offers pattern bytes; gives how many were taken. */
static inline size_t offer(hw_body_t *body, uint64_t from, size_t len, size_t memory_limit, size_t hard_limit)
{
    char *data = malloc(len);
    size_t accepted = 0;
    fill(data, from, len);
    hw_body_result_t result = hw_body_write(body, data, len, memory_limit, hard_limit, &accepted);
    CHECK_EQ(result, accepted == len ? HW_BODY_OK : HW_BODY_WOULD_WAIT);
    free(data);
    return accepted;
}

/* Reads bytes that must be there and be right. */
static inline void get(hw_body_t *body, uint64_t from, size_t len)
{
    char *data = malloc(len);
    CHECK_EQ(hw_body_read(body, data, len), len);
    CHECK(matches(data, from, len));
    free(data);
}

static inline hw_spool_stats_t stats(void)
{
    hw_spool_stats_t now;
    hw_spool_stats(&now);
    return now;
}

static inline hw_body_info_t info(hw_body_t *body)
{
    hw_body_info_t now;
    hw_body_info(body, &now);
    return now;
}

static inline bool nothing_is_held(void)
{
    hw_spool_stats_t now = stats();
    return now.memory_bytes == 0 && now.file_bytes == 0 && now.files_open == 0 && check_open_fds() == fds_before;
}

/* Large files are closed by another thread, so this may take a moment. */
static inline bool everything_was_given_back(void)
{
    hw_spool_calls = real_calls;
    bool clean = check_eventually(nothing_is_held);
    if (!clean) {
        hw_spool_stats_t now = stats();
        fprintf(stderr, "    left: %zu memory, %" PRIu64 " disk, %" PRIu64 " files, %d descriptors\n", now.memory_bytes,
                now.file_bytes, now.files_open, check_open_fds() - fds_before);
    }
    return clean;
}

static inline void prepare_body_tests(void)
{
    fds_before = check_open_fds();
    real_calls = hw_spool_calls;
    check_after = everything_was_given_back;
}

#endif
