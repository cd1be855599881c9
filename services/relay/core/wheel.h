#pragma once

/*
 * Timer wheel: deadlines of many connections at a quarter of a second's grain, O(1) to set. A timer
 * never fires before its time. One thread.
 */

#include <stdint.h>

#include "libcommon/base/list.h"

#define WHEEL_TICK_MS 250
#define WHEEL_SLOTS 256 /* 64 s a turn; later deadlines stay for further turns */

struct wheel_timer {
    struct rk_list node;
    uint64_t due_ms;
};

struct wheel {
    struct rk_list slots[WHEEL_SLOTS];
    uint64_t tick; /* last one processed */
};

void wheel_init(struct wheel *w, uint64_t now_ms);
void wheel_timer_init(struct wheel_timer *t);
void wheel_set(struct wheel *w, struct wheel_timer *t, uint64_t due_ms); /* also moves a set one */
void wheel_unset(struct wheel_timer *t);
/* Fires what is due; a fired timer is unset and may be set again or freed in `fire`, others may be
 * unset. */
void wheel_run(struct wheel *w, uint64_t now_ms, void (*fire)(struct wheel_timer *t));
