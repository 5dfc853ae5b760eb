/* SPDX-License-Identifier: MIT */
/* Which sockets of the process belong to the server: those that listen, and the connections that came in through them.
 *
 * A connection that was accepted has the local end of its listener (the port, or the path of a Unix socket); one that
 * somebody opened has another one, or none.
 * Pure C: includes neither php.h nor Python.h. */
#ifndef HW_SOCKET_H
#define HW_SOCKET_H

#include <sys/un.h>

#include "hw_config.h"

#define HW_SOCKET_MAX_LISTENERS 64

/* The local end of a socket, comparable byte by byte. */
typedef struct {
    char text[sizeof(struct sockaddr_un)];
    size_t len;
} hw_local_end_t;

typedef struct {
    hw_local_end_t ends[HW_SOCKET_MAX_LISTENERS];
    size_t count;
    bool more; /* there are listeners that did not fit */
} hw_listeners_t;

/* Thread: any. Locks: none. Owns: nothing. Fails: false, also when it is no socket. */
HW_HIDDEN bool hw_socket_is_listening(int fd);

/* Thread: any. Locks: none. Owns: nothing. Fails: false when it is no socket or has no local end yet. */
HW_HIDDEN bool hw_socket_local_end(int fd, hw_local_end_t *end);

/* Calls visit(fd, context) for every open descriptor above 2. Thread: any. Locks: none. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_socket_each_descriptor(void (*visit)(int fd, void *context), void *context);

/* Finds the listening sockets of this process; takes time in proportion to its descriptors.
 * Thread: any. Locks: none. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_socket_listeners(hw_listeners_t *listeners);

/* Notes the local end of one listener. Thread: any. Locks: none. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_socket_add_listener(hw_listeners_t *listeners, int fd);

/* Did this connection come in through one of the listeners? Thread: any. Locks: none. Owns: nothing.
 * Fails: true when it cannot be told because there are too many listeners. */
HW_HIDDEN bool hw_socket_came_in(int fd, const hw_listeners_t *listeners);

#endif
