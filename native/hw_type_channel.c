/* SPDX-License-Identifier: MIT */
#include "hw_types_inside.h"

#include <poll.h>

static PyObject *channel_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)kwargs;
    if (!PyArg_ParseTuple(args, ":Channel")) {
        return NULL;
    }
    hw_channel_t *channel = hw_channel_new();
    if (channel == NULL) {
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    hw_channel_object_t *self = (hw_channel_object_t *)type->tp_alloc(type, 0);
    if (self == NULL) {
        hw_channel_release(channel);
        return NULL;
    }
    self->channel = channel;
    return (PyObject *)self;
}

static void channel_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    hw_channel_t *channel = ((hw_channel_object_t *)object)->channel;
    hw_channel_close(channel);
    hw_channel_release(channel);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyObject *channel_fileno(PyObject *object, PyObject *unused)
{
    (void)unused;
    return PyLong_FromLong(hw_channel_fileno(((hw_channel_object_t *)object)->channel));
}

static PyObject *channel_drain(PyObject *object, PyObject *unused)
{
    (void)unused;
    hw_channel_t *channel = ((hw_channel_object_t *)object)->channel;
    PyObject *ids = PyList_New(0);
    hw_request_t *request = ids != NULL ? hw_channel_take(channel) : NULL;
    while (request != NULL) {
        hw_request_t *next = hw_channel_next(channel, request);
        PyObject *id = PyLong_FromUnsignedLongLong(request->id);
        if (id == NULL || PyList_Append(ids, id) < 0) {
            PyErr_Clear(); /* out of memory: the sweep of the runtime still finds the request */
        }
        Py_XDECREF(id);
        hw_request_release(request);
        request = next;
    }
    return ids;
}

static PyObject *channel_wait(PyObject *object, PyObject *timeout)
{
    hw_channel_t *channel = ((hw_channel_object_t *)object)->channel;
    double timeout_s = PyFloat_AsDouble(timeout);
    if (PyErr_Occurred()) {
        return NULL;
    }
    struct pollfd wakeup = {.fd = hw_channel_fileno(channel), .events = POLLIN};
    Py_BEGIN_ALLOW_THREADS(void) poll(&wakeup, 1, (int)(timeout_s * 1000));
    Py_END_ALLOW_THREADS return channel_drain(object, NULL);
}

static PyObject *channel_close(PyObject *object, PyObject *unused)
{
    (void)unused;
    hw_channel_close(((hw_channel_object_t *)object)->channel);
    Py_RETURN_NONE;
}

static PyMethodDef channel_methods[] = {
    {"fileno", channel_fileno, METH_NOARGS, NULL},
    {"drain", channel_drain, METH_NOARGS, NULL},
    {"wait", channel_wait, METH_O, NULL},
    {"close", channel_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot channel_slots[] = {
    {Py_tp_new, channel_new},
    {Py_tp_dealloc, channel_dealloc},
    {Py_tp_methods, channel_methods},
    {Py_tp_doc, "Completion list and wake-up descriptor of one event loop or waiting thread."},
    {0, NULL},
};

PyType_Spec hw_type_channel = {"howdah._native.Channel", sizeof(hw_channel_object_t), 0,
                               Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, channel_slots};
