/* SPDX-License-Identifier: MIT */
/* The SAPI: the module that PHP asks for headers, bodies, cookies and variables, and to which it gives its output.
 * Every callback runs on a PHP thread and ends there; none takes the GIL.
 * Includes php.h; never Python.h. */
#ifndef HW_SAPI_H
#define HW_SAPI_H

#include <php.h>
#include <SAPI.h>

#include "hw_config.h"
#include "hw_request.h"
#include "hw_thread.h"

extern sapi_module_struct hw_sapi_module HW_HIDDEN;

/* Defaults for php.ini entries that any php.ini may override; set before hw_engine_start.
 * Thread: main. Locks: none. Owns: borrows until the start is over. Fails: never. */
HW_HIDDEN void hw_sapi_set_ini_defaults(const hw_env_pair_t *pairs, size_t count);

/* Fills SG(request_info) and SG(server_context), and takes them back.
 * Thread: php. Locks: none. Owns: PHP borrows from the record until unbind. Fails: never. */
HW_HIDDEN void hw_sapi_bind(hw_request_t *request);
HW_HIDDEN void hw_sapi_unbind(void);

/* Answers 500 when PHP could not get as far as sending headers.
 * Thread: php. Locks: takes the record's. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_sapi_fail_response(hw_thread_t *self);

/* Sends the current headers as an interim response (1xx).
 * Thread: php, in a request. Locks: takes the record's. Owns: nothing. Fails: false when it is too late for one. */
HW_HIDDEN bool hw_sapi_send_interim(int status);

#endif
