/* SPDX-License-Identifier: MIT */
#include "hw_timer.h"

#include <php.h>

#include <time.h>
#include <unistd.h>

#ifdef ZEND_MAX_EXECUTION_TIMERS

/* The process that made the hidden timer, 0 = none is hidden: a fork does not inherit timers. */
static __thread pid_t kept_by;

void hw_timer_reveal(void)
{
    if (kept_by != 0) {
        EG(pid) = kept_by;
        kept_by = 0; /* PHP's again: it deletes the timer itself should this request not get as far as to hide it */
    }
}

void hw_timer_hide(void)
{
    kept_by = EG(pid);
    EG(pid) = 0;
}

void hw_timer_delete(void)
{
    hw_timer_reveal(); /* it is hidden, except after a request that failed */
    if (EG(pid) == getpid()) {
        timer_delete(EG(max_execution_timer_timer));
        EG(pid) = 0;
    }
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
