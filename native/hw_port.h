/* SPDX-License-Identifier: MIT */
/* What differs between operating systems: clock, thread name and id, wake-up descriptor, signal masks.
 * Pure C: includes neither php.h nor Python.h, so nothing here can need the GIL. */
#ifndef HW_PORT_H
#define HW_PORT_H

#include <signal.h>
#include <stdint.h>

#include "hw_config.h"

/* Nanoseconds of the monotonic clock.
 * Thread: any. Locks: none. Owns: nothing. Fails: never. */
HW_HIDDEN int64_t hw_port_now_ns(void);

/* Seconds of the wall clock, for log records.
 * Thread: any. Locks: none. Owns: nothing. Fails: never. */
HW_HIDDEN double hw_port_wall_s(void);

/* Names the calling thread for ps, top and debuggers; cut to 15 bytes.
 * Thread: any. Locks: none. Owns: borrows name. Fails: silently. */
HW_HIDDEN void hw_port_set_thread_name(const char *name);

/* The kernel's id of the calling thread.
 * Thread: any. Locks: none. Owns: nothing. Fails: 0 where there is none. */
HW_HIDDEN int hw_port_thread_id(void);

/* A wake-up descriptor: an eventfd where there is one, else a pipe. fds[0] is polled, fds[1] written;
 * they are equal for an eventfd.
 * Thread: any. Locks: none. Owns: caller closes by hw_port_wakeup_close. Fails: -1 and errno. */
HW_HIDDEN int hw_port_wakeup_open(int fds[2]);
HW_HIDDEN void hw_port_wakeup_close(int fds[2]);
HW_HIDDEN void hw_port_wakeup_signal(const int fds[2]);
HW_HIDDEN void hw_port_wakeup_clear(const int fds[2]);

/* The signal that interrupts a blocking system call of a PHP thread, and PHP's own timer signal. */
#define HW_KILL_SIGNAL  (SIGRTMIN + 3)
#define HW_TIMER_SIGNAL (SIGRTMIN)

/* Blocks every signal but PHP's timer, the kill signal and the synchronous faults, and stores the mask
 * that was in force in *before (may be NULL).
 * Thread: php, main. Locks: none. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_port_block_signals(sigset_t *before);

/* Gives the calling thread its own umask and working directory (Linux: unshare(CLONE_FS)).
 * Thread: php. Locks: none. Owns: nothing. Fails: -1 and errno where the kernel refuses. */
HW_HIDDEN int hw_port_own_umask(void);

#endif
