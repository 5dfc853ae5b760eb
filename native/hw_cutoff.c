/* SPDX-License-Identifier: MIT */
#include "hw_cutoff.h"

#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "hw_port.h"
#include "hw_socket.h"

enum { EMPTY, WRITING, FULL, TAKEN };

/* How long a list of the server's listeners is good for: looking at every descriptor takes its time. */
#define LISTENERS_NS ((int64_t)1000 * 1000 * 1000)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the two below */
static hw_listeners_t listeners;
static int64_t listeners_since_ns;

static bool came_in(int fd)
{
    pthread_mutex_lock(&lock);
    int64_t now = hw_port_now_ns();
    if (listeners_since_ns == 0 || now - listeners_since_ns > LISTENERS_NS) {
        hw_socket_listeners(&listeners);
        listeners_since_ns = now;
    }
    bool result = hw_socket_came_in(fd, &listeners);
    pthread_mutex_unlock(&lock);
    return result;
}

static bool identify(int fd, hw_cutoff_socket_t *socket)
{
    struct stat found;
    if (fstat(fd, &found) != 0 || !S_ISSOCK(found.st_mode)) {
        return false;
    }
    socket->fd = fd;
    socket->device = (uint64_t)found.st_dev;
    socket->inode = (uint64_t)found.st_ino;
    return true;
}

static size_t collect(const hw_syscall_t *call, hw_cutoff_socket_t *sockets)
{
    int descriptors[HW_CUTOFF_MAX_SOCKETS];
    size_t found = hw_syscall_descriptors(call, descriptors, HW_CUTOFF_MAX_SOCKETS);
    size_t count = 0;
    for (size_t i = 0; i < found; i++) {
        int fd = descriptors[i];
        if (fd > 2 && identify(fd, &sockets[count]) && !hw_socket_is_listening(fd) && !came_in(fd)) {
            count++;
        }
    }
    return count;
}

bool hw_cutoff_order(hw_cutoff_t *order, int thread_id, uint64_t request_id)
{
    hw_cutoff_socket_t sockets[HW_CUTOFF_MAX_SOCKETS];
    hw_syscall_t call, again;
    if (!hw_syscall_read(thread_id, &call)) {
        return false;
    }
    uint64_t switches = hw_syscall_switches(thread_id);
    size_t count = collect(&call, sockets);
    if (count == 0 || !hw_syscall_read(thread_id, &again) || !hw_syscall_same(&call, &again) ||
        switches != hw_syscall_switches(thread_id)) {
        return false;
    }
    int state = EMPTY;
    if (!atomic_compare_exchange_strong(&order->state, &state, WRITING)) {
        state = FULL; /* an old one that no signal has fetched */
        if (!atomic_compare_exchange_strong(&order->state, &state, WRITING)) {
            return false;
        }
    }
    order->request_id = request_id;
    order->call = call;
    order->count = count;
    memcpy(order->sockets, sockets, count * sizeof *sockets);
    atomic_store(&order->state, FULL);
    return true;
}

size_t hw_cutoff_carry_out(hw_cutoff_t *order, uint64_t request_id, const void *context)
{
    int state = FULL;
    size_t done = 0;
    if (!atomic_compare_exchange_strong(&order->state, &state, TAKEN)) {
        return 0;
    }
    if (request_id != 0 && order->request_id == request_id && hw_syscall_was_ended(&order->call, context)) {
        for (size_t i = 0; i < order->count; i++) {
            const hw_cutoff_socket_t *meant = &order->sockets[i];
            hw_cutoff_socket_t found;
            if (identify(meant->fd, &found) && found.device == meant->device && found.inode == meant->inode) {
                shutdown(meant->fd, SHUT_RDWR);
                done++;
            }
        }
    }
    atomic_store(&order->state, EMPTY);
    return done;
}
