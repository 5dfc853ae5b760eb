/* SPDX-License-Identifier: MIT */
// links: hw_queue.c hw_request.c hw_log.c hw_channel.c
// links: hw_body.c hw_body_consumer.c hw_body_producer.c hw_spool.c hw_port.c
#include "hw_queue.h"

#include <pthread.h>
#include <sched.h>

#include "sample.h"

#define CONSUMERS    4
#define PRODUCERS    3
#define PER_PRODUCER 2000

static hw_request_t *pop(hw_queue_t *queue, unsigned consumer)
{
    hw_pop_t why;
    return hw_queue_pop(queue, consumer, &why);
}

static void requests_leave_in_the_order_they_came(void)
{
    sample_t sample = sample_new();
    hw_queue_t *queue = hw_queue_new(3, 1);
    hw_request_t *requests[3];
    for (int i = 0; i < 3; i++) {
        requests[i] = sample_request(&sample);
        CHECK(hw_queue_push(queue, requests[i], false) == HW_PUSH_OK);
        CHECK(atomic_load(&requests[i]->state) == HW_REQUEST_QUEUED);
    }
    for (int i = 0; i < 3; i++) {
        CHECK(pop(queue, 0) == requests[i]);
        CHECK(atomic_load(&requests[i]->state) == HW_REQUEST_RUNNING);
        CHECK(sample_refs(requests[i]) == 2);
        hw_request_release(requests[i]);
        hw_request_release(requests[i]);
    }
    hw_queue_free(queue);
    sample_free(&sample);
}

static void a_full_queue_refuses_and_counts(void)
{
    sample_t sample = sample_new();
    hw_queue_t *queue = hw_queue_new(1, 1);
    hw_request_t *first = sample_request(&sample);
    hw_request_t *second = sample_request(&sample);
    CHECK(hw_queue_push(queue, first, false) == HW_PUSH_OK);
    CHECK(hw_queue_push(queue, second, false) == HW_PUSH_FULL);
    CHECK(sample_refs(second) == 1);
    hw_queue_stats_t stats;
    hw_queue_stats(queue, &stats);
    CHECK(stats.waiting == 1 && stats.waiting_peak == 1 && stats.pushed == 1 && stats.refused == 1);
    CHECK(hw_queue_evict(queue) == first);
    hw_request_release(first);
    hw_request_release(first);
    hw_request_release(second);
    hw_queue_free(queue);
    sample_free(&sample);
}

static void another_bound_counts_for_what_comes_and_not_for_what_waits(void)
{
    sample_t sample = sample_new();
    hw_queue_t *queue = hw_queue_new(1, 1);
    hw_request_t *requests[3];
    for (int i = 0; i < 3; i++) {
        requests[i] = sample_request(&sample);
    }
    CHECK(hw_queue_push(queue, requests[0], false) == HW_PUSH_OK);
    CHECK(hw_queue_push(queue, requests[1], false) == HW_PUSH_FULL);
    hw_queue_bound(queue, 2);
    CHECK(hw_queue_push(queue, requests[1], false) == HW_PUSH_OK);
    hw_queue_bound(queue, 0);
    CHECK(hw_queue_push(queue, requests[2], false) == HW_PUSH_FULL);
    for (int i = 0; i < 2; i++) {
        CHECK(pop(queue, 0) == requests[i]);
        hw_request_release(requests[i]);
    }
    for (int i = 0; i < 3; i++) {
        hw_request_release(requests[i]);
    }
    hw_queue_free(queue);
    sample_free(&sample);
}

static void a_waiting_request_can_be_cancelled_once(void)
{
    sample_t sample = sample_new();
    hw_queue_t *queue = hw_queue_new(3, 1);
    hw_request_t *requests[3];
    for (int i = 0; i < 3; i++) {
        requests[i] = sample_request(&sample);
        hw_queue_push(queue, requests[i], false);
    }
    CHECK(hw_queue_cancel(queue, requests[1]));
    CHECK(!hw_queue_cancel(queue, requests[1]));
    CHECK(sample_refs(requests[1]) == 1);
    CHECK(pop(queue, 0) == requests[0]);
    CHECK(!hw_queue_cancel(queue, requests[0])); /* a thread has it */
    CHECK(pop(queue, 0) == requests[2]);
    hw_request_release(requests[0]);
    hw_request_release(requests[2]);
    for (int i = 0; i < 3; i++) {
        hw_request_release(requests[i]);
    }
    hw_queue_free(queue);
    sample_free(&sample);
}

static void a_closed_queue_serves_what_waits_and_no_more(void)
{
    sample_t sample = sample_new();
    hw_queue_t *queue = hw_queue_new(3, 1);
    hw_request_t *request = sample_request(&sample);
    hw_queue_push(queue, request, false);
    hw_queue_close(queue);
    CHECK(hw_queue_push(queue, request, false) == HW_PUSH_CLOSED);
    CHECK(pop(queue, 0) == request);
    CHECK(pop(queue, 0) == NULL);
    CHECK(hw_queue_evict(queue) == NULL);
    hw_request_release(request);
    hw_request_release(request);
    hw_queue_free(queue);
    sample_free(&sample);
}

typedef struct {
    hw_queue_t *queue;
    unsigned number;
    unsigned served;
} consumer_t;

static void *consume(void *argument)
{
    consumer_t *self = argument;
    for (hw_request_t *request; (request = pop(self->queue, self->number)) != NULL;) {
        self->served++;
        hw_request_release(request);
    }
    return NULL;
}

typedef struct {
    hw_queue_t *queue;
    sample_t *sample;
    unsigned cancelled;
} producer_t;

static void *produce(void *argument)
{
    producer_t *self = argument;
    for (int i = 0; i < PER_PRODUCER; i++) {
        hw_request_t *request = sample_request(self->sample);
        hw_push_t result;
        while ((result = hw_queue_push(self->queue, request, i % 3 != 0)) == HW_PUSH_FULL) {
            sched_yield();
        }
        if (result == HW_PUSH_DEFERRED && i % 5 != 0) {
            hw_queue_flush(self->queue, i % 2 == 0);
        }
        if (i % 7 == 0 && hw_queue_cancel(self->queue, request)) {
            self->cancelled++;
        }
        hw_request_release(request);
    }
    return NULL;
}

static void every_request_is_served_or_cancelled_once(void)
{
    sample_t sample = sample_new();
    hw_queue_t *queue = hw_queue_new(16, CONSUMERS);
    consumer_t consumers[CONSUMERS];
    producer_t producers[PRODUCERS];
    pthread_t threads[CONSUMERS + PRODUCERS];
    for (unsigned i = 0; i < CONSUMERS; i++) {
        consumers[i] = (consumer_t){queue, i, 0};
        CHECK(pthread_create(&threads[i], NULL, consume, &consumers[i]) == 0);
    }
    for (unsigned i = 0; i < PRODUCERS; i++) {
        producers[i] = (producer_t){queue, &sample, 0};
        CHECK(pthread_create(&threads[CONSUMERS + i], NULL, produce, &producers[i]) == 0);
    }
    unsigned ended = 0;
    for (unsigned i = 0; i < PRODUCERS; i++) {
        pthread_join(threads[CONSUMERS + i], NULL);
        hw_queue_flush(queue, true); /* what the last lazy pushes owe */
        ended += producers[i].cancelled;
    }
    hw_queue_close(queue);
    for (unsigned i = 0; i < CONSUMERS; i++) {
        pthread_join(threads[i], NULL);
        ended += consumers[i].served;
    }
    CHECK(ended == PRODUCERS * PER_PRODUCER);
    hw_queue_stats_t stats;
    hw_queue_stats(queue, &stats);
    CHECK(stats.waiting == 0 && stats.idle == 0 && stats.pushed == PRODUCERS * PER_PRODUCER);
    hw_queue_free(queue);
    sample_free(&sample);
}

static void *pop_one(void *argument)
{
    return pop(argument, 0);
}

typedef struct {
    hw_queue_t *queue;
    unsigned number;
    hw_request_t *got;
} sleeper_t;

static sleeper_t sleepers[3];

static void *sleep_once(void *argument)
{
    sleeper_t *self = argument;
    self->got = pop(self->queue, self->number);
    return NULL;
}

/* A lazy push wakes a thread when none is awake; otherwise it leaves that to the flush. */
static void a_lazy_push_waits_for_the_flush_while_a_thread_is_awake(void)
{
    sample_t sample = sample_new();
    hw_queue_t *queue = hw_queue_new(8, 2);
    hw_request_t *requests[3];
    for (int i = 0; i < 3; i++) {
        requests[i] = sample_request(&sample);
    }
    /* Consumer 1 is awake with the first request, consumer 0 sleeps. */
    CHECK(hw_queue_push(queue, requests[0], true) == HW_PUSH_OK);
    CHECK(pop(queue, 1) == requests[0]);
    pthread_t thread;
    hw_queue_stats_t stats;
    CHECK(pthread_create(&thread, NULL, pop_one, queue) == 0);
    do {
        sched_yield();
        hw_queue_stats(queue, &stats);
    } while (stats.idle != 1);
    CHECK(hw_queue_push(queue, requests[1], true) == HW_PUSH_DEFERRED);
    hw_queue_stats(queue, &stats);
    CHECK(stats.waiting == 1 && stats.idle == 1);
    CHECK(!hw_queue_flush(queue, false));
    void *served;
    pthread_join(thread, &served);
    CHECK(served == requests[1]);
    hw_queue_stats(queue, &stats);
    CHECK(stats.waiting == 0 && stats.idle == 0);
    /* Nobody sleeps, so nothing is owed. */
    CHECK(hw_queue_push(queue, requests[2], true) == HW_PUSH_OK);
    CHECK(!hw_queue_flush(queue, false));
    CHECK(pop(queue, 1) == requests[2]);
    for (int i = 0; i < 3; i++) {
        hw_request_release(requests[i]);
        hw_request_release(requests[i]);
    }
    hw_queue_close(queue);
    hw_queue_free(queue);
    sample_free(&sample);
}

/* Where requests are brief, they wait for the flush even when all sleep, and one thread is woken for several. */
static void brief_requests_share_a_thread_until_all_are_wanted(void)
{
    enum { CALM = 3 };
    sample_t sample = sample_new();
    hw_queue_t *queue = hw_queue_new(8, CALM + 1);
    hw_request_t *requests[CALM];
    for (int round = 0; round < 16; round++) { /* what consumer 3 serves at once tells how long requests take */
        hw_request_t *brief[8];
        for (int i = 0; i < 8; i++) {
            brief[i] = sample_request(&sample);
            CHECK(hw_queue_push(queue, brief[i], false) == HW_PUSH_OK);
        }
        for (int i = 0; i < 8; i++) {
            CHECK(pop(queue, CALM) == brief[i]);
        }
        hw_queue_leave(queue, CALM); /* so that what comes between is not taken for its work */
        CHECK(pop(queue, CALM) == NULL);
        for (int i = 0; i < 8; i++) {
            hw_request_release(brief[i]);
            hw_request_release(brief[i]);
        }
    }
    pthread_t threads[CALM];
    hw_queue_stats_t stats;
    for (unsigned i = 0; i < CALM; i++) {
        sleepers[i] = (sleeper_t){queue, i, NULL};
        CHECK(pthread_create(&threads[i], NULL, sleep_once, &sleepers[i]) == 0);
    }
    do {
        sched_yield();
        hw_queue_stats(queue, &stats);
    } while (stats.idle != CALM);
    for (int i = 0; i < CALM; i++) {
        requests[i] = sample_request(&sample);
        CHECK(hw_queue_push(queue, requests[i], true) == HW_PUSH_DEFERRED);
    }
    hw_queue_stats(queue, &stats);
    CHECK(stats.waiting == CALM && stats.idle == CALM);
    CHECK(hw_queue_flush(queue, false)); /* the caller is to look again */
    hw_queue_stats(queue, &stats);
    CHECK(stats.waiting == CALM - 1 && stats.idle == CALM - 1);
    CHECK(!hw_queue_flush(queue, true));
    for (unsigned i = 0; i < CALM; i++) {
        pthread_join(threads[i], NULL);
        CHECK(sleepers[i].got != NULL);
        hw_request_release(requests[i]);
        hw_request_release(requests[i]);
    }
    hw_queue_stats(queue, &stats);
    CHECK(stats.waiting == 0 && stats.idle == 0);
    hw_queue_close(queue);
    hw_queue_free(queue);
    sample_free(&sample);
}

/* Consumer 0 sleeps and is told to leave; then it is told while it is awake. */
static void a_consumer_that_is_told_to_leave_gets_nothing_once(void)
{
    sample_t sample = sample_new();
    hw_queue_t *queue = hw_queue_new(8, 2);
    hw_request_t *request = sample_request(&sample);
    pthread_t thread;
    hw_queue_stats_t stats;
    hw_pop_t why;
    CHECK(pthread_create(&thread, NULL, pop_one, queue) == 0);
    do {
        sched_yield();
        hw_queue_stats(queue, &stats);
    } while (stats.idle != 1);
    hw_queue_leave(queue, 0);
    void *served;
    pthread_join(thread, &served);
    CHECK(served == NULL);
    hw_queue_stats(queue, &stats);
    CHECK(stats.idle == 0);
    CHECK(hw_queue_push(queue, request, false) == HW_PUSH_OK);
    hw_queue_leave(queue, 0);
    CHECK(hw_queue_pop(queue, 0, &why) == NULL && why == HW_POP_LEAVE);
    CHECK(hw_queue_pop(queue, 0, &why) == request && why == HW_POP_REQUEST);
    hw_queue_leave(queue, 0);
    hw_queue_stay(queue, 0);
    hw_queue_close(queue);
    CHECK(hw_queue_pop(queue, 0, &why) == NULL && why == HW_POP_CLOSED);
    hw_request_release(request);
    hw_request_release(request);
    hw_queue_free(queue);
    sample_free(&sample);
}

int main(void)
{
    RUN(a_consumer_that_is_told_to_leave_gets_nothing_once);
    RUN(a_lazy_push_waits_for_the_flush_while_a_thread_is_awake);
    RUN(brief_requests_share_a_thread_until_all_are_wanted);
    RUN(requests_leave_in_the_order_they_came);
    RUN(a_full_queue_refuses_and_counts);
    RUN(another_bound_counts_for_what_comes_and_not_for_what_waits);
    RUN(a_waiting_request_can_be_cancelled_once);
    RUN(a_closed_queue_serves_what_waits_and_no_more);
    RUN(every_request_is_served_or_cancelled_once);
    return check_done();
}
