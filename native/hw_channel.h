/* SPDX-License-Identifier: MIT */
/* The way back from PHP threads to whoever waits for requests: one channel per event loop or waiting thread.
 *
 * A PHP thread posts a request when there is something to fetch from it (an interim response, output, the end).
 * A request stands in the list at most once however often it is posted, and the wake-up descriptor is written
 * only when the list was empty, so that a busy loop costs one system call per batch.
 * Pure C: includes neither php.h nor Python.h. */
#ifndef HW_CHANNEL_H
#define HW_CHANNEL_H

#include "hw_config.h"

typedef struct hw_channel hw_channel_t;
struct hw_request;

/* Thread: any. Locks: none. Owns: new reference. Fails: NULL and errno. */
HW_HIDDEN hw_channel_t *hw_channel_new(void);
HW_HIDDEN HW_BORROWED hw_channel_t *hw_channel_retain(hw_channel_t *channel);
HW_HIDDEN void hw_channel_release(hw_channel_t *channel);

/* The descriptor that becomes readable when something was posted.
 * Thread: any. Locks: none. Owns: borrowed. Fails: -1 when closed. */
HW_HIDDEN int hw_channel_fileno(hw_channel_t *channel);

/* Puts the request into the list unless it is there already, and wakes the reader if the list was empty.
 * Thread: any. Locks: takes the channel's. Owns: takes a reference of its own. Fails: silently when closed. */
HW_HIDDEN void hw_channel_post(hw_channel_t *channel, struct hw_request *request);

/* Takes the whole list and clears the wake-up. The caller walks it by hw_channel_next().
 * Thread: the reader. Locks: takes the channel's. Owns: one reference per request. Fails: NULL when empty. */
HW_HIDDEN struct hw_request *hw_channel_take(hw_channel_t *channel);

/* The request after this one in a taken list; from here on this one may be posted again.
 * Thread: the reader. Locks: takes the channel's. Owns: nothing. Fails: NULL at the end. */
HW_HIDDEN struct hw_request *hw_channel_next(hw_channel_t *channel, struct hw_request *request);

/* Nothing is posted from here on; what is in the list is released.
 * Thread: the reader. Locks: takes the channel's. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_channel_close(hw_channel_t *channel);

#endif
