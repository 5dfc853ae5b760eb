/* SPDX-License-Identifier: MIT */
/* What PHP does at the start and the end of a request, for a worker's script that goes on: superglobals, headers,
 * output, session, timers.
 * Includes php.h; never Python.h. */
#ifndef HW_RESET_H
#define HW_RESET_H

#include "hw_config.h"
#include "hw_thread.h"

/* Finds the modules whose own start-up and shutdown are run per request.
 * Thread: main, after module startup. Locks: none. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_reset_startup(void);

/* PHP's side of a request that is bound: SAPI, output layer, timers, superglobals, filter, session.
 * Thread: php. Locks: none. Owns: nothing. Fails: leaves by longjmp when the request is refused by PHP. */
HW_HIDDEN void hw_reset_request_begin(void);

/* The end of a request: output buffers, session, head, uploads. Exceptions that handlers threw are pending afterwards.
 * Thread: php. Locks: none. Owns: nothing. Fails: may leave by longjmp. */
HW_HIDDEN void hw_reset_request_end(void);

/* Between two requests there is an output layer too, whose output goes to the log; headers lead nowhere.
 * Thread: php, with the boot record bound. Locks: none. Owns: nothing. Fails: never. */
HW_HIDDEN void hw_reset_gap_begin(void);
HW_HIDDEN void hw_reset_gap_end(void);

/* Has memory_limit count again where PHP could not lower it when it put the entry back, since more was in use.
 * Thread: php. Locks: none. Owns: nothing. Fails: the old limit holds while more than the new one is in use. */
HW_HIDDEN void hw_reset_memory_limit(void);

/* Functions registered for the end of the script are kept apart while a request runs, so that those of the request run
 * at its end. After hw_reset_shutdown_functions_join() both run at the end of the script.
 * Thread: php. Locks: none. Owns: nothing. Fails: hw_reset_shutdown_functions_run() may leave by longjmp. */
HW_HIDDEN void hw_reset_shutdown_functions_part(void);
HW_HIDDEN void hw_reset_shutdown_functions_run(void);
HW_HIDDEN void hw_reset_shutdown_functions_join(void);

#endif
