/* SPDX-License-Identifier: MIT */
// links: hw_board.c
#include "hw_board.h"

#include "check.h"

#define THREADS 8

static void *try_to_boot(void *wins)
{
    if (hw_board_change(1, HW_STATE_RESERVED, HW_STATE_BOOT_REQUESTED)) {
        atomic_fetch_add((_Atomic int *)wins, 1);
    }
    return NULL;
}

static void slots_beyond_the_size_do_not_exist(void)
{
    hw_board_init(4);
    CHECK(hw_board_size() == 4);
    CHECK(hw_board_slot(3) != NULL);
    CHECK(hw_board_slot(4) == NULL);
    CHECK(!hw_board_change(4, HW_STATE_RESERVED, HW_STATE_BOOT_REQUESTED));
}

static void the_size_has_a_ceiling(void)
{
    hw_board_init(HW_BOARD_MAX_SLOTS + 1);
    CHECK(hw_board_size() == HW_BOARD_MAX_SLOTS);
    hw_board_init(4);
}

static void only_listed_transitions_happen(void)
{
    CHECK(!hw_board_change(0, HW_STATE_RESERVED, HW_STATE_INACTIVE));
    CHECK(!hw_board_change(0, HW_STATE_BOOTING, HW_STATE_INACTIVE)); /* listed, but it is not booting */
    CHECK(hw_board_change(0, HW_STATE_RESERVED, HW_STATE_BOOT_REQUESTED));
    CHECK(hw_board_change(0, HW_STATE_BOOT_REQUESTED, HW_STATE_BOOTING));
    CHECK(hw_board_change(0, HW_STATE_BOOTING, HW_STATE_INACTIVE));
    CHECK(atomic_load(&hw_board_slot(0)->state) == HW_STATE_INACTIVE);
}

static void of_several_threads_one_makes_the_transition(void)
{
    pthread_t threads[THREADS];
    _Atomic int wins = 0;
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, try_to_boot, &wins) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    CHECK(atomic_load(&wins) == 1);
}

static void names_and_numbers_agree(void)
{
    for (int i = 0; i < HW_STATE_COUNT; i++) {
        CHECK(hw_board_state_of(hw_state_names[i]) == i);
    }
    CHECK(hw_board_state_of("no such state") == -1);
}

int main(void)
{
    RUN(slots_beyond_the_size_do_not_exist);
    RUN(the_size_has_a_ceiling);
    RUN(only_listed_transitions_happen);
    RUN(of_several_threads_one_makes_the_transition);
    RUN(names_and_numbers_agree);
    return check_done();
}
