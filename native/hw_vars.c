/* SPDX-License-Identifier: MIT */
#include "hw_vars.h"

#include <SAPI.h>
#include <php_variables.h>

#include <string.h>

#include "hw_env.h"

/* Every key that is set for each request. */
// clang-format off
#define HW_KEYS(X) \
    X(REMOTE_ADDR) X(REMOTE_HOST) X(REMOTE_PORT) X(REMOTE_IDENT) X(REMOTE_USER) \
    X(DOCUMENT_ROOT) X(DOCUMENT_URI) X(SCRIPT_NAME) X(SCRIPT_FILENAME) X(PATH_INFO) X(PATH_TRANSLATED) X(PHP_SELF) \
    X(REQUEST_URI) X(QUERY_STRING) X(REQUEST_METHOD) X(REQUEST_SCHEME) X(HTTPS) X(SSL_PROTOCOL) X(SSL_CIPHER) \
    X(SERVER_NAME) X(SERVER_PORT) X(SERVER_PROTOCOL) X(SERVER_SOFTWARE) X(GATEWAY_INTERFACE) \
    X(CONTENT_LENGTH) X(CONTENT_TYPE) X(AUTH_TYPE)
// clang-format on

typedef enum {
#define X(name) KEY_##name,
    HW_KEYS(X)
#undef X
        KEY_COUNT
} server_key_t;

static const char *const key_names[KEY_COUNT] = {
#define X(name) #name,
    HW_KEYS(X)
#undef X
};

static zend_string *keys[KEY_COUNT]; /* interned for the life of the engine; written in MINIT only */

void hw_vars_minit(void)
{
    for (int i = 0; i < KEY_COUNT; i++) {
        keys[i] = zend_string_init_interned(key_names[i], strlen(key_names[i]), 1);
    }
}

/* filter_input(INPUT_SERVER, ...) answers from what the input filter has seen, so every value passes it. */
static void set(HashTable *table, zend_string *key, const char *value, size_t len)
{
    zval item;
    if (sapi_module.input_filter != NULL) {
        char *filtered = estrndup(value, len);
        size_t filtered_len = len;
        if (!sapi_module.input_filter(PARSE_SERVER, ZSTR_VAL(key), &filtered, len, &filtered_len)) {
            efree(filtered);
            return;
        }
        ZVAL_STRINGL_FAST(&item, filtered, filtered_len);
        efree(filtered);
    } else {
        ZVAL_STRINGL_FAST(&item, value, len);
    }
    zend_hash_update(table, key, &item);
}

static void set_key(HashTable *table, server_key_t key, hw_str_t value)
{
    set(table, keys[key], value.data != NULL ? value.data : "", value.len);
}

static void set_text(HashTable *table, server_key_t key, const char *text)
{
    set(table, keys[key], text, strlen(text));
}

static void register_cgi(hw_request_t *request, HashTable *table)
{
    const hw_site_t *site = request->site;
    bool https = request->request_scheme.len == 5 && memcmp(request->request_scheme.data, "https", 5) == 0;
    set_key(table, KEY_REMOTE_ADDR, request->remote_addr);
    set_key(table, KEY_REMOTE_HOST, request->remote_addr);
    set_key(table, KEY_REMOTE_PORT, request->remote_port);
    set_key(table, KEY_DOCUMENT_ROOT, site->document_root);
    set_key(table, KEY_DOCUMENT_URI, request->document_uri);
    set_key(table, KEY_SCRIPT_NAME, request->script_name);
    set_key(table, KEY_SCRIPT_FILENAME, request->script_filename);
    set_key(table, KEY_PATH_INFO, request->path_info);
    if (request->path_info.len == 0) {
        set_key(table, KEY_PHP_SELF, request->script_name);
    } else {
        zend_string *self = zend_string_concat2(request->script_name.data, request->script_name.len,
                                                request->path_info.data, request->path_info.len);
        set(table, keys[KEY_PHP_SELF], ZSTR_VAL(self), ZSTR_LEN(self));
        zend_string_release(self);
    }
    set_key(table, KEY_REQUEST_URI, request->request_uri);
    set_key(table, KEY_REQUEST_SCHEME, request->request_scheme);
    set_text(table, KEY_HTTPS, https ? "on" : "");
    set_key(table, KEY_SSL_PROTOCOL, request->ssl_protocol);
    set_key(table, KEY_SSL_CIPHER, request->ssl_cipher);
    set_key(table, KEY_SERVER_NAME, request->server_name);
    set_key(table, KEY_SERVER_PORT, request->server_port);
    set_key(table, KEY_SERVER_PROTOCOL, request->server_protocol);
    set_key(table, KEY_SERVER_SOFTWARE, site->server_software);
    set_text(table, KEY_GATEWAY_INTERFACE, "CGI/1.1");
    set_key(table, KEY_CONTENT_LENGTH, request->content_length_text);
    set_text(table, KEY_AUTH_TYPE, "");
    set_text(table, KEY_REMOTE_IDENT, "");
}

/* Joins the values of all headers with this key, from number `first` on, by ", ". */
static zend_string *join_values(hw_request_t *request, size_t first)
{
    const hw_str_t key = request->headers[first].key;
    size_t len = 0;
    for (size_t i = first; i < request->n_headers; i++) {
        const hw_header_t *header = &request->headers[i];
        if (header->key.len == key.len && memcmp(header->key.data, key.data, key.len) == 0) {
            len += header->value.len + 2;
        }
    }
    zend_string *joined = zend_string_alloc(len, 0);
    char *to = ZSTR_VAL(joined);
    for (size_t i = first; i < request->n_headers; i++) {
        const hw_header_t *header = &request->headers[i];
        if (header->key.len == key.len && memcmp(header->key.data, key.data, key.len) == 0) {
            if (to != ZSTR_VAL(joined)) {
                memcpy(to, ", ", 2);
                to += 2;
            }
            memcpy(to, header->value.data, header->value.len);
            to += header->value.len;
        }
    }
    *to = '\0';
    ZSTR_LEN(joined) = (size_t)(to - ZSTR_VAL(joined));
    return joined;
}

/* Whether a later or an earlier header has the same key. */
static bool repeated(hw_request_t *request, size_t index, bool *earlier)
{
    const hw_str_t key = request->headers[index].key;
    bool found = false;
    *earlier = false;
    for (size_t i = 0; i < request->n_headers; i++) {
        const hw_header_t *header = &request->headers[i];
        if (i != index && header->key.len == key.len && memcmp(header->key.data, key.data, key.len) == 0) {
            found = true;
            if (i < index) {
                *earlier = true;
                break;
            }
        }
    }
    return found;
}

static void register_headers(hw_request_t *request, HashTable *table)
{
    for (size_t i = 0; i < request->n_headers; i++) {
        const hw_header_t *header = &request->headers[i];
        bool earlier;
        if (header->key.len == 0) {
            continue;
        }
        zend_string *key = zend_string_init(header->key.data, header->key.len, 0);
        if (!repeated(request, i, &earlier)) {
            set(table, key, header->value.data, header->value.len);
        } else if (!earlier) {
            zend_string *joined = join_values(request, i);
            set(table, key, ZSTR_VAL(joined), ZSTR_LEN(joined));
            zend_string_release(joined);
        }
        zend_string_release(key);
    }
}

void hw_vars_register(hw_request_t *request, zval *array)
{
    HashTable *table = Z_ARRVAL_P(array);
    zend_hash_extend(table, (uint32_t)(KEY_COUNT + request->n_headers + 48), 0);
    hw_env_import(table);
    register_cgi(request, table);
    register_headers(request, table);
    hw_env_import_prepared(table);
    set_key(table, KEY_CONTENT_TYPE, request->content_type);
    if (request->path_translated.len > 0) {
        set_key(table, KEY_PATH_TRANSLATED, request->path_translated);
    }
    set_key(table, KEY_QUERY_STRING, request->query_string);
    if (SG(request_info).auth_user != NULL) {
        set_text(table, KEY_REMOTE_USER, SG(request_info).auth_user);
    }
    set_key(table, KEY_REQUEST_METHOD, request->method);
}

/* "content-type" -> "Content-Type" */
static zend_string *canonical_name(hw_str_t name)
{
    zend_string *result = zend_string_init(name.data, name.len, 0);
    bool upper = true;
    for (size_t i = 0; i < name.len; i++) {
        char c = ZSTR_VAL(result)[i];
        ZSTR_VAL(result)[i] = (char)(upper ? zend_toupper_ascii(c) : zend_tolower_ascii(c));
        upper = c == '-';
    }
    return result;
}

void hw_vars_headers(hw_request_t *request, HashTable *into)
{
    for (size_t i = 0; i < request->n_headers; i++) {
        const hw_header_t *header = &request->headers[i];
        bool earlier;
        zval value;
        if (header->key.len == 0) {
            continue;
        }
        if (!repeated(request, i, &earlier)) {
            ZVAL_STRINGL(&value, header->value.data, header->value.len);
        } else if (!earlier) {
            ZVAL_STR(&value, join_values(request, i));
        } else {
            continue;
        }
        zend_string *name = canonical_name(header->name);
        zend_hash_update(into, name, &value);
        zend_string_release(name);
    }
}
