#pragma once

/*
 * How the kernel schedules the calling thread: sched_getattr(2) and sched_setattr(2), as of their
 * first version, of which glibc has neither.
 */

#include <stdbool.h>
#include <stdint.h>

struct rk_sched {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime; /* of SCHED_OTHER and SCHED_BATCH: a slice, in ns (Linux 6.12 and later) */
    uint64_t deadline, period;
};

/* False where it is forbidden. */
bool rk_sched_get(struct rk_sched *s);
bool rk_sched_set(struct rk_sched *s); /* all of it; `size` is filled in */
/* SCHED_BATCH with that nice and slices so long; where it is forbidden, the nice alone. */
void rk_sched_batch(int nice, uint64_t slice_ns);
