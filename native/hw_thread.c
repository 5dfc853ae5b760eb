/* SPDX-License-Identifier: MIT */
#include <php.h>
#include <php_main.h>
#include <php_output.h>
#include <SAPI.h>
#include <TSRM.h>
#include <ext/standard/basic_functions.h>

#include <stdio.h>
#include <stdlib.h>

#include "hw_board.h"
#include "hw_crash.h"
#include "hw_env.h"
#include "hw_kill.h"
#include "hw_locale.h"
#include "hw_log.h"
#include "hw_opcache.h"
#include "hw_port.h"
#include "hw_reset.h"
#include "hw_sapi.h"
#include "hw_thread.h"
#include "hw_timer.h"

__thread hw_thread_t *hw_self;
static __thread hw_thread_t storage;

static _Atomic int storages;              /* threads that have PHP storage now; each thread for itself */
static _Atomic uint64_t code_epoch;       /* any thread; counts the times at which code may have changed */
static __thread uint64_t seen_code;       /* the value at which this thread cleaned its realpath cache */
static __thread zend_file_handle *script; /* of the script that runs, on the stack of execute() */

/* -- boot and end -- */

int hw_thread_boot(unsigned index)
{
    hw_slot_t *slot = hw_board_slot(index);
    if (slot == NULL || !hw_board_change(index, HW_STATE_BOOT_REQUESTED, HW_STATE_BOOTING)) {
        return -1;
    }
    char name[16];
    snprintf(name, sizeof name, "php-%u", index);
    hw_port_set_thread_name(name);
    hw_port_block_signals(NULL);
    hw_port_own_umask();
    hw_locale_thread_begin();
    (void)ts_resource(0);
#ifdef ZEND_TSRMLS_CACHE_UPDATE
    ZEND_TSRMLS_CACHE_UPDATE();
#endif
    atomic_fetch_add(&storages, 1);
    hw_opcache_thread_begin();
    hw_crash_thread_begin();
    memset(&storage, 0, sizeof storage);
    storage.slot = index;
    hw_log_set_origin((int)index, (hw_str_t){NULL, 0});
    hw_self = &storage;
    atomic_store(&slot->thread_id, hw_port_thread_id());
    atomic_store(&slot->life_requests, 0);
    atomic_fetch_add(&slot->lives, 1);
    atomic_store(&slot->since_ns, hw_port_now_ns());
    atomic_store(&slot->request_id, 0);
    atomic_store(&slot->memory_bytes, 0);
    atomic_store(&slot->peak_bytes, 0);
    seen_code = atomic_load(&code_epoch);
    hw_kill_thread_begin(index);
    return 0;
}

int hw_thread_storages(void)
{
    return atomic_load(&storages);
}

void hw_thread_forget_error(void)
{
    if (PG(last_error_message) != NULL) {
        zend_string_release(PG(last_error_message));
        PG(last_error_message) = NULL;
    }
    if (PG(last_error_file) != NULL) {
        zend_string_release(PG(last_error_file));
        PG(last_error_file) = NULL;
    }
}

void hw_thread_free(unsigned index)
{
    hw_slot_t *slot = hw_board_slot(index);
    hw_kill_thread_end(index);
    hw_locale_thread_end();
    hw_timer_delete();
    free(storage.out);
    storage.out = NULL;
    hw_self = NULL;
    hw_thread_forget_error();
    ts_free_thread();
    atomic_fetch_sub(&storages, 1);
    hw_crash_thread_end();
    atomic_store(&slot->thread_id, 0);
}

/* -- output -- */

bool hw_thread_hand_off(hw_thread_t *self)
{
    bool alive = hw_request_put_body(self->request, self->out, self->out_len, self->event_stream);
    self->out_len = 0;
    return alive;
}

void hw_thread_complete(hw_thread_t *self)
{
    hw_request_t *request = self->request;
    bool aborted = atomic_load_explicit(&request->aborted, memory_order_relaxed);
    char *rest = self->out;
    size_t rest_len = self->out_len;
    self->out = NULL;
    self->out_len = self->out_size = 0;
    self->finished = true;
    hw_request_finish(request, aborted ? HW_OUTCOME_ABORTED : HW_OUTCOME_COMPLETED, rest, rest_len);
}

/* -- one request -- */

hw_thread_t *hw_thread_self(void)
{
    return &storage;
}

void hw_thread_new_code(void)
{
    atomic_fetch_add(&code_epoch, 1);
}

void hw_thread_see_new_code(void)
{
    uint64_t now = atomic_load_explicit(&code_epoch, memory_order_relaxed);
    if (HW_UNLIKELY(now != seen_code)) {
        seen_code = now;
        realpath_cache_clean();
    }
}

void hw_thread_bind(hw_thread_t *self, hw_request_t *request)
{
    hw_slot_t *slot = hw_board_slot(self->slot);
    self->request = request;
    self->out_len = 0;
    self->finished = false;
    self->event_stream = false;
    request->started_ns = hw_port_now_ns();
    atomic_store_explicit(&request->slot, (int)self->slot, memory_order_relaxed);
    hw_kill_request_begin(self, request);
    snprintf(slot->current, sizeof slot->current, "%s %s", request->method.data, request->request_uri.data);
    atomic_store_explicit(&slot->since_ns, request->started_ns, memory_order_relaxed);
    atomic_store_explicit(&slot->request_id, request->id, memory_order_release);
    hw_env_request_begin(request->site->env, request->site->n_env, request->env, request->n_env);
    hw_sapi_bind(request);
    hw_thread_see_new_code();
}

void hw_thread_unbind(hw_thread_t *self)
{
    hw_slot_t *slot = hw_board_slot(self->slot);
    hw_request_t *request = self->request;
    /* All of this before the client's side can see the end: from then on the request is neither running nor killable.
     */
    atomic_store_explicit(&slot->request_id, 0, memory_order_release);
    hw_kill_request_end(self->slot); /* of a kill that came too late */
    atomic_fetch_add_explicit(&slot->requests, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&slot->life_requests, 1, memory_order_relaxed);
    atomic_store_explicit(&request->state, HW_REQUEST_DONE, memory_order_release);
    if (!self->finished) {
        hw_thread_complete(self);
    }
    self->request = NULL;
    request->timed_out = request->killed = NULL;
    hw_sapi_unbind();
    if (self->boot == NULL) {
        hw_env_request_end();
    } else {
        hw_env_request_begin(NULL, 0, NULL, 0); /* what the worker has set by putenv() stays */
    }
    hw_request_release(request);
}

/* PHP holds the file of a script open as long as the script runs, though it never reads it once it is compiled. */
void hw_thread_close_script(hw_thread_t *self)
{
    if (script->in_list) { /* else it is not open: OPcache had the code, or the script is still to be compiled */
        zend_destroy_file_handle(script);
        zend_stream_init_filename(script, self->boot->script_filename.data); /* for execute() to destroy */
    }
}

/* Runs the script. What bails out inside it is caught inside php_execute_script(). */
static void execute(hw_thread_t *self)
{
    zend_file_handle file;
    script = &file;
    /* The script's folder is its working directory. PHP would do this too, but also go back after the script, which
     * costs a stat and has no effect: the virtual working directory ends with the request. */
    VCWD_CHDIR_FILE(self->request->script_filename.data);
    zend_stream_init_filename(&file, self->request->script_filename.data);
    file.primary_script = 1;
    php_execute_script(&file);
    zend_destroy_file_handle(&file);
}

/* After a request start-up that failed. php_request_shutdown() would visit modules whose start-up never ran, and date's
 * frees what that would have set (seen). So only what outlives the thread is given back, which is uploaded files, and
 * the rest goes with the thread's storage. */
static void abandon(void)
{
    zend_first_try
    {
        php_output_deactivate();
    }
    zend_end_try();
    zend_first_try
    {
        sapi_deactivate();
    }
    zend_end_try();
}

void hw_thread_note_memory(hw_thread_t *self)
{
    hw_slot_t *slot = hw_board_slot(self->slot);
    size_t peak = zend_memory_peak_usage(0);
    atomic_store_explicit(&slot->memory_bytes, zend_memory_usage(0), memory_order_relaxed);
    atomic_store_explicit(&slot->peak_bytes, peak, memory_order_relaxed);
    if (self->request != NULL && !self->finished) {
        self->request->peak_bytes = peak;
    }
}

bool hw_thread_serve(hw_thread_t *self, void (*before_end)(hw_thread_t *self))
{
    volatile bool healthy = false;
    volatile bool started = false;
    volatile bool shut_down = false;
    hw_timer_reveal();
    hw_reset_memory_limit();
    zend_first_try
    {
        if (php_request_startup() == SUCCESS) {
            started = true;
            EG(exit_status) = 0;
            if (self->boot != NULL) {
                PG(ignore_user_abort) = 1; /* a client that leaves must not end the worker */
            }
            hw_kill_rearm(self);
            execute(self);
            hw_thread_note_memory(self);
            if (before_end != NULL) {
                before_end(self);
            }
            shut_down = true;
            php_request_shutdown(NULL);
            healthy = true;
        }
    }
    zend_end_try();
    if (!healthy && !shut_down) {
        abandon();
    }
    if (!healthy) {
        /* Only where it failed before PHP could say a word is there no reason. */
        hw_log_printf(HW_LOG_ERROR, self->request->id, "PHP failed in the %s of a request: the thread is replaced (%s)",
                      started ? "shutdown" : "start-up",
                      PG(last_error_message) != NULL ? ZSTR_VAL(PG(last_error_message)) : "it gave no reason");
        hw_sapi_fail_response(self);
    }
    return healthy;
}

static void skip(hw_request_t *request)
{
    hw_request_finish(request, HW_OUTCOME_ABORTED, NULL, 0);
    atomic_store_explicit(&request->state, HW_REQUEST_DONE, memory_order_release);
    hw_request_release(request);
}

hw_request_t *hw_thread_next(unsigned index, hw_queue_t *queue, hw_pop_t *why)
{
    atomic_store_explicit(&hw_board_slot(index)->since_ns, hw_port_now_ns(), memory_order_relaxed);
    for (;;) {
        hw_request_t *request = hw_queue_pop(queue, index, why);
        if (request == NULL || !atomic_load_explicit(&request->aborted, memory_order_acquire)) {
            return request;
        }
        skip(request); /* the client left while the request waited: it is never executed */
    }
}

int hw_thread_limit(const hw_thread_t *self)
{
    const hw_slot_t *slot = hw_board_slot(self->slot);
    uint64_t limit = atomic_load_explicit(&slot->life_limit, memory_order_relaxed);
    uint64_t memory_limit = atomic_load_explicit(&slot->memory_limit, memory_order_relaxed);
    if (self->kill_status != 0) {
        return HW_EVENT_KILLED;
    }
    if (limit > 0 && atomic_load_explicit(&slot->life_requests, memory_order_relaxed) >= limit) {
        return HW_EVENT_RECYCLE;
    }
    if (memory_limit > 0 && atomic_load_explicit(&slot->memory_bytes, memory_order_relaxed) >= memory_limit) {
        return HW_EVENT_MEMORY;
    }
    return HW_EVENT_ENDED;
}

int hw_thread_run(unsigned index, hw_queue_t *queue)
{
    hw_thread_t *self = &storage;
    self->boot = NULL;
    for (;;) {
        hw_pop_t why;
        hw_request_t *request = hw_thread_next(index, queue, &why);
        if (request == NULL) {
            return why == HW_POP_LEAVE ? HW_EVENT_LEFT : HW_EVENT_STOPPED;
        }
        hw_thread_bind(self, request);
        bool healthy = hw_thread_serve(self, NULL);
        hw_thread_unbind(self);
        int event = healthy ? hw_thread_limit(self) : HW_EVENT_UNHEALTHY;
        if (event != HW_EVENT_ENDED) {
            return event;
        }
    }
}
