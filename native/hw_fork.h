/* SPDX-License-Identifier: MIT */
/* The child of pcntl_fork(): it must never touch the server, and it ends by _exit().
 * Includes php.h; never Python.h. */
#ifndef HW_FORK_H
#define HW_FORK_H

#include "hw_config.h"

/* Wraps pcntl_fork() and its kin. Thread: main, in MINIT. Locks: none. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_fork_minit(void);

/* This process is such a child. Thread: any. Locks: none. Owns: nothing. Fails: never. */
HW_HIDDEN bool hw_fork_is_child(void);

/* Ends a child; returns in every other process. Thread: php. Locks: none. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_fork_exit_if_child(int status);

#endif
