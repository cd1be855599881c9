/* Rounds of maps, within a budget a turn. */

#include "services/management/fanout/round.h"

#include "libcommon/base/clock.h"
#include "services/management/app.h"
#include "services/management/fanout/session.h"
#include "services/management/metrics.h"

#define TURN_MS 5
#define PAUSE_MIN_MS 50
#define PAUSE_MAX_MS 1000
#define PAUSE_FACTOR 4

void round_arm(struct hub *h)
{
    uint64_t now = rk_mono_ms();

    if (h->fan_armed || rk_list_empty(&h->pending))
        return;
    h->fan_armed = true;
    h->round_started_ms = 0;
    rk_timer_start(&h->fan, h->fan_not_before_ms > now ? h->fan_not_before_ms - now : 0, 0);
}

static void round_over(struct hub *h, uint64_t now)
{
    uint64_t pause = (now - h->round_started_ms) * PAUSE_FACTOR;

    if (pause < PAUSE_MIN_MS)
        pause = PAUSE_MIN_MS;
    if (pause > PAUSE_MAX_MS)
        pause = PAUSE_MAX_MS;
    h->fan_not_before_ms = now + pause;
    h->fan_armed = false;
    if (h->committed_at_us != RK_TIME_UNSET) {
        int64_t took = rk_wall_us() - h->committed_at_us;

        rk_metric_observe(&metrics[METRIC_PROPAGATION], took > 0 ? (double)took / 1e6 : 0);
        h->committed_at_us = RK_TIME_UNSET;
    }
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
        session_push(h->app, s);
        if (rk_mono_ms() - began >= TURN_MS) {
            rk_timer_start(&h->fan, 0, 0);
            return;
        }
    }
    round_over(h, rk_mono_ms());
}
