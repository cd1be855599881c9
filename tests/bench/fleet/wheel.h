#pragma once

/*
 * Alarms of thousands of agents on one timer of the loop: an alarm is 40 bytes inside its owner,
 * where a timer of the loop is four times that. They ring within 10 ms after their time. Loop
 * thread only.
 */

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/list.h"
#include "libcommon/loop/loop.h"

#define WHEEL_SLOTS 1024
#define WHEEL_MS 10

struct alarm {
    struct rk_list node;
    uint64_t due_ms;
    void (*on_due)(struct alarm *a); /* it is off when this is called */
};

struct wheel {
    struct rk_list slot[WHEEL_SLOTS];
    uint64_t turn; /* the slot that has been emptied last, counted from the clock's 0 */
    void (*on_tick)(struct wheel *w); /* every WHEEL_MS, after the alarms; may be NULL */
    struct rk_timer timer;
};

void wheel_init(struct wheel *w, struct rk_loop *l, void (*on_tick)(struct wheel *w));
/* The memory is the caller's again once the loop has run. */
void wheel_close(struct wheel *w);

void alarm_init(struct alarm *a, void (*on_due)(struct alarm *a));
/* Moves it when it is set already. */
void alarm_set(struct wheel *w, struct alarm *a, uint64_t after_ms);
void alarm_stop(struct alarm *a);
static inline bool alarm_is_set(const struct alarm *a)
{
    return !rk_list_empty(&a->node);
}
