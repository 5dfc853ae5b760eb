/* SPDX-License-Identifier: MIT */
/* A FIFO of bytes between one producer and one consumer thread: a response on its way from a PHP thread to the event
 * loop, or a request body on its way from the event loop to a PHP thread.
 *
 * What the consumer has not fetched yet is in memory first, and beyond a limit in an unlinked file. Exactly one thread
 * at a time may call the producer's functions, and exactly one the consumer's; end, cancel and info are for anybody.
 * No lock is held while bytes are copied, read or written, so neither side ever waits for the other's disk.
 * How it works is told at the head of hw_body.c. Pure C: includes neither php.h nor Python.h. */
#ifndef HW_BODY_H
#define HW_BODY_H

#include "hw_config.h"

typedef struct hw_body hw_body_t;

typedef enum {
    HW_BODY_OK,
    HW_BODY_WOULD_WAIT, /* nothing (more) can be taken, or nothing has come, yet */
    HW_BODY_CLOSED      /* ended or cancelled: nothing will ever be taken, or come, again */
} hw_body_result_t;

/* Makes no system call. Thread: any. Locks: none. Owns: new. Fails: NULL, out of memory. */
HW_HIDDEN hw_body_t *hw_body_new(void);

/* No thread may be inside one of the functions below, or call one afterwards. NULL is allowed.
 * Thread: any. Locks: none. Owns: frees chunks and file, and gives them back to the budgets. Fails: never. */
HW_HIDDEN void hw_body_free(hw_body_t *body);

/* Appends bytes: to memory while less than memory_limit of it is unread and the process's budget allows, else to the
 * file. A body that holds nothing takes a first piece into memory whatever the process's budget says, so that slow
 * clients cannot starve fast ones. `hard_limit` bounds all unread bytes (0 = no such bound).
 * *accepted becomes the number of bytes taken, in every case.
 * Thread: the producer; never blocks but on the disk. Locks: takes the body's. Owns: copies data.
 * Fails: HW_BODY_WOULD_WAIT when only the first *accepted bytes (often 0) were taken, because a limit is reached or
 * the disk is full: offer the rest again after hw_body_wait_space(). HW_BODY_CLOSED when it is ended or cancelled. */
HW_HIDDEN hw_body_result_t hw_body_write(hw_body_t *body, const char *data, size_t len, size_t memory_limit,
                                         size_t hard_limit, size_t *accepted);

/* Waits until half of what was unread at the last HW_BODY_WOULD_WAIT has been read; timeout_ns < 0 waits without
 * bound. Room that other bodies give back (budgets, disk) is not noticed: bound the wait and offer the bytes again.
 * With nothing unread only others can make room: then the wait takes 50 ms at most.
 * Thread: the producer. Locks: takes the body's, releases it while waiting. Owns: nothing.
 * Fails: HW_BODY_WOULD_WAIT after the timeout, HW_BODY_CLOSED when it is ended or cancelled. */
HW_HIDDEN hw_body_result_t hw_body_wait_space(hw_body_t *body, int64_t timeout_ns);

/* Copies up to `max` bytes out; gives min(max, hw_body_peek_len()) unless the file cannot be read any more, which
 * cancels the body (last_errno tells why).
 * Thread: the consumer; never blocks but on the disk. Locks: takes the body's. Owns: nothing.
 * Fails: 0 when empty or cancelled. */
HW_HIDDEN size_t hw_body_read(hw_body_t *body, char *into, size_t max);

/* Unread bytes; 0 when cancelled. They can only become more until the next hw_body_read() or hw_body_cancel().
 * Thread: any. Locks: takes the body's. Owns: nothing. Fails: never. */
HW_HIDDEN size_t hw_body_peek_len(hw_body_t *body);

/* Waits until there is something to read; timeout_ns < 0 waits without bound.
 * Thread: the consumer. Locks: takes the body's, releases it while waiting. Owns: nothing.
 * Fails: HW_BODY_WOULD_WAIT after the timeout, HW_BODY_CLOSED when nothing is unread and nothing will come. */
HW_HIDDEN hw_body_result_t hw_body_wait_data(hw_body_t *body, int64_t timeout_ns);

/* Nothing more will come. `complete` tells whether all of it came; only the first call counts. What is unread stays
 * readable. Wakes both sides.
 * Thread: any, after the producer's last write has returned. Locks: takes the body's. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_body_end(hw_body_t *body, bool complete);

/* Nobody wants it any more. What is unread is thrown away, memory and disk are given back as soon as neither side is
 * inside a call. Wakes both sides. May be repeated; does nothing to a body that has ended and was read to its end.
 * Thread: any. Locks: takes the body's. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_body_cancel(hw_body_t *body);

typedef struct {
    bool ended;
    bool complete; /* ended, nothing was missing, and nothing was thrown away */
    bool cancelled;
    int last_errno;         /* of the last file operation that failed; 0 = none ever did */
    uint64_t written_bytes; /* accepted from the producer */
    uint64_t read_bytes;    /* given to the consumer */
    uint64_t spooled_bytes; /* of written_bytes, what went through a file */
} hw_body_info_t;

/* Thread: any. Locks: takes the body's. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_body_info(hw_body_t *body, hw_body_info_t *info);

#endif
