/* SPDX-License-Identifier: MIT */
/* An entry stands around the send() and receive() of a request and fills itself from what passes by. It does what
 * howdah.web.accesslog does in Python where there is no extension; every message of a logged site passes here. */
#include "hw_entry.h"

#include <limits.h>
#include <structmember.h>
#include <time.h>

#include "hw_access.h"
#include "hw_build.h"

/* What one access log makes entries with. */
typedef struct {
    PyObject ob_base;
    PyObject *receive; /* a function that gives the awaitable in the place of receive(), called with the entry */
    PyObject *put;     /* takes the entry, or with a head the line */
    PyObject *head;    /* bytes for hw_access_line(), or None */
} tap_object_t;

typedef struct {
    PyObject ob_base;
    tap_object_t *tap;
    PyObject *receive_on, *send_on;
    PyObject *scope, *headers, *user, *php;
    double time_s, duration_s;
    double started_s;
    long long size_bytes, read_bytes;
    int status;
    char is_complete;
} entry_object_t;

static double now_s(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* -- AccessEntry -- */

static int entry_traverse(PyObject *object, visitproc visit, void *arg)
{
    entry_object_t *entry = (entry_object_t *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(entry->tap);
    Py_VISIT(entry->receive_on);
    Py_VISIT(entry->send_on);
    Py_VISIT(entry->scope);
    Py_VISIT(entry->headers);
    Py_VISIT(entry->user);
    Py_VISIT(entry->php);
    return 0;
}

static int entry_clear(PyObject *object)
{
    entry_object_t *entry = (entry_object_t *)object;
    Py_CLEAR(entry->tap);
    Py_CLEAR(entry->receive_on);
    Py_CLEAR(entry->send_on);
    Py_CLEAR(entry->scope);
    Py_CLEAR(entry->headers);
    Py_CLEAR(entry->user);
    Py_CLEAR(entry->php);
    return 0;
}

static void entry_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    (void)entry_clear(object);
    type->tp_free(object);
    Py_DECREF(type);
}

/* An entry that the garbage collector has taken apart, or whose attribute was deleted. */
static PyObject *refuse_incomplete(void)
{
    PyErr_SetString(PyExc_RuntimeError, "this entry is incomplete");
    return NULL;
}

static int note_body(entry_object_t *entry, PyObject *message, PyObject **keys)
{
    PyObject *body = PyDict_GetItemWithError(message, keys[HW_KEY_BODY]);
    Py_ssize_t size = body != NULL ? PyObject_Size(body) : 0;
    if (size < 0 || PyErr_Occurred()) {
        return -1;
    }
    entry->size_bytes += size;
    PyObject *more = PyDict_GetItemWithError(message, keys[HW_KEY_MORE_BODY]);
    int is_more = more != NULL ? PyObject_IsTrue(more) : 0;
    if (is_more < 0 || PyErr_Occurred()) {
        return -1;
    }
    entry->is_complete = !is_more;
    return 0;
}

static int note_start(entry_object_t *entry, PyObject *message, PyObject **keys)
{
    PyObject *status = PyDict_GetItemWithError(message, keys[HW_KEY_STATUS]);
    long number = status != NULL ? PyLong_AsLong(status) : 0;
    if (PyErr_Occurred()) {
        return -1;
    }
    if (status == NULL) {
        PyErr_SetObject(PyExc_KeyError, keys[HW_KEY_STATUS]);
        return -1;
    }
    PyObject *headers = PyDict_GetItemWithError(message, keys[HW_KEY_HEADERS]);
    if (headers == NULL && PyErr_Occurred()) {
        return -1;
    }
    entry->status = number > 0 && number <= 999 ? (int)number : 0;
    Py_XSETREF(entry->headers, headers != NULL ? Py_NewRef(headers) : PyTuple_New(0));
    return entry->headers != NULL ? 0 : -1;
}

/* The value of Content-Length; what is no number is 0. */
static long long read_length(hw_str_t value)
{
    long long length = 0;
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] < '0' || value.data[i] > '9' || length > LLONG_MAX / 10 - 1) {
            return 0;
        }
        length = length * 10 + (value.data[i] - '0');
    }
    return length;
}

/* A file that the server sends by itself has the length that was announced. */
static int note_file(entry_object_t *entry)
{
    PyObject *pairs = PySequence_Fast(entry->headers, "headers must be a sequence of pairs");
    if (pairs == NULL) {
        return -1;
    }
    hw_str_t name, value;
    int result = 0;
    entry->size_bytes = 0;
    for (Py_ssize_t i = 0; result == 0 && i < PySequence_Fast_GET_SIZE(pairs); i++) {
        result = hw_build_view_pair(PySequence_Fast_GET_ITEM(pairs, i), &name, &value);
        if (result == 0 && name.len == 14 && memcmp(name.data, "content-length", 14) == 0) {
            entry->size_bytes = read_length(value);
        }
    }
    entry->is_complete = 1;
    Py_DECREF(pairs);
    return result;
}

/* Takes note of a message, which is a dict. */
static int note(entry_object_t *entry, PyObject *message, PyObject **keys)
{
    PyObject *kind = PyDict_GetItemWithError(message, keys[HW_KEY_TYPE]);
    if (kind == NULL || !PyUnicode_Check(kind)) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_TypeError, "a message must have a type");
        }
        return -1;
    }
    if (PyUnicode_CompareWithASCIIString(kind, "http.response.body") == 0) {
        return note_body(entry, message, keys);
    }
    if (PyUnicode_CompareWithASCIIString(kind, "http.response.start") == 0) {
        return note_start(entry, message, keys);
    }
    return PyUnicode_CompareWithASCIIString(kind, "http.response.pathsend") == 0 ? note_file(entry) : 0;
}

static PyObject *entry_send(PyObject *object, PyObject *message)
{
    entry_object_t *entry = (entry_object_t *)object;
    hw_module_state_t *state = PyType_GetModuleState(Py_TYPE(object));
    if (entry->send_on == NULL || entry->headers == NULL) {
        return refuse_incomplete();
    }
    /* Applications may send any mapping. */
    PyObject *dict = PyDict_Check(message) ? Py_NewRef(message) : PyDict_New();
    int result = dict == NULL || (dict != message && PyDict_Update(dict, message) < 0)
                     ? -1
                     : note(entry, dict, state->access_keys);
    Py_XDECREF(dict);
    return result == 0 ? PyObject_CallOneArg(entry->send_on, message) : NULL;
}

static PyObject *entry_receive(PyObject *object, PyObject *unused)
{
    entry_object_t *entry = (entry_object_t *)object;
    (void)unused;
    if (entry->tap == NULL || entry->receive_on == NULL) {
        return refuse_incomplete();
    }
    return PyObject_CallOneArg(entry->tap->receive, object);
}

static PyObject *entry_end(PyObject *object, PyObject *unused)
{
    entry_object_t *entry = (entry_object_t *)object;
    hw_module_state_t *state = PyType_GetModuleState(Py_TYPE(object));
    (void)unused;
    if (entry->tap == NULL || entry->scope == NULL || entry->headers == NULL || entry->user == NULL ||
        entry->php == NULL) {
        return refuse_incomplete();
    }
    entry->duration_s = now_s(CLOCK_MONOTONIC) - entry->started_s;
    entry->time_s = now_s(CLOCK_REALTIME);
    /* Else both would wait for the garbage collector. */
    if (PyDict_DelItem(entry->scope, state->access_keys[HW_KEY_ENTRY]) < 0) {
        return NULL;
    }
    if (entry->tap->head == Py_None) {
        return PyObject_CallOneArg(entry->tap->put, object);
    }
    hw_access_t access = {.scope = entry->scope,
                          .headers = entry->headers,
                          .user = entry->user,
                          .php = entry->php,
                          .time_s = entry->time_s,
                          .duration_s = entry->duration_s,
                          .size_bytes = (unsigned long long)entry->size_bytes,
                          .read_bytes = (unsigned long long)entry->read_bytes,
                          .status = entry->status,
                          .is_complete = entry->is_complete != 0};
    PyObject *line = hw_access_line(state, entry->tap->head, &access);
    PyObject *result = line != NULL ? PyObject_CallOneArg(entry->tap->put, line) : NULL;
    Py_XDECREF(line);
    return result;
}

static PyMethodDef entry_methods[] = {
    {"send", entry_send, METH_O, NULL},
    {"receive", entry_receive, METH_NOARGS, NULL},
    {"end", entry_end, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef entry_members[] = {
    {"scope", T_OBJECT_EX, offsetof(entry_object_t, scope), READONLY, NULL},
    {"headers", T_OBJECT_EX, offsetof(entry_object_t, headers), READONLY, NULL},
    {"receive_on", T_OBJECT_EX, offsetof(entry_object_t, receive_on), READONLY, NULL},
    {"user", T_OBJECT_EX, offsetof(entry_object_t, user), 0, NULL},
    {"php", T_OBJECT_EX, offsetof(entry_object_t, php), 0, NULL},
    {"time_s", T_DOUBLE, offsetof(entry_object_t, time_s), READONLY, NULL},
    {"duration_s", T_DOUBLE, offsetof(entry_object_t, duration_s), READONLY, NULL},
    {"size_bytes", T_LONGLONG, offsetof(entry_object_t, size_bytes), READONLY, NULL},
    {"read_bytes", T_LONGLONG, offsetof(entry_object_t, read_bytes), 0, NULL},
    {"status", T_INT, offsetof(entry_object_t, status), READONLY, NULL},
    {"is_complete", T_BOOL, offsetof(entry_object_t, is_complete), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot entry_slots[] = {
    {Py_tp_dealloc, entry_dealloc},
    {Py_tp_traverse, entry_traverse},
    {Py_tp_clear, entry_clear},
    {Py_tp_methods, entry_methods},
    {Py_tp_members, entry_members},
    {Py_tp_doc, "One request of an access log; made by AccessTap.open()."},
    {0, NULL},
};

static PyType_Spec entry_spec = {"howdah._native.AccessEntry", sizeof(entry_object_t), 0,
                                 Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE |
                                     Py_TPFLAGS_DISALLOW_INSTANTIATION,
                                 entry_slots};

/* -- AccessTap -- */

static PyObject *tap_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *receive, *put, *head;
    (void)kwargs;
    if (!PyArg_ParseTuple(args, "OOO:AccessTap", &receive, &put, &head)) {
        return NULL;
    }
    if (head != Py_None && !PyBytes_Check(head)) {
        PyErr_SetString(PyExc_TypeError, "the head must be bytes or None");
        return NULL;
    }
    tap_object_t *tap = (tap_object_t *)type->tp_alloc(type, 0);
    if (tap != NULL) {
        tap->receive = Py_NewRef(receive);
        tap->put = Py_NewRef(put);
        tap->head = Py_NewRef(head);
    }
    return (PyObject *)tap;
}

static int tap_traverse(PyObject *object, visitproc visit, void *arg)
{
    tap_object_t *tap = (tap_object_t *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(tap->receive);
    Py_VISIT(tap->put);
    Py_VISIT(tap->head);
    return 0;
}

/* Only frees: entries need all of it, and a cycle has another object in it that can be cleared. */
static void tap_dealloc(PyObject *object)
{
    tap_object_t *tap = (tap_object_t *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    Py_XDECREF(tap->receive);
    Py_XDECREF(tap->put);
    Py_XDECREF(tap->head);
    type->tp_free(object);
    Py_DECREF(type);
}

/* open(scope, receive, send): an entry, which is also put into the scope. */
static PyObject *tap_open(PyObject *object, PyObject *const *args, Py_ssize_t n_args)
{
    hw_module_state_t *state = PyType_GetModuleState(Py_TYPE(object));
    if (n_args != 3 || !PyDict_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "open(scope, receive, send)");
        return NULL;
    }
    entry_object_t *entry = (entry_object_t *)state->entry_type->tp_alloc(state->entry_type, 0);
    if (entry == NULL) {
        return NULL;
    }
    entry->tap = (tap_object_t *)Py_NewRef(object);
    entry->scope = Py_NewRef(args[0]);
    entry->receive_on = Py_NewRef(args[1]);
    entry->send_on = Py_NewRef(args[2]);
    entry->headers = PyTuple_New(0);
    entry->user = PyUnicode_FromString("");
    entry->php = Py_NewRef(Py_None);
    entry->started_s = now_s(CLOCK_MONOTONIC);
    if (entry->headers == NULL || entry->user == NULL ||
        PyDict_SetItem(entry->scope, state->access_keys[HW_KEY_ENTRY], (PyObject *)entry) < 0) {
        Py_DECREF(entry);
        return NULL;
    }
    return (PyObject *)entry;
}

static PyMethodDef tap_methods[] = {
    {"open", (PyCFunction)(void (*)(void))tap_open, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot tap_slots[] = {
    {Py_tp_new, tap_new},
    {Py_tp_dealloc, tap_dealloc},
    {Py_tp_traverse, tap_traverse},
    {Py_tp_methods, tap_methods},
    {Py_tp_doc, "Makes the entries of one access log."},
    {0, NULL},
};

static PyType_Spec tap_spec = {"howdah._native.AccessTap", sizeof(tap_object_t), 0,
                               Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE, tap_slots};

int hw_entry_add(PyObject *module, hw_module_state_t *state)
{
    state->entry_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &entry_spec, NULL);
    state->tap_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &tap_spec, NULL);
    if (state->entry_type == NULL || state->tap_type == NULL || PyModule_AddType(module, state->entry_type) < 0 ||
        PyModule_AddType(module, state->tap_type) < 0) {
        return -1;
    }
    return 0;
}
