/* SPDX-License-Identifier: MIT */
#include <php.h>
#include <php_ini.h>
#include <php_main.h>
#include <SAPI.h>
#include <TSRM.h>
#include <zend_extensions.h>

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

#include "hw_baseline.h"
#include "hw_board.h"
#include "hw_engine.h"
#include "hw_env.h"
#include "hw_log.h"
#include "hw_pools.h"
#include "hw_port.h"
#include "hw_reset.h"
#include "hw_sapi.h"
#include "hw_spawn.h"
#include "hw_spool.h"
#include "hw_thread.h"
#include "hw_timer.h"

/* Exported by libphp but declared in none of its headers. */
extern PHPAPI char *php_ini_opened_path;
extern PHPAPI char *php_ini_scanned_files;

#if PHP_VERSION_ID < 80200
#error "Howdah needs PHP 8.2 or later"
#endif
#ifndef ZTS
#error "Howdah needs a thread-safe PHP: configure it with --enable-zts"
#endif
#ifdef ZEND_SIGNALS
#error "Howdah refuses a PHP with zend-signals: configure it with --disable-zend-signals"
#endif

typedef enum { NEW, STARTING, RUNNING, STOPPING, STOPPED, FAILED, DEAD } engine_state_t;
static const char *const state_names[] = {"new", "starting", "running", "stopping", "stopped", "failed", "dead"};

static struct {
    pthread_mutex_t lock;   /* guards state; the rest is written by start() before php-main exists, */
    pthread_cond_t changed; /* or by php-main before it changes the state */
    engine_state_t state;
    pthread_t thread;
    const hw_engine_options_t *options;
    const char *failure;
    hw_engine_facts_t facts;
    enum { ORDER_NONE, ORDER_INSPECT, ORDER_WIPE, ORDER_LIST, ORDER_FORGET, ORDER_DONE } order; /* for php-main; lock */
    char *text;                  /* of ORDER_LIST and ORDER_FORGET; lock */
    size_t text_len;             /* lock */
    bool order_succeeded;        /* lock */
    hw_opcache_status_t opcache; /* php-main until ORDER_DONE, lock */
} engine = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void set_state(engine_state_t state)
{
    pthread_mutex_lock(&engine.lock);
    engine.state = state;
    pthread_cond_broadcast(&engine.changed);
    pthread_mutex_unlock(&engine.lock);
}

/* OPcache and shared extensions find PHP's symbols only in the global namespace, but the extension was loaded into a
 * local one together with libphp. */
static bool make_symbols_global(void)
{
    Dl_info info;
    return dladdr((void *)php_request_startup, &info) != 0 &&
           dlopen(info.dli_fname, RTLD_NOLOAD | RTLD_GLOBAL | RTLD_NOW) != NULL;
}

static void stop_php(void)
{
    hw_thread_forget_error();
    hw_opcache_unguard();
    hw_sapi_module.shutdown(&hw_sapi_module);
    sapi_shutdown();
    tsrm_shutdown();
}

static const char *start_php(const hw_engine_options_t *options)
{
    if (!make_symbols_global()) {
        return "libphp could not be made visible to its extensions (dlopen failed)";
    }
#if PHP_VERSION_ID >= 80300
    php_tsrm_startup_ex((int)options->max_threads + 1);
#else
    php_tsrm_startup();
#endif
    hw_env_startup(options->environment);
    hw_sapi_set_ini_defaults(options->ini_defaults, options->n_ini_defaults);
    sapi_startup(&hw_sapi_module);
    hw_sapi_module.ini_entries = (char *)options->ini_entries; /* sapi_startup() has cleared it */
    if (hw_sapi_module.startup(&hw_sapi_module) != SUCCESS) {
        hw_sapi_module.ini_entries = NULL;
        sapi_shutdown();
        tsrm_shutdown();
        return "PHP's modules did not start";
    }
    hw_sapi_module.ini_entries = NULL; /* read by now; it belongs to the caller of start() */
    hw_reset_startup();
    hw_baseline_startup();
    const char *unguarded = hw_opcache_guard();
    if (unguarded != NULL) {
        stop_php();
        return unguarded;
    }
    engine.facts.opcache = zend_get_extension("Zend OPcache") != NULL && INI_BOOL("opcache.enable");
    engine.facts.memory_limit = INI_STR("memory_limit");
    engine.facts.ini_file = php_ini_opened_path;
    engine.facts.ini_scanned = php_ini_scanned_files;
    return NULL;
}

/* Under the lock, which is released while PHP works. */
static void carry_out_order(void)
{
    hw_opcache_status_t status = {0};
    int order = (int)engine.order;
    char *text = engine.text;
    size_t text_len = engine.text_len;
    bool succeeded = false;
    pthread_mutex_unlock(&engine.lock);
    if (order == ORDER_LIST) {
        succeeded = hw_opcache_list(&text, &text_len);
    } else if (order == ORDER_FORGET) {
        succeeded = hw_opcache_forget(text, text_len);
    } else {
        succeeded = order == ORDER_WIPE ? hw_opcache_wipe(&status) : hw_opcache_inspect(&status);
    }
    pthread_mutex_lock(&engine.lock);
    engine.text = text;
    engine.text_len = text_len;
    engine.opcache = status;
    engine.order_succeeded = succeeded;
    engine.order = ORDER_DONE;
    pthread_cond_broadcast(&engine.changed);
}

static void *main_thread(void *unused)
{
    (void)unused;
    hw_port_set_thread_name("php-main");
    sigset_t original;
    hw_port_block_signals(&original);
    hw_spawn_set_original_mask(&original);
    hw_spawn_startup();
    engine.failure = start_php(engine.options);
    if (engine.failure != NULL) {
        set_state(FAILED);
        return NULL;
    }
    set_state(RUNNING);
    pthread_mutex_lock(&engine.lock);
    while (engine.state == RUNNING) {
        if (engine.order != ORDER_NONE && engine.order != ORDER_DONE) {
            carry_out_order();
        } else {
            pthread_cond_wait(&engine.changed, &engine.lock);
        }
    }
    pthread_mutex_unlock(&engine.lock);
    hw_timer_delete();
    stop_php();
    return NULL;
}

const char *hw_engine_start(const hw_engine_options_t *options)
{
    pthread_mutex_lock(&engine.lock);
    if (engine.state != NEW && engine.state != STOPPED && engine.state != FAILED) {
        const char *reason = engine.state == DEAD ? "PHP cannot run in the child of a fork" : "PHP is running already";
        pthread_mutex_unlock(&engine.lock);
        return reason;
    }
    engine.state = STARTING;
    pthread_mutex_unlock(&engine.lock);
    engine.options = options;
    engine.failure = NULL;
    hw_board_init(options->max_threads);
    hw_log_set_level(options->log_level);
    if (hw_spool_configure(options->spool_dir, HW_SPOOL_MEMORY_BYTES, HW_SPOOL_FILE_BYTES, HW_SPOOL_TOTAL_BYTES) != 0) {
        set_state(FAILED);
        return "the path of the spool folder is too long (HOWDAH_SPOOL_DIR)";
    }
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, (size_t)8 * 1024 * 1024); /* preload scripts run here */
    int error = pthread_create(&engine.thread, &attributes, main_thread, NULL);
    pthread_attr_destroy(&attributes);
    if (error != 0) {
        set_state(FAILED);
        return "no thread could be created for PHP";
    }
    pthread_mutex_lock(&engine.lock);
    while (engine.state == STARTING) {
        pthread_cond_wait(&engine.changed, &engine.lock);
    }
    bool failed = engine.state == FAILED;
    pthread_mutex_unlock(&engine.lock);
    engine.options = NULL;
    if (failed) {
        pthread_join(engine.thread, NULL);
    }
    return engine.failure;
}

/* Under the lock: gives php-main an order and waits until it is carried out; one at a time. */
static bool give_order(int order, const char *text, size_t len)
{
    while (engine.state == RUNNING && engine.order != ORDER_NONE) {
        pthread_cond_wait(&engine.changed, &engine.lock);
    }
    if (engine.state != RUNNING) {
        return false;
    }
    engine.order = order;
    engine.text = (char *)text;
    engine.text_len = len;
    pthread_cond_broadcast(&engine.changed);
    while (engine.order != ORDER_DONE && engine.state == RUNNING) {
        pthread_cond_wait(&engine.changed, &engine.lock);
    }
    bool succeeded = engine.order == ORDER_DONE && engine.order_succeeded;
    engine.order = ORDER_NONE;
    pthread_cond_broadcast(&engine.changed);
    return succeeded;
}

bool hw_engine_opcache(bool wipe, hw_opcache_status_t *status)
{
    pthread_mutex_lock(&engine.lock);
    bool succeeded = give_order(wipe ? ORDER_WIPE : ORDER_INSPECT, NULL, 0);
    *status = engine.opcache;
    pthread_mutex_unlock(&engine.lock);
    return succeeded;
}

bool hw_engine_opcache_list(char **text, size_t *len)
{
    pthread_mutex_lock(&engine.lock);
    bool succeeded = give_order(ORDER_LIST, NULL, 0);
    *text = succeeded ? engine.text : NULL;
    *len = succeeded ? engine.text_len : 0;
    pthread_mutex_unlock(&engine.lock);
    return succeeded;
}

bool hw_engine_opcache_forget(const char *text, size_t len)
{
    pthread_mutex_lock(&engine.lock);
    bool succeeded = give_order(ORDER_FORGET, text, len);
    pthread_mutex_unlock(&engine.lock);
    return succeeded;
}

bool hw_engine_stop(void)
{
    pthread_mutex_lock(&engine.lock);
    bool running = engine.state == RUNNING;
    if (running) {
        engine.state = STOPPING;
        pthread_cond_broadcast(&engine.changed);
    }
    pthread_mutex_unlock(&engine.lock);
    if (!running) {
        return false;
    }
    pthread_join(engine.thread, NULL);
    set_state(STOPPED);
    return true;
}

const char *hw_engine_state(void)
{
    pthread_mutex_lock(&engine.lock);
    const char *name = state_names[engine.state];
    pthread_mutex_unlock(&engine.lock);
    return name;
}

void hw_engine_after_fork(void)
{
    /* The lock may have been held by a thread that does not exist here. */
    pthread_mutex_init(&engine.lock, NULL);
    pthread_cond_init(&engine.changed, NULL);
    if (engine.state != NEW) {
        engine.state = DEAD;
    }
}

void hw_engine_build(hw_engine_build_t *build)
{
    build->version = PHP_VERSION;
    build->version_id = PHP_VERSION_ID;
    build->zts = true;
    build->debug = ZEND_DEBUG != 0;
    build->zend_signals = false;
#ifdef ZEND_MAX_EXECUTION_TIMERS
    build->max_execution_timers = true;
#else
    build->max_execution_timers = false;
#endif
}

bool hw_engine_facts(hw_engine_facts_t *facts)
{
    *facts = engine.facts;
    return engine.state == RUNNING;
}
