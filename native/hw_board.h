/* SPDX-License-Identifier: MIT */
/* The scoreboard: one slot per possible PHP thread, with its state and what it is doing.
 *
 * The state is one atomic per slot, changed by hw_board_change() only. The counters are written by the slot's
 * own PHP thread and read by anybody, each for itself (relaxed atomics): a reader may see a new request id with
 * an old start time, never a torn value. The pointers for the soft kill are guarded by the slot's kill lock and
 * are withdrawn before the thread's PHP storage is freed.
 * Pure C: includes neither php.h nor Python.h. */
#ifndef HW_BOARD_H
#define HW_BOARD_H

#include <pthread.h>
#include <stdatomic.h>

#include "hw_config.h"
#include "hw_states.h"

#define HW_BOARD_MAX_SLOTS 1024

typedef struct {
    _Atomic int state;              /* hw_state_t; written by hw_board_change only */
    _Atomic int thread_id;          /* kernel's thread id; written by the slot's thread, 0 = none */
    _Atomic uint64_t request_id;    /* running request, 0 = none; written by the slot's thread */
    _Atomic int64_t since_ns;       /* start of the request or of the wait; written by the slot's thread */
    _Atomic uint64_t requests;      /* requests ended in this slot, all lives; written by the slot's thread */
    _Atomic uint64_t life_requests; /* the same in this life; written by the slot's thread */
    _Atomic uint64_t life_limit;    /* requests after which the thread leaves to be recycled, 0 = none; starter */
    _Atomic uint64_t memory_limit;  /* PHP memory in bytes from which it leaves likewise, 0 = none; starter */
    _Atomic uint64_t memory_bytes;  /* PHP memory at the end of the last request; slot's thread */
    _Atomic uint64_t peak_bytes;    /* most PHP memory in the last request; slot's thread */
    _Atomic uint64_t lives;         /* OS threads that this slot has had; slot's thread */

    pthread_mutex_t kill_lock; /* guards the five fields below */
    void *vm_interrupt;        /* &EG(vm_interrupt) of the running thread, NULL = withdrawn */
    pthread_t thread;          /* valid while vm_interrupt is not NULL */
    uint64_t kill_id;          /* request to be killed, 0 = none; written by the killer */
    char kill_reason[96];      /* for PHP's error message */
    char current[128];         /* method and URI of the running request, cut; slot's thread */
} hw_slot_t;

/* Prepares the slots. Thread: main. Locks: none. Owns: static storage. Fails: never. */
HW_HIDDEN void hw_board_init(unsigned slots);

/* Number of slots, and one of them (NULL out of range).
 * Thread: any. Locks: none. Owns: borrowed, static. Fails: NULL. */
HW_HIDDEN unsigned hw_board_size(void);
HW_HIDDEN HW_BORROWED hw_slot_t *hw_board_slot(unsigned index);

/* Changes `expected` into `to` if that is the current state and the transition is in tools/states.toml.
 * Thread: any. Locks: none. Owns: nothing. Fails: false; nothing changed. */
HW_HIDDEN bool hw_board_change(unsigned index, hw_state_t expected, hw_state_t to);

/* Number of a state's name. Thread: any. Locks: none. Owns: nothing. Fails: -1. */
HW_HIDDEN int hw_board_state_of(const char *name);

#endif
