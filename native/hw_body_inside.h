/* SPDX-License-Identifier: MIT */
/* A body from inside, for hw_body.c, hw_body_producer.c and hw_body_consumer.c; the rules are at the head of hw_body.c.
 * Pure C: includes neither php.h nor Python.h. */
#ifndef HW_BODY_INSIDE_H
#define HW_BODY_INSIDE_H

#include "hw_body.h"

#include <pthread.h>

typedef struct hw_body_chunk {
    struct hw_body_chunk *next; /* producer; lock */
    size_t size;                /* constant */
    size_t filled;              /* producer; lock */
    size_t taken;               /* consumer, and producer to start again; lock */
    char data[];
} hw_body_chunk_t;

struct hw_body {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    hw_body_chunk_t *head, *tail; /* tail: producer; head: consumer (producer for the first one) */
    int fd;                       /* producer; -1 = none */
    uint64_t file_end;            /* producer */
    uint64_t file_read;           /* consumer, and producer to start again */
    uint64_t file_start;          /* below it the disk was given back; consumer, and producer to start again */
    uint64_t file_held;           /* disk taken from the budget; both */
    uint64_t written;             /* producer */
    uint64_t read;                /* consumer */
    uint64_t spooled;             /* producer */
    uint64_t wake_at;             /* the waiting producer goes on when no more is unread; producer */
    int last_errno;               /* both */
    bool starved;                 /* the last refusal came while nothing was unread; producer */
    bool writing;                 /* the producer is inside a call; producer */
    bool reading;                 /* the consumer is inside a call; consumer */
    bool no_punch;                /* the file system cannot; consumer */
    bool producer_waits;          /* producer */
    bool consumer_waits;          /* consumer */
    bool ended;                   /* any */
    bool complete;                /* any */
    bool cancelled;               /* any */
};

/* Releases the lock; memory and file go when nobody needs them any more.
 * Thread: any. Locks: the body's is held, and released. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_body_unlock(hw_body_t *body);

/* Gives chunks back. Thread: any. Locks: none. Owns: frees them and what follows them. Fails: never. */
HW_HIDDEN void hw_body_free_chunks(hw_body_chunk_t *chunk);

/* Small things. Thread: as the names say. Locks: the body's is held. Owns: nothing. Fails: never. */

static inline uint64_t hw_body_unread(const hw_body_t *body)
{
    return body->written - body->read;
}

static inline bool hw_body_closed(const hw_body_t *body)
{
    return body->ended || body->cancelled;
}

static inline void hw_body_wake_all(hw_body_t *body)
{
    if (body->producer_waits || body->consumer_waits) {
        pthread_cond_broadcast(&body->changed);
    }
}

static inline void hw_body_count_written(hw_body_t *body, size_t n)
{
    body->written += n;
    if (n > 0 && body->consumer_waits) {
        pthread_cond_broadcast(&body->changed);
    }
}

static inline void hw_body_count_read(hw_body_t *body, size_t n)
{
    body->read += n;
    if (body->producer_waits && hw_body_unread(body) <= body->wake_at) {
        pthread_cond_broadcast(&body->changed);
    }
}

#endif
