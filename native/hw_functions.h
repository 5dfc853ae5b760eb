/* SPDX-License-Identifier: MIT */
/* The PHP functions and constants of the extension "frankenphp", and its module entry.
 * Includes php.h; never Python.h. */
#ifndef HW_FUNCTIONS_H
#define HW_FUNCTIONS_H

#include <php.h>

extern zend_module_entry hw_module_entry HW_HIDDEN;

#endif
