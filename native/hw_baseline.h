/* SPDX-License-Identifier: MIT */
/* The baseline of a worker's script: its state at the first frankenphp_handle_request(), restored after each request.
 *
 * What boot has set stays (environment files, a framework's handlers), what a request sets goes with it: $_ENV,
 * putenv(), ini entries, timezone, locale, umask, working directory, error and exception handlers, ignore_user_abort.
 * A kind of state that no request has touched costs a comparison. Thread-local; holds references until it is forgotten.
 * Includes php.h; never Python.h. */
#ifndef HW_BASELINE_H
#define HW_BASELINE_H

#include "hw_config.h"

/* Finds what PHP does not export by name. Thread: main, after module startup. Locks: none. Fails: never. */
HW_HIDDEN void hw_baseline_startup(void);

/* Takes it. Thread: php, between boot and the first request. Locks: none. Owns: references. Fails: never. */
HW_HIDDEN void hw_baseline_take(void);

/* Goes back to it; without one it does nothing.
 * Thread: php, after the request's session is closed. Locks: none. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_baseline_restore(void);

/* Forgets it, before PHP's request shutdown. After a fatal error nothing is released: PHP throws its memory away as a
 * whole. Thread: php. Locks: none. Owns: releases. Fails: never; may be repeated. */
HW_HIDDEN void hw_baseline_forget(void);

#endif
