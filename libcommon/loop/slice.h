#pragma once

/*
 * What the calling thread asks of the kernel, which divides a core among those who want it in
 * slices, and looks once a tick (4 ms) whether somebody's is over. Ignored by older kernels than
 * Linux 6.12, and where it is forbidden.
 */

/* It does little at a time, and others wait for it: slices of RK_SLICE_NS. Such a thread goes
 * before those that compute as soon as it wakes up; otherwise it waits until their slice is over.
 * Its share of the core stays what it is. */
#define RK_SLICE_NS 100000 /* the shortest that there is */
void rk_slice_short(void);

/* What it does nobody is to wait for: SCHED_BATCH, nice RK_SLICE_LAST_NICE, slices of
 * RK_SLICE_LAST_NS. For good. It calls rk_slice_yield() between pieces of 0.1 ms or so. */
#define RK_SLICE_LAST_NICE 10
#define RK_SLICE_LAST_NS 200000
void rk_slice_last(void);

/* All others who want the core go first. Being nice does not do that: who has just had more than
 * its share of the core, however little, waits for the one who has not, until the tick. */
void rk_slice_yield(void);
