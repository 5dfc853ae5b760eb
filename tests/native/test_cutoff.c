/* SPDX-License-Identifier: MIT */
// links: hw_cutoff.c hw_syscall.c hw_socket.c hw_port.c
#include "hw_cutoff.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"
#include "hw_port.h"
#include "hw_socket.h"

#define REQUEST 7

/* A thread that blocks on descriptors again and again until a call ends otherwise than by a signal. */
typedef struct {
    int (*wait)(int fd);
    int fd;
    pthread_t thread;
    _Atomic int thread_id;
    _Atomic uint64_t request_id;
    _Atomic bool ended;
    _Atomic int signals;
    _Atomic int cut;
    hw_cutoff_t order;
} blocked_t;

static __thread blocked_t *self;

static void on_signal(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    int error = errno;
    if (self != NULL) {
        atomic_fetch_add(&self->cut, (int)hw_cutoff_carry_out(&self->order, atomic_load(&self->request_id), context));
        atomic_fetch_add(&self->signals, 1);
    }
    errno = error;
}

static int wait_by_recv(int fd)
{
    char byte;
    return (int)recv(fd, &byte, 1, 0);
}

static int wait_by_read(int fd)
{
    char byte;
    return (int)read(fd, &byte, 1);
}

static int wait_by_poll(int fd)
{
    struct pollfd set[2] = {{.fd = -1}, {.fd = fd, .events = POLLIN}};
    return poll(set, 2, -1);
}

static int wait_by_select(int fd)
{
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fd, &set);
    return select(fd + 1, &set, NULL, NULL, NULL);
}

static int wait_by_epoll(int fd)
{
    struct epoll_event event = {.events = EPOLLIN};
    int watcher = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(watcher, EPOLL_CTL_ADD, fd, &event);
    int result, error;
    do {
        result = epoll_wait(watcher, &event, 1, -1); /* one descriptor for all rounds: see wait_until_blocked() */
        error = errno;
    } while (result < 0 && error == EINTR);
    close(watcher);
    return result;
}

static int wait_by_accept(int fd)
{
    return accept(fd, NULL, NULL);
}

static void *block(void *argument)
{
    self = argument;
    atomic_store(&self->thread_id, hw_port_thread_id());
    int result;
    do {
        result = self->wait(self->fd);
    } while (result < 0 && errno == EINTR && atomic_load(&self->request_id) != 0);
    atomic_store(&self->ended, true);
    return NULL;
}

static void begin(blocked_t *blocked, int (*wait)(int fd), int fd)
{
    hw_syscall_t call;
    memset(blocked, 0, sizeof *blocked);
    blocked->wait = wait;
    blocked->fd = fd;
    atomic_store(&blocked->request_id, REQUEST);
    CHECK(pthread_create(&blocked->thread, NULL, block, blocked) == 0);
    for (int i = 0; i < 5000; i++) {
        int descriptors[4];
        if (hw_syscall_read(atomic_load(&blocked->thread_id), &call) &&
            hw_syscall_descriptors(&call, descriptors, 4) == 1 && descriptors[0] == fd) {
            return;
        }
        check_pause_ns(1000000);
    }
    CHECK(!"the thread did not block");
}

/* Orders and signals until the thread has ended, or `rounds` times. */
static bool cut(blocked_t *blocked, uint64_t request_id, int rounds)
{
    bool ordered = false;
    for (int i = 0; i < rounds && !atomic_load(&blocked->ended); i++) {
        ordered |= hw_cutoff_order(&blocked->order, atomic_load(&blocked->thread_id), request_id);
        int before = atomic_load(&blocked->signals);
        pthread_kill(blocked->thread, HW_KILL_SIGNAL);
        for (int j = 0; j < 2000 && atomic_load(&blocked->signals) == before; j++) {
            check_pause_ns(500000);
        }
        check_pause_ns(2000000);
    }
    return ordered;
}

static void end(blocked_t *blocked)
{
    atomic_store(&blocked->request_id, 0);
    while (!atomic_load(&blocked->ended)) {
        pthread_kill(blocked->thread, HW_KILL_SIGNAL);
        check_pause_ns(1000000);
    }
    pthread_join(blocked->thread, NULL);
}

static void pair(int ends[2])
{
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
}

static bool is_open(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}

static void every_kind_of_wait_is_ended(void)
{
    int (*const waits[])(int) = {wait_by_recv, wait_by_read, wait_by_poll, wait_by_select, wait_by_epoll};
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
        blocked_t blocked;
        int ends[2];
        pair(ends);
        begin(&blocked, waits[i], ends[0]);
        CHECK(cut(&blocked, REQUEST, 100));
        CHECK(atomic_load(&blocked.ended));
        CHECK_EQ(atomic_load(&blocked.cut), 1);
        end(&blocked);
        close(ends[0]);
        close(ends[1]);
    }
}

static void another_request_of_the_thread_is_not_hit(void)
{
    blocked_t blocked;
    int ends[2];
    pair(ends);
    begin(&blocked, wait_by_recv, ends[0]);
    CHECK(cut(&blocked, REQUEST + 1, 5));
    CHECK(!atomic_load(&blocked.ended));
    CHECK_EQ(atomic_load(&blocked.cut), 0);
    CHECK(is_open(ends[1]));
    end(&blocked);
    close(ends[0]);
    close(ends[1]);
}

static void a_descriptor_that_means_another_socket_now_is_not_hit(void)
{
    blocked_t blocked;
    int ends[2], others[2];
    pair(ends);
    pair(others);
    int number = ends[0], kept = dup(ends[0]);
    begin(&blocked, wait_by_recv, number);
    CHECK(hw_cutoff_order(&blocked.order, atomic_load(&blocked.thread_id), REQUEST));
    dup2(others[0], number); /* the call goes on with the old socket, the number means another one */
    pthread_kill(blocked.thread, HW_KILL_SIGNAL);
    while (atomic_load(&blocked.signals) == 0) {
        check_pause_ns(500000);
    }
    CHECK_EQ(atomic_load(&blocked.cut), 0);
    CHECK(is_open(others[1]));
    CHECK(is_open(ends[1]));
    end(&blocked);
    close(number);
    close(kept);
    close(ends[1]);
    close(others[0]);
    close(others[1]);
}

static void an_order_is_dropped_when_the_thread_went_on(void)
{
    blocked_t blocked;
    int ends[2], others[2];
    pair(ends);
    pair(others);
    begin(&blocked, wait_by_recv, ends[0]);
    hw_cutoff_order(&blocked.order, atomic_load(&blocked.thread_id), REQUEST);
    blocked.order.call.sp += 16;               /* as if it had been seen elsewhere */
    atomic_fetch_add(&blocked.order.state, 0); /* hands the change over */
    pthread_kill(blocked.thread, HW_KILL_SIGNAL);
    while (atomic_load(&blocked.signals) == 0) {
        check_pause_ns(500000);
    }
    CHECK_EQ(atomic_load(&blocked.cut), 0);
    CHECK(is_open(ends[1]));
    end(&blocked);
    close(ends[0]);
    close(ends[1]);
    close(others[0]);
    close(others[1]);
}

/* -- sockets of the server -- */

static int listener_on_loopback(struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof *address;
    memset(address, 0, sizeof *address);
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(bind(fd, (struct sockaddr *)address, sizeof *address) == 0);
    CHECK(listen(fd, 8) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)address, &len) == 0);
    return fd;
}

static void what_the_server_opened_is_left_alone(void)
{
    struct sockaddr_in address;
    int listener = listener_on_loopback(&address);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(connect(client, (struct sockaddr *)&address, sizeof address) == 0);
    int server = accept(listener, NULL, NULL);
    check_pause_ns(1100000000); /* what is known of listeners is a second old at most */
    blocked_t blocked;
    begin(&blocked, wait_by_recv, server);
    CHECK(!cut(&blocked, REQUEST, 3));
    CHECK(!atomic_load(&blocked.ended));
    end(&blocked);
    begin(&blocked, wait_by_accept, listener);
    CHECK(!cut(&blocked, REQUEST, 3));
    CHECK(!atomic_load(&blocked.ended));
    end(&blocked);
    CHECK(is_open(client));
    CHECK(is_open(server));
    begin(&blocked, wait_by_recv, client); /* somebody else's connection to us is fair game */
    CHECK(cut(&blocked, REQUEST, 100));
    CHECK(atomic_load(&blocked.ended));
    end(&blocked);
    close(client);
    close(server);
    close(listener);
}

static void pipes_are_left_alone(void)
{
    int ends[2];
    blocked_t blocked;
    CHECK(pipe(ends) == 0);
    begin(&blocked, wait_by_read, ends[0]);
    CHECK(!cut(&blocked, REQUEST, 3));
    CHECK(!atomic_load(&blocked.ended));
    end(&blocked);
    close(ends[0]);
    close(ends[1]);
}

static void local_ends_tell_who_came_in(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    hw_listeners_t listeners;
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "howdah-test-%d", (int)getpid());
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(address.sun_path + 1));
    CHECK(bind(listener, (struct sockaddr *)&address, len) == 0);
    CHECK(listen(listener, 1) == 0);
    int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(connect(client, (struct sockaddr *)&address, len) == 0);
    int server = accept(listener, NULL, NULL);
    hw_socket_listeners(&listeners);
    CHECK(hw_socket_is_listening(listener));
    CHECK(!hw_socket_is_listening(client));
    CHECK(hw_socket_came_in(server, &listeners));
    CHECK(!hw_socket_came_in(client, &listeners));
    listeners.more = true;
    CHECK(!hw_socket_came_in(client, &listeners)); /* it has no local end at all */
    close(client);
    close(server);
    close(listener);
}

/* -- the place in memory -- */

static void memory_that_is_gone_does_not_fault(void)
{
    int number = 42, copy = 0;
    CHECK(hw_syscall_peek((uint64_t)(uintptr_t)&number, &copy, sizeof copy));
    CHECK_EQ(copy, 42);
    CHECK(!hw_syscall_peek(8, &copy, sizeof copy));
}

static void *spin(void *going)
{
    self = NULL;
    while (atomic_load((_Atomic int *)going) != 0) {
        int seen = -1;
        atomic_compare_exchange_strong((_Atomic int *)going, &seen, hw_port_thread_id());
    }
    return NULL;
}

static void a_thread_that_computes_is_in_no_call(void)
{
    hw_syscall_t call;
    pthread_t thread;
    _Atomic int going = -1;
    bool refused = false;
    CHECK(!hw_syscall_read(0, &call));
    CHECK(pthread_create(&thread, NULL, spin, (void *)&going) == 0);
    for (int i = 0; i < 1000 && !refused; i++) {
        int thread_id = atomic_load(&going);
        refused = thread_id > 0 && !hw_syscall_read(thread_id, &call);
        check_pause_ns(thread_id > 0 ? 1000 : 1000000);
    }
    CHECK(refused);
    CHECK(hw_syscall_switches(hw_port_thread_id()) > 0);
    atomic_store(&going, 0);
    pthread_join(thread, NULL);
}

/* -- many at once, while descriptors come and go -- */

#define VICTIMS 4

static _Atomic bool churning;

static void *churn(void *argument)
{
    uint64_t random = *(uint64_t *)argument, wrong = 0;
    while (atomic_load(&churning)) {
        int ends[2];
        char byte = 'x';
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
            continue;
        }
        if (check_random(&random) % 2 == 0) {
            check_pause_ns((int64_t)(check_random(&random) % 300000));
        }
        /* Nobody has cut this connection, whatever number it has got. */
        if (send(ends[0], &byte, 1, MSG_NOSIGNAL) != 1 || recv(ends[1], &byte, 1, 0) != 1) {
            wrong++;
        }
        close(ends[0]);
        close(ends[1]);
    }
    CHECK_EQ(wrong, 0);
    return NULL;
}

static void only_the_blocked_connection_is_hit_while_descriptors_churn(void)
{
    uint64_t seeds[3] = {11, 22, 33};
    pthread_t churners[3];
    atomic_store(&churning, true);
    for (int i = 0; i < 3; i++) {
        CHECK(pthread_create(&churners[i], NULL, churn, &seeds[i]) == 0);
    }
    for (int round = 0; round < 40; round++) {
        blocked_t blocked[VICTIMS];
        int ends[VICTIMS][2];
        for (int i = 0; i < VICTIMS; i++) {
            pair(ends[i]);
            begin(&blocked[i], i % 2 == 0 ? wait_by_poll : wait_by_recv, ends[i][0]);
        }
        int victim = round % VICTIMS;
        CHECK(cut(&blocked[victim], REQUEST, 200));
        CHECK(atomic_load(&blocked[victim].ended));
        for (int i = 0; i < VICTIMS; i++) {
            CHECK(i == victim || (!atomic_load(&blocked[i].ended) && is_open(ends[i][1])));
            end(&blocked[i]);
            close(ends[i][0]);
            close(ends[i][1]);
        }
    }
    atomic_store(&churning, false);
    for (int i = 0; i < 3; i++) {
        pthread_join(churners[i], NULL);
    }
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    sigaction(HW_KILL_SIGNAL, &action, NULL);
    if (!hw_syscall_readable()) {
        printf("ok # /proc/self/task/TID/syscall cannot be read here, so nothing is cut off\n");
        return check_done();
    }
    RUN(every_kind_of_wait_is_ended);
    RUN(another_request_of_the_thread_is_not_hit);
    RUN(a_descriptor_that_means_another_socket_now_is_not_hit);
    RUN(an_order_is_dropped_when_the_thread_went_on);
    RUN(what_the_server_opened_is_left_alone);
    RUN(pipes_are_left_alone);
    RUN(local_ends_tell_who_came_in);
    RUN(memory_that_is_gone_does_not_fault);
    RUN(a_thread_that_computes_is_in_no_call);
    RUN(only_the_blocked_connection_is_hit_while_descriptors_churn);
    return check_done();
}
