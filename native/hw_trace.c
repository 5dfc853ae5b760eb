/* SPDX-License-Identifier: MIT */
#include "hw_trace.h"

#include <php.h>
#include <zend_generators.h>

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "hw_board.h"
#include "hw_port.h"
#include "hw_syscall.h"

#define MAX_FRAMES     50
#define MAX_GENERATORS 16
#define MAX_NAME       128
#define MAX_FILE       512
/* A thread that has not answered for this long is inside one function, or waits for its processor. */
#define SILENCE_NS     ((int64_t)10 * 1000 * 1000)
#define POLL_NS        ((long)500 * 1000)
/* An answer that nobody fetched is worth nothing after this. */
#define FRESH_NS       ((int64_t)1000 * 1000 * 1000)

/* -- a walk over frames, of this thread or of another one -- */

typedef struct {
    bool local;            /* the frames are the calling thread's own */
    bool broken;           /* something could not be read */
    const zend_op *thrown; /* where the exception in flight was thrown */
    unsigned n_frames;
    bool top_is_internal;
    char *text;
    size_t len;
} walk_t;

/* The address of a member, for pointers that may be anything: what they point to is looked at only by fetch(). */
#define MEMBER(pointer, type, member) ((uintptr_t)(pointer) + offsetof(type, member))

static bool fetch(walk_t *walk, uintptr_t address, void *into, size_t len)
{
    if (walk->local) {
        memcpy(into, (const void *)address, len);
    } else if (address == 0 || !hw_syscall_peek(address, into, len)) {
        walk->broken = true;
    }
    return !walk->broken;
}

static void put(walk_t *walk, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(walk_t *walk, const char *format, ...)
{
    size_t room = HW_TRACE_BYTES - walk->len;
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(walk->text + walk->len, room, format, arguments);
    va_end(arguments);
    if (n > 0) {
        walk->len += (size_t)n < room ? (size_t)n : room - 1;
    }
}

/* Appends a string of PHP's. Of a long one the end says more if it is a path, else the beginning. Names of anonymous
 * classes go on after a NUL. */
static void put_string(walk_t *walk, const zend_string *string, size_t max, bool is_path)
{
    char text[MAX_FILE + 1];
    size_t len;
    if (!fetch(walk, MEMBER(string, zend_string, len), &len, sizeof len)) {
        return;
    }
    size_t shown = len < max ? len : max;
    size_t skipped = is_path ? len - shown : 0;
    if (!fetch(walk, MEMBER(string, zend_string, val) + skipped, text, shown)) {
        return;
    }
    text[shown] = '\0';
    for (char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20) {
            *at = '?';
        }
    }
    put(walk, "%s%s", skipped > 0 ? "..." : "", text);
}

static void put_class_name(walk_t *walk, const zend_class_entry *class)
{
    const zend_string *name;
    if (fetch(walk, MEMBER(class, zend_class_entry, name), &name, sizeof name)) {
        put_string(walk, name, MAX_NAME, false);
    }
}

/* What a frame without a function is: the script, an included file, or evaluated code. */
static const char *code_name(walk_t *walk, const zend_execute_data *frame)
{
    zend_execute_data caller;
    zend_op place;
    uint8_t type;
    if (frame->prev_execute_data == NULL) {
        return "{main}";
    }
    if (!fetch(walk, (uintptr_t)frame->prev_execute_data, &caller, sizeof caller) || caller.func == NULL ||
        !fetch(walk, MEMBER(caller.func, zend_function, type), &type, sizeof type) || !ZEND_USER_CODE(type) ||
        !fetch(walk, (uintptr_t)caller.opline, &place, sizeof place) || place.opcode != ZEND_INCLUDE_OR_EVAL) {
        return "include()";
    }
    switch (place.extended_value) {
    case ZEND_EVAL:
        return "eval()";
    case ZEND_INCLUDE_ONCE:
        return "include_once()";
    case ZEND_REQUIRE:
        return "require()";
    case ZEND_REQUIRE_ONCE:
        return "require_once()";
    default:
        return "include()";
    }
}

static void put_place(walk_t *walk, const zend_execute_data *frame)
{
    zend_op place;
    const zend_string *file;
    uint32_t line;
    if (!fetch(walk, MEMBER(frame->func, zend_function, op_array.filename), &file, sizeof file) ||
        !fetch(walk, (uintptr_t)frame->opline, &place, sizeof place)) {
        return;
    }
    line = place.lineno;
    if (place.opcode == ZEND_HANDLE_EXCEPTION) {
        bool known = walk->thrown != NULL && fetch(walk, (uintptr_t)walk->thrown, &place, sizeof place);
        line = place.lineno;
        if (!known && !fetch(walk, MEMBER(frame->func, zend_function, op_array.line_end), &line, sizeof line)) {
            return;
        }
    }
    put(walk, " at ");
    put_string(walk, file, MAX_FILE, true);
    put(walk, ":%" PRIu32, line);
}

static void put_frame(walk_t *walk, const zend_execute_data *frame)
{
    struct {
        uint8_t type;
        const zend_string *name;
        const zend_class_entry *scope;
    } function;
    if (!fetch(walk, MEMBER(frame->func, zend_function, type), &function.type, sizeof function.type) ||
        !fetch(walk, MEMBER(frame->func, zend_function, common.function_name), &function.name, sizeof function.name) ||
        !fetch(walk, MEMBER(frame->func, zend_function, common.scope), &function.scope, sizeof function.scope)) {
        return;
    }
    bool is_user = ZEND_USER_CODE(function.type);
    if (function.name == NULL && !is_user) {
        return; /* the bottom of a fiber */
    }
    if (walk->n_frames == 0) {
        walk->top_is_internal = !is_user;
    }
    put(walk, "%s#%u ", walk->n_frames > 0 ? "\n" : "", walk->n_frames);
    walk->n_frames++;
    if (function.name == NULL) {
        put(walk, "%s", code_name(walk, frame));
    } else {
        if (function.scope != NULL) {
            put_class_name(walk, function.scope);
            put(walk, "%s", Z_TYPE(frame->This) == IS_OBJECT ? "->" : "::");
        }
        put_string(walk, function.name, MAX_NAME, false);
        put(walk, "()");
    }
    if (is_user && !walk->broken) {
        put_place(walk, frame);
    }
}

/* With `yield from` the innermost generator runs, and its caller's frame is a placeholder that names the outermost one.
 * What stands between the two is known only by the generators' parents; PHP links it into the frames when it needs a
 * backtrace (zend_generator_check_placeholder_frame), which would change the script's memory. */
static void put_generators(walk_t *walk, const zend_execute_data *placeholder)
{
    const zend_generator *between[MAX_GENERATORS];
    const zend_generator *generator = (const zend_generator *)Z_OBJ(placeholder->This), *parent, *above;
    const zend_class_entry *class;
    size_t count = 0;
    if (Z_TYPE(placeholder->This) != IS_OBJECT ||
        !fetch(walk, MEMBER(generator, zend_generator, std.ce), &class, sizeof class) || class != zend_ce_generator) {
        return;
    }
    while (count < MAX_GENERATORS) {
        between[count++] = generator;
        if (!fetch(walk, MEMBER(generator, zend_generator, node.parent), &parent, sizeof parent) || parent == NULL ||
            !fetch(walk, MEMBER(parent, zend_generator, node.parent), &above, sizeof above) || above == NULL) {
            break;
        }
        generator = parent;
    }
    while (count > 0 && !walk->broken) {
        const zend_execute_data *address;
        zend_execute_data frame;
        count--;
        if (fetch(walk, MEMBER(between[count], zend_generator, execute_data), &address, sizeof address) &&
            address != NULL && fetch(walk, (uintptr_t)address, &frame, sizeof frame) && frame.func != NULL) {
            put_frame(walk, &frame);
        }
    }
}

static void put_frames(walk_t *walk, const zend_execute_data *address)
{
    zend_execute_data frame;
    while (address != NULL && !walk->broken) {
        if (walk->n_frames == MAX_FRAMES) {
            put(walk, "\n#%u ...", walk->n_frames);
            return;
        }
        if (!fetch(walk, (uintptr_t)address, &frame, sizeof frame)) {
            return;
        }
        if (frame.func != NULL) {
            put_frame(walk, &frame);
        } else {
            put_generators(walk, &frame);
        }
        address = frame.prev_execute_data;
    }
}

/* -- from inside -- */

/* IDLE -> ASKED by the reader, -> WRITING -> WRITTEN by the thread, -> IDLE by the reader. */
enum { IDLE, ASKED, WRITING, WRITTEN };

static struct {
    pthread_mutex_t lock; /* of readers against each other; guards asked_ns */
    _Atomic int state;
    _Atomic uint64_t request_id; /* written by the reader while IDLE */
    int64_t asked_ns;
    size_t len; /* these two belong to the thread while WRITING, else to the reader */
    char text[HW_TRACE_BYTES];
} traces[HW_BOARD_MAX_SLOTS] = {[0 ... HW_BOARD_MAX_SLOTS - 1] = {.lock = PTHREAD_MUTEX_INITIALIZER}};

void hw_trace_answer(unsigned slot, uint64_t request_id)
{
    int state = ASKED;
    if (HW_LIKELY(atomic_load_explicit(&traces[slot].state, memory_order_relaxed) != ASKED) ||
        atomic_load(&traces[slot].request_id) != request_id ||
        !atomic_compare_exchange_strong(&traces[slot].state, &state, WRITING)) {
        return;
    }
    walk_t walk = {.local = true, .text = traces[slot].text, .thrown = EG(opline_before_exception)};
    put_frames(&walk, EG(current_execute_data));
    traces[slot].len = walk.len;
    atomic_store(&traces[slot].state, WRITTEN);
}

/* Under the trace's lock. Asks, unless the question stands; a question about another request is withdrawn. */
static void ask(unsigned slot, uint64_t request_id)
{
    int state = ASKED;
    if (atomic_load(&traces[slot].request_id) != request_id) {
        atomic_compare_exchange_strong(&traces[slot].state, &state, IDLE);
    }
    if (atomic_load(&traces[slot].state) == IDLE) {
        atomic_store(&traces[slot].request_id, request_id);
        traces[slot].asked_ns = hw_port_now_ns();
        atomic_store(&traces[slot].state, ASKED);
    }
    hw_slot_t *board = hw_board_slot(slot);
    pthread_mutex_lock(&board->kill_lock);
    if (board->vm_interrupt != NULL && atomic_load(&board->request_id) == request_id) {
        zend_atomic_bool_store_ex((zend_atomic_bool *)board->vm_interrupt, true);
    }
    pthread_mutex_unlock(&board->kill_lock);
}

/* Under the trace's lock. */
static size_t fetch_answer(unsigned slot, uint64_t request_id, char *text)
{
    size_t len = 0;
    if (atomic_load(&traces[slot].state) == WRITTEN) {
        if (atomic_load(&traces[slot].request_id) == request_id &&
            hw_port_now_ns() - traces[slot].asked_ns < FRESH_NS) {
            len = traces[slot].len;
            memcpy(text, traces[slot].text, len);
        }
        atomic_store(&traces[slot].state, IDLE);
    }
    return len;
}

/* -- from outside -- */

static bool is_running(hw_slot_t *slot, uint64_t request_id)
{
    return atomic_load(&slot->request_id) == request_id;
}

/* Copies the frames of another thread. Gives false when they could not be read, or are none. */
static bool walk_outside(hw_slot_t *slot, char *text, walk_t *walk)
{
    *walk = (walk_t){.text = text};
    pthread_mutex_lock(&slot->kill_lock);
    const char *flag = slot->vm_interrupt;
    pthread_mutex_unlock(&slot->kill_lock);
    if (flag == NULL) {
        return false;
    }
    uintptr_t globals = (uintptr_t)flag - offsetof(zend_executor_globals, vm_interrupt);
    const zend_execute_data *top;
    if (!fetch(walk, MEMBER(globals, zend_executor_globals, opline_before_exception), &walk->thrown,
               sizeof walk->thrown) ||
        !fetch(walk, MEMBER(globals, zend_executor_globals, current_execute_data), &top, sizeof top)) {
        return false;
    }
    put_frames(walk, top);
    return !walk->broken && walk->len > 0;
}

/* Gives 0 when the thread is not blocked. */
static size_t read_blocked(hw_slot_t *slot, uint64_t request_id, char *text)
{
    walk_t walk;
    hw_syscall_t before, after;
    int thread_id = atomic_load(&slot->thread_id);
    if (!hw_syscall_read(thread_id, &before)) {
        return 0;
    }
    uint64_t switches = hw_syscall_switches(thread_id);
    if (!is_running(slot, request_id) || !walk_outside(slot, text, &walk)) {
        return 0;
    }
    if (!hw_syscall_read(thread_id, &after) || !hw_syscall_same(&before, &after) ||
        switches != hw_syscall_switches(thread_id) || !is_running(slot, request_id)) {
        return 0;
    }
    return walk.len;
}

/* Gives 0 when the thread may be anywhere: it has been asked only just now, or runs PHP code. */
static size_t read_silent(unsigned index, uint64_t request_id, char *text)
{
    char again[HW_TRACE_BYTES];
    walk_t walk, other;
    hw_slot_t *slot = hw_board_slot(index);
    if (atomic_load(&traces[index].state) != ASKED || hw_port_now_ns() - traces[index].asked_ns < SILENCE_NS ||
        !is_running(slot, request_id) || !walk_outside(slot, text, &walk) || !walk.top_is_internal) {
        return 0;
    }
    if (!walk_outside(slot, again, &other) || other.len != walk.len || memcmp(text, again, walk.len) != 0 ||
        atomic_load(&traces[index].state) != ASKED || !is_running(slot, request_id)) {
        return 0;
    }
    return walk.len;
}

static void pause_shortly(void)
{
    struct timespec duration = {.tv_nsec = POLL_NS};
    nanosleep(&duration, NULL);
}

size_t hw_trace_read(unsigned index, uint64_t request_id, int64_t timeout_ns, char text[HW_TRACE_BYTES])
{
    hw_slot_t *slot = hw_board_slot(index);
    int64_t deadline = hw_port_now_ns() + timeout_ns;
    size_t len;
    while (slot != NULL && pthread_mutex_trylock(&traces[index].lock) != 0) {
        if (hw_port_now_ns() >= deadline) {
            slot = NULL; /* somebody else asks */
        }
        pause_shortly();
    }
    if (slot == NULL) {
        return 0;
    }
    for (;;) {
        if ((len = fetch_answer(index, request_id, text)) > 0 || !is_running(slot, request_id) ||
            (len = read_blocked(slot, request_id, text)) > 0 || (len = read_silent(index, request_id, text)) > 0) {
            break;
        }
        ask(index, request_id);
        if (hw_port_now_ns() >= deadline) {
            break;
        }
        pause_shortly();
    }
    if (len > 0) {
        int state = ASKED; /* answered in another way */
        atomic_compare_exchange_strong(&traces[index].state, &state, IDLE);
    }
    pthread_mutex_unlock(&traces[index].lock);
    return len;
}
