#pragma once

/* Conditions that are waited for until a moment of the monotonic clock: the wall clock may jump.
 * Any thread. */

#include <pthread.h>
#include <time.h>

static inline void rk_cond_init(pthread_cond_t *c)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(c, &attr);
    pthread_condattr_destroy(&attr);
}
