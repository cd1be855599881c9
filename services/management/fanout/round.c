/* Rounds of maps, within a budget a turn. */

#include "services/management/fanout/round.h"

#include "libcommon/base/clock.h"
#include "services/management/app.h"
#include "services/management/fanout/session.h"
#include "services/management/metrics.h"

#define TURN_MS 5

void round_arm(struct hub *h)
{
    if (h->fan_armed || rk_list_empty(&h->pending))
        return;
    h->fan_armed = true;
    h->round_started_ms = 0;
    h->round_late_us = -1;
    rk_timer_start(&h->fan, pace_wait(&h->pace, rk_mono_ms()), 0);
}

static void push(struct hub *h, struct session *s)
{
    bool written = session_push(h->app, s);
    int64_t late = s->owes_since_us == RK_TIME_UNSET ? -1 : rk_wall_us() - s->owes_since_us;

    if (written && late > h->round_late_us)
        h->round_late_us = late;
    s->owes_since_us = RK_TIME_UNSET;
}

static void round_over(struct hub *h, uint64_t now)
{
    pace_done(&h->pace, now, now - h->round_started_ms);
    h->fan_armed = false;
    if (h->round_late_us >= 0)
        rk_metric_observe(&metrics[METRIC_PROPAGATION], (double)h->round_late_us / 1e6);
}

void round_on_timer(struct rk_timer *t)
{
    struct hub *h = rk_container_of(t, struct hub, fan);
    uint64_t began = rk_mono_ms();
    struct rk_list *n, *tmp;

    if (h->round_started_ms == 0)
        h->round_started_ms = began;
    rk_list_each(&h->pending, n, tmp)
    {
        struct session *s = rk_list_entry(n, struct session, by_pending);

        /* A stream that still has bytes of the last map stays pending; on_writable brings it back.
         */
        if (!s->call || rk_grpc_queued(s->call) > 0)
            continue;
        rk_list_remove(n);
        push(h, s);
        if (rk_mono_ms() - began >= TURN_MS) {
            rk_timer_start(&h->fan, 0, 0);
            return;
        }
    }
    round_over(h, rk_mono_ms());
}
