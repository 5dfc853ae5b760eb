/* SPDX-License-Identifier: MIT */
/* Programs that PHP starts: they get the signal mask and dispositions that the server was started with, and the
 * environment of the request. Also refuses the functions of pcntl that would change signals of the whole process.
 * Includes php.h; never Python.h. */
#ifndef HW_SPAWN_H
#define HW_SPAWN_H

#include <signal.h>

#include "hw_config.h"

/* Remembers the mask for the children. Thread: main, before module startup. Locks: none. Owns: copies. Fails: never. */
HW_HIDDEN void hw_spawn_set_original_mask(const sigset_t *mask);

/* That mask. Thread: any, after it was set. Locks: none. Owns: borrowed. Fails: never. */
HW_HIDDEN HW_BORROWED const sigset_t *hw_spawn_original_mask(void);

/* Replaces an ignored SIGPIPE by a handler that does nothing: write() still answers EPIPE, but a program that is
 * executed gets the default action back, which it would not from "ignore" (POSIX, exec).
 * Thread: main, before module startup. Locks: none. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_spawn_startup(void);

/* Wraps the functions. Thread: main, in MINIT. Locks: none. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_spawn_minit(void);

#endif
