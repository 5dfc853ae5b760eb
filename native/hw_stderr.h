/* SPDX-License-Identifier: MIT */
/* php://stderr: what scripts write there goes to the log, line by line, with the request that wrote it. Under PHP-FPM
 * it would go to the master's log, too; on the server's own standard error nobody could tell whose it is.
 * Includes php.h; never Python.h. */
#ifndef HW_STDERR_H
#define HW_STDERR_H

#include "hw_config.h"

/* Puts our opener of php:// in the place of PHP's, which still opens everything but php://stderr.
 * Thread: main, in module startup. Locks: none. Owns: nothing. Fails: PHP's own stays. */
HW_HIDDEN void hw_stderr_minit(void);

#endif
