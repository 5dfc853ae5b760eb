/* SPDX-License-Identifier: MIT */
/* Lines of access logs, as JSON. A function of the module that needs neither PHP nor an engine.
 * Includes Python.h; never php.h. */
#ifndef HW_ACCESS_H
#define HW_ACCESS_H

#include "hw_types.h"

/* What a line holds; objects are borrowed. */
typedef struct {
    PyObject *scope;
    PyObject *headers;
    PyObject *user;
    PyObject *php;
    double time_s;
    double duration_s;
    unsigned long long size_bytes;
    unsigned long long read_bytes;
    unsigned long status;
    bool is_complete;
} hw_access_t;

/* Gives a line as bytes. The head stands between its time and its request.
 * Thread: python. Locks: GIL required. Owns: new reference. Fails: NULL and an exception. */
HW_HIDDEN HW_RAISES PyObject *hw_access_line(hw_module_state_t *state, PyObject *head, const hw_access_t *access);

/* Adds it to the module, and fills the names of what it looks for in scopes.
 * Thread: python. Locks: GIL required. Owns: the state owns the names. Fails: -1 and an exception. */
HW_HIDDEN int hw_access_add(PyObject *module, hw_module_state_t *state);

#endif
