/* SPDX-License-Identifier: MIT */
/* Annotations and plain types shared by all files of native/. Includes neither php.h nor Python.h. */
#ifndef HW_CONFIG_H
#define HW_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Annotations for readers and static checkers; they expand to nothing.
 * HW_BORROWED: the result belongs to somebody else.  HW_STEALS(n): argument n is taken over.
 * HW_RAISES: sets a Python exception on failure.     HW_NOGIL: must be called without the GIL. */
#define HW_BORROWED
#define HW_STEALS(n)
#define HW_RAISES
#define HW_NOGIL

#define HW_HIDDEN      __attribute__((visibility("hidden")))
#define HW_LIKELY(x)   __builtin_expect(!!(x), 1)
#define HW_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* Output is handed to the event loop when this much has been collected (flush() hands over earlier). */
#define HW_HANDOFF_BYTES      ((size_t)64 * 1024)
/* Memory that one response may use before its spool file is used. */
#define HW_BODY_MEMORY_BYTES  ((size_t)1024 * 1024)
/* Memory of all spools together, size of one spool file, size of all spool files. */
#define HW_SPOOL_MEMORY_BYTES ((size_t)64 * 1024 * 1024)
#define HW_SPOOL_FILE_BYTES   ((uint64_t)1024 * 1024 * 1024)
#define HW_SPOOL_TOTAL_BYTES  ((uint64_t)8 * 1024 * 1024 * 1024)

/* A counted string; `data` also ends in NUL, so that C interfaces can take it as it is. */
typedef struct {
    const char *data;
    size_t len;
} hw_str_t;

/* Name and value of an environment variable, both NUL-terminated. */
typedef struct {
    const char *name;
    size_t name_len;
    const char *value;
    size_t value_len;
} hw_env_pair_t;

#endif
