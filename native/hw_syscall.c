/* SPDX-License-Identifier: MIT */
#include "hw_syscall.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>

#include "hw_port.h"

#if defined(__linux__) && (defined(__x86_64__) || defined(__aarch64__))
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>
#define HAVE_CALLS 1
#else
#define HAVE_CALLS 0
#endif

#if HAVE_CALLS

#define MAX_POLLED 64

/* Reads a small file under /proc/self/task/TID in one piece; gives its length. */
static size_t read_task_file(int thread_id, const char *name, char *into, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/%s", thread_id, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    ssize_t n;
    do {
        n = read(fd, into, size - 1);
    } while (n < 0 && errno == EINTR);
    close(fd);
    into[n > 0 ? n : 0] = '\0';
    return n > 0 ? (size_t)n : 0;
}

bool hw_syscall_readable(void)
{
    char text[256];
    return read_task_file(hw_port_thread_id(), "syscall", text, sizeof text) > 0;
}

/* "NUMBER ARGUMENT*6 SP PC", "-1 SP PC" or "running" (proc(5)). */
bool hw_syscall_read(int thread_id, hw_syscall_t *call)
{
    char text[256];
    if (thread_id <= 0 || read_task_file(thread_id, "syscall", text, sizeof text) == 0) {
        return false;
    }
    uint64_t values[HW_SYSCALL_ARGUMENTS + 2];
    size_t n = 0;
    char *at = text, *end;
    memset(call, 0, sizeof *call);
    call->number = strtol(at, &end, 10);
    if (end == at) {
        return false; /* running */
    }
    for (at = end; n < sizeof values / sizeof *values; at = end) {
        values[n] = strtoull(at, &end, 16);
        if (end == at) {
            break;
        }
        n++;
    }
    if (n == sizeof values / sizeof *values) {
        memcpy(call->arguments, values, sizeof call->arguments);
    } else if (n != 2 || call->number != -1) {
        return false;
    }
    call->sp = values[n - 2];
    call->pc = values[n - 1];
    return true;
}

uint64_t hw_syscall_switches(int thread_id)
{
    static const char voluntary[] = "\nvoluntary_ctxt_switches:";
    static const char forced[] = "\nnonvoluntary_ctxt_switches:";
    char text[4096];
    if (read_task_file(thread_id, "status", text, sizeof text) == 0) {
        return 0;
    }
    const char *first = strstr(text, voluntary), *second = strstr(text, forced);
    return (first != NULL ? strtoull(first + sizeof voluntary - 1, NULL, 10) : 0) +
           (second != NULL ? strtoull(second + sizeof forced - 1, NULL, 10) : 0);
}

bool hw_syscall_was_ended(const hw_syscall_t *call, const void *context)
{
    const ucontext_t *found = context;
    uint64_t result = (uint64_t)-EINTR;
#if defined(__x86_64__)
    const greg_t *registers = found->uc_mcontext.gregs;
    static const int order[HW_SYSCALL_ARGUMENTS] = {REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9};
    for (int i = 0; i < HW_SYSCALL_ARGUMENTS; i++) {
        if ((uint64_t)registers[order[i]] != call->arguments[i]) {
            return false;
        }
    }
    return (uint64_t)registers[REG_RAX] == result && (uint64_t)registers[REG_RIP] == call->pc &&
           (uint64_t)registers[REG_RSP] == call->sp;
#else
    /* x0 holds the result instead of the first argument, but x8 still holds the number. */
    const mcontext_t *registers = &found->uc_mcontext;
    for (int i = 1; i < HW_SYSCALL_ARGUMENTS; i++) {
        if (registers->regs[i] != call->arguments[i]) {
            return false;
        }
    }
    return registers->regs[0] == result && registers->regs[8] == (uint64_t)call->number && registers->pc == call->pc &&
           registers->sp == call->sp;
#endif
}

bool hw_syscall_peek(uint64_t address, void *into, size_t len)
{
    struct iovec local = {.iov_base = into, .iov_len = len};
    struct iovec remote = {.iov_base = (void *)(uintptr_t)address, .iov_len = len};
    return len == 0 || process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)len;
}

/* -- descriptors -- */

static size_t polled(const hw_syscall_t *call, int *descriptors, size_t max)
{
    struct pollfd set[MAX_POLLED];
    size_t count = call->arguments[1] < MAX_POLLED ? (size_t)call->arguments[1] : MAX_POLLED;
    size_t n = 0;
    if (!hw_syscall_peek(call->arguments[0], set, count * sizeof *set)) {
        return 0;
    }
    for (size_t i = 0; i < count && n < max; i++) {
        if (set[i].fd >= 0) {
            descriptors[n++] = set[i].fd;
        }
    }
    return n;
}

static size_t selected(const hw_syscall_t *call, int *descriptors, size_t max)
{
    unsigned long bits[FD_SETSIZE / (8 * sizeof(unsigned long))] = {0};
    const size_t per_word = 8 * sizeof *bits;
    size_t limit = call->arguments[0] < FD_SETSIZE ? (size_t)call->arguments[0] : FD_SETSIZE;
    size_t words = (limit + per_word - 1) / per_word;
    size_t n = 0;
    for (int which = 1; which <= 3; which++) {
        unsigned long set[sizeof bits / sizeof *bits];
        if (call->arguments[which] == 0) {
            continue;
        }
        if (!hw_syscall_peek(call->arguments[which], set, words * sizeof *set)) {
            return 0;
        }
        for (size_t i = 0; i < words; i++) {
            bits[i] |= set[i];
        }
    }
    for (size_t fd = 0; fd < limit && n < max; fd++) {
        if (bits[fd / per_word] >> (fd % per_word) & 1) {
            descriptors[n++] = (int)fd;
        }
    }
    return n;
}

/* The kernel lists what an epoll descriptor watches in /proc/self/fdinfo: lines "tfd: NUMBER ..." (proc(5)). */
static size_t watched(const hw_syscall_t *call, int *descriptors, size_t max)
{
    char path[64], line[256];
    size_t n = 0;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", (int)call->arguments[0]);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return 0;
    }
    while (n < max && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "tfd:", 4) == 0) {
            descriptors[n++] = atoi(line + 4);
        }
    }
    fclose(file);
    return n;
}

size_t hw_syscall_descriptors(const hw_syscall_t *call, int *descriptors, size_t max)
{
    if (max == 0) {
        return 0;
    }
    switch (call->number) {
    case SYS_read:
    case SYS_readv:
    case SYS_write:
    case SYS_writev:
    case SYS_recvfrom:
    case SYS_recvmsg:
    case SYS_recvmmsg:
    case SYS_sendto:
    case SYS_sendmsg:
    case SYS_sendmmsg:
    case SYS_connect:
    case SYS_accept:
    case SYS_accept4:
        descriptors[0] = (int)call->arguments[0];
        return 1;
#ifdef SYS_poll
    case SYS_poll:
#endif
    case SYS_ppoll:
        return polled(call, descriptors, max);
#ifdef SYS_select
    case SYS_select:
#endif
    case SYS_pselect6:
        return selected(call, descriptors, max);
#ifdef SYS_epoll_wait
    case SYS_epoll_wait:
#endif
    case SYS_epoll_pwait:
#ifdef SYS_epoll_pwait2
    case SYS_epoll_pwait2:
#endif
        return watched(call, descriptors, max);
    default:
        return 0;
    }
}

#else /* no such file, or a processor for which nobody has written this: such calls are only interrupted */

bool hw_syscall_readable(void)
{
    return false;
}

bool hw_syscall_read(int thread_id, hw_syscall_t *call)
{
    (void)thread_id;
    (void)call;
    return false;
}

uint64_t hw_syscall_switches(int thread_id)
{
    (void)thread_id;
    return 0;
}

bool hw_syscall_was_ended(const hw_syscall_t *call, const void *context)
{
    (void)call;
    (void)context;
    return false;
}

size_t hw_syscall_descriptors(const hw_syscall_t *call, int *descriptors, size_t max)
{
    (void)call;
    (void)descriptors;
    (void)max;
    return 0;
}

bool hw_syscall_peek(uint64_t address, void *into, size_t len)
{
    (void)address;
    (void)into;
    return len == 0;
}

#endif

bool hw_syscall_same(const hw_syscall_t *one, const hw_syscall_t *other)
{
    return one->number == other->number && one->sp == other->sp && one->pc == other->pc &&
           memcmp(one->arguments, other->arguments, sizeof one->arguments) == 0;
}
