/* SPDX-License-Identifier: MIT */
#include "hw_control.h"

#include <stdlib.h>
#include <string.h>

#include "hw_board.h"
#include "hw_kill.h"
#include "hw_pools.h"
#include "hw_port.h"
#include "hw_syscall.h"
#include "hw_thread.h"
#include "hw_trace.h"
#include "hw_types.h"
#include "hw_worker.h"

/* -- threads and slots -- */

static hw_slot_t *slot_argument(PyObject *object, unsigned *index)
{
    unsigned long number = PyLong_AsUnsignedLong(object);
    if (number == (unsigned long)-1 && PyErr_Occurred()) {
        return NULL;
    }
    hw_slot_t *slot = number < HW_BOARD_MAX_SLOTS ? hw_board_slot((unsigned)number) : NULL;
    if (slot == NULL) {
        PyErr_Format(PyExc_IndexError, "there is no slot %lu", number);
        return NULL;
    }
    *index = (unsigned)number;
    return slot;
}

static PyObject *thread_boot(PyObject *module, PyObject *argument)
{
    unsigned index;
    int result;
    (void)module;
    if (slot_argument(argument, &index) == NULL) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS result = hw_thread_boot(index);
    Py_END_ALLOW_THREADS if (result != 0)
    {
        PyErr_Format(PyExc_RuntimeError, "slot %u cannot boot from its state", index);
        return NULL;
    }
    Py_RETURN_NONE;
}

/* A pool's queue, or an exception. */
static hw_queue_t *pool_argument(unsigned pool)
{
    hw_queue_t *queue = hw_pools_queue(pool);
    if (queue == NULL) {
        PyErr_Format(PyExc_RuntimeError, "there is no pool %u: PHP is not running, or the pool was freed", pool);
    }
    return queue;
}

static PyObject *thread_run(PyObject *module, PyObject *args)
{
    unsigned index, pool;
    int event;
    (void)module;
    if (!PyArg_ParseTuple(args, "II:thread_run", &index, &pool)) {
        return NULL;
    }
    hw_queue_t *queue = pool_argument(pool);
    if (queue == NULL || hw_board_slot(index) == NULL) {
        return queue == NULL ? NULL : PyErr_Format(PyExc_IndexError, "there is no slot %u", index);
    }
    Py_BEGIN_ALLOW_THREADS event = hw_thread_run(index, queue);
    Py_END_ALLOW_THREADS return PyLong_FromLong(event);
}

static PyObject *worker_run(PyObject *module, PyObject *args)
{
    unsigned index, pool;
    PyObject *record;
    int reset;
    hw_worker_end_t end;
    if (!PyArg_ParseTuple(args, "IIOp:worker_run", &index, &pool, &record, &reset)) {
        return NULL;
    }
    hw_request_t *boot = hw_types_request(PyModule_GetState(module), record);
    hw_queue_t *queue = boot != NULL ? pool_argument(pool) : NULL;
    if (queue == NULL || hw_board_slot(index) == NULL) {
        return queue == NULL ? NULL : PyErr_Format(PyExc_IndexError, "there is no slot %u", index);
    }
    hw_request_retain(boot);
    Py_BEGIN_ALLOW_THREADS hw_worker_run(index, queue, boot, reset != 0, &end);
    Py_END_ALLOW_THREADS PyObject *error =
        end.error != NULL ? PyUnicode_DecodeUTF8(end.error, (Py_ssize_t)strlen(end.error), "replace")
                          : Py_NewRef(Py_None);
    free(end.error);
    return Py_BuildValue("(iOiNK)", end.event, end.booted ? Py_True : Py_False, end.exit_status, error,
                         (unsigned long long)end.handled);
}

static PyObject *thread_free(PyObject *module, PyObject *argument)
{
    unsigned index;
    (void)module;
    if (slot_argument(argument, &index) == NULL) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS hw_thread_free(index);
    Py_END_ALLOW_THREADS Py_RETURN_NONE;
}

static PyObject *thread_kill(PyObject *module, PyObject *args)
{
    unsigned index;
    unsigned long long id;
    hw_kill_t kill = {.stage = HW_KILL_BY_SIGNAL, .status = 503};
    int stage = kill.stage;
    bool runs;
    (void)module;
    if (!PyArg_ParseTuple(args, "IKs|ii:thread_kill", &index, &id, &kill.reason, &kill.status, &stage)) {
        return NULL;
    }
    kill.stage = (hw_kill_stage_t)stage;
    Py_BEGIN_ALLOW_THREADS runs = hw_kill_request(index, id, &kill);
    Py_END_ALLOW_THREADS return PyBool_FromLong(runs);
}

static PyObject *thread_kills(PyObject *module, PyObject *args)
{
    unsigned index;
    unsigned long long id;
    (void)module;
    if (!PyArg_ParseTuple(args, "IK:thread_kills", &index, &id)) {
        return NULL;
    }
    return PyLong_FromLong(hw_kill_count(index, id));
}

static PyObject *trace(PyObject *module, PyObject *args)
{
    unsigned index;
    unsigned long long id;
    double timeout_s;
    char text[HW_TRACE_BYTES];
    size_t len;
    (void)module;
    if (!PyArg_ParseTuple(args, "IKd:trace", &index, &id, &timeout_s)) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS len = hw_trace_read(index, id, (int64_t)(timeout_s * 1e9), text);
    Py_END_ALLOW_THREADS if (len == 0)
    {
        Py_RETURN_NONE;
    }
    return PyUnicode_DecodeUTF8(text, (Py_ssize_t)len, "replace");
}

static PyObject *syscall_readable(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return PyBool_FromLong(hw_syscall_readable());
}

static PyObject *slot_state(PyObject *module, PyObject *argument)
{
    unsigned index;
    (void)module;
    hw_slot_t *slot = slot_argument(argument, &index);
    return slot == NULL ? NULL : PyUnicode_FromString(hw_state_names[atomic_load(&slot->state)]);
}

static PyObject *slot_change(PyObject *module, PyObject *args)
{
    unsigned index;
    const char *expected, *to;
    (void)module;
    if (!PyArg_ParseTuple(args, "Iss:slot_change", &index, &expected, &to)) {
        return NULL;
    }
    int from_state = hw_board_state_of(expected), to_state = hw_board_state_of(to);
    if (from_state < 0 || to_state < 0) {
        PyErr_SetString(PyExc_ValueError, "no such state");
        return NULL;
    }
    return PyBool_FromLong(hw_board_change(index, (hw_state_t)from_state, (hw_state_t)to_state));
}

static PyObject *slot_limit(PyObject *module, PyObject *args)
{
    unsigned index;
    unsigned long long limit, memory_bytes;
    (void)module;
    if (!PyArg_ParseTuple(args, "IKK:slot_limit", &index, &limit, &memory_bytes)) {
        return NULL;
    }
    hw_slot_t *slot = hw_board_slot(index);
    if (slot == NULL) {
        PyErr_Format(PyExc_IndexError, "there is no slot %u", index);
        return NULL;
    }
    atomic_store(&slot->life_limit, limit);
    atomic_store(&slot->memory_limit, memory_bytes);
    Py_RETURN_NONE;
}

static PyObject *slot_info(PyObject *module, PyObject *argument)
{
    unsigned index;
    char current[128];
    (void)module;
    hw_slot_t *slot = slot_argument(argument, &index);
    if (slot == NULL) {
        return NULL;
    }
    uint64_t id = atomic_load(&slot->request_id);
    memcpy(current, slot->current, sizeof current);
    current[sizeof current - 1] = '\0';
    double since_s = (double)(hw_port_now_ns() - atomic_load(&slot->since_ns)) / 1e9;
    PyObject *text =
        PyUnicode_DecodeUTF8(id != 0 ? current : "", (Py_ssize_t)strlen(id != 0 ? current : ""), "replace");
    return Py_BuildValue("{s:s,s:i,s:K,s:d,s:K,s:K,s:K,s:K,s:K,s:N}", "state",
                         hw_state_names[atomic_load(&slot->state)], "thread_id", atomic_load(&slot->thread_id),
                         "request_id", (unsigned long long)id, "since_s", since_s, "requests",
                         (unsigned long long)atomic_load(&slot->requests), "life_requests",
                         (unsigned long long)atomic_load(&slot->life_requests), "memory_bytes",
                         (unsigned long long)atomic_load(&slot->memory_bytes), "peak_bytes",
                         (unsigned long long)atomic_load(&slot->peak_bytes), "lives",
                         (unsigned long long)atomic_load(&slot->lives), "current", text);
}

/* -- pools -- */

static PyObject *pool_open(PyObject *module, PyObject *argument)
{
    Py_ssize_t max_waiting = PyLong_AsSsize_t(argument);
    (void)module;
    if (max_waiting < 0) {
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ValueError, "max_waiting is negative");
    }
    int pool = hw_pools_open((size_t)max_waiting, hw_board_size());
    if (pool < 0) {
        PyErr_Format(PyExc_RuntimeError, "there cannot be more than %d workers", HW_MAX_POOLS - 1);
        return NULL;
    }
    return PyLong_FromLong(pool);
}

static hw_queue_t *queue_argument(PyObject *argument)
{
    unsigned long pool = PyLong_AsUnsignedLong(argument);
    return PyErr_Occurred() ? NULL : pool_argument((unsigned)pool);
}

static PyObject *pool_bound(PyObject *module, PyObject *args)
{
    unsigned pool;
    Py_ssize_t max_waiting;
    (void)module;
    if (!PyArg_ParseTuple(args, "In:pool_bound", &pool, &max_waiting)) {
        return NULL;
    }
    if (max_waiting < 0) {
        return PyErr_Format(PyExc_ValueError, "max_waiting is negative");
    }
    hw_queue_t *queue = pool_argument(pool);
    if (queue == NULL) {
        return NULL;
    }
    hw_queue_bound(queue, (size_t)max_waiting);
    Py_RETURN_NONE;
}

static PyObject *pool_free(PyObject *module, PyObject *argument)
{
    (void)module;
    if (queue_argument(argument) == NULL) {
        return NULL;
    }
    hw_pools_free((unsigned)PyLong_AsUnsignedLong(argument));
    Py_RETURN_NONE;
}

static PyObject *with_queue(PyObject *argument, void (*action)(hw_queue_t *queue))
{
    hw_queue_t *queue = queue_argument(argument);
    if (queue == NULL) {
        return NULL;
    }
    action(queue);
    Py_RETURN_NONE;
}

static PyObject *pool_close(PyObject *module, PyObject *argument)
{
    (void)module;
    return with_queue(argument, hw_queue_close);
}

static PyObject *pool_flush(PyObject *module, PyObject *args)
{
    unsigned pool;
    int all;
    (void)module;
    if (!PyArg_ParseTuple(args, "Ip:pool_flush", &pool, &all)) {
        return NULL;
    }
    hw_queue_t *queue = pool_argument(pool);
    return queue != NULL ? PyBool_FromLong(hw_queue_flush(queue, all != 0)) : NULL;
}

static PyObject *pool_pause(PyObject *module, PyObject *argument)
{
    (void)module;
    return with_queue(argument, hw_queue_pause);
}

static PyObject *pool_resume(PyObject *module, PyObject *argument)
{
    (void)module;
    return with_queue(argument, hw_queue_resume);
}

static PyObject *pool_evict(PyObject *module, PyObject *argument)
{
    hw_request_t *request;
    long count = 0;
    (void)module;
    hw_queue_t *queue = queue_argument(argument);
    if (queue == NULL) {
        return NULL;
    }
    while ((request = hw_queue_evict(queue)) != NULL) {
        hw_request_finish(request, HW_OUTCOME_REJECTED, NULL, 0);
        hw_request_release(request);
        count++;
    }
    return PyLong_FromLong(count);
}

static PyObject *with_consumer(PyObject *args, void (*action)(hw_queue_t *queue, unsigned consumer))
{
    unsigned pool, index;
    if (!PyArg_ParseTuple(args, "II", &pool, &index)) {
        return NULL;
    }
    hw_queue_t *queue = pool_argument(pool);
    if (queue == NULL || hw_board_slot(index) == NULL) {
        return queue == NULL ? NULL : PyErr_Format(PyExc_IndexError, "there is no slot %u", index);
    }
    action(queue, index);
    Py_RETURN_NONE;
}

static PyObject *pool_leave(PyObject *module, PyObject *args)
{
    (void)module;
    return with_consumer(args, hw_queue_leave);
}

static PyObject *pool_stay(PyObject *module, PyObject *args)
{
    (void)module;
    return with_consumer(args, hw_queue_stay);
}

static PyObject *pool_statistics(PyObject *module, PyObject *argument)
{
    hw_queue_stats_t stats;
    (void)module;
    hw_queue_t *queue = queue_argument(argument);
    if (queue == NULL) {
        return NULL;
    }
    hw_queue_stats(queue, &stats);
    double oldest_s = stats.oldest_ns != 0 ? (double)(hw_port_now_ns() - stats.oldest_ns) / 1e9 : 0.0;
    return Py_BuildValue("{s:n,s:n,s:I,s:K,s:K,s:d}", "waiting", (Py_ssize_t)stats.waiting, "peak",
                         (Py_ssize_t)stats.waiting_peak, "idle", stats.idle, "pushed", (unsigned long long)stats.pushed,
                         "refused", (unsigned long long)stats.refused, "oldest_s", oldest_s);
}

static PyObject *new_code(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    hw_thread_new_code();
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"thread_boot", thread_boot, METH_O, NULL},
    {"thread_run", thread_run, METH_VARARGS, NULL},
    {"worker_run", worker_run, METH_VARARGS, NULL},
    {"thread_free", thread_free, METH_O, NULL},
    {"thread_kill", thread_kill, METH_VARARGS, NULL},
    {"thread_kills", thread_kills, METH_VARARGS, NULL},
    {"trace", trace, METH_VARARGS, NULL},
    {"syscall_readable", syscall_readable, METH_NOARGS, NULL},
    {"slot_state", slot_state, METH_O, NULL},
    {"slot_change", slot_change, METH_VARARGS, NULL},
    {"slot_limit", slot_limit, METH_VARARGS, NULL},
    {"slot_info", slot_info, METH_O, NULL},
    {"new_code", new_code, METH_NOARGS, NULL},
    {"pool_open", pool_open, METH_O, NULL},
    {"pool_bound", pool_bound, METH_VARARGS, NULL},
    {"pool_free", pool_free, METH_O, NULL},
    {"pool_close", pool_close, METH_O, NULL},
    {"pool_flush", pool_flush, METH_VARARGS, NULL},
    {"pool_pause", pool_pause, METH_O, NULL},
    {"pool_resume", pool_resume, METH_O, NULL},
    {"pool_evict", pool_evict, METH_O, NULL},
    {"pool_leave", pool_leave, METH_VARARGS, NULL},
    {"pool_stay", pool_stay, METH_VARARGS, NULL},
    {"pool_statistics", pool_statistics, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

int hw_control_add(PyObject *module)
{
    return PyModule_AddFunctions(module, methods);
}
