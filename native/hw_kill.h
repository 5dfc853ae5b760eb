/* SPDX-License-Identifier: MIT */
/* The kill: ends one request, and only that one, wherever its script is.
 *
 * The killer writes the request's id into the slot, then PHP's interrupt flag. The PHP thread compares the id with
 * that of its running request at its next safe point, and only then raises a fatal error. That is the first stage; the
 * others are for a script that does not come to a safe point, because it is blocked in a system call:
 *   2. The kill signal ends the call, unless PHP or a library repeats it.
 *   3. The sockets that the call waits for are shut down (hw_cutoff.h), so that repeating is of no use.
 * The stages may be repeated as often as one likes. After the fatal error shutdown functions and destructors run; they
 * can be killed again. Until then the request is known as killed: its client gets the status of the kill unless the
 * response has left already, and its thread is to be recycled.
 * Includes php.h; never Python.h. */
#ifndef HW_KILL_H
#define HW_KILL_H

#include "hw_thread.h"

/* How far a kill goes; each stage includes those before it. */
typedef enum { HW_KILL_BY_FLAG = 1, HW_KILL_BY_SIGNAL = 2, HW_KILL_BY_CUTOFF = 3 } hw_kill_stage_t;

typedef struct {
    hw_kill_stage_t stage;
    int status;         /* for a client that has got nothing yet */
    const char *reason; /* for PHP's error message */
} hw_kill_t;

/* Ends the running request's script with a fatal error at its next safe point. Does nothing unless the slot runs
 * exactly this request. The last stage may take some milliseconds.
 * Thread: any; for the last stage preferably without the GIL. Locks: takes the slot's kill lock. Owns: borrows the
 * kill. Fails: false when it does not run. */
HW_HIDDEN bool hw_kill_request(unsigned slot, uint64_t request_id, const hw_kill_t *kill);

/* How many fatal errors kills have raised in the running request.
 * Thread: any. Locks: takes the slot's kill lock. Owns: nothing. Fails: -1 when it does not run. */
HW_HIDDEN int hw_kill_count(unsigned slot, uint64_t request_id);

/* From here on, and up to hw_kill_thread_end(), requests of the calling thread can be killed; its PHP storage exists.
 * Thread: php, in boot and free. Locks: takes the slot's kill lock. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_kill_thread_begin(unsigned slot);
HW_HIDDEN void hw_kill_thread_end(unsigned slot);

/* Before the slot shows the request, whose waits (of hw_request.h) can be ended by a kill from here on.
 * Thread: php. Locks: none. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_kill_request_begin(hw_thread_t *self, hw_request_t *request);

/* After PHP's request start-up, which clears the interrupt flag, and with it a kill that came before.
 * Thread: php, in a request. Locks: takes the slot's kill lock. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_kill_rearm(hw_thread_t *self);

/* Forgets a kill that came too late; the slot's request id is withdrawn already.
 * Thread: php. Locks: takes the slot's kill lock. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_kill_request_end(unsigned slot);

/* What PHP's VM would do at its next safe point: ends the script when it timed out or was killed.
 * Thread: php, in a callback of the SAPI. Locks: nothing may be held. Fails: leaves by longjmp. */
HW_HIDDEN void hw_kill_interrupted(void);

/* Installs the handler of the kill signal, PHP's interrupt hook and the caps. Thread: main, in MINIT. Fails: never. */
HW_HIDDEN void hw_kill_minit(void);

/* The name of the entry of PHP's configuration that holds the longest time, in seconds, for which a stream or a
 * connection to MySQL may wait: default_socket_timeout and mysqlnd.net_read_timeout are lowered to it, wherever their
 * values came from. Made by howdah.engine.ini from request_timeout. */
#define HW_KILL_WAIT_ENTRY "howdah.longest_wait"

#endif
