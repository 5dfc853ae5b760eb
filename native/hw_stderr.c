/* SPDX-License-Identifier: MIT */
#include "hw_stderr.h"

#include <php.h>

#include <ext/standard/php_fopen_wrappers.h>
#include <unistd.h>

#include "hw_fork.h"
#include "hw_log.h"
#include "hw_thread.h"

/* A line that is longer is logged in pieces. */
#define LONGEST_LINE (64 * 1024)

typedef struct {
    size_t len;
    char *line; /* what has come since the last line end; LONGEST_LINE bytes, made when it is needed */
} stderr_t;

static void put(const char *text, size_t len)
{
    static const char context[] = "{\"stream\": \"stderr\"}";
    if (len > 0 && text[len - 1] == '\r') {
        len--;
    }
    if (len > 0) {
        uint64_t id = hw_self != NULL && hw_self->request != NULL ? hw_self->request->id : 0;
        hw_log_put(HW_LOG_INFO, id, (hw_str_t){text, len}, (hw_str_t){context, sizeof context - 1});
    }
}

static void put_rest(stderr_t *self)
{
    put(self->line, self->len);
    self->len = 0;
}

static void keep(stderr_t *self, const char *text, size_t len)
{
    if (self->line == NULL) {
        self->line = emalloc(LONGEST_LINE);
    }
    while (len > 0) {
        size_t n = MIN(len, LONGEST_LINE - self->len);
        memcpy(self->line + self->len, text, n);
        self->len += n;
        text += n;
        len -= n;
        if (self->len == LONGEST_LINE) {
            put_rest(self);
        }
    }
}

static ssize_t write_lines(php_stream *stream, const char *text, size_t len)
{
    stderr_t *self = stream->abstract;
    const char *end = text + len;
    const char *stop;
    while (text < end && (stop = memchr(text, '\n', (size_t)(end - text))) != NULL) {
        if (self->len > 0) {
            keep(self, text, (size_t)(stop - text));
            put_rest(self);
        } else {
            put(text, (size_t)(stop - text));
        }
        text = stop + 1;
    }
    if (text < end) {
        keep(self, text, (size_t)(end - text));
    }
    return (ssize_t)len;
}

static ssize_t read_nothing(php_stream *stream, char *into, size_t len)
{
    (void)into;
    (void)len;
    stream->eof = 1;
    return 0;
}

static int close_stream(php_stream *stream, int close_handle)
{
    stderr_t *self = stream->abstract;
    (void)close_handle;
    if (self->line != NULL) {
        put_rest(self);
        efree(self->line);
    }
    efree(self);
    return 0;
}

static int flush_stream(php_stream *stream)
{
    (void)stream; /* half a line waits for its end: programs flush after every piece */
    return 0;
}

/* For proc_open() and isatty(): the server's own standard error. Nobody closes it, since the stream does not own it. */
static int cast_stream(php_stream *stream, int as, void **result)
{
    (void)stream;
    if (as != PHP_STREAM_AS_FD && as != PHP_STREAM_AS_FD_FOR_SELECT) {
        return FAILURE;
    }
    if (result != NULL) {
        *(int *)result = STDERR_FILENO;
    }
    return SUCCESS;
}

static const php_stream_ops ops = {
    .write = write_lines,
    .read = read_nothing,
    .close = close_stream,
    .flush = flush_stream,
    .label = "STDIO", /* as PHP's own says */
    .cast = cast_stream,
};

static php_stream *open_stream(php_stream_wrapper *wrapper, const char *path, const char *mode, int options,
                               zend_string **opened_path, php_stream_context *context STREAMS_DC)
{
    (void)wrapper;
    if (hw_self == NULL || hw_fork_is_child() || strcasecmp(path, "php://stderr") != 0) {
        return php_stream_php_wrapper.wops->stream_opener((php_stream_wrapper *)&php_stream_php_wrapper, path, mode,
                                                          options, opened_path, context STREAMS_REL_CC);
    }
    return php_stream_alloc_rel(&ops, ecalloc(1, sizeof(stderr_t)), NULL, mode);
}

static const php_stream_wrapper_ops wrapper_ops = {
    .stream_opener = open_stream,
    .label = "PHP",
};

static const php_stream_wrapper wrapper = {.wops = &wrapper_ops};

void hw_stderr_minit(void)
{
    if (php_unregister_url_stream_wrapper("php") == SUCCESS &&
        php_register_url_stream_wrapper("php", &wrapper) != SUCCESS) {
        php_register_url_stream_wrapper("php", &php_stream_php_wrapper);
    }
}
