/* SPDX-License-Identifier: MIT */
// links: hw_body.c hw_body_consumer.c hw_body_producer.c hw_spool.c hw_port.c
/* Files of bodies: disk full, folders that cannot be used, holes, errors while reading, large files. */
#include "body_support.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

static uint64_t disk_left; /* of the disk that pwrite_small_disk() pretends */
static int interruptions;

static ssize_t pwrite_small_disk(int fd, const void *data, size_t len, off_t at)
{
    if (disk_left == 0) {
        errno = ENOSPC;
        return -1;
    }
    ssize_t n = pwrite(fd, data, len < disk_left ? len : disk_left, at);
    disk_left -= (uint64_t)n;
    return n;
}

static ssize_t pwrite_interrupted(int fd, const void *data, size_t len, off_t at)
{
    if (interruptions++ % 2 == 0) {
        errno = EINTR;
        return -1;
    }
    return pwrite(fd, data, len < 1000 ? len : 1000, at);
}

static ssize_t pread_interrupted(int fd, void *into, size_t len, off_t at)
{
    if (interruptions++ % 2 == 0) {
        errno = EINTR;
        return -1;
    }
    return pread(fd, into, len < 777 ? len : 777, at);
}

static ssize_t pread_broken(int fd, void *into, size_t len, off_t at)
{
    errno = EIO;
    return -1;
}

static ssize_t pread_short(int fd, void *into, size_t len, off_t at)
{
    return at >= 10 ? 0 : pread(fd, into, len < 10 ? len : 10, at);
}

static int punch_refused(int fd, off_t from, off_t len)
{
    errno = EOPNOTSUPP;
    return -1;
}

static void full_disk_makes_the_producer_wait_and_is_remembered(void)
{
    use_default_limits();
    hw_spool_calls.pwrite = pwrite_small_disk;
    disk_left = 30 * KIB;
    uint64_t errors = stats().errors;
    hw_body_t *body = hw_body_new();
    CHECK_EQ(offer(body, 0, 100 * KIB, 20 * KIB, 0), 50 * KIB);
    CHECK_EQ(info(body).last_errno, ENOSPC);
    CHECK(stats().errors > errors);
    CHECK_EQ(stats().file_bytes, 30 * KIB);
    CHECK_EQ(offer(body, 50 * KIB, 10, 20 * KIB, 0), 0);
    /* The client reads everything: memory is free again although the disk is not. */
    get(body, 0, 50 * KIB);
    CHECK_EQ(hw_body_wait_space(body, -1), HW_BODY_OK);
    put(body, 50 * KIB, 20 * KIB, 20 * KIB);
    get(body, 50 * KIB, 20 * KIB);
    disk_left = MIB;
    put(body, 70 * KIB, 60 * KIB, 20 * KIB);
    get(body, 70 * KIB, 60 * KIB);
    hw_body_free(body);
}

static void file_size_limit_of_the_process_is_an_error_not_the_end(void)
{
    use_default_limits();
    struct rlimit before, small = {64 * KIB, 0};
    getrlimit(RLIMIT_FSIZE, &before);
    small.rlim_max = before.rlim_max;
    /* PHP threads block this signal, Python ignores it. */
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    hw_body_t *body = hw_body_new();
    CHECK_EQ(offer(body, 0, 200 * KIB, 0, 0), 64 * KIB);
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, handler);
    CHECK_EQ(info(body).last_errno, EFBIG);
    get(body, 0, 64 * KIB);
    hw_body_free(body);
}

static void interrupted_and_partial_calls_are_continued(void)
{
    use_default_limits();
    hw_spool_calls.pwrite = pwrite_interrupted;
    hw_spool_calls.pread = pread_interrupted;
    hw_body_t *body = hw_body_new();
    put(body, 0, 10 * KIB, 0);
    get(body, 0, 10 * KIB);
    CHECK_EQ(info(body).last_errno, 0);
    hw_body_free(body);
}

static void missing_folder_is_reported_and_memory_still_works(void)
{
    CHECK_EQ(hw_spool_configure("/nonexistent/spool", MIB, MIB, MIB), 0);
    hw_body_t *body = hw_body_new();
    CHECK_EQ(offer(body, 0, 100 * KIB, 20 * KIB, 0), 20 * KIB);
    CHECK_EQ(info(body).last_errno, ENOENT);
    CHECK_EQ(stats().file_bytes, 0);
    get(body, 0, 20 * KIB);
    put(body, 20 * KIB, 10 * KIB, 20 * KIB);
    get(body, 20 * KIB, 10 * KIB);
    hw_body_free(body);
}

static void folder_name_may_not_be_too_long(void)
{
    char name[5000];
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    errno = 0;
    CHECK_EQ(hw_spool_configure(name, 0, 0, 0), -1);
    CHECK_EQ(errno, ENAMETOOLONG);
    CHECK_EQ(hw_spool_configure(NULL, MIB, MIB, MIB), 0);
    int fd = hw_spool_file_open();
    CHECK(fd >= 0);
    hw_spool_file_close(fd, 0);
}

static void file_has_no_name_and_is_closed_on_exec(void)
{
    use_default_limits();
    int fd = hw_spool_file_open();
    CHECK(fd >= 0);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    char link[64], target[4200];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, target, sizeof target - 1);
    target[n < 0 ? 0 : n] = '\0';
    CHECK(strstr(target, "(deleted)") != NULL);
    hw_spool_file_close(fd, 0);
}

static void unreadable_file_cancels_the_body(void)
{
    use_default_limits();
    char data[100];
    hw_body_t *body = hw_body_new();
    put(body, 0, 100, 0);
    hw_body_end(body, true);
    hw_spool_calls.pread = pread_broken;
    CHECK_EQ(hw_body_read(body, data, sizeof data), 0);
    CHECK(info(body).cancelled && !info(body).complete);
    CHECK_EQ(info(body).last_errno, EIO);
    CHECK(nothing_is_held());
    hw_body_free(body);
}

static void file_that_ends_too_early_gives_what_is_right_and_cancels(void)
{
    use_default_limits();
    char data[100];
    hw_body_t *body = hw_body_new();
    put(body, 0, 100, 0);
    hw_spool_calls.pread = pread_short;
    CHECK_EQ(hw_body_read(body, data, sizeof data), 10);
    CHECK(matches(data, 0, 10));
    CHECK(info(body).cancelled);
    CHECK_EQ(info(body).last_errno, EIO);
    hw_body_free(body);
}

/* Streams 40 MiB through a file in which 2 MiB are unread at any time; gives the most disk that was used. */
static uint64_t stream_through_file(hw_body_t *body)
{
    uint64_t most = 0;
    put(body, 0, 2 * MIB, 0);
    for (uint64_t at = 0; at < 38 * MIB; at += MIB) {
        put(body, at + 2 * MIB, MIB, 0);
        most = stats().file_bytes > most ? stats().file_bytes : most;
        get(body, at, MIB);
    }
    get(body, 38 * MIB, 2 * MIB);
    return most;
}

static void what_was_read_gives_its_disk_back(void)
{
    use_limits(MIB, 12 * MIB, 12 * MIB);
    hw_body_t *body = hw_body_new();
    CHECK(stream_through_file(body) <= 11 * MIB);
    hw_body_free(body);
}

static void file_systems_without_holes_keep_it_until_the_end(void)
{
    use_limits(MIB, 64 * MIB, 64 * MIB);
    hw_spool_calls.punch = punch_refused;
    hw_body_t *body = hw_body_new();
    CHECK_EQ(stream_through_file(body), 40 * MIB);
    put(body, 40 * MIB, KIB, 0);
    CHECK_EQ(stats().file_bytes, KIB);
    hw_body_free(body);
}

static void large_files_are_closed_elsewhere(void)
{
    use_default_limits();
    hw_body_t *body = hw_body_new();
    for (uint64_t at = 0; at < 64 * MIB; at += 8 * MIB) {
        put(body, at, 8 * MIB, 0);
    }
    hw_body_cancel(body);
    hw_body_free(body);
}

static void budgets_grant_what_is_left(void)
{
    use_limits(100 * KIB, 100, 150);
    CHECK_EQ(hw_spool_memory_reserve(64 * KIB, 4 * KIB), 64 * KIB);
    CHECK_EQ(hw_spool_memory_reserve(64 * KIB, 4 * KIB), 32 * KIB);
    CHECK_EQ(hw_spool_memory_reserve(64 * KIB, 4 * KIB), 4 * KIB);
    CHECK_EQ(hw_spool_memory_reserve(64 * KIB, 4 * KIB), 0);
    hw_spool_memory_release(100 * KIB);
    CHECK_EQ(hw_spool_file_reserve(0, 200), 100);
    CHECK_EQ(hw_spool_file_reserve(100, 200), 0);
    CHECK_EQ(hw_spool_file_reserve(20, 60), 50);
    CHECK_EQ(hw_spool_file_reserve(0, 60), 0);
    hw_spool_file_release(150);
}

int main(void)
{
    prepare_body_tests();
    RUN(full_disk_makes_the_producer_wait_and_is_remembered);
    RUN(file_size_limit_of_the_process_is_an_error_not_the_end);
    RUN(interrupted_and_partial_calls_are_continued);
    RUN(missing_folder_is_reported_and_memory_still_works);
    RUN(folder_name_may_not_be_too_long);
    RUN(file_has_no_name_and_is_closed_on_exec);
    RUN(unreadable_file_cancels_the_body);
    RUN(file_that_ends_too_early_gives_what_is_right_and_cancels);
    RUN(what_was_read_gives_its_disk_back);
    RUN(file_systems_without_holes_keep_it_until_the_end);
    RUN(large_files_are_closed_elsewhere);
    RUN(budgets_grant_what_is_left);
    return check_done();
}
