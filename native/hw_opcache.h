/* SPDX-License-Identifier: MIT */
/* Keeps OPcache from wiping its shared memory while threads of this process use it.
 *
 * After opcache_reset() or an overflow OPcache wipes in the next request start-up in which no *other process* is
 * inside, which it asks by fcntl(F_GETLK) on byte 1 of its lock file. For threads of one process the answer is always
 * "nobody", and the wipe pulls the code away under whoever runs it. A read lock of an open file description of our own
 * makes the answer "somebody": OPcache then leaves its restart pending and runs uncached. The wipe is done when every
 * PHP thread is outside any request: hw_opcache_wipe() releases the lock for one request start-up, alone, on php-main.
 * Includes php.h; never Python.h. */
#ifndef HW_OPCACHE_H
#define HW_OPCACHE_H

#include "hw_config.h"

typedef struct {
    bool enabled;         /* new files are cached */
    bool restart_pending; /* waits for a wipe */
    uint64_t oom_restarts;
    uint64_t hash_restarts;
    uint64_t manual_restarts;
    uint64_t used_bytes;
    uint64_t free_bytes;
    uint64_t wasted_bytes;
    uint64_t hits;
    uint64_t misses;
} hw_opcache_status_t;

/* Takes the lock. Without OPcache there is nothing to do. Thread: main, after module startup. Locks: none.
 * Owns: a descriptor for the life of the engine. Fails: a static text; OPcache would not be safe then. */
HW_HIDDEN const char *hw_opcache_guard(void);

/* Closes the descriptor. Thread: main, before module shutdown. Locks: none. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_opcache_unguard(void);

/* Looks at OPcache in a request of its own. Thread: main. Locks: none. Owns: fills status. Fails: false. */
HW_HIDDEN bool hw_opcache_inspect(hw_opcache_status_t *status);

/* Wipes, then looks. No PHP thread may be inside a request. Thread: main. Locks: none. Fails: false. */
HW_HIDDEN bool hw_opcache_wipe(hw_opcache_status_t *status);

#endif
