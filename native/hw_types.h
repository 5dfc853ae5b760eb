/* SPDX-License-Identifier: MIT */
/* The Python types Site, Channel and Request: handles of the C records.
 * Includes Python.h; never php.h. Everything here needs the GIL. */
#ifndef HW_TYPES_H
#define HW_TYPES_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "hw_config.h"
#include "hw_request.h"

/* Names of what access logs look for in scopes and messages. */
enum {
    HW_KEY_PEER,
    HW_KEY_CLIENT,
    HW_KEY_VERSION,
    HW_KEY_METHOD,
    HW_KEY_RAW_PATH,
    HW_KEY_PATH,
    HW_KEY_QUERY,
    HW_KEY_HEADERS,
    HW_KEY_ENTRY,
    HW_KEY_TYPE,
    HW_KEY_BODY,
    HW_KEY_MORE_BODY,
    HW_KEY_STATUS,
    HW_ACCESS_KEYS
};

typedef struct {
    PyTypeObject *site_type;
    PyTypeObject *channel_type;
    PyTypeObject *request_type;
    PyTypeObject *entry_type;
    PyTypeObject *tap_type;
    PyObject *access_keys[HW_ACCESS_KEYS];
} hw_module_state_t;

/* Makes the types and adds them to the module.
 * Thread: python. Locks: GIL required. Owns: the state owns the types. Fails: -1 and an exception. */
HW_HIDDEN int hw_types_add(PyObject *module, hw_module_state_t *state);

/* The record of a Request object.
 * Thread: python. Locks: GIL required. Owns: borrowed. Fails: NULL and an exception. */
HW_HIDDEN HW_RAISES HW_BORROWED hw_request_t *hw_types_request(hw_module_state_t *state, PyObject *object);

#endif
