/* SPDX-License-Identifier: MIT */
#include "hw_crash.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hw_board.h"
#include "hw_port.h"
#include "hw_thread.h"

#define STACK_BYTES ((size_t)64 * 1024)
/* A fault this near to the end of the stack is an overflow: the guard, and a function with large variables. */
#define NEAR_BYTES  ((uintptr_t)256 * 1024)

static const int numbers[] = {SIGSEGV, SIGBUS};
#define N_NUMBERS (sizeof numbers / sizeof *numbers)
static struct sigaction before[N_NUMBERS]; /* written in MINIT, while no PHP thread exists */
static bool installed;                     /* likewise */
static volatile sig_atomic_t n_crashes;    /* handler */

static __thread void *own_stack;     /* NULL = the thread had one already */
static __thread uintptr_t stack_end; /* lowest address of the thread's stack; 0 = unknown */

/* -- the handler: only what is async-signal-safe -- */

typedef struct {
    char text[1024];
    size_t len;
} line_t;

static void put(line_t *line, const char *text)
{
    while (*text != '\0' && line->len < sizeof line->text - 1) {
        unsigned char c = (unsigned char)*text++;
        line->text[line->len++] = c < 0x20 || c == 0x7f ? '?' : (char)c;
    }
}

static void put_number(line_t *line, uint64_t value, unsigned base)
{
    char digits[24];
    size_t at = sizeof digits;
    digits[--at] = '\0';
    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value > 0);
    put(line, digits + at);
}

static void report(hw_thread_t *self, int number, uintptr_t address)
{
    line_t line = {.len = 0};
    hw_slot_t *slot = hw_board_slot(self->slot);
    put(&line, "howdah: PHP thread ");
    put_number(&line, self->slot, 10);
    put(&line, " (id ");
    put_number(&line, (uint64_t)hw_port_thread_id(), 10);
    put(&line, number == SIGBUS ? ") crashed by SIGBUS at 0x" : ") crashed by SIGSEGV at 0x");
    put_number(&line, address, 16);
    if (self->request != NULL) {
        put(&line, " in the script ");
        put(&line, self->request->script_filename.data);
        put(&line, ", request ");
        put(&line, slot != NULL ? slot->current : "");
    } else {
        put(&line, " outside any request");
    }
    if (stack_end != 0 && address + NEAR_BYTES >= stack_end && address < stack_end + NEAR_BYTES) {
        put(&line, ": its stack is full, most likely by recursion in C; thread_stack_size sets the size");
    }
    line.text[line.len++] = '\n';
    ssize_t written = write(STDERR_FILENO, line.text, line.len);
    (void)written;
}

static void handler(int number, siginfo_t *info, void *context)
{
    (void)context;
    bool first = n_crashes++ == 0;
    if (first && hw_self != NULL) {
        report(hw_self, number, (uintptr_t)info->si_addr);
    }
    for (size_t i = 0; i < N_NUMBERS; i++) {
        if (numbers[i] == number) {
            /* The second time this handler and one that was put over it would call each other for ever. */
            struct sigaction usual = {.sa_handler = SIG_DFL};
            sigaction(number, first ? &before[i] : &usual, NULL);
        }
    }
    if (info->si_code <= 0) {
        raise(number); /* sent by somebody: it would not come again by itself */
    }
}

/* -- set-up -- */

void hw_crash_minit(void)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < N_NUMBERS; i++) {
        sigaction(numbers[i], &action, &before[i]);
    }
    installed = true;
}

void hw_crash_mshutdown(void)
{
    for (size_t i = 0; installed && i < N_NUMBERS; i++) {
        struct sigaction now;
        sigaction(numbers[i], NULL, &now);
        if ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == handler) { /* else somebody put theirs over it */
            sigaction(numbers[i], &before[i], NULL);
        }
    }
    installed = false;
}

void hw_crash_thread_begin(void)
{
    stack_t present;
    own_stack = NULL;
    stack_end = 0;
#ifdef __linux__
    pthread_attr_t attributes;
    if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
        void *lowest;
        size_t size;
        if (pthread_attr_getstack(&attributes, &lowest, &size) == 0) {
            stack_end = (uintptr_t)lowest;
        }
        pthread_attr_destroy(&attributes);
    }
#endif
    if (sigaltstack(NULL, &present) != 0 || !(present.ss_flags & SS_DISABLE)) {
        return; /* a sanitizer gives each thread one, and frees what it finds */
    }
    void *memory = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return;
    }
    stack_t stack = {.ss_sp = memory, .ss_size = STACK_BYTES};
    if (sigaltstack(&stack, NULL) == 0) {
        own_stack = memory;
    } else {
        munmap(memory, STACK_BYTES);
    }
}

void hw_crash_thread_end(void)
{
    if (own_stack != NULL) {
        stack_t none = {.ss_flags = SS_DISABLE};
        sigaltstack(&none, NULL);
        munmap(own_stack, STACK_BYTES);
        own_stack = NULL;
    }
}
