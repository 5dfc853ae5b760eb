/* SPDX-License-Identifier: MIT */
/* The Python types Site, Channel and Request: handles of the C records.
 * Includes Python.h; never php.h. Everything here needs the GIL. */
#ifndef HW_TYPES_H
#define HW_TYPES_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "hw_config.h"
#include "hw_request.h"

typedef struct {
    PyTypeObject *site_type;
    PyTypeObject *channel_type;
    PyTypeObject *request_type;
} hw_module_state_t;

/* Makes the types and adds them to the module.
 * Thread: python. Locks: GIL required. Owns: the state owns the types. Fails: -1 and an exception. */
HW_HIDDEN int hw_types_add(PyObject *module, hw_module_state_t *state);

/* The record of a Request object.
 * Thread: python. Locks: GIL required. Owns: borrowed. Fails: NULL and an exception. */
HW_HIDDEN HW_RAISES HW_BORROWED hw_request_t *hw_types_request(hw_module_state_t *state, PyObject *object);

#endif
