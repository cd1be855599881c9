#pragma once

/*
 * Background: a thread whose work takes a core for a tenth of a second and more, and that nobody
 * is to feel. It runs as SCHED_BATCH with nice 5, in turns of 100 ms that whoever wakes up
 * interrupts (Linux 6.12 and later). That counts among the threads of one scheduling group: the
 * service, or more where the machine groups no further. A machine that gives every service its
 * share of the cores looks at groups alone, so there it is the number of such threads that
 * counts, and that each rests after work in which it was in others' way: where its core is wanted
 * by others all the time, a tenth of that core is what it takes.
 */

#include <stdint.h>

#define RK_BACKGROUND_NICE 5

struct rk_background {
    uint64_t ran_ns, waited_ns; /* on a core, and for one, since the thread began */
};

/* Of the calling thread, for good. */
void rk_background_begin(struct rk_background *b);
/* The same thread, after each piece of work: for how many ns it is to rest now
 * (rk_background_rest_ns). */
uint64_t rk_background_rest(struct rk_background *b);

/* Eight times as long as it had to wait for a core meanwhile, at most nine times as long as it was
 * on one, and never longer than two seconds: not at all where nobody else wants the core. Pure. */
uint64_t rk_background_rest_ns(uint64_t ran_ns, uint64_t waited_ns);

/* As many as may be at it: half of the cores, at least one, and `most` where each takes more than
 * time. Pure. */
unsigned rk_background_threads(unsigned cores, unsigned most);
