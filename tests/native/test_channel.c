/* SPDX-License-Identifier: MIT */
#include "hw_channel.h"

#include <poll.h>
#include <pthread.h>

#include "hw_sample.h"

#define POSTERS 4
#define POSTS   3000

static bool is_readable(hw_channel_t *channel, int timeout_ms)
{
    struct pollfd entry = {.fd = hw_channel_fileno(channel), .events = POLLIN};
    return poll(&entry, 1, timeout_ms) == 1;
}

static void a_request_is_listed_once_however_often_it_is_posted(void)
{
    hw_sample_t sample = hw_sample_new();
    hw_request_t *request = hw_sample_request(&sample);
    HW_CHECK(!is_readable(sample.channel, 0));
    hw_channel_post(sample.channel, request);
    hw_channel_post(sample.channel, request);
    HW_CHECK(is_readable(sample.channel, 0));
    HW_CHECK(hw_sample_refs(request) == 2);
    HW_CHECK(hw_channel_take(sample.channel) == request);
    HW_CHECK(!is_readable(sample.channel, 0));
    HW_CHECK(hw_channel_next(sample.channel, request) == NULL);
    hw_channel_post(sample.channel, request);
    HW_CHECK(hw_channel_take(sample.channel) == request);
    HW_CHECK(hw_channel_next(sample.channel, request) == NULL);
    HW_CHECK(hw_channel_take(sample.channel) == NULL);
    for (int i = 0; i < 3; i++) {
        hw_request_release(request);
    }
    hw_sample_free(&sample);
}

static void closing_releases_what_is_listed(void)
{
    hw_sample_t sample = hw_sample_new();
    hw_request_t *request = hw_sample_request(&sample);
    hw_channel_post(sample.channel, request);
    hw_channel_close(sample.channel);
    HW_CHECK(hw_sample_refs(request) == 1);
    hw_channel_post(sample.channel, request); /* late: nobody listens */
    HW_CHECK(hw_sample_refs(request) == 1);
    hw_channel_close(sample.channel);
    hw_request_release(request);
    hw_sample_free(&sample);
}

typedef struct {
    hw_channel_t *channel;
    hw_request_t *request;
    _Atomic unsigned written;
} poster_t;

static void *post(void *argument)
{
    poster_t *self = argument;
    for (int i = 0; i < POSTS; i++) {
        atomic_fetch_add(&self->written, 1);
        hw_channel_post(self->channel, self->request);
    }
    return NULL;
}

/* The reader learns of every change: what is written before a post is seen after the wake-up that follows it. */
static void no_post_is_lost(void)
{
    hw_sample_t sample = hw_sample_new();
    poster_t posters[POSTERS];
    pthread_t threads[POSTERS];
    for (int i = 0; i < POSTERS; i++) {
        posters[i].channel = sample.channel;
        posters[i].request = hw_sample_request(&sample);
        atomic_init(&posters[i].written, 0);
        HW_CHECK(pthread_create(&threads[i], NULL, post, &posters[i]) == 0);
    }
    unsigned seen[POSTERS] = {0};
    for (unsigned complete = 0; complete < POSTERS;) {
        HW_CHECK(is_readable(sample.channel, 10000));
        hw_request_t *request = hw_channel_take(sample.channel);
        while (request != NULL) {
            hw_request_t *next = hw_channel_next(sample.channel, request);
            for (int i = 0; i < POSTERS; i++) {
                if (posters[i].request == request && seen[i] < POSTS) {
                    seen[i] = atomic_load(&posters[i].written);
                    complete += seen[i] == POSTS;
                }
            }
            hw_request_release(request);
            request = next;
        }
    }
    for (int i = 0; i < POSTERS; i++) {
        pthread_join(threads[i], NULL);
    }
    hw_channel_close(sample.channel);
    for (int i = 0; i < POSTERS; i++) {
        hw_request_release(posters[i].request);
    }
    hw_sample_free(&sample);
}

int main(void)
{
    HW_RUN(a_request_is_listed_once_however_often_it_is_posted);
    HW_RUN(closing_releases_what_is_listed);
    HW_RUN(no_post_is_lost);
    return 0;
}
