/* SPDX-License-Identifier: MIT */
// links: hw_channel.c hw_request.c hw_log.c
// links: hw_body.c hw_body_consumer.c hw_body_producer.c hw_spool.c hw_port.c
#include "hw_channel.h"

#include <poll.h>
#include <pthread.h>

#include "sample.h"

#define POSTERS 4
#define POSTS   3000

static bool is_readable(hw_channel_t *channel, int timeout_ms)
{
    struct pollfd entry = {.fd = hw_channel_fileno(channel), .events = POLLIN};
    return poll(&entry, 1, timeout_ms) == 1;
}

static void a_request_is_listed_once_however_often_it_is_posted(void)
{
    sample_t sample = sample_new();
    hw_request_t *request = sample_request(&sample);
    CHECK(!is_readable(sample.channel, 0));
    hw_channel_post(sample.channel, request);
    hw_channel_post(sample.channel, request);
    CHECK(is_readable(sample.channel, 0));
    CHECK(sample_refs(request) == 2);
    CHECK(hw_channel_take(sample.channel) == request);
    CHECK(!is_readable(sample.channel, 0));
    CHECK(hw_channel_next(sample.channel, request) == NULL);
    hw_channel_post(sample.channel, request);
    CHECK(hw_channel_take(sample.channel) == request);
    CHECK(hw_channel_next(sample.channel, request) == NULL);
    CHECK(hw_channel_take(sample.channel) == NULL);
    for (int i = 0; i < 3; i++) {
        hw_request_release(request);
    }
    sample_free(&sample);
}

static void closing_releases_what_is_listed(void)
{
    sample_t sample = sample_new();
    hw_request_t *request = sample_request(&sample);
    hw_channel_post(sample.channel, request);
    hw_channel_close(sample.channel);
    CHECK(sample_refs(request) == 1);
    hw_channel_post(sample.channel, request); /* late: nobody listens */
    CHECK(sample_refs(request) == 1);
    hw_channel_close(sample.channel);
    hw_request_release(request);
    sample_free(&sample);
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
    sample_t sample = sample_new();
    poster_t posters[POSTERS];
    pthread_t threads[POSTERS];
    for (int i = 0; i < POSTERS; i++) {
        posters[i].channel = sample.channel;
        posters[i].request = sample_request(&sample);
        atomic_init(&posters[i].written, 0);
        CHECK(pthread_create(&threads[i], NULL, post, &posters[i]) == 0);
    }
    unsigned seen[POSTERS] = {0};
    for (unsigned complete = 0; complete < POSTERS;) {
        CHECK(is_readable(sample.channel, 10000));
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
    sample_free(&sample);
}

int main(void)
{
    RUN(a_request_is_listed_once_however_often_it_is_posted);
    RUN(closing_releases_what_is_listed);
    RUN(no_post_is_lost);
    return check_done();
}
