/* SPDX-License-Identifier: MIT */
/* The Python types AccessTap and AccessEntry: what access logs take note of while a request is answered.
 * Includes Python.h; never php.h. Everything here needs the GIL. */
#ifndef HW_ENTRY_H
#define HW_ENTRY_H

#include "hw_types.h"

/* Makes the types and adds them to the module.
 * Thread: python. Locks: GIL required. Owns: the state owns the types. Fails: -1 and an exception. */
HW_HIDDEN int hw_entry_add(PyObject *module, hw_module_state_t *state);

#endif
