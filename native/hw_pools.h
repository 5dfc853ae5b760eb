/* SPDX-License-Identifier: MIT */
/* The queues of all pools. Number 0 is the regular pool, the others are one worker each.
 *
 * Numbers are given and taken back by the runtime, under the GIL, which submitters hold too: nobody can push into a
 * queue that is being taken away. PHP threads keep the pointer of their queue while they are in the pool; the runtime
 * frees a pool only after they have left.
 * Pure C: includes neither php.h nor Python.h. */
#ifndef HW_POOLS_H
#define HW_POOLS_H

#include "hw_config.h"
#include "hw_queue.h"

#define HW_MAX_POOLS    1024
#define HW_POOL_REGULAR 0

/* Opens a pool with a new queue under the lowest free number.
 * Thread: any. Locks: GIL required. Owns: the queue belongs to the pool. Fails: -1 when there are too many. */
HW_HIDDEN int hw_pools_open(size_t max_waiting, unsigned max_threads);

/* The queue of a pool. Thread: any. Locks: GIL required. Owns: borrowed. Fails: NULL when there is no such pool. */
HW_HIDDEN HW_BORROWED hw_queue_t *hw_pools_queue(unsigned pool);

/* Closes a pool that no thread is in. Thread: any. Locks: GIL required. Owns: frees the queue. Fails: never. */
HW_HIDDEN void hw_pools_free(unsigned pool);

/* One more than the highest number in use. Thread: any. Locks: GIL required. Owns: nothing. Fails: never. */
HW_HIDDEN unsigned hw_pools_end(void);

#endif
