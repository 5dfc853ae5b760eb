/* SPDX-License-Identifier: MIT */
/* The module howdah._native: functions over the engine, OPcache, the log. State is per module object. */
#include "hw_types.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "hw_access.h"
#include "hw_board.h"
#include "hw_body.h"
#include "hw_control.h"
#include "hw_engine.h"
#include "hw_entry.h"
#include "hw_kill.h"
#include "hw_log.h"
#include "hw_pools.h"
#include "hw_port.h"
#include "hw_spool.h"
#include "hw_thread.h"

extern char **environ;

/* -- engine -- */
static PyObject *build_info(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    hw_engine_build_t build;
    hw_engine_build(&build);
    return Py_BuildValue("{s:s,s:i,s:O,s:O,s:O,s:O}", "php_version", build.version, "php_version_id", build.version_id,
                         "zts", build.zts ? Py_True : Py_False, "debug", build.debug ? Py_True : Py_False,
                         "zend_signals", build.zend_signals ? Py_True : Py_False, "max_execution_timers",
                         build.max_execution_timers ? Py_True : Py_False);
}

/* Pairs of bytes, borrowed from the sequence. */
static hw_env_pair_t *borrow_pairs(PyObject *sequence, size_t *count)
{
    Py_ssize_t n = PyTuple_Check(sequence) ? PyTuple_GET_SIZE(sequence) : -1;
    hw_env_pair_t *pairs = n >= 0 ? calloc((size_t)n + 1, sizeof *pairs) : NULL;
    for (Py_ssize_t i = 0; pairs != NULL && i < n; i++) {
        char *name, *value;
        Py_ssize_t name_len, value_len;
        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(sequence, i), "y#y#", &name, &name_len, &value, &value_len)) {
            free(pairs);
            return NULL;
        }
        pairs[i] = (hw_env_pair_t){name, (size_t)name_len, value, (size_t)value_len};
    }
    if (pairs == NULL && !PyErr_Occurred()) {
        PyErr_SetString(PyExc_TypeError, "ini_defaults must be a tuple of (bytes, bytes)");
    }
    *count = n > 0 ? (size_t)n : 0;
    return pairs;
}

static PyObject *start(PyObject *module, PyObject *args)
{
    const char *ini_entries, *spool_dir;
    PyObject *defaults;
    unsigned max_threads;
    Py_ssize_t max_queue;
    int log_level;
    (void)module;
    if (!PyArg_ParseTuple(args, "yOInyi:start", &ini_entries, &defaults, &max_threads, &max_queue, &spool_dir,
                          &log_level)) {
        return NULL;
    }
    hw_engine_options_t options = {.ini_entries = ini_entries,
                                   .max_threads = max_threads,
                                   .spool_dir = spool_dir,
                                   .log_level = log_level,
                                   .environment = environ};
    hw_env_pair_t *pairs = borrow_pairs(defaults, &options.n_ini_defaults);
    if (pairs == NULL) {
        return NULL;
    }
    options.ini_defaults = pairs;
    hw_log_open();
    const char *failure;
    Py_BEGIN_ALLOW_THREADS failure = hw_engine_start(&options);
    Py_END_ALLOW_THREADS free(pairs);
    if (failure != NULL) {
        PyErr_SetString(PyExc_RuntimeError, failure);
        return NULL;
    }
    return hw_pools_open((size_t)max_queue, hw_board_size()) == HW_POOL_REGULAR ? Py_NewRef(Py_None) : PyErr_NoMemory();
}

static PyObject *stop(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    bool stopped;
    for (unsigned pool = 0; pool < hw_pools_end(); pool++) {
        hw_pools_free(pool); /* the GIL makes sure that nobody is inside a push */
    }
    Py_BEGIN_ALLOW_THREADS stopped = hw_engine_stop();
    Py_END_ALLOW_THREADS return PyBool_FromLong(stopped);
}

static PyObject *state_name(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return PyUnicode_FromString(hw_engine_state());
}

static PyObject *facts(PyObject *module, PyObject *unused)
{
    hw_engine_facts_t found;
    (void)module;
    (void)unused;
    if (!hw_engine_facts(&found)) {
        PyErr_SetString(PyExc_RuntimeError, "PHP is not running");
        return NULL;
    }
    return Py_BuildValue("{s:O,s:z,s:z,s:z}", "opcache", found.opcache ? Py_True : Py_False, "memory_limit",
                         found.memory_limit, "ini_file", found.ini_file, "ini_scanned", found.ini_scanned);
}

static PyObject *after_fork(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    hw_engine_after_fork();
    Py_RETURN_NONE;
}

/* -- files, OPcache, counters -- */

/* os.stat() releases the GIL, and each release is a chance for another thread to keep it for a while, which costs more
 * than the system call. The caller is an event loop that could do nothing meanwhile anyway. */
static PyObject *unchanged(PyObject *module, PyObject *const *args, Py_ssize_t n_args)
{
    struct stat now;
    (void)module;
    if (n_args != 2 || !PyBytes_Check(args[0]) || !PyTuple_Check(args[1]) || PyTuple_GET_SIZE(args[1]) < 3) {
        PyErr_SetString(PyExc_TypeError, "unchanged(path, (inode, device, changed_ns, ...))");
        return NULL;
    }
    unsigned long long inode = PyLong_AsUnsignedLongLong(PyTuple_GET_ITEM(args[1], 0));
    unsigned long long device = PyLong_AsUnsignedLongLong(PyTuple_GET_ITEM(args[1], 1));
    long long changed_ns = PyLong_AsLongLong(PyTuple_GET_ITEM(args[1], 2));
    if (PyErr_Occurred()) {
        return NULL;
    }
    return PyBool_FromLong(stat(PyBytes_AS_STRING(args[0]), &now) == 0 && S_ISREG(now.st_mode) && now.st_ino == inode &&
                           now.st_dev == device &&
                           (long long)now.st_ctim.tv_sec * 1000000000 + now.st_ctim.tv_nsec == changed_ns);
}

static PyObject *opcache(PyObject *module, PyObject *wipe)
{
    hw_opcache_status_t status = {0};
    bool succeeded, wanted = wipe == Py_True;
    (void)module;
    Py_BEGIN_ALLOW_THREADS succeeded = hw_engine_opcache(wanted, &status);
    Py_END_ALLOW_THREADS if (!succeeded)
    {
        Py_RETURN_NONE;
    }
    return Py_BuildValue(
        "{s:O,s:O,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K}", "enabled", status.enabled ? Py_True : Py_False, "restart_pending",
        status.restart_pending ? Py_True : Py_False, "oom_restarts", (unsigned long long)status.oom_restarts,
        "hash_restarts", (unsigned long long)status.hash_restarts, "manual_restarts",
        (unsigned long long)status.manual_restarts, "used_bytes", (unsigned long long)status.used_bytes, "free_bytes",
        (unsigned long long)status.free_bytes, "wasted_bytes", (unsigned long long)status.wasted_bytes, "hits",
        (unsigned long long)status.hits, "misses", (unsigned long long)status.misses);
}

static PyObject *opcache_scripts(PyObject *module, PyObject *unused)
{
    char *text;
    size_t len;
    bool succeeded;
    (void)module;
    (void)unused;
    Py_BEGIN_ALLOW_THREADS succeeded = hw_engine_opcache_list(&text, &len);
    Py_END_ALLOW_THREADS if (!succeeded)
    {
        Py_RETURN_NONE;
    }
    PyObject *paths = PyList_New(0);
    for (const char *path = text; paths != NULL && path < text + len; path += strlen(path) + 1) {
        PyObject *item = PyBytes_FromString(path);
        if (item == NULL || PyList_Append(paths, item) < 0) {
            Py_CLEAR(paths);
        }
        Py_XDECREF(item);
    }
    free(text);
    return paths;
}

static PyObject *opcache_forget(PyObject *module, PyObject *joined)
{
    char *text;
    Py_ssize_t len;
    bool succeeded;
    (void)module;
    if (PyBytes_AsStringAndSize(joined, &text, &len) < 0) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS succeeded = hw_engine_opcache_forget(text, (size_t)len);
    Py_END_ALLOW_THREADS return PyBool_FromLong(succeeded);
}

static PyObject *opcache_pending(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return PyBool_FromLong(hw_opcache_is_pending());
}

static PyObject *statistics(PyObject *module, PyObject *unused)
{
    hw_spool_stats_t spool = {0};
    uint64_t requests = 0;
    (void)module;
    (void)unused;
    hw_spool_stats(&spool);
    for (unsigned i = 0; i < hw_board_size(); i++) {
        requests += atomic_load(&hw_board_slot(i)->requests);
    }
    return Py_BuildValue("{s:i,s:K,s:K,s:K,s:K,s:K}", "storages", hw_thread_storages(), "executed",
                         (unsigned long long)requests, "spool_memory_bytes", (unsigned long long)spool.memory_bytes,
                         "spool_file_bytes", (unsigned long long)spool.file_bytes, "spool_files",
                         (unsigned long long)spool.files_open, "spool_errors", (unsigned long long)spool.errors);
}

/* -- log -- */

static PyObject *record_tuple(const hw_log_record_t *record)
{
    const char *context = record->text + record->message_len;
    return Py_BuildValue("(iKdy#y#iy#)", record->level, (unsigned long long)record->request_id, record->time_s,
                         record->text, (Py_ssize_t)record->message_len, context, (Py_ssize_t)record->context_len,
                         record->slot, context + record->context_len, (Py_ssize_t)record->site_len);
}

static PyObject *log_take(PyObject *module, PyObject *argument)
{
    double timeout_s = PyFloat_AsDouble(argument);
    uint64_t lost;
    hw_log_record_t *record;
    (void)module;
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS record = hw_log_take((int64_t)(timeout_s * 1e9), &lost);
    Py_END_ALLOW_THREADS PyObject *list = PyList_New(0);
    while (record != NULL) {
        hw_log_record_t *next = record->next;
        PyObject *tuple = list != NULL ? record_tuple(record) : NULL;
        if (tuple == NULL || PyList_Append(list, tuple) < 0) {
            PyErr_Clear(); /* out of memory: count it as lost */
            lost++;
        }
        Py_XDECREF(tuple);
        free(record);
        record = next;
    }
    return Py_BuildValue("(NK)", list, (unsigned long long)lost);
}

static PyObject *log_to_stderr(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    hw_log_set_direct();
    Py_RETURN_NONE;
}

static PyObject *log_close(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    hw_log_close();
    Py_RETURN_NONE;
}

/* -- module -- */

static PyMethodDef module_methods[] = {
    {"build_info", build_info, METH_NOARGS, NULL},
    {"start", start, METH_VARARGS, NULL},
    {"stop", stop, METH_NOARGS, NULL},
    {"state", state_name, METH_NOARGS, NULL},
    {"facts", facts, METH_NOARGS, NULL},
    {"after_fork", after_fork, METH_NOARGS, NULL},
    {"opcache", opcache, METH_O, NULL},
    {"opcache_pending", opcache_pending, METH_NOARGS, NULL},
    {"opcache_scripts", opcache_scripts, METH_NOARGS, NULL},
    {"opcache_forget", opcache_forget, METH_O, NULL},
    {"unchanged", (PyCFunction)(void (*)(void))unchanged, METH_FASTCALL, NULL},
    {"statistics", statistics, METH_NOARGS, NULL},
    {"log_take", log_take, METH_O, NULL},
    {"log_to_stderr", log_to_stderr, METH_NOARGS, NULL},
    {"log_close", log_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static int module_exec(PyObject *module)
{
    static const struct {
        const char *name;
        long value;
    } constants[] = {
        {"HEADERS", HW_TAKE_HEADERS},
        {"INTERIM", HW_TAKE_INTERIM},
        {"MORE", HW_TAKE_MORE},
        {"DONE", HW_TAKE_DONE},
        {"COMPLETED", HW_OUTCOME_COMPLETED},
        {"REJECTED", HW_OUTCOME_REJECTED},
        {"ABORTED", HW_OUTCOME_ABORTED},
        {"EVENT_STOPPED", HW_EVENT_STOPPED},
        {"EVENT_RECYCLE", HW_EVENT_RECYCLE},
        {"EVENT_UNHEALTHY", HW_EVENT_UNHEALTHY},
        {"EVENT_LEFT", HW_EVENT_LEFT},
        {"EVENT_KILLED", HW_EVENT_KILLED},
        {"EVENT_MEMORY", HW_EVENT_MEMORY},
        {"EVENT_ENDED", HW_EVENT_ENDED},
        {"KILL_BY_FLAG", HW_KILL_BY_FLAG},
        {"KILL_BY_SIGNAL", HW_KILL_BY_SIGNAL},
        {"KILL_BY_CUTOFF", HW_KILL_BY_CUTOFF},
        {"PUSH_OK", HW_PUSH_OK},
        {"PUSH_FULL", HW_PUSH_FULL},
        {"PUSH_CLOSED", HW_PUSH_CLOSED},
        {"PUSH_DEFERRED", HW_PUSH_DEFERRED},
    };
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++) {
        if (PyModule_AddIntConstant(module, constants[i].name, constants[i].value) < 0) {
            return -1;
        }
    }
    hw_module_state_t *state = PyModule_GetState(module);
    if (hw_control_add(module) < 0 || hw_access_add(module, state) < 0 || hw_entry_add(module, state) < 0) {
        return -1;
    }
    return hw_types_add(module, state);
}

static int module_traverse(PyObject *module, visitproc visit, void *arg)
{
    hw_module_state_t *state = PyModule_GetState(module);
    Py_VISIT(state->site_type);
    Py_VISIT(state->channel_type);
    Py_VISIT(state->request_type);
    Py_VISIT(state->entry_type);
    Py_VISIT(state->tap_type);
    return 0;
}

static int module_clear(PyObject *module)
{
    hw_module_state_t *state = PyModule_GetState(module);
    Py_CLEAR(state->site_type);
    Py_CLEAR(state->channel_type);
    Py_CLEAR(state->request_type);
    Py_CLEAR(state->entry_type);
    Py_CLEAR(state->tap_type);
    for (size_t i = 0; i < HW_ACCESS_KEYS; i++) {
        Py_CLEAR(state->access_keys[i]);
    }
    return 0;
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
    {0, NULL},
};

static struct PyModuleDef hw_module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "howdah._native",
    .m_doc = "PHP in this process; see howdah.engine.",
    .m_size = sizeof(hw_module_state_t),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
};

PyMODINIT_FUNC PyInit__native(void);
PyMODINIT_FUNC PyInit__native(void)
{
    return PyModuleDef_Init(&hw_module_def);
}
