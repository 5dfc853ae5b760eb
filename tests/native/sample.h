/* SPDX-License-Identifier: MIT */
/* A site, a channel and requests to test with. */
#ifndef SAMPLE_H
#define SAMPLE_H

#include "check.h"
#include "hw_request.h"

typedef struct {
    hw_channel_t *channel;
    hw_site_t *site;
} sample_t;

static inline sample_t sample_new(void)
{
    sample_t sample = {hw_channel_new(), calloc(1, sizeof(hw_site_t))};
    CHECK(sample.channel != NULL && sample.site != NULL);
    atomic_init(&sample.site->refs, 1);
    return sample;
}

static inline hw_request_t *sample_request(sample_t *sample)
{
    hw_request_t *request = hw_request_new(sample->channel, sample->site);
    CHECK(request != NULL);
    return request;
}

static inline void sample_free(sample_t *sample)
{
    hw_site_release(sample->site);
    hw_channel_release(sample->channel);
}

/* How many references stand on a request. */
static inline int sample_refs(hw_request_t *request)
{
    return atomic_load(&request->refs);
}

#endif
