/* SPDX-License-Identifier: MIT */
/* What the files of the Python types share: the objects, and what their types are made of.
 * Includes Python.h; never php.h. */
#ifndef HW_TYPES_INSIDE_H
#define HW_TYPES_INSIDE_H

#include "hw_types.h"

#include "hw_channel.h"

typedef struct {
    PyObject_HEAD hw_channel_t *channel;
} hw_channel_object_t;

typedef struct {
    PyObject_HEAD hw_request_t *request;
} hw_request_object_t;

extern HW_HIDDEN PyType_Spec hw_type_site;
extern HW_HIDDEN PyType_Spec hw_type_channel;
extern HW_HIDDEN PyType_Spec hw_type_request;

#endif
