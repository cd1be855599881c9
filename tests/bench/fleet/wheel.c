#include "tests/bench/fleet/wheel.h"

#include "libcommon/base/clock.h"

void alarm_init(struct alarm *a, void (*on_due)(struct alarm *a))
{
    rk_list_init(&a->node);
    a->due_ms = 0;
    a->on_due = on_due;
}

void alarm_stop(struct alarm *a)
{
    rk_list_remove(&a->node);
}

void alarm_set(struct wheel *w, struct alarm *a, uint64_t after_ms)
{
    uint64_t at;

    alarm_stop(a);
    a->due_ms = rk_mono_ms() + after_ms;
    at = a->due_ms / WHEEL_MS + 1;
    if (at <= w->turn)
        at = w->turn + 1;
    rk_list_append(&w->slot[at % WHEEL_SLOTS], &a->node);
}

static void ring(struct wheel *w, struct rk_list *slot, uint64_t now)
{
    struct rk_list due, *n, *tmp;

    /* An alarm may set or stop any other: those of this slot leave it first. */
    rk_list_init(&due);
    rk_list_each(slot, n, tmp)
    {
        if (rk_list_entry(n, struct alarm, node)->due_ms > now)
            continue; /* of a later turn */
        rk_list_remove(n);
        rk_list_append(&due, n);
    }
    while (!rk_list_empty(&due)) {
        struct alarm *a = rk_list_entry(due.next, struct alarm, node);

        alarm_stop(a);
        a->on_due(a);
    }
    (void)w;
}

static void on_timer(struct rk_timer *t)
{
    struct wheel *w = rk_container_of(t, struct wheel, timer);
    uint64_t now = rk_mono_ms(), turn = now / WHEEL_MS;

    /* A long stall: every slot once is enough. */
    if (turn - w->turn > WHEEL_SLOTS)
        w->turn = turn - WHEEL_SLOTS;
    while (w->turn < turn)
        ring(w, &w->slot[++w->turn % WHEEL_SLOTS], now);
    if (w->on_tick)
        w->on_tick(w);
}

void wheel_init(struct wheel *w, struct rk_loop *l, void (*on_tick)(struct wheel *w))
{
    for (unsigned i = 0; i < WHEEL_SLOTS; i++)
        rk_list_init(&w->slot[i]);
    w->turn = rk_mono_ms() / WHEEL_MS;
    w->on_tick = on_tick;
    rk_timer_init(l, &w->timer, on_timer);
    rk_timer_start(&w->timer, WHEEL_MS, WHEEL_MS);
}

void wheel_close(struct wheel *w)
{
    rk_timer_close(&w->timer, NULL);
}
