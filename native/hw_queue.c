/* SPDX-License-Identifier: MIT */
#include "hw_queue.h"

#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include "hw_port.h"

/* Requests that take less than this are brief: waking a thread for one of them takes as long. */
#define HW_BRIEF_NS          30000
/* A further thread is woken for requests that would otherwise wait longer than this for those that are awake. */
#define HW_WORTH_WAKING_NS   60000
/* A request counts as at most this long, so that one that slept is forgotten after some dozens. */
#define HW_LONGEST_SAMPLE_NS 2000000
/* Share of the last request in the average. */
#define HW_SAMPLE_SHARE      16

typedef struct {
    int64_t since_ns;    /* when it got its present request; the consumer's own */
    sem_t wake;          /* posted once per entry on the idle stack */
    hw_request_t *given; /* queue lock until the post, the consumer after it */
    bool awake;          /* runs a request; queue lock */
    bool leave;          /* its next pop gives nothing; queue lock */
} consumer_t;

struct hw_queue {
    pthread_mutex_t lock; /* guards everything below but the semaphores */
    hw_request_t *first, *last;
    size_t waiting, waiting_max, waiting_peak;
    uint64_t pushed, refused;
    bool closed;
    bool paused;
    unsigned n_idle;
    unsigned n_awake;
    int64_t service_ns; /* how long requests have taken lately, 0 = not known */
    unsigned n_consumers;
    unsigned *idle; /* stack of consumer numbers */
    consumer_t *consumers;
};

hw_queue_t *hw_queue_new(size_t max_waiting, unsigned max_threads)
{
    hw_queue_t *queue = calloc(1, sizeof *queue);
    if (queue == NULL) {
        return NULL;
    }
    queue->idle = calloc(max_threads, sizeof *queue->idle);
    queue->consumers = calloc(max_threads, sizeof *queue->consumers);
    if (queue->idle == NULL || queue->consumers == NULL) {
        free(queue->idle);
        free(queue->consumers);
        free(queue);
        return NULL;
    }
    queue->n_consumers = max_threads;
    queue->waiting_max = max_waiting;
    pthread_mutex_init(&queue->lock, NULL);
    for (unsigned i = 0; i < max_threads; i++) {
        sem_init(&queue->consumers[i].wake, 0, 0);
    }
    return queue;
}

void hw_queue_bound(hw_queue_t *queue, size_t max_waiting)
{
    pthread_mutex_lock(&queue->lock);
    queue->waiting_max = max_waiting;
    pthread_mutex_unlock(&queue->lock);
}

void hw_queue_free(hw_queue_t *queue)
{
    if (queue == NULL) {
        return;
    }
    for (unsigned i = 0; i < queue->n_consumers; i++) {
        sem_destroy(&queue->consumers[i].wake);
    }
    pthread_mutex_destroy(&queue->lock);
    free(queue->idle);
    free(queue->consumers);
    free(queue);
}

/* Under the lock. */
static void unlink_waiting(hw_queue_t *queue, hw_request_t *request)
{
    if (request->queue_prev != NULL) {
        request->queue_prev->queue_next = request->queue_next;
    } else {
        queue->first = request->queue_next;
    }
    if (request->queue_next != NULL) {
        request->queue_next->queue_prev = request->queue_prev;
    } else {
        queue->last = request->queue_prev;
    }
    request->queue_prev = request->queue_next = NULL;
    queue->waiting--;
}

/* Under the lock. */
static void append_waiting(hw_queue_t *queue, hw_request_t *request)
{
    request->queue_next = NULL;
    request->queue_prev = queue->last;
    if (queue->last != NULL) {
        queue->last->queue_next = request;
    } else {
        queue->first = request;
    }
    queue->last = request;
    if (++queue->waiting > queue->waiting_peak) {
        queue->waiting_peak = queue->waiting;
    }
}

/* Under the lock; the caller posts the semaphore after it. */
static consumer_t *give(hw_queue_t *queue, hw_request_t *request)
{
    consumer_t *consumer = &queue->consumers[queue->idle[--queue->n_idle]];
    consumer->given = request;
    consumer->awake = true;
    queue->n_awake++;
    atomic_store_explicit(&request->state, HW_REQUEST_RUNNING, memory_order_relaxed);
    return consumer;
}

/* Under the lock. */
static bool is_brief(const hw_queue_t *queue)
{
    return queue->service_ns > 0 && queue->service_ns < HW_BRIEF_NS;
}

/* Under the lock: a request of a consumer has ended. */
static void note_service(hw_queue_t *queue, int64_t took_ns)
{
    if (took_ns > HW_LONGEST_SAMPLE_NS) {
        took_ns = HW_LONGEST_SAMPLE_NS;
    }
    queue->service_ns += (took_ns - queue->service_ns) / (queue->service_ns > 0 ? HW_SAMPLE_SHARE : 1);
}

/* Under the lock: the threads that are awake would keep what waits waiting for too long. */
static bool is_worth_waking(const hw_queue_t *queue)
{
    return queue->n_awake == 0 || !is_brief(queue) ||
           (int64_t)queue->waiting * queue->service_ns > (int64_t)queue->n_awake * HW_WORTH_WAKING_NS;
}

hw_push_t hw_queue_push(hw_queue_t *queue, hw_request_t *request, bool lazy)
{
    consumer_t *woken = NULL;
    hw_push_t result = HW_PUSH_OK;
    pthread_mutex_lock(&queue->lock);
    if (queue->closed) {
        result = HW_PUSH_CLOSED;
    } else if (queue->n_idle > 0 && !queue->paused &&
               !(lazy && (queue->n_awake > 0 || is_brief(queue)) && queue->waiting < queue->waiting_max)) {
        woken = give(queue, hw_request_retain(request));
        queue->pushed++;
    } else if (queue->waiting >= queue->waiting_max) {
        queue->refused++;
        result = HW_PUSH_FULL;
    } else {
        hw_request_retain(request);
        atomic_store_explicit(&request->state, HW_REQUEST_QUEUED, memory_order_relaxed);
        append_waiting(queue, request);
        queue->pushed++;
        result = queue->n_idle > 0 && !queue->paused ? HW_PUSH_DEFERRED : HW_PUSH_OK;
    }
    pthread_mutex_unlock(&queue->lock);
    if (woken != NULL) {
        sem_post(&woken->wake);
    }
    return result;
}

bool hw_queue_flush(hw_queue_t *queue, bool all)
{
    for (;;) {
        consumer_t *woken = NULL;
        pthread_mutex_lock(&queue->lock);
        bool can_wake = queue->n_idle > 0 && queue->first != NULL && !queue->paused;
        if (can_wake && (all || is_worth_waking(queue))) {
            hw_request_t *request = queue->first;
            unlink_waiting(queue, request);
            woken = give(queue, request);
        }
        pthread_mutex_unlock(&queue->lock);
        if (woken == NULL) {
            return can_wake;
        }
        sem_post(&woken->wake);
    }
}

hw_request_t *hw_queue_pop(hw_queue_t *queue, unsigned consumer, hw_pop_t *why)
{
    consumer_t *self = &queue->consumers[consumer];
    int64_t now_ns = hw_port_now_ns();
    *why = HW_POP_REQUEST;
    pthread_mutex_lock(&queue->lock);
    if (self->since_ns != 0) {
        note_service(queue, now_ns - self->since_ns);
        self->since_ns = 0;
    }
    hw_request_t *request = queue->paused || self->leave ? NULL : queue->first;
    if (request != NULL) {
        unlink_waiting(queue, request);
        atomic_store_explicit(&request->state, HW_REQUEST_RUNNING, memory_order_relaxed);
        if (!self->awake) {
            self->awake = true;
            queue->n_awake++;
        }
        pthread_mutex_unlock(&queue->lock);
        self->since_ns = now_ns;
        return request;
    }
    if (self->awake) {
        self->awake = false;
        queue->n_awake--;
    }
    if (self->leave || queue->closed) {
        *why = self->leave ? HW_POP_LEAVE : HW_POP_CLOSED;
        self->leave = false;
        pthread_mutex_unlock(&queue->lock);
        return NULL;
    }
    self->given = NULL;
    queue->idle[queue->n_idle++] = consumer;
    pthread_mutex_unlock(&queue->lock);
    while (sem_wait(&self->wake) != 0 && errno == EINTR) {
        /* a signal for PHP's timer or an old kill: not for us */
    }
    if (self->given == NULL) {
        pthread_mutex_lock(&queue->lock);
        *why = self->leave ? HW_POP_LEAVE : HW_POP_CLOSED;
        self->leave = false;
        pthread_mutex_unlock(&queue->lock);
    } else {
        self->since_ns = hw_port_now_ns(); /* not from when it was given: the wake-up is no part of the service */
    }
    return self->given;
}

void hw_queue_leave(hw_queue_t *queue, unsigned consumer)
{
    consumer_t *woken = NULL;
    pthread_mutex_lock(&queue->lock);
    queue->consumers[consumer].leave = true;
    for (unsigned i = 0; i < queue->n_idle; i++) {
        if (queue->idle[i] == consumer) {
            memmove(&queue->idle[i], &queue->idle[i + 1], (queue->n_idle - i - 1) * sizeof *queue->idle);
            queue->n_idle--;
            woken = &queue->consumers[consumer];
            woken->given = NULL;
            break;
        }
    }
    pthread_mutex_unlock(&queue->lock);
    if (woken != NULL) {
        sem_post(&woken->wake);
    }
    hw_queue_flush(queue, true); /* a request may have waited, lazily, for the thread that leaves */
}

void hw_queue_stay(hw_queue_t *queue, unsigned consumer)
{
    pthread_mutex_lock(&queue->lock);
    queue->consumers[consumer].leave = false;
    pthread_mutex_unlock(&queue->lock);
}

bool hw_queue_cancel(hw_queue_t *queue, hw_request_t *request)
{
    bool cancelled = false;
    pthread_mutex_lock(&queue->lock);
    if (atomic_load_explicit(&request->state, memory_order_relaxed) == HW_REQUEST_QUEUED) {
        unlink_waiting(queue, request);
        atomic_store_explicit(&request->state, HW_REQUEST_DONE, memory_order_relaxed);
        cancelled = true;
    }
    pthread_mutex_unlock(&queue->lock);
    if (cancelled) {
        hw_request_release(request);
    }
    return cancelled;
}

void hw_queue_pause(hw_queue_t *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->paused = true;
    pthread_mutex_unlock(&queue->lock);
}

void hw_queue_resume(hw_queue_t *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->paused = false;
    pthread_mutex_unlock(&queue->lock);
    hw_queue_flush(queue, true);
}

void hw_queue_close(hw_queue_t *queue)
{
    hw_queue_resume(queue); /* what waits is served, not stranded */
    pthread_mutex_lock(&queue->lock);
    queue->closed = true;
    while (queue->n_idle > 0) {
        consumer_t *woken = &queue->consumers[queue->idle[--queue->n_idle]];
        woken->given = NULL;
        sem_post(&woken->wake);
    }
    pthread_mutex_unlock(&queue->lock);
}

hw_request_t *hw_queue_evict(hw_queue_t *queue)
{
    pthread_mutex_lock(&queue->lock);
    hw_request_t *request = queue->first;
    if (request != NULL) {
        unlink_waiting(queue, request);
        atomic_store_explicit(&request->state, HW_REQUEST_DONE, memory_order_relaxed);
    }
    pthread_mutex_unlock(&queue->lock);
    return request;
}

void hw_queue_stats(hw_queue_t *queue, hw_queue_stats_t *stats)
{
    pthread_mutex_lock(&queue->lock);
    stats->waiting = queue->waiting;
    stats->waiting_peak = queue->waiting_peak;
    stats->idle = queue->n_idle;
    stats->pushed = queue->pushed;
    stats->refused = queue->refused;
    stats->oldest_ns = queue->first != NULL ? queue->first->created_ns : 0;
    pthread_mutex_unlock(&queue->lock);
}
