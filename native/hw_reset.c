/* SPDX-License-Identifier: MIT */
#include "hw_reset.h"

#include <php.h>
#include <SAPI.h>
#include <ext/session/php_session.h>
#include <ext/standard/basic_functions.h>
#include <php_ini.h>
#include <php_main.h>
#include <php_output.h>
#include <zend_exceptions.h>

#include <string.h>

/* A PHP without sessions, or with them in a shared extension, has no such symbol when it is loaded. */
extern PHPAPI ts_rsrc_id ps_globals_id __attribute__((weak));

static zend_module_entry *filter_module, *session_module; /* php-main at start, constant afterwards */
static __thread HashTable *boot_functions;                /* shutdown functions of the script itself */
static __thread bool session_used;                        /* the session module was shut down after a request */

void hw_reset_startup(void)
{
    filter_module = zend_hash_str_find_ptr(&module_registry, "filter", strlen("filter"));
    session_module = zend_hash_str_find_ptr(&module_registry, "session", strlen("session"));
    if (&ps_globals_id == NULL) {
        session_module = NULL;
    }
}

/* -- session -- */

/* Handlers that a script has registered by session_set_save_handler() outlive the module's request shutdown: they were
 * registered once, before the loop. */
static void session_end(void)
{
    if (session_module == NULL) {
        return;
    }
    if (PS(session_status) == php_session_active || PS(id) != NULL || PS(mod_data) != NULL ||
        PS(mod_user_implemented) || !Z_ISUNDEF(PS(http_session_vars))) {
        zval handlers[PS_NUM_APIS];
        if (PS(session_status) == php_session_active) {
            php_session_flush(1); /* calls the handlers, so they must still be there */
        }
        for (int i = 0; i < PS_NUM_APIS; i++) {
            ZVAL_COPY(&handlers[i], &PS(mod_user_names).names[i]);
        }
        session_module->request_shutdown_func(session_module->type, session_module->module_number);
        memcpy(PS(mod_user_names).names, handlers, sizeof handlers);
        session_used = true;
    }
    zend_hash_str_del(&EG(symbol_table), "_SESSION", strlen("_SESSION"));
}

static void session_begin(void)
{
    if (session_module != NULL && (session_used || PS(auto_start))) {
        session_used = false;
        session_module->request_startup_func(session_module->type, session_module->module_number);
    }
}

/* -- superglobals -- */

/* $_SERVER and $_REQUEST may be made on first use, which is decided when a file is compiled. Code that is compiled
 * already reads the symbol table, so what stands there is made anew, and what does not stays to be made on first use.
 * $_ENV belongs to the baseline. */
static void make_superglobals(void)
{
    zend_auto_global *global;
    ZEND_HASH_FOREACH_PTR(CG(auto_globals), global)
    {
        if (zend_string_equals_literal(global->name, "_ENV") || zend_string_equals_literal(global->name, "GLOBALS")) {
            continue;
        }
        if (global->auto_global_callback == NULL) {
            global->armed = 0;
        } else if (!global->jit || zend_hash_exists(&EG(symbol_table), global->name)) {
            global->armed = global->auto_global_callback(global->name);
        } else {
            global->armed = 1;
        }
    }
    ZEND_HASH_FOREACH_END();
}

static void drop_files(void)
{
    zval *files = &PG(http_globals)[TRACK_VARS_FILES];
    zval_ptr_dtor_nogc(files);
    ZVAL_UNDEF(files);
}

/* -- a request -- */

static void start_output(void)
{
    zval handler;
    php_output_activate();
    if (PG(output_handler) != NULL && PG(output_handler)[0] != '\0') {
        ZVAL_STRING(&handler, PG(output_handler));
        php_output_start_user(&handler, 0, PHP_OUTPUT_HANDLER_STDFLAGS);
        zval_ptr_dtor(&handler);
    } else if (PG(output_buffering) != 0) {
        php_output_start_user(NULL, PG(output_buffering) > 1 ? (size_t)PG(output_buffering) : 0,
                              PHP_OUTPUT_HANDLER_STDFLAGS);
    } else if (PG(implicit_flush)) {
        php_output_set_implicit_flush(1);
    }
}

/* The time of the input counts until the script takes over (max_input_time), which is at once here: the input has been
 * read by then. */
static void start_timer(void)
{
    zend_long seconds = INI_INT("max_execution_time");
    if (seconds > 0) {
        zend_set_timeout(seconds, 0);
    }
}

void hw_reset_request_begin(void)
{
    drop_files();
    PG(header_is_being_sent) = 0;
    PG(connection_status) = PHP_CONNECTION_NORMAL;
    PG(during_request_startup) = 0;
    start_output();
    sapi_activate();
    SG(sapi_started) = 1;
    if (PG(expose_php)) {
        sapi_add_header(SAPI_PHP_VERSION_HEADER, sizeof SAPI_PHP_VERSION_HEADER - 1, 1);
    }
    make_superglobals();
    if (filter_module != NULL && filter_module->request_startup_func != NULL) {
        filter_module->request_startup_func(filter_module->type, filter_module->module_number);
    }
    session_begin();
    start_timer();
}

/* PHP leaves the stream that holds a request's body to the end of the script. */
static void close_body(void)
{
    php_stream *body = SG(request_info).request_body;
    SG(request_info).request_body = NULL;
    if (body != NULL) {
        php_stream_free(body, PHP_STREAM_FREE_CLOSE);
    }
}

void hw_reset_request_end(void)
{
    if (EG(timeout_seconds) > 0) {
        zend_unset_timeout();
    }
    php_output_end_all();
    if (filter_module != NULL && filter_module->request_shutdown_func != NULL) {
        filter_module->request_shutdown_func(filter_module->type, filter_module->module_number);
    }
    session_end();
    php_output_deactivate();
    close_body();
    sapi_deactivate();
    /* Freed, but PHP would do so again at the end of the script. */
    SG(request_info).content_type_dup = NULL;
    SG(request_info).current_user = NULL;
}

void hw_reset_gap_begin(void)
{
    php_output_activate();
    SG(headers_sent) = 0;
    SG(request_info).no_headers = 1;
}

void hw_reset_gap_end(void)
{
    php_output_end_all();
    php_output_deactivate();
    zend_llist_clean(&SG(sapi_headers).headers);
}

/* -- memory_limit -- */

void hw_reset_memory_limit(void)
{
    if (PG(memory_limit) <= 0) {
        return;
    }
    size_t limit = (size_t)PG(memory_limit);
    if (zend_memory_usage(1) > limit) {
        zend_mm_gc(zend_mm_get_heap()); /* freed pieces hold their pages until then */
    }
    /* Twice: a call that has to give chunks back to the system leaves the limit as it was (seen in 8.2). */
    if (zend_set_memory_limit(limit) == SUCCESS) {
        (void)zend_set_memory_limit(limit);
    }
}

/* -- shutdown functions -- */

void hw_reset_shutdown_functions_part(void)
{
    hw_reset_shutdown_functions_join();
    boot_functions = BG(user_shutdown_function_names);
    BG(user_shutdown_function_names) = NULL;
}

void hw_reset_shutdown_functions_run(void)
{
    if (BG(user_shutdown_function_names) == NULL) {
        return;
    }
    php_call_shutdown_functions();
    if (CG(unclean_shutdown)) {
        zend_bailout(); /* PHP has caught a fatal error there, but a script cannot go on after one */
    }
    php_free_shutdown_functions();
}

void hw_reset_shutdown_functions_join(void)
{
    HashTable *later = BG(user_shutdown_function_names);
    if (boot_functions == NULL) {
        return;
    }
    if (later != NULL) {
        zend_string *name;
        void *entry;
        ZEND_HASH_FOREACH_STR_KEY_PTR(later, name, entry)
        {
            if (name != NULL) {
                zend_hash_update_mem(boot_functions, name, entry, sizeof(php_shutdown_function_entry));
            } else {
                zend_hash_next_index_insert_mem(boot_functions, entry, sizeof(php_shutdown_function_entry));
            }
        }
        ZEND_HASH_FOREACH_END();
        ZEND_HASH_FOREACH_PTR(later, entry)
        {
            efree(entry);
        }
        ZEND_HASH_FOREACH_END();
        later->pDestructor = NULL; /* the entries have moved */
        zend_hash_destroy(later);
        FREE_HASHTABLE(later);
    }
    BG(user_shutdown_function_names) = boot_functions;
    boot_functions = NULL;
}
