/* SPDX-License-Identifier: MIT */
#include "hw_fork.h"

#include <php.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#ifdef __linux__
#include <signal.h>
#include <sys/prctl.h>
#endif

#include "hw_log.h"
#include "hw_spawn.h"

#define MAX_LISTENERS 16

/* Written in the child, which has one thread, right after the fork. */
static bool is_child;

static const char *const names[] = {"pcntl_fork", "pcntl_rfork", "pcntl_forkx"};
#define N_NAMES (sizeof names / sizeof *names)
static zif_handler originals[N_NAMES]; /* written in MINIT */

bool hw_fork_is_child(void)
{
    return is_child;
}

void hw_fork_exit_if_child(int status)
{
    if (HW_UNLIKELY(is_child)) {
        _exit(status);
    }
}

/* -- descriptors -- */

/* The local end of a socket, comparable byte by byte: port, or path of a Unix socket. */
typedef struct {
    char text[sizeof(struct sockaddr_un)];
    size_t len;
} local_end_t;

static bool local_end(int fd, local_end_t *end)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un local;
    } address;
    socklen_t len = sizeof address;
    if (getsockname(fd, &address.any, &len) != 0) {
        return false;
    }
    if (address.any.sa_family == AF_INET || address.any.sa_family == AF_INET6) {
        in_port_t port = address.any.sa_family == AF_INET ? address.v4.sin_port : address.v6.sin6_port;
        end->len = sizeof port;
        memcpy(end->text, &port, sizeof port);
        return true;
    }
    if (address.any.sa_family == AF_UNIX && len > sizeof address.any.sa_family) {
        end->len = strnlen(address.local.sun_path, sizeof address.local.sun_path);
        memcpy(end->text, address.local.sun_path, end->len);
        return end->len > 0;
    }
    return false;
}

static bool is_listening(int fd)
{
    int listening = 0;
    socklen_t len = sizeof listening;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 && listening != 0;
}

static bool is_wakeup(int fd)
{
    char path[64], target[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(path, target, sizeof target - 1);
    if (len < 0) {
        return false;
    }
    target[len] = '\0';
    static const char *const kinds[] = {"anon_inode:[eventfd]", "anon_inode:[eventpoll]", "anon_inode:[timerfd]",
                                        "anon_inode:[signalfd]", "anon_inode:[io_uring]"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(target, kinds[i]) == 0) {
            return true;
        }
    }
    return false;
}

typedef void (*visit_t)(int fd, local_end_t *ends, size_t *n_ends);

static void each_descriptor(visit_t visit, local_end_t *ends, size_t *n_ends)
{
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL) {
        return;
    }
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        int fd = atoi(entry->d_name);
        if (fd > 2 && fd != dirfd(folder)) {
            visit(fd, ends, n_ends);
        }
    }
    closedir(folder);
}

static void close_listener(int fd, local_end_t *ends, size_t *n_ends)
{
    if (is_listening(fd)) {
        if (*n_ends < MAX_LISTENERS && local_end(fd, &ends[*n_ends])) {
            (*n_ends)++;
        }
        close(fd);
    }
}

/* A connection of the server has the local end of one of its listeners; what PHP has opened has not. */
static void close_server_side(int fd, local_end_t *ends, size_t *n_ends)
{
    local_end_t end;
    if (is_wakeup(fd)) {
        close(fd);
    } else if (local_end(fd, &end)) {
        for (size_t i = 0; i < *n_ends; i++) {
            if (end.len == ends[i].len && memcmp(end.text, ends[i].text, end.len) == 0) {
                close(fd);
                return;
            }
        }
    }
}

static void become_child(pid_t parent)
{
    local_end_t ends[MAX_LISTENERS];
    size_t n_ends = 0;
    is_child = true;
    hw_log_set_direct(); /* the lock of the log may be held by a thread that does not exist here */
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(1); /* the server ended before it was asked to take this process along */
    }
#endif
    each_descriptor(close_listener, ends, &n_ends);
    each_descriptor(close_server_side, ends, &n_ends);
}

/* -- the functions ---------------------------------------------------------------------------------------------------
 */

static ZEND_NAMED_FUNCTION(fork_and_guard)
{
    const char *name = ZSTR_VAL(EX(func)->common.function_name);
    pid_t parent = getpid();
    hw_spawn_guard_fork(true);
    for (size_t i = 0; i < N_NAMES; i++) {
        if (strcmp(name, names[i]) == 0) {
            originals[i](INTERNAL_FUNCTION_PARAM_PASSTHRU);
        }
    }
    hw_spawn_guard_fork(false);
    if (getpid() != parent) {
        become_child(parent);
    }
}

void hw_fork_minit(void)
{
    for (size_t i = 0; i < N_NAMES; i++) {
        zend_function *function = zend_hash_str_find_ptr(CG(function_table), names[i], strlen(names[i]));
        if (function != NULL && function->type == ZEND_INTERNAL_FUNCTION) {
            originals[i] = function->internal_function.handler;
            function->internal_function.handler = fork_and_guard;
        }
    }
}
