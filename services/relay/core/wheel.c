#include "services/relay/core/wheel.h"

void wheel_init(struct wheel *w, uint64_t now_ms)
{
    for (unsigned i = 0; i < WHEEL_SLOTS; i++)
        rk_list_init(&w->slots[i]);
    w->tick = now_ms / WHEEL_TICK_MS;
}

void wheel_timer_init(struct wheel_timer *t)
{
    rk_list_init(&t->node);
    t->due_ms = 0;
}

void wheel_set(struct wheel *w, struct wheel_timer *t, uint64_t due_ms)
{
    uint64_t tick = (due_ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS;

    if (tick <= w->tick)
        tick = w->tick + 1;
    rk_list_remove(&t->node);
    t->due_ms = due_ms;
    rk_list_append(&w->slots[tick % WHEEL_SLOTS], &t->node);
}

void wheel_unset(struct wheel_timer *t)
{
    rk_list_remove(&t->node);
}

static void run_slot(struct wheel *w,
                     struct rk_list *slot,
                     uint64_t now_ms,
                     void (*fire)(struct wheel_timer *t))
{
    struct rk_list work;

    /* Moved aside first: `fire` may put timers back into this slot. */
    if (rk_list_empty(slot))
        return;
    work = *slot;
    work.next->prev = work.prev->next = &work;
    rk_list_init(slot);
    while (!rk_list_empty(&work)) {
        struct wheel_timer *t = rk_list_entry(work.next, struct wheel_timer, node);

        rk_list_remove(&t->node);
        if (t->due_ms > now_ms)
            wheel_set(w, t, t->due_ms);
        else
            fire(t);
    }
}

void wheel_run(struct wheel *w, uint64_t now_ms, void (*fire)(struct wheel_timer *t))
{
    uint64_t until = now_ms / WHEEL_TICK_MS;

    if (until - w->tick > WHEEL_SLOTS)
        w->tick = until - WHEEL_SLOTS;
    while (w->tick < until) {
        w->tick++;
        run_slot(w, &w->slots[w->tick % WHEEL_SLOTS], now_ms, fire);
    }
}
