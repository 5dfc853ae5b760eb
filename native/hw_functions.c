/* SPDX-License-Identifier: MIT */
#include "hw_config.h"

#include <php.h>
#include <SAPI.h>
#include <ext/json/php_json.h>
#include <ext/spl/spl_exceptions.h>
#include <ext/standard/info.h>
#include <php_output.h>
#include <zend_exceptions.h>
#include <zend_smart_str.h>

#include "hw_crash.h"
#include "hw_env.h"
#include "hw_fork.h"
#include "hw_functions.h"
#include "hw_kill.h"
#include "hw_locale.h"
#include "hw_log.h"
#include "hw_opcache.h"
#include "hw_sapi.h"
#include "hw_spawn.h"
#include "hw_stderr.h"
#include "hw_thread.h"
#include "hw_timer.h"
#include "hw_vars.h"
#include "hw_worker.h"

/* frankenphp_handle_request(callable $callback): bool */
ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_handle_request, 0, 1, _IS_BOOL, 0)
ZEND_ARG_TYPE_INFO(0, callback, IS_CALLABLE, 0)
ZEND_END_ARG_INFO()

PHP_FUNCTION(frankenphp_handle_request)
{
    zend_fcall_info info;
    zend_fcall_info_cache cache;
    ZEND_PARSE_PARAMETERS_START(1, 1)
    Z_PARAM_FUNC(info, cache)
    ZEND_PARSE_PARAMETERS_END();
    hw_worker_handle(&info, &cache, return_value);
}

/* headers_send(int $status = 200): int */
ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_headers_send, 0, 0, IS_LONG, 0)
ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, status, IS_LONG, 0, "200")
ZEND_END_ARG_INFO()

PHP_FUNCTION(headers_send)
{
    zend_long status = 200;
    ZEND_PARSE_PARAMETERS_START(0, 1)
    Z_PARAM_OPTIONAL
    Z_PARAM_LONG(status)
    ZEND_PARSE_PARAMETERS_END();
    if (hw_self == NULL || hw_self->request == NULL) {
        RETURN_LONG(SAPI_HEADER_SEND_FAILED);
    }
    if (status >= 100 && status < 200) {
        RETURN_LONG(hw_sapi_send_interim((int)status) ? SAPI_HEADER_SENT_SUCCESSFULLY : SAPI_HEADER_SEND_FAILED);
    }
    SG(sapi_headers).http_response_code = (int)status;
    int result = sapi_send_headers();
    if (result == SUCCESS && !hw_self->finished && !hw_thread_is_outside(hw_self) && !hw_fork_is_child()) {
        hw_thread_hand_off(hw_self); /* the head leaves now, not with the first output */
    }
    RETURN_LONG(result);
}

/* frankenphp_finish_request(): bool; fastcgi_finish_request() is the same */
ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_finish_request, 0, 0, _IS_BOOL, 0)
ZEND_END_ARG_INFO()

PHP_FUNCTION(frankenphp_finish_request)
{
    ZEND_PARSE_PARAMETERS_NONE();
    if (hw_self == NULL || hw_self->request == NULL || hw_self->finished) {
        RETURN_FALSE;
    }
    php_output_end_all();
    if (hw_thread_is_outside(hw_self)) {
        RETURN_TRUE; /* a worker that boots answers nobody */
    }
    if (!SG(headers_sent)) {
        sapi_send_headers();
        SG(headers_sent) = 1;
    }
    if (!hw_fork_is_child()) {
        hw_thread_note_memory(hw_self);
        hw_thread_complete(hw_self);
    }
    RETURN_TRUE;
}

/* frankenphp_request_headers(): array; apache_request_headers() and getallheaders() are the same */
ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_request_headers, 0, 0, IS_ARRAY, 0)
ZEND_END_ARG_INFO()

PHP_FUNCTION(frankenphp_request_headers)
{
    ZEND_PARSE_PARAMETERS_NONE();
    array_init(return_value);
    if (hw_self != NULL && hw_self->request != NULL) {
        hw_vars_headers(hw_self->request, Z_ARRVAL_P(return_value));
    }
}

/* frankenphp_response_headers(): array|bool; apache_response_headers() is the same */
ZEND_BEGIN_ARG_WITH_RETURN_TYPE_MASK_EX(arginfo_response_headers, 0, 0, MAY_BE_ARRAY | MAY_BE_BOOL)
ZEND_END_ARG_INFO()

/* A name that is set again turns its value into a list. */
static void add_response_header(HashTable *table, zend_string *name, const char *value, size_t len)
{
    zval item;
    ZVAL_STRINGL(&item, value, len);
    zval *present = zend_hash_find(table, name);
    if (present == NULL) {
        zend_hash_update(table, name, &item);
        return;
    }
    if (Z_TYPE_P(present) != IS_ARRAY) {
        zval list;
        array_init(&list);
        Z_TRY_ADDREF_P(present);
        zend_hash_next_index_insert(Z_ARRVAL(list), present);
        present = zend_hash_update(table, name, &list);
    }
    zend_hash_next_index_insert(Z_ARRVAL_P(present), &item);
}

static void add_response_line(void *data, void *argument)
{
    sapi_header_struct *header = data;
    const char *colon = header->header_len > 0 ? memchr(header->header, ':', header->header_len) : NULL;
    if (colon == NULL) {
        return;
    }
    const char *value = colon + 1;
    const char *end = header->header + header->header_len;
    while (value < end && *value == ' ') {
        value++;
    }
    zend_string *name = zend_string_init(header->header, (size_t)(colon - header->header), 0);
    add_response_header(argument, name, value, (size_t)(end - value));
    zend_string_release(name);
}

PHP_FUNCTION(frankenphp_response_headers)
{
    ZEND_PARSE_PARAMETERS_NONE();
    array_init(return_value);
    zend_llist_apply_with_argument(&SG(sapi_headers).headers, add_response_line, Z_ARRVAL_P(return_value));
}

/* frankenphp_log(string $message, int $level = 0, array $context = []): void */
ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_log, 0, 1, IS_VOID, 0)
ZEND_ARG_TYPE_INFO(0, message, IS_STRING, 0)
ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, level, IS_LONG, 0, "0")
ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, context, IS_ARRAY, 0, "[]")
ZEND_END_ARG_INFO()

PHP_FUNCTION(frankenphp_log)
{
    zend_string *message;
    zend_long level = HW_LOG_INFO;
    zval *context = NULL;
    ZEND_PARSE_PARAMETERS_START(1, 3)
    Z_PARAM_STR(message)
    Z_PARAM_OPTIONAL
    Z_PARAM_LONG(level)
    Z_PARAM_ARRAY(context)
    ZEND_PARSE_PARAMETERS_END();
    if (!hw_log_enabled((int)level)) {
        return;
    }
    smart_str json = {0};
    if (context != NULL && zend_hash_num_elements(Z_ARRVAL_P(context)) > 0) {
        int options = PHP_JSON_UNESCAPED_SLASHES | PHP_JSON_UNESCAPED_UNICODE | PHP_JSON_INVALID_UTF8_SUBSTITUTE;
        if (php_json_encode(&json, context, options) != SUCCESS) {
            smart_str_free(&json);
            if (!EG(exception)) {
                zend_throw_exception(spl_ce_RuntimeException,
                                     "frankenphp_log(): a value of $context cannot be written to the log", 0);
            }
            return;
        }
        smart_str_0(&json);
    }
    uint64_t id = hw_self != NULL && hw_self->request != NULL ? hw_self->request->id : 0;
    hw_str_t text = {ZSTR_VAL(message), ZSTR_LEN(message)};
    hw_str_t details = {json.s != NULL ? ZSTR_VAL(json.s) : NULL, json.s != NULL ? ZSTR_LEN(json.s) : 0};
    hw_log_put((int)level, id, text, details);
    smart_str_free(&json);
}

static const zend_function_entry functions[] = {
    ZEND_FE(frankenphp_handle_request, arginfo_handle_request) ZEND_FE(headers_send, arginfo_headers_send)
        ZEND_FE(frankenphp_finish_request, arginfo_finish_request)
            ZEND_FALIAS(fastcgi_finish_request, frankenphp_finish_request,
                        arginfo_finish_request) ZEND_FE(frankenphp_request_headers, arginfo_request_headers)
                ZEND_FALIAS(apache_request_headers, frankenphp_request_headers, arginfo_request_headers)
                    ZEND_FALIAS(getallheaders, frankenphp_request_headers, arginfo_request_headers)
                        ZEND_FE(frankenphp_response_headers, arginfo_response_headers)
                            ZEND_FALIAS(apache_response_headers, frankenphp_response_headers, arginfo_response_headers)
                                ZEND_FE(frankenphp_log, arginfo_log) ZEND_FE_END};

static PHP_MINIT_FUNCTION(howdah)
{
    REGISTER_LONG_CONSTANT("FRANKENPHP_LOG_LEVEL_DEBUG", HW_LOG_DEBUG, CONST_CS | CONST_PERSISTENT);
    REGISTER_LONG_CONSTANT("FRANKENPHP_LOG_LEVEL_INFO", HW_LOG_INFO, CONST_CS | CONST_PERSISTENT);
    REGISTER_LONG_CONSTANT("FRANKENPHP_LOG_LEVEL_WARN", HW_LOG_WARN, CONST_CS | CONST_PERSISTENT);
    REGISTER_LONG_CONSTANT("FRANKENPHP_LOG_LEVEL_ERROR", HW_LOG_ERROR, CONST_CS | CONST_PERSISTENT);
    hw_vars_minit();
    hw_kill_minit();
    hw_crash_minit();
    hw_env_minit();
    hw_spawn_minit();
    hw_locale_minit();
    hw_fork_minit();
    hw_stderr_minit();
    return SUCCESS;
}

static PHP_MSHUTDOWN_FUNCTION(howdah)
{
    hw_crash_mshutdown();
    hw_env_mshutdown();
    return SUCCESS;
}

static PHP_RSHUTDOWN_FUNCTION(howdah)
{
    /* After shutdown functions and destructors, also where one of them forked; before session and uploads, which belong
     * to the request that goes on in the server. */
    hw_fork_exit_if_child(EG(exit_status));
    hw_timer_hide();
    hw_locale_request_end();
    hw_opcache_look(); /* last: it calls a function of PHP, which may bail out */
    return SUCCESS;
}

static PHP_MINFO_FUNCTION(howdah)
{
    php_info_print_table_start();
    php_info_print_table_row(2, "Server", "Howdah");
    php_info_print_table_row(2, "SAPI name", sapi_module.name);
    php_info_print_table_end();
}

zend_module_entry hw_module_entry = {
    STANDARD_MODULE_HEADER, "frankenphp",      functions, PHP_MINIT(howdah),          PHP_MSHUTDOWN(howdah), NULL,
    PHP_RSHUTDOWN(howdah),  PHP_MINFO(howdah), "1",       STANDARD_MODULE_PROPERTIES,
};
