/* SPDX-License-Identifier: MIT */
/* Keeps the timer of max_execution_time for the life of a thread.
 *
 * PHP creates a POSIX timer in every request start-up and deletes it in every shutdown, which is two of the most
 * expensive system calls of a short request. It skips the first when EG(pid) is this process and the second when it
 * is not, so hiding EG(pid) between the two keeps the timer. (zend_max_execution_timer.c, PHP 8.2 to 8.5.) A request
 * that ends without hiding it has PHP delete it, and the next one creates another.
 * Includes php.h; never Python.h. */
#ifndef HW_TIMER_H
#define HW_TIMER_H

/* Before php_request_startup(): shows PHP the timer that was kept, if any.
 * Thread: php. Locks: none. Owns: nothing. Fails: never. */
void hw_timer_reveal(void) __attribute__((visibility("hidden")));

/* In RSHUTDOWN, after PHP has disarmed the timer and before anything there that may bail out: hides it from the
 * deletion that follows. Thread: php. Locks: none. Owns: the thread keeps the timer. Fails: never. */
void hw_timer_hide(void) __attribute__((visibility("hidden")));

/* At the end of the thread, also after a failed request start-up. Thread: php. Locks: none. Owns: deletes the timer.
 * Fails: never. */
void hw_timer_delete(void) __attribute__((visibility("hidden")));

#endif
