/* SPDX-License-Identifier: MIT */
/* The functions of howdah._native over threads, slots and pools: what the runtime decides with.
 * Includes Python.h; never php.h. Everything here needs the GIL. */
#ifndef HW_CONTROL_H
#define HW_CONTROL_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "hw_config.h"

/* Adds them to the module. Thread: python. Locks: GIL required. Owns: nothing. Fails: -1 and an exception. */
HW_HIDDEN int hw_control_add(PyObject *module);

#endif
