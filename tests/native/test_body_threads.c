/* SPDX-License-Identifier: MIT */
// links: hw_body.c hw_body_consumer.c hw_body_producer.c hw_spool.c hw_port.c
/* A body between two threads: random sizes across memory and file, waits, and cancel from a third thread. */
#include "body_support.h"

#include <pthread.h>

typedef struct {
    hw_body_t *body;
    uint64_t seed;
    uint64_t total; /* bytes to send */
    size_t largest; /* of one write or read */
    size_t memory_limit;
    size_t hard_limit;
    bool slow_reader; /* pauses now and then, so that memory fills and the file is used */
    bool may_cancel;  /* the stream may end anywhere */
    hw_body_result_t last;
} stream_t;

static void *produce(void *argument)
{
    stream_t *stream = argument;
    uint64_t state = stream->seed;
    char *data = malloc(stream->largest);
    uint64_t sent = 0;
    hw_body_result_t result = HW_BODY_OK;
    while (sent < stream->total && result != HW_BODY_CLOSED) {
        size_t len = (size_t)(check_random(&state) % stream->largest) + 1;
        len = len < stream->total - sent ? len : (size_t)(stream->total - sent);
        fill(data, sent, len);
        size_t accepted = 0;
        result = hw_body_write(stream->body, data, len, stream->memory_limit, stream->hard_limit, &accepted);
        sent += accepted;
        if (result == HW_BODY_WOULD_WAIT) {
            hw_body_wait_space(stream->body, 200 * MS);
        }
    }
    free(data);
    CHECK(stream->may_cancel || sent == stream->total);
    hw_body_end(stream->body, sent == stream->total);
    return NULL;
}

static void *consume(void *argument)
{
    stream_t *stream = argument;
    uint64_t state = stream->seed + 1;
    char *data = malloc(stream->largest);
    uint64_t received = 0;
    bool right = true;
    while (right && hw_body_wait_data(stream->body, 10000 * MS) == HW_BODY_OK) {
        size_t max = (size_t)(check_random(&state) % stream->largest) + 1;
        size_t ready = hw_body_peek_len(stream->body);
        size_t n = hw_body_read(stream->body, data, max);
        CHECK(stream->may_cancel || n >= (ready < max ? ready : max));
        right = matches(data, received, n);
        CHECK(right);
        received += n;
        if (stream->slow_reader && check_random(&state) % 32 == 0) {
            check_pause_ns(MS / 2);
        }
    }
    free(data);
    CHECK(stream->may_cancel || received == stream->total);
    return NULL;
}

/* Runs up to eight streams at once, each with two threads of its own. */
static void run_streams(stream_t *streams, size_t count)
{
    pthread_t threads[16];
    for (size_t i = 0; i < count; i++) {
        streams[i].body = hw_body_new();
        pthread_create(&threads[2 * i], NULL, produce, &streams[i]);
        pthread_create(&threads[2 * i + 1], NULL, consume, &streams[i]);
    }
    for (size_t i = 0; i < 2 * count; i++) {
        pthread_join(threads[i], NULL);
    }
    for (size_t i = 0; i < count; i++) {
        hw_body_info_t now = info(streams[i].body);
        CHECK(now.complete);
        CHECK_EQ(now.written_bytes, streams[i].total);
        CHECK_EQ(now.read_bytes, streams[i].total);
        hw_body_free(streams[i].body);
    }
}

static void bytes_arrive_in_order_through_memory(void)
{
    use_default_limits();
    stream_t stream = {.seed = 11, .total = 16 * MIB, .largest = 100000, .memory_limit = MIB, .hard_limit = MIB};
    run_streams(&stream, 1);
    CHECK_EQ(stats().files_made, 0);
}

static void bytes_arrive_in_order_through_memory_and_file(void)
{
    use_default_limits();
    stream_t stream = {.seed = 12, .total = 24 * MIB, .largest = 50000, .memory_limit = 64 * KIB, .slow_reader = true};
    run_streams(&stream, 1);
    CHECK(stats().files_made > 0);
}

static void bytes_arrive_in_order_with_tiny_pieces(void)
{
    use_default_limits();
    stream_t stream = {.seed = 13, .total = MIB, .largest = 50, .memory_limit = 1000, .slow_reader = true};
    run_streams(&stream, 1);
}

static void bytes_arrive_in_order_with_a_tiny_file(void)
{
    use_limits(8 * KIB, 20000, 20000);
    stream_t stream = {.seed = 14, .total = 8 * MIB, .largest = 9000, .memory_limit = 5000};
    run_streams(&stream, 1);
}

static void streams_share_budgets_that_are_too_small_for_all(void)
{
    use_limits(64 * KIB, 100 * KIB, 200 * KIB);
    stream_t streams[6];
    for (size_t i = 0; i < 6; i++) {
        streams[i] = (stream_t){.seed = 20 + i, .total = 2 * MIB, .largest = 30000, .memory_limit = 32 * KIB};
        streams[i].slow_reader = i % 2 == 0;
    }
    run_streams(streams, 6);
}

static void *wait_for_space(void *argument)
{
    stream_t *stream = argument;
    stream->last = hw_body_wait_space(stream->body, -1);
    return NULL;
}

static void *wait_for_data(void *argument)
{
    stream_t *stream = argument;
    stream->last = hw_body_wait_data(stream->body, -1);
    return NULL;
}

static void cancel_ends_a_wait_for_space(void)
{
    use_default_limits();
    stream_t stream = {.body = hw_body_new()};
    pthread_t waiter;
    CHECK_EQ(offer(stream.body, 0, 1001, MIB, 1000), 1000);
    pthread_create(&waiter, NULL, wait_for_space, &stream);
    check_pause_ns(20 * MS);
    hw_body_cancel(stream.body);
    pthread_join(waiter, NULL);
    CHECK_EQ(stream.last, HW_BODY_CLOSED);
    hw_body_free(stream.body);
}

static void reading_half_ends_a_wait_for_space(void)
{
    use_default_limits();
    stream_t stream = {.body = hw_body_new()};
    pthread_t waiter;
    CHECK_EQ(offer(stream.body, 0, 1001, MIB, 1000), 1000);
    pthread_create(&waiter, NULL, wait_for_space, &stream);
    check_pause_ns(20 * MS);
    get(stream.body, 0, 500);
    pthread_join(waiter, NULL);
    CHECK_EQ(stream.last, HW_BODY_OK);
    hw_body_free(stream.body);
}

static void data_end_and_cancel_end_a_wait_for_data(void)
{
    use_default_limits();
    for (int kind = 0; kind < 3; kind++) {
        stream_t stream = {.body = hw_body_new()};
        pthread_t waiter;
        pthread_create(&waiter, NULL, wait_for_data, &stream);
        check_pause_ns(20 * MS);
        if (kind == 0) {
            put(stream.body, 0, 1, MIB);
        } else if (kind == 1) {
            hw_body_end(stream.body, true);
        } else {
            hw_body_cancel(stream.body);
        }
        pthread_join(waiter, NULL);
        CHECK_EQ(stream.last, kind == 0 ? HW_BODY_OK : HW_BODY_CLOSED);
        hw_body_free(stream.body);
    }
}

static void cancel_at_any_moment_leaves_nothing_behind(void)
{
    use_limits(MIB, 8 * MIB, 8 * MIB);
    uint64_t state = 31;
    for (int round = 0; round < 100; round++) {
        stream_t stream = {.seed = 100 + (uint64_t)round, .total = 256 * MIB, .largest = 40000, .may_cancel = true};
        stream.memory_limit = round % 2 == 0 ? 64 * KIB : 0;
        stream.slow_reader = round % 3 == 0;
        stream.body = hw_body_new();
        pthread_t producer, consumer;
        pthread_create(&producer, NULL, produce, &stream);
        pthread_create(&consumer, NULL, consume, &stream);
        check_pause_ns((int64_t)(check_random(&state) % 3000000));
        hw_body_cancel(stream.body);
        pthread_join(producer, NULL);
        pthread_join(consumer, NULL);
        /* Given back by whoever left last, not by free. */
        CHECK(nothing_is_held());
        CHECK(info(stream.body).cancelled);
        hw_body_free(stream.body);
    }
}

int main(void)
{
    prepare_body_tests();
    RUN(bytes_arrive_in_order_through_memory);
    RUN(bytes_arrive_in_order_through_memory_and_file);
    RUN(bytes_arrive_in_order_with_tiny_pieces);
    RUN(bytes_arrive_in_order_with_a_tiny_file);
    RUN(streams_share_budgets_that_are_too_small_for_all);
    RUN(cancel_ends_a_wait_for_space);
    RUN(reading_half_ends_a_wait_for_space);
    RUN(data_end_and_cancel_end_a_wait_for_data);
    RUN(cancel_at_any_moment_leaves_nothing_behind);
    return check_done();
}
