#pragma once

/*
 * The calling thread does little at a time, and others wait for it: it asks the kernel for slices
 * of RK_SLICE_NS. Since Linux 6.12 such a thread goes before those that compute as soon as it wakes
 * up; otherwise it waits until theirs is over, which the kernel looks at once a tick (4 ms). Its
 * share of the core stays what it is. Ignored by older kernels, and where it is forbidden.
 */
#define RK_SLICE_NS 100000 /* the shortest that there is */
void rk_slice_short(void);
