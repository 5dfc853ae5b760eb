/* SPDX-License-Identifier: MIT */
#include "hw_opcache.h"

#include <php.h>
#include <php_main.h>
#include <SAPI.h>
#include <zend_extensions.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hw_port.h"
#include "hw_reset.h"
#include "hw_timer.h"

#define LOOK_EVERY_NS ((int64_t)1000000000)
#define SPARE_BYTES   ((size_t)4 << 20) /* two of the chunks in which PHP gets its memory */

static int lock_fd = -1;             /* written by php-main while no PHP thread lives */
static _Atomic int64_t next_look_ns; /* by compare-and-swap, any PHP thread */
static _Atomic bool pending;         /* any PHP thread and php-main */
static zif_handler original_reset;   /* php-main, before any PHP thread lives */

/* OPcache's lock file, found among our descriptors: a deleted .ZendSem.* file, or a memfd in newer versions. */
static int find_lock_file(void)
{
    int found = -1;
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL) {
        return -1;
    }
    for (struct dirent *entry; found < 0 && (entry = readdir(folder)) != NULL;) {
        char path[300], target[512];
        snprintf(path, sizeof path, "/proc/self/fd/%s", entry->d_name);
        ssize_t len = readlink(path, target, sizeof target - 1);
        if (len > 0) {
            target[len] = '\0';
            if (strstr(target, "/.ZendSem.") != NULL || strstr(target, "memfd:opcache_lock") != NULL) {
                found = atoi(entry->d_name);
            }
        }
    }
    closedir(folder);
    return found;
}

static bool set_lock(short type)
{
#ifdef F_OFD_SETLK
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = 1, .l_len = 1};
    return lock_fd >= 0 && fcntl(lock_fd, F_OFD_SETLK, &lock) == 0;
#else
    (void)type;
    return false;
#endif
}

static ZEND_NAMED_FUNCTION(reset_and_note)
{
    original_reset(INTERNAL_FUNCTION_PARAM_PASSTHRU);
    atomic_store_explicit(&pending, true, memory_order_relaxed);
}

static zend_internal_function *find_reset(void)
{
    zend_function *function = zend_hash_str_find_ptr(CG(function_table), "opcache_reset", strlen("opcache_reset"));
    return function != NULL && function->type == ZEND_INTERNAL_FUNCTION ? &function->internal_function : NULL;
}

void hw_opcache_thread_begin(void)
{
    zend_internal_function *reset = lock_fd >= 0 ? find_reset() : NULL;
    if (reset != NULL && original_reset != NULL) {
        reset->handler = reset_and_note;
    }
}

const char *hw_opcache_guard(void)
{
    atomic_store(&pending, false);
    if (zend_get_extension("Zend OPcache") == NULL || !INI_BOOL("opcache.enable")) {
        return NULL;
    }
    char path[64];
    int original = find_lock_file();
    snprintf(path, sizeof path, "/proc/self/fd/%d", original);
    lock_fd = original >= 0 ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (lock_fd < 0) {
        return "OPcache's lock file was not found, so its resets could not be made safe; start with opcache.enable=0";
    }
    zend_internal_function *reset = find_reset();
    original_reset = reset != NULL ? reset->handler : NULL;
    return set_lock(F_RDLCK) ? NULL
                             : "OPcache's lock file cannot be locked, so its resets could not be made safe; start with "
                               "opcache.enable=0";
}

void hw_opcache_unguard(void)
{
    if (lock_fd >= 0) {
        close(lock_fd);
        lock_fd = -1;
    }
}

/* -- a request of php-main's own -- */

static zval *member(zval *array, const char *name)
{
    return array != NULL && Z_TYPE_P(array) == IS_ARRAY ? zend_hash_str_find(Z_ARRVAL_P(array), name, strlen(name))
                                                        : NULL;
}

static uint64_t number(zval *array, const char *name)
{
    zval *value = member(array, name);
    return value != NULL ? (uint64_t)zval_get_long(value) : 0;
}

static bool truth(zval *array, const char *name)
{
    zval *value = member(array, name);
    return value != NULL && zend_is_true(value);
}

/* Calls one of OPcache's functions; the answer is the caller's. */
static bool call(const char *name, uint32_t count, zval *arguments, zval *answer)
{
    zval function;
    ZVAL_STRING(&function, name);
    ZVAL_UNDEF(answer);
    /* opcache.restrict_api allows only scripts under a path; we are none of them, and no stranger either. */
    char *script = SG(request_info).path_translated;
    char *allowed = INI_STR("opcache.restrict_api");
    if (allowed != NULL && *allowed != '\0') {
        SG(request_info).path_translated = allowed;
    }
    bool called = call_user_function(NULL, NULL, &function, answer, count, arguments) == SUCCESS;
    SG(request_info).path_translated = script;
    zval_ptr_dtor(&function);
    return called;
}

/* opcache_get_status(false) */
static bool ask(hw_opcache_status_t *status)
{
    zval argument, answer;
    ZVAL_FALSE(&argument);
    bool called = call("opcache_get_status", 1, &argument, &answer) && Z_TYPE(answer) == IS_ARRAY;
    if (called) {
        zval *memory = member(&answer, "memory_usage");
        zval *counts = member(&answer, "opcache_statistics");
        status->enabled = truth(&answer, "opcache_enabled");
        status->restart_pending = truth(&answer, "restart_pending") || truth(&answer, "restart_in_progress");
        status->used_bytes = number(memory, "used_memory");
        status->free_bytes = number(memory, "free_memory");
        status->wasted_bytes = number(memory, "wasted_memory");
        status->oom_restarts = number(counts, "oom_restarts");
        status->hash_restarts = number(counts, "hash_restarts");
        status->manual_restarts = number(counts, "manual_restarts");
        status->hits = number(counts, "hits");
        status->misses = number(counts, "misses");
    }
    zval_ptr_dtor(&answer);
    return called;
}

/* What we ask for is not to be refused, nor to end a worker's script, because the request has used up its
 * memory_limit: after endless recursion, say, the call of a function needs another page of PHP's stack. */
static bool ask_with_memory_to_spare(hw_opcache_status_t *status)
{
    if (PG(memory_limit) <= 0) {
        return ask(status);
    }
    (void)zend_set_memory_limit((size_t)PG(memory_limit) + SPARE_BYTES);
    bool answered = ask(status);
    hw_reset_memory_limit();
    return answered;
}

void hw_opcache_look(void)
{
    hw_opcache_status_t status = {0};
    int64_t now = hw_port_now_ns();
    int64_t due = atomic_load_explicit(&next_look_ns, memory_order_relaxed);
    if (lock_fd >= 0 && now >= due && atomic_compare_exchange_strong(&next_look_ns, &due, now + LOOK_EVERY_NS)) {
        if (ask_with_memory_to_spare(&status)) {
            atomic_store_explicit(&pending, status.restart_pending, memory_order_relaxed);
        }
    }
}

bool hw_opcache_is_pending(void)
{
    return atomic_load_explicit(&pending, memory_order_relaxed);
}

bool hw_opcache_inspect(hw_opcache_status_t *status)
{
    volatile bool answered = false;
    memset(status, 0, sizeof *status);
    SG(server_context) = NULL;
    hw_timer_reveal();
    if (php_request_startup() == SUCCESS) {
        zend_first_try
        {
            answered = ask(status);
        }
        zend_end_try();
        php_request_shutdown(NULL);
    }
    return answered;
}

static void collect(zval *scripts, char **text, size_t *len)
{
    zend_string *path;
    size_t size = 0;
    ZEND_HASH_FOREACH_STR_KEY(Z_ARRVAL_P(scripts), path)
    {
        size += path != NULL ? ZSTR_LEN(path) + 1 : 0;
    }
    ZEND_HASH_FOREACH_END();
    *text = malloc(size + 1);
    *len = 0;
    ZEND_HASH_FOREACH_STR_KEY(Z_ARRVAL_P(scripts), path)
    {
        if (*text != NULL && path != NULL) {
            memcpy(*text + *len, ZSTR_VAL(path), ZSTR_LEN(path) + 1);
            *len += ZSTR_LEN(path) + 1;
        }
    }
    ZEND_HASH_FOREACH_END();
}

bool hw_opcache_list(char **text, size_t *len)
{
    volatile bool answered = false;
    *text = NULL;
    *len = 0;
    SG(server_context) = NULL;
    hw_timer_reveal();
    if (php_request_startup() == SUCCESS) {
        zend_first_try
        {
            zval argument, answer;
            ZVAL_TRUE(&argument);
            if (call("opcache_get_status", 1, &argument, &answer) && Z_TYPE(answer) == IS_ARRAY) {
                zval *scripts = member(&answer, "scripts");
                if (scripts != NULL && Z_TYPE_P(scripts) == IS_ARRAY) {
                    collect(scripts, text, len);
                }
                answered = true;
            }
            zval_ptr_dtor(&answer);
        }
        zend_end_try();
        php_request_shutdown(NULL);
    }
    return answered;
}

bool hw_opcache_forget(const char *text, size_t len)
{
    volatile bool done = false;
    SG(server_context) = NULL;
    hw_timer_reveal();
    if (php_request_startup() == SUCCESS) {
        zend_first_try
        {
            for (const char *path = text; path < text + len; path += strlen(path) + 1) {
                zval arguments[2], answer;
                ZVAL_STRING(&arguments[0], path);
                ZVAL_TRUE(&arguments[1]); /* whatever its timestamp says */
                call("opcache_invalidate", 2, arguments, &answer);
                zval_ptr_dtor(&answer);
                zval_ptr_dtor(&arguments[0]);
            }
            done = true;
        }
        zend_end_try();
        php_request_shutdown(NULL);
    }
    return done;
}

bool hw_opcache_wipe(hw_opcache_status_t *status)
{
    if (!set_lock(F_UNLCK)) {
        return false;
    }
    /* OPcache wipes in the start-up of this request. */
    bool answered = hw_opcache_inspect(status);
    if (answered) {
        atomic_store_explicit(&pending, status->restart_pending, memory_order_relaxed);
    }
    return set_lock(F_RDLCK) && answered;
}
