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

/* From here on, until it is called with false, a fork() on this thread gives a child that has no handler of the
 * server's and the original mask. The server's handlers write into descriptors that a child shares with it: a signal
 * that reached the child before it executes its program would stop the server (seen).
 * Thread: php. Locks: none. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_spawn_guard_fork(bool on);

/* Replaces an ignored SIGPIPE by a handler that does nothing: write() still answers EPIPE, but a program that is
 * executed gets the default action back, which it would not from "ignore" (POSIX, exec).
 * Thread: main, before module startup. Locks: none. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_spawn_startup(void);

/* Wraps the functions. Thread: main, in MINIT. Locks: none. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_spawn_minit(void);

#endif
