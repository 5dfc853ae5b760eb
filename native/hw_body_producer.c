/* SPDX-License-Identifier: MIT */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "hw_body_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hw_spool.h"

#define CHUNK_MIN   ((size_t)4 * 1024)
#define CHUNK_MAX   ((size_t)256 * 1024)
/* What a body that holds nothing may take beyond the process's budget. */
#define FIRST_PIECE ((size_t)16 * 1024)

static hw_body_chunk_t *new_chunk(size_t want, bool force)
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
    hw_body_chunk_t *chunk = malloc(sizeof *chunk + size);
    if (chunk == NULL) {
        hw_spool_memory_release(size);
        return NULL;
    }
    chunk->next = NULL;
    chunk->size = size;
    chunk->filled = chunk->taken = 0;
    return chunk;
}

static void link_chunk(hw_body_t *body, hw_body_chunk_t *chunk)
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
    uint64_t waiting = hw_body_unread(body);
    if (waiting >= memory_limit) {
        return 0;
    }
    if (len > memory_limit - waiting) {
        len = memory_limit - (size_t)waiting;
    }
    hw_body_chunk_t *chunk = body->tail;
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
    hw_body_count_written(body, len);
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
    hw_body_count_written(body, done);
    return done;
}

/* Called with the lock. One step of a write; 0 = nothing can be taken now. */
static size_t append(hw_body_t *body, const char *data, size_t len, size_t memory_limit, size_t hard_limit)
{
    if (hard_limit > 0) {
        uint64_t waiting = hw_body_unread(body);
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
    if (taken == 0 && !hw_body_closed(body)) {
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
        if (hw_body_closed(body)) {
            result = HW_BODY_CLOSED;
            break;
        }
        size_t taken = append(body, data + total, len - total, memory_limit, hard_limit);
        total += taken;
        if (taken == 0 && !hw_body_closed(body)) {
            body->wake_at = hw_body_unread(body) / 2;
            body->starved = hw_body_unread(body) == 0;
            result = HW_BODY_WOULD_WAIT;
            break;
        }
    }
    body->writing = false;
    hw_body_unlock(body);
    *accepted = total;
    return result;
}
