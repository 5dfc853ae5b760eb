/* SPDX-License-Identifier: MIT */
/* Building a request record from Python values: one arena for all its strings.
 * Includes Python.h; never php.h. */
#ifndef HW_BUILD_H
#define HW_BUILD_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "hw_request.h"

/* Arguments of Site.request(): channel, target, endpoint, method, request_uri, query_string, remote_addr, remote_port,
 * headers, env. */
#define HW_BUILD_ARGUMENTS 10

/* Looks at a pair, tuple or list, of bytes; text is taken as UTF-8.
 * Thread: python. Locks: GIL required. Owns: views of the pair. Fails: -1 and an exception. */
HW_HIDDEN HW_RAISES int hw_build_view_pair(PyObject *pair, hw_str_t *name, hw_str_t *value);

/* Thread: python. Locks: GIL required. Owns: new reference. Fails: NULL and an exception. */
HW_HIDDEN HW_RAISES hw_request_t *hw_build_request(hw_channel_t *channel, hw_site_t *site, PyObject *const *arguments);

/* Thread: python. Locks: GIL required. Owns: new reference. Fails: NULL and an exception. */
HW_HIDDEN HW_RAISES hw_site_t *hw_build_site(PyObject *document_root, PyObject *server_software, PyObject *env);

#endif
