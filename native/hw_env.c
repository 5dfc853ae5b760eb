/* SPDX-License-Identifier: MIT */
#include "hw_env.h"

#include <php_variables.h>

#include <string.h>

/* The snapshot; written by php-main before module startup and in MINIT, constant afterwards. */
static hw_env_pair_t *snapshot;
static size_t n_snapshot;
static HashTable snapshot_table; /* interned keys and values, so that copying it counts no references */
static bool table_ready;

/* The layers of the running request. */
static __thread const hw_env_pair_t *site_layer, *request_layer, *worker_layer;
static __thread size_t n_site_layer, n_request_layer, n_worker_layer;
static __thread HashTable *putenv_layer;      /* persistent strings; NULL value = unset. NULL table = no putenv() yet */
static __thread HashTable *baseline;          /* of putenv(), a table of the same kind */
static __thread bool baseline_taken, touched; /* putenv() was called since the baseline was taken or restored */

void hw_env_startup(char *const *environment)
{
    if (snapshot != NULL) {
        return; /* a second start of the engine keeps the first snapshot */
    }
    size_t count = 0;
    while (environment != NULL && environment[count] != NULL) {
        count++;
    }
    snapshot = calloc(count + 1, sizeof *snapshot);
    for (size_t i = 0; snapshot != NULL && i < count; i++) {
        const char *equals = strchr(environment[i], '=');
        if (equals == NULL || equals == environment[i]) {
            continue;
        }
        hw_env_pair_t *pair = &snapshot[n_snapshot];
        pair->name_len = (size_t)(equals - environment[i]);
        pair->name = strndup(environment[i], pair->name_len);
        pair->value = strdup(equals + 1);
        if (pair->name != NULL && pair->value != NULL) {
            pair->value_len = strlen(pair->value);
            n_snapshot++;
        }
    }
}

/* PHP imports no name that it would have to mangle (main/php_variables.c). */
static bool importable(const hw_env_pair_t *pair)
{
    return strpbrk(pair->name, " .[") == NULL;
}

static const hw_env_pair_t *find_pair(const hw_env_pair_t *pairs, size_t count, const char *name, size_t name_len)
{
    for (size_t i = 0; i < count; i++) {
        if (pairs[i].name_len == name_len && memcmp(pairs[i].name, name, name_len) == 0) {
            return &pairs[i];
        }
    }
    return NULL;
}

/* The value below the putenv() layer. */
static const hw_env_pair_t *find_below(const char *name, size_t name_len)
{
    const hw_env_pair_t *found = find_pair(request_layer, n_request_layer, name, name_len);
    if (found == NULL) {
        found = find_pair(site_layer, n_site_layer, name, name_len);
    }
    if (found == NULL) {
        found = find_pair(worker_layer, n_worker_layer, name, name_len);
    }
    return found != NULL ? found : find_pair(snapshot, n_snapshot, name, name_len);
}

char *hw_env_get(const char *name, size_t name_len)
{
    zval *own = putenv_layer != NULL ? zend_hash_str_find(putenv_layer, name, name_len) : NULL;
    if (own != NULL) {
        return Z_TYPE_P(own) == IS_STRING ? Z_STRVAL_P(own) : NULL;
    }
    const hw_env_pair_t *pair = find_below(name, name_len);
    return pair != NULL ? (char *)pair->value : NULL;
}

void hw_env_request_begin(const hw_env_pair_t *site_env, size_t n_site, const hw_env_pair_t *request_env,
                          size_t n_request)
{
    site_layer = site_env;
    n_site_layer = n_site;
    request_layer = request_env;
    n_request_layer = n_request;
}

static void drop_table(HashTable **table)
{
    if (*table != NULL) {
        zend_hash_destroy(*table);
        free(*table);
        *table = NULL;
    }
}

void hw_env_request_end(void)
{
    site_layer = request_layer = NULL;
    n_site_layer = n_request_layer = 0;
    drop_table(&putenv_layer);
}

void hw_env_worker_begin(const hw_env_pair_t *env, size_t count)
{
    worker_layer = env;
    n_worker_layer = count;
}

void hw_env_worker_end(void)
{
    worker_layer = NULL;
    n_worker_layer = 0;
}

static void drop_persistent(zval *value)
{
    if (Z_TYPE_P(value) == IS_STRING) {
        zend_string_release_ex(Z_STR_P(value), 1);
    }
}

static HashTable *new_table(void)
{
    HashTable *table = malloc(sizeof *table);
    if (table != NULL) {
        zend_hash_init(table, 8, NULL, drop_persistent, 1);
    }
    return table;
}

static HashTable *copy_table(HashTable *from)
{
    HashTable *table = from != NULL ? new_table() : NULL;
    zend_string *name;
    zval *value;
    if (table == NULL) {
        return NULL;
    }
    ZEND_HASH_FOREACH_STR_KEY_VAL(from, name, value)
    {
        zval copy;
        ZVAL_NULL(&copy);
        if (Z_TYPE_P(value) == IS_STRING) {
            ZVAL_STR(&copy, zend_string_init(Z_STRVAL_P(value), Z_STRLEN_P(value), 1));
        }
        zend_hash_str_update(table, ZSTR_VAL(name), ZSTR_LEN(name), &copy);
    }
    ZEND_HASH_FOREACH_END();
    return table;
}

void hw_env_baseline_take(void)
{
    drop_table(&baseline);
    baseline = copy_table(putenv_layer);
    baseline_taken = true;
    touched = false;
}

void hw_env_baseline_restore(void)
{
    if (baseline_taken && touched) {
        drop_table(&putenv_layer);
        putenv_layer = copy_table(baseline);
        touched = false;
    }
}

void hw_env_baseline_forget(void)
{
    drop_table(&baseline);
    baseline_taken = false;
}

static void import_pairs(HashTable *target, const hw_env_pair_t *pairs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        zval value;
        ZVAL_STRINGL(&value, pairs[i].value, pairs[i].value_len);
        zend_symtable_str_update(target, pairs[i].name, pairs[i].name_len, &value);
    }
}

void hw_env_import(HashTable *target)
{
    if (table_ready) {
        zend_hash_copy(target, &snapshot_table, NULL);
    }
}

void hw_env_import_prepared(HashTable *target)
{
    import_pairs(target, site_layer, n_site_layer);
    import_pairs(target, request_layer, n_request_layer);
}

void hw_env_all(HashTable *target)
{
    zend_string *name;
    zval *value;
    hw_env_import(target);
    import_pairs(target, worker_layer, n_worker_layer);
    hw_env_import_prepared(target);
    if (putenv_layer == NULL) {
        return;
    }
    ZEND_HASH_FOREACH_STR_KEY_VAL(putenv_layer, name, value)
    {
        if (Z_TYPE_P(value) == IS_STRING) {
            zval copy;
            ZVAL_STRINGL(&copy, Z_STRVAL_P(value), Z_STRLEN_P(value));
            zend_symtable_str_update(target, ZSTR_VAL(name), ZSTR_LEN(name), &copy);
        } else {
            zend_hash_str_del(target, ZSTR_VAL(name), ZSTR_LEN(name));
        }
    }
    ZEND_HASH_FOREACH_END();
}

void hw_env_each_original(void (*visit)(const char *name, const char *value, void *data), void *data)
{
    for (size_t i = 0; i < n_snapshot; i++) {
        visit(snapshot[i].name, snapshot[i].value, data);
    }
}

bool hw_env_differs(void)
{
    return n_site_layer > 0 || n_request_layer > 0 || n_worker_layer > 0 || putenv_layer != NULL;
}

void hw_env_each_difference(void (*visit)(const char *name, const char *value, void *data), void *data)
{
    zend_string *name;
    zval *value;
    for (size_t i = 0; i < n_worker_layer; i++) {
        visit(worker_layer[i].name, worker_layer[i].value, data);
    }
    for (size_t i = 0; i < n_site_layer; i++) {
        visit(site_layer[i].name, site_layer[i].value, data);
    }
    for (size_t i = 0; i < n_request_layer; i++) {
        visit(request_layer[i].name, request_layer[i].value, data);
    }
    if (putenv_layer == NULL) {
        return;
    }
    ZEND_HASH_FOREACH_STR_KEY_VAL(putenv_layer, name, value)
    {
        visit(ZSTR_VAL(name), Z_TYPE_P(value) == IS_STRING ? Z_STRVAL_P(value) : NULL, data);
    }
    ZEND_HASH_FOREACH_END();
}

/* -- PHP's functions -- */

static ZEND_NAMED_FUNCTION(env_getenv)
{
    char *name = NULL;
    size_t name_len;
    bool local_only = false; /* there is no other source than ours */
    ZEND_PARSE_PARAMETERS_START(0, 2)
    Z_PARAM_OPTIONAL
    Z_PARAM_STRING_OR_NULL(name, name_len)
    Z_PARAM_BOOL(local_only)
    ZEND_PARSE_PARAMETERS_END();
    (void)local_only;
    if (name == NULL) {
        array_init(return_value);
        hw_env_all(Z_ARRVAL_P(return_value));
        return;
    }
    const char *value = hw_env_get(name, strlen(name)); /* cut at NUL, as the C library would */
    if (value == NULL) {
        RETURN_FALSE;
    }
    RETURN_STRING(value);
}

static ZEND_NAMED_FUNCTION(env_putenv)
{
    char *setting;
    size_t setting_len;
    zval value;
    ZEND_PARSE_PARAMETERS_START(1, 1)
    Z_PARAM_STRING(setting, setting_len)
    ZEND_PARSE_PARAMETERS_END();
    if (setting_len == 0 || setting[0] == '=') {
        zend_argument_value_error(1, "must have a valid syntax");
        RETURN_THROWS();
    }
    setting_len = strlen(setting);
    if (putenv_layer == NULL) {
        putenv_layer = new_table();
        if (putenv_layer == NULL) {
            RETURN_FALSE;
        }
    }
    touched = true;
    const char *equals = memchr(setting, '=', setting_len);
    size_t name_len = equals != NULL ? (size_t)(equals - setting) : setting_len;
    if (equals != NULL) {
        ZVAL_STR(&value, zend_string_init(equals + 1, setting_len - name_len - 1, 1));
    } else {
        ZVAL_NULL(&value);
    }
    zend_hash_str_update(putenv_layer, setting, name_len, &value);
    RETURN_TRUE;
}

static void replace(const char *name, zif_handler handler)
{
    zend_function *function = zend_hash_str_find_ptr(CG(function_table), name, strlen(name));
    if (function != NULL && function->type == ZEND_INTERNAL_FUNCTION) {
        function->internal_function.handler = handler;
    }
}

static void import_all(zval *array)
{
    hw_env_import(Z_ARRVAL_P(array));
    hw_env_import_prepared(Z_ARRVAL_P(array));
}

void hw_env_minit(void)
{
    zend_hash_init(&snapshot_table, (uint32_t)n_snapshot, NULL, NULL, 1);
    for (size_t i = 0; i < n_snapshot; i++) {
        zval value;
        if (importable(&snapshot[i])) {
            ZVAL_INTERNED_STR(&value, zend_string_init_interned(snapshot[i].value, snapshot[i].value_len, 1));
            zend_string *name = zend_string_init_interned(snapshot[i].name, snapshot[i].name_len, 1);
            zend_symtable_update(&snapshot_table, name, &value);
        }
    }
    table_ready = true;
    php_import_environment_variables = import_all; /* fills $_ENV */
    replace("getenv", env_getenv);
    replace("putenv", env_putenv);
}

void hw_env_mshutdown(void)
{
    table_ready = false;
    zend_hash_destroy(&snapshot_table);
}
