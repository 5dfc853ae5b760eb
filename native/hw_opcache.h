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

/* Has this thread's opcache_reset() tell that a wipe is due. OPcache registers its functions after all modules have
 * started, when each thread has a function table of its own already.
 * Thread: php, at boot. Locks: none. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_opcache_thread_begin(void);

/* Closes the descriptor. Thread: main, before module shutdown. Locks: none. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_opcache_unguard(void);

/* Looks whether OPcache waits for a wipe, at most once a second; for the end of each request. A request of our own
 * every second would start sessions and whatever else extensions do in request start-ups. May bail out, though not for
 * want of memory. Thread: php, in RSHUTDOWN. Locks: none. Owns: nothing. Fails: silently, it is looked again a second
 * later. */
HW_HIDDEN void hw_opcache_look(void);

/* What was seen last; true also after opcache_reset() was called.
 * Thread: any. Locks: none. Owns: nothing. Fails: never. */
HW_HIDDEN bool hw_opcache_is_pending(void);

/* Looks at OPcache in a request of its own. Thread: main. Locks: none. Owns: fills status. Fails: false. */
HW_HIDDEN bool hw_opcache_inspect(hw_opcache_status_t *status);

/* Paths of all cached scripts, each ended by NUL, one after the other.
 * Thread: main. Locks: none. Owns: caller gets text (malloc). Fails: false. */
HW_HIDDEN bool hw_opcache_list(char **text, size_t *len);

/* Has OPcache forget scripts, whatever their timestamps say; `text` as hw_opcache_list() gives it. Nothing is freed, so
 * threads that run them go on. Thread: main. Locks: none. Owns: borrows text. Fails: false. */
HW_HIDDEN bool hw_opcache_forget(const char *text, size_t len);

/* Wipes, then looks. No PHP thread may be inside a request. Thread: main. Locks: none. Fails: false. */
HW_HIDDEN bool hw_opcache_wipe(hw_opcache_status_t *status);

#endif
