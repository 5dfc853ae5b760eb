/* SPDX-License-Identifier: MIT */
#include "hw_types_inside.h"

#include <fcntl.h>
#include <string.h>

#include "hw_pools.h"
#include "hw_port.h"

#define REQUEST(object) (((hw_request_object_t *)(object))->request)

hw_request_t *hw_types_request(hw_module_state_t *state, PyObject *object)
{
    if (!Py_IS_TYPE(object, state->request_type)) {
        PyErr_SetString(PyExc_TypeError, "a Request is wanted");
        return NULL;
    }
    return REQUEST(object);
}

static void request_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    hw_request_t *request = REQUEST(object);
    if (atomic_load(&request->state) != HW_REQUEST_NEW && !atomic_load(&request->response_done)) {
        hw_request_abort(request); /* nobody is left to read the answer */
    }
    hw_request_release(request);
    type->tp_free(object);
    Py_DECREF(type);
}

static bool has_body(hw_request_t *request)
{
    return request->body_memory != NULL || request->body_file >= 0 || request->body_stream != NULL;
}

static PyObject *request_set_body(PyObject *object, PyObject *data)
{
    hw_request_t *request = REQUEST(object);
    if (!PyBytes_Check(data) || has_body(request) || atomic_load(&request->state) != HW_REQUEST_NEW) {
        PyErr_SetString(PyExc_TypeError, "set_body() takes bytes, once, before submit()");
        return NULL;
    }
    size_t len = (size_t)PyBytes_GET_SIZE(data);
    if (len > 0) {
        request->body_memory = malloc(len);
        if (request->body_memory == NULL) {
            return PyErr_NoMemory();
        }
        memcpy(request->body_memory, PyBytes_AS_STRING(data), len);
        request->body_memory_len = len;
    }
    Py_RETURN_NONE;
}

static PyObject *request_set_body_file(PyObject *object, PyObject *const *args, Py_ssize_t n_args)
{
    hw_request_t *request = REQUEST(object);
    if (n_args != 2 || has_body(request) || atomic_load(&request->state) != HW_REQUEST_NEW) {
        PyErr_SetString(PyExc_TypeError, "set_body_file(fd, size_bytes) may be called once, before submit()");
        return NULL;
    }
    int fd = PyObject_AsFileDescriptor(args[0]);
    unsigned long long size = PyLong_AsUnsignedLongLong(args[1]);
    if (fd < 0 || PyErr_Occurred()) {
        return NULL;
    }
    request->body_file = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (request->body_file < 0) {
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    request->body_file_len = size;
    Py_RETURN_NONE;
}

static PyObject *request_stream_body(PyObject *object, PyObject *const *args, Py_ssize_t n_args)
{
    hw_request_t *request = REQUEST(object);
    if (n_args != 1 || has_body(request) || atomic_load(&request->state) != HW_REQUEST_NEW) {
        PyErr_SetString(PyExc_TypeError, "stream_body(timeout_s) may be called once, before submit()");
        return NULL;
    }
    double timeout_s = PyFloat_AsDouble(args[0]);
    if (PyErr_Occurred()) {
        return NULL;
    }
    request->body_timeout_ns = (int64_t)(timeout_s * 1e9);
    request->body_stream = hw_body_new();
    if (request->body_stream == NULL) {
        return PyErr_NoMemory();
    }
    Py_RETURN_NONE;
}

static PyObject *request_feed(PyObject *object, PyObject *data)
{
    hw_request_t *request = REQUEST(object);
    if (!PyBytes_Check(data) || request->body_stream == NULL) {
        PyErr_SetString(PyExc_TypeError, "feed() takes bytes, after stream_body()");
        return NULL;
    }
    const char *from = PyBytes_AS_STRING(data);
    size_t left = (size_t)PyBytes_GET_SIZE(data);
    while (left > 0) {
        size_t accepted = 0;
        int result = hw_body_write(request->body_stream, from, left, HW_BODY_MEMORY_BYTES, 0, &accepted);
        from += accepted;
        left -= accepted;
        if (result == HW_BODY_CLOSED) {
            Py_RETURN_FALSE;
        }
        if (result == HW_BODY_WOULD_WAIT && accepted == 0) {
            PyErr_SetString(PyExc_BlockingIOError, "the spool cannot take more of the request body");
            return NULL;
        }
    }
    return PyBool_FromLong(hw_body_peek_len(request->body_stream) < 4 * HW_HANDOFF_BYTES);
}

static PyObject *request_feed_end(PyObject *object, PyObject *complete)
{
    hw_request_t *request = REQUEST(object);
    int truth = PyObject_IsTrue(complete);
    if (truth < 0) {
        return NULL;
    }
    if (request->body_stream != NULL) {
        hw_body_end(request->body_stream, truth == 1);
    }
    Py_RETURN_NONE;
}

static PyObject *request_submit(PyObject *object, PyObject *const *args, Py_ssize_t n_args)
{
    hw_request_t *request = REQUEST(object);
    if (n_args != 2) {
        PyErr_SetString(PyExc_TypeError, "submit(pool, lazy)");
        return NULL;
    }
    unsigned long pool = PyLong_AsUnsignedLong(args[0]);
    if (PyErr_Occurred()) {
        return NULL;
    }
    hw_queue_t *queue = hw_pools_queue((unsigned)pool);
    if (queue == NULL || atomic_load(&request->state) != HW_REQUEST_NEW) {
        PyErr_SetString(PyExc_RuntimeError, queue == NULL ? "PHP is not running" : "a request is submitted once");
        return NULL;
    }
    request->pool = (unsigned)pool;
    return PyLong_FromLong(hw_queue_push(queue, request, args[1] == Py_True));
}

static PyObject *request_cancel(PyObject *object, PyObject *unused)
{
    (void)unused;
    hw_queue_t *queue = hw_pools_queue(REQUEST(object)->pool);
    return PyBool_FromLong(queue != NULL && hw_queue_cancel(queue, REQUEST(object)));
}

static PyObject *request_abort(PyObject *object, PyObject *unused)
{
    (void)unused;
    hw_request_abort(REQUEST(object));
    Py_RETURN_NONE;
}

static PyObject *request_give_up(PyObject *object, PyObject *status)
{
    long number = PyLong_AsLong(status);
    if (number == -1 && PyErr_Occurred()) {
        return NULL;
    }
    hw_request_give_up(REQUEST(object), (int)number);
    Py_RETURN_NONE;
}

static PyObject *request_timeout(PyObject *object, void *unused)
{
    (void)unused;
    return PyFloat_FromDouble(REQUEST(object)->timeout_s);
}

static int request_set_timeout(PyObject *object, PyObject *value, void *unused)
{
    (void)unused;
    double timeout_s = value != NULL ? PyFloat_AsDouble(value) : 0.0;
    if (PyErr_Occurred()) {
        return -1;
    }
    REQUEST(object)->timeout_s = timeout_s;
    return 0;
}

static PyObject *head_list(const hw_head_t *head)
{
    PyObject *list = PyList_New((Py_ssize_t)head->count);
    const char *text = head->text;
    for (size_t i = 0; list != NULL && i < head->count; i++) {
        size_t name_len = strlen(text);
        const char *value = text + name_len + 1;
        size_t value_len = strlen(value);
        PyObject *pair = PyTuple_New(2);
        PyObject *name = PyBytes_FromStringAndSize(text, (Py_ssize_t)name_len);
        PyObject *content = PyBytes_FromStringAndSize(value, (Py_ssize_t)value_len);
        if (pair == NULL || name == NULL || content == NULL) {
            Py_XDECREF(pair);
            Py_XDECREF(name);
            Py_XDECREF(content);
            Py_CLEAR(list);
            break;
        }
        PyTuple_SET_ITEM(pair, 0, name);
        PyTuple_SET_ITEM(pair, 1, content);
        PyList_SET_ITEM(list, (Py_ssize_t)i, pair);
        text = value + value_len + 1;
    }
    return list;
}

static PyObject *request_take(PyObject *object, PyObject *max_bytes)
{
    hw_request_t *request = REQUEST(object);
    size_t max = PyLong_AsSize_t(max_bytes);
    if (max == (size_t)-1 && PyErr_Occurred()) {
        return NULL;
    }
    hw_taken_t taken;
    hw_request_take(request, max, &taken);
    int status = 0;
    PyObject *headers = NULL, *body = NULL;
    if (taken.head != NULL) {
        status = taken.head->status;
        headers = head_list(taken.head);
        free(taken.head);
        if (headers == NULL) {
            goto failed;
        }
    } else {
        headers = Py_NewRef(Py_None);
    }
    body = PyBytes_FromStringAndSize(taken.final, (Py_ssize_t)taken.body_len);
    if (body != NULL && taken.final == NULL && taken.body_len > 0) {
        char *into = PyBytes_AS_STRING(body);
        size_t got = hw_body_read(request->body, into, taken.body_len);
        if (got < taken.body_len) {
            _PyBytes_Resize(&body, (Py_ssize_t)got);
        }
    }
    free(taken.final);
    if (body == NULL) {
        Py_DECREF(headers);
        return NULL;
    }
    return Py_BuildValue("(iiNN)", taken.flags, status, headers, body);
failed:
    free(taken.final);
    return NULL;
}

static PyObject *request_id(PyObject *object, void *unused)
{
    (void)unused;
    return PyLong_FromUnsignedLongLong(REQUEST(object)->id);
}

static PyObject *request_state(PyObject *object, void *unused)
{
    static const char *const names[] = {"new", "queued", "running", "done"};
    (void)unused;
    return PyUnicode_FromString(names[atomic_load(&REQUEST(object)->state)]);
}

static PyObject *request_outcome(PyObject *object, void *unused)
{
    (void)unused;
    return PyLong_FromLong(atomic_load(&REQUEST(object)->outcome));
}

static PyObject *request_slot(PyObject *object, void *unused)
{
    (void)unused;
    return PyLong_FromLong(atomic_load(&REQUEST(object)->slot));
}

static PyObject *request_aborted(PyObject *object, void *unused)
{
    (void)unused;
    return PyBool_FromLong(atomic_load(&REQUEST(object)->aborted));
}

static PyObject *request_finished_early(PyObject *object, void *unused)
{
    (void)unused;
    hw_request_t *request = REQUEST(object);
    return PyBool_FromLong(atomic_load(&request->response_done) && atomic_load(&request->state) == HW_REQUEST_RUNNING);
}

static PyObject *request_complete(PyObject *object, void *unused)
{
    (void)unused;
    hw_request_t *request = REQUEST(object);
    hw_body_info_t info = {.complete = true};
    if (request->body != NULL) {
        hw_body_info(request->body, &info);
    }
    return PyBool_FromLong(info.complete);
}

static PyObject *request_times(PyObject *object, void *unused)
{
    (void)unused;
    hw_request_t *request = REQUEST(object);
    int64_t now = hw_port_now_ns();
    int64_t started = request->started_ns > 0 ? request->started_ns : now;
    /* After frankenphp_finish_request() the response has ended, but the script runs on. */
    bool runs = atomic_load(&request->state) == HW_REQUEST_RUNNING;
    int64_t ended = request->ended_ns > 0 && !runs ? request->ended_ns : now;
    double queued = (double)(started - request->created_ns) / 1e9;
    double running = request->started_ns > 0 ? (double)(ended - started) / 1e9 : 0.0;
    return Py_BuildValue("(dd)", queued, running);
}

static PyObject *request_label(PyObject *object, void *unused)
{
    (void)unused;
    hw_request_t *request = REQUEST(object);
    return PyUnicode_FromFormat("%s %s", request->method.data, request->request_uri.data);
}

static PyObject *request_spooled(PyObject *object, void *unused)
{
    (void)unused;
    hw_request_t *request = REQUEST(object);
    hw_body_info_t info = {.spooled_bytes = 0};
    if (request->body != NULL) {
        hw_body_info(request->body, &info);
    }
    return PyLong_FromUnsignedLongLong(info.spooled_bytes);
}

static PyObject *request_fed(PyObject *object, void *unused)
{
    (void)unused;
    hw_request_t *request = REQUEST(object);
    return PyLong_FromSize_t(request->body_stream != NULL ? hw_body_peek_len(request->body_stream) : 0);
}

static PyObject *request_peak(PyObject *object, void *unused)
{
    (void)unused;
    hw_request_t *request = REQUEST(object);
    return PyLong_FromUnsignedLongLong(atomic_load(&request->response_done) ? request->peak_bytes : 0);
}

static PyMethodDef request_methods[] = {
    {"set_body", request_set_body, METH_O, NULL},
    {"set_body_file", (PyCFunction)(void (*)(void))request_set_body_file, METH_FASTCALL, NULL},
    {"stream_body", (PyCFunction)(void (*)(void))request_stream_body, METH_FASTCALL, NULL},
    {"feed", request_feed, METH_O, NULL},
    {"feed_end", request_feed_end, METH_O, NULL},
    {"submit", (PyCFunction)(void (*)(void))request_submit, METH_FASTCALL, NULL},
    {"cancel", request_cancel, METH_NOARGS, NULL},
    {"abort", request_abort, METH_NOARGS, NULL},
    {"give_up", request_give_up, METH_O, NULL},
    {"take", request_take, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef request_getset[] = {
    {"id", request_id, NULL, "Number of the request in this process, from 1.", NULL},
    {"state", request_state, NULL, "new, queued, running or done.", NULL},
    {"outcome", request_outcome, NULL, "0 while open, else COMPLETED, REJECTED or ABORTED.", NULL},
    {"slot", request_slot, NULL, "Slot of the thread that runs it, -1 before.", NULL},
    {"aborted", request_aborted, NULL, "The client left.", NULL},
    {"finished_early", request_finished_early, NULL, "The response is complete, the script still runs.", NULL},
    {"complete", request_complete, NULL, "Everything that the script wrote was handed over.", NULL},
    {"times_s", request_times, NULL, "Seconds in the queue and in PHP, so far.", NULL},
    {"timeout_s", request_timeout, request_set_timeout, "Wall-clock limit of the script, 0 = the runtime's.", NULL},
    {"label", request_label, NULL, "Method and URI.", NULL},
    {"spooled_bytes", request_spooled, NULL, "Bytes of the response that went through the spool file.", NULL},
    {"peak_bytes", request_peak, NULL, "Most PHP memory of the request, 0 while it runs.", NULL},
    {"fed_bytes", request_fed, NULL, "Bytes of a streamed body that PHP has not read.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot request_slots[] = {
    {Py_tp_dealloc, request_dealloc},
    {Py_tp_methods, request_methods},
    {Py_tp_getset, request_getset},
    {Py_tp_doc, "One request on its way through PHP; made by Site.request()."},
    {0, NULL},
};

PyType_Spec hw_type_request = {"howdah._native.Request", sizeof(hw_request_object_t), 0,
                               Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                               request_slots};
