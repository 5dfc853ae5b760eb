/* SPDX-License-Identifier: MIT */
/* The environment that scripts see, in layers: putenv() of this request, request, site, worker, process at start.
 *
 * The process environment is never written: setenv() is not thread-safe, and one request's variables are none of
 * another's business. The layers are looked up one after the other each time, so a first putenv() hides nothing.
 * The snapshot is written before any PHP thread exists; everything else is thread-local.
 * Includes php.h; never Python.h. */
#ifndef HW_ENV_H
#define HW_ENV_H

#include <php.h>

#include "hw_config.h"

/* Takes the snapshot of the process environment; later changes of it are not seen.
 * Thread: main, before module startup. Locks: none. Owns: copies. Fails: never. */
HW_HIDDEN void hw_env_startup(char *const *environment);

/* Interns the snapshot and replaces getenv() and putenv(). Thread: main, in MINIT. Locks: none. Fails: never. */
HW_HIDDEN void hw_env_minit(void);
HW_HIDDEN void hw_env_mshutdown(void);

/* Sets the request's layers. Thread: php. Locks: none. Owns: borrows both until the end. Fails: never. */
HW_HIDDEN void hw_env_request_begin(const hw_env_pair_t *site_env, size_t n_site, const hw_env_pair_t *request_env,
                                    size_t n_request);

/* A worker's own variables, below the layers of its requests, for one run of its script: getenv() finds them, while a
 * request's $_SERVER does not hold them. Thread: php. Locks: none. Owns: borrows until the end. Fails: never. */
HW_HIDDEN void hw_env_worker_begin(const hw_env_pair_t *env, size_t count);
HW_HIDDEN void hw_env_worker_end(void);

/* What putenv() has set so far is kept, gone back to, forgotten; see hw_baseline.
 * Thread: php. Locks: none. Owns: a copy. Fails: never. */
HW_HIDDEN void hw_env_baseline_take(void);
HW_HIDDEN void hw_env_baseline_restore(void);
HW_HIDDEN void hw_env_baseline_forget(void);

/* Drops all layers above the worker's. Thread: php. Locks: none. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_env_request_end(void);

/* One variable. Thread: any. Locks: none. Owns: borrowed until the request ends. Fails: NULL when unset. */
HW_HIDDEN HW_BORROWED char *hw_env_get(const char *name, size_t name_len);

/* Copies the snapshot, or site and request layer, into a table of PHP's.
 * Thread: php. Locks: none. Owns: copies. Fails: never. */
HW_HIDDEN void hw_env_import(HashTable *target);
HW_HIDDEN void hw_env_import_prepared(HashTable *target);

/* Fills an array with everything that getenv() knows. Thread: php. Locks: none. Owns: copies. Fails: never. */
HW_HIDDEN void hw_env_all(HashTable *target);

/* Visits every variable of the process at its start, whatever the layers above say.
 * Thread: php. Locks: none. Owns: borrowed in the call. Fails: never. */
HW_HIDDEN void hw_env_each_original(void (*visit)(const char *name, const char *value, void *data), void *data);

/* Whether a program started now must be given an environment of its own, and each variable that it must be given;
 * a NULL value means that the variable is unset.
 * Thread: php. Locks: none. Owns: borrowed in the call. Fails: never. */
HW_HIDDEN bool hw_env_differs(void);
HW_HIDDEN void hw_env_each_difference(void (*visit)(const char *name, const char *value, void *data), void *data);

#endif
