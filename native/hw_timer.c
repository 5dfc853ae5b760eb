/* SPDX-License-Identifier: MIT */
#include "hw_timer.h"

#include <php.h>

#include <time.h>
#include <unistd.h>

#ifdef ZEND_MAX_EXECUTION_TIMERS

/* The process that made the kept timer, 0 = none: a fork does not inherit timers. */
static __thread pid_t kept_by;

void hw_timer_reveal(void)
{
    if (kept_by != 0) {
        EG(pid) = kept_by;
    }
}

void hw_timer_hide(void)
{
    kept_by = EG(pid);
    EG(pid) = 0;
}

void hw_timer_delete(void)
{
    if (kept_by != 0 && kept_by == getpid()) {
        timer_delete(EG(max_execution_timer_timer));
    }
    kept_by = 0;
}

#else

void hw_timer_reveal(void)
{
}

void hw_timer_hide(void)
{
}

void hw_timer_delete(void)
{
}

#endif
