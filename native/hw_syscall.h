/* SPDX-License-Identifier: MIT */
/* In which system call a thread of this process is blocked, as /proc/self/task/TID/syscall tells it (Linux).
 *
 * The kernel answers only while the thread is blocked, and takes number, arguments, stack pointer and program counter
 * from the thread's saved registers. The same values stand in the context that a signal handler gets when the signal
 * ends that call, so a handler can tell whether its thread is still where somebody else has seen it.
 * Pure C: includes neither php.h nor Python.h. */
#ifndef HW_SYSCALL_H
#define HW_SYSCALL_H

#include "hw_config.h"

#define HW_SYSCALL_ARGUMENTS 6

typedef struct {
    long number; /* -1 = blocked, but not in a system call */
    uint64_t arguments[HW_SYSCALL_ARGUMENTS];
    uint64_t sp, pc;
} hw_syscall_t;

/* Whether the file can be read here: kernels without it, sandboxes and other systems have none.
 * Thread: any. Locks: none. Owns: nothing. Fails: false. */
HW_HIDDEN bool hw_syscall_readable(void);

/* Reads where a thread is blocked; may wait some milliseconds for a thread that is about to block.
 * Thread: any, preferably without the GIL. Locks: none. Owns: nothing. Fails: false when it runs or does not exist. */
HW_HIDDEN bool hw_syscall_read(int thread_id, hw_syscall_t *call);

/* How often the thread has given up its processor: the same number twice means that it did not run in between.
 * Thread: any. Locks: none. Owns: nothing. Fails: 0 where it cannot be read. */
HW_HIDDEN uint64_t hw_syscall_switches(int thread_id);

/* Thread: any. Locks: none. Owns: nothing. Fails: never. */
HW_HIDDEN bool hw_syscall_same(const hw_syscall_t *one, const hw_syscall_t *other);

/* In a signal handler with SA_SIGINFO: did the signal end exactly this call? `context` is the handler's third argument.
 * Thread: any, in a handler (async-signal-safe). Locks: none. Owns: nothing. Fails: false, also on processors for which
 * it is not written (it is for x86_64 and aarch64). */
HW_HIDDEN bool hw_syscall_was_ended(const hw_syscall_t *call, const void *context);

/* Descriptors that the call waits for: of reads, writes, connect, accept, and of the sets of poll, select and epoll.
 * The sets are read from memory that belongs to the blocked thread: valid if the thread is in the same call afterwards.
 * Thread: any. Locks: none. Owns: nothing. Fails: 0 = the call waits for no descriptor. */
HW_HIDDEN size_t hw_syscall_descriptors(const hw_syscall_t *call, int *descriptors, size_t max);

/* Copies memory of this process that another thread may free meanwhile; never faults.
 * Thread: any. Locks: none. Owns: nothing. Fails: false when not all of it could be read. */
HW_HIDDEN bool hw_syscall_peek(uint64_t address, void *into, size_t len);

#endif
