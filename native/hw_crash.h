/* SPDX-License-Identifier: MIT */
/* Says which script was running when a PHP thread crashes the process: SIGSEGV and SIGBUS, most often an overflow of
 * the stack by recursion in C (PHP before 8.3 has no limit for it).
 *
 * The handler runs on a stack of its own, writes one line to standard error, puts the action that was there before
 * (faulthandler's, a sanitizer's, or the default) back, and lets the fault happen again.
 * Includes no header of PHP or Python. */
#ifndef HW_CRASH_H
#define HW_CRASH_H

#include "hw_config.h"

/* Gives the calling thread an alternate signal stack, unless it has one; without memory it goes without.
 * Thread: php, in boot and free. Locks: none. Owns: the thread keeps the stack in between. Fails: never. */
HW_HIDDEN void hw_crash_thread_begin(void);
HW_HIDDEN void hw_crash_thread_end(void);

/* Installs the handlers, and puts back what was there. Thread: main, in MINIT and MSHUTDOWN. Fails: never. */
HW_HIDDEN void hw_crash_minit(void);
HW_HIDDEN void hw_crash_mshutdown(void);

#endif
