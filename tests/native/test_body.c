/* SPDX-License-Identifier: MIT */
// links: hw_body.c hw_body_consumer.c hw_body_producer.c hw_spool.c hw_port.c
/* A body on one thread: order, limits, ends. */
#include "body_support.h"

#include <errno.h>

static void new_body_is_empty_and_costs_no_budget(void)
{
    use_default_limits();
    hw_body_t *body = hw_body_new();
    char byte;
    CHECK_EQ(hw_body_peek_len(body), 0);
    CHECK_EQ(hw_body_read(body, &byte, 1), 0);
    CHECK_EQ(stats().memory_bytes, 0);
    hw_body_free(body);
    hw_body_free(NULL);
}

static void small_writes_stay_in_one_small_chunk(void)
{
    use_default_limits();
    hw_body_t *body = hw_body_new();
    put(body, 0, 100, MIB);
    put(body, 100, 200, MIB);
    CHECK_EQ(hw_body_peek_len(body), 300);
    CHECK_EQ(stats().memory_bytes, 4 * KIB);
    get(body, 0, 150);
    get(body, 150, 150);
    CHECK_EQ(hw_body_peek_len(body), 0);
    /* The chunk was read to its end, so it is used from its beginning again. */
    put(body, 300, 4 * KIB, MIB);
    CHECK_EQ(stats().memory_bytes, 4 * KIB);
    get(body, 300, 4 * KIB);
    CHECK_EQ(stats().memory_bytes, 0);
    CHECK_EQ(info(body).spooled_bytes, 0);
    hw_body_free(body);
}

static void chunks_grow_with_what_is_waiting(void)
{
    use_default_limits();
    hw_body_t *body = hw_body_new();
    for (uint64_t at = 0; at < 340 * KIB; at += KIB) {
        put(body, at, KIB, MIB);
    }
    CHECK_EQ(stats().memory_bytes, (4 + 16 + 64 + 256) * KIB);
    get(body, 0, 340 * KIB);
    hw_body_free(body);
}

static void bytes_keep_their_order_through_memory_file_and_memory(void)
{
    use_default_limits();
    hw_body_t *body = hw_body_new();
    put(body, 0, 300 * KIB, 256 * KIB);
    CHECK_EQ(info(body).spooled_bytes, 44 * KIB);
    CHECK_EQ(stats().files_open, 1);
    get(body, 0, 250 * KIB);
    /* Memory has room, but the file holds older bytes. */
    put(body, 300 * KIB, 10 * KIB, 256 * KIB);
    CHECK_EQ(info(body).spooled_bytes, 54 * KIB);
    get(body, 250 * KIB, 60 * KIB);
    CHECK_EQ(hw_body_peek_len(body), 0);
    put(body, 310 * KIB, 10 * KIB, 256 * KIB);
    CHECK_EQ(info(body).spooled_bytes, 54 * KIB);
    get(body, 310 * KIB, 10 * KIB);
    hw_body_free(body);
}

static void file_is_cut_and_used_again(void)
{
    use_default_limits();
    hw_body_t *body = hw_body_new();
    uint64_t made = stats().files_made;
    for (uint64_t round = 0; round < 5; round++) {
        put(body, round * 100 * KIB, 100 * KIB, 0);
        CHECK_EQ(stats().file_bytes, 100 * KIB);
        get(body, round * 100 * KIB, 100 * KIB);
    }
    CHECK_EQ(stats().files_made - made, 1);
    hw_body_free(body);
}

static void hard_limit_takes_a_part_and_then_nothing(void)
{
    use_default_limits();
    hw_body_t *body = hw_body_new();
    CHECK_EQ(offer(body, 0, 1500, MIB, 1000), 1000);
    CHECK_EQ(offer(body, 1000, 1, MIB, 1000), 0);
    CHECK_EQ(hw_body_wait_space(body, 0), HW_BODY_WOULD_WAIT);
    get(body, 0, 499);
    CHECK_EQ(hw_body_wait_space(body, 0), HW_BODY_WOULD_WAIT);
    get(body, 499, 1);
    CHECK_EQ(hw_body_wait_space(body, -1), HW_BODY_OK);
    CHECK_EQ(offer(body, 1000, 1000, MIB, 1000), 500);
    get(body, 500, 1000);
    hw_body_free(body);
}

static void hard_limit_equal_to_memory_limit_makes_no_file(void)
{
    use_default_limits();
    hw_body_t *body = hw_body_new();
    uint64_t written = offer(body, 0, 2 * MIB, MIB, MIB);
    CHECK_EQ(written, MIB);
    for (uint64_t at = 0; at < 3 * MIB; at += 1000) {
        get(body, at, 1000);
        CHECK_EQ(offer(body, written, 2000, MIB, MIB), 1000);
        written += 1000;
    }
    CHECK_EQ(stats().files_open, 0);
    hw_body_free(body);
}

static void other_bodies_use_files_when_the_memory_budget_is_spent(void)
{
    use_limits(256 * KIB, MIB, MIB);
    hw_body_t *hog = hw_body_new();
    hw_body_t *other = hw_body_new();
    put(hog, 0, 256 * KIB, MIB);
    CHECK_EQ(info(hog).spooled_bytes, 0);
    /* The first piece is granted beyond the budget, the rest goes to the file. */
    put(other, 0, 100 * KIB, MIB);
    CHECK_EQ(stats().memory_bytes, (256 + 16) * KIB);
    CHECK_EQ(info(other).spooled_bytes, 84 * KIB);
    get(other, 0, 100 * KIB);
    get(hog, 0, 256 * KIB);
    hw_body_free(hog);
    hw_body_free(other);
}

static void file_limits_make_the_producer_wait(void)
{
    use_limits(MIB, 100 * KIB, 150 * KIB);
    hw_body_t *first = hw_body_new();
    hw_body_t *second = hw_body_new();
    CHECK_EQ(offer(first, 0, 200 * KIB, 0, 0), 100 * KIB);
    CHECK_EQ(offer(second, 0, 200 * KIB, 0, 0), 50 * KIB);
    CHECK_EQ(stats().file_bytes, 150 * KIB);
    CHECK_EQ(hw_body_wait_space(first, 0), HW_BODY_WOULD_WAIT);
    get(first, 0, 100 * KIB);
    CHECK_EQ(hw_body_wait_space(first, 0), HW_BODY_OK);
    put(first, 100 * KIB, 10 * KIB, 0);
    CHECK_EQ(stats().file_bytes, 60 * KIB);
    get(first, 100 * KIB, 10 * KIB);
    get(second, 0, 50 * KIB);
    CHECK_EQ(stats().errors, 0);
    hw_body_free(first);
    hw_body_free(second);
}

static void end_keeps_what_is_unread_and_then_gives_everything_back(void)
{
    use_default_limits();
    hw_body_t *body = hw_body_new();
    size_t accepted;
    put(body, 0, 100 * KIB, 50 * KIB);
    hw_body_end(body, true);
    hw_body_end(body, false);
    CHECK_EQ(hw_body_write(body, "x", 1, MIB, 0, &accepted), HW_BODY_CLOSED);
    CHECK_EQ(accepted, 0);
    CHECK_EQ(hw_body_wait_space(body, -1), HW_BODY_CLOSED);
    CHECK_EQ(hw_body_wait_data(body, -1), HW_BODY_OK);
    CHECK_EQ(hw_body_peek_len(body), 100 * KIB);
    get(body, 0, 100 * KIB);
    CHECK_EQ(hw_body_wait_data(body, -1), HW_BODY_CLOSED);
    CHECK(nothing_is_held());
    hw_body_cancel(body);
    CHECK(info(body).ended && info(body).complete && !info(body).cancelled);
    hw_body_free(body);
}

static void end_can_say_that_something_is_missing(void)
{
    use_default_limits();
    hw_body_t *body = hw_body_new();
    hw_body_end(body, false);
    CHECK(info(body).ended && !info(body).complete);
    hw_body_free(body);
}

static void cancel_gives_everything_back_at_once(void)
{
    use_default_limits();
    hw_body_t *body = hw_body_new();
    size_t accepted;
    char byte;
    put(body, 0, 100 * KIB, 50 * KIB);
    hw_body_cancel(body);
    hw_body_cancel(body);
    CHECK(nothing_is_held());
    CHECK_EQ(hw_body_peek_len(body), 0);
    CHECK_EQ(hw_body_read(body, &byte, 1), 0);
    CHECK_EQ(hw_body_write(body, "x", 1, MIB, 0, &accepted), HW_BODY_CLOSED);
    CHECK_EQ(hw_body_wait_data(body, -1), HW_BODY_CLOSED);
    CHECK_EQ(hw_body_wait_space(body, -1), HW_BODY_CLOSED);
    CHECK(info(body).cancelled && !info(body).complete);
    hw_body_free(body);
}

static void waits_are_bounded(void)
{
    use_limits(0, 0, 0);
    hw_body_t *body = hw_body_new();
    int64_t started = check_now_ns();
    CHECK_EQ(hw_body_wait_data(body, 20 * MS), HW_BODY_WOULD_WAIT);
    CHECK(check_now_ns() - started >= 20 * MS);
    /* Nothing is unread and nothing can be taken: even without a bound the producer gets to try again. */
    CHECK_EQ(offer(body, 0, 10, 0, 0), 0);
    started = check_now_ns();
    CHECK_EQ(hw_body_wait_space(body, -1), HW_BODY_WOULD_WAIT);
    CHECK(check_now_ns() - started >= 50 * MS);
    CHECK(check_now_ns() - started < 5000 * MS);
    hw_body_free(body);
}

static void free_gives_back_what_nobody_read(void)
{
    use_default_limits();
    hw_body_t *body = hw_body_new();
    put(body, 0, 3 * MIB, MIB);
    hw_body_free(body);
    CHECK(nothing_is_held());
}

int main(void)
{
    prepare_body_tests();
    RUN(new_body_is_empty_and_costs_no_budget);
    RUN(small_writes_stay_in_one_small_chunk);
    RUN(chunks_grow_with_what_is_waiting);
    RUN(bytes_keep_their_order_through_memory_file_and_memory);
    RUN(file_is_cut_and_used_again);
    RUN(hard_limit_takes_a_part_and_then_nothing);
    RUN(hard_limit_equal_to_memory_limit_makes_no_file);
    RUN(other_bodies_use_files_when_the_memory_budget_is_spent);
    RUN(file_limits_make_the_producer_wait);
    RUN(end_keeps_what_is_unread_and_then_gives_everything_back);
    RUN(end_can_say_that_something_is_missing);
    RUN(cancel_gives_everything_back_at_once);
    RUN(waits_are_bounded);
    RUN(free_gives_back_what_nobody_read);
    return check_done();
}
