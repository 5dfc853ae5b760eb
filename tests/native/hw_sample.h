/* SPDX-License-Identifier: MIT */
/* A site, a channel and requests to test with. */
#ifndef HW_SAMPLE_H
#define HW_SAMPLE_H

#include "hw_check.h"
#include "hw_request.h"

typedef struct {
    hw_channel_t *channel;
    hw_site_t *site;
} hw_sample_t;

static inline hw_sample_t hw_sample_new(void)
{
    hw_sample_t sample = {hw_channel_new(), calloc(1, sizeof(hw_site_t))};
    HW_CHECK(sample.channel != NULL && sample.site != NULL);
    atomic_init(&sample.site->refs, 1);
    return sample;
}

static inline hw_request_t *hw_sample_request(hw_sample_t *sample)
{
    hw_request_t *request = hw_request_new(sample->channel, sample->site);
    HW_CHECK(request != NULL);
    return request;
}

static inline void hw_sample_free(hw_sample_t *sample)
{
    hw_site_release(sample->site);
    hw_channel_release(sample->channel);
}

/* How many references stand on a request. */
static inline int hw_sample_refs(hw_request_t *request)
{
    return atomic_load(&request->refs);
}

#endif
