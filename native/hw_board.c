/* SPDX-License-Identifier: MIT */
#include "hw_board.h"

#include <string.h>

static hw_slot_t slots[HW_BOARD_MAX_SLOTS];
static unsigned n_slots;
static bool locks_ready;

void hw_board_init(unsigned count)
{
    n_slots = count < HW_BOARD_MAX_SLOTS ? count : HW_BOARD_MAX_SLOTS;
    if (!locks_ready) {
        for (unsigned i = 0; i < HW_BOARD_MAX_SLOTS; i++) {
            pthread_mutex_init(&slots[i].kill_lock, NULL);
        }
        locks_ready = true;
    }
}

unsigned hw_board_size(void)
{
    return n_slots;
}

hw_slot_t *hw_board_slot(unsigned index)
{
    return index < n_slots ? &slots[index] : NULL;
}

bool hw_board_change(unsigned index, hw_state_t expected, hw_state_t to)
{
    hw_slot_t *slot = hw_board_slot(index);
    if (slot == NULL || !(hw_state_successors[expected] & (1u << to))) {
        return false;
    }
    int current = (int)expected;
    return atomic_compare_exchange_strong(&slot->state, &current, (int)to);
}

int hw_board_state_of(const char *name)
{
    for (int i = 0; i < HW_STATE_COUNT; i++) {
        if (strcmp(hw_state_names[i], name) == 0) {
            return i;
        }
    }
    return -1;
}
