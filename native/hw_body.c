/* SPDX-License-Identifier: MIT */
/* How a body works.
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
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "hw_body.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "hw_port.h"
#include "hw_spool.h"

#define CHUNK_MIN        ((size_t)4 * 1024)
#define CHUNK_MAX        ((size_t)256 * 1024)
/* What a body that holds nothing may take beyond the process's budget. */
#define FIRST_PIECE      ((size_t)16 * 1024)
/* Holes are punched in steps: one costs about half a millisecond. The step is a multiple of every block size. */
#define PUNCH_STEP       ((uint64_t)8 * 1024 * 1024)
/* A producer whose body holds nothing is refused because of others; nobody tells it when that changes. */
#define STARVED_RETRY_NS ((int64_t)50 * 1000 * 1000)

typedef struct chunk {
    struct chunk *next; /* producer; lock */
    size_t size;        /* constant */
    size_t filled;      /* producer; lock */
    size_t taken;       /* consumer, and producer to start again; lock */
    char data[];
} chunk_t;

/* What is given back without the lock. */
typedef struct {
    chunk_t *chunks;
    int fd;
    uint64_t file_held;
} remains_t;

struct hw_body {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    chunk_t *head, *tail; /* tail: producer; head: consumer (producer for the first one) */
    int fd;               /* producer; -1 = none */
    uint64_t file_end;    /* producer */
    uint64_t file_read;   /* consumer, and producer to start again */
    uint64_t file_start;  /* below it the disk was given back; consumer, and producer to start again */
    uint64_t file_held;   /* disk taken from the budget; both */
    uint64_t written;     /* producer */
    uint64_t read;        /* consumer */
    uint64_t spooled;     /* producer */
    uint64_t wake_at;     /* the waiting producer goes on when no more is unread; producer */
    int last_errno;       /* both */
    bool starved;         /* the last refusal came while nothing was unread; producer */
    bool writing;         /* the producer is inside a call; producer */
    bool reading;         /* the consumer is inside a call; consumer */
    bool no_punch;        /* the file system cannot; consumer */
    bool producer_waits;  /* producer */
    bool consumer_waits;  /* consumer */
    bool ended;           /* any */
    bool complete;        /* any */
    bool cancelled;       /* any */
};

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

/* -- small things; the lock is held -- */

static uint64_t unread(const hw_body_t *body)
{
    return body->written - body->read;
}

static bool closed(const hw_body_t *body)
{
    return body->ended || body->cancelled;
}

static void wake_all(hw_body_t *body)
{
    if (body->producer_waits || body->consumer_waits) {
        pthread_cond_broadcast(&body->changed);
    }
}

static void count_written(hw_body_t *body, size_t n)
{
    body->written += n;
    if (n > 0 && body->consumer_waits) {
        pthread_cond_broadcast(&body->changed);
    }
}

static void count_read(hw_body_t *body, size_t n)
{
    body->read += n;
    if (body->producer_waits && unread(body) <= body->wake_at) {
        pthread_cond_broadcast(&body->changed);
    }
}

/* -- giving back -- */

static void free_chunks(chunk_t *chunk)
{
    while (chunk != NULL) {
        chunk_t *next = chunk->next;
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
    free_chunks(remains.chunks);
    if (remains.fd >= 0) {
        hw_spool_file_close(remains.fd, remains.file_held);
    }
}

/* Releases the lock; memory and file go when nobody needs them any more. */
static void unlock_and_clean(hw_body_t *body)
{
    bool useless = body->cancelled || (body->ended && unread(body) == 0);
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

/* -- producer -- */

static chunk_t *new_chunk(size_t want, bool force)
{
    size_t size = CHUNK_MIN;
    while (size < want && size < CHUNK_MAX) {
        size *= 2;
    }
    size = hw_spool_memory_reserve(size, CHUNK_MIN);
    if (size == 0 && force) {
        size = FIRST_PIECE;
        hw_spool_memory_force(size);
    }
    if (size == 0) {
        return NULL;
    }
    chunk_t *chunk = malloc(sizeof *chunk + size);
    if (chunk == NULL) {
        hw_spool_memory_release(size);
        return NULL;
    }
    chunk->next = NULL;
    chunk->size = size;
    chunk->filled = chunk->taken = 0;
    return chunk;
}

static void link_chunk(hw_body_t *body, chunk_t *chunk)
{
    if (body->tail != NULL) {
        body->tail->next = chunk;
    } else {
        body->head = chunk;
    }
    body->tail = chunk;
}

/* Called with the lock, which is released meanwhile. The file holds nothing unread. Gives 0 when there is no room. */
static size_t append_memory(hw_body_t *body, const char *data, size_t len, size_t memory_limit)
{
    uint64_t waiting = unread(body);
    if (waiting >= memory_limit) {
        return 0;
    }
    if (len > memory_limit - waiting) {
        len = memory_limit - (size_t)waiting;
    }
    chunk_t *chunk = body->tail;
    if (chunk != NULL && chunk->taken == chunk->filled) {
        chunk->taken = chunk->filled = 0;
    }
    bool fresh = chunk == NULL || chunk->filled == chunk->size;
    pthread_mutex_unlock(&body->lock);

    if (fresh) {
        chunk = new_chunk(len + 3 * (size_t)waiting, waiting == 0);
    }
    if (chunk != NULL) {
        len = len < chunk->size - chunk->filled ? len : chunk->size - chunk->filled;
        memcpy(chunk->data + chunk->filled, data, len);
    }

    pthread_mutex_lock(&body->lock);
    if (chunk == NULL) {
        return 0;
    }
    if (fresh) {
        link_chunk(body, chunk);
    }
    chunk->filled += len;
    count_written(body, len);
    return len;
}

/* Called with the lock, which is released meanwhile. Everything in the file was read: its space is given back. */
static void cut_file(hw_body_t *body)
{
    uint64_t held = body->file_held;
    body->file_end = body->file_read = body->file_start = 0;
    pthread_mutex_unlock(&body->lock);
    bool cut = ftruncate(body->fd, 0) == 0;
    if (cut) {
        hw_spool_file_release(held);
    }
    pthread_mutex_lock(&body->lock);
    /* Nothing else changes it meanwhile: the consumer finds nothing to read. */
    body->file_held = cut ? 0 : held;
}

/* Called with the lock, which is released meanwhile. Gives 0 when a limit is reached or the disk refuses. */
static size_t append_file(hw_body_t *body, const char *data, size_t len)
{
    if (body->file_end > 0 && body->file_read == body->file_end) {
        cut_file(body);
    }
    uint64_t held = body->file_held;
    uint64_t at = body->file_end;
    int fd = body->fd;
    pthread_mutex_unlock(&body->lock);

    int error = 0;
    size_t done = 0;
    size_t granted = (size_t)hw_spool_file_reserve(held, len);
    if (granted > 0 && fd < 0) {
        fd = hw_spool_file_open();
        error = fd < 0 ? errno : 0;
    }
    if (granted > 0 && fd >= 0) {
        done = hw_spool_file_write(fd, data, granted, at, &error);
    }
    hw_spool_file_release(granted - done);

    pthread_mutex_lock(&body->lock);
    body->fd = fd;
    body->file_end += done;
    body->file_held += done;
    body->spooled += done;
    if (error != 0) {
        body->last_errno = error;
    }
    count_written(body, done);
    return done;
}

/* Called with the lock. One step of a write; 0 = nothing can be taken now. */
static size_t append(hw_body_t *body, const char *data, size_t len, size_t memory_limit, size_t hard_limit)
{
    if (hard_limit > 0) {
        uint64_t waiting = unread(body);
        size_t room = waiting < hard_limit ? hard_limit - (size_t)waiting : 0;
        len = len < room ? len : room;
        if (len == 0) {
            return 0;
        }
    }
    size_t taken = 0;
    if (body->file_read == body->file_end) {
        taken = append_memory(body, data, len, memory_limit);
    }
    if (taken == 0 && !closed(body)) {
        taken = append_file(body, data, len);
    }
    return taken;
}

hw_body_result_t hw_body_write(hw_body_t *body, const char *data, size_t len, size_t memory_limit, size_t hard_limit,
                               size_t *accepted)
{
    hw_body_result_t result = HW_BODY_OK;
    size_t total = 0;
    pthread_mutex_lock(&body->lock);
    body->writing = true;
    while (total < len) {
        if (closed(body)) {
            result = HW_BODY_CLOSED;
            break;
        }
        size_t taken = append(body, data + total, len - total, memory_limit, hard_limit);
        total += taken;
        if (taken == 0 && !closed(body)) {
            body->wake_at = unread(body) / 2;
            body->starved = unread(body) == 0;
            result = HW_BODY_WOULD_WAIT;
            break;
        }
    }
    body->writing = false;
    unlock_and_clean(body);
    *accepted = total;
    return result;
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
    while (!closed(body) && (body->starved || unread(body) > body->wake_at) && wait_changed(body, deadline)) {
    }
    body->producer_waits = false;
    bool room = !body->starved && unread(body) <= body->wake_at;
    hw_body_result_t result = closed(body) ? HW_BODY_CLOSED : room ? HW_BODY_OK : HW_BODY_WOULD_WAIT;
    pthread_mutex_unlock(&body->lock);
    return result;
}

hw_body_result_t hw_body_wait_data(hw_body_t *body, int64_t timeout_ns)
{
    int64_t deadline = deadline_of(timeout_ns);
    pthread_mutex_lock(&body->lock);
    body->consumer_waits = true;
    while (!closed(body) && unread(body) == 0 && wait_changed(body, deadline)) {
    }
    body->consumer_waits = false;
    bool data = !body->cancelled && unread(body) > 0;
    hw_body_result_t result = data ? HW_BODY_OK : closed(body) ? HW_BODY_CLOSED : HW_BODY_WOULD_WAIT;
    pthread_mutex_unlock(&body->lock);
    return result;
}

/* -- consumer -- */

/* Called with the lock, which is released meanwhile. A chunk that is used up is added to *spent. */
static size_t take_memory(hw_body_t *body, char *into, size_t max, chunk_t **spent)
{
    chunk_t *chunk = body->head;
    size_t n = chunk->filled - chunk->taken;
    n = n < max ? n : max;
    const char *from = chunk->data + chunk->taken;
    pthread_mutex_unlock(&body->lock);
    memcpy(into, from, n);
    pthread_mutex_lock(&body->lock);
    chunk->taken += n;
    count_read(body, n);
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
        wake_all(body);
    }
    count_read(body, got);
    return got;
}

size_t hw_body_read(hw_body_t *body, char *into, size_t max)
{
    size_t total = 0;
    chunk_t *spent = NULL;
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
    unlock_and_clean(body);
    free_chunks(spent);
    return total;
}

size_t hw_body_peek_len(hw_body_t *body)
{
    pthread_mutex_lock(&body->lock);
    size_t n = body->cancelled ? 0 : (size_t)unread(body);
    pthread_mutex_unlock(&body->lock);
    return n;
}

/* -- anybody -- */

void hw_body_end(hw_body_t *body, bool complete)
{
    pthread_mutex_lock(&body->lock);
    if (!body->ended) {
        body->ended = true;
        body->complete = complete;
        wake_all(body);
    }
    unlock_and_clean(body);
}

void hw_body_cancel(hw_body_t *body)
{
    pthread_mutex_lock(&body->lock);
    /* After the last byte there is nothing left to throw away: it stays complete. */
    if (!body->ended || unread(body) > 0) {
        body->cancelled = true;
        wake_all(body);
    }
    unlock_and_clean(body);
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
