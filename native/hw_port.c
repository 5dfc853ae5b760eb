/* SPDX-License-Identifier: MIT */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "hw_port.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifdef __linux__
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#endif

int64_t hw_port_now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

double hw_port_wall_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

void hw_port_set_thread_name(const char *name)
{
    char shortened[16];
    snprintf(shortened, sizeof shortened, "%s", name);
#ifdef __linux__
    pthread_setname_np(pthread_self(), shortened);
#elif defined(__APPLE__)
    pthread_setname_np(shortened);
#endif
}

int hw_port_thread_id(void)
{
#ifdef __linux__
    return (int)syscall(SYS_gettid);
#else
    return 0;
#endif
}

int hw_port_wakeup_open(int fds[2])
{
#ifdef __linux__
    fds[0] = fds[1] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return fds[0] < 0 ? -1 : 0;
#else
    if (pipe(fds) != 0) {
        return -1;
    }
    for (int i = 0; i < 2; i++) {
        fcntl(fds[i], F_SETFD, FD_CLOEXEC);
        fcntl(fds[i], F_SETFL, O_NONBLOCK);
    }
    return 0;
#endif
}

void hw_port_wakeup_close(int fds[2])
{
    if (fds[0] >= 0) {
        close(fds[0]);
    }
    if (fds[1] >= 0 && fds[1] != fds[0]) {
        close(fds[1]);
    }
    fds[0] = fds[1] = -1;
}

void hw_port_wakeup_signal(const int fds[2])
{
    static const uint64_t one = 1;
    ssize_t n;
    do {
        n = write(fds[1], &one, sizeof one);
    } while (n < 0 && errno == EINTR);
    /* EAGAIN means that a wake-up is pending already, which is all that is wanted. */
}

void hw_port_wakeup_clear(const int fds[2])
{
    char sink[256];
    ssize_t n;
    do {
        n = read(fds[0], sink, fds[0] == fds[1] ? sizeof(uint64_t) : sizeof sink);
    } while ((n < 0 && errno == EINTR) || (n == (ssize_t)sizeof sink));
}

void hw_port_block_signals(sigset_t *before)
{
    sigset_t blocked;
    sigfillset(&blocked);
    sigdelset(&blocked, HW_TIMER_SIGNAL);
    sigdelset(&blocked, HW_KILL_SIGNAL);
    sigdelset(&blocked, SIGSEGV);
    sigdelset(&blocked, SIGBUS);
    sigdelset(&blocked, SIGFPE);
    sigdelset(&blocked, SIGILL);
    sigdelset(&blocked, SIGABRT);
    sigdelset(&blocked, SIGTRAP);
    sigdelset(&blocked, SIGSYS);
    pthread_sigmask(SIG_SETMASK, &blocked, before);
}

int hw_port_own_umask(void)
{
#ifdef __linux__
    return unshare(CLONE_FS);
#else
    errno = ENOSYS;
    return -1;
#endif
}
