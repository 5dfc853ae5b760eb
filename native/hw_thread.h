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
#define HW_EVENT_LEFT      3 /* it was told to leave its pool */
#define HW_EVENT_KILLED    4 /* its request was killed: a fresh thread is safer */
#define HW_EVENT_MEMORY    5 /* its PHP memory is over the limit: like HW_EVENT_RECYCLE */
#define HW_EVENT_ENDED     6 /* a worker's script ended by itself */

/* What the running request collects; owned by the PHP thread alone. */
typedef struct {
    unsigned slot;
    hw_request_t *request; /* NULL between requests */
    hw_request_t *boot;    /* worker: what is bound while its script runs outside requests, NULL in the regular role */
    char *out;             /* output that was not handed over; malloc */
    size_t out_len;
    size_t out_size;
    int kill_status;   /* the request was killed, and this is what its client should get; 0 = it was not */
    bool finished;     /* the response is complete, what follows is discarded */
    bool event_stream; /* text/event-stream: spooled to 1 MiB only */
} hw_thread_t;

/* The calling PHP thread; NULL elsewhere. */
extern __thread hw_thread_t *hw_self HW_HIDDEN;

/* A script runs outside any client's request: a worker's that boots, unwinds or is between two requests. Its output
 * goes to the log. */
static inline bool hw_thread_is_outside(const hw_thread_t *self)
{
    return self->boot != NULL && self->request == self->boot;
}

/* Allocates PHP's storage for the calling thread and its slot; boot requested -> booting.
 * Thread: php. Locks: GIL forbidden. Owns: the storage lives until hw_thread_free. Fails: -1 and a log record. */
HW_HIDDEN int hw_thread_boot(unsigned slot);

/* Serves requests from the queue until an event, in the regular role. Thread: php. Locks: GIL forbidden. Fails: never;
 * see HW_EVENT_*. */
HW_HIDDEN int hw_thread_run(unsigned slot, hw_queue_t *queue);

/* Makes the request the running one of this thread and its slot, or ends that; both for the regular role and workers.
 * The end completes the answer unless the script has done so, and releases the record.
 * Thread: php. Locks: takes the slot's kill lock. Owns: takes over the caller's reference. Fails: never. */
HW_HIDDEN void hw_thread_bind(hw_thread_t *self, HW_STEALS(2) hw_request_t *request);
HW_HIDDEN void hw_thread_unbind(hw_thread_t *self);

/* Runs the script of the bound request in a PHP request of its own. `before_end` is called, unless NULL, after the
 * script and before PHP's request shutdown.
 * Thread: php. Locks: none. Owns: nothing. Fails: false when PHP bailed out where no request survives. */
HW_HIDDEN bool hw_thread_serve(hw_thread_t *self, void (*before_end)(hw_thread_t *self));

/* The next request of the queue, aborted ones skipped, or why there is none. The slot is neither busy nor killable
 * meanwhile. Thread: php. Locks: takes the queue's. Owns: caller. Fails: NULL. */
HW_HIDDEN hw_request_t *hw_thread_next(unsigned slot, hw_queue_t *queue, hw_pop_t *why);

/* The event that this thread's limits or the kill of its last request ask for; HW_EVENT_ENDED = none.
 * Thread: php, between requests. Locks: none. Owns: nothing. Fails: never. */
HW_HIDDEN int hw_thread_limit(const hw_thread_t *self);

/* Code has changed: each thread cleans its realpath cache before its next request or script.
 * Thread: any. Locks: none. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_thread_new_code(void);
HW_HIDDEN void hw_thread_see_new_code(void);

/* How many PHP threads have PHP storage now: as many as live, or something was not freed.
 * Thread: any. Locks: none. Owns: nothing. Fails: never. */
HW_HIDDEN int hw_thread_storages(void);

/* The calling thread's record between boot and free. Thread: php. Locks: none. Owns: borrowed. Fails: never. */
HW_HIDDEN HW_BORROWED hw_thread_t *hw_thread_self(void);

/* Frees PHP's storage. Thread: php. Locks: GIL forbidden; takes the slot's kill lock. Fails: never. */
HW_HIDDEN void hw_thread_free(unsigned slot);

/* Notes PHP's memory for the slot, and for the request unless its response is complete.
 * Thread: php. Locks: none. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_thread_note_memory(hw_thread_t *self);

/* Closes the file of the worker's script that runs.
 * Thread: php, at the end of boot. Locks: none. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_thread_close_script(hw_thread_t *self);

/* Hands the collected output over; with `end` the response is complete.
 * Thread: php, in a request. Locks: takes the record's. Fails: false when the client has left. */
HW_HIDDEN bool hw_thread_hand_off(hw_thread_t *self);
HW_HIDDEN void hw_thread_complete(hw_thread_t *self);

/* Frees the last error message of a thread whose request start-up or module start-up said something: no request's end
 * has done it, and a debug build insists on it.
 * Thread: php, main. Locks: none. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_thread_forget_error(void);

#endif
