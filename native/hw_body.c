/* SPDX-License-Identifier: MIT */
/* How a body works. The producer's side is in hw_body_producer.c, the consumer's in hw_body_consumer.c.
 *
 * Order. Bytes are in a list of memory chunks, then in the file, never the other way round: the producer writes to
 * memory only while the file holds nothing unread, so the consumer empties memory, then the file. When the file has
 * been read to its end the producer cuts it to nothing and memory is used again.
 *
 * Locking. `lock` guards every field below and is held only to look at them or change them. The bytes themselves are
 * copied, written and read without it, which is safe for these reasons:
 *   - bytes become visible to the consumer only when `filled` or `file_end` is advanced, after they were copied;
 *   - only the producer advances `filled` and `file_end`, adds chunks, opens the file and cuts it;
 *   - only the consumer advances `taken` and `file_read`, punches holes, and unlinks a chunk, and it unlinks none
 *     into which the producer may still write (the last one, while it has space);
 *   - the producer starts a chunk or the file again only when everything in it has been read. The consumer advances
 *     its mark after its last access, so "everything was read" means that it does not look at it any more;
 *   - memory and file are given back early (cancelled, or ended and read) only while neither side is inside a call:
 *     `writing` and `reading` say so, and whoever leaves last cleans up.
 *
 * Memory. A chunk is made as large as what is waiting (4 KiB, 16, 64, 256 KiB), so that a reader who keeps up costs
 * a few small chunks and a slow one few allocations. */
#include "hw_body_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "hw_port.h"
#include "hw_spool.h"

/* A producer whose body holds nothing is refused because of others; nobody tells it when that changes. */
#define STARVED_RETRY_NS ((int64_t)50 * 1000 * 1000)

/* What is given back without the lock. */
typedef struct {
    hw_body_chunk_t *chunks;
    int fd;
    uint64_t file_held;
} remains_t;

hw_body_t *hw_body_new(void)
{
    hw_body_t *body = calloc(1, sizeof *body);
    if (body == NULL) {
        return NULL;
    }
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&body->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&body->lock, NULL);
    body->fd = -1;
    return body;
}

/* -- giving back -- */

void hw_body_free_chunks(hw_body_chunk_t *chunk)
{
    while (chunk != NULL) {
        hw_body_chunk_t *next = chunk->next;
        hw_spool_memory_release(chunk->size);
        free(chunk);
        chunk = next;
    }
}

static remains_t detach(hw_body_t *body)
{
    remains_t remains = {body->head, body->fd, body->file_held};
    body->head = body->tail = NULL;
    body->fd = -1;
    body->file_end = body->file_read = body->file_start = body->file_held = 0;
    return remains;
}

static void dispose(remains_t remains)
{
    hw_body_free_chunks(remains.chunks);
    if (remains.fd >= 0) {
        hw_spool_file_close(remains.fd, remains.file_held);
    }
}

void hw_body_unlock(hw_body_t *body)
{
    bool useless = body->cancelled || (body->ended && hw_body_unread(body) == 0);
    remains_t remains = {NULL, -1, 0};
    if (useless && !body->writing && !body->reading) {
        remains = detach(body);
    }
    pthread_mutex_unlock(&body->lock);
    dispose(remains);
}

void hw_body_free(hw_body_t *body)
{
    if (body == NULL) {
        return;
    }
    dispose(detach(body));
    pthread_cond_destroy(&body->changed);
    pthread_mutex_destroy(&body->lock);
    free(body);
}

/* -- waiting -- */

/* The moment at which a wait ends; -1 = none. */
static int64_t deadline_of(int64_t timeout_ns)
{
    int64_t now = hw_port_now_ns();
    return timeout_ns < 0 || timeout_ns > INT64_MAX - now ? -1 : now + timeout_ns;
}

/* Called with the lock. False when the moment has passed. */
static bool wait_changed(hw_body_t *body, int64_t deadline)
{
    if (deadline < 0) {
        pthread_cond_wait(&body->changed, &body->lock);
        return true;
    }
    struct timespec at = {.tv_sec = deadline / 1000000000, .tv_nsec = deadline % 1000000000};
    return pthread_cond_timedwait(&body->changed, &body->lock, &at) != ETIMEDOUT;
}

hw_body_result_t hw_body_wait_space(hw_body_t *body, int64_t timeout_ns)
{
    pthread_mutex_lock(&body->lock);
    if (body->starved && (timeout_ns < 0 || timeout_ns > STARVED_RETRY_NS)) {
        timeout_ns = STARVED_RETRY_NS;
    }
    int64_t deadline = deadline_of(timeout_ns);
    body->producer_waits = true;
    while (!hw_body_closed(body) && (body->starved || hw_body_unread(body) > body->wake_at) &&
           wait_changed(body, deadline)) {
    }
    body->producer_waits = false;
    bool room = !body->starved && hw_body_unread(body) <= body->wake_at;
    hw_body_result_t result = hw_body_closed(body) ? HW_BODY_CLOSED : room ? HW_BODY_OK : HW_BODY_WOULD_WAIT;
    pthread_mutex_unlock(&body->lock);
    return result;
}

hw_body_result_t hw_body_wait_data(hw_body_t *body, int64_t timeout_ns)
{
    int64_t deadline = deadline_of(timeout_ns);
    pthread_mutex_lock(&body->lock);
    body->consumer_waits = true;
    while (!hw_body_closed(body) && hw_body_unread(body) == 0 && wait_changed(body, deadline)) {
    }
    body->consumer_waits = false;
    bool data = !body->cancelled && hw_body_unread(body) > 0;
    hw_body_result_t result = data ? HW_BODY_OK : hw_body_closed(body) ? HW_BODY_CLOSED : HW_BODY_WOULD_WAIT;
    pthread_mutex_unlock(&body->lock);
    return result;
}

/* -- anybody -- */

void hw_body_end(hw_body_t *body, bool complete)
{
    pthread_mutex_lock(&body->lock);
    if (!body->ended) {
        body->ended = true;
        body->complete = complete;
        hw_body_wake_all(body);
    }
    hw_body_unlock(body);
}

void hw_body_cancel(hw_body_t *body)
{
    pthread_mutex_lock(&body->lock);
    /* After the last byte there is nothing left to throw away: it stays complete. */
    if (!body->ended || hw_body_unread(body) > 0) {
        body->cancelled = true;
        hw_body_wake_all(body);
    }
    hw_body_unlock(body);
}

void hw_body_info(hw_body_t *body, hw_body_info_t *info)
{
    pthread_mutex_lock(&body->lock);
    info->ended = body->ended;
    info->complete = body->ended && body->complete && !body->cancelled;
    info->cancelled = body->cancelled;
    info->last_errno = body->last_errno;
    info->written_bytes = body->written;
    info->read_bytes = body->read;
    info->spooled_bytes = body->spooled;
    pthread_mutex_unlock(&body->lock);
}
