/* SPDX-License-Identifier: MIT */
#include "hw_worker.h"

#include <php.h>
#include <ext/spl/spl_exceptions.h>
#include <php_output.h>
#include <zend_exceptions.h>

#include <stdio.h>
#include <string.h>

#include "hw_baseline.h"
#include "hw_board.h"
#include "hw_env.h"
#include "hw_fork.h"
#include "hw_kill.h"
#include "hw_log.h"
#include "hw_opcache.h"
#include "hw_port.h"
#include "hw_reset.h"
#include "hw_sapi.h"

/* A script that calls again after `false` gets it this often, then it is ended. */
#define PATIENCE 2

/* The run of this thread's script. */
static __thread struct {
    hw_queue_t *queue;
    hw_worker_end_t *end;
    bool reset;
    bool in_handler; /* a client's request is bound */
    bool leaving;    /* the script was given `false` */
    bool over;       /* the script has ended, or unwinds by exit() */
    int event;       /* why it leaves */
    int refused;     /* calls answered by `false` */
} run;

static bool unwinding(void)
{
    return EG(exception) != NULL && (zend_is_unwind_exit(EG(exception)) || zend_is_graceful_exit(EG(exception)));
}

/* The script's exception handler, as zend_user_exception_handler() calls it; that one would swallow what the handler
 * throws, and exit() in it, when it is called from inside a function. */
static void call_exception_handler(void)
{
    zval handler, argument, result;
    zend_object *exception = EG(exception);
    EG(exception) = NULL;
    ZVAL_COPY(&handler, &EG(user_exception_handler));
    ZVAL_OBJ(&argument, exception);
    ZVAL_UNDEF(&result);
    call_user_function(NULL, NULL, &handler, &result, 1, &argument);
    zval_ptr_dtor(&result);
    zval_ptr_dtor(&handler);
    OBJ_RELEASE(exception);
}

/* An exception that the callback did not catch is treated as PHP treats it at the end of a script, but the script goes
 * on. Leaves exit() pending. */
static void report_exception(void)
{
    if (EG(exception) == NULL || unwinding()) {
        return;
    }
    if (Z_TYPE(EG(user_exception_handler)) != IS_UNDEF) {
        call_exception_handler();
    }
    if (EG(exception) != NULL && !unwinding()) {
        zend_exception_error(EG(exception), E_ERROR);
    }
}

static void note_memory(hw_thread_t *self)
{
    hw_thread_note_memory(self);
#if PHP_VERSION_ID >= 80200
    zend_memory_reset_peak_usage();
#endif
}

/* -- what is bound -- */

/* The boot record is bound again, without what PHP does at the start of a request. */
static void bind_boot(hw_thread_t *self)
{
    hw_slot_t *slot = hw_board_slot(self->slot);
    self->request = self->boot;
    self->finished = false;
    self->out_len = 0;
    slot->current[0] = '\0';
    hw_kill_request_begin(self, self->boot);
    atomic_store_explicit(&slot->since_ns, hw_port_now_ns(), memory_order_relaxed);
    atomic_store_explicit(&slot->request_id, self->boot->id, memory_order_release);
    hw_env_request_begin(self->boot->site->env, self->boot->site->n_env, NULL, 0);
    hw_sapi_bind(self->boot);
}

/* From here on nothing can be killed. */
static void unbind_boot(hw_thread_t *self)
{
    hw_slot_t *slot = hw_board_slot(self->slot);
    atomic_store_explicit(&slot->request_id, 0, memory_order_release);
    hw_kill_request_end(self->slot);
    self->request = NULL;
    hw_sapi_unbind();
}

static void become_ready(unsigned index)
{
    if (!hw_board_change(index, HW_STATE_TRANSITION_COMPLETE, HW_STATE_READY)) {
        hw_board_change(index, HW_STATE_RESTARTING, HW_STATE_READY);
    }
}

/* -- frankenphp_handle_request() -- */

static void leave(hw_thread_t *self, int event)
{
    run.leaving = true;
    run.event = event;
    run.refused = 1;
    bind_boot(self);
    hw_reset_request_begin();
}

static void refuse_again(hw_thread_t *self)
{
    if (++run.refused <= PATIENCE) {
        return;
    }
    hw_log_printf(
        HW_LOG_WARN, self->boot->id,
        "the worker script ignored the false of frankenphp_handle_request() and was ended: leave the loop when "
        "it returns false (%s)",
        self->boot->script_filename.data);
    run.over = true;
    zend_throw_unwind_exit();
}

/* The end of boot, once: what it said goes to the log, and what it has set is what each request finds. */
static bool end_boot(hw_thread_t *self)
{
    run.end->booted = true;
    hw_reset_request_end();
    if (EG(exception) != NULL) {
        return false;
    }
    if (run.reset) {
        hw_baseline_take();
    }
    hw_thread_close_script(self);
    note_memory(self);
    become_ready(self->slot);
    return true;
}

/* Waits for the next request and makes it the running one. False: the script must leave, or an exception is pending. */
static bool begin(hw_thread_t *self)
{
    if (!run.end->booted) {
        if (!end_boot(self)) {
            return false;
        }
    } else {
        hw_reset_gap_end();
    }
    unbind_boot(self);
    hw_pop_t why = HW_POP_REQUEST;
    int event = hw_thread_limit(self);
    hw_request_t *request = event == HW_EVENT_ENDED ? hw_thread_next(self->slot, run.queue, &why) : NULL;
    if (request == NULL) {
        if (event == HW_EVENT_ENDED) {
            event = why == HW_POP_LEAVE ? HW_EVENT_LEFT : HW_EVENT_STOPPED;
        }
        leave(self, event);
        return false;
    }
    hw_reset_shutdown_functions_part();
    hw_thread_bind(self, request);
    run.in_handler = true;
    hw_reset_request_begin();
    return true;
}

/* False when exit() unwinds the script. */
static bool end(hw_thread_t *self)
{
    report_exception();
    if (!unwinding()) {
        hw_reset_shutdown_functions_run();
        report_exception();
    }
    if (!unwinding()) {
        hw_reset_request_end();
        report_exception();
    }
    if (unwinding()) {
        run.over = true;
        return false;
    }
    note_memory(self);
    if (run.reset) {
        hw_baseline_restore();
    }
    EG(exit_status) = 0;
    hw_thread_unbind(self);
    run.in_handler = false;
    run.end->handled++;
    hw_opcache_look();
    bind_boot(self);
    hw_reset_gap_begin();
    return true;
}

/* The child of a fork has no server to ask for requests: its script ends, with shutdown functions and destructors. */
static void leave_child(void)
{
    if (!run.over && EG(exception) == NULL) {
        zend_throw_unwind_exit();
    }
    run.over = true;
}

void hw_worker_handle(zend_fcall_info *info, zend_fcall_info_cache *cache, zval *return_value)
{
    hw_thread_t *self = hw_self;
    ZVAL_FALSE(return_value);
    if (self == NULL || self->boot == NULL) {
        zend_throw_exception(spl_ce_RuntimeException, "frankenphp_handle_request() called while not in worker mode", 0);
        return;
    }
    if (hw_fork_is_child()) {
        leave_child();
        return;
    }
    if (run.in_handler && !run.over) {
        zend_throw_exception(spl_ce_RuntimeException,
                             "frankenphp_handle_request() called inside its own callback: a thread handles one request "
                             "at a time",
                             0);
        return;
    }
    if (run.over) {
        return;
    }
    if (run.leaving) {
        refuse_again(self);
        return;
    }
    if (!begin(self)) {
        return;
    }
    zval result;
    ZVAL_UNDEF(&result);
    info->retval = &result;
    info->param_count = 0;
    zend_call_function(info, cache);
    zval_ptr_dtor(&result);
    if (hw_fork_is_child()) {
        leave_child();
        return;
    }
    if (end(self)) {
        ZVAL_TRUE(return_value);
    }
}

/* -- one run -- */

static char *last_error(void)
{
    char *text = NULL;
    if (PG(last_error_message) == NULL) {
        return NULL;
    }
    const char *file = PG(last_error_file) != NULL ? ZSTR_VAL(PG(last_error_file)) : "unknown";
    size_t size = ZSTR_LEN(PG(last_error_message)) + strlen(file) + 40;
    text = malloc(size);
    if (text != NULL) {
        snprintf(text, size, "%s in %s on line %d", ZSTR_VAL(PG(last_error_message)), file, PG(last_error_lineno));
    }
    return text;
}

/* After the script, before PHP's request shutdown, which forgets the last error and runs shutdown functions. */
static void script_ended(hw_thread_t *self)
{
    (void)self;
    run.over = true;
    run.end->exit_status = EG(exit_status);
    run.end->error = last_error();
    hw_baseline_forget();
    hw_reset_shutdown_functions_join();
}

void hw_worker_run(unsigned slot, hw_queue_t *queue, hw_request_t *boot, bool reset, hw_worker_end_t *ended)
{
    hw_thread_t *self = hw_thread_self();
    memset(ended, 0, sizeof *ended);
    memset(&run, 0, sizeof run);
    run.queue = queue;
    run.end = ended;
    run.reset = reset;
    self->boot = hw_request_retain(boot);
    hw_env_worker_begin(boot->site->env, boot->site->n_env);
    hw_thread_bind(self, boot);
    snprintf(hw_board_slot(slot)->current, sizeof hw_board_slot(slot)->current, "worker script %s",
             boot->script_filename.data);
    bool healthy = hw_thread_serve(self, script_ended);
    hw_baseline_forget();
    if (self->request == self->boot) {
        unbind_boot(self);
    } else if (self->request != NULL) {
        hw_thread_unbind(self); /* the script ended inside its callback: this completes the answer */
        ended->handled++;
    }
    atomic_store_explicit(&boot->state, HW_REQUEST_DONE, memory_order_release);
    hw_env_request_end();
    hw_env_worker_end();
    self->boot->timed_out = self->boot->killed = NULL;
    hw_request_release(self->boot);
    hw_request_release(boot);
    self->boot = NULL;
    ended->event = !healthy ? HW_EVENT_UNHEALTHY : hw_thread_limit(self);
    if (ended->event == HW_EVENT_ENDED && run.leaving) {
        ended->event = run.event;
    }
}
