/* SPDX-License-Identifier: MIT */
#include "hw_body_inside.h"

#include <errno.h>
#include <string.h>

#include "hw_spool.h"

/* Holes are punched in steps: one costs about half a millisecond. The step is a multiple of every block size. */
#define PUNCH_STEP ((uint64_t)8 * 1024 * 1024)

/* Called with the lock, which is released meanwhile. A chunk that is used up is added to *spent. */
static size_t take_memory(hw_body_t *body, char *into, size_t max, hw_body_chunk_t **spent)
{
    hw_body_chunk_t *chunk = body->head;
    size_t n = chunk->filled - chunk->taken;
    n = n < max ? n : max;
    const char *from = chunk->data + chunk->taken;
    pthread_mutex_unlock(&body->lock);
    memcpy(into, from, n);
    pthread_mutex_lock(&body->lock);
    chunk->taken += n;
    hw_body_count_read(body, n);
    /* With space left it is the last one, and the producer may be writing into it. */
    if (chunk->taken == chunk->size) {
        body->head = chunk->next;
        if (body->head == NULL) {
            body->tail = NULL;
        }
        chunk->next = *spent;
        *spent = chunk;
    }
    return n;
}

/* Called with the lock, which is released meanwhile. Gives 0 when the file cannot be read: the body is cancelled,
 * because what follows a gap is worth nothing. */
static size_t take_file(hw_body_t *body, char *into, size_t max)
{
    uint64_t at = body->file_read;
    uint64_t start = body->file_start;
    size_t n = body->file_end - at < max ? (size_t)(body->file_end - at) : max;
    int fd = body->fd;
    bool no_punch = body->no_punch;
    pthread_mutex_unlock(&body->lock);

    int error = 0;
    size_t got = hw_spool_file_read(fd, into, n, at, &error);
    /* Before file_read is advanced: afterwards the producer may cut the file and write at 0 again. */
    uint64_t hole = (at + got - start) / PUNCH_STEP * PUNCH_STEP;
    if (hole > 0 && !no_punch) {
        no_punch = !hw_spool_file_punch(fd, start, hole);
    }
    bool punched = hole > 0 && !no_punch;
    if (punched) {
        hw_spool_file_release(hole);
    }

    pthread_mutex_lock(&body->lock);
    body->no_punch = no_punch;
    if (punched) {
        body->file_start += hole;
        body->file_held -= hole;
    }
    body->file_read += got;
    if (got < n) {
        body->last_errno = error != 0 ? error : EIO;
        body->cancelled = true;
        hw_body_wake_all(body);
    }
    hw_body_count_read(body, got);
    return got;
}

size_t hw_body_read(hw_body_t *body, char *into, size_t max)
{
    size_t total = 0;
    hw_body_chunk_t *spent = NULL;
    pthread_mutex_lock(&body->lock);
    body->reading = true;
    while (total < max && !body->cancelled) {
        if (body->head != NULL && body->head->taken < body->head->filled) {
            total += take_memory(body, into + total, max - total, &spent);
        } else if (body->file_read < body->file_end) {
            total += take_file(body, into + total, max - total);
        } else {
            break;
        }
    }
    body->reading = false;
    hw_body_unlock(body);
    hw_body_free_chunks(spent);
    return total;
}

size_t hw_body_peek_len(hw_body_t *body)
{
    pthread_mutex_lock(&body->lock);
    size_t n = body->cancelled ? 0 : (size_t)hw_body_unread(body);
    pthread_mutex_unlock(&body->lock);
    return n;
}
