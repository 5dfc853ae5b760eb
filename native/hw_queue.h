/* SPDX-License-Identifier: MIT */
/* Hand-off of requests to the threads of one pool.
 *
 * Requests that find no idle thread wait in one FIFO. Idle threads wait on a LIFO stack, each on its own semaphore,
 * so that the thread that ran last (caches and allocator warm) is woken first and only one thread is woken. A request
 * that wakes a thread is given to it directly: nobody can overtake it.
 *
 * Waking a thread costs more than a short script. So a caller that pushes several requests in one go may push them
 * lazily: they wait while some thread is awake, which takes them when it is through with its own, and all of them do
 * where requests of this queue have been brief lately. hw_queue_flush() at the end wakes threads for those that still
 * wait, but no more than the work is worth: of ten requests of 5 us one thread runs all before a second one is awake.
 * How long requests take is a guess from those before. So who flushes must look again soon, with `all`, when some are
 * left waiting while threads are idle.
 * Pure C: includes neither php.h nor Python.h. */
#ifndef HW_QUEUE_H
#define HW_QUEUE_H

#include "hw_config.h"
#include "hw_request.h"

typedef struct hw_queue hw_queue_t;

typedef enum { HW_PUSH_OK, HW_PUSH_FULL, HW_PUSH_CLOSED, HW_PUSH_DEFERRED } hw_push_t;

/* A queue in which at most `max_waiting` requests wait, for at most `max_threads` consumers numbered from 0.
 * Thread: any. Locks: none. Owns: new. Fails: NULL, out of memory. */
HW_HIDDEN hw_queue_t *hw_queue_new(size_t max_waiting, unsigned max_threads);

/* Another bound; what waits already stays. Thread: any. Locks: takes the queue's. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_queue_bound(hw_queue_t *queue, size_t max_waiting);

/* No thread may wait in it any more. Thread: any. Locks: none. Owns: frees. Fails: never. */
HW_HIDDEN void hw_queue_free(hw_queue_t *queue);

/* Gives the request to an idle thread or lets it wait. With `lazy` it waits also when a thread is idle, while another
 * one is awake or where requests are brief; the result is HW_PUSH_DEFERRED then, and the caller owes a
 * hw_queue_flush() within the same tick.
 * Thread: any. Locks: takes the queue's. Owns: takes a reference of its own on HW_PUSH_OK and HW_PUSH_DEFERRED.
 * Fails: HW_PUSH_FULL, HW_PUSH_CLOSED. */
HW_HIDDEN hw_push_t hw_queue_push(hw_queue_t *queue, hw_request_t *request, bool lazy);

/* Wakes idle threads for requests that still wait: one for each with `all`, otherwise as many as are worth it.
 * True when some wait although a thread is idle: the caller owes another flush, with `all`, within a millisecond or
 * two. Thread: any. Locks: takes the queue's. Owns: nothing. Fails: never. */
HW_HIDDEN bool hw_queue_flush(hw_queue_t *queue, bool all);

/* Why hw_queue_pop() returned. */
typedef enum { HW_POP_REQUEST, HW_POP_CLOSED, HW_POP_LEAVE } hw_pop_t;

/* The next request; blocks until there is one, the queue is closed or the consumer is told to leave.
 * Thread: php, number `consumer`. Locks: takes the queue's. Owns: the queue's reference passes to the caller.
 * Fails: NULL once the queue is closed and empty, or after hw_queue_leave(). */
HW_HIDDEN hw_request_t *hw_queue_pop(hw_queue_t *queue, unsigned consumer, hw_pop_t *why);

/* Tells one consumer to leave: its next pop, or the one in which it sleeps, gives NULL, once. A request that it has
 * been given already is not taken away. When requests wait, another idle consumer is woken in its place.
 * Thread: any. Locks: takes the queue's. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_queue_leave(hw_queue_t *queue, unsigned consumer);

/* Takes such an order back that was not followed yet. Thread: any. Locks: takes the queue's. Fails: never. */
HW_HIDDEN void hw_queue_stay(hw_queue_t *queue, unsigned consumer);

/* Takes a waiting request out again.
 * Thread: any. Locks: takes the queue's. Owns: releases the queue's reference. Fails: false when a thread has it. */
HW_HIDDEN bool hw_queue_cancel(hw_queue_t *queue, hw_request_t *request);

/* Nothing is accepted from here on; threads get NULL once what waits has been served.
 * Thread: any. Locks: takes the queue's. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_queue_close(hw_queue_t *queue);

/* Nothing is given to a thread until it is resumed: what is pushed waits, and threads that end their request sleep.
 * Thread: any. Locks: takes the queue's. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_queue_pause(hw_queue_t *queue);
HW_HIDDEN void hw_queue_resume(hw_queue_t *queue);

/* Takes the first waiting request out, to reject it.
 * Thread: any. Locks: takes the queue's. Owns: the queue's reference passes to the caller. Fails: NULL when empty. */
HW_HIDDEN hw_request_t *hw_queue_evict(hw_queue_t *queue);

typedef struct {
    size_t waiting;
    size_t waiting_peak;
    unsigned idle;
    uint64_t pushed;
    uint64_t refused;
    int64_t oldest_ns; /* when the request that has waited longest was made, 0 = nothing waits */
} hw_queue_stats_t;

/* Thread: any. Locks: takes the queue's. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_queue_stats(hw_queue_t *queue, hw_queue_stats_t *stats);

#endif
