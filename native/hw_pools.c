/* SPDX-License-Identifier: MIT */
#include "hw_pools.h"

/* Written and read under the GIL. */
static hw_queue_t *queues[HW_MAX_POOLS];

int hw_pools_open(size_t max_waiting, unsigned max_threads)
{
    for (int i = 0; i < HW_MAX_POOLS; i++) {
        if (queues[i] == NULL) {
            queues[i] = hw_queue_new(max_waiting, max_threads);
            return queues[i] != NULL ? i : -1;
        }
    }
    return -1;
}

hw_queue_t *hw_pools_queue(unsigned pool)
{
    return pool < HW_MAX_POOLS ? queues[pool] : NULL;
}

void hw_pools_free(unsigned pool)
{
    hw_queue_t *queue = hw_pools_queue(pool);
    if (queue != NULL) {
        queues[pool] = NULL;
        hw_queue_free(queue);
    }
}

unsigned hw_pools_end(void)
{
    unsigned end = 0;
    for (unsigned i = 0; i < HW_MAX_POOLS; i++) {
        if (queues[i] != NULL) {
            end = i + 1;
        }
    }
    return end;
}
