/* SPDX-License-Identifier: MIT */
/* Every request of a logged site passes here, on the event loop: in Python the same costs five times as much.
 * howdah.observe.access says what a line holds; what it makes of an entry as fields is what this writes. */
#include "hw_access.h"

#include <string.h>

#include "hw_build.h"
#include "hw_json.h"

#define ERROR_FROM 400
/* Fields of most heads, which need no memory of their own. */
#define FEW_FIELDS 48

static const char *const key_names[HW_ACCESS_KEYS] = {
    [HW_KEY_PEER] = "howdah.peer",   [HW_KEY_CLIENT] = "client",     [HW_KEY_VERSION] = "http_version",
    [HW_KEY_METHOD] = "method",      [HW_KEY_RAW_PATH] = "raw_path", [HW_KEY_PATH] = "path",
    [HW_KEY_QUERY] = "query_string", [HW_KEY_HEADERS] = "headers",   [HW_KEY_ENTRY] = "howdah.access",
    [HW_KEY_TYPE] = "type",          [HW_KEY_BODY] = "body",         [HW_KEY_MORE_BODY] = "more_body",
    [HW_KEY_STATUS] = "status",
};

/* Arguments of access_line(), in their order. */
enum { A_HEAD, A_SCOPE, A_HEADERS, A_STATUS, A_COMPLETE, A_SIZE, A_READ, A_USER, A_TIME, A_DURATION, A_PHP, A_COUNT };

/* Fields of a head, borrowed from a sequence that is held. */
typedef struct {
    PyObject *sequence;
    hw_json_field_t *fields;
    size_t count;
    hw_json_field_t few[FEW_FIELDS];
} head_t;

static void drop_head(head_t *head)
{
    if (head->fields != head->few) {
        PyMem_Free(head->fields);
    }
    Py_XDECREF(head->sequence);
}

static int view_head(PyObject *headers, head_t *head)
{
    head->fields = head->few;
    head->sequence = PySequence_Fast(headers, "headers must be a sequence of pairs");
    if (head->sequence == NULL) {
        return -1;
    }
    head->count = (size_t)PySequence_Fast_GET_SIZE(head->sequence);
    if (head->count > FEW_FIELDS) {
        head->fields = PyMem_Malloc(head->count * sizeof *head->fields);
        if (head->fields == NULL) {
            head->fields = head->few;
            PyErr_NoMemory();
            return -1;
        }
    }
    for (size_t i = 0; i < head->count; i++) {
        hw_json_field_t *field = &head->fields[i];
        PyObject *pair = PySequence_Fast_GET_ITEM(head->sequence, (Py_ssize_t)i);
        if (hw_build_view_pair(pair, &field->name, &field->value) < 0) {
            return -1;
        }
    }
    return 0;
}

/* -- values -- */

/* The inside of a JSON string. */
static int add_text(hw_json_t *text, PyObject *value)
{
    if (!PyUnicode_Check(value)) {
        PyErr_Format(PyExc_TypeError, "expected str, not %.100s", Py_TYPE(value)->tp_name);
        return -1;
    }
    if (PyUnicode_READY(value) < 0) {
        return -1;
    }
    Py_ssize_t len = PyUnicode_GET_LENGTH(value);
    if (PyUnicode_IS_ASCII(value)) {
        hw_json_bytes(text, PyUnicode_DATA(value), (size_t)len);
        return 0;
    }
    for (Py_ssize_t i = 0; i < len; i++) {
        hw_json_char(text, PyUnicode_READ_CHAR(value, i));
    }
    return 0;
}

static int add_bytes(hw_json_t *text, PyObject *value)
{
    if (!PyBytes_Check(value)) {
        PyErr_Format(PyExc_TypeError, "expected bytes, not %.100s", Py_TYPE(value)->tp_name);
        return -1;
    }
    hw_json_bytes(text, PyBytes_AS_STRING(value), (size_t)PyBytes_GET_SIZE(value));
    return 0;
}

static int add_uint(hw_json_t *text, PyObject *value)
{
    unsigned long long number = PyLong_AsUnsignedLongLong(value);
    if (number == (unsigned long long)-1 && PyErr_Occurred()) {
        return -1;
    }
    hw_json_uint(text, number);
    return 0;
}

static int add_fixed(hw_json_t *text, PyObject *value, unsigned decimals)
{
    double number = PyFloat_AsDouble(value);
    if (number == -1.0 && PyErr_Occurred()) {
        return -1;
    }
    hw_json_fixed(text, number, decimals);
    return 0;
}

/* -- who -- */

/* Address and port of a pair, each may be None; borrowed. Without a pair both are NULL. */
static int split_endpoint(PyObject *pair, PyObject **address, PyObject **port)
{
    *address = *port = NULL;
    if (pair == NULL || pair == Py_None) {
        return 0;
    }
    if (PyTuple_Check(pair) && PyTuple_GET_SIZE(pair) == 2) {
        *address = PyTuple_GET_ITEM(pair, 0);
        *port = PyTuple_GET_ITEM(pair, 1);
        return 0;
    }
    if (PyList_Check(pair) && PyList_GET_SIZE(pair) == 2) {
        *address = PyList_GET_ITEM(pair, 0);
        *port = PyList_GET_ITEM(pair, 1);
        return 0;
    }
    PyErr_SetString(PyExc_TypeError, "client must be (address, port) or None");
    return -1;
}

/* Without what says that IPv4 came through a socket for both families. */
static int add_address(hw_json_t *text, PyObject *address)
{
    static const char mapped[] = "::ffff:";
    const size_t skipped = sizeof mapped - 1;
    if (address == NULL) {
        return 0;
    }
    if (PyUnicode_Check(address) && PyUnicode_READY(address) == 0 && PyUnicode_IS_ASCII(address)) {
        const char *data = PyUnicode_DATA(address);
        size_t len = (size_t)PyUnicode_GET_LENGTH(address);
        size_t begin = len >= skipped && memcmp(data, mapped, skipped) == 0 ? skipped : 0;
        hw_json_bytes(text, data + begin, len - begin);
        return 0;
    }
    return add_text(text, address);
}

/* Some servers give the port as text, some give none. */
static int add_port(hw_json_t *text, PyObject *port)
{
    if (port == NULL || port == Py_None) {
        HW_JSON_LITERAL(text, "0");
        return 0;
    }
    return PyUnicode_Check(port) ? add_text(text, port) : add_uint(text, port);
}

static int add_peer(hw_json_t *text, PyObject *scope, PyObject **keys)
{
    PyObject *address, *port, *unused;
    PyObject *client = PyDict_GetItemWithError(scope, keys[HW_KEY_CLIENT]);
    PyObject *peer = PyDict_GetItemWithError(scope, keys[HW_KEY_PEER]);
    if (PyErr_Occurred() || split_endpoint(peer != NULL ? peer : client, &address, &port) < 0) {
        return -1;
    }
    HW_JSON_LITERAL(text, ",\"request\":{\"remote_ip\":\"");
    if (add_address(text, address) < 0) {
        return -1;
    }
    HW_JSON_LITERAL(text, "\",\"remote_port\":\"");
    if (add_port(text, port) < 0 || (peer != NULL && split_endpoint(client, &address, &unused) < 0)) {
        return -1;
    }
    HW_JSON_LITERAL(text, "\",\"client_ip\":\"");
    return add_address(text, address);
}

/* -- what -- */

static PyObject *need(PyObject *scope, PyObject *key)
{
    PyObject *value = PyDict_GetItemWithError(scope, key);
    if (value == NULL && !PyErr_Occurred()) {
        PyErr_SetObject(PyExc_KeyError, key);
    }
    return value;
}

/* "2" is HTTP/2.0 */
static int add_version(hw_json_t *text, PyObject *version)
{
    if (version == NULL || add_text(text, version) < 0) {
        return -1;
    }
    if (PyUnicode_FindChar(version, '.', 0, PyUnicode_GET_LENGTH(version), 1) == -1) {
        HW_JSON_LITERAL(text, ".0");
    }
    return 0;
}

/* The last field wins, as it does where Python makes a dictionary of them. */
static void add_host(hw_json_t *text, const head_t *head)
{
    for (size_t i = head->count; i-- > 0;) {
        const hw_json_field_t *field = &head->fields[i];
        if (field->name.len == 4 && memcmp(field->name.data, "host", 4) == 0) {
            hw_json_bytes(text, field->value.data, field->value.len);
            return;
        }
    }
}

static int add_path(hw_json_t *text, PyObject *scope, PyObject **keys)
{
    PyObject *raw = PyDict_GetItemWithError(scope, keys[HW_KEY_RAW_PATH]);
    if (raw != NULL && raw != Py_None) {
        return add_bytes(text, raw);
    }
    PyObject *path = PyErr_Occurred() ? NULL : need(scope, keys[HW_KEY_PATH]);
    PyObject *encoded = path != NULL ? PyUnicode_AsEncodedString(path, "utf-8", "surrogateescape") : NULL;
    if (encoded == NULL) {
        return -1;
    }
    int result = add_bytes(text, encoded);
    Py_DECREF(encoded);
    return result;
}

static int add_uri(hw_json_t *text, PyObject *scope, PyObject **keys)
{
    if (add_path(text, scope, keys) < 0) {
        return -1;
    }
    PyObject *query = PyDict_GetItemWithError(scope, keys[HW_KEY_QUERY]);
    if (query == NULL || (PyBytes_Check(query) && PyBytes_GET_SIZE(query) == 0)) {
        return PyErr_Occurred() ? -1 : 0;
    }
    HW_JSON_LITERAL(text, "?");
    return add_bytes(text, query);
}

static int add_request(hw_json_t *text, PyObject *scope, PyObject **keys)
{
    head_t head;
    PyObject *headers = need(scope, keys[HW_KEY_HEADERS]), *method = need(scope, keys[HW_KEY_METHOD]);
    if (headers == NULL || method == NULL || add_peer(text, scope, keys) < 0) {
        return -1;
    }
    HW_JSON_LITERAL(text, "\",\"proto\":\"HTTP/");
    if (add_version(text, need(scope, keys[HW_KEY_VERSION])) < 0) {
        return -1;
    }
    HW_JSON_LITERAL(text, "\",\"method\":\"");
    int result = view_head(headers, &head) < 0 || add_text(text, method) < 0 ? -1 : 0;
    if (result == 0) {
        HW_JSON_LITERAL(text, "\",\"host\":\"");
        add_host(text, &head);
        HW_JSON_LITERAL(text, "\",\"uri\":\"");
        result = add_uri(text, scope, keys);
        HW_JSON_LITERAL(text, "\",\"headers\":{");
        hw_json_headers(text, head.fields, head.count);
    }
    drop_head(&head);
    return result;
}

static int add_answer(hw_json_t *text, PyObject *headers)
{
    head_t head;
    int result = view_head(headers, &head);
    if (result == 0) {
        hw_json_headers(text, head.fields, head.count);
    }
    drop_head(&head);
    return result;
}

/* Number of the request, thread, worker, memory, seconds in the queue and in PHP. */
static int add_php(hw_json_t *text, PyObject *php)
{
    if (php == Py_None) {
        return 0;
    }
    if (!PyTuple_Check(php) || PyTuple_GET_SIZE(php) != 6) {
        PyErr_SetString(PyExc_TypeError, "php must be None or a tuple of six");
        return -1;
    }
    HW_JSON_LITERAL(text, ",\"php\":{\"request_id\":");
    if (add_uint(text, PyTuple_GET_ITEM(php, 0)) < 0) {
        return -1;
    }
    HW_JSON_LITERAL(text, ",\"thread\":");
    if (add_uint(text, PyTuple_GET_ITEM(php, 1)) < 0) {
        return -1;
    }
    HW_JSON_LITERAL(text, ",\"worker\":\"");
    if (add_text(text, PyTuple_GET_ITEM(php, 2)) < 0) {
        return -1;
    }
    HW_JSON_LITERAL(text, "\",\"memory\":");
    if (add_uint(text, PyTuple_GET_ITEM(php, 3)) < 0) {
        return -1;
    }
    HW_JSON_LITERAL(text, ",\"queue\":");
    if (add_fixed(text, PyTuple_GET_ITEM(php, 4), 6) < 0) {
        return -1;
    }
    HW_JSON_LITERAL(text, ",\"time\":");
    if (add_fixed(text, PyTuple_GET_ITEM(php, 5), 6) < 0) {
        return -1;
    }
    HW_JSON_LITERAL(text, "}");
    return 0;
}

static int add_end(hw_json_t *text, const hw_access_t *access)
{
    HW_JSON_LITERAL(text, "}},\"bytes_read\":");
    hw_json_uint(text, access->read_bytes);
    HW_JSON_LITERAL(text, ",\"user_id\":\"");
    if (add_text(text, access->user) < 0) {
        return -1;
    }
    HW_JSON_LITERAL(text, "\",\"duration\":");
    hw_json_fixed(text, access->duration_s, 9);
    HW_JSON_LITERAL(text, ",\"size\":");
    hw_json_uint(text, access->size_bytes);
    HW_JSON_LITERAL(text, ",\"status\":");
    hw_json_uint(text, access->status);
    HW_JSON_LITERAL(text, ",\"resp_headers\":{");
    if (add_answer(text, access->headers) < 0) {
        return -1;
    }
    HW_JSON_LITERAL(text, "}");
    return add_php(text, access->php);
}

static int add_line(hw_json_t *text, PyObject *head, const hw_access_t *access, PyObject **keys)
{
    if (access->is_complete && access->status < ERROR_FROM) {
        HW_JSON_LITERAL(text, "{\"level\":\"info\",\"ts\":");
    } else {
        HW_JSON_LITERAL(text, "{\"level\":\"error\",\"ts\":");
    }
    hw_json_fixed(text, access->time_s, 7);
    hw_json_raw(text, PyBytes_AS_STRING(head), (size_t)PyBytes_GET_SIZE(head));
    if (add_request(text, access->scope, keys) < 0 || add_end(text, access) < 0) {
        return -1;
    }
    if (!access->is_complete) {
        HW_JSON_LITERAL(text, ",\"cut\":true");
    }
    HW_JSON_LITERAL(text, "}\n");
    return 0;
}

PyObject *hw_access_line(hw_module_state_t *state, PyObject *head, const hw_access_t *access)
{
    hw_json_t text;
    hw_json_init(&text);
    PyObject *line = NULL;
    if (add_line(&text, head, access, state->access_keys) == 0) {
        line = text.failed ? PyErr_NoMemory() : PyBytes_FromStringAndSize(text.data, (Py_ssize_t)text.len);
    }
    hw_json_free(&text);
    return line;
}

static PyObject *access_line(PyObject *module, PyObject *const *args, Py_ssize_t n_args)
{
    if (n_args != A_COUNT || !PyBytes_Check(args[A_HEAD]) || !PyDict_Check(args[A_SCOPE])) {
        PyErr_SetString(PyExc_TypeError, "access_line(head, scope, headers, status, is_complete, size_bytes, "
                                         "read_bytes, user, time_s, duration_s, php)");
        return NULL;
    }
    int is_complete = PyObject_IsTrue(args[A_COMPLETE]);
    hw_access_t access = {.scope = args[A_SCOPE],
                          .headers = args[A_HEADERS],
                          .user = args[A_USER],
                          .php = args[A_PHP],
                          .is_complete = is_complete > 0};
    access.status = PyLong_AsUnsignedLong(args[A_STATUS]);
    access.size_bytes = PyErr_Occurred() ? 0 : PyLong_AsUnsignedLongLong(args[A_SIZE]);
    access.read_bytes = PyErr_Occurred() ? 0 : PyLong_AsUnsignedLongLong(args[A_READ]);
    access.time_s = PyErr_Occurred() ? 0 : PyFloat_AsDouble(args[A_TIME]);
    access.duration_s = PyErr_Occurred() ? 0 : PyFloat_AsDouble(args[A_DURATION]);
    if (PyErr_Occurred()) {
        return NULL;
    }
    return hw_access_line(PyModule_GetState(module), args[A_HEAD], &access);
}

/* -- module -- */

static PyMethodDef methods[] = {
    {"access_line", (PyCFunction)(void (*)(void))access_line, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

int hw_access_add(PyObject *module, hw_module_state_t *state)
{
    for (size_t i = 0; i < HW_ACCESS_KEYS; i++) {
        state->access_keys[i] = PyUnicode_InternFromString(key_names[i]);
        if (state->access_keys[i] == NULL) {
            return -1;
        }
    }
    return PyModule_AddFunctions(module, methods);
}
