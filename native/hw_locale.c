/* SPDX-License-Identifier: MIT */
#include "hw_locale.h"

#include <php.h>
#include <ext/standard/basic_functions.h>

#include <locale.h>
#include <string.h>

#include "hw_env.h"

#define NAME_SIZE 256

static const struct {
    int category;
    int mask;
    const char *name;
} categories[] = {
    {LC_CTYPE, LC_CTYPE_MASK, "LC_CTYPE"},
    {LC_NUMERIC, LC_NUMERIC_MASK, "LC_NUMERIC"},
    {LC_TIME, LC_TIME_MASK, "LC_TIME"},
    {LC_COLLATE, LC_COLLATE_MASK, "LC_COLLATE"},
    {LC_MONETARY, LC_MONETARY_MASK, "LC_MONETARY"},
    {LC_MESSAGES, LC_MESSAGES_MASK, "LC_MESSAGES"},
#ifdef LC_IDENTIFICATION_MASK /* glibc has more, and names all of them in an answer for LC_ALL */
    {LC_PAPER, LC_PAPER_MASK, "LC_PAPER"},
    {LC_NAME, LC_NAME_MASK, "LC_NAME"},
    {LC_ADDRESS, LC_ADDRESS_MASK, "LC_ADDRESS"},
    {LC_TELEPHONE, LC_TELEPHONE_MASK, "LC_TELEPHONE"},
    {LC_MEASUREMENT, LC_MEASUREMENT_MASK, "LC_MEASUREMENT"},
    {LC_IDENTIFICATION, LC_IDENTIFICATION_MASK, "LC_IDENTIFICATION"},
#endif
};
#define N_CATEGORIES ((int)(sizeof categories / sizeof *categories))

static locale_t base;                /* written in MINIT, constant afterwards */
static const char *base_ctype = "C"; /* name of its LC_CTYPE; written in MINIT */
static __thread locale_t own;        /* set by a script of the running request; 0 = the base is in force */
static __thread char names[N_CATEGORIES][NAME_SIZE]; /* what `own` is called, by category */

/* What boot has set in a worker; 0 = the base. */
static __thread locale_t kept;
static __thread char kept_names[N_CATEGORIES][NAME_SIZE];
static __thread bool changed_since; /* setlocale() has worked since it was taken or restored */

static const char *current_name(int index)
{
    if (own == (locale_t)0) {
        return index == 0 ? base_ctype : "C";
    }
    return names[index];
}

/* What the environment asks for (POSIX, "Environment Variables", 8.2). */
static const char *environment_name(int index)
{
    const char *const variables[] = {"LC_ALL", categories[index].name, "LANG"};
    for (int i = 0; i < 3; i++) {
        const char *value = hw_env_get(variables[i], strlen(variables[i]));
        if (value != NULL && *value != '\0') {
            return value;
        }
    }
    return "C";
}

static int find_category(zend_long category)
{
    for (int i = 0; i < N_CATEGORIES; i++) {
        if (categories[i].category == category) {
            return i;
        }
    }
    return -1;
}

/* The answer for a category; LC_ALL with different parts is written as the C library writes it. */
static zend_string *describe(zend_long category)
{
    if (category != LC_ALL) {
        int index = find_category(category);
        return index < 0 ? NULL : zend_string_init(current_name(index), strlen(current_name(index)), 0);
    }
    bool same = true;
    for (int i = 1; i < N_CATEGORIES; i++) {
        same = same && strcmp(current_name(0), current_name(i)) == 0;
    }
    if (same) {
        return zend_string_init(current_name(0), strlen(current_name(0)), 0);
    }
    char text[N_CATEGORIES * (NAME_SIZE + 16)];
    size_t len = 0;
    for (int i = 0; i < N_CATEGORIES; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%s=%s", i > 0 ? ";" : "", categories[i].name,
                                current_name(i));
    }
    return zend_string_init(text, len, 0);
}

/* What `wanted` asks for in one category: itself, the environment's choice when it is empty, or its part of what
 * describe() has written ("LC_CTYPE=a;LC_NUMERIC=b"), so that a script can go back to what it found. False when such
 * a list lacks the category or gives a name that is too long. */
static bool part_of(const char *wanted, int index, char name[NAME_SIZE])
{
    const char *part = *wanted == '\0' ? environment_name(index) : wanted;
    size_t len = strlen(part);
    if (strchr(part, ';') != NULL) {
        size_t key_len = strlen(categories[index].name);
        while (strncmp(part, categories[index].name, key_len) != 0 || part[key_len] != '=') {
            part = strchr(part, ';');
            if (part == NULL) {
                return false;
            }
            part++;
        }
        part += key_len + 1;
        len = strcspn(part, ";");
    }
    if (len >= NAME_SIZE) {
        return false;
    }
    snprintf(name, NAME_SIZE, "%.*s", (int)len, part);
    if (strcmp(name, "POSIX") == 0) {
        strcpy(name, "C"); /* so the C library calls it */
    }
    return true;
}

/* Changes the categories that `category` stands for; all or none. */
static bool apply(zend_long category, const char *wanted)
{
    locale_t changed = duplocale(own != (locale_t)0 ? own : base);
    char changed_names[N_CATEGORIES][NAME_SIZE];
    if (changed == (locale_t)0) {
        return false;
    }
    for (int i = 0; i < N_CATEGORIES; i++) {
        snprintf(changed_names[i], NAME_SIZE, "%s", current_name(i));
        if (category != LC_ALL && categories[i].category != category) {
            continue;
        }
        locale_t next = (locale_t)0;
        if (part_of(wanted, i, changed_names[i])) {
            next = newlocale(categories[i].mask, changed_names[i], changed);
        }
        if (next == (locale_t)0) {
            freelocale(changed);
            return false;
        }
        changed = next;
    }
    uselocale(changed);
    if (own != (locale_t)0) {
        freelocale(own);
    }
    own = changed;
    memcpy(names, changed_names, sizeof names);
    changed_since = true;
    return true;
}

/* What PHP keeps about the character set, here and in pcre. */
static void note_ctype(void)
{
    zend_update_current_locale();
    if (BG(ctype_string) != NULL) {
        zend_string_release_ex(BG(ctype_string), 0);
        BG(ctype_string) = NULL;
    }
    const char *name = current_name(0);
    if (own != (locale_t)0 && strcmp(name, "C") != 0) {
        BG(ctype_string) = zend_string_init(name, strlen(name), 0);
    }
}

/* One candidate. NULL when it does not work, or with an exception. */
static zend_string *try_locale(zend_long category, zval *candidate)
{
    zend_string *temporary;
    zend_string *name = zval_try_get_tmp_string(candidate, &temporary);
    zend_string *result = NULL;
    if (name == NULL) {
        return NULL;
    }
    if (zend_string_equals_literal(name, "0")) {
        result = describe(category);
    } else if (ZSTR_LEN(name) >= NAME_SIZE - 1 && strchr(ZSTR_VAL(name), ';') == NULL) {
        php_error_docref(NULL, E_WARNING, "Specified locale name is too long");
    } else if ((category == LC_ALL || find_category(category) >= 0) && apply(category, ZSTR_VAL(name))) {
        if (category == LC_ALL || category == LC_CTYPE) {
            note_ctype();
        }
        result = describe(category);
    }
    zend_tmp_string_release(temporary);
    return result;
}

static ZEND_NAMED_FUNCTION(locale_setlocale)
{
    zend_long category;
    zval *candidates = NULL;
    uint32_t count = 0;
    ZEND_PARSE_PARAMETERS_START(2, -1)
    Z_PARAM_LONG(category)
    Z_PARAM_VARIADIC('+', candidates, count)
    ZEND_PARSE_PARAMETERS_END();
    for (uint32_t i = 0; i < count; i++) {
        zend_string *result = NULL;
        if (Z_TYPE(candidates[i]) == IS_ARRAY) {
            zval *element;
            ZEND_HASH_FOREACH_VAL(Z_ARRVAL(candidates[i]), element)
            {
                result = try_locale(category, element);
                if (result != NULL || EG(exception)) {
                    break;
                }
            }
            ZEND_HASH_FOREACH_END();
        } else {
            result = try_locale(category, &candidates[i]);
        }
        if (EG(exception)) {
            RETURN_THROWS();
        }
        if (result != NULL) {
            RETURN_STR(result);
        }
    }
    RETURN_FALSE;
}

void hw_locale_minit(void)
{
    base = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    locale_t with_utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", base);
    if (with_utf8 != (locale_t)0) {
        base = with_utf8;
        base_ctype = "C.UTF-8"; /* what PHP itself starts with since 8.1 */
    }
    zend_function *function = zend_hash_str_find_ptr(CG(function_table), "setlocale", strlen("setlocale"));
    if (function != NULL && function->type == ZEND_INTERNAL_FUNCTION) {
        function->internal_function.handler = locale_setlocale;
    }
}

void hw_locale_thread_begin(void)
{
    if (base != (locale_t)0) {
        uselocale(base);
    }
}

void hw_locale_baseline_take(void)
{
    kept = own != (locale_t)0 ? duplocale(own) : (locale_t)0;
    memcpy(kept_names, names, sizeof kept_names);
    changed_since = false;
}

void hw_locale_baseline_restore(void)
{
    if (!changed_since) {
        return;
    }
    locale_t wanted = kept != (locale_t)0 ? duplocale(kept) : (locale_t)0;
    uselocale(wanted != (locale_t)0 ? wanted : base);
    if (own != (locale_t)0) {
        freelocale(own);
    }
    own = wanted;
    memcpy(names, kept_names, sizeof names);
    changed_since = false;
    note_ctype();
}

void hw_locale_baseline_forget(void)
{
    if (kept != (locale_t)0) {
        freelocale(kept);
        kept = (locale_t)0;
    }
}

void hw_locale_request_end(void)
{
    if (own == (locale_t)0) {
        return;
    }
    uselocale(base);
    freelocale(own);
    own = (locale_t)0;
    note_ctype();
}

void hw_locale_thread_end(void)
{
    uselocale(LC_GLOBAL_LOCALE);
    if (own != (locale_t)0) { /* a bail-out skipped the end of the request */
        freelocale(own);
        own = (locale_t)0;
    }
}
