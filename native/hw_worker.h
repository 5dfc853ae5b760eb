/* SPDX-License-Identifier: MIT */
/* Worker mode: one run of a worker's script, which boots and then handles requests by frankenphp_handle_request().
 *
 * The whole run is one request for PHP. While the script boots, unwinds or is between two requests, its boot record is
 * bound: that is what $_SERVER describes and what can be killed, and output goes to the log. Within the callback a
 * client's request is bound, and what PHP does per request is done by hw_reset.
 *
 *     boot -> [parked -> request -> gap]* -> false -> unwinding -> end
 *
 * An event that ends the run is kept until the script has unwound. Everything here belongs to the PHP thread alone.
 * The header names PHP's types only, for the Python side reads it too. The source includes php.h; never Python.h. */
#ifndef HW_WORKER_H
#define HW_WORKER_H

#include "hw_config.h"
#include "hw_thread.h"

/* How a run ended. */
typedef struct {
    int event;        /* HW_EVENT_* */
    bool booted;      /* the script reached frankenphp_handle_request() */
    int exit_status;  /* of the script */
    char *error;      /* PHP's last error message with file and line, NULL = none; malloc */
    uint64_t handled; /* requests in this run */
} hw_worker_end_t;

/* Runs the script once. `boot` describes it, `reset` restores the baseline after each request. The slot becomes ready
 * when the script first asks for a request.
 * Thread: php. Locks: GIL forbidden. Owns: takes over the caller's reference to boot; fills end. Fails: never. */
HW_HIDDEN void hw_worker_run(unsigned slot, hw_queue_t *queue, HW_STEALS(3) hw_request_t *boot, bool reset,
                             hw_worker_end_t *end);

/* frankenphp_handle_request(). Thread: php. Locks: none. Owns: nothing. Fails: throws; may leave by longjmp. */
struct _zend_fcall_info;
struct _zend_fcall_info_cache;
struct _zval_struct;
HW_HIDDEN void hw_worker_handle(struct _zend_fcall_info *info, struct _zend_fcall_info_cache *cache,
                                struct _zval_struct *return_value);

#endif
