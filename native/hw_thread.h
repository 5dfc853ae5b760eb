/* SPDX-License-Identifier: MIT */
/* A PHP thread: allocation of its PHP storage, the request loop in named steps, repair after a bail-out, the end.
 *
 * The body of the thread is Python's (howdah.runtime.thread): it calls boot, then run as often as it decides to,
 * then free, all on the same OS thread and without the GIL. hw_thread_run() returns only with an event that needs a
 * decision; the end of a request is none.
 * Includes php.h; never Python.h. */
#ifndef HW_THREAD_H
#define HW_THREAD_H

#include "hw_config.h"
#include "hw_queue.h"
#include "hw_request.h"

/* Why hw_thread_run() returned. */
#define HW_EVENT_STOPPED   0 /* the queue is closed and empty */
#define HW_EVENT_RECYCLE   1 /* a limit asks for a fresh OS thread */
#define HW_EVENT_UNHEALTHY 2 /* PHP bailed out where it cannot go on: this thread must be replaced */
#define HW_EVENT_KILLED    3 /* a request was killed: what it held is in doubt, so the thread is recycled */

/* What the running request collects; owned by the PHP thread alone. */
typedef struct {
    unsigned slot;
    hw_request_t *request; /* NULL between requests */
    char *out;             /* output that was not handed over; malloc */
    size_t out_len;
    size_t out_size;
    int kill_status;   /* the request was killed, and this is what its client should get; 0 = it was not */
    bool finished;     /* the response is complete, what follows is discarded */
    bool event_stream; /* text/event-stream: spooled to 1 MiB only */
} hw_thread_t;

/* The calling PHP thread; NULL elsewhere. */
extern __thread hw_thread_t *hw_self HW_HIDDEN;

/* Allocates PHP's storage for the calling thread and its slot; booting -> ready.
 * Thread: php. Locks: GIL forbidden. Owns: the storage lives until hw_thread_free. Fails: -1 and a log record. */
HW_HIDDEN int hw_thread_boot(unsigned slot);

/* Serves requests from the queue until an event. Thread: php. Locks: GIL forbidden. Fails: never; see HW_EVENT_*. */
HW_HIDDEN int hw_thread_run(unsigned slot, hw_queue_t *queue);

/* Frees PHP's storage. Thread: php. Locks: GIL forbidden; takes the slot's kill lock. Fails: never. */
HW_HIDDEN void hw_thread_free(unsigned slot);

/* Hands the collected output over; with `end` the response is complete.
 * Thread: php, in a request. Locks: takes the record's. Fails: false when the client has left. */
HW_HIDDEN bool hw_thread_hand_off(hw_thread_t *self);
HW_HIDDEN void hw_thread_complete(hw_thread_t *self);

/* Frees the last error message of a thread whose request start-up or module start-up said something: no request's end
 * has done it, and a debug build insists on it.
 * Thread: php, main. Locks: none. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_thread_forget_error(void);

#endif
