/* SPDX-License-Identifier: MIT */
/* setlocale() for one thread: the C library's function changes the locale of the whole process.
 * Includes php.h; never Python.h. */
#ifndef HW_LOCALE_H
#define HW_LOCALE_H

#include "hw_config.h"

/* Replaces setlocale() and makes the locale that every request starts with (C, with UTF-8 characters).
 * Thread: main, in MINIT. Locks: none. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_locale_minit(void);

/* Gives the thread that locale. Thread: php, at boot. Locks: none. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_locale_thread_begin(void);

/* Goes back to it. Thread: php, in RSHUTDOWN. Locks: none. Owns: frees the request's locale. Fails: never. */
HW_HIDDEN void hw_locale_request_end(void);

/* The locale that a worker's boot has set is kept, gone back to, forgotten; see hw_baseline.
 * Thread: php. Locks: none. Owns: a copy. Fails: never. */
HW_HIDDEN void hw_locale_baseline_take(void);
HW_HIDDEN void hw_locale_baseline_restore(void);
HW_HIDDEN void hw_locale_baseline_forget(void);

/* Takes it away. Thread: php, at its end. Locks: none. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_locale_thread_end(void);

#endif
