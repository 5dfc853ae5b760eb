/* SPDX-License-Identifier: MIT */
#include "hw_socket.h"

#include <dirent.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

bool hw_socket_is_listening(int fd)
{
    int listening = 0;
    socklen_t len = sizeof listening;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 && listening != 0;
}

bool hw_socket_local_end(int fd, hw_local_end_t *end)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un local;
    } address;
    const size_t path_at = offsetof(struct sockaddr_un, sun_path);
    socklen_t len = sizeof address;
    memset(&address, 0, sizeof address);
    if (getsockname(fd, &address.any, &len) != 0) {
        return false;
    }
    if (address.any.sa_family == AF_INET || address.any.sa_family == AF_INET6) {
        in_port_t port = address.any.sa_family == AF_INET ? address.v4.sin_port : address.v6.sin6_port;
        end->len = sizeof port;
        memcpy(end->text, &port, sizeof port);
        return port != 0;
    }
    if (address.any.sa_family == AF_UNIX && len > path_at) {
        /* Abstract names begin with NUL and have their length; paths end in NUL. */
        end->len = address.local.sun_path[0] == '\0' ? (size_t)len - path_at
                                                     : strnlen(address.local.sun_path, sizeof address.local.sun_path);
        memcpy(end->text, address.local.sun_path, end->len);
        return true;
    }
    return false;
}

void hw_socket_each_descriptor(void (*visit)(int fd, void *context), void *context)
{
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL) {
        return;
    }
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        int fd = atoi(entry->d_name);
        if (fd > 2 && fd != dirfd(folder)) {
            visit(fd, context);
        }
    }
    closedir(folder);
}

void hw_socket_add_listener(hw_listeners_t *listeners, int fd)
{
    if (listeners->count == HW_SOCKET_MAX_LISTENERS) {
        listeners->more = true;
    } else if (hw_socket_local_end(fd, &listeners->ends[listeners->count])) {
        listeners->count++;
    }
}

static void visit_listener(int fd, void *listeners)
{
    if (hw_socket_is_listening(fd)) {
        hw_socket_add_listener(listeners, fd);
    }
}

void hw_socket_listeners(hw_listeners_t *listeners)
{
    listeners->count = 0;
    listeners->more = false;
    hw_socket_each_descriptor(visit_listener, listeners);
}

bool hw_socket_came_in(int fd, const hw_listeners_t *listeners)
{
    hw_local_end_t end;
    if (!hw_socket_local_end(fd, &end)) {
        return false;
    }
    for (size_t i = 0; i < listeners->count; i++) {
        const hw_local_end_t *known = &listeners->ends[i];
        if (end.len == known->len && memcmp(end.text, known->text, end.len) == 0) {
            return true;
        }
    }
    return listeners->more;
}
