/* SPDX-License-Identifier: MIT */
#include "hw_request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hw_log.h"
#include "hw_port.h"

static _Atomic uint64_t last_id;

hw_site_t *hw_site_retain(hw_site_t *site)
{
    atomic_fetch_add_explicit(&site->refs, 1, memory_order_relaxed);
    return site;
}

void hw_site_release(hw_site_t *site)
{
    if (site == NULL || atomic_fetch_sub_explicit(&site->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    free(site->env);
    free(site->arena);
    free(site);
}

hw_request_t *hw_request_new(hw_channel_t *channel, hw_site_t *site)
{
    hw_request_t *request = calloc(1, sizeof *request);
    if (request == NULL) {
        return NULL;
    }
    atomic_init(&request->refs, 1);
    request->id = atomic_fetch_add_explicit(&last_id, 1, memory_order_relaxed) + 1;
    request->channel = hw_channel_retain(channel);
    request->site = hw_site_retain(site);
    request->timeout_s = site != NULL ? site->timeout_s : 0.0;
    atomic_init(&request->slot, -1);
    request->body_file = -1;
    request->created_ns = hw_port_now_ns();
    pthread_mutex_init(&request->lock, NULL);
    return request;
}

hw_request_t *hw_request_retain(hw_request_t *request)
{
    atomic_fetch_add_explicit(&request->refs, 1, memory_order_relaxed);
    return request;
}

void hw_request_release(hw_request_t *request)
{
    if (request == NULL || atomic_fetch_sub_explicit(&request->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    while (request->interim_first != NULL) {
        hw_head_t *next = request->interim_first->next;
        free(request->interim_first);
        request->interim_first = next;
    }
    free(request->head);
    free(request->final);
    if (request->body != NULL) {
        hw_body_free(request->body);
    }
    if (request->body_stream != NULL) {
        hw_body_free(request->body_stream);
    }
    if (request->body_file >= 0) {
        close(request->body_file);
    }
    free(request->body_memory);
    free(request->ahead);
    free(request->headers);
    free(request->env);
    free(request->arena);
    pthread_mutex_destroy(&request->lock);
    hw_site_release(request->site);
    hw_channel_release(request->channel);
    free(request);
}

/* Upper-cased byte of a token (RFC 9110, 5.6.2) with '-' as '_'; 0 for '_' itself and for what is no token. */
static const char key_bytes[256] = {
    ['-'] = '_', ['!'] = '!', ['#'] = '#', ['$'] = '$', ['%'] = '%', ['&'] = '&', ['\''] = '\'', ['*'] = '*',
    ['+'] = '+', ['.'] = '.', ['^'] = '^', ['`'] = '`', ['|'] = '|', ['~'] = '~', ['0'] = '0',   ['1'] = '1',
    ['2'] = '2', ['3'] = '3', ['4'] = '4', ['5'] = '5', ['6'] = '6', ['7'] = '7', ['8'] = '8',   ['9'] = '9',
    ['A'] = 'A', ['B'] = 'B', ['C'] = 'C', ['D'] = 'D', ['E'] = 'E', ['F'] = 'F', ['G'] = 'G',   ['H'] = 'H',
    ['I'] = 'I', ['J'] = 'J', ['K'] = 'K', ['L'] = 'L', ['M'] = 'M', ['N'] = 'N', ['O'] = 'O',   ['P'] = 'P',
    ['Q'] = 'Q', ['R'] = 'R', ['S'] = 'S', ['T'] = 'T', ['U'] = 'U', ['V'] = 'V', ['W'] = 'W',   ['X'] = 'X',
    ['Y'] = 'Y', ['Z'] = 'Z', ['a'] = 'A', ['b'] = 'B', ['c'] = 'C', ['d'] = 'D', ['e'] = 'E',   ['f'] = 'F',
    ['g'] = 'G', ['h'] = 'H', ['i'] = 'I', ['j'] = 'J', ['k'] = 'K', ['l'] = 'L', ['m'] = 'M',   ['n'] = 'N',
    ['o'] = 'O', ['p'] = 'P', ['q'] = 'Q', ['r'] = 'R', ['s'] = 'S', ['t'] = 'T', ['u'] = 'U',   ['v'] = 'V',
    ['w'] = 'W', ['x'] = 'X', ['y'] = 'Y', ['z'] = 'Z',
};

size_t hw_request_header_key(const char *name, size_t len, char *into)
{
    if (len == 0) {
        return 0;
    }
    memcpy(into, "HTTP_", 5);
    for (size_t i = 0; i < len; i++) {
        char byte = key_bytes[(unsigned char)name[i]];
        if (byte == 0) {
            return 0;
        }
        into[5 + i] = byte;
    }
    into[5 + len] = '\0';
    return 5 + len;
}

/* A wait must be bounded by what only sets a flag. */
#define WAIT_SLICE_NS ((int64_t)100 * 1000 * 1000)

static bool is_set(const bool *flag)
{
    return flag != NULL && __atomic_load_n(flag, __ATOMIC_RELAXED);
}

static bool interrupted(const hw_request_t *request)
{
    return is_set(request->timed_out) || is_set(request->killed);
}

static size_t read_stream(hw_request_t *request, char *into, size_t max)
{
    int64_t deadline = hw_port_now_ns() + request->body_timeout_ns;
    size_t total = 0;
    while (total == 0 && !interrupted(request)) {
        total = hw_body_read(request->body_stream, into, max);
        if (total > 0) {
            break;
        }
        int64_t left = request->body_timeout_ns > 0 ? deadline - hw_port_now_ns() : WAIT_SLICE_NS;
        if (left <= 0) {
            break;
        }
        if (hw_body_wait_data(request->body_stream, left < WAIT_SLICE_NS ? left : WAIT_SLICE_NS) == HW_BODY_CLOSED) {
            /* One last look, since data may have come with the end. */
            total = hw_body_read(request->body_stream, into, max);
            break;
        }
    }
    if (total > 0) {
        /* The producer may have been told to wait. */
        hw_channel_post(request->channel, request);
    }
    return total;
}

static size_t read_at(hw_request_t *request, char *into, size_t want, uint64_t at)
{
    size_t n = 0;
    while (n < want) {
        ssize_t got = pread(request->body_file, into + n, want - n, (off_t)(at + n));
        if (got > 0) {
            n += (size_t)got;
        } else if (got == 0 || errno != EINTR) {
            break;
        }
    }
    return n;
}

/* PHP's parser of multipart bodies asks for 5 KiB at a time, so small wishes are served from a larger read. */
static size_t read_file(hw_request_t *request, char *into, size_t max)
{
    uint64_t left = request->body_file_len - request->body_read;
    size_t want = left < max ? (size_t)left : max;
    if (request->ahead == NULL && want < HW_HANDOFF_BYTES) {
        request->ahead = malloc(HW_HANDOFF_BYTES);
    }
    if (request->ahead == NULL) {
        return read_at(request, into, want, request->body_read);
    }
    if (request->ahead_taken == request->ahead_len) {
        size_t more = left < HW_HANDOFF_BYTES ? (size_t)left : HW_HANDOFF_BYTES;
        request->ahead_len = read_at(request, request->ahead, more, request->body_read);
        request->ahead_taken = 0;
    }
    size_t ready = request->ahead_len - request->ahead_taken;
    size_t n = want < ready ? want : ready;
    memcpy(into, request->ahead + request->ahead_taken, n);
    request->ahead_taken += n;
    return n;
}

size_t hw_request_read_body(hw_request_t *request, char *into, size_t max)
{
    size_t n = 0;
    if (request->body_memory != NULL) {
        size_t left = request->body_memory_len - (size_t)request->body_read;
        n = left < max ? left : max;
        memcpy(into, request->body_memory + request->body_read, n);
    } else if (request->body_file >= 0) {
        n = read_file(request, into, max);
    } else if (request->body_stream != NULL) {
        n = read_stream(request, into, max);
    }
    request->body_read += n;
    return n;
}

hw_head_t *hw_head_new(int status, size_t text_len)
{
    hw_head_t *head = malloc(sizeof *head + text_len);
    if (head != NULL) {
        head->next = NULL;
        head->status = status;
        head->count = 0;
        head->text_len = 0;
    }
    return head;
}

void hw_request_put_interim(hw_request_t *request, hw_head_t *head)
{
    pthread_mutex_lock(&request->lock);
    if (request->interim_last != NULL) {
        request->interim_last->next = head;
    } else {
        request->interim_first = head;
    }
    request->interim_last = head;
    pthread_mutex_unlock(&request->lock);
    hw_channel_post(request->channel, request);
}

void hw_request_put_head(hw_request_t *request, hw_head_t *head)
{
    pthread_mutex_lock(&request->lock);
    if (!request->head_set) {
        request->head_set = true;
        request->head = head;
        head = NULL;
    }
    pthread_mutex_unlock(&request->lock);
    free(head);
}

void hw_request_change_status(hw_request_t *request, int status)
{
    pthread_mutex_lock(&request->lock);
    if (request->head != NULL && !atomic_load_explicit(&request->response_done, memory_order_relaxed)) {
        request->head->status = status;
    }
    pthread_mutex_unlock(&request->lock);
}

/* Once per wait that the limits of the spool or its disk force upon a script. */
static void log_wait(hw_request_t *request)
{
    hw_body_info_t info;
    hw_body_info(request->body, &info);
    if (info.last_errno != 0) {
        hw_log_printf(HW_LOG_WARN, request->id,
                      "the response cannot be spooled (%s), so its script waits for the client; look at the disk of "
                      "the spool folder",
                      strerror(info.last_errno));
    } else {
        hw_log_printf(HW_LOG_DEBUG, request->id,
                      "the response reached the spool's limit: its script waits for the client");
    }
}

/* Writes everything, waiting for the reader where the limits ask for it. */
static bool write_all(hw_request_t *request, const char *data, size_t len, bool event_stream)
{
    size_t hard_limit = event_stream ? HW_BODY_MEMORY_BYTES : 0;
    bool waited = false;
    while (len > 0) {
        if (atomic_load_explicit(&request->aborted, memory_order_relaxed)) {
            return false;
        }
        if (waited && interrupted(request)) {
            return false;
        }
        size_t accepted = 0;
        int result = hw_body_write(request->body, data, len, HW_BODY_MEMORY_BYTES, hard_limit, &accepted);
        data += accepted;
        len -= accepted;
        if (result == HW_BODY_CLOSED) {
            return false;
        }
        if (result == HW_BODY_WOULD_WAIT) {
            if (!waited) {
                log_wait(request);
            }
            hw_channel_post(request->channel, request);
            hw_body_wait_space(request->body, WAIT_SLICE_NS);
            waited = true;
        }
    }
    return true;
}

bool hw_request_put_body(hw_request_t *request, const char *data, size_t len, bool event_stream)
{
    if (request->body == NULL) {
        hw_body_t *body = hw_body_new();
        if (body == NULL) {
            return false;
        }
        pthread_mutex_lock(&request->lock);
        request->body = body;
        pthread_mutex_unlock(&request->lock);
    }
    bool written = write_all(request, data, len, event_stream);
    hw_channel_post(request->channel, request);
    return written;
}

/* Under the lock. False when the response has ended already. */
static bool end_response(hw_request_t *request, hw_outcome_t outcome)
{
    if (atomic_load_explicit(&request->response_done, memory_order_relaxed)) {
        return false;
    }
    request->ended_ns = hw_port_now_ns();
    atomic_store_explicit(&request->outcome, outcome, memory_order_relaxed);
    atomic_store_explicit(&request->response_done, true, memory_order_release);
    return true;
}

bool hw_request_finish(hw_request_t *request, hw_outcome_t outcome, char *rest, size_t rest_len)
{
    if (atomic_load_explicit(&request->response_done, memory_order_relaxed)) {
        free(rest);
        return true;
    }
    bool written = true;
    if (request->body != NULL) {
        if (rest_len > 0) {
            written = write_all(request, rest, rest_len, false);
        }
        free(rest);
        rest = NULL;
        hw_body_end(request->body, written);
    }
    pthread_mutex_lock(&request->lock);
    bool first = end_response(request, outcome);
    if (first) {
        request->final = rest;
        request->final_len = rest != NULL ? rest_len : 0;
    }
    pthread_mutex_unlock(&request->lock);
    if (first) {
        hw_channel_post(request->channel, request);
    } else {
        free(rest); /* it was given up */
    }
    return written;
}

void hw_request_give_up(hw_request_t *request, int status)
{
    hw_head_t *head = hw_head_new(status, 0);
    pthread_mutex_lock(&request->lock);
    bool first = end_response(request, HW_OUTCOME_COMPLETED);
    if (first && !request->head_set && head != NULL) {
        request->head_set = true;
        request->head = head;
        head = NULL;
    } else if (first && request->head != NULL) {
        request->head->status = status;
    }
    pthread_mutex_unlock(&request->lock);
    free(head);
    if (first) {
        hw_request_abort(request); /* ends the script's waits, and the script itself at its next output */
        hw_channel_post(request->channel, request);
    }
}

void hw_request_take(hw_request_t *request, size_t max, hw_taken_t *taken)
{
    memset(taken, 0, sizeof *taken);
    pthread_mutex_lock(&request->lock);
    if (request->interim_first != NULL) {
        taken->head = request->interim_first;
        request->interim_first = taken->head->next;
        if (request->interim_first == NULL) {
            request->interim_last = NULL;
        }
        taken->flags = HW_TAKE_INTERIM | HW_TAKE_MORE;
        pthread_mutex_unlock(&request->lock);
        return;
    }
    bool done = atomic_load_explicit(&request->response_done, memory_order_acquire);
    if (request->head != NULL && (done || request->body != NULL)) {
        taken->head = request->head;
        request->head = NULL;
        taken->flags |= HW_TAKE_HEADERS;
    }
    size_t left = 0;
    if (request->body != NULL) {
        left = hw_body_peek_len(request->body);
        taken->body_len = left < max ? left : max;
        left -= taken->body_len;
    } else if (done && request->final != NULL) {
        taken->final = request->final;
        taken->body_len = request->final_len;
        request->final = NULL;
    }
    if (left > 0) {
        taken->flags |= HW_TAKE_MORE;
    } else if (done) {
        taken->flags |= HW_TAKE_DONE;
    }
    pthread_mutex_unlock(&request->lock);
}

void hw_request_abort(hw_request_t *request)
{
    atomic_store_explicit(&request->aborted, true, memory_order_release);
    pthread_mutex_lock(&request->lock);
    hw_body_t *body = request->body;
    if (body != NULL) {
        hw_body_cancel(body);
    }
    pthread_mutex_unlock(&request->lock);
    if (request->body_stream != NULL) {
        hw_body_cancel(request->body_stream);
    }
}
