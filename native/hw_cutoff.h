/* SPDX-License-Identifier: MIT */
/* Cuts a thread off from the sockets that it is blocked on: the last stage of a kill.
 *
 * PHP's streams and mysqlnd repeat a wait that a signal has ended, so only the end of the connection ends the wait. A
 * descriptor is a number that may mean another connection a moment later, hence two sides:
 *   1. The killer reads in which system call the thread is blocked, and which sockets that call waits for, and notes
 *      all of it in the order, with the identity (inode) of each socket. Sockets of the server are left out.
 *   2. The thread itself, in the handler of the kill signal, finds the order. If the signal has ended exactly that call
 *      in exactly that request, it calls shutdown() for those sockets that still have the same identity. Nobody but
 *      this thread closes its descriptors, so between the look and the shutdown() nothing can change.
 * The order passes between the two by its state alone, because a signal handler can take no lock.
 * Pure C: includes neither php.h nor Python.h. */
#ifndef HW_CUTOFF_H
#define HW_CUTOFF_H

#include <stdatomic.h>

#include "hw_config.h"
#include "hw_syscall.h"

#define HW_CUTOFF_MAX_SOCKETS 16

typedef struct {
    int fd;
    uint64_t device, inode;
} hw_cutoff_socket_t;

/* All zero is an empty order. The fields belong to the killer until the state is FULL, then to the handler. */
typedef struct {
    _Atomic int state;
    uint64_t request_id;
    hw_syscall_t call;
    size_t count;
    hw_cutoff_socket_t sockets[HW_CUTOFF_MAX_SOCKETS];
} hw_cutoff_t;

/* Looks where the thread is blocked and writes the order; the caller sends the signal. May take some milliseconds.
 * Thread: any, one at a time per order, preferably without the GIL. Locks: takes one of its own. Owns: nothing.
 * Fails: false when there is nothing to cut: it runs, it waits for no socket, or only for the server's. */
HW_HIDDEN bool hw_cutoff_order(hw_cutoff_t *order, int thread_id, uint64_t request_id);

/* Carries an order out, if there is one and it is meant for this place.
 * Thread: the blocked one, in the signal handler (async-signal-safe; may change errno). Locks: none. Owns: nothing.
 * Fails: never; gives the number of sockets that were shut down. */
HW_HIDDEN size_t hw_cutoff_carry_out(hw_cutoff_t *order, uint64_t request_id, const void *context);

#endif
