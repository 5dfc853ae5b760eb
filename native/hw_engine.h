/* SPDX-License-Identifier: MIT */
/* PHP in this process: start and stop of TSRM, SAPI and modules, all on one OS thread of their own ("php-main").
 *
 * Zend allows one engine per process. Its globals, and ours, are the unavoidable ones:
 *   hw_sapi_module, hw_module_entry      what PHP keeps pointers to
 *   the slots of hw_board, hw_pools      written under the rules of their files
 *   the control block of hw_engine.c     guarded by its lock
 * States: new -> starting -> running -> stopping -> stopped -> starting ..., and failed; in the child of a fork: dead.
 * Includes php.h; never Python.h. */
#ifndef HW_ENGINE_H
#define HW_ENGINE_H

#include "hw_config.h"
#include "hw_opcache.h"

typedef struct {
    const char *ini_entries;           /* lines that win over every php.ini */
    const hw_env_pair_t *ini_defaults; /* values that every php.ini may override */
    size_t n_ini_defaults;
    unsigned max_threads;
    const char *spool_dir;
    int log_level;
    char *const *environment; /* snapshot for getenv(), $_ENV and $_SERVER */
} hw_engine_options_t;

/* Starts PHP and waits until it is up.
 * Thread: any, one at a time. Locks: GIL forbidden. Owns: borrows the options until it returns.
 * Fails: a static text that says why; NULL = running. */
HW_HIDDEN const char *hw_engine_start(const hw_engine_options_t *options);

/* Ends modules, SAPI and TSRM on php-main and joins it. Every PHP thread must have freed its storage.
 * Thread: any. Locks: GIL forbidden. Owns: nothing. Fails: false when not running. */
HW_HIDDEN bool hw_engine_stop(void);

/* Has php-main look at OPcache, or wipe it (then no PHP thread may be inside a request), and waits for the answer.
 * Thread: any, one at a time. Locks: GIL forbidden. Owns: fills status. Fails: false when it could not be done. */
HW_HIDDEN bool hw_engine_opcache(bool wipe, hw_opcache_status_t *status);

/* Has php-main list OPcache's scripts, or forget some; see hw_opcache_list() and hw_opcache_forget().
 * Thread: any, one at a time. Locks: GIL forbidden. Owns: caller gets the list, lends what is to be forgotten.
 * Fails: false when it could not be done. */
HW_HIDDEN bool hw_engine_opcache_list(char **text, size_t *len);
HW_HIDDEN bool hw_engine_opcache_forget(const char *text, size_t len);

/* Name of the state. Thread: any. Locks: none. Owns: static text. Fails: never. */
HW_HIDDEN const char *hw_engine_state(void);

/* In the child of a fork by Python: the engine is dead, its threads do not exist.
 * Thread: the only one. Locks: none. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_engine_after_fork(void);

/* What the linked PHP is. Thread: any. Locks: none. Owns: static. Fails: never. */
typedef struct {
    const char *version;
    int version_id;
    bool zts;
    bool debug;
    bool zend_signals;
    bool max_execution_timers;
} hw_engine_build_t;
HW_HIDDEN void hw_engine_build(hw_engine_build_t *build);

/* Facts of the running engine: is OPcache on, which ini files were read. Strings are valid until the stop.
 * Thread: any, while running. Locks: none. Owns: borrowed. Fails: false when not running. */
typedef struct {
    bool opcache;
    const char *memory_limit; /* as php.ini writes it */
    const char *ini_file;
    const char *ini_scanned;
} hw_engine_facts_t;
HW_HIDDEN bool hw_engine_facts(hw_engine_facts_t *facts);

#endif
