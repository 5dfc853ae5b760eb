/* SPDX-License-Identifier: MIT */
/* The kill: ends one request, and only that one, wherever its script is.
 *
 * The killer writes the request's id into the slot, then PHP's interrupt flag. The PHP thread compares the id with
 * that of its running request at its next safe point, and only then raises a fatal error.
 * Includes php.h; never Python.h. */
#ifndef HW_KILL_H
#define HW_KILL_H

#include "hw_thread.h"

/* Ends the running request's script with a fatal error at its next safe point, and interrupts a blocking system call.
 * Does nothing unless the slot runs exactly this request.
 * Thread: any. Locks: takes the slot's kill lock. Owns: borrows reason. Fails: false when it does not run. */
HW_HIDDEN bool hw_kill_request(unsigned slot, uint64_t request_id, const char *reason);

/* From here on, and up to hw_kill_thread_end(), requests of the calling thread can be killed; its PHP storage exists.
 * Thread: php, in boot and free. Locks: takes the slot's kill lock. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_kill_thread_begin(unsigned slot);
HW_HIDDEN void hw_kill_thread_end(unsigned slot);

/* After PHP's request start-up, which clears the interrupt flag, and with it a kill that came before.
 * Thread: php, in a request. Locks: takes the slot's kill lock. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_kill_rearm(hw_thread_t *self);

/* Forgets a kill that came too late; the slot's request id is withdrawn already.
 * Thread: php. Locks: takes the slot's kill lock. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_kill_request_end(unsigned slot);

/* What PHP's VM would do at its next safe point: ends the script when it timed out or was killed.
 * Thread: php, in a callback of the SAPI. Locks: nothing may be held. Fails: leaves by longjmp. */
HW_HIDDEN void hw_kill_interrupted(void);

/* Installs the handler of the kill signal and PHP's interrupt hook. Thread: main, in MINIT. Fails: never. */
HW_HIDDEN void hw_kill_minit(void);

#endif
