/* SPDX-License-Identifier: MIT */
#include "hw_opcache.h"

#include <php.h>
#include <php_main.h>
#include <SAPI.h>
#include <zend_extensions.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hw_timer.h"

static int lock_fd = -1; /* php-main only */

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

const char *hw_opcache_guard(void)
{
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

/* opcache_get_status(false) */
static bool ask(hw_opcache_status_t *status)
{
    zval function, argument, answer;
    ZVAL_STRING(&function, "opcache_get_status");
    ZVAL_FALSE(&argument);
    ZVAL_UNDEF(&answer);
    bool called = call_user_function(NULL, NULL, &function, &answer, 1, &argument) == SUCCESS;
    called = called && Z_TYPE(answer) == IS_ARRAY;
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
    zval_ptr_dtor(&function);
    return called;
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

bool hw_opcache_wipe(hw_opcache_status_t *status)
{
    if (!set_lock(F_UNLCK)) {
        return false;
    }
    /* OPcache wipes in the start-up of this request. */
    bool answered = hw_opcache_inspect(status);
    return set_lock(F_RDLCK) && answered;
}
