/* SPDX-License-Identifier: MIT */
#include "hw_kill.h"

#include <php.h>
#include <php_ini.h>
#include <SAPI.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "hw_board.h"
#include "hw_cutoff.h"
#include "hw_port.h"
#include "hw_trace.h"

/* What belongs to a kill beside the fields of the slot. */
static struct {
    int status;         /* of the kill that waits to be taken; kill lock */
    int taken;          /* fatal errors raised in the running request; kill lock */
    bool pending;       /* a kill waits to be taken: ends the request's waits; written under the kill lock */
    hw_cutoff_t cutoff; /* see its file */
} kills[HW_BOARD_MAX_SLOTS];

static void (*previous_interrupt)(zend_execute_data *execute_data);

/* -- on the PHP thread -- */

/* Its first effect is that a blocking system call returns EINTR. */
static void kill_signal_handler(int signal_number, siginfo_t *info, void *context)
{
    (void)signal_number;
    (void)info;
    hw_thread_t *self = hw_self;
    if (self != NULL) {
        int error = errno;
        hw_cutoff_carry_out(&kills[self->slot].cutoff, atomic_load(&hw_board_slot(self->slot)->request_id), context);
        errno = error;
    }
}

/* The client of a killed request gets the status of the kill unless the head of the response is on its way. */
static void set_status(hw_thread_t *self, int status)
{
    self->kill_status = status;
    if (SG(headers_sent)) {
        hw_request_change_status(self->request, status);
    } else {
        SG(sapi_headers).http_response_code = status; /* PHP makes it 500 only if it was 200 */
    }
}

/* PHP also looks at the flag after a call of one of its own functions by another, for example while the constructor of
 * PDO makes the exception that says why it could not connect. Leaving from there would lose the connection's descriptor
 * (PHP's own max_execution_time does), so the kill waits until the constructor is through. */
static bool is_in_constructor(void)
{
    const zend_execute_data *frame = EG(current_execute_data);
    return EG(error_handling) == EH_THROW && frame != NULL && frame->func != NULL && !ZEND_USER_CODE(frame->func->type);
}

static void take_kill(hw_thread_t *self)
{
    hw_slot_t *slot = hw_board_slot(self->slot);
    char reason[sizeof slot->kill_reason];
    int status = 0;
    pthread_mutex_lock(&slot->kill_lock);
    if (slot->kill_id == self->request->id && is_in_constructor()) {
        zend_atomic_bool_store_ex(&EG(vm_interrupt), true);
    } else if (slot->kill_id == self->request->id) {
        status = kills[self->slot].status;
        slot->kill_id = 0;
        kills[self->slot].taken++;
        __atomic_store_n(&kills[self->slot].pending, false, __ATOMIC_RELAXED);
        memcpy(reason, slot->kill_reason, sizeof reason);
    }
    pthread_mutex_unlock(&slot->kill_lock);
    if (status != 0) {
        set_status(self, status);
        zend_error_noreturn(E_ERROR, "Request ended by the server: %s", reason);
    }
}

/* Runs on the PHP thread at a safe point of the VM. EG(timed_out) is never written: on a thread that waits for its
 * next request it would kill that innocent one. */
static void interrupt(zend_execute_data *execute_data)
{
    hw_thread_t *self = hw_self;
    if (self != NULL) {
        hw_trace_answer(self->slot, self->request != NULL ? self->request->id : 0);
    }
    if (self != NULL && self->request != NULL) {
        take_kill(self);
    }
    if (previous_interrupt != NULL) {
        previous_interrupt(execute_data);
    }
}

void hw_kill_interrupted(void)
{
    if (zend_atomic_bool_load_ex(&EG(vm_interrupt))) {
        zend_atomic_bool_store_ex(&EG(vm_interrupt), false);
        if (zend_atomic_bool_load_ex(&EG(timed_out))) {
            zend_timeout();
        }
        interrupt(EG(current_execute_data));
    }
}

void hw_kill_request_begin(hw_thread_t *self, hw_request_t *request)
{
    self->kill_status = 0;
    request->timed_out = (const bool *)&EG(timed_out);
    request->killed = &kills[self->slot].pending;
}

void hw_kill_rearm(hw_thread_t *self)
{
    hw_slot_t *slot = hw_board_slot(self->slot);
    pthread_mutex_lock(&slot->kill_lock);
    if (slot->kill_id == self->request->id) {
        zend_atomic_bool_store_ex(&EG(vm_interrupt), true);
    }
    pthread_mutex_unlock(&slot->kill_lock);
}

void hw_kill_request_end(unsigned index)
{
    hw_slot_t *slot = hw_board_slot(index);
    pthread_mutex_lock(&slot->kill_lock);
    slot->kill_id = 0;
    kills[index].taken = 0;
    __atomic_store_n(&kills[index].pending, false, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&slot->kill_lock);
}

void hw_kill_thread_begin(unsigned index)
{
    hw_slot_t *slot = hw_board_slot(index);
    pthread_mutex_lock(&slot->kill_lock);
    slot->thread = pthread_self();
    slot->kill_id = 0;
    slot->vm_interrupt = &EG(vm_interrupt);
    pthread_mutex_unlock(&slot->kill_lock);
}

void hw_kill_thread_end(unsigned index)
{
    hw_slot_t *slot = hw_board_slot(index);
    pthread_mutex_lock(&slot->kill_lock);
    slot->vm_interrupt = NULL; /* before the storage it points into is freed */
    pthread_mutex_unlock(&slot->kill_lock);
}

/* -- the killer -- */

bool hw_kill_request(unsigned index, uint64_t request_id, const hw_kill_t *kill)
{
    hw_slot_t *slot = hw_board_slot(index);
    if (slot == NULL || request_id == 0 || atomic_load(&slot->request_id) != request_id) {
        return false;
    }
    if (kill->stage >= HW_KILL_BY_CUTOFF) {
        /* Without the lock, because it takes its time. What it finds is checked again where it is used. */
        hw_cutoff_order(&kills[index].cutoff, atomic_load(&slot->thread_id), request_id);
    }
    bool sent = false;
    pthread_mutex_lock(&slot->kill_lock);
    if (slot->vm_interrupt != NULL && atomic_load(&slot->request_id) == request_id) {
        slot->kill_id = request_id;
        snprintf(slot->kill_reason, sizeof slot->kill_reason, "%s", kill->reason);
        kills[index].status = kill->status;
        __atomic_store_n(&kills[index].pending, true, __ATOMIC_RELAXED);
        zend_atomic_bool_store_ex((zend_atomic_bool *)slot->vm_interrupt, true);
        if (kill->stage >= HW_KILL_BY_SIGNAL) {
            pthread_kill(slot->thread, HW_KILL_SIGNAL);
        }
        sent = true;
    }
    pthread_mutex_unlock(&slot->kill_lock);
    return sent;
}

int hw_kill_count(unsigned index, uint64_t request_id)
{
    hw_slot_t *slot = hw_board_slot(index);
    if (slot == NULL) {
        return -1;
    }
    pthread_mutex_lock(&slot->kill_lock);
    int count = atomic_load(&slot->request_id) == request_id ? kills[index].taken : -1;
    pthread_mutex_unlock(&slot->kill_lock);
    return count;
}

/* -- the caps -- */

static zend_result (*previous_post_startup)(void);

static void cap(const char *name, zend_long limit)
{
    zend_ini_entry *entry = zend_hash_str_find_ptr(EG(ini_directives), name, strlen(name));
    if (entry == NULL) {
        return; /* mysqlnd is not there */
    }
    zend_long value = entry->value != NULL ? ZEND_STRTOL(ZSTR_VAL(entry->value), NULL, 10) : 0;
    if (value >= 0 && value <= limit) { /* negative: for ever */
        return;
    }
    char text[MAX_LENGTH_OF_LONG + 1];
    snprintf(text, sizeof text, ZEND_LONG_FMT, limit);
    zend_string *capped = zend_string_init(text, strlen(text), 1);
    /* As zend_register_ini_entries() does with a value of php.ini, so that it is the one that ini_restore() knows. */
    if (entry->on_modify == NULL || entry->on_modify(entry, capped, entry->mh_arg1, entry->mh_arg2, entry->mh_arg3,
                                                     ZEND_INI_STAGE_STARTUP) == SUCCESS) {
        if (entry->value != NULL) {
            zend_string_release_ex(entry->value, 1);
        }
        entry->value = capped;
    } else {
        zend_string_release_ex(capped, 1);
    }
}

/* Called when all modules have registered their entries, and before threads copy them. */
static zend_result cap_waits(void)
{
    zend_long limit = 0;
    if (cfg_get_long(HW_KILL_WAIT_ENTRY, &limit) == SUCCESS && limit > 0) {
        cap("default_socket_timeout", limit);
        cap("mysqlnd.net_read_timeout", limit);
    }
    return previous_post_startup != NULL ? previous_post_startup() : SUCCESS;
}

/* -- set-up -- */

void hw_kill_minit(void)
{
    struct sigaction action = {.sa_sigaction = kill_signal_handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    sigaction(HW_KILL_SIGNAL, &action, NULL); /* no SA_RESTART: interrupting is what it is for */
    previous_interrupt = zend_interrupt_function;
    zend_interrupt_function = interrupt;
    previous_post_startup = zend_post_startup_cb;
    zend_post_startup_cb = cap_waits;
}
