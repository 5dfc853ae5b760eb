/* SPDX-License-Identifier: MIT */
#include "hw_build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A growing write position in an arena whose size was counted before. */
typedef struct {
    char *next;
} arena_t;

static hw_str_t arena_copy(arena_t *arena, const char *data, size_t len)
{
    hw_str_t copy = {arena->next, len};
    if (len > 0) {
        memcpy(arena->next, data, len);
    }
    arena->next[len] = '\0';
    arena->next += len + 1;
    return copy;
}

/* bytes, or str as UTF-8. */
static int view(PyObject *object, hw_str_t *into)
{
    Py_ssize_t len;
    if (PyBytes_Check(object)) {
        into->data = PyBytes_AS_STRING(object);
        into->len = (size_t)PyBytes_GET_SIZE(object);
        return 0;
    }
    if (PyUnicode_Check(object)) {
        into->data = PyUnicode_AsUTF8AndSize(object, &len);
        into->len = (size_t)len;
        return into->data == NULL ? -1 : 0;
    }
    PyErr_Format(PyExc_TypeError, "expected bytes, not %.100s", Py_TYPE(object)->tp_name);
    return -1;
}

int hw_build_view_pair(PyObject *pair, hw_str_t *name, hw_str_t *value)
{
    if (PyTuple_Check(pair) && PyTuple_GET_SIZE(pair) == 2) {
        return view(PyTuple_GET_ITEM(pair, 0), name) < 0 ? -1 : view(PyTuple_GET_ITEM(pair, 1), value);
    }
    if (PyList_Check(pair) && PyList_GET_SIZE(pair) == 2) {
        return view(PyList_GET_ITEM(pair, 0), name) < 0 ? -1 : view(PyList_GET_ITEM(pair, 1), value);
    }
    PyErr_SetString(PyExc_TypeError, "expected a (name, value) pair");
    return -1;
}

/* Views of `count` strings of a tuple, added to *size. */
static int view_tuple(PyObject *tuple, Py_ssize_t count, hw_str_t *into, size_t *size)
{
    if (!PyTuple_Check(tuple) || PyTuple_GET_SIZE(tuple) != count) {
        PyErr_Format(PyExc_TypeError, "expected a tuple of %zd strings", count);
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        if (view(PyTuple_GET_ITEM(tuple, i), &into[i]) < 0) {
            return -1;
        }
        *size += into[i].len + 1;
    }
    return 0;
}

/* Everything that is read from the arguments before the arena is made; the views are borrowed from them. */
typedef struct {
    hw_str_t target[5];
    hw_str_t endpoint[6];
    hw_str_t line[4]; /* method, request_uri, query_string, remote_addr */
    long remote_port;
    PyObject *headers; /* from PySequence_Fast */
    PyObject *env;     /* the same or NULL */
    size_t size;
    size_t cookie_size;
} plan_t;

static int plan_pairs(PyObject *sequence, size_t factor, plan_t *plan)
{
    hw_str_t name, value;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(sequence); i++) {
        if (hw_build_view_pair(PySequence_Fast_GET_ITEM(sequence, i), &name, &value) < 0) {
            return -1;
        }
        plan->size += factor * name.len + value.len + 8;
        if (factor == 2 && name.len == 6 && strncasecmp(name.data, "cookie", 6) == 0) {
            plan->cookie_size += value.len + 2;
        }
    }
    return 0;
}

static int plan_request(PyObject *const *arguments, plan_t *plan)
{
    if (view_tuple(arguments[1], 5, plan->target, &plan->size) < 0 ||
        view_tuple(arguments[2], 6, plan->endpoint, &plan->size) < 0) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        if (view(arguments[3 + i], &plan->line[i]) < 0) {
            return -1;
        }
        plan->size += plan->line[i].len + 1;
    }
    /* ASGI asks for an int; there are servers that give text. */
    plan->remote_port = PyLong_Check(arguments[7]) ? PyLong_AsLong(arguments[7]) : 0;
    if (plan->remote_port == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (!PyLong_Check(arguments[7])) {
        hw_str_t text;
        if (view(arguments[7], &text) < 0) {
            return -1;
        }
        plan->remote_port = text.len > 0 && text.len < 6 ? strtol(text.data, NULL, 10) : 0;
    }
    plan->size += 24;
    plan->headers = PySequence_Fast(arguments[8], "headers must be a sequence of pairs");
    if (plan->headers == NULL || plan_pairs(plan->headers, 2, plan) < 0) {
        return -1;
    }
    if (arguments[9] != Py_None) {
        plan->env = PySequence_Fast(arguments[9], "env must be a sequence of pairs");
        if (plan->env == NULL || plan_pairs(plan->env, 1, plan) < 0) {
            return -1;
        }
    }
    plan->size += plan->cookie_size + 1;
    return 0;
}

/* The headers that PHP asks for by name. */
static void note_header(hw_request_t *request, const hw_header_t *header)
{
    const char *name = header->name.data;
    switch (header->name.len) {
    case 4:
        if (strcasecmp(name, "host") == 0) {
            request->host = header->value;
        }
        break;
    case 12:
        if (strcasecmp(name, "content-type") == 0) {
            request->content_type = header->value;
        }
        break;
    case 13:
        if (strcasecmp(name, "authorization") == 0) {
            request->authorization = header->value;
        }
        break;
    case 14:
        if (strcasecmp(name, "content-length") == 0) {
            request->content_length_text = header->value;
            request->content_length = strtoll(header->value.data, NULL, 10);
        }
        break;
    case 17:
        if (strcasecmp(name, "transfer-encoding") == 0) {
            request->content_length = -1;
        }
        break;
    default:
        break;
    }
}

static void copy_headers(hw_request_t *request, arena_t *arena, PyObject *sequence)
{
    hw_str_t name, value;
    for (size_t i = 0; i < request->n_headers; i++) {
        hw_header_t *header = &request->headers[i];
        hw_build_view_pair(PySequence_Fast_GET_ITEM(sequence, (Py_ssize_t)i), &name, &value);
        header->name = arena_copy(arena, name.data, name.len);
        header->value = arena_copy(arena, value.data, value.len);
        header->key.data = arena->next;
        header->key.len = hw_request_header_key(name.data, name.len, arena->next);
        if (header->key.len > 0) {
            arena->next += header->key.len + 1;
        }
        note_header(request, header);
    }
}

/* Several Cookie headers are one for PHP's cookie parser (RFC 6265, 5.4 allows one; HTTP/2 splits it). */
static void join_cookies(hw_request_t *request, arena_t *arena)
{
    request->cookie.data = arena->next;
    for (size_t i = 0; i < request->n_headers; i++) {
        const hw_header_t *header = &request->headers[i];
        if (header->name.len != 6 || strcasecmp(header->name.data, "cookie") != 0) {
            continue;
        }
        if (request->cookie.len > 0) {
            memcpy(arena->next + request->cookie.len, "; ", 2);
            request->cookie.len += 2;
        }
        memcpy(arena->next + request->cookie.len, header->value.data, header->value.len);
        request->cookie.len += header->value.len;
    }
    arena->next[request->cookie.len] = '\0';
    arena->next += request->cookie.len + 1;
}

static void copy_env(hw_env_pair_t *pairs, size_t count, arena_t *arena, PyObject *sequence)
{
    hw_str_t name, value;
    for (size_t i = 0; i < count; i++) {
        hw_build_view_pair(PySequence_Fast_GET_ITEM(sequence, (Py_ssize_t)i), &name, &value);
        hw_str_t copied_name = arena_copy(arena, name.data, name.len);
        hw_str_t copied_value = arena_copy(arena, value.data, value.len);
        pairs[i] = (hw_env_pair_t){copied_name.data, copied_name.len, copied_value.data, copied_value.len};
    }
}

static void fill_request(hw_request_t *request, const plan_t *plan)
{
    arena_t arena = {request->arena};
    hw_str_t *const target[5] = {&request->script_filename, &request->script_name, &request->path_info,
                                 &request->path_translated, &request->document_uri};
    hw_str_t *const endpoint[6] = {&request->server_name,    &request->server_port,  &request->server_protocol,
                                   &request->request_scheme, &request->ssl_protocol, &request->ssl_cipher};
    hw_str_t *const line[4] = {&request->method, &request->request_uri, &request->query_string, &request->remote_addr};
    for (int i = 0; i < 5; i++) {
        *target[i] = arena_copy(&arena, plan->target[i].data, plan->target[i].len);
    }
    for (int i = 0; i < 6; i++) {
        *endpoint[i] = arena_copy(&arena, plan->endpoint[i].data, plan->endpoint[i].len);
    }
    for (int i = 0; i < 4; i++) {
        *line[i] = arena_copy(&arena, plan->line[i].data, plan->line[i].len);
    }
    char port[24] = "";
    int port_len = plan->remote_port > 0 ? snprintf(port, sizeof port, "%ld", plan->remote_port) : 0;
    request->remote_port = arena_copy(&arena, port, (size_t)port_len);
    copy_headers(request, &arena, plan->headers);
    join_cookies(request, &arena);
    if (plan->env != NULL) {
        copy_env(request->env, request->n_env, &arena, plan->env);
    }
}

hw_request_t *hw_build_request(hw_channel_t *channel, hw_site_t *site, PyObject *const *arguments)
{
    plan_t plan = {.size = 16};
    hw_request_t *request = NULL;
    if (plan_request(arguments, &plan) < 0) {
        goto end;
    }
    request = hw_request_new(channel, site);
    if (request == NULL) {
        PyErr_NoMemory();
        goto end;
    }
    request->n_headers = (size_t)PySequence_Fast_GET_SIZE(plan.headers);
    request->n_env = plan.env != NULL ? (size_t)PySequence_Fast_GET_SIZE(plan.env) : 0;
    request->arena = malloc(plan.size);
    request->headers = calloc(request->n_headers + 1, sizeof *request->headers);
    request->env = request->n_env > 0 ? calloc(request->n_env, sizeof *request->env) : NULL;
    if (request->arena == NULL || request->headers == NULL || (request->n_env > 0 && request->env == NULL)) {
        hw_request_release(request);
        request = NULL;
        PyErr_NoMemory();
        goto end;
    }
    fill_request(request, &plan);
end:
    Py_XDECREF(plan.headers);
    Py_XDECREF(plan.env);
    return request;
}

hw_site_t *hw_build_site(PyObject *document_root, PyObject *server_software, PyObject *env)
{
    plan_t plan = {.size = 16};
    hw_str_t root, software;
    hw_site_t *site = NULL;
    PyObject *pairs = PySequence_Fast(env, "env must be a sequence of pairs");
    if (pairs == NULL || view(document_root, &root) < 0 || view(server_software, &software) < 0 ||
        plan_pairs(pairs, 1, &plan) < 0) {
        goto end;
    }
    site = calloc(1, sizeof *site);
    if (site != NULL) {
        atomic_init(&site->refs, 1);
        site->n_env = (size_t)PySequence_Fast_GET_SIZE(pairs);
        site->arena = malloc(plan.size + root.len + software.len + 2);
        site->env = calloc(site->n_env + 1, sizeof *site->env);
    }
    if (site == NULL || site->arena == NULL || site->env == NULL) {
        hw_site_release(site);
        site = NULL;
        PyErr_NoMemory();
        goto end;
    }
    arena_t arena = {site->arena};
    site->document_root = arena_copy(&arena, root.data, root.len);
    site->server_software = arena_copy(&arena, software.data, software.len);
    copy_env(site->env, site->n_env, &arena, pairs);
end:
    Py_XDECREF(pairs);
    return site;
}
