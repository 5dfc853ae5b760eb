/* SPDX-License-Identifier: MIT */
#include "hw_types_inside.h"

static PyTypeObject *add_type(PyObject *module, PyType_Spec *spec)
{
    PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
    if (type != NULL && PyModule_AddType(module, type) < 0) {
        Py_CLEAR(type);
    }
    return type;
}

int hw_types_add(PyObject *module, hw_module_state_t *state)
{
    state->site_type = add_type(module, &hw_type_site);
    state->channel_type = add_type(module, &hw_type_channel);
    state->request_type = add_type(module, &hw_type_request);
    return state->site_type != NULL && state->channel_type != NULL && state->request_type != NULL ? 0 : -1;
}
