/* SPDX-License-Identifier: MIT */
#include "hw_kill.h"

#include <php.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#include "hw_board.h"
#include "hw_port.h"

static void (*previous_interrupt)(zend_execute_data *execute_data);

/* -- on the PHP thread -- */

static void kill_signal_handler(int signal_number)
{
    (void)signal_number; /* its only effect is that a blocking system call returns EINTR */
}

/* Runs on the PHP thread at a safe point of the VM. EG(timed_out) is never written: on a thread that waits for its
 * next request it would kill that innocent one. */
static void interrupt(zend_execute_data *execute_data)
{
    hw_thread_t *self = hw_self;
    if (self != NULL && self->request != NULL) {
        hw_slot_t *slot = hw_board_slot(self->slot);
        char reason[sizeof slot->kill_reason];
        bool killed = false;
        pthread_mutex_lock(&slot->kill_lock);
        if (slot->kill_id == self->request->id) {
            killed = true;
            slot->kill_id = 0;
            memcpy(reason, slot->kill_reason, sizeof reason);
        }
        pthread_mutex_unlock(&slot->kill_lock);
        if (killed) {
            zend_error_noreturn(E_ERROR, "Request ended by the server: %s", reason);
        }
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

void hw_kill_minit(void)
{
    struct sigaction action = {.sa_handler = kill_signal_handler};
    sigemptyset(&action.sa_mask);
    sigaction(HW_KILL_SIGNAL, &action, NULL); /* no SA_RESTART: interrupting is what it is for */
    previous_interrupt = zend_interrupt_function;
    zend_interrupt_function = interrupt;
}

/* -- the killer -- */

bool hw_kill_request(unsigned index, uint64_t request_id, const char *reason)
{
    hw_slot_t *slot = hw_board_slot(index);
    bool sent = false;
    if (slot == NULL) {
        return false;
    }
    pthread_mutex_lock(&slot->kill_lock);
    if (slot->vm_interrupt != NULL && atomic_load(&slot->request_id) == request_id) {
        slot->kill_id = request_id;
        snprintf(slot->kill_reason, sizeof slot->kill_reason, "%s", reason);
        zend_atomic_bool_store_ex((zend_atomic_bool *)slot->vm_interrupt, true);
        pthread_kill(slot->thread, HW_KILL_SIGNAL);
        sent = true;
    }
    pthread_mutex_unlock(&slot->kill_lock);
    return sent;
}
