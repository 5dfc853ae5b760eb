/* SPDX-License-Identifier: MIT */
#include "hw_baseline.h"

#include <php.h>
#include <SAPI.h>
#include <ext/date/php_date.h>
#include <ext/standard/basic_functions.h>
#include <php_ini.h>

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hw_env.h"
#include "hw_locale.h"
#include "hw_reset.h"

/* A stack of handlers and the one in force. */
typedef struct {
    zval current;
    int reporting;   /* of the error handler in force */
    int count;       /* entries of the stack */
    zval *stack;     /* emalloc */
    int *reportings; /* emalloc; error handlers only */
} handlers_t;

static ts_rsrc_id date_globals; /* php-main at start, constant afterwards; 0 = no date module */

static __thread struct {
    bool taken;
    zval env;
    HashTable *ini; /* name -> value of what boot has changed; NULL = nothing */
    char *timezone; /* estrdup; NULL = the ini entry decides */
    char cwd[MAXPATHLEN];
    mode_t umask;
    bool ignore_user_abort;
    handlers_t errors, exceptions;
} base;

void hw_baseline_startup(void)
{
    zend_module_entry *date = zend_hash_str_find_ptr(&module_registry, "date", strlen("date"));
    date_globals = date != NULL ? *date->globals_id_ptr : 0;
}

/* -- $_ENV -- */

static void take_env(void)
{
    zend_string *name = ZSTR_KNOWN(ZEND_STR_AUTOGLOBAL_ENV);
    zend_is_auto_global(name); /* makes it, where that waits for the first use */
    zval *env = zend_hash_find(&EG(symbol_table), name);
    ZVAL_UNDEF(&base.env);
    if (env != NULL) {
        ZVAL_COPY_DEREF(&base.env, env);
    }
}

static void restore_env(void)
{
    zend_string *name = ZSTR_KNOWN(ZEND_STR_AUTOGLOBAL_ENV);
    zval *env = zend_hash_find(&EG(symbol_table), name);
    if (Z_TYPE(base.env) != IS_ARRAY || (env != NULL && Z_TYPE_P(env) == IS_ARRAY && Z_ARR_P(env) == Z_ARR(base.env))) {
        return;
    }
    zval copy;
    ZVAL_COPY(&copy, &base.env);
    zend_hash_update(&EG(symbol_table), name, &copy);
    zval_ptr_dtor(&PG(http_globals)[TRACK_VARS_ENV]);
    ZVAL_COPY(&PG(http_globals)[TRACK_VARS_ENV], &base.env);
}

/* -- ini entries -- */

/* Set together with the handler functions of session_set_save_handler(), which are kept: see hw_reset.c. */
static bool follows_session_handler(const zend_ini_entry *entry)
{
    return zend_string_equals_literal(entry->name, "session.save_handler") && entry->value != NULL &&
           zend_string_equals_literal(entry->value, "user");
}

static void take_ini(void)
{
    zend_ini_entry *entry;
    base.ini = NULL;
    if (EG(modified_ini_directives) == NULL) {
        return;
    }
    ALLOC_HASHTABLE(base.ini);
    zend_hash_init(base.ini, 8, NULL, ZVAL_PTR_DTOR, 0);
    ZEND_HASH_FOREACH_PTR(EG(modified_ini_directives), entry)
    {
        zval value;
        ZVAL_NULL(&value);
        if (entry->value != NULL) {
            ZVAL_STR(&value, zend_string_init(ZSTR_VAL(entry->value), ZSTR_LEN(entry->value), 0));
        }
        zend_hash_update(base.ini, entry->name, &value);
    }
    ZEND_HASH_FOREACH_END();
}

static bool has_value(const zend_ini_entry *entry, const zval *wanted)
{
    if (Z_TYPE_P(wanted) != IS_STRING || entry->value == NULL) {
        return Z_TYPE_P(wanted) != IS_STRING && entry->value == NULL;
    }
    return zend_string_equals(entry->value, Z_STR_P(wanted));
}

static void set_back(zend_ini_entry *entry)
{
    /* As at the end of a script: session.* and memory_limit accept it at this stage only. */
    zval *wanted = base.ini != NULL ? zend_hash_find(base.ini, entry->name) : NULL;
    if (wanted == NULL) {
        if (!follows_session_handler(entry)) {
            zend_restore_ini_entry(entry->name, ZEND_INI_STAGE_DEACTIVATE);
        }
    } else if (!has_value(entry, wanted) && Z_TYPE_P(wanted) == IS_STRING) {
        zend_alter_ini_entry_ex(entry->name, Z_STR_P(wanted), ZEND_INI_SYSTEM, ZEND_INI_STAGE_DEACTIVATE, 1);
    }
}

static void restore_ini(void)
{
    zend_ini_entry *changed[64];
    zend_ini_entry *entry;
    zend_string *name;
    zval *wanted;
    bool more = EG(modified_ini_directives) != NULL;
    while (more) { /* restoring takes entries out of the table that is walked */
        int count = 0;
        more = false;
        ZEND_HASH_FOREACH_PTR(EG(modified_ini_directives), entry)
        {
            zval *known = base.ini != NULL ? zend_hash_find(base.ini, entry->name) : NULL;
            if (known == NULL ? !follows_session_handler(entry) : !has_value(entry, known)) {
                if (count == 64) {
                    more = true;
                    break;
                }
                changed[count++] = entry;
            }
        }
        ZEND_HASH_FOREACH_END();
        for (int i = 0; i < count; i++) {
            set_back(changed[i]);
        }
    }
    if (base.ini == NULL) {
        return;
    }
    ZEND_HASH_FOREACH_STR_KEY_VAL(base.ini, name, wanted)
    {
        entry = zend_hash_find_ptr(EG(ini_directives), name);
        if (entry != NULL && !entry->modified && Z_TYPE_P(wanted) == IS_STRING) { /* ini_restore() in a request */
            zend_alter_ini_entry_ex(name, Z_STR_P(wanted), ZEND_INI_SYSTEM, ZEND_INI_STAGE_DEACTIVATE, 1);
        }
    }
    ZEND_HASH_FOREACH_END();
}

/* -- timezone -- */

static char **timezone_set(void)
{
    return date_globals != 0 ? &TSRMG_BULK(date_globals, zend_date_globals *)->timezone : NULL;
}

static void take_timezone(void)
{
    char **set = timezone_set();
    base.timezone = set != NULL && *set != NULL ? estrdup(*set) : NULL;
}

static void restore_timezone(void)
{
    char **set = timezone_set();
    if (set == NULL || *set == NULL ? base.timezone == NULL
                                    : base.timezone != NULL && strcmp(*set, base.timezone) == 0) {
        return;
    }
    if (*set != NULL) {
        efree(*set);
    }
    *set = base.timezone != NULL ? estrdup(base.timezone) : NULL;
}

/* -- working directory and umask: a thread's own -- */

static void take_directory(void)
{
    if (VCWD_GETCWD(base.cwd, sizeof base.cwd) == NULL) {
        base.cwd[0] = '\0';
    }
    base.umask = umask(0);
    umask(base.umask);
}

static void restore_directory(void)
{
    char now[MAXPATHLEN];
    if (base.cwd[0] != '\0' && (VCWD_GETCWD(now, sizeof now) == NULL || strcmp(now, base.cwd) != 0)) {
        (void)VCWD_CHDIR(base.cwd);
    }
    if (BG(umask) != -1) { /* PHP's umask() was called, perhaps long ago */
        umask(base.umask);
    }
}

/* -- error and exception handlers -- */

static void take_handlers(handlers_t *into, const zval *current, const zend_stack *stack, const zend_stack *reportings)
{
    ZVAL_COPY(&into->current, current);
    into->count = stack->top;
    into->stack = safe_emalloc((size_t)stack->top + 1, sizeof(zval), 0);
    into->reportings = safe_emalloc((size_t)stack->top + 1, sizeof(int), 0);
    for (int i = 0; i < stack->top; i++) {
        ZVAL_COPY(&into->stack[i], (zval *)stack->elements + i);
        into->reportings[i] = reportings != NULL ? ((int *)reportings->elements)[i] : 0;
    }
}

static bool same_handler(zval *a, zval *b)
{
    if (Z_TYPE_P(a) != Z_TYPE_P(b)) {
        return false;
    }
    return Z_TYPE_P(a) == IS_UNDEF || (Z_REFCOUNTED_P(a) ? Z_COUNTED_P(a) == Z_COUNTED_P(b) : zend_is_identical(a, b));
}

static bool same_handlers(handlers_t *kept, zval *current, const zend_stack *stack)
{
    bool same = kept->count == stack->top && same_handler(&kept->current, current);
    for (int i = 0; same && i < kept->count; i++) {
        same = same_handler(&kept->stack[i], (zval *)stack->elements + i);
    }
    return same;
}

static void restore_handlers(handlers_t *kept, zval *current, zend_stack *stack, zend_stack *reportings)
{
    zval old;
    if (same_handlers(kept, current, stack)) {
        return;
    }
    ZVAL_COPY_VALUE(&old, current);
    ZVAL_COPY(current, &kept->current);
    zval_ptr_dtor(&old);
    while (!zend_stack_is_empty(stack)) {
        ZVAL_COPY_VALUE(&old, (zval *)zend_stack_top(stack));
        zend_stack_del_top(stack);
        if (reportings != NULL) {
            zend_stack_del_top(reportings);
        }
        zval_ptr_dtor(&old);
    }
    for (int i = 0; i < kept->count; i++) {
        zval copy;
        ZVAL_COPY(&copy, &kept->stack[i]);
        zend_stack_push(stack, &copy);
        if (reportings != NULL) {
            zend_stack_push(reportings, &kept->reportings[i]);
        }
    }
}

static void forget_handlers(handlers_t *kept)
{
    zval_ptr_dtor(&kept->current);
    for (int i = 0; i < kept->count; i++) {
        zval_ptr_dtor(&kept->stack[i]);
    }
    efree(kept->stack);
    efree(kept->reportings);
}

/* -- all of it -- */

void hw_baseline_take(void)
{
    take_env();
    take_ini();
    take_timezone();
    take_directory();
    base.ignore_user_abort = PG(ignore_user_abort);
    base.errors.reporting = EG(user_error_handler_error_reporting);
    take_handlers(&base.errors, &EG(user_error_handler), &EG(user_error_handlers),
                  &EG(user_error_handlers_error_reporting));
    take_handlers(&base.exceptions, &EG(user_exception_handler), &EG(user_exception_handlers), NULL);
    hw_env_baseline_take();
    hw_locale_baseline_take();
    base.taken = true;
}

void hw_baseline_restore(void)
{
    if (!base.taken) {
        return;
    }
    restore_handlers(&base.errors, &EG(user_error_handler), &EG(user_error_handlers),
                     &EG(user_error_handlers_error_reporting));
    EG(user_error_handler_error_reporting) = base.errors.reporting;
    restore_handlers(&base.exceptions, &EG(user_exception_handler), &EG(user_exception_handlers), NULL);
    restore_ini();
    hw_reset_memory_limit();
    restore_env();
    restore_timezone();
    restore_directory();
    PG(ignore_user_abort) = base.ignore_user_abort;
    hw_env_baseline_restore();
    hw_locale_baseline_restore();
}

void hw_baseline_forget(void)
{
    if (!base.taken) {
        return;
    }
    base.taken = false;
    hw_env_baseline_forget();
    hw_locale_baseline_forget();
    if (CG(unclean_shutdown)) {
        return;
    }
    zval_ptr_dtor(&base.env);
    if (base.ini != NULL) {
        zend_hash_destroy(base.ini);
        FREE_HASHTABLE(base.ini);
    }
    if (base.timezone != NULL) {
        efree(base.timezone);
    }
    forget_handlers(&base.errors);
    forget_handlers(&base.exceptions);
}
