/* SPDX-License-Identifier: MIT */
/* What a test of the pure C parts needs: checks, a way to run test functions, random numbers, short waits.
 *
 * A test file is one .c file named test_*.c with a main() that calls RUN() for each test function and ends with
 * `return check_done();`. Its second line names the files of native/ that it is linked with: `// links: hw_a.c hw_b.c`.
 * tests/native/run.py finds, builds and runs it; nothing has to be registered. Checks may be made on any thread. */
#ifndef CHECK_H
#define CHECK_H

#include <dirent.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static _Atomic int check_failures;       /* of the test that runs */
static int check_tests_failed;           /* main thread */
static bool (*check_after)(void) = NULL; /* runs after each test; false fails it; main thread */

/* Notes a failure and goes on, so that threads still get joined. */
#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            check_fail(__FILE__, __LINE__, #condition);                                                                \
        }                                                                                                              \
    } while (0)

/* The same for two integers, with both values in the message. */
#define CHECK_EQ(actual, expected)                                                                                     \
    do {                                                                                                               \
        intmax_t check_a = (intmax_t)(actual), check_e = (intmax_t)(expected);                                         \
        if (check_a != check_e) {                                                                                      \
            check_fail(__FILE__, __LINE__, #actual " == " #expected);                                                  \
            fprintf(stderr, "    it is %jd, expected %jd\n", check_a, check_e);                                        \
        }                                                                                                              \
    } while (0)

/* Runs one test function and prints its result in the form that run.py counts. */
#define RUN(test) check_run(#test, test)

static inline void check_fail(const char *file, int line, const char *what)
{
    atomic_fetch_add(&check_failures, 1);
    fprintf(stderr, "  %s:%d: failed: %s\n", file, line, what);
}

static inline void check_run(const char *name, void (*test)(void))
{
    atomic_store(&check_failures, 0);
    test();
    if (check_after != NULL && !check_after()) {
        atomic_fetch_add(&check_failures, 1);
    }
    bool failed = atomic_load(&check_failures) != 0;
    check_tests_failed += failed;
    printf("%s %s\n", failed ? "not ok" : "ok", name);
    fflush(stdout);
}

static inline int check_done(void)
{
    return check_tests_failed == 0 ? 0 : 1;
}

static inline int64_t check_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline void check_pause_ns(int64_t duration_ns)
{
    struct timespec duration = {.tv_sec = duration_ns / 1000000000, .tv_nsec = duration_ns % 1000000000};
    nanosleep(&duration, NULL);
}

/* Waits until the condition holds, ten seconds at most; false when it never did. */
static inline bool check_eventually(bool (*condition)(void))
{
    for (int i = 0; i < 10000; i++) {
        if (condition()) {
            return true;
        }
        check_pause_ns(1000000);
    }
    return condition();
}

/* Random numbers that are the same in every run (xorshift64*); *state must not be 0. */
static inline uint64_t check_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

/* Number of open descriptors, without the one that looks. */
static inline int check_open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL) {
        return 0;
    }
    int count = -3; /* ".", "..", and the folder's own */
    while (readdir(dir) != NULL) {
        count++;
    }
    closedir(dir);
    return count;
}

#endif
