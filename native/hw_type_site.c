/* SPDX-License-Identifier: MIT */
#include "hw_types_inside.h"

#include "hw_build.h"

typedef struct {
    PyObject_HEAD hw_site_t *site;
} site_object_t;

static PyObject *site_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *root, *software, *env;
    double timeout_s = 0.0;
    (void)kwargs;
    if (!PyArg_ParseTuple(args, "SSO|d:Site", &root, &software, &env, &timeout_s)) {
        return NULL;
    }
    hw_site_t *site = hw_build_site(root, software, env);
    if (site == NULL) {
        return NULL;
    }
    site_object_t *self = (site_object_t *)type->tp_alloc(type, 0);
    if (self == NULL) {
        hw_site_release(site);
        return NULL;
    }
    site->timeout_s = timeout_s;
    self->site = site;
    return (PyObject *)self;
}

static void site_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    hw_site_release(((site_object_t *)object)->site);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyObject *site_request(PyObject *object, PyTypeObject *defining, PyObject *const *args, Py_ssize_t n_args,
                              PyObject *kwnames)
{
    hw_module_state_t *state = PyType_GetModuleState(defining);
    if (n_args != HW_BUILD_ARGUMENTS || (kwnames != NULL && PyTuple_GET_SIZE(kwnames) > 0)) {
        PyErr_Format(PyExc_TypeError, "request() takes exactly %d positional arguments", HW_BUILD_ARGUMENTS);
        return NULL;
    }
    if (!Py_IS_TYPE(args[0], state->channel_type)) {
        PyErr_SetString(PyExc_TypeError, "the first argument of request() must be a Channel");
        return NULL;
    }
    hw_channel_t *channel = ((hw_channel_object_t *)args[0])->channel;
    hw_request_t *request = hw_build_request(channel, ((site_object_t *)object)->site, args);
    if (request == NULL) {
        return NULL;
    }
    hw_request_object_t *result = (hw_request_object_t *)state->request_type->tp_alloc(state->request_type, 0);
    if (result == NULL) {
        hw_request_release(request);
        return NULL;
    }
    result->request = request;
    return (PyObject *)result;
}

static PyMethodDef site_methods[] = {
    {"request", (PyCFunction)(void (*)(void))site_request, METH_METHOD | METH_FASTCALL | METH_KEYWORDS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot site_slots[] = {
    {Py_tp_new, site_new},
    {Py_tp_dealloc, site_dealloc},
    {Py_tp_methods, site_methods},
    {Py_tp_doc, "Constants of one site's $_SERVER; immutable."},
    {0, NULL},
};

PyType_Spec hw_type_site = {"howdah._native.Site", sizeof(site_object_t), 0,
                            Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, site_slots};
