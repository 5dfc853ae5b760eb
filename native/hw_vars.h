/* SPDX-License-Identifier: MIT */
/* $_SERVER: interned keys made once, and the table of one request.
 * Includes php.h; never Python.h. */
#ifndef HW_VARS_H
#define HW_VARS_H

#include <php.h>

#include "hw_request.h"

/* Makes the interned keys. Thread: main, in MINIT. Locks: none. Owns: PHP's interned strings. Fails: never. */
HW_HIDDEN void hw_vars_minit(void);

/* Fills $_SERVER in the order of the specification: process environment, CGI variables, headers in wire order,
 * site and request environment, what PHP itself knows of the request.
 * Thread: php, in a request. Locks: none. Owns: copies. Fails: never. */
HW_HIDDEN void hw_vars_register(hw_request_t *request, zval *array);

/* The request headers as PHP's getallheaders() gives them: canonical names, repeated ones joined by ", ".
 * Thread: php, in a request. Locks: none. Owns: fills an array that the caller made. Fails: never. */
HW_HIDDEN void hw_vars_headers(hw_request_t *request, HashTable *into);

#endif
