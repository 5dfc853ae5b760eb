/* SPDX-License-Identifier: MIT */
#include "hw_sapi.h"

#include <php_ini.h>
#include <php_main.h>
#include <php_output.h>
#include <php_variables.h>
#include <zend_smart_str.h>

#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "hw_env.h"
#include "hw_fork.h"
#include "hw_kill.h"
#include "hw_log.h"
#include "hw_vars.h"

static const hw_env_pair_t *ini_defaults;
static size_t n_ini_defaults;

/* -- output -- */

/* PHP ignores the result of ub_write, so the callbacks look at the abort flag and tell PHP themselves. This may leave
 * by longjmp: nothing may be held here. */
static void check_aborted(hw_thread_t *self)
{
    if (HW_UNLIKELY(atomic_load_explicit(&self->request->aborted, memory_order_relaxed))) {
        self->out_len = 0;
        php_handle_aborted_connection();
    }
}

static bool reserve_output(hw_thread_t *self, size_t more)
{
    size_t need = self->out_len + more;
    if (need <= self->out_size) {
        return true;
    }
    size_t size = self->out_size > 0 ? self->out_size : 1024;
    while (size < need) {
        size *= 2;
    }
    char *grown = realloc(self->out, size);
    if (grown == NULL) {
        return false;
    }
    self->out = grown;
    self->out_size = size;
    return true;
}

/* What a worker's script says outside requests. */
static void log_output(hw_thread_t *self, const char *data, size_t len)
{
    while (len > 0 && (data[len - 1] == '\n' || data[len - 1] == '\r')) {
        len--;
    }
    if (len > 0) {
        hw_log_put(HW_LOG_INFO, self->request->id, (hw_str_t){data, len}, (hw_str_t){NULL, 0});
    }
}

static size_t ub_write(const char *data, size_t len)
{
    hw_thread_t *self = hw_self;
    if (HW_UNLIKELY(self == NULL || self->request == NULL || hw_fork_is_child())) {
        return len;
    }
    if (self->finished) {
        return len;
    }
    if (HW_UNLIKELY(hw_thread_is_outside(self))) {
        log_output(self, data, len);
        return len;
    }
    check_aborted(self);
    if (self->out_len + len < HW_HANDOFF_BYTES) {
        if (reserve_output(self, len)) {
            memcpy(self->out + self->out_len, data, len);
            self->out_len += len;
        }
        return len;
    }
    bool alive = self->out_len == 0 || hw_thread_hand_off(self);
    alive = alive && hw_request_put_body(self->request, data, len, self->event_stream);
    if (!alive) {
        check_aborted(self);
        hw_kill_interrupted();
    }
    return len;
}

static void flush(void *server_context)
{
    hw_thread_t *self = hw_self;
    (void)server_context;
    if (self == NULL || self->request == NULL || self->finished || hw_thread_is_outside(self) || hw_fork_is_child()) {
        return;
    }
    if (!SG(headers_sent)) {
        sapi_send_headers();
        SG(headers_sent) = 1;
    }
    bool alive = hw_thread_hand_off(self);
    check_aborted(self);
    if (!alive) {
        hw_kill_interrupted();
    }
}

/* -- response head -- */

/* A field name is a token; a value holds no control character but the tab (RFC 9110, 5.1 and 5.5). */
static bool is_token(const char *name, size_t len)
{
    static const char separators[] = "()<>@,;:\\\"/[]?={} \t";
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)name[i];
        if (c <= 0x20 || c >= 0x7f || memchr(separators, c, sizeof separators - 1) != NULL) {
            return false;
        }
    }
    return len > 0;
}

static bool is_value(const char *value, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)value[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return true;
}

static void add_line(hw_head_t *head, hw_thread_t *self, const char *line, size_t len)
{
    const char *colon = memchr(line, ':', len);
    size_t name_len = colon != NULL ? (size_t)(colon - line) : 0;
    if (colon == NULL || !is_token(line, name_len)) {
        hw_log_printf(HW_LOG_DEBUG, self->request->id, "dropped a response header without a valid name: %.*s",
                      (int)(len < 80 ? len : 80), line);
        return;
    }
    const char *value = colon + 1;
    const char *end = line + len;
    while (value < end && (*value == ' ' || *value == '\t')) {
        value++;
    }
    while (end > value && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    size_t value_len = (size_t)(end - value);
    if (!is_value(value, value_len)) {
        hw_log_printf(HW_LOG_WARN, self->request->id,
                      "dropped the response header %.*s: its value has a control character",
                      (int)(name_len < 80 ? name_len : 80), line);
        return;
    }
    char *to = head->text + head->text_len;
    for (size_t i = 0; i < name_len; i++) { /* lower case, as ASGI and HTTP/2 want it */
        char c = line[i];
        to[i] = (c >= 'A' && c <= 'Z') ? (char)(c + 32) : c;
    }
    to[name_len] = '\0';
    memcpy(to + name_len + 1, value, value_len);
    to[name_len + 1 + value_len] = '\0';
    head->text_len += name_len + value_len + 2;
    head->count++;
    if (name_len == 12 && memcmp(to, "content-type", 12) == 0) {
        self->event_stream = value_len >= 17 && strncasecmp(value, "text/event-stream", 17) == 0;
    }
}

static hw_head_t *collect_head(hw_thread_t *self, int status, bool with_content_type)
{
    zend_llist_position position;
    zend_llist *list = &SG(sapi_headers).headers;
    sapi_header_struct *header;
    sapi_header_struct content_type = {NULL, 0};
    size_t text_len = 0;
    if (with_content_type && SG(sapi_headers).send_default_content_type) {
        sapi_get_default_content_type_header(&content_type);
        text_len += content_type.header_len + 3;
    }
    for (header = zend_llist_get_first_ex(list, &position); header; header = zend_llist_get_next_ex(list, &position)) {
        text_len += header->header_len + 3;
    }
    hw_head_t *head = hw_head_new(status, text_len);
    if (head != NULL) {
        for (header = zend_llist_get_first_ex(list, &position); header;
             header = zend_llist_get_next_ex(list, &position)) {
            if (header->header_len > 0) {
                add_line(head, self, header->header, header->header_len);
            }
        }
        if (content_type.header != NULL) {
            add_line(head, self, content_type.header, content_type.header_len);
        }
    }
    if (content_type.header != NULL) {
        sapi_free_header(&content_type);
    }
    return head;
}

static int send_headers(sapi_headers_struct *headers)
{
    hw_thread_t *self = hw_self;
    if (self == NULL || self->request == NULL || hw_thread_is_outside(self) || hw_fork_is_child()) {
        return SAPI_HEADER_SENT_SUCCESSFULLY;
    }
    if (self->finished) {
        return SAPI_HEADER_SEND_FAILED;
    }
    int status = headers->http_response_code != 0 ? headers->http_response_code : 200;
    if (status < 200 || status > 599) {
        hw_log_printf(HW_LOG_WARN, self->request->id,
                      "the script set status %d, which cannot end a response: 500 was sent (allowed are 200 to 599)",
                      status);
        status = 500;
    }
    if (self->kill_status != 0) {
        status = self->kill_status; /* whatever a shutdown function has set */
    }
    hw_head_t *head = collect_head(self, status, true);
    if (head == NULL) {
        return SAPI_HEADER_SEND_FAILED;
    }
    hw_request_put_head(self->request, head);
    return SAPI_HEADER_SENT_SUCCESSFULLY;
}

bool hw_sapi_send_interim(int status)
{
    hw_thread_t *self = hw_self;
    if (self->finished || SG(headers_sent) || hw_thread_is_outside(self) || hw_fork_is_child()) {
        return false;
    }
    hw_head_t *head = collect_head(self, status, false);
    if (head == NULL) {
        return false;
    }
    hw_request_put_interim(self->request, head);
    return true;
}

void hw_sapi_fail_response(hw_thread_t *self)
{
    static const char text[] = "content-type\0text/plain; charset=utf-8";
    if (self->request->head_set || hw_thread_is_outside(self)) {
        return;
    }
    hw_head_t *head = hw_head_new(500, sizeof text);
    if (head != NULL) {
        memcpy(head->text, text, sizeof text);
        head->text_len = sizeof text;
        head->count = 1;
        hw_request_put_head(self->request, head);
    }
}

/* -- input -- */

static size_t read_post(char *buffer, size_t count)
{
    hw_thread_t *self = hw_self;
    if (self == NULL || self->request == NULL || hw_fork_is_child()) {
        return 0;
    }
    /* PHP takes a short read for the end of the body. */
    size_t total = 0;
    while (total < count) {
        size_t got = hw_request_read_body(self->request, buffer + total, count - total);
        if (got == 0) {
            break;
        }
        total += got;
    }
    return total;
}

static char *read_cookies(void)
{
    hw_thread_t *self = hw_self;
    if (self == NULL || self->request == NULL || self->request->cookie.len == 0) {
        return NULL;
    }
    return (char *)self->request->cookie.data; /* PHP copies it before it is changed */
}

static void register_server_variables(zval *array)
{
    hw_thread_t *self = hw_self;
    if (self != NULL && self->request != NULL) {
        hw_vars_register(self->request, array);
    }
}

static char *get_environment(const char *name, size_t name_len)
{
    return hw_env_get(name, name_len);
}

/* -- log -- */

static void log_message(const char *message, int syslog_type)
{
    static const char *const names[] = {"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"};
    static const int levels[] = {HW_LOG_ERROR, HW_LOG_ERROR, HW_LOG_ERROR, HW_LOG_ERROR,
                                 HW_LOG_WARN,  HW_LOG_INFO,  HW_LOG_INFO,  HW_LOG_DEBUG};
    char context[48];
    int type = syslog_type & 7;
    int n = snprintf(context, sizeof context, "{\"syslog_level\": \"%s\"}", names[type]);
    hw_thread_t *self = hw_self;
    uint64_t id = self != NULL && self->request != NULL ? self->request->id : 0;
    hw_log_put(levels[type], id, (hw_str_t){message, strlen(message)}, (hw_str_t){context, (size_t)n});
}

/* -- set-up -- */

void hw_sapi_set_ini_defaults(const hw_env_pair_t *pairs, size_t count)
{
    ini_defaults = pairs;
    n_ini_defaults = count;
}

static void apply_ini_defaults(HashTable *configuration)
{
    for (size_t i = 0; i < n_ini_defaults; i++) {
        zval value;
        ZVAL_NEW_STR(&value, zend_string_init(ini_defaults[i].value, ini_defaults[i].value_len, 1));
        zend_hash_str_update(configuration, ini_defaults[i].name, ini_defaults[i].name_len, &value);
    }
}

extern zend_module_entry hw_module_entry;

static int startup(sapi_module_struct *module)
{
#if PHP_VERSION_ID >= 80200
    return php_module_startup(module, &hw_module_entry);
#endif
}

static int deactivate(void)
{
    return SUCCESS;
}

void hw_sapi_bind(hw_request_t *request)
{
    sapi_request_info *info = &SG(request_info);
    hw_log_set_origin((int)hw_self->slot, request->site->document_root);
    SG(server_context) = request;
    SG(options) |= SAPI_OPTION_NO_CHDIR; /* see execute() in hw_thread.c */
    SG(sapi_headers).http_response_code = 200;
    info->request_method = request->method.data;
    info->query_string = (char *)request->query_string.data;
    info->request_uri = (char *)request->request_uri.data;
    info->path_translated = (char *)request->script_filename.data;
    info->content_type = request->content_type.data;
    info->content_length = (zend_long)request->content_length;
    info->auth_user = info->auth_password = info->auth_digest = NULL;
    if (request->authorization.len > 0) {
        php_handle_auth_data(request->authorization.data);
    }
}

void hw_sapi_unbind(void)
{
    sapi_request_info *info = &SG(request_info);
    hw_log_set_origin((int)hw_self->slot, (hw_str_t){NULL, 0});
    SG(server_context) = NULL;
    info->request_method = NULL;
    info->query_string = NULL;
    info->request_uri = NULL;
    info->path_translated = NULL;
    info->content_type = NULL;
    info->content_length = 0;
    /* auth_* were freed by sapi_deactivate(). */
}

sapi_module_struct hw_sapi_module = {
    .name = "frankenphp", /* OPcache starts only under names that it knows, and frameworks ask for this one */
    .pretty_name = "Howdah",
    .startup = startup,
    .shutdown = php_module_shutdown_wrapper,
    .deactivate = deactivate,
    .ub_write = ub_write,
    .flush = flush,
    .getenv = get_environment,
    .sapi_error = php_error,
    .send_headers = send_headers,
    .read_post = read_post,
    .read_cookies = read_cookies,
    .register_server_variables = register_server_variables,
    .log_message = log_message,
    .ini_defaults = apply_ini_defaults,
};
