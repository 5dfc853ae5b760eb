/* SPDX-License-Identifier: MIT */
#include "hw_fork.h"

#include <php.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#ifdef __linux__
#include <signal.h>
#include <sys/prctl.h>
#endif

#include "hw_log.h"
#include "hw_socket.h"
#include "hw_spawn.h"

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

static void close_listener(int fd, void *listeners)
{
    if (hw_socket_is_listening(fd)) {
        hw_socket_add_listener(listeners, fd);
        close(fd);
    }
}

static void close_server_side(int fd, void *listeners)
{
    if (is_wakeup(fd) || hw_socket_came_in(fd, listeners)) {
        close(fd);
    }
}

static void become_child(pid_t parent)
{
    hw_listeners_t listeners = {.count = 0};
    is_child = true;
    hw_log_set_direct(); /* the lock of the log may be held by a thread that does not exist here */
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(1); /* the server ended before it was asked to take this process along */
    }
#endif
    hw_socket_each_descriptor(close_listener, &listeners);
    hw_socket_each_descriptor(close_server_side, &listeners);
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
