/* SPDX-License-Identifier: MIT */
/* The request record: what PHP needs to know of a request, what it answers, and where the request is.
 *
 * Who writes what. Until hw_queue_push() everything belongs to the thread that builds the request. From the
 * pop to the end the fields under "PHP thread" belong to the PHP thread that runs it. What passes between that
 * thread and the reader of the channel (response heads, bodies, outcome) is guarded by the record's lock. The
 * atomics may be written by the threads named beside them. References keep the record alive; the last one frees it.
 * Pure C: includes neither php.h nor Python.h. */
#ifndef HW_REQUEST_H
#define HW_REQUEST_H

#include <pthread.h>
#include <stdatomic.h>

#include "hw_body.h"
#include "hw_channel.h"
#include "hw_config.h"

typedef enum { HW_REQUEST_NEW, HW_REQUEST_QUEUED, HW_REQUEST_RUNNING, HW_REQUEST_DONE } hw_request_state_t;
typedef enum { HW_OUTCOME_NONE, HW_OUTCOME_COMPLETED, HW_OUTCOME_REJECTED, HW_OUTCOME_ABORTED } hw_outcome_t;

/* What the reader may fetch; see hw_request_take(). */
#define HW_TAKE_HEADERS 1
#define HW_TAKE_INTERIM 2
#define HW_TAKE_MORE    4
#define HW_TAKE_DONE    8

/* Constants of one site. Immutable after creation; shared by its requests. */
typedef struct {
    _Atomic int refs;
    hw_str_t document_root;
    hw_str_t server_software;
    hw_env_pair_t *env;
    size_t n_env;
    double timeout_s; /* of the site's requests, 0 = the runtime's */
    char *arena;
} hw_site_t;

/* A request header: the name as it came, its $_SERVER key (empty: not visible there), and its value. */
typedef struct {
    hw_str_t name;
    hw_str_t key;
    hw_str_t value;
} hw_header_t;

/* The head of a response: status, then `count` pairs of NUL-terminated name and value in `text`. */
typedef struct hw_head {
    struct hw_head *next;
    int status;
    size_t count;
    size_t text_len;
    char text[];
} hw_head_t;

typedef struct hw_request {
    _Atomic int refs;
    _Atomic int state;          /* hw_request_state_t; queue lock for NEW, QUEUED and RUNNING; PHP thread for DONE */
    _Atomic bool aborted;       /* the client left; written by the reader's side, read by the PHP thread */
    _Atomic bool response_done; /* nothing more will come for the client; PHP thread */
    _Atomic int outcome;        /* hw_outcome_t; written once, with response_done */
    _Atomic int slot;           /* of the thread that runs it, -1 = not yet; PHP thread */
    uint64_t id;
    unsigned pool; /* in whose queue it was put; written by the submitter under the GIL */

    /* -- written by the builder, constant afterwards */
    hw_channel_t *channel;
    hw_site_t *site;
    hw_str_t script_filename, script_name, path_info, path_translated, document_uri;
    hw_str_t server_name, server_port, server_protocol, request_scheme, ssl_protocol, ssl_cipher;
    hw_str_t method, request_uri, query_string, remote_addr, remote_port;
    hw_str_t content_type, content_length_text, cookie, authorization, host;
    int64_t content_length; /* bytes, -1 = unknown (chunked) */
    hw_header_t *headers;
    size_t n_headers;
    hw_env_pair_t *env;
    size_t n_env;
    char *arena;

    /* -- request body: one of memory, file, stream */
    char *body_memory;
    size_t body_memory_len;
    int body_file; /* -1 = none; closed with the record */
    uint64_t body_file_len;
    hw_body_t *body_stream; /* NULL = none; produced by the reader's side */
    int64_t body_timeout_ns;
    uint64_t body_read; /* PHP thread */
    char *ahead;        /* PHP thread: what was read from the file beyond what PHP asked for; HW_HANDOFF_BYTES */
    size_t ahead_len, ahead_taken;

    /* -- PHP thread: flags that end the request's waits: PHP's timer and a kill. NULL between requests */
    const bool *timed_out, *killed;

    /* -- guarded by the queue's lock */
    struct hw_request *queue_prev, *queue_next;

    /* -- guarded by the channel's lock */
    struct hw_request *next_ready;
    bool listed;

    uint64_t peak_bytes; /* PHP thread, before response_done: most PHP memory of the request */

    /* -- times; written by the builder, then the PHP thread */
    int64_t created_ns, started_ns, ended_ns;

    /* -- Python only, under the GIL: wall-clock limit of the script, 0 = the runtime's; from the site at first */
    double timeout_s;

    /* -- guarded by lock */
    pthread_mutex_t lock;
    hw_head_t *interim_first, *interim_last;
    hw_head_t *head; /* final head, until it is taken */
    bool head_set;
    hw_body_t *body; /* response in pieces; NULL while nothing was handed over early */
    char *final;     /* whole rest of the response when no body exists; freed after it is taken */
    size_t final_len, final_taken;
} hw_request_t;

/* Thread: any. Locks: none. Owns: new reference; takes references on channel and site. Fails: NULL, out of memory. */
HW_HIDDEN hw_request_t *hw_request_new(hw_channel_t *channel, hw_site_t *site);
HW_HIDDEN HW_BORROWED hw_request_t *hw_request_retain(hw_request_t *request);
HW_HIDDEN void hw_request_release(hw_request_t *request);

HW_HIDDEN HW_BORROWED hw_site_t *hw_site_retain(hw_site_t *site);
HW_HIDDEN void hw_site_release(hw_site_t *site);

/* Writes the $_SERVER key of a header into `into` (at least len + 6 bytes): HTTP_ and the upper-cased name.
 * Names with an underscore give none, because Foo_Bar would pose as Foo-Bar; so do names that are no token (RFC 9110).
 * Thread: any. Locks: none. Owns: nothing. Fails: 0 = the header must not be visible. */
HW_HIDDEN size_t hw_request_header_key(const char *name, size_t len, char *into);

/* Reads up to `max` bytes of the request body; blocks only in streaming mode, at most the body timeout.
 * Thread: php. Locks: none. Owns: nothing. Fails: 0 at the end, on a timeout or when the client left. */
HW_HIDDEN size_t hw_request_read_body(hw_request_t *request, char *into, size_t max);

/* A head with room for `text_len` bytes. Thread: php. Locks: none. Owns: caller. Fails: NULL. */
HW_HIDDEN hw_head_t *hw_head_new(int status, size_t text_len);

/* Hands over an interim (1xx) or the final head.
 * Thread: php. Locks: takes the record's. Owns: steals head. Fails: never. */
HW_HIDDEN void hw_request_put_interim(hw_request_t *request, HW_STEALS(2) hw_head_t *head);
HW_HIDDEN void hw_request_put_head(hw_request_t *request, HW_STEALS(2) hw_head_t *head);

/* Changes the status of a head that was handed over but not taken yet.
 * Thread: php. Locks: takes the record's. Owns: nothing. Fails: silently, when the head has been taken. */
HW_HIDDEN void hw_request_change_status(hw_request_t *request, int status);

/* Hands over output before the end and wakes the reader. Blocks while the spool's limits are reached; the wait
 * ends when the client leaves and when PHP is interrupted (a timeout or a kill).
 * Thread: php. Locks: takes the record's. Owns: borrows data. Fails: false when the wait was ended so. */
HW_HIDDEN bool hw_request_put_body(hw_request_t *request, const char *data, size_t len, bool event_stream);

/* The response is complete. `rest` is output that was not handed over yet.
 * Thread: php. Locks: takes the record's. Owns: steals rest (malloc). Fails: false when the rest had to be
 * written to a body that the client has abandoned. Only the first call counts. */
HW_HIDDEN bool hw_request_finish(hw_request_t *request, hw_outcome_t outcome, HW_STEALS(3) char *rest, size_t rest_len);

/* Ends the response for the client, while the script may go on: what it has not handed over is lost, as if the client
 * had left. Without a head of the script's the client gets `status`.
 * Thread: any. Locks: takes the record's. Owns: nothing. Fails: never; does nothing to a response that is complete. */
HW_HIDDEN void hw_request_give_up(hw_request_t *request, int status);

/* What hw_request_take() gives; `head` belongs to the caller (free), `body` too unless NULL. */
typedef struct {
    int flags;
    hw_head_t *head;
    size_t body_len; /* bytes that hw_request_take_body() will give */
    char *final;
} hw_taken_t;

/* What can be sent now, without blocking. When body_len is not 0 and final is NULL the caller reads the bytes by
 * hw_body_read(request->body).
 * Thread: the reader. Locks: takes the record's. Owns: caller gets head and final. Fails: flags 0 = nothing yet. */
HW_HIDDEN void hw_request_take(hw_request_t *request, size_t max, hw_taken_t *taken);

/* The client left. PHP notices at its next output.
 * Thread: the reader. Locks: takes the record's. Owns: nothing. Fails: never; may be repeated. */
HW_HIDDEN void hw_request_abort(hw_request_t *request);

#endif
