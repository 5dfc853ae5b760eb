/* SPDX-License-Identifier: MIT */
#include "hw_log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hw_port.h"

#define MAX_RECORDS 10000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows, but the level */
static pthread_cond_t arrived = PTHREAD_COND_INITIALIZER;
static hw_log_record_t *first, *last;
static size_t n_records;
static uint64_t n_lost;
static bool closed;
static bool direct; /* written before any other thread exists */
static _Atomic int lowest_level = HW_LOG_INFO;
static _Thread_local int own_slot = -1;
static _Thread_local hw_str_t own_site;

void hw_log_set_origin(int slot, hw_str_t site)
{
    own_slot = slot;
    own_site = site;
}

void hw_log_set_level(int level)
{
    atomic_store_explicit(&lowest_level, level, memory_order_relaxed);
}

void hw_log_set_direct(void)
{
    direct = true;
}

bool hw_log_enabled(int level)
{
    return level >= atomic_load_explicit(&lowest_level, memory_order_relaxed);
}

void hw_log_put(int level, uint64_t request_id, hw_str_t message, hw_str_t context)
{
    if (!hw_log_enabled(level)) {
        return;
    }
    if (direct) {
        fprintf(stderr, "%.*s\n", (int)message.len, message.data);
        return;
    }
    hw_log_record_t *record = malloc(sizeof *record + message.len + context.len + own_site.len);
    if (record != NULL) {
        record->next = NULL;
        record->level = level;
        record->slot = own_slot;
        record->request_id = request_id;
        record->time_s = hw_port_wall_s();
        record->message_len = message.len;
        record->context_len = context.len;
        record->site_len = own_site.len;
        if (message.len > 0) {
            memcpy(record->text, message.data, message.len);
        }
        if (context.len > 0) {
            memcpy(record->text + message.len, context.data, context.len);
        }
        if (own_site.len > 0) {
            memcpy(record->text + message.len + context.len, own_site.data, own_site.len);
        }
    }
    pthread_mutex_lock(&lock);
    if (record == NULL || n_records >= MAX_RECORDS) {
        n_lost++;
        free(record);
    } else {
        if (last != NULL) {
            last->next = record;
        } else {
            first = record;
        }
        last = record;
        if (n_records++ == 0) {
            pthread_cond_signal(&arrived);
        }
    }
    pthread_mutex_unlock(&lock);
}

void hw_log_printf(int level, uint64_t request_id, const char *format, ...)
{
    if (!hw_log_enabled(level)) {
        return;
    }
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (n < 0) {
        return;
    }
    hw_str_t message = {text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1};
    hw_str_t none = {NULL, 0};
    hw_log_put(level, request_id, message, none);
}

hw_log_record_t *hw_log_take(int64_t timeout_ns, uint64_t *lost)
{
    pthread_mutex_lock(&lock);
    if (first == NULL && !closed && timeout_ns > 0) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        int64_t ns = until.tv_nsec + timeout_ns;
        until.tv_sec += ns / 1000000000;
        until.tv_nsec = ns % 1000000000;
        while (first == NULL && !closed && pthread_cond_timedwait(&arrived, &lock, &until) == 0) {
            /* woken: look again */
        }
    }
    hw_log_record_t *list = first;
    first = last = NULL;
    n_records = 0;
    *lost = n_lost;
    n_lost = 0;
    pthread_mutex_unlock(&lock);
    return list;
}

void hw_log_close(void)
{
    pthread_mutex_lock(&lock);
    closed = true;
    pthread_cond_broadcast(&arrived);
    pthread_mutex_unlock(&lock);
}

void hw_log_open(void)
{
    pthread_mutex_lock(&lock);
    closed = false;
    pthread_mutex_unlock(&lock);
}
