/* SPDX-License-Identifier: MIT */
#include "hw_spawn.h"

#include <php.h>
#include <zend_smart_str.h>

#include <ctype.h>
#include <string.h>

#include "hw_env.h"
#include "hw_fork.h"
#include "hw_port.h"

static sigset_t original_mask; /* written by php-main before module startup */

/* The functions that start programs, and their own handlers; written in MINIT. */
typedef struct {
    const char *name;
    bool is_shell; /* the first argument is a shell command */
    zif_handler original;
} spawner_t;

static spawner_t spawners[] = {
    {"exec", true, NULL},  {"system", true, NULL}, {"passthru", true, NULL},      {"shell_exec", true, NULL},
    {"popen", true, NULL}, {"mail", false, NULL},  {"mb_send_mail", false, NULL},
};
#define N_SPAWNERS (sizeof spawners / sizeof *spawners)

static zend_internal_function proc_open_original; /* a copy, so that it can be called with more arguments */

static void ignore_signal(int signal_number)
{
    (void)signal_number;
}

void hw_spawn_set_original_mask(const sigset_t *mask)
{
    original_mask = *mask;
}

/* -- fork -- */

static __thread bool fork_is_guarded;
static __thread sigset_t mask_before_fork;

static void before_fork(void)
{
    if (fork_is_guarded) {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &mask_before_fork);
    }
}

static void after_fork_in_parent(void)
{
    if (fork_is_guarded) {
        pthread_sigmask(SIG_SETMASK, &mask_before_fork, NULL);
    }
}

/* Runs in the child before anything else; only async-signal-safe calls. Handlers of the server would write into what
 * parent and child share. Two stay, for a child that goes on with its script; exec() drops them anyway: that of PHP's
 * timer, without which a time limit kills without a word, and the empty one of SIGPIPE. */
static void after_fork_in_child(void)
{
    struct sigaction action;
    if (!fork_is_guarded) {
        return;
    }
    for (int number = 1; number < NSIG; number++) {
        if (number == HW_TIMER_SIGNAL || number == SIGPIPE) {
            continue;
        }
        if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN) {
            action.sa_handler = SIG_DFL;
            action.sa_flags = 0;
            sigaction(number, &action, NULL);
        }
    }
    pthread_sigmask(SIG_SETMASK, &original_mask, NULL);
}

void hw_spawn_guard_fork(bool on)
{
    fork_is_guarded = on;
}

void hw_spawn_startup(void)
{
    static bool registered;
    if (!registered) {
        registered = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) == 0;
    }
    static const int ignored_by_python[] = {SIGPIPE, SIGXFSZ};
    for (size_t i = 0; i < sizeof ignored_by_python / sizeof *ignored_by_python; i++) {
        struct sigaction now;
        if (sigaction(ignored_by_python[i], NULL, &now) == 0 && now.sa_handler == SIG_IGN) {
            struct sigaction replacement = {.sa_handler = ignore_signal, .sa_flags = SA_RESTART};
            sigemptyset(&replacement.sa_mask);
            sigaction(ignored_by_python[i], &replacement, NULL);
        }
    }
}

/* -- the environment -- */

static bool is_shell_name(const char *name)
{
    if (!isalpha((unsigned char)*name) && *name != '_') {
        return false;
    }
    while (isalnum((unsigned char)*name) || *name == '_') {
        name++;
    }
    return *name == '\0';
}

static void add_export(const char *name, const char *value, void *data)
{
    smart_str *prefix = data;
    if (!is_shell_name(name)) {
        return; /* the shell could not hold it */
    }
    if (value == NULL) {
        smart_str_appends(prefix, "unset ");
        smart_str_appends(prefix, name);
    } else {
        smart_str_appends(prefix, "export ");
        smart_str_appends(prefix, name);
        smart_str_appends(prefix, "='");
        for (const char *c = value; *c != '\0'; c++) {
            if (*c == '\'') {
                smart_str_appends(prefix, "'\\''");
            } else {
                smart_str_appendc(prefix, *c);
            }
        }
        smart_str_appendc(prefix, '\'');
    }
    smart_str_appends(prefix, "; ");
}

/* Puts the exports before the shell command in argument 1. An empty command stays one: PHP refuses it. */
static void prefix_command(zend_execute_data *execute_data)
{
    zval *command = ZEND_CALL_NUM_ARGS(execute_data) > 0 ? ZEND_CALL_ARG(execute_data, 1) : NULL;
    if (command == NULL || Z_TYPE_P(command) != IS_STRING || Z_STRLEN_P(command) == 0 || !hw_env_differs()) {
        return;
    }
    smart_str text = {0};
    hw_env_each_difference(add_export, &text);
    smart_str_append(&text, Z_STR_P(command));
    smart_str_0(&text);
    zval_ptr_dtor(command);
    ZVAL_STR(command, text.s);
}

/* -- the signal mask --------------------------------------------------------------------------------------------------
 */

/* The kernel gives process-wide signals to the main thread while that does not block them, so unblocking them here
 * for the length of a call takes none away. */
static void call_unmasked(zif_handler handler, INTERNAL_FUNCTION_PARAMETERS)
{
    sigset_t own;
    volatile bool bailed_out = false;
    hw_spawn_guard_fork(true); /* proc_open() forks; the others use posix_spawn(), which only inherits the mask */
    pthread_sigmask(SIG_SETMASK, &original_mask, &own);
    zend_try
    {
        handler(INTERNAL_FUNCTION_PARAM_PASSTHRU);
    }
    zend_catch
    {
        bailed_out = true;
    }
    zend_end_try();
    pthread_sigmask(SIG_SETMASK, &own, NULL);
    hw_spawn_guard_fork(false);
    if (bailed_out) {
        zend_bailout();
    }
}

static ZEND_NAMED_FUNCTION(spawn)
{
    const char *name = ZSTR_VAL(EX(func)->common.function_name);
    for (size_t i = 0; i < N_SPAWNERS; i++) {
        if (strcmp(name, spawners[i].name) == 0) {
            if (spawners[i].is_shell) {
                prefix_command(execute_data);
            }
            call_unmasked(spawners[i].original, INTERNAL_FUNCTION_PARAM_PASSTHRU);
            return;
        }
    }
}

static void collect(const char *name, const char *value, void *data)
{
    if (value == NULL) {
        zend_hash_str_del(data, name, strlen(name));
        return;
    }
    zval entry;
    ZVAL_STR(&entry, zend_string_concat3(name, strlen(name), "=", 1, value, strlen(value)));
    zend_hash_str_update(data, name, strlen(name), &entry);
}

/* The environment as a list of "name=value": proc_open() drops variables with an empty value from a map. */
static void list_environment(zval *list)
{
    HashTable by_name;
    zval *entry;
    zend_hash_init(&by_name, 64, NULL, ZVAL_PTR_DTOR, 0);
    hw_env_each_original(collect, &by_name);
    hw_env_each_difference(collect, &by_name);
    array_init_size(list, zend_hash_num_elements(&by_name));
    ZEND_HASH_FOREACH_VAL(&by_name, entry)
    {
        Z_ADDREF_P(entry);
        zend_hash_next_index_insert(Z_ARRVAL_P(list), entry);
    }
    ZEND_HASH_FOREACH_END();
    zend_hash_destroy(&by_name);
}

/* proc_open() takes the environment as its fifth argument; null means that of the process. */
static void proc_open_with_environment(INTERNAL_FUNCTION_PARAMETERS)
{
    zval arguments[6];
    uint32_t given = ZEND_CALL_NUM_ARGS(execute_data);
    for (uint32_t i = 0; i < 6; i++) {
        if (i < given) {
            ZVAL_COPY_VALUE(&arguments[i], ZEND_CALL_ARG(execute_data, i + 1));
        } else {
            ZVAL_NULL(&arguments[i]);
        }
    }
    list_environment(&arguments[4]);
    zend_call_known_function((zend_function *)&proc_open_original, NULL, NULL, return_value, 6, arguments, NULL);
    zval_ptr_dtor(&arguments[4]);
}

static ZEND_NAMED_FUNCTION(spawn_proc_open)
{
    uint32_t given = ZEND_CALL_NUM_ARGS(execute_data);
    bool has_environment = given >= 5 && Z_TYPE_P(ZEND_CALL_ARG(execute_data, 5)) != IS_NULL;
    bool usable = given >= 3 && given <= 6;
    zif_handler handler =
        usable && !has_environment && hw_env_differs() ? proc_open_with_environment : proc_open_original.handler;
    call_unmasked(handler, INTERNAL_FUNCTION_PARAM_PASSTHRU);
}

/* -- what cannot work in a server -- */

static struct {
    const char *name;
    zif_handler original; /* written in MINIT */
} refused[] = {
    {"pcntl_signal", NULL},      {"pcntl_alarm", NULL},        {"pcntl_sigprocmask", NULL},
    {"pcntl_sigwaitinfo", NULL}, {"pcntl_sigtimedwait", NULL}, {"pcntl_exec", NULL},
};
#define N_REFUSED (sizeof refused / sizeof *refused)

/* A child of pcntl_fork() is a process of its own, so there they work. */
static ZEND_NAMED_FUNCTION(refuse_signal_function)
{
    if (hw_fork_is_child()) {
        const char *name = ZSTR_VAL(EX(func)->common.function_name);
        for (size_t i = 0; i < N_REFUSED; i++) {
            if (strcmp(name, refused[i].name) == 0) {
                refused[i].original(INTERNAL_FUNCTION_PARAM_PASSTHRU);
            }
        }
        return;
    }
    php_error_docref(
        NULL, E_WARNING,
        "is not available under HTTP: signals and programs belong to the server process, not to a request");
    RETURN_FALSE;
}

static zend_internal_function *find_function(const char *name)
{
    zend_function *function = zend_hash_str_find_ptr(CG(function_table), name, strlen(name));
    return function != NULL && function->type == ZEND_INTERNAL_FUNCTION ? &function->internal_function : NULL;
}

void hw_spawn_minit(void)
{
    for (size_t i = 0; i < N_SPAWNERS; i++) {
        zend_internal_function *function = find_function(spawners[i].name);
        if (function != NULL) {
            spawners[i].original = function->handler;
            function->handler = spawn;
        }
    }
    zend_internal_function *proc_open = find_function("proc_open");
    if (proc_open != NULL) {
        proc_open_original = *proc_open;
        proc_open->handler = spawn_proc_open;
    }
    for (size_t i = 0; i < N_REFUSED; i++) {
        zend_internal_function *function = find_function(refused[i].name);
        if (function != NULL) {
            refused[i].original = function->handler;
            function->handler = refuse_signal_function;
            function->fn_flags &= ~(uint32_t)ZEND_ACC_HAS_RETURN_TYPE; /* false is not in all of their types */
        }
    }
}
