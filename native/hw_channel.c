/* SPDX-License-Identifier: MIT */
#include "hw_channel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "hw_port.h"
#include "hw_request.h"

struct hw_channel {
    _Atomic int refs;
    int wakeup[2];        /* opened at creation, closed under the lock */
    pthread_mutex_t lock; /* guards first, last, closed, and next and listed of every request in the list */
    hw_request_t *first;
    hw_request_t *last;
    bool closed;
};

hw_channel_t *hw_channel_new(void)
{
    hw_channel_t *channel = calloc(1, sizeof *channel);
    if (channel == NULL) {
        return NULL;
    }
    if (hw_port_wakeup_open(channel->wakeup) != 0) {
        free(channel);
        return NULL;
    }
    atomic_init(&channel->refs, 1);
    pthread_mutex_init(&channel->lock, NULL);
    return channel;
}

hw_channel_t *hw_channel_retain(hw_channel_t *channel)
{
    atomic_fetch_add_explicit(&channel->refs, 1, memory_order_relaxed);
    return channel;
}

void hw_channel_release(hw_channel_t *channel)
{
    if (channel == NULL || atomic_fetch_sub_explicit(&channel->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    hw_channel_close(channel);
    pthread_mutex_destroy(&channel->lock);
    free(channel);
}

int hw_channel_fileno(hw_channel_t *channel)
{
    return channel->wakeup[0];
}

void hw_channel_post(hw_channel_t *channel, hw_request_t *request)
{
    pthread_mutex_lock(&channel->lock);
    if (!channel->closed && !request->listed) {
        request->listed = true;
        request->next_ready = NULL;
        hw_request_retain(request);
        bool was_empty = channel->first == NULL;
        if (was_empty) {
            channel->first = request;
        } else {
            channel->last->next_ready = request;
        }
        channel->last = request;
        if (was_empty) {
            /* Under the lock, so that close() cannot take the descriptor away in between. */
            hw_port_wakeup_signal(channel->wakeup);
        }
    }
    pthread_mutex_unlock(&channel->lock);
}

hw_request_t *hw_channel_take(hw_channel_t *channel)
{
    pthread_mutex_lock(&channel->lock);
    hw_request_t *list = channel->first;
    channel->first = channel->last = NULL;
    if (list != NULL && !channel->closed) {
        hw_port_wakeup_clear(channel->wakeup);
    }
    pthread_mutex_unlock(&channel->lock);
    return list;
}

hw_request_t *hw_channel_next(hw_channel_t *channel, hw_request_t *request)
{
    pthread_mutex_lock(&channel->lock);
    hw_request_t *next = request->next_ready;
    request->next_ready = NULL;
    request->listed = false;
    pthread_mutex_unlock(&channel->lock);
    return next;
}

void hw_channel_close(hw_channel_t *channel)
{
    pthread_mutex_lock(&channel->lock);
    hw_request_t *list = channel->first;
    channel->first = channel->last = NULL;
    if (!channel->closed) {
        channel->closed = true;
        hw_port_wakeup_close(channel->wakeup);
    }
    pthread_mutex_unlock(&channel->lock);
    while (list != NULL) {
        hw_request_t *next = list->next_ready;
        list->next_ready = NULL;
        list->listed = false;
        hw_request_release(list);
        list = next;
    }
}
