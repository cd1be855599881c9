/* See slice.h. */

#include "libcommon/loop/slice.h"

#include <sched.h>

#include "libcommon/loop/sched.h"

void rk_slice_short(void)
{
    struct rk_sched s;

    if (!rk_sched_get(&s) || s.policy != SCHED_OTHER)
        return;
    s.runtime = RK_SLICE_NS;
    (void)rk_sched_set(&s);
}

void rk_slice_last(void)
{
    rk_sched_batch(RK_SLICE_LAST_NICE, RK_SLICE_LAST_NS);
}

void rk_slice_yield(void)
{
    (void)sched_yield();
}
