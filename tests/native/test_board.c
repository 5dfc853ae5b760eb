/* SPDX-License-Identifier: MIT */
#include "hw_board.h"

#include "hw_check.h"

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
    HW_CHECK(hw_board_size() == 4);
    HW_CHECK(hw_board_slot(3) != NULL);
    HW_CHECK(hw_board_slot(4) == NULL);
    HW_CHECK(!hw_board_change(4, HW_STATE_RESERVED, HW_STATE_BOOT_REQUESTED));
}

static void the_size_has_a_ceiling(void)
{
    hw_board_init(HW_BOARD_MAX_SLOTS + 1);
    HW_CHECK(hw_board_size() == HW_BOARD_MAX_SLOTS);
    hw_board_init(4);
}

static void only_listed_transitions_happen(void)
{
    HW_CHECK(!hw_board_change(0, HW_STATE_RESERVED, HW_STATE_READY));
    HW_CHECK(!hw_board_change(0, HW_STATE_BOOTING, HW_STATE_READY)); /* listed, but it is not booting */
    HW_CHECK(hw_board_change(0, HW_STATE_RESERVED, HW_STATE_BOOT_REQUESTED));
    HW_CHECK(hw_board_change(0, HW_STATE_BOOT_REQUESTED, HW_STATE_BOOTING));
    HW_CHECK(hw_board_change(0, HW_STATE_BOOTING, HW_STATE_READY));
    HW_CHECK(atomic_load(&hw_board_slot(0)->state) == HW_STATE_READY);
}

static void of_several_threads_one_makes_the_transition(void)
{
    pthread_t threads[THREADS];
    _Atomic int wins = 0;
    for (int i = 0; i < THREADS; i++) {
        HW_CHECK(pthread_create(&threads[i], NULL, try_to_boot, &wins) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    HW_CHECK(atomic_load(&wins) == 1);
}

static void names_and_numbers_agree(void)
{
    for (int i = 0; i < HW_STATE_COUNT; i++) {
        HW_CHECK(hw_board_state_of(hw_state_names[i]) == i);
    }
    HW_CHECK(hw_board_state_of("no such state") == -1);
}

int main(void)
{
    HW_RUN(slots_beyond_the_size_do_not_exist);
    HW_RUN(the_size_has_a_ceiling);
    HW_RUN(only_listed_transitions_happen);
    HW_RUN(of_several_threads_one_makes_the_transition);
    HW_RUN(names_and_numbers_agree);
    return 0;
}
