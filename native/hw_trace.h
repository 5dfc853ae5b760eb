/* SPDX-License-Identifier: MIT */
/* The PHP backtrace of a script that runs, without stopping it.
 *
 * Three ways, in this order:
 *   - A thread that is blocked in a system call is read from outside: no signal is sent and the script does not notice.
 *     Its frames are copied by process_vm_readv(), which cannot fault, and what was read counts only if the thread was
 *     in the same call before and after and did not run in between.
 *   - A thread that computes is asked: at its next interrupt it writes the backtrace itself, into a buffer of its slot,
 *     without allocating anything.
 *   - A thread that computes inside one function of PHP's own (a regular expression, a hash) comes to no interrupt. As
 *     long as it does not, the question stays unanswered and its frames stay as they are: it is read from outside.
 *
 * One line per frame, the innermost first: "#0 App\Job->run() at /srv/job.php:12"; internal functions have no place.
 * Includes php.h; never Python.h. */
#ifndef HW_TRACE_H
#define HW_TRACE_H

#include "hw_config.h"

/* Of one backtrace, with the NUL; what does not fit is left out. */
#define HW_TRACE_BYTES 4096

/* Reads the backtrace of a running request, or with id 0 of a thread that runs a script outside of any. Waits at most
 * timeout_ns for a thread that computes; with 0 the question is left behind, and a later call fetches the answer.
 * Thread: any, without the GIL. Locks: takes the slot's kill lock and one of its own. Owns: fills text.
 * Fails: 0 when there is none: the request is over, the thread runs no script, or it has not answered in time. */
HW_HIDDEN size_t hw_trace_read(unsigned slot, uint64_t request_id, int64_t timeout_ns, char text[HW_TRACE_BYTES]);

/* Answers a question of hw_trace_read(). Thread: php, at an interrupt of the VM. Locks: none. Owns: nothing.
 * Fails: never. */
HW_HIDDEN void hw_trace_answer(unsigned slot, uint64_t request_id);

#endif
